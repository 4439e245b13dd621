// Package subscribers sends the events of workspaces to the URLs that their tenants named:
// webhooks as Standard Webhooks has them, with CloudEvents inside.
//
// Each active subscriber has a pump, which reads the event log of its workspace behind a
// durable cursor. Nothing is written for a subscriber when an event is committed, and
// nothing when it takes events but the cursor, now and then. The events of one conversation
// go out one at a time and in order, those of different ones side by side. An event that is
// not taken becomes a durable job, and so does every later one of its conversation until
// that has ended: the lanes, retries, parking and replay of jobs hold for them, and nobody
// else waits.
//
// A subscriber gets each event at least once. What it gets again, after a crash or a
// rewind, has the same webhook-id: the event's id.
package subscribers

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/jobs"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Store keeps subscribers, reads events and commits what became of them.
type Store interface {
	CreateSubscriber(ctx context.Context, n domain.Subscriber, after *uint64) error
	CountSubscribers(ctx context.Context, ws contract.WorkspaceID) (int64, error)
	// ClaimKey and SettleKey have a request that is repeated make one subscriber.
	ClaimKey(ctx context.Context, ws contract.WorkspaceID, once domain.Once, id string, at time.Time) (domain.Claim, error)
	SettleKey(ctx context.Context, ws contract.WorkspaceID, key string) error
	Subscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID) (domain.Subscriber, error)
	SubscriberStatus(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID) (domain.SubscriberStatus, error)
	ActiveSubscribers(ctx context.Context) ([]domain.Subscriber, error)
	UpdateSubscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, modify func(*domain.Subscriber) error) (domain.Subscriber, error)
	DisableSubscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, why string, at time.Time) (domain.Subscriber, error)
	DeleteSubscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, at time.Time) error
	NoticeFailing(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, detail string, at time.Time) error
	progressStore
	notificationStore

	Connection(ctx context.Context, id contract.ConnectionID) (domain.Connection, error)
	Audit(ctx context.Context, e domain.AuditEntry) error
	NewID(prefix string) string
}

// progressStore is what a pump reads from and how far it got.
type progressStore interface {
	// Events returns up to limit events after the one with the Seq after, in order.
	Events(ctx context.Context, ws contract.WorkspaceID, after uint64, limit int) ([]domain.Event, error)
	Event(ctx context.Context, ws contract.WorkspaceID, seq uint64) (domain.Event, error)
	FirstEventSeq(ctx context.Context, ws contract.WorkspaceID) (uint64, error)
	// WatchEvents returns a channel that holds a value whenever there is news since the last
	// was taken. cancel ends the watch and may be called twice.
	WatchEvents(ws contract.WorkspaceID) (news <-chan struct{}, cancel func())
	SubscriberProgress(ctx context.Context, id domain.SubscriberID) (domain.SubscriberProgress, error)
	ReportSubscriber(ctx context.Context, id domain.SubscriberID, r domain.SubscriberReport) (domain.SubscriberProgress, error)
	RewindSubscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, after uint64) (domain.SubscriberProgress, error)
}

// notificationStore keeps the jobs of events that were not taken at once.
type notificationStore interface {
	NotificationLane(ctx context.Context, id domain.SubscriberID, round uint64, e domain.Event) (known, busy bool, err error)
	DeferNotifications(ctx context.Context, ws contract.WorkspaceID, d domain.Deferral) (domain.Deferred, error)
	CommitNotification(ctx context.Context, r domain.NotificationRun) (domain.Job, domain.SubscriberProgress, error)
	RetryNotifications(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, at time.Time, moved func([]domain.Job)) (int, error)
	HastenNotifications(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, at time.Time, moved func([]domain.Job)) (int, error)
	EndNotifications(ctx context.Context, id domain.SubscriberID, limit int, at time.Time) ([]domain.Job, error)
}

// Vault encrypts the values that are signed with. A subscriber's id stands where a
// connection's does.
type Vault interface {
	Seal(c contract.ConnectionID, name string, value secret.Text) (domain.SecretValue, error)
	Open(c contract.ConnectionID, name string, sealed domain.SecretValue) (secret.Text, error)
}

