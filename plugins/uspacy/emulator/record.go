package emulator

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Exchange is one request with its answer. It is recorded when it ended.
type Exchange struct {
	// Seq counts the exchanges of a platform from 1, in the order they ended.
	Seq int
	// Op is what was asked for, such as "message.create"; see the Op... constants. Requests that
	// the platform makes have one too.
	Op string
	// Host, Method and URI are the request's.
	Host, Method, URI string
	Header            http.Header
	// Body is the request's; a file's bytes are not kept.
	Body []byte
	// Status is what was answered; 0 if there was no answer, and Err then says why.
	Status   int
	Response []byte
	Err      string
	Began    time.Time
}

// recorder keeps what happened and wakes whoever waits for it.
type recorder struct {
	mu         sync.Mutex
	changed    chan struct{} // closed and replaced at every change
	keep       int
	seq        int
	exchanges  []Exchange
	violations []string
}

func newRecorder(keep int) *recorder {
	return &recorder{changed: make(chan struct{}), keep: keep}
}

// add records an exchange; beyond keep, the oldest goes.
func (r *recorder) add(e Exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	e.Seq = r.seq
	if len(r.exchanges) == r.keep {
		r.exchanges = slices.Delete(r.exchanges, 0, 1+r.keep/8)
	}
	r.exchanges = append(r.exchanges, e)
	r.wakeLocked()
}

// violation records something that the app did against the protocol.
func (r *recorder) violation(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.violations = append(r.violations, fmt.Sprintf(format, args...))
	r.wakeLocked()
}

// wake tells whoever waits that something changed elsewhere.
func (r *recorder) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wakeLocked()
}

func (r *recorder) wakeLocked() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// until calls done after every change until it says true or ctx ends. done is called without a
// lock held.
func (r *recorder) until(ctx context.Context, done func() bool) error {
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
func (p *Platform) Exchanges() []Exchange {
	p.rec.mu.Lock()
	defer p.rec.mu.Unlock()
	return slices.Clone(p.rec.exchanges)
}

// Count returns how many requests of an operation were recorded.
func (p *Platform) Count(op string) int {
	n := 0
	for _, e := range p.Exchanges() {
		if e.Op == op {
			n++
		}
	}
	return n
}

// Violations returns what the app did against the protocol, in words.
func (p *Platform) Violations() []string {
	p.rec.mu.Lock()
	defer p.rec.mu.Unlock()
	return slices.Clone(p.rec.violations)
}

// TakeViolations returns what the app did against the protocol, and forgets it: for a test that
// provokes it.
func (p *Platform) TakeViolations() []string {
	p.rec.mu.Lock()
	defer p.rec.mu.Unlock()
	taken := p.rec.violations
	p.rec.violations = nil
	return taken
}

// Wait returns the first recorded exchange that match accepts, past or to come. The error is
// the context's, with what had been recorded until then.
func (p *Platform) Wait(ctx context.Context, match func(Exchange) bool) (Exchange, error) {
	found, err := p.WaitCount(ctx, 1, match)
	if err != nil {
		return Exchange{}, err
	}
	return found[0], nil
}

// WaitCount returns the first n recorded exchanges that match accepts, past or to come.
func (p *Platform) WaitCount(ctx context.Context, n int, match func(Exchange) bool) ([]Exchange, error) {
	var found []Exchange
	err := p.rec.until(ctx, func() bool {
		found = found[:0]
		for _, e := range p.Exchanges() {
			if len(found) < n && match(e) {
				found = append(found, e)
			}
		}
		return len(found) == n
	})
	if err != nil {
		return nil, fmt.Errorf("emulator: %d of %d exchanges came (of %s): %w", len(found), n, p.summary(), err)
	}
	return found, nil
}

// summary names what was recorded, for an error.
func (p *Platform) summary() string {
	text := "none"
	for i, e := range p.Exchanges() {
		if i == 0 {
			text = ""
		}
		text += fmt.Sprintf("[%s %d]", e.Op, e.Status)
	}
	return text
}

// Of accepts the exchanges of one operation.
func Of(op string) func(Exchange) bool {
	return func(e Exchange) bool { return e.Op == op }
}
