// Package limits keeps one workspace from using up what all share.
//
// What is done for an app counts for that app alone, by the limits of the host's workspace: see
// domain.Connection.Budget.
//
// A [Limiter] holds token buckets per workspace and per limit, and says before a delivery
// or a command is taken whether it may be. What was spent is charged where it is known:
// requests and bytes when they are admitted, fuel once an invocation has used it. Fuel and
// bytes may go into debt, so that the size of one thing never makes it impossible; a
// workspace in debt waits until it has paid.
//
// Whoever is refused gets an [*Exceeded], which names the limit and says when to come
// back. Nothing is charged for what was refused, and nothing that was admitted is dropped:
// a delivery that is refused was never acknowledged, and its platform sends it again.
//
// The limiter guards the host and is not part of what keeps data right, so it fails open:
// when it cannot learn the limits of a workspace, its deliveries pass.
package limits

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Name is the name of one limit: that of its member in domain.Limits as JSON.
type Name string

// The limits.
const (
	DeliveriesPerSecond  Name = "deliveries_per_second"
	CommandsPerSecond    Name = "commands_per_second"
	BytesPerSecond       Name = "bytes_per_second"
	FuelMillionPerSecond Name = "fuel_million_per_second"
	QueuedJobs           Name = "queued_jobs"
	Connections          Name = "connections"
	Subscribers          Name = "subscribers"
	Bridges              Name = "bridges"
	// DeliveriesInFlight is the host's alone: a workspace has no own value for it.
	DeliveriesInFlight Name = "deliveries_in_flight"
)

// Exceeded is a limit that was reached. It is domain.ErrQuota. Match on Limit; the text is
// for people and may be reworded.
type Exceeded struct {
	Workspace contract.WorkspaceID
	Limit     Name
	// Most is the limit's value.
	Most float64
	// RetryAfter is when it makes sense to try again, spread at random so that not all come
	// back at once; 0 means that waiting does not help.
	RetryAfter time.Duration
}

func (e *Exceeded) Error() string {
	text := fmt.Sprintf("workspace %s has reached its limit %s, which is %v", e.Workspace, e.Limit, e.Most)
	if e.RetryAfter > 0 {
		return fmt.Sprintf("%s; try again in %d s, or ask an operator for more", text, e.RetryAfterSeconds())
	}
	return text + "; remove one that is not needed, or ask an operator for more"
}

// Is tells that it is a domain.ErrQuota.
func (e *Exceeded) Is(target error) bool { return target == domain.ErrQuota }

// RetryAfterSeconds is RetryAfter as a Retry-After header has it: rounded up, at least 1.
func (e *Exceeded) RetryAfterSeconds() int {
	return max(1, int(math.Ceil(e.RetryAfter.Seconds())))
}

// Options says how a limiter works.
type Options struct {
	// Defaults counts where a workspace has no value of its own; a field that is 0 or less
	// is no limit.
	Defaults domain.Limits
	// InFlight is how many deliveries of one workspace may be on their way through the host
	// at a time; 0 is no limit.
	InFlight int
	// Own reads what an operator set for a workspace. It is asked once, and again after
	// Changed. It must not call the limiter.
	Own func(ctx context.Context, ws contract.WorkspaceID) (domain.Limits, error)
	// Queued counts the jobs of a workspace that wait; it must be quick, and must not call
	// the limiter.
	Queued func(ws contract.WorkspaceID) int
	// Refused is told of every refusal; it must be quick.
	Refused func(limit Name)
	// Now is a clock that never goes back; time.Now in production, which measures what passed
	// by the monotonic clock.
	Now func() time.Time
	// Random is at least 0 and less than 1, and spreads when people come back;
	// math/rand/v2.Float64 in production.
	Random func() float64
	Log    *slog.Logger
}

// Limiter holds what each workspace has used lately. It is safe for concurrent use.
type Limiter struct {
	opts Options

	mu      sync.Mutex
	tenants map[contract.WorkspaceID]*tenant
	swept   time.Time
}

// New makes a limiter.
func New(opts Options) *Limiter {
	return &Limiter{opts: opts, tenants: map[contract.WorkspaceID]*tenant{}, swept: opts.Now()}
}

