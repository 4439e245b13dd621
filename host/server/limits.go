package server

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/ingress"
	"github.com/seed75a60ee1/patchbay/host/limits"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// newLimiter makes the limits of workspaces.
func (h *host) newLimiter() *limits.Limiter {
	l := h.cfg.Limits
	return limits.New(limits.Options{
		Defaults: domain.Limits{
			DeliveriesPerSecond: float64(l.DeliveriesPerSecond), CommandsPerSecond: float64(l.CommandsPerSecond),
			BytesPerSecond: float64(l.BytesPerSecond), FuelMillionPerSecond: float64(l.FuelMillionPerSecond),
			QueuedJobs: l.QueuedJobs, Connections: l.Connections, Subscribers: l.Subscribers, Bridges: l.Bridges,
		},
		InFlight: l.DeliveriesInFlight,
		Own: func(ctx context.Context, ws contract.WorkspaceID) (domain.Limits, error) {
			w, err := h.store.Workspace(ctx, domain.BudgetWorkspace(ws))
			return w.Limits, err
		},
		Queued:  func(ws contract.WorkspaceID) int { return h.scheduler.Queued(domain.BudgetWorkspace(ws)) },
		Refused: h.metrics.Limited, Now: time.Now, Random: rand.Float64, Log: h.log,
	})
}

// shedding says when the ingress has too much to do.
func (h *host) shedding() ingress.Shedding {
	c := h.cfg.Ingress
	return ingress.Shedding{MaxInFlight: c.MaxInFlight, MaxWaiting: c.MaxWaiting, MaxWait: c.MaxWait,
		MaxBodyBytes: c.MaxHeldBytes, MaxTime: c.MaxTime, Shed: h.metrics.Shed}
}
