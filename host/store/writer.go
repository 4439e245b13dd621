package store

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const (
	// maxGroup is the most requests that share a commit.
	maxGroup = 512
	// maxReruns is how often a group is run again without one of its requests, before
	// the rest get a commit each.
	maxReruns = 8
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
	for {
		select {
		case r := <-s.requests:
			s.commit(s.gather(r))
		case <-s.marks.wake:
			s.commit(s.gather())
		case <-s.quit:
			for group := s.gather(); len(group) > 0; group = s.gather() {
				s.commit(group)
			}
			return
		}
	}
}

// gather takes all that waits, up to a full group. It does not wait for more.
func (s *Store) gather(first ...*request) []*request {
	group := first
	if r := s.marks.request(s); r != nil {
		group = append(group, r)
	}
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
	b, err := s.db.Begin(true)
	if err != nil {
		s.refuse(group, err)
		return -1
	}
	t := &tx{bolt: b, ids: s.ids, seen: map[contract.WorkspaceID]bool{}}
	for i, r := range group {
		if broken := t.serve(r); broken {
			_ = b.Rollback() // fails only if the transaction has ended
			return i
		}
	}
	if t.writes == 0 {
		_ = b.Rollback() // fails only if the transaction has ended
		answerAll(group)
		return -1
	}
	if err := s.persist(b); err != nil {
		s.refuse(group, err)
		return -1
	}
	s.committed(t, len(group), time.Since(began))
	answerAll(group)
	return -1
}

// serve runs one request. It returns true if the request failed after it had written, so
// that the transaction cannot be used.
func (t *tx) serve(r *request) (broken bool) {
	if r.err = r.ctx.Err(); r.err != nil {
		return false
	}
	before := t.writes
	defer func() {
		if p := recover(); p != nil {
			r.err = fmt.Errorf("a change panicked and was not made: %v\n%s", p, debug.Stack())
			broken = true
		}
	}()
	r.err = r.run(t)
	if r.err == nil {
		r.err = t.failed
	}
	return r.err != nil && t.writes != before
}

// committed tells everybody who wants to know of a commit.
func (s *Store) committed(t *tx, group int, took time.Duration) {
	s.commits.Add(1)
	s.writes.Add(uint64(group))
	s.largest.Store(max(s.largest.Load(), int64(group)))
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
