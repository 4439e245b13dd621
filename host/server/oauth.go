package server

import (
	"context"
	"time"

	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/health"
	"github.com/seed75a60ee1/patchbay/host/jobs"
	"github.com/seed75a60ee1/patchbay/host/oauth"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// newOAuth makes the room that takes people through the consent of a platform. The broker must
// be there.
func (h *host) newOAuth() *oauth.Room {
	return oauth.New(oauth.Options{
		Store: h.store, Plugins: asker{h}, Sealer: h.tokens, Queued: func(job domain.Job) { h.scheduler.Add(job) },
		PublicURL: h.publicURL(), Now: time.Now, Log: h.log,
	})
}

// newProber makes the room that asks connections how they are. The broker and the limits must
// be there.
func (h *host) newProber() *health.Room {
	c := h.cfg.Health
	return health.New(health.Options{Store: h.store, Plugins: asker{h}, Debt: h.limits.Debt,
		Interval: c.Interval, AtOnce: c.AtOnce, Failures: c.Failures, Log: h.log})
}

// consent begins to authorise a connection of an app, for a browser that came from the
// platform's side.
func (h *host) consent(ctx context.Context, app, c contract.ConnectionID) (string, error) {
	connection, err := h.store.Connection(ctx, c)
	if err != nil {
		return "", err
	}
	if connection.App != app {
		return "", domain.ErrNotFound
	}
	begun, err := h.oauth.Begin(ctx, domain.Actor{Subject: "platform"}, connection.Workspace, c)
	return begun.URL, err
}

// asker asks plugins for the rooms that know no broker.
type asker struct{ h *host }

// AuthorizeURL is the broker's.
func (a asker) AuthorizeURL(ctx context.Context, c domain.Connection, consent oauth.Consent) (string, error) {
	return a.h.broker.AuthorizeURL(ctx, c, broker.Consent(consent))
}

// Probe is the broker's.
func (a asker) Probe(ctx context.Context, c domain.Connection) (contract.Health, error) {
	return a.h.broker.Probe(ctx, c)
}

// Abilities returns the exports of the plugin that runs under a name; false if none does.
func (a asker) Abilities(plugin string) ([]contract.Export, bool) { return a.h.abilities(plugin) }

// commands runs commands, and tells of those that have ended.
type commands struct {
	jobs.Runner
	h *host
}

// Run runs a command; see jobs.Runner.
func (r commands) Run(ctx context.Context, job domain.Job) (domain.Job, []domain.Job, error) {
	after, spawned, err := r.Runner.Run(ctx, job)
	if err == nil && after.State.Ended() {
		r.h.oauth.Ended(after)
		r.h.prober.Ended(ctx, after)
	}
	return after, spawned, err
}
