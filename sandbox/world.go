package sandbox

import (
	"math/rand/v2"
	"time"
)

const (
	// startingAt is the monotonic time at which a plugin is started. It is not zero: Go's
	// runtime takes a zero for a broken clock.
	startingAt = int64(time.Second)
	// callingAt is the monotonic time at which a call begins, whether the plugin was
	// started for it or long before; it is later if starting took longer.
	callingAt = 2 * int64(time.Second)
	// tick is by how much monotonic time moves at a reading or a host call, so that a
	// loop that waits for time to pass ends.
	tick = int64(time.Microsecond)
	// wallStep is by how much the wall clock moves. TinyGo sleeps by watching it.
	wallStep = time.Millisecond
	// lastMoment is where monotonic time stops, far from overflowing.
	lastMoment = int64(1) << 61
)

// world is what a plugin sees of time and chance.
type world struct {
	now       time.Time
	began     int64 // monotonic, as monotonic is
	monotonic int64
	random    *rand.ChaCha8
	drawn     bool // randomness was asked for
}

// starting is the world in which a plugin is started: nobody's call, and so the same
// for all of them.
func starting(seed [32]byte) world {
	return world{now: time.Unix(0, 0), began: startingAt, monotonic: startingAt, random: rand.NewChaCha8(seed)}
}

// calling is the world of a call to a plugin whose start ended at a moment.
func calling(inv *Invocation, started int64) world {
	at := max(callingAt, started)
	w := world{now: inv.Now, began: at, monotonic: at, random: rand.NewChaCha8(inv.Seed)}
	if w.now.IsZero() {
		w.now = time.Unix(0, 0)
	}
	return w
}

// walltime stands still in a call that neither sleeps nor spins: it moves with
// monotonic time, a whole millisecond at a time.
func (w *world) walltime() time.Time {
	w.sleep(tick)
	return w.now.Add(time.Duration(w.monotonic - w.began).Truncate(wallStep))
}

func (w *world) nanotime() int64 {
	w.sleep(tick)
	return w.monotonic
}

// sleep does not: monotonic time moves as if it had.
func (w *world) sleep(nanoseconds int64) {
	if nanoseconds > 0 {
		w.monotonic = min(w.monotonic+min(nanoseconds, lastMoment), lastMoment)
	}
}

// fill fills p with random bytes.
func (w *world) fill(p []byte) {
	w.drawn = true
	_, _ = w.random.Read(p) // never fails
}
