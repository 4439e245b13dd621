package client

import (
	"context"
	"net/http"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Subscriber is a URL that events are sent to, as the API shows it.
type Subscriber struct {
	ID        domain.SubscriberID  `json:"id"`
	Workspace contract.WorkspaceID `json:"workspace"`
	Name      string               `json:"name"`
	// URL and PrivateTargets are shown to administrators only.
	URL            string                  `json:"url,omitempty"`
	PrivateTargets []string                `json:"private_targets,omitempty"`
	Kinds          []contract.EventKind    `json:"kinds,omitempty"`
	Connections    []contract.ConnectionID `json:"connections,omitempty"`
	State          domain.SubscriberState  `json:"state"`
	StateReason    string                  `json:"state_reason,omitempty"`
	// Cursor is the sequence up to which each event was taken, was not wanted or is queued,
	// and Behind how many events came after it.
	Cursor uint64 `json:"cursor"`
	Behind uint64 `json:"behind"`
	// Queued and Parked count the events that were not taken at once, up to 10000 each.
	Queued       int               `json:"queued"`
	Parked       int               `json:"parked"`
	Failures     int               `json:"failures"`
	FailingSince time.Time         `json:"failing_since,omitzero"`
	LastFailure  *contract.Failure `json:"last_failure,omitempty"`
	LastFailedAt time.Time         `json:"last_failed_at,omitzero"`
	LastTakenAt  time.Time         `json:"last_taken_at,omitzero"`
	CreatedAt    time.Time         `json:"created_at"`
	UpdatedAt    time.Time         `json:"updated_at"`
	// Secret is what its events are signed with. It is there once: when it was created.
	Secret string `json:"secret,omitempty"`
}

// NewSubscriber is a subscriber to create.
type NewSubscriber struct {
	Name        string                  `json:"name"`
	URL         string                  `json:"url"`
	Kinds       []contract.EventKind    `json:"kinds,omitempty"`
	Connections []contract.ConnectionID `json:"connections,omitempty"`
	// After is the sequence of the last event that is known already; nil means the newest.
	After *uint64 `json:"after,omitempty"`
	// PrivateTargets are for operators to give.
	PrivateTargets []string `json:"private_targets,omitempty"`
}

// SubscriberPatch is what to change of a subscriber; nil leaves alone, and an empty list
// selects all.
type SubscriberPatch struct {
	Name        *string                  `json:"name,omitempty"`
	URL         *string                  `json:"url,omitempty"`
	Kinds       *[]contract.EventKind    `json:"kinds,omitempty"`
	Connections *[]contract.ConnectionID `json:"connections,omitempty"`
}

// SubscriberTest is what came of a test.
type SubscriberTest struct {
	// Taken tells that it answered with success; otherwise Reason says why that is none.
	Taken      bool   `json:"taken"`
	Status     int    `json:"status,omitempty"`
	TookMillis int64  `json:"took_millis"`
	Excerpt    string `json:"excerpt,omitempty"`
	Reason     string `json:"reason,omitempty"`
}

// Notification is an event that a subscriber did not take at once.
type Notification struct {
	ID        string            `json:"id"`
	Sequence  uint64            `json:"sequence"`
	State     domain.JobState   `json:"state"`
	Attempts  int               `json:"attempts"`
	NotBefore time.Time         `json:"not_before"`
	Failure   *contract.Failure `json:"failure,omitempty"`
	CreatedAt time.Time         `json:"created_at"`
	UpdatedAt time.Time         `json:"updated_at"`
}

// CreateSubscriber has events sent to a URL. Only this answer has the Secret.
func (c *Client) CreateSubscriber(ctx context.Context, ws contract.WorkspaceID, n NewSubscriber) (Subscriber, error) {
	return post[Subscriber](ctx, c, at("workspaces", string(ws), "subscribers"), n)
}

// Subscribers lists the subscribers of a workspace.
func (c *Client) Subscribers(ctx context.Context, ws contract.WorkspaceID, p domain.Page) (Page[Subscriber], error) {
	return list[Subscriber](ctx, c, at("workspaces", string(ws), "subscribers"), paged(p))
}

// Subscriber reads one subscriber.
func (c *Client) Subscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID) (Subscriber, error) {
	return get[Subscriber](ctx, c, subscriber(ws, id))
}

// UpdateSubscriber changes a subscriber.
func (c *Client) UpdateSubscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, p SubscriberPatch) (Subscriber, error) {
	return exchange[Subscriber](ctx, c, request{method: http.MethodPatch, path: subscriber(ws, id), document: p})
}

// RemoveSubscriber ends a subscriber and what waits for it.
func (c *Client) RemoveSubscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID) error {
	return c.do(ctx, request{method: http.MethodDelete, path: subscriber(ws, id)}, nil)
}

// EnableSubscriber has a subscriber get events again, from where it stopped.
func (c *Client) EnableSubscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID) (Subscriber, error) {
	return post[Subscriber](ctx, c, subscriber(ws, id, "enable"), nil)
}

// PauseSubscriber has a subscriber get nothing until it is enabled.
func (c *Client) PauseSubscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID) (Subscriber, error) {
	return post[Subscriber](ctx, c, subscriber(ws, id, "pause"), nil)
}

// RotateSubscriberSecret makes a new secret, and returns it. The old one signs beside it
// for as long as overlap, in whole seconds.
func (c *Client) RotateSubscriberSecret(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, overlap time.Duration) (string, error) {
	answer, err := post[struct {
		Secret string `json:"secret"`
	}](ctx, c, subscriber(ws, id, "secret", "rotate"), map[string]int64{"overlap_seconds": int64(overlap / time.Second)})
	return answer.Secret, err
}

// AllowSubscriberTargets replaces the list of "ip:port" targets that a subscriber may be at
// although their addresses are private.
func (c *Client) AllowSubscriberTargets(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, targets []string) (Subscriber, error) {
	if targets == nil {
		targets = []string{}
	}
	return exchange[Subscriber](ctx, c, request{method: http.MethodPut, path: subscriber(ws, id, "private-targets"),
		document: map[string][]string{"targets": targets}})
}

// TestSubscriber sends an event of the type patchbay.test and tells what came of it.
func (c *Client) TestSubscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID) (SubscriberTest, error) {
	return post[SubscriberTest](ctx, c, subscriber(ws, id, "test"), nil)
}

// RewindSubscriber has the events after the one with this sequence sent, again or at last.
func (c *Client) RewindSubscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, after uint64) (Subscriber, error) {
	return post[Subscriber](ctx, c, subscriber(ws, id, "rewind"), map[string]uint64{"after": after})
}

// RetrySubscriber queues what was given up for a subscriber again, and returns how much.
func (c *Client) RetrySubscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID) (int, error) {
	answer, err := post[struct {
		Queued int `json:"queued"`
	}](ctx, c, subscriber(ws, id, "retry"), nil)
	return answer.Queued, err
}

// Notifications lists events that a subscriber did not take at once, in one state; an empty
// one means queued.
func (c *Client) Notifications(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, state domain.JobState, p domain.Page) (Page[Notification], error) {
	q := paged(p)
	set(q, "state", state)
	return list[Notification](ctx, c, subscriber(ws, id, "notifications"), q)
}

// subscriber is the path of a subscriber and what lies below it.
func subscriber(ws contract.WorkspaceID, id domain.SubscriberID, below ...string) string {
	return at(append([]string{"workspaces", string(ws), "subscribers", string(id)}, below...)...)
}
