package contract

import "time"

// Connection is what an invocation is told about the connection it runs for.
type Connection struct {
	// ID is the connection, opaque.
	ID ConnectionID `json:"id"`
	// Workspace is the tenant that owns the connection, opaque.
	Workspace WorkspaceID `json:"workspace"`
	// Name is what the tenant calls the connection; for people only.
	Name string `json:"name,omitempty"`
	// State is the connection's state when the invocation began.
	State ConnectionState `json:"state"`
	// Settings holds one text per setting that the manifest declares for this scope, defaults
	// filled in, each already checked against its declared type.
	Settings map[string]string `json:"settings,omitempty"`
	// App is the app that the connection belongs to; nil if the plugin has no apps.
	App *App `json:"app,omitempty"`
	// IsApp tells that the invocation runs in app scope: this is the app itself, and there is
	// no tenant.
	IsApp bool `json:"is_app,omitempty"`
}

// App is the operator's account with a platform, shared by the connections of many
// workspaces, as a connection is told about it.
type App struct {
	// ID is the app, opaque.
	ID ConnectionID `json:"id"`
	// Settings holds one text per setting of app scope, defaults filled in.
	Settings map[string]string `json:"settings,omitempty"`
}

// ConnectionState says how well a connection works.
type ConnectionState string

// The states of a connection.
const (
	// StatePending means that setup has not begun.
	StatePending ConnectionState = "pending"
	// StateConnecting means that setup began and the platform has not confirmed it.
	StateConnecting ConnectionState = "connecting"
	// StateConnected means that traffic can flow both ways.
	StateConnected ConnectionState = "connected"
	// StateDegraded means that something fails now and is expected to heal by itself.
	StateDegraded ConnectionState = "degraded"
	// StateNeedsAction means that nothing will work until a person does something.
	StateNeedsAction ConnectionState = "needs_action"
	// StateDisconnected means that either side ended the connection.
	StateDisconnected ConnectionState = "disconnected"
)

// StateChange reports a new state of the connection.
type StateChange struct {
	// State is the new state.
	State ConnectionState `json:"state"`
	// Code is a stable word for the reason, such as "token_refused"; for programs.
	Code string `json:"code,omitempty"`
	// Reason says what happened, in one sentence for the tenant.
	Reason string `json:"reason,omitempty"`
	// Action says what the tenant must do; required with StateNeedsAction.
	Action string `json:"action,omitempty"`
}

// Health is what check_health found.
type Health struct {
	// CredentialsValid tells whether the platform took our credentials.
	CredentialsValid bool `json:"credentials_valid"`
	// Detail is one sentence for the tenant.
	Detail string `json:"detail,omitempty"`
	// CheckedAt is when the platform answered, RFC 3339.
	CheckedAt time.Time `json:"checked_at,omitzero"`
}

// Support grades how well a connection carries one feature.
type Support string

// The grades of support, best first.
const (
	// SupportFull means that the platform carries the feature as it is.
	SupportFull Support = "full"
	// SupportPartial means that something of it is lost, within the limits stated.
	SupportPartial Support = "partial"
	// SupportFallback means that it is turned into something the platform has,
	// usually text.
	SupportFallback Support = "fallback"
	// SupportDropped means that it is left out, and the answer to the send says so.
	SupportDropped Support = "dropped"
	// SupportRejected means that a message with it is refused.
	SupportRejected Support = "rejected"
)

// Capability grades one feature of a connection.
type Capability struct {
	// Feature is a part kind ("text", "media", ...) or an ability ("edit", "typing").
	Feature string `json:"feature"`
	// Support is the grade.
	Support Support `json:"support"`
	// MaxChars limits a text, in Unicode code points; 0 means no stated limit.
	MaxChars int64 `json:"max_chars,omitempty"`
	// MaxBytes limits one attachment, in bytes; 0 means no stated limit.
	MaxBytes int64 `json:"max_bytes,omitempty"`
	// MaxCount limits how many of it one message may carry; 0 means no stated limit.
	MaxCount int64 `json:"max_count,omitempty"`
	// MIMETypes lists the accepted media types ("image/png", "image/*"); empty means any.
	MIMETypes []string `json:"mime_types,omitempty"`
	// Note says in one sentence what is lost or how it is shown.
	Note string `json:"note,omitempty"`
}
