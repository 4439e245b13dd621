package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// replayTime is how long one batch of replays goes on before it answers how far it came.
const replayTime = 15 * time.Second

// ReplayDeliveries runs the failed deliveries of a workspace that the filter selects again,
// one after the other, oldest first, one page of them or as many as fit into replayTime. A
// delivery that fails again counts as skipped.
func (b *Broker) ReplayDeliveries(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, f domain.DeliveryFilter, p domain.Page) (domain.Bulk, error) {
	if _, err := b.opts.Store.Workspace(ctx, ws); err != nil {
		return domain.Bulk{}, fmt.Errorf("workspace: %w", err)
	}
	f.Workspace, f.State = ws, domain.DeliveryFailed
	done := domain.Bulk{Skipped: []domain.Skipped{}, Next: p.After}
	until := b.opts.Now().Add(replayTime)
	for left := p.Size(); left > 0 && b.opts.Now().Before(until); left-- {
		found, next, err := b.opts.Store.OldestDeliveries(ctx, f, domain.Page{After: done.Next, Limit: 1})
		if err != nil {
			return done, fmt.Errorf("search failed deliveries: %w", err)
		}
		for _, d := range found {
			if err := b.replayOne(ctx, by, d, &done); err != nil {
				return done, err
			}
		}
		if done.Next = next; next == "" {
			break
		}
	}
	return done, nil
}

// replayOne replays one delivery of a batch. Its error is the host's own, and ends the
// batch.
func (b *Broker) replayOne(ctx context.Context, by domain.Actor, d domain.Delivery, sum *domain.Bulk) error {
	sum.Matched++
	after, err := b.ReplayDelivery(ctx, by, d.Workspace, d.ID, false)
	var invalid *domain.Invalid
	switch {
	case errors.As(err, &invalid), errors.Is(err, domain.ErrNotFound):
		sum.Skip(string(d.ID), err.Error())
	case err != nil:
		return err
	case after.State == domain.DeliveryFailed:
		sum.Skip(string(d.ID), "it failed again: "+after.Code)
	default:
		sum.Done++
	}
	return nil
}
