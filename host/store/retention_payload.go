package store

import (
	"context"
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Payload is gone through by owner, oldest first: ids that NewID made sort by their time, so
// that deliveries and commands can be walked through together. The position in the room is
// what follows the prefix of the last id.

const (
	deliveryPrefix = "dlv_"
	commandPrefix  = "cmd_"
)

// sweepPayload is Sweep for bodies and recordings.
func (s *Store) sweepPayload(ctx context.Context, plan *domain.SweepPlan, after string, most int) (domain.Swept, error) {
	found, err := view(ctx, s, "look through payload", func(t *tx) (findings, error) {
		return newSweep(t, plan).findPayload(ctx, after, most)
	})
	if err != nil || len(found.doomed) == 0 {
		return found.swept, err
	}
	return s.removeSwept(ctx, plan, "remove payload", found, func(sw *sweep, owner []byte) error {
		o, err := sw.owner(string(owner))
		if err != nil {
			return nil // it has gone since it was found
		}
		return sw.removePayload(o)
	})
}

// owner is what payload belongs to.
type owner struct {
	id       string
	ws       contract.WorkspaceID
	at       time.Time        // how old the payload is counted from
	since    time.Time        // when the owner came: owners are in the order of that
	delivery *domain.Delivery // nil for a command
	bytes    int64
}

// owner reads who owns payload, and how much.
func (s *sweep) owner(id string) (owner, error) {
	o := owner{id: id}
	if d, err := s.t.delivery(contract.DeliveryID(id)); err == nil {
		o.ws, o.at, o.since, o.delivery = d.Workspace, d.ReceivedAt, d.ReceivedAt, &d
	} else if job, err := s.t.job(id); err == nil {
		o.ws, o.at, o.since = job.Workspace, job.UpdatedAt, job.CreatedAt
	} else {
		return o, fmt.Errorf("owner of payload %q: %w", id, err)
	}
	o.bytes = int64(len(s.t.get(bucketBodies, key(id))))
	for _, recording := range s.t.scan(bucketRecordings, newKey().text(id), nil) {
		o.bytes += int64(len(recording))
	}
	return o, nil
}

// findPayload looks for payload that is too old, or that goes because its workspace keeps
// too much.
func (s *sweep) findPayload(ctx context.Context, after string, most int) (findings, error) {
	var found findings
	tentative := map[contract.WorkspaceID]int64{}
	for id := s.nextOwner(after); id != ""; id = s.nextOwner(after) {
		if ctx.Err() != nil || found.swept.Seen == sweepLook || len(found.doomed) == most {
			found.swept.Next = after
			return found, ctx.Err()
		}
		found.swept.Seen++
		after = id[len(deliveryPrefix):]
		o, err := s.owner(id)
		switch damage := s.t.excuse(); {
		case err != nil || damage != nil:
			found.swept.Damaged++
		case o.delivery != nil && o.delivery.State == domain.DeliveryParked: // it has its own time
		case s.old(o.at, s.age(o.ws).PayloadDays), tentative[o.ws] < s.plan.Over[o.ws]:
			found.doomed = append(found.doomed, []byte(id))
			tentative[o.ws] += o.bytes
		case !s.anyOver(tentative) && s.mayStop(o.since, s.plan.Shortest.PayloadDays) == enough:
			return found, nil
		}
	}
	return found, nil
}

// anyOver tells whether a workspace still keeps too much, when what was found is gone.
func (s *sweep) anyOver(tentative map[contract.WorkspaceID]int64) bool {
	for ws, over := range s.plan.Over {
		if tentative[ws] < over {
			return true
		}
	}
	return false
}

// nextOwner returns the oldest owner of payload after a position, or nothing.
func (s *sweep) nextOwner(after string) string {
	best := ""
	take := func(id string) {
		if best == "" || id[len(deliveryPrefix):] < best[len(deliveryPrefix):] {
			best = id
		}
	}
	c := s.t.bolt.Bucket(bucketBodies).Cursor()
	k, _ := c.Seek([]byte(deliveryPrefix + after))
	if string(k) == deliveryPrefix+after {
		k, _ = c.Next()
	}
	if k := string(k); len(k) > len(deliveryPrefix) && k[:len(deliveryPrefix)] == deliveryPrefix {
		take(k)
	}
	for _, prefix := range []string{deliveryPrefix, commandPrefix} {
		if id := s.nextRecorded(prefix, after); id != "" {
			take(id)
		}
	}
	return best
}

// mintedBytes is the length of an id that NewID made with a prefix of three letters.
const mintedBytes = len(deliveryPrefix) + 26

// nextRecorded returns the next owner of a recording among the ids with a prefix, or
// nothing.
func (s *sweep) nextRecorded(prefix, after string) string {
	start := key{0, byte(mintedBytes)}.rest(prefix + after)
	if after != "" {
		start = successor(start) // beyond all its runs
	}
	k, _ := s.t.bolt.Bucket(bucketRecordings).Cursor().Seek(start)
	id, ok := recordingOwner(k)
	if !ok || len(id) != mintedBytes || id[:len(prefix)] != prefix {
		return ""
	}
	return id
}

// removePayload removes what one owner keeps, and tells of it if that is for its size.
func (s *sweep) removePayload(o owner) error {
	aged := s.old(o.at, s.age(o.ws).PayloadDays)
	if !aged && s.freed[o.ws] >= s.plan.Over[o.ws] {
		return nil
	}
	if !aged {
		s.notice("size/"+string(o.ws), domain.Notice{Kind: domain.NoticeRetention, Workspace: o.ws, Target: o.id, Detail: fmt.Sprintf(
			"The workspace keeps %d bytes of bodies and recordings more than its max_bytes (%d): the oldest are removed before their age, from %s on.",
			s.plan.Over[o.ws], s.age(o.ws).MaxBytes, o.at.UTC().Format(time.RFC3339))}, anyNotice)
	}
	dropped := s.t.dropPayload(o.ws, o.id)
	s.swept.Removed++
	s.swept.Bytes += dropped
	s.freed[o.ws] += dropped
	if o.delivery == nil || o.delivery.BodyBytes == 0 {
		return nil
	}
	d := *o.delivery
	d.PayloadRemovedAt = s.plan.Now
	s.t.putDelivery(o.delivery, d)
	return nil
}
