package limits

import (
	"math"
	"time"

	"golang.org/x/time/rate"
)

// maxDebt bounds how long a workspace waits for one thing that it used too much of: a
// single invocation may use more than a small limit allows in a day.
const maxDebt = time.Hour

// maxBurst is the largest count that a bucket can hold exactly.
const maxBurst = 1 << 52

// bucket is the budget of one workspace for one limit. It fills at the sustained rate and
// holds what comes in two seconds.
type bucket struct {
	name Name
	// perSecond is the limit as people set it; 0 is none.
	perSecond float64
	limiter   *rate.Limiter // nil if there is no limit
}

// set changes the limit; units is how many tokens one of what it counts is. What was taken
// stays taken.
func (b *bucket) set(now time.Time, name Name, perSecond, units float64) {
	b.name, b.perSecond = name, perSecond
	if perSecond <= 0 {
		b.limiter = nil
		return
	}
	tokens := perSecond * units
	burst := int(min(max(math.Ceil(2*tokens), 1), maxBurst))
	if b.limiter == nil {
		b.limiter = rate.NewLimiter(rate.Limit(tokens), burst)
		return
	}
	b.limiter.SetLimitAt(now, rate.Limit(tokens))
	b.limiter.SetBurstAt(now, burst)
}

// take takes n tokens, into debt if need be.
func (b *bucket) take(now time.Time, n int64) {
	if b.limiter == nil {
		return
	}
	for n > 0 && b.wait(now, 0) < maxDebt {
		piece := min(n, int64(b.limiter.Burst()))
		b.limiter.ReserveN(now, int(piece)) // more than the burst would be refused
		n -= piece
	}
}

// wait is how long it takes until there are so many tokens; 0 if there are. No tokens at
// all are enough for 0: only debt is not.
func (b *bucket) wait(now time.Time, tokens float64) time.Duration {
	if b.limiter == nil {
		return 0
	}
	missing := tokens - b.limiter.TokensAt(now)
	if missing <= 1e-6 { // what floating point leaves
		return 0
	}
	seconds := missing / float64(b.limiter.Limit())
	if most := maxDebt + time.Hour; seconds >= most.Seconds() {
		return most
	}
	return time.Duration(math.Ceil(seconds * float64(time.Second)))
}

// full tells whether nothing that was taken still counts.
func (b *bucket) full(now time.Time) bool {
	return b.limiter == nil || b.limiter.TokensAt(now) >= float64(b.limiter.Burst())
}
