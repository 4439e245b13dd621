package subscribers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// NewSubscriber is a subscriber to make.
type NewSubscriber struct {
	Name, URL   string
	Kinds       []contract.EventKind
	Connections []contract.ConnectionID
	// PrivateTargets are for operators to give; whoever calls has made sure.
	PrivateTargets []string
	// After is the sequence of the last event that it is not to get; nil means the newest.
	After *uint64
}

// Patch is a change of a subscriber; nil leaves alone.
type Patch struct {
	Name, URL   *string
	Kinds       *[]contract.EventKind
	Connections *[]contract.ConnectionID
}

// CreateSubscriber makes a subscriber and begins to send to it. The secret is returned here
// and never again.
func (r *Room) CreateSubscriber(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, n NewSubscriber) (domain.SubscriberStatus, secret.Text, error) {
	none := domain.SubscriberStatus{}
	now := r.opts.Now()
	s := domain.Subscriber{Workspace: ws, Name: n.Name, URL: n.URL,
		Kinds: n.Kinds, Connections: n.Connections, PrivateTargets: n.PrivateTargets,
		State: domain.SubscriberActive, ActiveSince: now, CreatedAt: now, UpdatedAt: now}
	if err := r.check(ctx, s); err != nil {
		return none, secret.Text{}, err
	}
	id, settled, err := r.claim(ctx, ws)
	if err != nil {
		return none, secret.Text{}, err
	}
	first, err := r.opts.Store.Subscriber(ctx, ws, id)
	switch {
	case err == nil:
		return r.repeated(ctx, first)
	case !errors.Is(err, domain.ErrNotFound):
		return none, secret.Text{}, fmt.Errorf("create subscriber: %w", err)
	case settled:
		return none, secret.Text{}, fmt.Errorf("subscriber %s was made by this request, and removed since: %w", id, domain.ErrConflict)
	}
	s.ID = id
	return r.make(ctx, by, s, n.After)
}

// make makes a subscriber, unless a repeat of the same request does so at the same time:
// then it returns that one.
func (r *Room) make(ctx context.Context, by domain.Actor, s domain.Subscriber, after *uint64) (domain.SubscriberStatus, secret.Text, error) {
	none, ws := domain.SubscriberStatus{}, s.Workspace
	value, sealed, err := r.newSecret(s.ID)
	if err != nil {
		return none, secret.Text{}, fmt.Errorf("create subscriber: %w", err)
	}
	s.Secrets = []domain.SecretValue{sealed}
	err = r.opts.Within(ctx, ws,
		func(ctx context.Context) (int64, error) { return r.opts.Store.CountSubscribers(ctx, ws) },
		func(ctx context.Context) error { return r.opts.Store.CreateSubscriber(ctx, s, after) })
	if err != nil {
		if first, missing := r.opts.Store.Subscriber(ctx, ws, s.ID); missing == nil {
			return r.repeated(ctx, first)
		}
		return none, secret.Text{}, fmt.Errorf("create subscriber: %w", err)
	}
	r.audit(ctx, by, "subscriber.created", s, s.Name)
	r.restart(s)
	status, err := r.opts.Store.SubscriberStatus(ctx, ws, s.ID)
	if err != nil {
		return none, secret.Text{}, fmt.Errorf("create subscriber: %w", err)
	}
	return status, value, r.settle(ctx, ws)
}

// UpdateSubscriber changes a subscriber. What is under way is given up and sent again.
func (r *Room) UpdateSubscriber(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID, p Patch) (domain.SubscriberStatus, error) {
	s, err := r.opts.Store.Subscriber(ctx, ws, id)
	if err != nil {
		return domain.SubscriberStatus{}, fmt.Errorf("update subscriber: %w", err)
	}
	p.apply(&s)
	if err := r.check(ctx, s); err != nil {
		return domain.SubscriberStatus{}, err
	}
	return r.change(ctx, by, "subscriber.updated", ws, id, func(s *domain.Subscriber) error {
		p.apply(s)
		return nil
	})
}

func (p Patch) apply(s *domain.Subscriber) {
	if p.Name != nil {
		s.Name = *p.Name
	}
	if p.URL != nil {
		s.URL = *p.URL
	}
	if p.Kinds != nil {
		s.Kinds = *p.Kinds
	}
	if p.Connections != nil {
		s.Connections = *p.Connections
	}
}

