package emulator

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// The operations, as steps and records call them.
const (
	OpServiceToken   = "service_token"
	OpToken          = "token"
	OpUserinfo       = "userinfo"
	OpRevoke         = "revoke"
	OpConsent        = "consent"
	OpCreateChannel  = "create_channel"
	OpUpdateChannel  = "update_channel"
	OpDeleteChannel  = "delete_channel"
	OpCreateSession  = "create_session"
	OpUpdateSession  = "update_session"
	OpDeleteSession  = "delete_session"
	OpListSessions   = "list_sessions"
	OpCreateMessage  = "create_message"
	OpUpdateMessage  = "update_message"
	OpTyping         = "typing"
	OpSearchClients  = "search_clients"
	OpCreateClient   = "create_client"
	OpGetClient      = "get_client"
	CallbackChannel  = "callback channel"
	CallbackSession  = "callback session"
	CallbackMessage  = "callback message"
	CallbackStatus   = "callback status"
	CallbackTyping   = "callback typing"
	opUnknown        = "unknown"
	maxBodyBytes     = 1 << 20
	keepExchanges    = 10_000
	closeTimeout     = 5 * time.Second
	callbackDeadline = 5 * time.Second
)

// Exchange is one request with its answer: of an app to the platform, or a callback. It is
// recorded when it ended.
type Exchange struct {
	// Seq counts the exchanges of a platform from 1, in the order they ended.
	Seq int
	// Op is one of the Op... and Callback... constants.
	Op string
	// Method, URL, Header and Body are the request's.
	Method, URL string
	Header      http.Header
	Body        []byte
	// Status is what was answered; 0 if there was no answer, and Err then says why.
	Status   int
	Response []byte
	Err      string
	// At is when it began.
	At time.Time
}

// recorder keeps what happened and wakes whoever waits for it.
type recorder struct {
	mu         sync.Mutex
	changed    chan struct{} // closed and replaced at every change
	seq        int
	exchanges  []Exchange
	violations []string
}

func newRecorder() *recorder { return &recorder{changed: make(chan struct{})} }

// add records an exchange; beyond keepExchanges, the oldest go.
func (r *recorder) add(e Exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	e.Seq = r.seq
	if len(r.exchanges) == keepExchanges {
		r.exchanges = slices.Delete(r.exchanges, 0, keepExchanges/8)
	}
	r.exchanges = append(r.exchanges, e)
	r.wakeLocked()
}

// violation records something that an app did against the protocol.
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

// Of returns the recorded exchanges of one operation.
func (p *Platform) Of(op string) []Exchange {
	return slices.DeleteFunc(p.Exchanges(), func(e Exchange) bool { return e.Op != op })
}

// Violations returns what apps did against the protocol, in words.
func (p *Platform) Violations() []string {
	p.rec.mu.Lock()
	defer p.rec.mu.Unlock()
	return slices.Clone(p.rec.violations)
}

// Wait waits until there are n exchanges of an operation, past or to come, and returns the
// n-th. The error is the context's, with what had been recorded until then.
func (p *Platform) Wait(ctx context.Context, op string, n int) (Exchange, error) {
	var found []Exchange
	err := p.rec.until(ctx, func() bool {
		found = p.Of(op)
		return len(found) >= n
	})
	if err != nil {
		return Exchange{}, fmt.Errorf("emulator: %d exchanges of %s, not %d: %w", len(found), op, n, err)
	}
	return found[n-1], nil
}

// WaitUntil waits until a condition over the platform holds; it is looked at after every
// change.
func (p *Platform) WaitUntil(ctx context.Context, what string, holds func() bool) error {
	if err := p.rec.until(ctx, holds); err != nil {
		return fmt.Errorf("emulator: still not so: %s: %w", what, err)
	}
	return nil
}
