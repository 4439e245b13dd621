package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// deliveryStates are the states in the order in which the index numbers them, from 1.
var deliveryStates = []domain.DeliveryState{
	domain.DeliveryAccepted, domain.DeliveryRejected, domain.DeliveryFailed, domain.DeliverySuperseded,
	domain.DeliveryParked, domain.DeliveryExpired,
}

func deliveryState(s domain.DeliveryState) byte {
	for i, known := range deliveryStates {
		if s == known {
			return byte(i + 1)
		}
	}
	return 0
}

// hashed returns the delivery with the hash of its body, worked out before it queues. Of one
// that is encrypted only whoever did that knows it.
func hashed(d domain.Delivery) domain.Delivery {
	if d.Body != nil && !d.Sealed {
		sum := sha256.Sum256(d.Body)
		d.BodySHA256 = hex.EncodeToString(sum[:])
	}
	return d
}

// KeepDelivery keeps a delivery that was rejected, failed or superseded, in the place of
// an earlier record with its id. A rejected one is kept without its body; a failed or
// superseded one without Body keeps the body it had. ErrConflict if it has been accepted
// meanwhile: a commit whose caller stopped waiting may have happened. The recording is
// that of its last run; nil keeps none.
func (s *Store) KeepDelivery(ctx context.Context, d domain.Delivery, recording []byte) error {
	switch d.State {
	case domain.DeliveryRejected, domain.DeliveryFailed, domain.DeliverySuperseded:
	default:
		return &domain.Invalid{Problems: []domain.Problem{{Field: "state", Value: string(d.State),
			Why: "only a commit accepts a delivery", Fix: "use rejected, failed or superseded"}}}
	}
	d = hashed(d)
	return s.update(ctx, "keep delivery", func(t *tx) error {
		before, err := t.deliveryBefore(d.ID)
		if err != nil {
			return err
		}
		if before != nil && before.State == domain.DeliveryAccepted {
			return fmt.Errorf("delivery %q has been accepted: %w", d.ID, domain.ErrConflict)
		}
		t.putDelivery(before, d)
		t.putRecording(d.Workspace, string(d.ID), d.Attempts, recording)
		return nil
	})
}

// putDelivery replaces a delivery; before is nil for a new one.
func (t *tx) putDelivery(before *domain.Delivery, after domain.Delivery) {
	var old []entry
	if before != nil {
		old = deliveryIndex(*before)
	}
	t.reindex(old, deliveryIndex(after))
	t.putRouted(after)
	switch {
	case after.State == domain.DeliveryRejected, after.State == domain.DeliveryExpired:
		if before != nil {
			t.charge(after.Workspace, -len(t.get(bucketBodies, key(after.ID))))
			t.delete(bucketBodies, key(after.ID))
		}
	case after.Body != nil:
		kept := 0
		if before != nil {
			kept = len(t.get(bucketBodies, key(after.ID)))
		}
		t.put(bucketBodies, key(after.ID), after.Body)
		t.charge(after.Workspace, len(after.Body)-kept)
	}
	t.putDoc(bucketDeliveries, key(after.ID), deliveryRecord{&after})
}

func deliveryIndex(d domain.Delivery) []entry {
	index := []entry{{bucketDeliveryListing, deliveryRun(d.Workspace, d.Connection, deliveryState(d.State)).rest(string(d.ID)), present}}
	if d.State == domain.DeliveryFailed {
		index = append(index, entry{bucketFailedBodies, bodyKey(d).rest(string(d.ID)), present})
	}
	if d.Answered { // it stands apart, so that marking it does not touch the record
		index = append(index, entry{bucketAnswered, key(d.ID), present})
	}
	return index
}

// bodyKey is what deliveries with the same body on the same connection share.
func bodyKey(d domain.Delivery) key { return connectionKey(d.Connection).text(d.BodySHA256) }

