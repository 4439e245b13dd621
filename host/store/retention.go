package store

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/failpoint"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Retention goes through one room of records after the other, in steps. A step reads until
// it has found enough that is too old, which holds nobody up, and then removes that in one
// small transaction, which looks at each record again: something may have happened to it.

// sweepLook is how many records one step looks at.
const sweepLook = 2000

// A notice is not repeated within noticeGrain, unless noticeLook others came meanwhile.
const (
	noticeGrain = 24 * time.Hour
	noticeLook  = 1000
)

// verdict is what becomes of a record.
type verdict int

const (
	// stays means that the record is not too old, and that one behind it may be.
	stays verdict = iota
	// goes means that the record is too old.
	goes
	// enough means that this record and all behind it, in the part of the room that it
	// begins, are not too old.
	enough
)

// room is how retention goes through one kind of record. Positions are keys of its bucket.
type room struct {
	bucket []byte
	// judge decides about a record. For enough it returns how much of the position names the
	// part that is through; 0 ends the room.
	judge func(s *sweep, position, doc []byte) (v verdict, part int, err error)
	// remove removes a record that goes.
	remove func(s *sweep, position, doc []byte) error
}

var rooms = map[domain.SweepRoom]room{
	domain.SweepDeliveries:  {bucketDeliveries, judgeDelivery, removeDelivery},
	domain.SweepEvents:      {bucketEvents, judgeEvent, removeEvent},
	domain.SweepMessages:    {bucketMessages, judgeMessage, removeMessage},
	domain.SweepJobs:        {bucketJobs, judgeJob, removeJob},
	domain.SweepMedia:       {bucketMedia, judgeMedia, removeRecord(bucketMedia)},
	domain.SweepNotices:     {bucketNotices, judgeNotice, removeRecord(bucketNotices)},
	domain.SweepTokens:      {bucketRevokedUntil, judgeToken, removeToken},
	domain.SweepDedupe:      {bucketDedupe, judgeDedupe, removeRecord(bucketDedupe)},
	domain.SweepIdempotency: {bucketIdempotency, judgeIdempotency, removeRecord(bucketIdempotency)},
}

// sweep is one step, in one transaction.
type sweep struct {
	t    *tx
	plan *domain.SweepPlan
	ages map[contract.WorkspaceID]domain.Retention
	// told is what this step gives notice of, and freed what it takes off plan.Over.
	told  map[string]bool
	freed map[contract.WorkspaceID]int64
	// readers is how far each reader of the events of a workspace has come.
	readers map[contract.WorkspaceID]map[string]uint64
	swept   domain.Swept
}

func newSweep(t *tx, plan *domain.SweepPlan) *sweep {
	return &sweep{t: t, plan: plan, ages: map[contract.WorkspaceID]domain.Retention{},
		told: map[string]bool{}, freed: map[contract.WorkspaceID]int64{}, readers: map[contract.WorkspaceID]map[string]uint64{}}
}

// PlanSweep begins a pass of retention: it finds out what the workspaces ask for, and which
// of them keep more than they may.
func (s *Store) PlanSweep(ctx context.Context, defaults domain.Retention) (*domain.SweepPlan, error) {
	plan := &domain.SweepPlan{Now: s.opts.Now(), Defaults: defaults, Over: map[contract.WorkspaceID]int64{},
		InUse: map[contract.MediaHandle]bool{}, Told: map[string]bool{}}
	return view(ctx, s, "plan retention", func(t *tx) (*domain.SweepPlan, error) {
		shortest := domain.Retention{}.Over(defaults)
		for id, doc := range t.scan(bucketWorkspaces, nil, nil) {
			w, err := decode[domain.Workspace](bucketWorkspaces, doc)
			if err != nil {
				return nil, fmt.Errorf("workspace %q: %w", id, err)
			}
			own := w.Retention.Over(defaults)
			shortest.PayloadDays = shorter(shortest.PayloadDays, own.PayloadDays)
			shortest.EventDays = shorter(shortest.EventDays, own.EventDays)
			if over := t.payloadBytes(w.ID) - own.MaxBytes; own.MaxBytes > 0 && over > 0 {
				plan.Over[w.ID] = over
			}
		}
		plan.Shortest = shortest
		return plan, nil
	})
}

// shorter returns the shorter of two ages, where one that is not positive has no end.
func shorter(a, b int64) int64 {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}

// Sweep makes one step through a room, from the Next of the step before on, and removes at
// most so many records. It updates the plan. A record that cannot be read stays.
func (s *Store) Sweep(ctx context.Context, plan *domain.SweepPlan, name domain.SweepRoom, after string, most int) (domain.Swept, error) {
	if name == domain.SweepPayload {
		return s.sweepPayload(ctx, plan, after, most)
	}
	r, known := rooms[name]
	if !known {
		return domain.Swept{}, fmt.Errorf("sweep %q: %w", name, domain.ErrNotFound)
	}
	found, err := view(ctx, s, "look through "+string(name), func(t *tx) (findings, error) {
		return newSweep(t, plan).find(ctx, r, []byte(after), most)
	})
	if err != nil || len(found.doomed) == 0 {
		return found.swept, err
	}
	return s.removeSwept(ctx, plan, "remove "+string(name), found, func(sw *sweep, position []byte) error {
		doc := sw.t.get(r.bucket, position)
		if doc == nil {
			return nil
		}
		if v, _, err := r.judge(sw, position, doc); err != nil || v != goes {
			return nil // it has changed since it was found
		}
		sw.swept.Removed++
		return r.remove(sw, bytes.Clone(position), bytes.Clone(doc))
	})
}

