package emulate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Record is what happened at a platform, as tests read it: exchanges of type E, each a
// request with its answer, and what was done against the protocol.
type Record[E any] struct {
	words func(E) string

	mu         sync.Mutex
	changed    chan struct{} // closed and replaced at every change
	exchanges  []E
	violations []string
}

// Recorder writes a [Record] and wakes whoever waits for it.
type Recorder[E any] struct {
	Record[E]
	keep   int
	number func(*E, int)
	seq    int
}

// NewRecorder makes a recorder that keeps that many exchanges. number sets the number of
// an exchange, from 1 in the order they ended; words names one in an error.
func NewRecorder[E any](keep int, number func(*E, int), words func(E) string) *Recorder[E] {
	return &Recorder[E]{Record: Record[E]{words: words, changed: make(chan struct{})}, keep: keep, number: number}
}

// Add records an exchange. Where there are as many as are kept, about an eighth of them goes, the oldest.
func (r *Recorder[E]) Add(e E) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	r.number(&e, r.seq)
	if len(r.exchanges) == r.keep {
		r.exchanges = slices.Delete(r.exchanges, 0, 1+r.keep/8)
	}
	r.exchanges = append(r.exchanges, e)
	r.wake()
}

// Violation records something that was done against the protocol.
func (r *Recorder[E]) Violation(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.violations = append(r.violations, fmt.Sprintf(format, args...))
	r.wake()
}

// Wake tells whoever waits that something changed elsewhere.
func (r *Recorder[E]) Wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wake()
}

// wake wakes whoever waits. The caller holds mu.
func (r *Record[E]) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Until calls done, and again after every change, until it says true or ctx ends. done is
// called without a lock held.
func (r *Recorder[E]) Until(ctx context.Context, done func() bool) error { return r.until(ctx, done) }

func (r *Record[E]) until(ctx context.Context, done func() bool) error {
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if done() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Exchanges returns what was recorded, oldest first.
func (r *Record[E]) Exchanges() []E {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.exchanges)
}

// Violations returns what was done against the protocol, in words.
func (r *Record[E]) Violations() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.violations)
}

// TakeViolations returns what was done against the protocol, and forgets it: for a test
// that provokes it.
func (r *Record[E]) TakeViolations() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.violations
	r.violations = nil
	return taken
}

// Wait returns the first recorded exchange that match accepts, past or to come. The error
// is the context's, with what had been recorded until then.
func (r *Record[E]) Wait(ctx context.Context, match func(E) bool) (E, error) {
	found, err := r.WaitCount(ctx, 1, match)
	if err != nil {
		var none E
		return none, err
	}
	return found[0], nil
}

// WaitCount returns the first n recorded exchanges that match accepts, past or to come.
func (r *Record[E]) WaitCount(ctx context.Context, n int, match func(E) bool) ([]E, error) {
	var found []E
	err := r.until(ctx, func() bool {
		found = found[:0]
		for _, e := range r.Exchanges() {
			if len(found) < n && match(e) {
				found = append(found, e)
			}
		}
		return len(found) == n
	})
	if err != nil {
		return nil, fmt.Errorf("emulator: %d of %d exchanges came (of %s): %w", len(found), n, r.Summary(), err)
	}
	return found, nil
}

// Summary names what was recorded, for an error.
func (r *Record[E]) Summary() string {
	var text strings.Builder
	for _, e := range r.Exchanges() {
		text.WriteString("[" + r.words(e) + "]")
	}
	if text.Len() == 0 {
		return "none"
	}
	return text.String()
}
