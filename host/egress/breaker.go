package egress

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const (
	// maxBreakers bounds how many destinations are remembered to have failed.
	maxBreakers = 4096
	// patience is how long a sender must have waited for a timeout to say something about
	// the destination: whoever allows a millisecond learns nothing.
	patience = 2 * time.Second
	// probes is how many requests find out whether a destination works again.
	probes = 2
	// soon is what a sender waits while others find that out.
	soon = time.Second
)

// BreakerChange tells that a destination is left alone from now on, or not any more.
type BreakerChange struct {
	// Plugin and Sender are the policy's; Sender is empty if the destination cannot be reached
	// at all, which concerns everybody who uses the plugin.
	Plugin, Sender string
	// Destination is scheme, host and port.
	Destination string
	// Open tells that it is left alone, and Again that it was before and has not recovered.
	Open, Again bool
	// For is how long until it is tried again.
	For time.Duration
}

// breakers leaves destinations alone that fail again and again. What the network says
// (nobody listens, nobody answers) concerns all senders of a plugin, and what the platform
// says (5xx, 429) the one sender, whose account or requests may be the reason.
type breakers struct {
	options Options

	mu    sync.Mutex
	known map[breakerKey]*breaker // only those with something to remember
}

type breakerKey struct{ plugin, sender, destination string }

// breaker is what is remembered of one destination.
type breaker struct {
	circuit circuitbreaker.CircuitBreaker[any]
	// paused is until when the platform wants to be left alone. Guarded by breakers.mu.
	paused time.Time
}

func newBreakers(o Options) *breakers {
	return &breakers{options: o, known: map[breakerKey]*breaker{}}
}

func destinationOf(u *url.URL) string { return u.Scheme + "://" + u.Hostname() + ":" + portOf(u) }

// permit is the leave to make one request. done must be called once.
type permit struct {
	breakers    *breakers
	shared, own breakerKey
	began       time.Time
}

// admit gives leave to make a request, or says for how long there is none.
func (b *breakers) admit(p domain.EgressPolicy, u *url.URL) (*permit, error) {
	destination := destinationOf(u)
	leave := &permit{breakers: b, began: time.Now(),
		shared: breakerKey{p.Plugin, "", destination}, own: breakerKey{p.Plugin, "from " + p.Sender, destination}}
	shared, own := b.find(leave.shared), b.find(leave.own)
	if wait := max(b.wait(shared), b.wait(own)); wait > 0 {
		return nil, leftAlone(destination, wait)
	}
	if shared != nil && !shared.circuit.TryAcquirePermit() {
		return nil, leftAlone(destination, soon)
	}
	if own != nil && !own.circuit.TryAcquirePermit() {
		if shared != nil && !shared.circuit.IsClosed() {
			shared.circuit.RecordFailure() // a probe cannot be given back
		}
		return nil, leftAlone(destination, soon)
	}
	return leave, nil
}

func leftAlone(destination string, wait time.Duration) *Fault {
	wait = max(wait, soon).Round(time.Second)
	fault := failed(contract.HostUnavailable, nil, "%s failed again and again or asked for a pause; it is tried again in %v", destination, wait)
	fault.RetryAfterMillis = wait.Milliseconds()
	return fault
}

func (b *breakers) find(k breakerKey) *breaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known[k]
}

// wait is how long a destination is left alone.
func (b *breakers) wait(known *breaker) time.Duration {
	if known == nil {
		return 0
	}
	b.mu.Lock()
	paused := time.Until(known.paused)
	b.mu.Unlock()
	return max(0, paused, known.circuit.RemainingDelay())
}

// done says what came of the request: an answer, or why there is none.
func (p *permit) done(ctx context.Context, response *http.Response, err error) {
	b := p.breakers
	switch {
	case err != nil && p.blames(ctx, err):
		b.failed(p.shared)
		b.unknown(p.own)
	case err != nil:
		b.unknown(p.shared)
		b.unknown(p.own)
	default:
		b.worked(p.shared)
		p.answered(response)
	}
}

