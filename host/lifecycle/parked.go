package lifecycle

import (
	"context"
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

// Expire gives up the deliveries to apps that no connection claimed in time, and returns how
// many. Each of them is in the audit log: a platform was told that it was taken.
func (k *Keeper) Expire(ctx context.Context) (gone int, err error) {
	for {
		expired, err := k.opts.Store.ExpireParked(ctx, k.opts.Now(), k.opts.Batch)
		if err != nil {
			return gone, fmt.Errorf("give up parked deliveries: %w", err)
		}
		for _, p := range expired {
			k.audit(ctx, domain.AuditEntry{Actor: "host", Action: "delivery.expired", Workspace: domain.HostWorkspace, Connection: p.App,
				Target: string(p.Delivery), Detail: "no connection claimed " + p.Key + " in time"})
		}
		gone += len(expired)
		if len(expired) < k.opts.Batch {
			return gone, nil
		}
	}
}
