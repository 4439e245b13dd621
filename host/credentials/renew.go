package credentials

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

const (
	// defaultAheadPercent is how much of an access token's life is left when it is renewed.
	defaultAheadPercent = 20
	// leastAge is how old a token set is before it is renewed because it came expired, or because
	// of a 401 although it never worked or was itself got because of one (or half its life, if
	// that is less): a platform that refuses whatever it gets is not asked without end.
	leastAge = 10 * time.Second
	// lookAgain is when an owner is looked at again whose refresh was queued, in case nothing
	// comes of that; lookAgainFailed when it could not be looked at, and lookForPlugin when its
	// plugin does not run.
	lookAgain, lookAgainFailed, lookForPlugin = time.Minute, 30 * time.Second, 5 * time.Minute
	// rescan is how often all token sets are read, to find those that are scheduled by nobody.
	rescan = 10 * time.Minute
)

// Changed has the token set of an owner looked at at once: it changed, or somebody needs it.
func (t *Tokens) Changed(owner contract.ConnectionID) { t.schedule.add(owner, t.opts.Now()) }

// Run renews token sets in time until ctx ends. It only queues commands; what becomes of
// those is told by Put and Failed.
func (t *Tokens) Run(ctx context.Context) {
	t.scan(ctx)
	nextScan := t.opts.Now().Add(rescan)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		now := t.opts.Now()
		if !now.Before(nextScan) {
			t.scan(ctx)
			nextScan = now.Add(rescan)
		}
		owner, ok, next := t.schedule.due(now)
		if ok {
			t.schedule.add(owner, t.look(ctx, owner))
			continue
		}
		if next.IsZero() || next.After(nextScan) {
			next = nextScan
		}
		timer.Reset(next.Sub(now))
		select {
		case <-ctx.Done():
		case <-t.schedule.wake:
		case <-timer.C:
		}
	}
}

// scan schedules every token set that is not.
func (t *Tokens) scan(ctx context.Context) {
	var owners []contract.ConnectionID
	err := t.opts.Store.TokenOwners(ctx, func(s domain.TokenSet) error {
		owners = append(owners, s.Owner)
		return nil
	})
	if err != nil && ctx.Err() == nil {
		t.opts.Log.Error("the token sets cannot be read; none is renewed that is not known", "error", err)
	}
	for _, owner := range owners {
		if !t.schedule.knows(owner) {
			t.Changed(owner)
		}
	}
}

// look queues a refresh if it is time for one, and returns when to look again; the zero time
// if never.
func (t *Tokens) look(ctx context.Context, owner contract.ConnectionID) time.Time {
	next, err := t.tend(ctx, owner)
	switch {
	case errors.Is(err, domain.ErrNotFound):
		return time.Time{} // its connection is gone, and it with it
	case errors.Is(err, errNoManifest):
		return t.opts.Now().Add(lookForPlugin)
	case err != nil:
		if ctx.Err() == nil {
			t.opts.Log.Warn("a token set cannot be looked after now", "owner", owner, "error", err)
		}
		return t.opts.Now().Add(lookAgainFailed)
	}
	return next
}

func (t *Tokens) tend(ctx context.Context, owner contract.ConnectionID) (time.Time, error) {
	set, c, o, rule, err := t.about(ctx, owner)
	if err != nil {
		return time.Time{}, err
	}
	now := t.opts.Now()
	if err := t.tell(ctx, set, c, o, now); err != nil {
		return time.Time{}, err
	}
	at, reason := plan(set, o, rule, now)
	if at.IsZero() || c.Health.Said.State == contract.StateDisconnected {
		return worsens(set, now), nil
	}
	if at.After(now) {
		return earliest(at, worsens(set, now)), nil
	}
	_, _, err = t.opts.Store.AcceptRefresh(ctx, newRefresh(c, set, reason, "host", now))
	return now.Add(lookAgain), err
}

func newRefresh(c domain.Connection, set domain.TokenSet, reason contract.RefreshReason, by string, now time.Time) domain.NewCommand {
	return domain.NewCommand{Workspace: c.Workspace, Connection: c.ID, At: now, Command: domain.Command{
		Export: contract.ExportRefreshCredentials, By: by,
		Refresh: &domain.Refresh{Reason: reason, Version: set.Version, Ambiguous: set.Ambiguous},
	}}
}

// errNoManifest means that the plugin of an owner does not run now.
var errNoManifest = errors.New("its plugin does not run")

// about returns all that is known of an owner's token set.
func (t *Tokens) about(ctx context.Context, owner contract.ConnectionID) (domain.TokenSet, domain.Connection, domain.TokenOwner, manifest.TokenRule, error) {
	var o domain.TokenOwner
	var rule manifest.TokenRule
	set, err := t.read(ctx, owner)
	if err != nil {
		return set, domain.Connection{}, o, rule, err
	}
	c, err := t.opts.Store.Connection(ctx, owner)
	if err != nil {
		return set, c, o, rule, err
	}
	m, err := t.opts.Manifest(c.Plugin)
	if err != nil {
		return set, c, o, rule, fmt.Errorf("%w: %w", errNoManifest, err)
	}
	o, rule = domain.TokenOwnerOf(m, c)
	return set, c, o, rule, nil
}

// plan says when a token set is to be renewed next, and why; the zero time if it is not.
func plan(s domain.TokenSet, o domain.TokenOwner, rule manifest.TokenRule, now time.Time) (time.Time, contract.RefreshReason) {
	if !s.RefusedAt.IsZero() || !renewable(s, o, now) {
		return time.Time{}, ""
	}
	at, reason := dueAt(s, rule)
	if !at.IsZero() && s.RetryAt.After(at) {
		at = s.RetryAt
	}
	return at, reason
}

