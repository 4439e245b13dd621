package domain

import (
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// JobKind says what a job does.
type JobKind string

// The kinds of job.
const (
	// JobCommand runs a command.
	JobCommand JobKind = "command"
	// JobEvent makes an event visible, after fetching the media it carries.
	JobEvent JobKind = "event"
	// JobClaim runs a delivery that waited for the connection that claimed it.
	JobClaim JobKind = "claim"
	// JobNotify hands an event to a subscriber that did not take it at once.
	JobNotify JobKind = "notify"
)

// JobState is where a job stands.
type JobState string

// The states of a job.
const (
	// JobQueued means that it waits for its time or its turn.
	JobQueued JobState = "queued"
	// JobDone means that it did what it was for.
	JobDone JobState = "done"
	// JobParked means that it failed for good and waits for somebody to decide.
	JobParked JobState = "parked"
	// JobCancelled means that somebody decided against it.
	JobCancelled JobState = "cancelled"
)

// Ended tells whether the job leaves its lane.
func (s JobState) Ended() bool { return s != JobQueued }

// Job is a durable piece of work in a lane. Jobs of one lane run one at a time, in the
// order of Seq.
type Job struct {
	// ID is a command's id, for an event the event's, and for a notification its own.
	ID        string               `json:"id"`
	Kind      JobKind              `json:"kind"`
	Workspace contract.WorkspaceID `json:"workspace"`
	// Connection is the one it acts for; empty for JobNotify, which outlives connections.
	Connection contract.ConnectionID `json:"connection,omitempty"`
	// Lane is the order the job runs in; unique per host.
	Lane string `json:"lane"`
	// Seq is the job's place among all jobs of the host.
	Seq uint64 `json:"seq"`
	// NotBefore is the earliest time to run.
	NotBefore time.Time `json:"not_before"`
	// Attempts counts the runs so far.
	Attempts int `json:"attempts"`
	// Since is when its present series of attempts began, and Before the attempts of earlier
	// ones: somebody queued it again, or it was not to run at once. Zero means CreatedAt.
	Since  time.Time `json:"since,omitzero"`
	Before int       `json:"before,omitempty"`
	State  JobState  `json:"state"`
	// IdempotencyKey is what the command was accepted with, so that the key still answers
	// when the job is no longer kept.
	IdempotencyKey string            `json:"idempotency_key,omitempty"`
	Failure        *contract.Failure `json:"failure,omitempty"`
	CreatedAt      time.Time         `json:"created_at"`
	UpdatedAt      time.Time         `json:"updated_at"`
	Command        *Command          `json:"command,omitempty"`
	Event          *Event            `json:"event,omitempty"`
	Notify         *Notification     `json:"notify,omitempty"`
	Claim          *Claimed          `json:"claim,omitempty"`
}

// Began returns when the job's present series of attempts began.
func (j Job) Began() time.Time {
	if j.Since.IsZero() {
		return j.CreatedAt
	}
	return j.Since
}

// Tries returns the attempts of the present series.
func (j Job) Tries() int { return j.Attempts - j.Before }

// Group is whom the job shares its turns with: the connection, or the subscriber. Groups
// of a workspace take turns, so that one with a million jobs does not delay another's
// first.
func (j Job) Group() string {
	if j.Notify != nil {
		return string(j.Notify.Subscriber)
	}
	return string(j.Connection)
}

// Ticket is what a scheduler has to know of a queued job, without the job itself: a store
// hands out a hundred thousand of them in a second.
type Ticket struct {
	ID        string
	Kind      JobKind
	Workspace contract.WorkspaceID
	// Group is the job's [Job.Group].
	Group string
	Lane  string
	// Seq is the job's place among all jobs of the host.
	Seq uint64
	// NotBefore is the earliest time to run, in UTC.
	NotBefore time.Time
}

// Ticket returns the job's ticket.
func (j Job) Ticket() Ticket {
	return Ticket{ID: j.ID, Kind: j.Kind, Workspace: j.Workspace, Group: j.Group(), Lane: j.Lane, Seq: j.Seq, NotBefore: j.NotBefore.UTC()}
}

// Backlog is how much of one kind of job waits.
type Backlog struct {
	// Queued is how many jobs have not ended.
	Queued int
	// OldestRunnable is how long the one that has waited longest past its time has waited.
	OldestRunnable time.Duration
}

// SubscriberID names a subscriber ("sub_…").
type SubscriberID string

// Notification is an event on its way to a subscriber.
type Notification struct {
	Subscriber SubscriberID `json:"subscriber"`
	// Event is the Seq of the event in its workspace.
	Event uint64 `json:"event"`
}

// Command is what a tenant or the host asks a plugin to do.
type Command struct {
	ID contract.CommandID `json:"id"`
	// Export is the plugin's function that does it.
	Export contract.Export `json:"export"`
	// By is who asked: a token's subject, or "plugin" or "host".
	By string `json:"by"`
	// The fields below are the export's own input, as far as it has them.
	Message      *contract.Message      `json:"message,omitempty"`
	Strict       bool                   `json:"strict,omitempty"`
	Conversation *contract.Conversation `json:"conversation,omitempty"`
	Status       *contract.StatusReport `json:"status,omitempty"`
	Typing       *contract.Typing       `json:"typing,omitempty"`
	Contact      contract.ContactID     `json:"contact,omitempty"`
	Payload      string                 `json:"payload,omitempty"`
	Refresh      *Refresh               `json:"refresh,omitempty"`
	Exchange     *Exchange              `json:"exchange,omitempty"`
	// Unauthorised counts the runs that were repeated because the platform answered 401.
	Unauthorised int `json:"unauthorised,omitempty"`
	// Result is what the plugin answered, without its effects.
	Result *CommandResult `json:"result,omitempty"`
}

// Refresh is why a token set is to be renewed.
type Refresh struct {
	Reason contract.RefreshReason `json:"reason"`
	// Version is the token set that is to be replaced; 0 if there is none.
	Version uint64 `json:"version,omitempty"`
	// Ambiguous tells that an attempt before may have taken effect without an answer.
	Ambiguous bool `json:"ambiguous,omitempty"`
}

// Exchange is an authorisation code to be turned into a token set.
type Exchange struct {
	// Sealed holds the code and the PKCE verifier, encrypted with the connection as associated
	// data.
	Sealed []byte `json:"sealed"`
	// RedirectURL is the one that authorize_url was given.
	RedirectURL string `json:"redirect_url"`
}

// CommandResult is what came of a command.
type CommandResult struct {
	Sent   *contract.Sent   `json:"sent,omitempty"`
	Health *contract.Health `json:"health,omitempty"`
}

// NewCommand is a command to accept.
type NewCommand struct {
	Workspace  contract.WorkspaceID
	Connection contract.ConnectionID
	Command    Command
	// Lane is the lane within the connection; see ConversationLane. Empty means a lane of
	// the command's own.
	Lane string
	// Message is stored with the command, for send_message.
	Message *Message
	// IdempotencyKey makes a second acceptance with the same key and RequestHash return the
	// first job, and one with another hash ErrIdempotencyMismatch. Empty means none.
	IdempotencyKey string
	RequestHash    string
	At             time.Time
}

// CommandEffects is the commit of one run of a command.
type CommandEffects struct {
	Effects
	// Job is the job that ran, as it was read.
	JobID string
	// State is where the job stands now; JobQueued means that it runs again at NotBefore.
	State     JobState
	NotBefore time.Time
	Failure   *contract.Failure
	Result    *CommandResult
	// CountAttempt adds one to the job's attempts.
	CountAttempt bool
	// Unauthorised tells that the job runs again because the platform answered 401.
	Unauthorised bool
	// Unbegun tells that nothing ran. As long as the job is queued, the journal of a run that
	// was cut off before stays.
	Unbegun bool
	// RemoveConnection has the connection removed with all that it has, since the job that was
	// to tear it down has ended.
	RemoveConnection bool
	// Setup and Capabilities replace the connection's, if not nil.
	Setup        []contract.SetupStep
	Capabilities []contract.Capability
}

// CommandCommitted is what a store answers to the commit of a command.
type CommandCommitted struct {
	Job    Job
	Events []Event
	Jobs   []Job
}

// ConversationLane is the lane of the commands of one conversation of one connection.
func ConversationLane(c contract.ConnectionID, conversation contract.ConversationID) string {
	return "command/" + string(c) + "/conversation/" + string(conversation)
}

// PluginLane is the lane of the commands that a plugin asked for under its own name for it.
func PluginLane(c contract.ConnectionID, lane string) string {
	return "command/" + string(c) + "/plugin/" + lane
}

// ConnectionLane is the lane of the commands that concern a connection as a whole.
func ConnectionLane(c contract.ConnectionID) string {
	return "command/" + string(c) + "/connection"
}

// CredentialsLane is the lane of the commands that renew a token set: apart from all others,
// so that none waits for it that does not need it, and one at a time.
func CredentialsLane(c contract.ConnectionID) string {
	return "command/" + string(c) + "/credentials"
}

// NotifyLane is the lane of the events of one conversation of one connection on their way
// to one subscriber.
func NotifyLane(s SubscriberID, c contract.ConnectionID, conversation contract.ConversationID) string {
	return "notify/" + string(s) + "/" + string(c) + "/" + string(conversation)
}

// EventLane is the lane of the events of one conversation of one connection.
func EventLane(c contract.ConnectionID, conversation contract.ConversationID) string {
	return "event/" + string(c) + "/" + string(conversation)
}
