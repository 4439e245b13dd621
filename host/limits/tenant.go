package limits

import (
	"context"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const (
	// fuelUnit is what the buckets count fuel in.
	fuelUnit = 1000
	// sweepInterval is how often idle workspaces are forgotten.
	sweepInterval = time.Minute
)

// tenant is what one workspace has used lately. The limiter's lock guards it.
type tenant struct {
	id contract.WorkspaceID
	// limits binds it: its own values and, where it has none, the host's. A field that is 0
	// is no limit.
	limits domain.Limits
	// known tells that limits holds what the workspace has of its own; version changes
	// whenever somebody said that this may have changed.
	known   bool
	version int
	// warned tells that a failure to read the limits was logged.
	warned bool

	deliveries, commands, bytes, fuel bucket
	inFlight                          int
	// turns holds who makes something; see Within. holders counts who works with this
	// tenant without the lock.
	turns   map[Name]chan struct{}
	holders int
}

// lock takes the lock and returns the tenant. Its limits are read first, if need be and
// without the lock; if that fails it stays unknown, with the host's defaults.
func (l *Limiter) lock(ws contract.WorkspaceID) *tenant {
	l.mu.Lock()
	l.sweep()
	t := l.tenants[ws]
	if t == nil {
		t = &tenant{id: ws, turns: map[Name]chan struct{}{}}
		t.set(l.opts.Now(), effective(domain.Limits{}, l.opts.Defaults))
		l.tenants[ws] = t
	}
	for !t.known && l.read(t) {
	}
	return t
}

// read reads a tenant's own limits; the lock is held before and after. It answers whether
// to try again, because they changed meanwhile.
func (l *Limiter) read(t *tenant) (again bool) {
	version := t.version
	t.holders++
	l.mu.Unlock()
	own, err := l.opts.Own(context.Background(), t.id)
	l.mu.Lock()
	t.holders--
	if err != nil {
		if !t.warned {
			l.opts.Log.Warn("the limits of a workspace cannot be read: its deliveries are not limited, the rest by the host's defaults",
				"workspace", t.id, "error", err)
		}
		t.warned = true
		return false
	}
	t.warned = false
	if t.version != version {
		return true
	}
	if !t.known { // or somebody else has read them
		t.set(l.opts.Now(), effective(own, l.opts.Defaults))
		t.known = true
	}
	return false
}

// set has the tenant bound by other limits. What it used stays used.
func (t *tenant) set(now time.Time, limits domain.Limits) {
	t.limits = limits
	t.deliveries.set(now, DeliveriesPerSecond, limits.DeliveriesPerSecond, 1)
	t.commands.set(now, CommandsPerSecond, limits.CommandsPerSecond, 1)
	t.bytes.set(now, BytesPerSecond, limits.BytesPerSecond, 1)
	t.fuel.set(now, FuelMillionPerSecond, limits.FuelMillionPerSecond, 1e6/fuelUnit)
}

// short tells what the tenant has not enough of for one more request; nil if nothing.
func (t *tenant) short(now time.Time, requests *bucket) *Exceeded {
	for _, need := range []struct {
		bucket *bucket
		tokens float64
	}{{&t.fuel, 0}, {&t.bytes, 0}, {requests, 1}} {
		if wait := need.bucket.wait(now, need.tokens); wait > 0 {
			return &Exceeded{Limit: need.bucket.name, Most: need.bucket.perSecond, RetryAfter: wait}
		}
	}
	return nil
}

// idle tells whether forgetting the tenant would make no difference.
func (t *tenant) idle(now time.Time) bool {
	return t.holders == 0 && t.inFlight == 0 && t.deliveries.full(now) && t.commands.full(now) && t.bytes.full(now) && t.fuel.full(now)
}

// sweep forgets idle tenants, now and then.
func (l *Limiter) sweep() {
	now := l.opts.Now()
	if now.Sub(l.swept) < sweepInterval {
		return
	}
	l.swept = now
	for id, t := range l.tenants {
		if t.idle(now) {
			delete(l.tenants, id)
		}
	}
}

// effective puts a workspace's own limits over the host's.
func effective(own, host domain.Limits) domain.Limits {
	return domain.Limits{
		DeliveriesPerSecond:  chosen(own.DeliveriesPerSecond, host.DeliveriesPerSecond),
		CommandsPerSecond:    chosen(own.CommandsPerSecond, host.CommandsPerSecond),
		BytesPerSecond:       chosen(own.BytesPerSecond, host.BytesPerSecond),
		FuelMillionPerSecond: chosen(own.FuelMillionPerSecond, host.FuelMillionPerSecond),
		QueuedJobs:           chosen(own.QueuedJobs, host.QueuedJobs),
		Connections:          chosen(own.Connections, host.Connections),
		Subscribers:          chosen(own.Subscribers, host.Subscribers),
		Bridges:              chosen(own.Bridges, host.Bridges),
	}
}

// chosen is the own value, or the host's if there is none; 0 if that is no limit.
func chosen[N int64 | float64](own, host N) N {
	if own == 0 {
		own = host
	}
	return max(own, 0)
}