// findings is what a step is going to remove, and how far it looked.
type findings struct {
	doomed [][]byte
	swept  domain.Swept
}

// removeSwept removes what was found, and brings the plan up to date once that is durable.
func (s *Store) removeSwept(
	ctx context.Context, plan *domain.SweepPlan, what string, found findings, remove func(*sweep, []byte) error,
) (domain.Swept, error) {
	done, err := change(ctx, s, what, func(t *tx) (*sweep, error) {
		sw := newSweep(t, plan)
		for _, position := range found.doomed {
			if err := remove(sw, position); err != nil {
				return nil, err
			}
		}
		return sw, nil
	})
	if err != nil {
		return domain.Swept{}, err
	}
	failpoint.Hit(failpoint.RetentionMid)
	maps.Copy(plan.Told, done.told)
	for ws, bytes := range done.freed {
		plan.Over[ws] -= bytes
	}
	found.swept.Removed, found.swept.Bytes = done.swept.Removed, done.swept.Bytes
	return found.swept, nil
}

// find looks through a room for what goes.
func (s *sweep) find(ctx context.Context, r room, after []byte, most int) (findings, error) {
	var found findings
	for start, through := after, false; !through; {
		start, through = s.findIn(ctx, r, start, most, &found)
		found.swept.Next = string(start)
	}
	return found, ctx.Err()
}

// findIn looks through a room until a part of it is through. It returns where to go on, and
// whether the step ends there; nowhere means that the room is through.
func (s *sweep) findIn(ctx context.Context, r room, after []byte, most int, found *findings) (next []byte, end bool) {
	for position, doc := range s.t.walk(r.bucket, after) {
		if ctx.Err() != nil || found.swept.Seen == sweepLook || len(found.doomed) == most {
			return next, true
		}
		found.swept.Seen++
		next = bytes.Clone(position)
		v, part, err := r.judge(s, position, doc)
		switch damage := s.t.excuse(); {
		case err != nil || damage != nil:
			found.swept.Damaged++
		case v == goes:
			found.doomed = append(found.doomed, next)
		case v == enough && part == 0:
			return nil, true
		case v == enough:
			beyond := successor(next[:part]) // no key of a room ends where a part does
			return beyond, len(beyond) == 0
		}
	}
	return nil, true
}

// walk is a scan of a whole bucket that a damaged record does not end: its value is nil.
func (t *tx) walk(bucket, after []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(position, value []byte) bool) {
		c := t.bolt.Bucket(bucket).Cursor()
		for k, sealed := c.Seek(after); k != nil; k, sealed = c.Next() {
			if len(after) > 0 && bytes.Equal(k, after) {
				continue
			}
			value, _ := unseal(bucket, k, sealed)
			if !yield(k, value) {
				return
			}
		}
	}
}

// age returns how long a workspace keeps things.
func (s *sweep) age(ws contract.WorkspaceID) domain.Retention {
	own, known := s.ages[ws]
	if !known {
		w, err := s.t.workspace(ws)
		if err != nil {
			w = domain.Workspace{} // things of the host itself go by its defaults
		}
		own = w.Retention.Over(s.plan.Defaults)
		s.ages[ws] = own
	}
	return own
}

// old tells whether at is so many days ago.
func (s *sweep) old(at time.Time, days int64) bool {
	return at.Before(domain.Cutoff(s.plan.Now, days))
}

// mayStop turns a record that stays into the end of the part that it stands in, if it is
// younger than anything that could go.
func (s *sweep) mayStop(at time.Time, days int64) verdict {
	if s.old(at, days) {
		return stays
	}
	return enough
}

// notice tells of something at most once in a pass, and once in a day as far as the newest
// notices tell.
func (s *sweep) notice(subject string, n domain.Notice, same func(domain.Notice) bool) {
	if s.plan.Told[subject] || s.told[subject] {
		return
	}
	s.told[subject] = true
	looked := 0
	for _, doc := range s.t.scanBack(bucketNotices, nil, nil) {
		known, err := decode[domain.Notice](bucketNotices, doc)
		if looked++; err != nil || looked > noticeLook || s.plan.Now.Sub(known.At) > noticeGrain {
			break
		}
		if known.Kind == n.Kind && known.Workspace == n.Workspace && same(known) {
			return
		}
	}
	n.At = s.plan.Now
	s.t.notice(n)
}

// anyNotice takes every notice of one kind and workspace for the same.
func anyNotice(domain.Notice) bool { return true }

// removeRecord removes a record that nothing points to.
func removeRecord(bucket []byte) func(*sweep, []byte, []byte) error {
	return func(s *sweep, position, _ []byte) error {
		s.t.delete(bucket, position)
		return nil
	}
}

// SweepMark returns where the last pass through a slow room ended; "" at its beginning.
func (s *Store) SweepMark(ctx context.Context, name domain.SweepRoom) (string, error) {
	return view(ctx, s, "read retention mark", func(t *tx) (string, error) {
		return string(t.get(bucketMeta, sweepMarkKey(name))), nil
	})
}

// MarkSweep keeps where a pass through a slow room ended.
func (s *Store) MarkSweep(ctx context.Context, name domain.SweepRoom, next string) error {
	return s.update(ctx, "keep retention mark", func(t *tx) error {
		t.put(bucketMeta, sweepMarkKey(name), []byte(next))
		return nil
	})
}

func sweepMarkKey(name domain.SweepRoom) key { return key("sweep/" + string(name)) }
