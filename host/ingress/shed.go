package ingress

import (
	"math/rand/v2"
	"runtime"
	"strconv"
	"time"

	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
)

// Shedding says when an ingress has too much to do and answers 503. The zero value of a
// field means what stands beside it.
type Shedding struct {
	// MaxInFlight deliveries are with the broker at a time; 128 for each core. Those of one
	// endpoint have half of the places at most.
	MaxInFlight int
	// MaxWaiting more wait, at most MaxWait each; four times MaxInFlight, 2 s.
	MaxWaiting int
	MaxWait    time.Duration
	// MaxBodyBytes limits the bodies that are held at a time, all together; 256 MiB.
	MaxBodyBytes int64
	// MaxTime limits what the broker may take for one, waits for the store included; 10 s.
	MaxTime time.Duration
	// Shed is told why a delivery was turned away: "full", "waited" or "bytes". It may be
	// nil.
	Shed func(why string)
	// Random is at least 0 and less than 1, and spreads when platforms come back;
	// math/rand/v2.Float64.
	Random func() float64
}

func (o *Shedding) fill() {
	if o.MaxInFlight == 0 {
		o.MaxInFlight = 128 * runtime.GOMAXPROCS(0)
	}
	if o.MaxWaiting == 0 {
		o.MaxWaiting = 4 * o.MaxInFlight
	}
	if o.MaxWait == 0 {
		o.MaxWait = 2 * time.Second
	}
	if o.MaxBodyBytes == 0 {
		o.MaxBodyBytes = 256 << 20
	}
	if o.MaxTime == 0 {
		o.MaxTime = 10 * time.Second
	}
	if o.Shed == nil {
		o.Shed = func(string) {}
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
}

// Why a delivery was turned away.
const (
	tooManyWaiting = "full"
	waitedTooLong  = "waited"
	tooManyBytes   = "bytes"
)

// maxRetryAfter is the longest that a platform is asked to wait. What an overloaded host
// needs is that they do not come back together, not that they stay away.
const maxRetryAfter = 10

// shed counts a delivery that was turned away, and says when to try again.
func (s *Server) shed(why string) *gate.Problem {
	s.opts.Shedding.Shed(why)
	seconds := 1 + int(s.opts.Shedding.Random()*maxRetryAfter)
	return gate.Busy("the host has too much to do; nothing of this delivery was kept, send it again", strconv.Itoa(seconds))
}