// AllowSubscriberTargets replaces the private targets that a subscriber may be at. It is
// for operators. A URL that needs one which is gone fails from then on.
func (r *Room) AllowSubscriberTargets(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID, targets []string) (domain.SubscriberStatus, error) {
	if problems := targetProblems(targets); problems != nil {
		return domain.SubscriberStatus{}, &domain.Invalid{Problems: problems}
	}
	return r.change(ctx, by, "subscriber.private_targets", ws, id, func(s *domain.Subscriber) error {
		s.PrivateTargets = targets
		return nil
	})
}

// EnableSubscriber makes a subscriber active, whyever it was not. It goes on where it
// stopped.
func (r *Room) EnableSubscriber(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID) (domain.SubscriberStatus, error) {
	return r.change(ctx, by, "subscriber.enabled", ws, id, func(s *domain.Subscriber) error {
		if s.State != domain.SubscriberActive {
			s.State, s.StateReason, s.ActiveSince = domain.SubscriberActive, "", r.opts.Now()
		}
		return nil
	})
}

// PauseSubscriber sends nothing more to a subscriber, until it is enabled. What comes
// meanwhile waits.
func (r *Room) PauseSubscriber(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID) (domain.SubscriberStatus, error) {
	return r.change(ctx, by, "subscriber.paused", ws, id, func(s *domain.Subscriber) error {
		s.State, s.StateReason = domain.SubscriberPaused, ""
		return nil
	})
}

// RotateSubscriberSecret makes a new value to sign with, and returns it. What signed before
// goes on doing so beside it for overlap.
func (r *Room) RotateSubscriberSecret(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID, overlap time.Duration) (secret.Text, error) {
	value, sealed, err := r.newSecret(id)
	if err != nil {
		return secret.Text{}, fmt.Errorf("rotate secret: %w", err)
	}
	_, err = r.change(ctx, by, "subscriber.secret_rotated", ws, id, func(s *domain.Subscriber) error {
		s.Secrets = rotated(s.Secrets, sealed, r.opts.Now(), overlap)
		if len(s.Secrets) > maxSecrets {
			return fmt.Errorf("%d secrets sign already; wait for one to expire: %w", maxSecrets, domain.ErrQuota)
		}
		return nil
	})
	if err != nil {
		return secret.Text{}, err
	}
	return value, nil
}