// dueAt is when a token set is to be renewed, failures aside.
func dueAt(s domain.TokenSet, rule manifest.TokenRule) (time.Time, contract.RefreshReason) {
	life, least := s.ExpiresAt.Sub(s.ObtainedAt), leastAge
	if life > 0 {
		least = min(least, life/2)
	}
	switch {
	case !s.Held():
		return s.ObtainedAt, contract.RefreshMissing
	case !s.StaleAt.IsZero() && s.Proven && !s.AfterRefusal:
		return s.StaleAt, contract.RefreshRefused
	case !s.StaleAt.IsZero():
		return later(s.StaleAt, s.ObtainedAt.Add(least)), contract.RefreshRefused
	}
	at, reason := time.Time{}, contract.RefreshDue
	if !s.ExpiresAt.IsZero() {
		ahead := max(0, life) / 100 * time.Duration(cmp.Or(rule.RefreshAheadPercent, defaultAheadPercent))
		at = s.ExpiresAt.Add(-ahead - jitter(s, 0, ahead/4))
		if life <= 0 {
			at = s.ObtainedAt.Add(least)
		}
	}
	idle := time.Duration(rule.KeepAliveSeconds) * time.Second
	if life := s.RefreshExpiresAt.Sub(s.ObtainedAt); !s.RefreshExpiresAt.IsZero() && life > 0 && (idle == 0 || life/5*4 < idle) {
		idle = life / 5 * 4 // the refresh token must not die of old age either
	}
	if idle > 0 {
		if alive := s.ObtainedAt.Add(idle - jitter(s, 0, idle/10)); at.IsZero() || alive.Before(at) {
			at, reason = alive, contract.RefreshKeepAlive
		}
	}
	return at, reason
}

// jitter spreads the renewals of token sets that were got together: a time between 0 and
// most, the same for one attempt at one token set whenever it is asked for.
func jitter(s domain.TokenSet, attempt int, most time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(string(s.Owner) + "/" + strconv.FormatUint(s.Version, 10) + "/" + strconv.Itoa(attempt))) // never fails
	return time.Duration(float64(max(0, most)) * float64(h.Sum64()%1000) / 1000)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// earliest returns the earlier of two times, of which zero means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// worsens is when the health of a token set changes without anything happening: its access
// token expires. Zero if it will not.
func worsens(s domain.TokenSet, now time.Time) time.Time {
	if !usable(s, now) || s.ExpiresAt.IsZero() {
		return time.Time{}
	}
	return s.ExpiresAt
}

// Ask queues a refresh because a person asks for it, whatever was refused before; or returns
// the one that is queued already.
func (t *Tokens) Ask(ctx context.Context, owner contract.ConnectionID, by string) (domain.Job, error) {
	set, c, o, _, err := t.about(ctx, owner)
	if err != nil {
		return domain.Job{}, err
	}
	if !renewable(set, o, t.opts.Now()) {
		return domain.Job{}, notRenewable(set, o)
	}
	if !set.Held() { // so that there is something to note a failure at
		if set, err = t.opts.Store.UpdateTokens(ctx, c.Workspace, c.ID, func(s *domain.TokenSet) error {
			if s.ObtainedAt.IsZero() {
				s.ObtainedAt = t.opts.Now().UTC()
			}
			return nil
		}); err != nil {
			return domain.Job{}, err
		}
	}
	job, _, err := t.opts.Store.AcceptRefresh(ctx, newRefresh(c, set, contract.RefreshAsked, by, t.opts.Now()))
	return job, err
}

func notRenewable(s domain.TokenSet, o domain.TokenOwner) error {
	p := domain.Problem{Field: "credentials", Why: "its plugin cannot renew tokens", Fix: "authorise the connection again"}
	switch {
	case o.Renews && !s.Held():
		p.Why, p.Fix = "there is no token set to renew", "authorise the connection first"
	case o.Renews:
		p.Why = "there is no refresh token, or it has expired"
	}
	return &domain.Invalid{Problems: []domain.Problem{p}}
}

// Status says how the token set of an owner stands.
func (t *Tokens) Status(ctx context.Context, owner contract.ConnectionID) (domain.TokenStatus, error) {
	set, c, o, rule, err := t.about(ctx, owner)
	if errors.Is(err, domain.ErrNotFound) {
		return domain.TokenStatus{}, err
	}
	planned := err == nil // without its plugin, nothing is
	now := t.opts.Now()
	status := domain.TokenStatus{Held: set.Held(), Valid: usable(set, now), Version: set.Version, State: stateOf(set, now),
		ExpiresAt: set.ExpiresAt, RefreshExpiresAt: set.RefreshExpiresAt, CanRefresh: planned && renewable(set, o, now),
		Scope: set.Scope, Failures: set.Failures, FailedAt: set.FailedAt, LastFailure: set.FailedWith}
	if set.Held() {
		status.ObtainedAt = set.ObtainedAt
	}
	if planned && c.Health.Said.State != contract.StateDisconnected {
		status.NextRefreshAt, _ = plan(set, o, rule, now)
	}
	return status, nil
}

func stateOf(s domain.TokenSet, now time.Time) domain.TokenState {
	switch {
	case !s.RefusedAt.IsZero():
		return domain.TokensRefused
	case s.Failures > 0:
		return domain.TokensFailing
	case usable(s, now):
		return domain.TokensValid
	case s.Held() || !s.ObtainedAt.IsZero():
		return domain.TokensRenewing
	}
	return domain.TokensNone
}
