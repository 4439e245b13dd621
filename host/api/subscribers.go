package api

import (
	"context"
	"net/http"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/host/subscribers"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// SubscriberLog reads subscribers and what waits for them.
type SubscriberLog interface {
	SubscriberStatus(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID) (domain.SubscriberStatus, error)
	Subscribers(ctx context.Context, ws contract.WorkspaceID, p domain.Page) (items []domain.SubscriberStatus, next string, err error)
	Notifications(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, state domain.JobState, p domain.Page) (items []domain.Job, next string, err error)
}

// SubscriberKeeper makes, changes, tests and ends subscribers.
type SubscriberKeeper interface {
	CreateSubscriber(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, n subscribers.NewSubscriber) (domain.SubscriberStatus, secret.Text, error)
	UpdateSubscriber(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID, p subscribers.Patch) (domain.SubscriberStatus, error)
	RemoveSubscriber(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID) error
	EnableSubscriber(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID) (domain.SubscriberStatus, error)
	PauseSubscriber(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID) (domain.SubscriberStatus, error)
	RotateSubscriberSecret(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID, overlap time.Duration) (secret.Text, error)
	TestSubscriber(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID) (subscribers.Tested, error)
	RewindSubscriber(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID, after uint64) (domain.SubscriberStatus, error)
	RetrySubscriber(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID) (int, error)
	AllowSubscriberTargets(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID, targets []string) (domain.SubscriberStatus, error)
}

// Subscriber is a subscriber as it is shown.
type Subscriber struct {
	ID             domain.SubscriberID     `json:"id" example:"sub_01JD5Z6T9Q"`
	Workspace      contract.WorkspaceID    `json:"workspace" example:"wsp_01JD5Z6T9Q"`
	Name           string                  `json:"name" example:"CRM"`
	URL            string                  `json:"url,omitempty" format:"uri" example:"https://crm.example/hooks/patchbay" doc:"Where events are sent. It may hold a key, so only administrators see it."`
	Kinds          []contract.EventKind    `json:"kinds,omitempty" doc:"The kinds of event that it gets; absent means all."`
	Connections    []contract.ConnectionID `json:"connections,omitempty" doc:"The connections whose events it gets; absent means all."`
	State          domain.SubscriberState  `json:"state" enum:"active,paused,disabled" doc:"A paused or disabled one gets nothing, and goes on where it stopped once it is enabled."`
	StateReason    string                  `json:"state_reason,omitempty" doc:"Why it is disabled."`
	PrivateTargets []string                `json:"private_targets,omitempty" doc:"Private addresses that an operator allowed it to be at; only administrators see them."`
	Cursor         uint64                  `json:"cursor" example:"4711" doc:"Each event up to this sequence was taken, was not wanted, or is queued."`
	Behind         uint64                  `json:"behind" doc:"How many events of the workspace came after the cursor."`
	Queued         int                     `json:"queued" maximum:"10000" doc:"Events that it did not take at once, and that are sent again; counted up to 10000."`
	Parked         int                     `json:"parked" maximum:"10000" doc:"Events that were given up after three days, and can be retried; counted up to 10000."`
	Failures       int                     `json:"failures" doc:"Attempts that failed since it last took an event."`
	FailingSince   time.Time               `json:"failing_since,omitzero" doc:"When the first of these failed. After five days it is disabled."`
	LastFailure    *contract.Failure       `json:"last_failure,omitempty" doc:"Why the newest failed attempt failed, at last_failed_at."`
	LastFailedAt   time.Time               `json:"last_failed_at,omitzero" doc:"When the newest failed attempt failed."`
	LastTakenAt    time.Time               `json:"last_taken_at,omitzero" doc:"When it last took an event."`
	CreatedAt      time.Time               `json:"created_at"`
	UpdatedAt      time.Time               `json:"updated_at"`
}

// subscriberView shows a subscriber to who.
func subscriberView(s domain.SubscriberStatus, who identity.Principal) Subscriber {
	v := Subscriber{
		ID: s.ID, Workspace: s.Workspace, Name: s.Name, Kinds: s.Kinds, Connections: s.Connections, State: s.State, StateReason: s.StateReason,
		Cursor: s.Progress.Cursor, Behind: s.LastEvent - min(s.LastEvent, s.Progress.Cursor), Queued: s.Queued, Parked: s.Parked,
		Failures: s.Progress.Failures, FailingSince: s.Progress.FailingSince, LastFailure: s.Progress.LastFailure, LastFailedAt: s.Progress.LastFailedAt,
		LastTakenAt: s.Progress.LastTakenAt, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
	}
	if who.Can(identity.SubscriberWrite, s.Workspace) {
		v.URL, v.PrivateTargets = s.URL, s.PrivateTargets
	}
	return v
}

// Notification is an event that a subscriber did not take at once, as it is shown.
type Notification struct {
	ID        string            `json:"id" example:"ntf_01JD5Z6T9Q_0_4711"`
	Sequence  uint64            `json:"sequence" example:"4711" doc:"The event's."`
	State     domain.JobState   `json:"state" enum:"queued,done,parked,cancelled"`
	Attempts  int               `json:"attempts"`
	NotBefore time.Time         `json:"not_before" doc:"The earliest time to send it."`
	Failure   *contract.Failure `json:"failure,omitempty" doc:"Why the last attempt failed."`
	CreatedAt time.Time         `json:"created_at"`
	UpdatedAt time.Time         `json:"updated_at"`
}

func notificationView(j domain.Job) Notification {
	v := Notification{ID: j.ID, State: j.State, Attempts: j.Attempts, NotBefore: j.NotBefore, Failure: j.Failure, CreatedAt: j.CreatedAt, UpdatedAt: j.UpdatedAt}
	if j.Notify != nil {
		v.Sequence = j.Notify.Event
	}
	return v
}

type newSubscriber struct {
	Name           string                  `json:"name" minLength:"1" maxLength:"200" example:"CRM" doc:"What people call it."`
	URL            string                  `json:"url" minLength:"1" maxLength:"2048" example:"https://crm.example/hooks/patchbay" doc:"Where to send events: https, or plain http to a private target."`
	Kinds          []contract.EventKind    `json:"kinds,omitempty" maxItems:"20" doc:"The kinds of event to send; all, if it is left out."`
	Connections    []contract.ConnectionID `json:"connections,omitempty" maxItems:"100" doc:"The connections whose events to send; all, if it is left out."`
	After          *uint64                 `json:"after,omitempty" example:"4711" doc:"The sequence of the last event that is known already; 0 begins with the oldest. Without it, it gets what comes from now on."`
	PrivateTargets []string                `json:"private_targets,omitempty" maxItems:"100" example:"[\"10.0.0.5:443\"]" doc:"Private addresses that it may be at, each an IP address with a port. For operators only."`
}

type subscriberPatch struct {
	Name        *string                  `json:"name,omitempty" minLength:"1" maxLength:"200" example:"Sales CRM" doc:"A new name."`
	URL         *string                  `json:"url,omitempty" minLength:"1" maxLength:"2048" doc:"A new URL."`
	Kinds       *[]contract.EventKind    `json:"kinds,omitempty" maxItems:"20" doc:"All kinds to send from now on; an empty list sends all."`
	Connections *[]contract.ConnectionID `json:"connections,omitempty" maxItems:"100" doc:"All connections whose events to send from now on; an empty list sends those of all."`
}

// createdSubscriber is a subscriber with what is shown once.
type createdSubscriber struct {
	Subscriber
	Secret string `json:"secret" example:"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" doc:"What its events are signed with. It is shown here and never again."`
}

type newSecret struct {
	Secret string `json:"secret" example:"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" doc:"What events are signed with from now on. It is shown here and never again."`
}

type subscriberRotation struct {
	OverlapSeconds *int64 `json:"overlap_seconds,omitempty" minimum:"0" maximum:"2592000" default:"86400" example:"86400" doc:"How long the old secret signs beside the new one."`
}

type rewind struct {
	After uint64 `json:"after" example:"4711" doc:"The sequence of the last event that is not to be sent; 0 sends all that are kept."`
}

type retried struct {
	Queued int `json:"queued" doc:"How many events were queued again."`
}

// testedSubscriber is what came of a test.
type testedSubscriber struct {
	Taken      bool   `json:"taken" doc:"Whether it answered with success."`
	Status     int    `json:"status,omitempty" example:"204" doc:"What it answered; absent if it did not."`
	TookMillis int64  `json:"took_millis" doc:"How long that took."`
	Excerpt    string `json:"excerpt,omitempty" doc:"The beginning of what it said."`
	Reason     string `json:"reason,omitempty" doc:"Why that is no success."`
}

// InSubscriber is the part of a request that names a subscriber.
type InSubscriber struct {
	InWorkspace
	Subscriber domain.SubscriberID `path:"subscriber" example:"sub_01JD5Z6T9Q" doc:"The subscriber."`
}

const (
	subscribersPath = "/v1/workspaces/{workspace}/subscribers"
	subscriberPath  = subscribersPath + "/{subscriber}"
)

// howItIsSent is what a receiver must know.
const howItIsSent = "Each event is a POST as Standard Webhooks has it: webhook-id (the event's id, the same when it is sent again), webhook-timestamp and " +
	"webhook-signature, with a CloudEvent as the body (application/cloudevents+json). Answer with any 2xx within 15 seconds, and drop what has a known webhook-id. " +
	"The events of one conversation come in order, one at a time. 410 disables the subscriber; 429 and 503 with Retry-After have it left alone; any other answer has " +
	"the event, and the later ones of its conversation, sent again for three days. A subscriber that takes nothing for five days is disabled."

func (s *Server) addSubscribers() {
	register(s, route{
		id: "create-subscriber", once: true, method: http.MethodPost, path: subscribersPath, tag: "subscribers", allow: access(identity.SubscriberWrite), status: http.StatusCreated,
		summary: "Have events sent to a URL", description: howItIsSent,
		example: newSubscriber{Name: "CRM", URL: "https://crm.example/hooks/patchbay", Kinds: []contract.EventKind{contract.EventMessageCreated}},
		errors:  []int{http.StatusTooManyRequests},
	}, s.createSubscriber)
	register(s, route{
		id: "list-subscribers", method: http.MethodGet, path: subscribersPath, tag: "subscribers", allow: access(identity.SubscriberRead),
		summary: "List subscribers", description: "Oldest first. Secrets are never shown.",
	}, s.listSubscribers)
	register(s, route{
		id: "get-subscriber", method: http.MethodGet, path: subscriberPath, tag: "subscribers", allow: access(identity.SubscriberRead),
		summary: "Read a subscriber", description: "Tells how far it is, what waits for it, and why it fails, if it does.",
	}, func(ctx context.Context, in *InSubscriber) (*answer[Subscriber], error) {
		found, err := s.opts.Store.SubscriberStatus(ctx, in.Workspace, in.Subscriber)
		return shownSubscriber(ctx, found, err)
	})
	register(s, route{
		id: "update-subscriber", method: http.MethodPatch, path: subscriberPath, tag: "subscribers", allow: access(identity.SubscriberWrite),
		summary: "Change a subscriber", description: "What is not named stays. It goes on where it is; to change that, rewind it.",
		example: subscriberPatch{Name: ptr("Sales CRM")},
	}, func(ctx context.Context, in *struct {
		InSubscriber
		Body subscriberPatch
	}) (*answer[Subscriber], error) {
		changed, err := s.opts.Subscribers.UpdateSubscriber(ctx, caller(ctx).Actor(), in.Workspace, in.Subscriber, subscribers.Patch(in.Body))
		return shownSubscriber(ctx, changed, err)
	})
	register(s, route{
		id: "remove-subscriber", method: http.MethodDelete, path: subscriberPath, tag: "subscribers", allow: access(identity.SubscriberWrite), status: http.StatusNoContent,
		summary: "Remove a subscriber", description: "Nothing more is sent to it, and what waits for it is cancelled.",
	}, func(ctx context.Context, in *InSubscriber) (*struct{}, error) {
		return nil, s.opts.Subscribers.RemoveSubscriber(ctx, caller(ctx).Actor(), in.Workspace, in.Subscriber)
	})
	s.addSubscriberStates()
	s.addSubscriberWork()
}

func (s *Server) addSubscriberStates() {
	register(s, route{
		id: "enable-subscriber", method: http.MethodPost, path: subscriberPath + "/enable", tag: "subscribers", allow: access(identity.SubscriberWrite),
		summary: "Send events to a subscriber again", description: "It goes on where it stopped, and what waits for it is sent at once. Enabling one that is active does just that.",
	}, func(ctx context.Context, in *InSubscriber) (*answer[Subscriber], error) {
		changed, err := s.opts.Subscribers.EnableSubscriber(ctx, caller(ctx).Actor(), in.Workspace, in.Subscriber)
		return shownSubscriber(ctx, changed, err)
	})
	register(s, route{
		id: "pause-subscriber", method: http.MethodPost, path: subscriberPath + "/pause", tag: "subscribers", allow: access(identity.SubscriberWrite),
		summary: "Send nothing to a subscriber for now", description: "What comes meanwhile waits until it is enabled, for as long as events are kept.",
	}, func(ctx context.Context, in *InSubscriber) (*answer[Subscriber], error) {
		changed, err := s.opts.Subscribers.PauseSubscriber(ctx, caller(ctx).Actor(), in.Workspace, in.Subscriber)
		return shownSubscriber(ctx, changed, err)
	})
	register(s, route{
		id: "rotate-subscriber-secret", method: http.MethodPost, path: subscriberPath + "/secret/rotate", tag: "subscribers", allow: access(identity.SubscriberWrite),
		summary: "Give a subscriber a new secret", description: "Events are signed with the new secret at once, and with the old one beside it for as long as is asked: a day, if nothing is said.",
		example: subscriberRotation{OverlapSeconds: ptr(int64(86400))}, errors: []int{http.StatusTooManyRequests},
	}, s.rotateSubscriberSecret)
	register(s, route{
		id: "allow-subscriber-targets", method: http.MethodPut, path: subscriberPath + "/private-targets", tag: "subscribers", allow: access(identity.PrivateTargets),
		summary: "Allow a subscriber private addresses", description: "Replaces the list of private addresses that it may be at. Without it, it is reached at public addresses only.",
		example: privateTargets{Targets: []string{"10.0.0.5:443"}},
	}, func(ctx context.Context, in *struct {
		InSubscriber
		Body privateTargets
	}) (*answer[Subscriber], error) {
		changed, err := s.opts.Subscribers.AllowSubscriberTargets(ctx, caller(ctx).Actor(), in.Workspace, in.Subscriber, in.Body.Targets)
		return shownSubscriber(ctx, changed, err)
	})
}

func (s *Server) addSubscriberWork() {
	register(s, route{
		id: "test-subscriber", method: http.MethodPost, path: subscriberPath + "/test", tag: "subscribers", allow: access(identity.SubscriberWrite),
		summary: "Try a subscriber", description: "Sends an event of the type patchbay.test at once, signed like any other, and tells what came of it.",
	}, s.testSubscriber)
	register(s, route{
		id: "rewind-subscriber", method: http.MethodPost, path: subscriberPath + "/rewind", tag: "subscribers", allow: access(identity.SubscriberWrite),
		summary: "Send events again", description: "Sets the subscriber back, or on, to an event. Those after it are sent, under the webhook-id that they have always had.",
		example: rewind{After: 4711},
	}, func(ctx context.Context, in *struct {
		InSubscriber
		Body rewind
	}) (*answer[Subscriber], error) {
		changed, err := s.opts.Subscribers.RewindSubscriber(ctx, caller(ctx).Actor(), in.Workspace, in.Subscriber, in.Body.After)
		return shownSubscriber(ctx, changed, err)
	})
	register(s, route{
		id: "retry-subscriber", method: http.MethodPost, path: subscriberPath + "/retry", tag: "subscribers", allow: access(identity.SubscriberWrite),
		summary: "Send again what was given up", description: "Queues every parked event of the subscriber.",
	}, func(ctx context.Context, in *InSubscriber) (*answer[retried], error) {
		n, err := s.opts.Subscribers.RetrySubscriber(ctx, caller(ctx).Actor(), in.Workspace, in.Subscriber)
		return &answer[retried]{retried{Queued: n}}, err
	})
	register(s, route{
		id: "list-notifications", method: http.MethodGet, path: subscriberPath + "/notifications", tag: "subscribers", allow: access(identity.SubscriberRead),
		summary: "List what waits for a subscriber", description: "Newest first: events that it did not take at once.",
	}, func(ctx context.Context, in *struct {
		InSubscriber
		Page
		State domain.JobState `query:"state" enum:"queued,done,parked,cancelled" default:"queued" doc:"Selects those in one state."`
	}) (*answer[list[Notification]], error) {
		items, next, err := s.opts.Store.Notifications(ctx, in.Workspace, in.Subscriber, in.State, in.Page.domain())
		return listed(mapped(items, notificationView), next), err
	})
}

func shownSubscriber(ctx context.Context, found domain.SubscriberStatus, err error) (*answer[Subscriber], error) {
	if err != nil {
		return nil, err
	}
	return &answer[Subscriber]{subscriberView(found, caller(ctx))}, nil
}

func (s *Server) createSubscriber(ctx context.Context, in *struct {
	InWorkspace
	Body newSubscriber
}) (*answer[createdSubscriber], error) {
	who := caller(ctx)
	if len(in.Body.PrivateTargets) > 0 && !who.Can(identity.PrivateTargets, in.Workspace) {
		return nil, coded(http.StatusForbidden, "forbidden", "only an operator allows private targets; leave private_targets out", nil)
	}
	made, value, err := s.opts.Subscribers.CreateSubscriber(ctx, who.Actor(), in.Workspace, subscribers.NewSubscriber{
		Name: in.Body.Name, URL: in.Body.URL, Kinds: in.Body.Kinds, Connections: in.Body.Connections,
		PrivateTargets: in.Body.PrivateTargets, After: in.Body.After,
	})
	if err != nil {
		return nil, err
	}
	return &answer[createdSubscriber]{createdSubscriber{subscriberView(made, who), value.Reveal()}}, nil
}

func (s *Server) listSubscribers(ctx context.Context, in *struct {
	InWorkspace
	Page
}) (*answer[list[Subscriber]], error) {
	if err := s.exists(ctx, in.Workspace); err != nil {
		return nil, err
	}
	items, next, err := s.opts.Store.Subscribers(ctx, in.Workspace, in.Page.domain())
	who := caller(ctx)
	return listed(mapped(items, func(found domain.SubscriberStatus) Subscriber { return subscriberView(found, who) }), next), err
}

// defaultOverlap is how long an old secret signs beside a new one if nobody says.
const defaultOverlap = 24 * time.Hour

func (s *Server) rotateSubscriberSecret(ctx context.Context, in *struct {
	InSubscriber
	Body subscriberRotation
}) (*answer[newSecret], error) {
	overlap := defaultOverlap
	if in.Body.OverlapSeconds != nil {
		overlap = time.Duration(*in.Body.OverlapSeconds) * time.Second
	}
	value, err := s.opts.Subscribers.RotateSubscriberSecret(ctx, caller(ctx).Actor(), in.Workspace, in.Subscriber, overlap)
	return &answer[newSecret]{newSecret{Secret: value.Reveal()}}, err
}

func (s *Server) testSubscriber(ctx context.Context, in *InSubscriber) (*answer[testedSubscriber], error) {
	t, err := s.opts.Subscribers.TestSubscriber(ctx, caller(ctx).Actor(), in.Workspace, in.Subscriber)
	return &answer[testedSubscriber]{testedSubscriber{Taken: t.Taken, Status: t.Status, TookMillis: t.Took.Milliseconds(),
		Excerpt: t.Excerpt, Reason: t.Reason}}, err
}