// Egress is the way out.
type Egress interface {
	Send(ctx context.Context, p domain.EgressPolicy, reveal secret.Reveal, r contract.HTTPRequest) *contract.HTTPResult
}

// Jobs is told of jobs as they come and go.
type Jobs interface {
	Add(jobs ...domain.Job)
	Forget(job domain.Job)
	// Move makes new times of jobs known.
	Move(jobs ...domain.Job)
}

// Metrics counts what was sent.
type Metrics interface {
	// Job counts a run of a job by how it ended.
	Job(kind domain.JobKind, outcome string)
	// Notification counts an attempt: how it ended, how long the event had been visible when
	// its first attempt began (negative for a later attempt), and how long the attempt took.
	Notification(outcome string, lag, took time.Duration)
}

// Options says how a room works. The zero value of a field means what stands beside it, if
// anything does.
type Options struct {
	Store   Store
	Vault   Vault
	Egress  Egress
	Jobs    Jobs
	Metrics Metrics
	// ParseURL reads a URL as the way out does, and refuses what that would refuse.
	ParseURL func(string) (*url.URL, error)
	// Policy says when an event that was not taken is sent again; 1000 attempts in 72 h,
	// with waits of up to 10 s at first and 1 h at last.
	Policy jobs.Policy
	// Window is how many events of one subscriber are under way at once; 64.
	Window int
	// Timeout bounds one attempt; 15 s.
	Timeout time.Duration
	// DisableAfter is how long a subscriber may take nothing, though it is asked, before it
	// gets no more; 5 days.
	DisableAfter time.Duration
	// Within has create make one more subscriber, if the workspace has fewer than it may
	// have; count counts them. Without it there is no bound.
	Within func(ctx context.Context, ws contract.WorkspaceID, count func(context.Context) (int64, error), create func(context.Context) error) error
	Now    func() time.Time
	// Random gives the secrets; crypto/rand.Reader in production.
	Random io.Reader
	// Jitter returns a number in [0, n); math/rand/v2.
	Jitter func(n int64) int64
	Log    *slog.Logger
}

