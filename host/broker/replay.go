package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// ReplayDelivery runs a delivery that failed again, as the version of the plugin that
// runs now sees it. One that the platform has repeated with success meanwhile is run only
// if force is set. It answers the delivery as it stands afterwards, domain.ErrNotFound or
// *domain.Invalid.
func (b *Broker) ReplayDelivery(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.DeliveryID, force bool) (domain.Delivery, error) {
	if _, busy := b.replaying.LoadOrStore(id, true); busy { // both would find that it failed, and it would take effect twice
		return domain.Delivery{}, &domain.Invalid{Problems: []domain.Problem{{Field: "delivery", Value: string(id),
			Why: "it is being replayed already", Fix: "look at what came of that, and try again if it failed"}}}
	}
	defer b.replaying.Delete(id)
	d, err := b.opts.Store.Delivery(ctx, id)
	if err == nil && d.Workspace != ws {
		err = domain.ErrNotFound
	}
	if err != nil {
		return domain.Delivery{}, fmt.Errorf("replay delivery %s: %w", id, err)
	}
	if err := replayable(d, force); err != nil {
		return domain.Delivery{}, err
	}
	connection, err := b.opts.Store.Connection(ctx, d.Connection)
	if err != nil {
		return domain.Delivery{}, fmt.Errorf("replay delivery %s: its connection: %w", id, err)
	}
	d.ReplayedAt, d.Code, d.Reason = b.opts.Now(), "", ""
	b.audit(ctx, by.Subject, "delivery.replayed", connection, string(id), "")
	if connection.IsApp {
		if d, err = b.opened(d); err != nil {
			return domain.Delivery{}, fmt.Errorf("replay delivery %s: %w", id, err)
		}
		b.route(ctx, connection, d, arrival{forced: force, leave: func() {}})
	} else {
		b.process(ctx, connection, d, force)
	}
	return b.opts.Store.Delivery(ctx, id)
}

// replayable refuses what would take effect twice.
func replayable(d domain.Delivery, force bool) error {
	problem := domain.Problem{Field: "delivery", Value: string(d.State)}
	if !d.PayloadRemovedAt.IsZero() {
		problem.Why = "retention removed its body on " + d.PayloadRemovedAt.Format(time.DateOnly)
		problem.Fix = "let the platform send it again, and have payload kept longer: patchbay workspace retention"
		return &domain.Invalid{Problems: []domain.Problem{problem}}
	}
	switch d.State {
	case domain.DeliveryFailed:
		return nil
	case domain.DeliverySuperseded:
		if force {
			return nil
		}
		problem.Why = "the platform's own repeat of it was accepted, so a replay would take effect twice"
		problem.Fix = "set force if it must be replayed all the same"
	case domain.DeliveryRejected:
		problem.Why = "the plugin did not believe it, and its body was not kept"
		problem.Fix = "let the platform send it again"
	case domain.DeliveryParked:
		problem.Why = "it has not failed: it waits for its turn, or for a connection to claim it"
		problem.Fix = "see what is unclaimed: patchbay app unclaimed"
	case domain.DeliveryExpired:
		problem.Why = "nobody claimed it in time, and its body was not kept"
		problem.Fix = "let the platform send it again"
	default:
		problem.Why = "it took effect already"
		problem.Fix = "replay only deliveries in the state failed"
	}
	return &domain.Invalid{Problems: []domain.Problem{problem}}
}