// RemoveSubscriber removes a subscriber and cancels what waits for it.
func (r *Room) RemoveSubscriber(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	s, err := r.opts.Store.UpdateSubscriber(ctx, ws, id, func(s *domain.Subscriber) error {
		s.State, s.StateReason = domain.SubscriberPaused, "" // so that nothing comes while it goes
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove subscriber: %w", err)
	}
	r.halt(id)
	for more := true; more; {
		ended, err := r.opts.Store.EndNotifications(ctx, id, removeChunk, r.opts.Now())
		if err != nil {
			return fmt.Errorf("remove subscriber: %w", err)
		}
		for _, job := range ended {
			r.opts.Jobs.Forget(job)
		}
		more = len(ended) == removeChunk
	}
	if err := r.opts.Store.DeleteSubscriber(ctx, ws, id, r.opts.Now()); err != nil {
		return fmt.Errorf("remove subscriber: %w", err)
	}
	r.mu.Lock()
	delete(r.healths, id)
	r.mu.Unlock()
	r.audit(ctx, by, "subscriber.removed", s, s.Name)
	return nil
}

// removeChunk is how many jobs are cancelled in one transaction.
const removeChunk = 200

// RewindSubscriber sends the events after the one with the sequence after, again or at
// last. The error is a [*domain.Invalid] if the first of them is not kept any more.
func (r *Room) RewindSubscriber(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID, after uint64) (domain.SubscriberStatus, error) {
	none := domain.SubscriberStatus{}
	first, err := r.opts.Store.FirstEventSeq(ctx, ws)
	if err != nil {
		return none, fmt.Errorf("rewind subscriber: %w", err)
	}
	if after > 0 && after+1 < first {
		return none, &domain.Invalid{Problems: []domain.Problem{{Field: "after", Value: strconv.FormatUint(after, 10),
			Why: fmt.Sprintf("events up to %d are not kept any more", first-1), Fix: fmt.Sprintf("give %d, or 0 for all that is kept", first-1)}}}
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	s, err := r.opts.Store.Subscriber(ctx, ws, id)
	if err != nil {
		return none, fmt.Errorf("rewind subscriber: %w", err)
	}
	r.halt(id)
	_, err = r.opts.Store.RewindSubscriber(ctx, ws, id, after)
	r.begin(s)
	if err != nil {
		return none, fmt.Errorf("rewind subscriber: %w", err)
	}
	r.audit(ctx, by, "subscriber.rewound", s, "after "+strconv.FormatUint(after, 10))
	return r.opts.Store.SubscriberStatus(ctx, ws, id)
}

// RetrySubscriber queues what was given up for a subscriber again. It returns how much.
func (r *Room) RetrySubscriber(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID) (int, error) {
	ctx = context.WithoutCancel(ctx) // what is committed must reach the scheduler
	n, err := r.opts.Store.RetryNotifications(ctx, ws, id, r.opts.Now(), func(queued []domain.Job) { r.opts.Jobs.Add(queued...) })
	if err != nil {
		return n, fmt.Errorf("retry notifications: %w", err)
	}
	r.audit(ctx, by, "subscriber.retried", domain.Subscriber{ID: id, Workspace: ws}, strconv.Itoa(n)+" events")
	return n, nil
}

// Tested is what came of a test.
type Tested struct {
	// Taken tells that the subscriber answered with success.
	Taken bool
	// Status is its answer, and Excerpt the beginning of what it said; 0 and empty if it did
	// not answer, and Reason then says why.
	Status  int
	Excerpt string
	Reason  string
	Took    time.Duration
}

// testKind is the kind of event that a test sends. It is in no log.
const testKind = contract.EventKind("test")

// TestSubscriber sends an event of the type patchbay.test, in whatever state the subscriber
// is, and tells what came of it. It counts neither as a success nor as a failure.
func (r *Room) TestSubscriber(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID) (Tested, error) {
	s, err := r.opts.Store.Subscriber(ctx, ws, id)
	if err != nil {
		return Tested{}, fmt.Errorf("test subscriber: %w", err)
	}
	now := r.opts.Now()
	o := r.attempt(ctx, s, domain.Event{ID: contract.EventID(r.opts.Store.NewID("tst")), Workspace: ws, CommittedAt: now,
		Data: contract.Event{Kind: testKind, At: now}})
	if o.cut {
		return Tested{}, fmt.Errorf("test subscriber: %w", context.Cause(ctx))
	}
	r.audit(ctx, by, "subscriber.tested", s, o.name())
	t := Tested{Taken: o.failure == nil, Status: o.status, Excerpt: o.excerpt, Took: o.took}
	if o.failure != nil {
		t.Reason = o.failure.Message
	}
	return t, nil
}

// change changes a subscriber and begins its pump anew.
func (r *Room) change(ctx context.Context, by domain.Actor, action string, ws contract.WorkspaceID, id domain.SubscriberID, modify func(*domain.Subscriber) error) (domain.SubscriberStatus, error) {
	r.changing.Lock()
	s, err := r.opts.Store.UpdateSubscriber(ctx, ws, id, func(s *domain.Subscriber) error {
		s.UpdatedAt = r.opts.Now()
		return modify(s)
	})
	if err == nil {
		r.halt(id)
		r.health(id).forget()
		r.begin(s)
	}
	r.changing.Unlock()
	if err != nil {
		return domain.SubscriberStatus{}, fmt.Errorf("change subscriber: %w", err)
	}
	if s.State == domain.SubscriberActive {
		r.hasten(s)
	}
	r.audit(ctx, by, action, s, "")
	return r.opts.Store.SubscriberStatus(ctx, ws, id)
}

// restart begins the pump of a subscriber that is new.
func (r *Room) restart(s domain.Subscriber) {
	r.changing.Lock()
	defer r.changing.Unlock()
	r.begin(s)
}

// maxName and maxList bound what people write.
const (
	maxName = 200
	maxList = 100
)

// check finds every problem of a subscriber at once.
func (r *Room) check(ctx context.Context, s domain.Subscriber) error {
	var problems []domain.Problem
	report := func(field, value, why, fix string) {
		problems = append(problems, domain.Problem{Field: field, Value: value, Why: why, Fix: fix})
	}
	if s.Name == "" || len(s.Name) > maxName {
		report("name", s.Name, "it has not 1 to 200 bytes", "choose a short name")
	}
	r.checkURL(s, report)
	for i, kind := range s.Kinds {
		if !slices.Contains(kinds, kind) {
			report("kinds."+strconv.Itoa(i), string(kind), "it is no kind of event", "take some of "+joined(kinds))
		}
	}
	problems = append(problems, targetProblems(s.PrivateTargets)...)
	if len(s.Connections) > maxList || len(s.PrivateTargets) > maxList {
		report("connections", "", "a list has more than 100 entries", "leave it out to get the events of all")
	} else if err := r.checkConnections(ctx, s, report); err != nil {
		return err
	}
	if len(problems) > 0 {
		return &domain.Invalid{Problems: problems}
	}
	return nil
}

func targetProblems(targets []string) (problems []domain.Problem) {
	for i, target := range targets {
		if _, err := domain.ParsePrivateTarget(target); err != nil {
			problems = append(problems, domain.Problem{Field: "private_targets." + strconv.Itoa(i), Value: target, Why: err.Error()})
		}
	}
	return problems
}

func (r *Room) checkConnections(ctx context.Context, s domain.Subscriber, report func(field, value, why, fix string)) error {
	for i, id := range s.Connections {
		c, err := r.opts.Store.Connection(ctx, id)
		switch {
		case errors.Is(err, domain.ErrNotFound), err == nil && c.Workspace != s.Workspace:
			report("connections."+strconv.Itoa(i), string(id), "the workspace has no such connection", "take some of: patchbay connection list")
		case err != nil:
			return fmt.Errorf("check connection %s: %w", id, err)
		}
	}
	return nil
}

// checkURL refuses what would not be sent to. Plain http is for private targets alone: what
// a tenant's customers write is not for whoever listens on the way.
func (r *Room) checkURL(s domain.Subscriber, report func(field, value, why, fix string)) {
	target, err := r.opts.ParseURL(s.URL)
	switch {
	case err != nil:
		report("url", s.URL, err.Error(), "write it like https://example.com/hooks/patchbay")
	case strings.ContainsAny(s.URL, "{}"):
		report("url", s.URL, "it has a brace", "percent-encode it")
	case !confidential(target, s.PrivateTargets):
		report("url", s.URL, "it is not https", "use https; plain http is for an IP address with a port that an operator allowed as a private target")
	}
}

// confidential tells whether nobody listens on the way, or an operator said that it does not
// matter.
func confidential(target *url.URL, targets []string) bool {
	if target.Scheme == "https" {
		return true
	}
	addr, err := netip.ParseAddr(target.Hostname())
	port, portErr := strconv.ParseUint(portOf(target), 10, 16)
	if err != nil || portErr != nil {
		return false
	}
	return slices.ContainsFunc(targets, func(text string) bool {
		allowed, err := domain.ParsePrivateTarget(text)
		return err == nil && allowed == netip.AddrPortFrom(addr, uint16(port))
	})
}

func portOf(target *url.URL) string {
	if port := target.Port(); port != "" {
		return port
	}
	return "80" // of http, which is all that is asked about
}

// kinds is every kind of event that there is.
var kinds = []contract.EventKind{
	contract.EventMessageCreated, contract.EventMessageUpdated, contract.EventMessageDeleted, contract.EventMessageStatus,
	contract.EventPostback, contract.EventTyping, contract.EventReaction, contract.EventContactUpdated,
	contract.EventConversationOpened, contract.EventConversationClosed, contract.EventConnectionState, contract.EventRaw,
}

func joined[S ~string](words []S) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	return strings.Join(texts, ", ")
}

func (r *Room) audit(ctx context.Context, by domain.Actor, action string, s domain.Subscriber, detail string) {
	err := r.opts.Store.Audit(ctx, domain.AuditEntry{At: r.opts.Now(), Actor: by.Subject, Action: action,
		Workspace: s.Workspace, Target: string(s.ID), Detail: detail})
	if err != nil {
		r.opts.Log.Error("an audit entry was not kept", "action", action, "target", s.ID, "error", err)
	}
}
