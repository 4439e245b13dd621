package store

import (
	"context"
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// ClaimKey has an idempotency key of a workspace stand for the making of the thing with
// that id, and answers what it stands for: that, or the thing of the request that claimed
// it first. Whoever claims a key makes the thing with the id that it is answered, so that
// of many who repeat a request, at once or after a crash, one makes it.
// ErrIdempotencyMismatch if the key was used for another request.
func (s *Store) ClaimKey(ctx context.Context, ws contract.WorkspaceID, once domain.Once, id string, at time.Time) (domain.Claim, error) {
	return change(ctx, s, "claim idempotency key", func(t *tx) (domain.Claim, error) {
		k := idempotencyKey(ws, once.Key)
		if !t.has(bucketIdempotency, k) {
			t.putJSON(bucketIdempotency, k, accepted{Thing: id, RequestHash: once.RequestHash, At: at})
			return domain.Claim{ID: id}, nil
		}
		first, err := load[accepted](t, bucketIdempotency, k)
		if err == nil && (first.RequestHash != once.RequestHash || first.Thing == "") {
			err = domain.ErrIdempotencyMismatch
		}
		return domain.Claim{ID: first.Thing, Settled: first.Settled}, err
	})
}

// SettleKey notes that the thing that an idempotency key stands for was made. ErrNotFound
// if the key stands for nothing.
func (s *Store) SettleKey(ctx context.Context, ws contract.WorkspaceID, k string) error {
	return s.update(ctx, "settle idempotency key", func(t *tx) error {
		at := idempotencyKey(ws, k)
		if !t.has(bucketIdempotency, at) {
			return fmt.Errorf("idempotency key: %w", domain.ErrNotFound)
		}
		first, err := load[accepted](t, bucketIdempotency, at)
		if err != nil || first.Thing == "" || first.Settled {
			return err
		}
		first.Settled = true
		t.putJSON(bucketIdempotency, at, first)
		return nil
	})
}