func (o *Options) fill() {
	setDefault(&o.Policy.MaxAttempts, 1000)
	setDefault(&o.Policy.MaxAge, 72*time.Hour)
	setDefault(&o.Policy.BaseDelay, 10*time.Second)
	setDefault(&o.Policy.MaxDelay, time.Hour)
	setDefault(&o.Window, 64)
	setDefault(&o.Timeout, 15*time.Second)
	setDefault(&o.DisableAfter, 5*24*time.Hour)
	if o.Within == nil {
		o.Within = func(ctx context.Context, _ contract.WorkspaceID, _ func(context.Context) (int64, error), create func(context.Context) error) error {
			return create(ctx)
		}
	}
	if o.Jitter == nil {
		o.Jitter = rand.Int64N
	}
	if o.Policy.Random == nil {
		o.Policy.Random = o.Jitter
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Room looks after the subscribers of a host. It is safe for concurrent use.
type Room struct {
	opts Options

	changing sync.Mutex // held by whoever changes a subscriber and its pump together

	mu      sync.Mutex
	stopped bool
	pumps   map[domain.SubscriberID]*pump
	healths map[domain.SubscriberID]*health
	loose   sync.WaitGroup // what runs besides the pumps
	ending  context.Context
	end     context.CancelFunc
}

// New makes a room; Start starts it.
func New(opts Options) *Room {
	opts.fill()
	r := &Room{opts: opts, pumps: map[domain.SubscriberID]*pump{}, healths: map[domain.SubscriberID]*health{}}
	r.ending, r.end = context.WithCancel(context.Background())
	return r
}

// Start begins to send to every active subscriber.
func (r *Room) Start(ctx context.Context) error {
	active, err := r.opts.Store.ActiveSubscribers(ctx)
	if err != nil {
		return fmt.Errorf("start subscribers: %w", err)
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	for _, s := range active {
		r.begin(s)
	}
	return nil
}

// Stop begins no more attempts and waits for those under way. When ctx ends, they are given
// up, and what they sent is sent again after the next start.
func (r *Room) Stop(ctx context.Context) error {
	r.mu.Lock()
	r.stopped = true
	pumps := make([]*pump, 0, len(r.pumps))
	for _, p := range r.pumps {
		pumps = append(pumps, p)
		p.stop()
	}
	r.mu.Unlock()
	unhook := context.AfterFunc(ctx, r.end)
	defer unhook()
	for _, p := range pumps {
		<-p.done
	}
	r.end()
	r.loose.Wait()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("stop subscribers: some attempts were given up: %w", err)
	}
	return nil
}

// begin starts the pump of an active subscriber. The caller holds changing.
func (r *Room) begin(s domain.Subscriber) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped || s.State != domain.SubscriberActive || r.pumps[s.ID] != nil {
		return
	}
	p := newPump(r, s, r.healthOf(s.ID))
	r.pumps[s.ID] = p
	go p.run()
}

// halt gives up what the pump of a subscriber has under way, and waits for its end. The
// caller holds changing.
func (r *Room) halt(id domain.SubscriberID) {
	r.mu.Lock()
	p := r.pumps[id]
	delete(r.pumps, id)
	r.mu.Unlock()
	if p != nil {
		p.cancel()
		<-p.done
	}
}

// health returns what is known of how a subscriber is doing, shared by its pump and its
// jobs.
func (r *Room) health(id domain.SubscriberID) *health {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.healthOf(id)
}

// healthOf is health for whoever holds mu.
func (r *Room) healthOf(id domain.SubscriberID) *health {
	h := r.healths[id]
	if h == nil {
		h = newHealth(r.opts.Jitter)
		r.healths[id] = h
	}
	return h
}

// aside runs what nobody waits for, unless the room has stopped.
func (r *Room) aside(run func(context.Context)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.stopped {
		r.loose.Go(func() { run(r.ending) })
	}
}

// hasten makes the waiting jobs of a subscriber due, because it works (again).
func (r *Room) hasten(s domain.Subscriber) {
	r.aside(func(ctx context.Context) {
		move := func(moved []domain.Job) { r.opts.Jobs.Move(moved...) }
		_, err := r.opts.Store.HastenNotifications(ctx, s.Workspace, s.ID, r.opts.Now(), move)
		if err != nil && ctx.Err() == nil {
			r.opts.Log.Warn("waiting notifications could not be brought forward; they come at their own time",
				"subscriber", s.ID, "error", err)
		}
	})
}

// disable ends what a subscriber gets, durably. Its pump may be the caller.
func (r *Room) disable(ctx context.Context, s domain.Subscriber, why string) error {
	if _, err := r.opts.Store.DisableSubscriber(ctx, s.Workspace, s.ID, why, r.opts.Now()); err != nil {
		return fmt.Errorf("disable subscriber %s: %w", s.ID, err)
	}
	r.opts.Log.Warn("a subscriber gets no more events", "subscriber", s.ID, "workspace", s.Workspace, "why", why)
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.pumps[s.ID]; p != nil {
		p.cancel()
	}
	return nil
}

// noticeAfter is how long a subscriber fails before the operator is told.
const noticeAfter = time.Hour

// judge acts on how long a subscriber has been failing. It reports whether it was disabled.
func (r *Room) judge(ctx context.Context, s domain.Subscriber, p domain.SubscriberProgress) (disabled bool, err error) {
	now := r.opts.Now()
	since := p.FailingSince
	if since.IsZero() {
		return false, nil
	}
	switch failing := now.Sub(since); {
	case failing >= r.opts.DisableAfter:
		return true, r.disable(ctx, s, fmt.Sprintf("It has taken nothing since %s: %s", since.UTC().Format(time.RFC3339), reasonOf(p.LastFailure)))
	case failing >= noticeAfter && !p.Noticed:
		detail := fmt.Sprintf("The subscriber %q has taken nothing since %s: %s", s.Name, since.UTC().Format(time.RFC3339), reasonOf(p.LastFailure))
		return false, r.opts.Store.NoticeFailing(ctx, s.Workspace, s.ID, detail, now)
	}
	return false, nil
}

func reasonOf(f *contract.Failure) string {
	if f == nil {
		return "no reason is known."
	}
	return f.Message
}
