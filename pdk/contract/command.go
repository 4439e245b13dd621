package contract

import "time"

// CommandInfo is what an invocation is told about the command it carries out.
type CommandInfo struct {
	// ID is the command, opaque. The same on every attempt.
	ID CommandID `json:"id"`
	// Attempt counts from 1.
	Attempt int64 `json:"attempt"`
	// CreatedAt is when the command was accepted, RFC 3339.
	CreatedAt time.Time `json:"created_at"`
}

// CommandRequest asks the host to call this plugin again, later: the export
// reconcile, with Payload, for this connection. It is committed with the invocation
// that made it.
type CommandRequest struct {
	// Lane keeps requests with the same lane in order. Lanes of plugins are apart from
	// lanes of conversations; empty means a lane of its own. At most 256 bytes.
	Lane string `json:"lane,omitempty"`
	// AfterMillis is the earliest time to run, in milliseconds from the commit; at most
	// 7 days.
	AfterMillis int64 `json:"after_millis,omitempty"`
	// Payload is handed back to reconcile; any text, at most 64 KiB.
	Payload string `json:"payload"`
}

// FailureClass tells the host what to do about a failure.
type FailureClass string

// The classes of failure.
const (
	// FailureRetry means that the same command may work later.
	FailureRetry FailureClass = "retry"
	// FailureRetryAfter means that it may work after RetryAfterMillis, not before.
	FailureRetryAfter FailureClass = "retry_after"
	// FailureReauthorise means that a person must renew the connection's credentials.
	FailureReauthorise FailureClass = "reauthorise"
	// FailurePermanent means that it will never work.
	FailurePermanent FailureClass = "permanent"
	// FailureUncertain means that it may have worked, and repeating it may double it.
	FailureUncertain FailureClass = "uncertain"
)

// Failure says why a command did not work.
type Failure struct {
	// Class tells the host what to do.
	Class FailureClass `json:"class"`
	// Code is a stable word, such as "platform_unavailable"; for programs.
	Code string `json:"code"`
	// Message is one sentence for the tenant. It must not contain a secret.
	Message string `json:"message,omitempty"`
	// RetryAfterMillis is the shortest wait, in milliseconds, for FailureRetryAfter.
	RetryAfterMillis int64 `json:"retry_after_millis,omitempty"`
	// Parts says what became of each part of a message that was refused because of its parts,
	// those at fault with [PartRejected].
	Parts []PartOutcome `json:"parts,omitempty"`
}

// CommandOutput is the output of every export but receive and route. Effects are
// committed together, also when Failure is set.
type CommandOutput struct {
	// Failure is set if the command did not work.
	Failure *Failure `json:"failure,omitempty"`
	// Sent is set by send_message and edit_message when the platform accepted it.
	Sent *Sent `json:"sent,omitempty"`
	// Health is set by check_health.
	Health *Health `json:"health,omitempty"`
	// URL is set by authorize_url.
	URL string `json:"url,omitempty"`
	// Setup is set by setup_connection: what the tenant must enter on the platform.
	Setup []SetupStep `json:"setup,omitempty"`
	// Capabilities is set by setup_connection and check_health: what the connection carries.
	Capabilities []Capability `json:"capabilities,omitempty"`
	// Events is what happened on the way, in order.
	Events []Event `json:"events,omitempty"`
	// Commands is what the host shall ask this plugin to do next.
	Commands []CommandRequest `json:"commands,omitempty"`
}

// Sent says what the platform accepted.
type Sent struct {
	// PlatformID is the message's name from now on; unique within the connection.
	PlatformID PlatformMessageID `json:"platform_id"`
	// Status is MessageSent, or further if the platform says so at once.
	Status MessageStatus `json:"status"`
	// Parts says what became of each part, in order.
	Parts []PartOutcome `json:"parts,omitempty"`
}

// SetupStep is one thing for a person to enter or do on the platform's side.
type SetupStep struct {
	// Label names the platform's field or the deed.
	Label string `json:"label"`
	// Value is what to enter. The placeholders {{receive_url}} and {{secret:NAME}} are
	// filled in by the host when an authorised person asks; the plugin never sees them.
	Value string `json:"value,omitempty"`
	// Help says where to find the field; may be empty.
	Help string `json:"help,omitempty"`
}

// SendMessageInput is the input of the export send_message.
type SendMessageInput struct {
	// Command is the command being carried out.
	Command CommandInfo `json:"command"`
	// Connection is where to send.
	Connection Connection `json:"connection"`
	// Message is what to send; its ID is set.
	Message Message `json:"message"`
	// Strict refuses the message instead of degrading a part.
	Strict bool `json:"strict,omitempty"`
}

// EditMessageInput is the input of the export edit_message.
type EditMessageInput struct {
	// Command is the command being carried out.
	Command CommandInfo `json:"command"`
	// Connection is where the message is.
	Connection Connection `json:"connection"`
	// Message is the message as it shall be; its PlatformID is set.
	Message Message `json:"message"`
	// Strict refuses the edit instead of degrading a part.
	Strict bool `json:"strict,omitempty"`
}

