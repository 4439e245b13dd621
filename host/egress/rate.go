package egress

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

const (
	// rateWindow is what a rate counts in: a second, and a little for the way to the platform,
	// on which requests may close up.
	rateWindow = 1050 * time.Millisecond
	// maxRateWait is how long a request waits on the spot until a rate lets it go out.
	maxRateWait = 2 * time.Second
	// maxInLine is how many requests of one rate wait on the spot: each holds a worker.
	maxInLine = 2
	// maxTurn limits how far ahead senders are told to come back.
	maxTurn = time.Minute
	// maxGauges is how many rates are kept before those that nobody uses are forgotten.
	maxGauges = 16384
)

// rates keeps requests within what their rules say, by whose requests count together.
type rates struct {
	mu     sync.Mutex
	gauges map[gaugeKey]*gauge
	swept  time.Time // when unused gauges were last looked for
}

type gaugeKey struct {
	plugin, rule, owner string
	bound               manifest.Rate
}

func newRates() *rates { return &rates{gauges: map[gaugeKey]*gauge{}} }

// take waits until every rate of the rules lets one more request go out; free ends the
// request. If that would take long, or others wait already, the error says when to come
// back.
func (r *rates) take(ctx context.Context, p domain.EgressPolicy, rules []domain.EgressRule) (free func(), err error) {
	var taken []*gauge
	free = func() {
		for _, g := range taken {
			g.leave()
			r.giveBack(g)
		}
	}
	for _, k := range bounds(p, rules) {
		g := r.borrow(k)
		if err := g.enter(ctx, k.rule); err != nil {
			r.giveBack(g)
			free()
			return nil, err
		}
		taken = append(taken, g)
	}
	return free, nil
}

// bounds lists what a request has to get through. What the connections of an app share comes
// last: a request that its own connection holds back must not use it up for the others.
func bounds(p domain.EgressPolicy, rules []domain.EgressRule) (own []gaugeKey) {
	var shared []gaugeKey
	for _, rule := range rules {
		for _, bound := range rule.Rates {
			k := gaugeKey{p.Plugin, rule.Name, ownerOf(p, bound), bound}
			if bound.Per == manifest.ScopeApp {
				shared = append(shared, k)
				continue
			}
			own = append(own, k)
		}
	}
	return append(own, shared...)
}

// ownerOf says whose requests count together.
func ownerOf(p domain.EgressPolicy, bound manifest.Rate) string {
	if bound.Per == manifest.ScopeApp {
		return "app " + cmp.Or(p.App, p.Sender)
	}
	return "connection " + p.Sender
}

func (r *rates) borrow(k gaugeKey) *gauge {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.gauges[k]
	if g == nil {
		r.sweep()
		g = newGauge(k.bound)
		r.gauges[k] = g
	}
	g.users++
	return g
}

func (r *rates) giveBack(g *gauge) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g.users--
	g.used = time.Now()
}

// sweep forgets what nobody has used for as long as it could matter. The caller holds mu.
func (r *rates) sweep() {
	now := time.Now()
	if len(r.gauges) < maxGauges || now.Sub(r.swept) < rateWindow {
		return
	}
	r.swept = now
	for k, g := range r.gauges {
		if g.users == 0 && now.Sub(g.used) > maxTurn {
			delete(r.gauges, k)
		}
	}
}

// gauge is one rate of one owner.
type gauge struct {
	users int       // guarded by rates.mu, as is used
	used  time.Time // when the last request ended

	// places has room for each request under way; nil if any number may be.
	places chan struct{}
	// line has room for each request that waits on the spot.
	line chan struct{}

	mu sync.Mutex
	// most is how many may go out in a window, 0 for any number. sent is when the last ones
	// did, or will; the oldest of them is at next once there are as many as may.
	most int
	sent []time.Time
	next int
	// turn is when the last sender was told to come back.
	turn time.Time
	step time.Duration
}

func newGauge(bound manifest.Rate) *gauge {
	g := &gauge{line: make(chan struct{}, maxInLine), most: int(bound.RequestsPerSecond)}
	if bound.Concurrent > 0 {
		g.places = make(chan struct{}, bound.Concurrent)
	}
	g.step = rateWindow / time.Duration(cmp.Or(bound.RequestsPerSecond, bound.Concurrent, 1))
	return g
}

// enter returns once a request may go out.
func (g *gauge) enter(ctx context.Context, rule string) error {
	if g.place() {
		if g.claim(time.Now(), 0) == 0 {
			return nil
		}
		g.leave()
	}
	select {
	case g.line <- struct{}{}:
		defer func() { <-g.line }()
	default:
		return g.comeBack(rule)
	}
	return g.wait(ctx, rule)
}

// place takes a place if there is one.
func (g *gauge) place() bool {
	if g.places == nil {
		return true
	}
	select {
	case g.places <- struct{}{}:
		return true
	default:
		return false
	}
}

// leave gives the place back.
func (g *gauge) leave() {
	if g.places != nil {
		<-g.places
	}
}

// claim notes that a request goes out, and returns for how long it has to wait until then.
// If that is longer than most it notes nothing.
func (g *gauge) claim(now time.Time, most time.Duration) (wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.most == 0:
		return 0
	case len(g.sent) < g.most:
		g.sent = append(g.sent, now)
		return 0
	}
	wait = max(0, g.sent[g.next].Add(rateWindow).Sub(now))
	if wait <= most {
		g.sent[g.next] = now.Add(wait)
		g.next = (g.next + 1) % g.most
	}
	return wait
}

// wait waits on the spot, first for a place and then for the time.
func (g *gauge) wait(ctx context.Context, rule string) error {
	deadline := time.Now().Add(maxRateWait)
	if g.places != nil {
		patience := time.NewTimer(maxRateWait)
		defer patience.Stop()
		select {
		case g.places <- struct{}{}:
		case <-patience.C:
			return g.comeBack(rule)
		case <-ctx.Done():
			return givenUp(ctx)
		}
	}
	most := time.Until(deadline)
	wait := g.claim(time.Now(), most)
	if wait > most {
		g.leave()
		return g.comeBack(rule)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		g.leave()
		return givenUp(ctx)
	}
}

// comeBack tells a sender when to come back: each a little later than the one before, so
// that they do not come all at once.
func (g *gauge) comeBack(rule string) error {
	g.mu.Lock()
	now := time.Now()
	if soonest := now.Add(soon); g.turn.Before(soonest) {
		g.turn = soonest
	}
	if next := g.turn.Add(g.step); next.Before(now.Add(maxTurn)) {
		g.turn = next
	}
	wait := g.turn.Sub(now)
	g.mu.Unlock()
	fault := failed(contract.HostUnavailable, nil, "the rate of egress rule %s is used up; come back in %v", rule, wait.Round(time.Millisecond))
	fault.RetryAfterMillis = wait.Milliseconds()
	return fault
}

// givenUp is the fault of a request whose time was over before it went out.
func givenUp(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return failed(contract.HostTimeout, nil, "its time was over before its rate let the request out")
	}
	return failed(contract.HostUnavailable, nil, "the host gave the request up")
}