// Delivery returns a delivery with its body, as far as that is kept; ErrNotFound if there
// is none.
func (s *Store) Delivery(ctx context.Context, id contract.DeliveryID) (domain.Delivery, error) {
	return view(ctx, s, "read delivery", func(t *tx) (domain.Delivery, error) {
		d, err := t.delivery(id)
		if err != nil {
			return d, err
		}
		if d.Body = bytes.Clone(t.get(bucketBodies, key(id))); d.Body == nil && keepsBody(d) && t.damage == nil {
			t.damage = damaged(bucketBodies, key(id), "it is gone")
		}
		d.Routed, err = t.routedBefore(id)
		return d, err
	})
}

// keepsBody tells whether a delivery must have its body.
func keepsBody(d domain.Delivery) bool {
	return d.BodyBytes > 0 && d.State != domain.DeliveryRejected && d.State != domain.DeliveryExpired && d.PayloadRemovedAt.IsZero()
}

// delivery returns a delivery without its body.
func (t *tx) delivery(id contract.DeliveryID) (domain.Delivery, error) {
	d, err := load[domain.Delivery](t, bucketDeliveries, key(id))
	if err != nil {
		return d, fmt.Errorf("delivery %q: %w", id, err)
	}
	d.Answered = t.has(bucketAnswered, key(id))
	return d, nil
}

// deliveryBefore returns the record that a delivery is about to replace; nil if it is
// new.
func (t *tx) deliveryBefore(id contract.DeliveryID) (*domain.Delivery, error) {
	if !t.has(bucketDeliveries, key(id)) {
		return nil, nil
	}
	d, err := t.delivery(id)
	return &d, err
}

// Deliveries lists deliveries without their bodies, newest first, with the cursor of the
// next page. A filter without workspace and connection reads every delivery on its way.
func (s *Store) Deliveries(ctx context.Context, f domain.DeliveryFilter, p domain.Page) ([]domain.Delivery, string, error) {
	return paged(ctx, s, "list deliveries", func(t *tx) ([]domain.Delivery, string, error) {
		before, err := listDeliveries.position(p.After)
		if err != nil {
			return nil, "", err
		}
		rows := t.scanBack(bucketDeliveries, nil, before)
		if f.Workspace != "" || f.Connection != "" {
			rows = t.newest(bucketDeliveryListing, t.deliveryRuns(f), before)
		}
		return collect(ctx, listDeliveries, p.Size(), rows, func(id, _ []byte) (domain.Delivery, bool, error) {
			d, err := t.delivery(contract.DeliveryID(id))
			return d, selectsDelivery(f, d), err
		})
	})
}

// deliveryRuns returns the runs of the index that a filter by workspace or connection
// needs.
func (t *tx) deliveryRuns(f domain.DeliveryFilter) []key {
	scopes := []key{workspaceKey(f.Workspace)}
	if f.Workspace == "" {
		scopes = t.children(bucketDeliveryListing, nil)
	}
	states := deliveryStates
	if f.State != "" {
		states = []domain.DeliveryState{f.State}
	}
	var runs []key
	for _, scope := range scopes {
		connections := []key{scope.with(newKey().text(string(f.Connection)))}
		if f.Connection == "" {
			connections = t.children(bucketDeliveryListing, scope)
		}
		for _, c := range connections {
			for _, s := range states {
				runs = append(runs, c.with([]byte{deliveryState(s)}))
			}
		}
	}
	return runs
}

func selectsDelivery(f domain.DeliveryFilter, d domain.Delivery) bool {
	return (f.Workspace == "" || f.Workspace == d.Workspace) &&
		(f.Connection == "" || f.Connection == d.Connection) &&
		(f.State == "" || f.State == d.State) && (f.Code == "" || f.Code == d.Code) &&
		(f.ReceivedAfter.IsZero() || d.ReceivedAt.After(f.ReceivedAfter)) &&
		(f.ReceivedBefore.IsZero() || d.ReceivedAt.Before(f.ReceivedBefore))
}
