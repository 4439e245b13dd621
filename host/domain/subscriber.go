package domain

import (
	"slices"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// SubscriberState says whether a subscriber gets events.
type SubscriberState string

// The states of a subscriber.
const (
	// SubscriberActive gets events as they come.
	SubscriberActive SubscriberState = "active"
	// SubscriberPaused gets none because somebody said so. What comes meanwhile waits.
	SubscriberPaused SubscriberState = "paused"
	// SubscriberDisabled gets none because it answered that it is gone, or took nothing for
	// days. What comes meanwhile waits.
	SubscriberDisabled SubscriberState = "disabled"
)

// Subscriber is one URL of a workspace that its events are sent to.
type Subscriber struct {
	ID        SubscriberID         `json:"id"`
	Workspace contract.WorkspaceID `json:"workspace"`
	Name      string               `json:"name"`
	URL       string               `json:"url"`
	// Kinds and Connections select events; an empty list selects all.
	Kinds       []contract.EventKind    `json:"kinds,omitempty"`
	Connections []contract.ConnectionID `json:"connections,omitempty"`
	State       SubscriberState         `json:"state"`
	// StateReason is one sentence about why it is disabled.
	StateReason string `json:"state_reason,omitempty"`
	// ActiveSince is when it was last made active: the age of what waited before counts
	// from then.
	ActiveSince time.Time `json:"active_since,omitzero"`
	// PrivateTargets lists "ip:port" targets that an operator allowed it to be at, although
	// their addresses are private. Only there may URL be plain http.
	PrivateTargets []string `json:"private_targets,omitempty"`
	// Secrets holds the values to sign with, encrypted, the newest first. While a value is
	// being rotated there are several, and each signs.
	Secrets   []SecretValue `json:"secrets"`
	CreatedAt time.Time     `json:"created_at"`
	UpdatedAt time.Time     `json:"updated_at"`
}

// Wants tells whether the subscriber is to get an event.
func (s Subscriber) Wants(e Event) bool {
	return EventFilter{Kinds: s.Kinds, Connections: s.Connections}.Selects(e)
}

// EventFilter selects events. An empty list selects all.
type EventFilter struct {
	Kinds       []contract.EventKind
	Connections []contract.ConnectionID
}

// IsZero tells whether the filter selects every event.
func (f EventFilter) IsZero() bool { return len(f.Kinds) == 0 && len(f.Connections) == 0 }

// Selects tells whether the filter lets an event through.
func (f EventFilter) Selects(e Event) bool {
	return (len(f.Kinds) == 0 || slices.Contains(f.Kinds, e.Data.Kind)) &&
		(len(f.Connections) == 0 || slices.Contains(f.Connections, e.Connection))
}

// ConversationID returns the conversation that an event belongs to; empty for what
// concerns the whole connection.
func (e Event) ConversationID() contract.ConversationID {
	switch {
	case e.Data.Conversation != nil:
		return e.Data.Conversation.ID
	case e.Data.Message != nil:
		return e.Data.Message.Conversation.ID
	}
	return ""
}

// SubscriberProgress is how far a subscriber is. It changes with every few events, and is
// kept apart from what people set.
type SubscriberProgress struct {
	// Cursor is a Seq of the workspace's events: each event up to it was taken, was not
	// wanted, or waits in a job of its own.
	Cursor uint64 `json:"cursor"`
	// Round counts rewinds, so that an event that is sent again gets another job.
	Round uint64 `json:"round,omitempty"`
	// LastTakenAt is when the subscriber last took an event; zero means never.
	LastTakenAt time.Time `json:"last_taken_at,omitzero"`
	// Failures counts the attempts that failed since it last took one, and FailingSince is
	// when the first of them was; zero while it works.
	Failures     int       `json:"failures,omitempty"`
	FailingSince time.Time `json:"failing_since,omitzero"`
	// LastFailure is why the newest failed attempt failed, at LastFailedAt.
	LastFailure  *contract.Failure `json:"last_failure,omitempty"`
	LastFailedAt time.Time         `json:"last_failed_at,omitzero"`
	// Noticed tells that the operator was told of this spell of failures.
	Noticed bool `json:"noticed,omitempty"`
}

// SubscriberReport is news about a subscriber, as one commit keeps it.
type SubscriberReport struct {
	// Cursor moves the cursor on; one that is behind it changes nothing.
	Cursor uint64
	// TakenAt is when an event was taken; zero means that none was.
	TakenAt time.Time
	// Failure is why an attempt failed at FailedAt; nil means that none did.
	Failure  *contract.Failure
	FailedAt time.Time
}

// Deferral is events that a subscriber gets later, in jobs of their own.
type Deferral struct {
	Subscriber SubscriberID
	// Events are queued in the lanes of their conversations, in this order. One that has a
	// job already gets no other.
	Events []Event
	// OnlyBehind queues an event only if others of its lane wait already.
	OnlyBehind bool
	// Failure is why the first event was not taken, and NotBefore when it is tried again;
	// nil means that nothing was tried.
	Failure   *contract.Failure
	NotBefore time.Time
	At        time.Time
}

// Deferred is what became of a deferral.
type Deferred struct {
	// Jobs is what was queued.
	Jobs []Job
	// Free lists the Seq of each event that was left out because nothing of its lane waits.
	Free     []uint64
	Progress SubscriberProgress
}

// NotificationRun is what came of one run of a JobNotify.
type NotificationRun struct {
	JobID string
	// State is where the job stands now; JobQueued means that it runs again at NotBefore.
	State     JobState
	NotBefore time.Time
	// Failure is why it failed; nil with JobQueued means that it was not tried.
	Failure *contract.Failure
	// Tried adds one to the attempts, and tells the subscriber's progress.
	Tried bool
	At    time.Time
}

// SubscriberStatus is a subscriber with how it is doing.
type SubscriberStatus struct {
	Subscriber
	Progress SubscriberProgress
	// LastEvent is the Seq of the newest event of the workspace.
	LastEvent uint64
	// Queued and Parked count its jobs, up to MaxCounted each.
	Queued, Parked int
}

// MaxCounted is as far as jobs are counted for people.
const MaxCounted = 10_000
