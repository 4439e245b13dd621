package emulator

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Way says who called whom in an [Exchange].
type Way string

// The ways of an exchange.
const (
	// ToChannel means that the platform called the channel.
	ToChannel Way = "to channel"
	// FromChannel means that the channel called the platform.
	FromChannel Way = "from channel"
)

// Exchange is one request with its answer. It is recorded when it ended.
type Exchange struct {
	// Seq counts the exchanges of a platform from 1, in the order they ended.
	Seq int
	Way Way
	// Type is the operation, one of the Op... constants; empty for what the platform does not
	// have.
	Type   string
	URL    string
	Header http.Header
	// Body is the request's; a file's bytes are not kept.
	Body []byte
	// Status is what was answered; 0 if there was no answer, and Err then says why.
	Status   int
	Response []byte
	Err      string
	Began    time.Time
	Took     time.Duration
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

// violation records something that the channel did against the protocol.
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

// until calls done after every change until it says true or ctx ends. done is called
// without a lock held.
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

// Violations returns what the channel did against the protocol, in words.
func (p *Platform) Violations() []string {
	p.rec.mu.Lock()
	defer p.rec.mu.Unlock()
	return slices.Clone(p.rec.violations)
}

// Wait returns the first recorded exchange that match accepts, past or to come. The
// error is the context's, with what had been recorded until then.
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
		return nil, fmt.Errorf("emulator: %d of %d exchanges came (of %s): %w",
			len(found), n, p.summary(), err)
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
		text += fmt.Sprintf("[%s %s %d]", e.Way, e.Type, e.Status)
	}
	return text
}

// Of accepts the exchanges of one way and one type.
func Of(way Way, kind string) func(Exchange) bool {
	return func(e Exchange) bool { return e.Way == way && e.Type == kind }
}