// AdmitDelivery takes a delivery with so many bytes of body. release is to be called, once,
// when it was answered. The error is an *Exceeded, and nothing was charged then.
func (l *Limiter) AdmitDelivery(ws contract.WorkspaceID, bytes int64) (release func(), err error) {
	t := l.lock(ws)
	defer l.mu.Unlock()
	if e := l.refusesDelivery(t); e != nil {
		return nil, l.refuse(ws, e)
	}
	now := l.opts.Now()
	t.deliveries.take(now, 1)
	t.bytes.take(now, bytes)
	t.inFlight++
	return sync.OnceFunc(func() { l.land(t) }), nil
}

// refusesDelivery tells which limit forbids a delivery; nil if none does.
func (l *Limiter) refusesDelivery(t *tenant) *Exceeded {
	switch {
	case !t.known:
		return nil // whatever is the matter, the platform's delivery must not suffer from it
	case l.opts.InFlight > 0 && t.inFlight >= l.opts.InFlight:
		return &Exceeded{Limit: DeliveriesInFlight, Most: float64(l.opts.InFlight), RetryAfter: time.Second}
	}
	// Deliveries bring forth few jobs, and what waits is mostly what goes out: a platform
	// that takes no messages must not stop those that it sends.
	if e := l.queueFull(t, 2*t.limits.QueuedJobs); e != nil {
		return e
	}
	return t.short(l.opts.Now(), &t.deliveries)
}

// AdmitCommand takes a command of so many bytes that somebody asks for. The error is an
// *Exceeded, and nothing was charged then.
func (l *Limiter) AdmitCommand(ws contract.WorkspaceID, bytes int64) error {
	t := l.lock(ws)
	defer l.mu.Unlock()
	e := l.queueFull(t, t.limits.QueuedJobs)
	if e == nil {
		e = t.short(l.opts.Now(), &t.commands)
	}
	if e != nil {
		return l.refuse(t.id, e)
	}
	now := l.opts.Now()
	t.commands.take(now, 1)
	t.bytes.take(now, bytes)
	return nil
}

// ChargeFuel notes the fuel that an invocation used. It never refuses: what was used is
// used, and Debt tells how long it takes to pay.
func (l *Limiter) ChargeFuel(ws contract.WorkspaceID, fuel int64) {
	t := l.lock(ws)
	defer l.mu.Unlock()
	t.fuel.take(l.opts.Now(), (fuel+fuelUnit-1)/fuelUnit)
}

// Debt is how long a workspace has to wait for its fuel; 0 means that it may go on.
func (l *Limiter) Debt(ws contract.WorkspaceID) time.Duration {
	t := l.lock(ws)
	defer l.mu.Unlock()
	return t.fuel.wait(l.opts.Now(), 0)
}

// Changed says that the limits of a workspace may not be any more what they were.
func (l *Limiter) Changed(ws contract.WorkspaceID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, t := range l.tenants {
		if domain.BudgetWorkspace(id) == ws {
			t.known = false
			t.version++
		}
	}
}

// Effective is what binds a workspace now: its own values where it has some, and the
// host's where not. A field that is 0 is no limit.
func (l *Limiter) Effective(ws contract.WorkspaceID) domain.Limits {
	t := l.lock(ws)
	defer l.mu.Unlock()
	return t.limits
}

// queueFull tells whether a workspace has as many jobs waiting as it may; 0 is no bound.
func (l *Limiter) queueFull(t *tenant, most int64) *Exceeded {
	if most <= 0 || int64(l.opts.Queued(t.id)) < most {
		return nil
	}
	return &Exceeded{Limit: QueuedJobs, Most: float64(t.limits.QueuedJobs), RetryAfter: 5 * time.Second}
}

// refuse completes a refusal and tells of it.
func (l *Limiter) refuse(ws contract.WorkspaceID, e *Exceeded) *Exceeded {
	l.opts.Refused(e.Limit)
	e.Workspace = ws
	if e.RetryAfter > 0 {
		e.RetryAfter += time.Duration(l.opts.Random() * float64(max(e.RetryAfter/4, time.Second)))
	}
	return e
}

// land ends a delivery's way.
func (l *Limiter) land(t *tenant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.inFlight--
}
