package store

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/failpoint"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const (
	// maxGroup is the most requests that share a commit.
	maxGroup = 512
	// maxReruns is how often a group is run again without one of its requests, before
	// the rest get a commit each.
	maxReruns = 8
	// worthSharing is how many requests a group must have held for the next one to wait for
	// company.
	worthSharing = 8
	// maxPatience is the longest that a group waits for company.
	maxPatience = 4 * time.Millisecond
	// asidePatience is how long what nobody waits for is held back for a group to go with.
	asidePatience = 20 * time.Millisecond
)

// request is a change that waits for its turn. run may be called several times, each
// time in a fresh transaction; what the last one did is what is committed.
type request struct {
	ctx  context.Context
	run  func(*tx) error
	then func(error)   // called with the answer, if nobody waits for it; may be nil
	err  error         // written before done is closed
	done chan struct{} // closed once err is final
}

func (r *request) finish() {
	if r.then != nil {
		r.then(r.err)
	}
	close(r.done)
}

var errClosed = fmt.Errorf("%w: it is closed", domain.ErrUnavailable)

// update commits a change.
func (s *Store) update(ctx context.Context, what string, run func(*tx) error) error {
	if err := s.submit(ctx, run); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// change commits a change that has a result.
func change[T any](ctx context.Context, s *Store, what string, run func(*tx) (T, error)) (T, error) {
	var result, none T // result is the writer's until submit returns nil
	err := s.update(ctx, what, func(t *tx) (err error) {
		result, err = run(t)
		return err
	})
	if err != nil {
		return none, err
	}
	return result, nil
}

// submit queues a change and waits for its commit. If ctx ends first, the change may
// still be committed, and whatever run writes to is the writer's for ever.
func (s *Store) submit(ctx context.Context, run func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{ctx: ctx, run: run, done: make(chan struct{})}
	select {
	case <-s.quit:
		return errClosed
	default:
	}
	select {
	case s.requests <- r:
	case <-s.quit:
		return errClosed
	case <-ctx.Done():
		return fmt.Errorf("waiting for the writer: %w", ctx.Err())
	}
	select {
	case <-r.done:
		return r.err
	case <-s.stopped:
		return r.answer(errClosed)
	case <-ctx.Done():
		return r.answer(fmt.Errorf("waiting for the commit, which may still happen: %w", ctx.Err()))
	}
}

// answer returns the request's answer if there is one, and otherwise the one given.
func (r *request) answer(otherwise error) error {
	select {
	case <-r.done:
		return r.err
	default:
		return otherwise
	}
}

// write is the writer. It ends once the store is closed and the queue is empty.
func (s *Store) write() {
	defer close(s.stopped)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // a page that cannot be read is an error, not the end
	for {
		select {
		case r := <-s.requests:
			s.commit(s.gather(r))
		case <-s.aside.wake:
			s.commit(s.gather(s.await(asidePatience, 1)...))
		case <-s.quit:
			for group := s.gather(); len(group) > 0; group = s.gather() {
				s.commit(group)
			}
			return
		}
	}
}

// gather takes all that waits, up to a full group. After a group that was worth sharing it
// waits for about as many as that held, since those who were answered are about to come
// back, but no longer than the commit took.
func (s *Store) gather(first ...*request) []*request {
	var group []*request
	if r := s.aside.request(s); r != nil {
		group = append(group, r)
	}
	group = s.takeWaiting(append(group, first...))
	if s.last.group >= worthSharing && len(group) > 0 {
		group = append(group, s.await(min(s.last.took, maxPatience), min(s.last.group, s.opts.group-len(group)))...)
	}
	return group
}

// takeWaiting adds what waits to a group, until it is full.
func (s *Store) takeWaiting(group []*request) []*request {
	for len(group) < s.opts.group {
		select {
		case r := <-s.requests:
			group = append(group, r)
		default:
			return group
		}
	}
	return group
}

// await waits for so many requests, and gives up after patience or when the store is
// closed. It returns those that came.
func (s *Store) await(patience time.Duration, count int) (came []*request) {
	if count <= 0 || patience <= 0 {
		return nil
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for len(came) < count {
		select {
		case r := <-s.requests:
			came = append(came, r)
		case <-timer.C:
			return came
		case <-s.quit:
			return came
		}
	}
	return came
}

// commit runs a group until all that can be committed is, and answers it. A request that
// fails halfway is answered and left out, and the rest is run again.
func (s *Store) commit(group []*request) {
	for reruns := 0; len(group) > 0; reruns++ {
		if reruns > maxReruns {
			for _, r := range group {
				s.commit([]*request{r})
			}
			return
		}
		culprit := s.attempt(group)
		if culprit < 0 {
			return
		}
		group[culprit].finish()
		group = slices.Delete(group, culprit, culprit+1)
	}
}

// attempt runs a group in one transaction. It answers the whole group and returns -1, or
// it changes nothing and returns the index of the request that must be left out.
func (s *Store) attempt(group []*request) (culprit int) {
	began := time.Now()
	t, culprit, err := s.try(group)
	switch {
	case err != nil:
		s.refuse(group, err)
	case culprit < 0:
		if t != nil {
			s.committed(t, len(group), time.Since(began))
		}
		answerAll(group)
	}
	return culprit
}

// try runs a group in one transaction and makes that durable. It returns the transaction,
// nil if there was nothing to write; or the index of the request that must be left out,
// which is -1 otherwise; or why the group cannot be committed. A panic is such a reason.
func (s *Store) try(group []*request) (t *tx, culprit int, err error) {
	var b *bbolt.Tx
	defer func() {
		if p := recover(); p != nil {
			if b != nil {
				_ = b.Rollback() // fails only if the transaction has ended
			}
			t, culprit, err = nil, -1, s.broken("a commit", p)
		}
	}()
	if b, err = s.db.Begin(true); err != nil {
		return nil, -1, err
	}
	s.room.reset()
	t = &tx{bolt: b, ids: s.ids, room: &s.room, late: newLate(), seen: map[contract.WorkspaceID]bool{}}
	for i, r := range group {
		if broken := s.serve(t, r); broken {
			_ = b.Rollback() // fails only if the transaction has ended
			return nil, i, nil
		}
	}
	if t.writes == 0 {
		_ = b.Rollback() // fails only if the transaction has ended
		return nil, -1, nil
	}
	if err := s.flush(t); err != nil {
		_ = b.Rollback() // fails only if the transaction has ended
		return nil, -1, err
	}
	failpoint.Hit(failpoint.StoreBeforeCommit)
	if err := s.persist(b); err != nil {
		return nil, -1, err
	}
	failpoint.Hit(failpoint.StoreAfterCommit)
	return t, -1, nil
}

// flush writes what the requests of a group put off. A sum that cannot be read begins anew:
// no request asked for it.
func (s *Store) flush(t *tx) error {
	t.damage = nil
	err := t.flush()
	if t.damage != nil {
		s.tellDamage(t.damage)
	}
	return err
}

// serve runs one request. It returns true if the request failed after it had written, so
// that the transaction cannot be used.
func (s *Store) serve(t *tx, r *request) (broken bool) {
	if r.err = r.ctx.Err(); r.err != nil {
		return false
	}
	before := t.writes
	defer func() {
		if p := recover(); p != nil {
			r.err = fmt.Errorf("%w\n%s", s.broken("a change", p), debug.Stack())
			broken = true
		}
	}()
	t.damage = nil
	r.err = r.run(t)
	if r.err == nil {
		r.err = t.failed
	}
	if t.damage != nil {
		s.tellDamage(t.damage)
		r.err = t.damage
	}
	return r.err != nil && t.writes != before
}

// committed tells everybody who wants to know of a commit.
func (s *Store) committed(t *tx, group int, took time.Duration) {
	s.commits.Add(1)
	s.writes.Add(uint64(group))
	s.last.group, s.last.took = group, took
	s.largest.Store(max(s.largest.Load(), int64(group)))
	s.opts.OnJobs(t.queued...)
	s.watch.notify(t.seen)
	for _, d := range t.dropped {
		d.log(s.opts.Log)
	}
	s.opts.OnCommit(group, took)
}

func answerAll(group []*request) {
	for _, r := range group {
		r.finish()
	}
}

// refuse answers a group that could not be committed. An answer that was an error
// already may have come from what was not kept, so all get the same.
func (s *Store) refuse(group []*request, cause error) {
	s.failures.Add(1)
	s.opts.Log.Error("the store cannot commit", "requests", len(group), "error", cause)
	for _, r := range group {
		r.err = fmt.Errorf("%w: %w", domain.ErrUnavailable, cause)
		r.finish()
	}
}
