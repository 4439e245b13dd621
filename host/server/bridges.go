package server

import (
	"context"
	"time"

	"github.com/seed75a60ee1/patchbay/host/bridges"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/limits"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// newBridges makes the room that carries between connections. The scheduler and the limits
// must be there.
func (h *host) newBridges() *bridges.Room {
	return bridges.New(bridges.Options{
		Store: h.store, OnJobs: func(jobs ...domain.Job) { h.scheduler.Add(jobs...) }, Abilities: h.abilities,
		Within: func(ctx context.Context, ws contract.WorkspaceID, count func(context.Context) (int64, error), create func(context.Context) error) error {
			return h.limits.Within(ctx, ws, limits.Bridges, count, create)
		},
		Metrics: h.metrics, Now: time.Now, Log: h.log,
	})
}

// abilities returns the exports of the plugin that runs under a name; false if none does.
func (h *host) abilities(plugin string) ([]contract.Export, bool) {
	version, release, err := h.registry.Acquire(plugin)
	if err != nil {
		return nil, false
	}
	defer release()
	return version.Manifest.Abilities, true
}