// DeleteMessageInput is the input of the export delete_message.
type DeleteMessageInput struct {
	// Command is the command being carried out.
	Command CommandInfo `json:"command"`
	// Connection is where the message is.
	Connection Connection `json:"connection"`
	// Conversation is where it belongs.
	Conversation Conversation `json:"conversation"`
	// PlatformID is the message.
	PlatformID PlatformMessageID `json:"platform_id"`
}

// SendTypingInput is the input of the export send_typing.
type SendTypingInput struct {
	// Command is the command being carried out.
	Command CommandInfo `json:"command"`
	// Connection is where to show it.
	Connection Connection `json:"connection"`
	// Conversation is where somebody types.
	Conversation Conversation `json:"conversation"`
	// Typing says who, and whether the author stopped.
	Typing Typing `json:"typing"`
}

// SendReceiptInput is the input of the export send_receipt.
type SendReceiptInput struct {
	// Command is the command being carried out.
	Command CommandInfo `json:"command"`
	// Connection is where the message came from.
	Connection Connection `json:"connection"`
	// Conversation is where it belongs.
	Conversation Conversation `json:"conversation"`
	// Status is the report; its PlatformID is set.
	Status StatusReport `json:"status"`
}

// SetupConnectionInput is the input of the export setup_connection, called when a
// connection was created or its settings changed.
type SetupConnectionInput struct {
	// Command is the command being carried out.
	Command CommandInfo `json:"command"`
	// Connection is the connection to set up.
	Connection Connection `json:"connection"`
}

// TeardownConnectionInput is the input of the export teardown_connection.
type TeardownConnectionInput struct {
	// Command is the command being carried out.
	Command CommandInfo `json:"command"`
	// Connection is the connection to end.
	Connection Connection `json:"connection"`
}

// RefreshCredentialsInput is the input of the export refresh_credentials. The new
// token set is handed over with credentials_put.
type RefreshCredentialsInput struct {
	// Command is the command being carried out.
	Command CommandInfo `json:"command"`
	// Connection is whose credentials to refresh.
	Connection Connection `json:"connection"`
	// Reason says why.
	Reason RefreshReason `json:"reason,omitempty"`
	// Ambiguous tells that a refresh before this one may have taken effect on the platform
	// without an answer: the refresh token may be used up.
	Ambiguous bool `json:"ambiguous,omitempty"`
}

// RefreshReason says why credentials are refreshed.
type RefreshReason string

// The reasons of a refresh.
const (
	// RefreshDue means that the access token expires soon.
	RefreshDue RefreshReason = "due"
	// RefreshKeepAlive means that the token set has not been used or renewed for long.
	RefreshKeepAlive RefreshReason = "keep_alive"
	// RefreshRefused means that the platform answered 401 to the access token.
	RefreshRefused RefreshReason = "refused"
	// RefreshMissing means that there is no token set yet.
	RefreshMissing RefreshReason = "missing"
	// RefreshAsked means that a person asked for it.
	RefreshAsked RefreshReason = "asked"
)

// CheckHealthInput is the input of the export check_health.
type CheckHealthInput struct {
	// Command is the command being carried out.
	Command CommandInfo `json:"command"`
	// Connection is the connection to check.
	Connection Connection `json:"connection"`
}

// AuthorizeURLInput is the input of the export authorize_url.
type AuthorizeURLInput struct {
	// Command is the command being carried out.
	Command CommandInfo `json:"command"`
	// Connection is the connection to authorise.
	Connection Connection `json:"connection"`
	// RedirectURL is where the platform shall send the browser back.
	RedirectURL string `json:"redirect_url"`
	// State is an opaque value to pass through (RFC 6749 section 4.1.1).
	State string `json:"state"`
	// CodeChallenge is the PKCE challenge, method S256 (RFC 7636).
	CodeChallenge string `json:"code_challenge,omitempty"`
}

// ExchangeCodeInput is the input of the export exchange_code. The token set is
// handed over with credentials_put.
type ExchangeCodeInput struct {
	// Command is the command being carried out.
	Command CommandInfo `json:"command"`
	// Connection is the connection to authorise.
	Connection Connection `json:"connection"`
	// Code is the authorisation code (RFC 6749 section 4.1.2).
	Code string `json:"code"`
	// RedirectURL is the one that authorize_url was given.
	RedirectURL string `json:"redirect_url"`
	// CodeVerifier is the PKCE verifier (RFC 7636).
	CodeVerifier string `json:"code_verifier,omitempty"`
}

// ReconcileInput is the input of the export reconcile: a [CommandRequest] come due.
type ReconcileInput struct {
	// Command is the command being carried out.
	Command CommandInfo `json:"command"`
	// Connection is the connection that asked.
	Connection Connection `json:"connection"`
	// Payload is the request's.
	Payload string `json:"payload"`
}

// LookupContactInput is the input of the export lookup_contact. What was found is
// reported as a contact.updated event.
type LookupContactInput struct {
	// Command is the command being carried out.
	Command CommandInfo `json:"command"`
	// Connection is where the person is known.
	Connection Connection `json:"connection"`
	// Contact is the person, by the platform's name.
	Contact ContactID `json:"contact"`
}