// blames tells whether an error says something about the destination.
func (p *permit) blames(ctx context.Context, err error) bool {
	switch {
	case errors.Is(err, errForbiddenAddress), errors.Is(ctx.Err(), context.Canceled):
		return false
	case ctx.Err() != nil, isTimeout(err):
		return time.Since(p.began) >= patience
	}
	return true
}

// answered looks at what the platform said.
func (p *permit) answered(response *http.Response) {
	b, status := p.breakers, response.StatusCode
	busy := status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
	if pause := retryAfter(response.Header.Get("Retry-After"), time.Now()); busy && pause > 0 {
		b.pause(p.own, min(pause, b.options.MaxPause))
		return
	}
	if status == http.StatusTooManyRequests || status >= 500 && status != http.StatusNotImplemented {
		b.failed(p.own)
		return
	}
	b.worked(p.own)
}

// retryAfter reads a Retry-After field: seconds or a date; 0 if it says nothing.
func retryAfter(field string, now time.Time) time.Duration {
	field = strings.TrimSpace(field)
	if seconds, err := strconv.ParseUint(field, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(field); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// failed counts a failure.
func (b *breakers) failed(k breakerKey) { b.remember(k).circuit.RecordFailure() }

// worked counts a success, and forgets what has recovered.
func (b *breakers) worked(k breakerKey) {
	known := b.find(k)
	if known == nil {
		return
	}
	known.circuit.RecordSuccess()
	if !known.circuit.IsClosed() || known.circuit.Metrics().Failures() > 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known[k] == known && !known.paused.After(time.Now()) {
		delete(b.known, k)
	}
}

// unknown ends a request that says nothing about the destination. If it was to find out
// whether that works again, it counts as a failure: a probe cannot be given back.
func (b *breakers) unknown(k breakerKey) {
	if known := b.find(k); known != nil && known.circuit.IsHalfOpen() {
		known.circuit.RecordFailure()
	}
}

// pause leaves a destination alone because it said so.
func (b *breakers) pause(k breakerKey, wait time.Duration) {
	known := b.remember(k)
	b.unknown(k)
	b.mu.Lock()
	defer b.mu.Unlock()
	known.paused = time.Now().Add(wait)
}

// remember returns what is known of a destination, and begins to if nothing is.
func (b *breakers) remember(k breakerKey) *breaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known := b.known[k]; known != nil {
		return known
	}
	if len(b.known) >= maxBreakers {
		b.forgetOne()
	}
	known := &breaker{circuit: b.circuit(k)}
	b.known[k] = known
	return known
}

// forgetOne makes room, if it can at the cost of a destination that is not left alone. The
// caller holds mu.
func (b *breakers) forgetOne() {
	var victim breakerKey
	for k, known := range b.known {
		if victim = k; known.circuit.IsClosed() {
			break
		}
	}
	if known := b.known[victim]; !known.circuit.IsClosed() {
		b.options.OnBreaker(b.change(victim, false))
	}
	delete(b.known, victim)
}

func (b *breakers) change(k breakerKey, open bool) BreakerChange {
	return BreakerChange{Plugin: k.plugin, Sender: strings.TrimPrefix(k.sender, "from "), Destination: k.destination, Open: open}
}

// circuit makes a circuit that opens when four fifths of the last requests failed.
func (b *breakers) circuit(k breakerKey) circuitbreaker.CircuitBreaker[any] {
	failures := uint(b.options.BreakerFailures)
	return circuitbreaker.NewBuilder[any]().
		WithFailureThresholdRatio(failures, failures+failures/4).
		WithSuccessThreshold(probes).
		WithDelay(b.options.BreakerDelay).
		OnOpen(func(e circuitbreaker.StateChangedEvent) {
			change := b.change(k, true)
			change.Again, change.For = e.OldState == circuitbreaker.HalfOpenState, b.options.BreakerDelay
			b.options.OnBreaker(change)
		}).
		OnClose(func(circuitbreaker.StateChangedEvent) { b.options.OnBreaker(b.change(k, false)) }).
		Build()
}
