package subscribers

import (
	"sync"
	"time"
)

const (
	// slowAfter is how many failures in a row make a subscriber one that is probably down:
	// from then on it is asked once at a time, with pauses.
	slowAfter = 3
	// longestPause bounds these pauses, and so how long it takes until a subscriber that is
	// back gets events again.
	longestPause = time.Minute
	firstPause   = time.Second
)

// health is how a subscriber is doing: whether it may be asked now, and how many may ask at
// once.
type health struct {
	jitter func(n int64) int64
	// changed holds a value when there may be something to do for whoever waits.
	changed chan struct{}

	mu       sync.Mutex
	failures int       // in a row
	pauses   int       // in a row
	until    time.Time // nobody asks before
	asked    bool      // the subscriber itself named until
}

func newHealth(jitter func(n int64) int64) *health {
	return &health{jitter: jitter, changed: make(chan struct{}, 1)}
}

// recall begins with what is known from an earlier run.
func (h *health) recall(failures int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures = max(h.failures, failures)
}

// forget begins anew, because somebody said that it works.
func (h *health) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures, h.pauses, h.until, h.asked = 0, 0, time.Time{}, false
	h.nudge()
}

// took notes a success. It reports whether the subscriber was down before.
func (h *health) took() (recovered bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	recovered = h.failures >= slowAfter
	h.failures, h.pauses = 0, 0
	if !h.asked {
		h.until = time.Time{}
	}
	h.nudge()
	return recovered
}

// failed notes a failure. holds tells that it was about the subscriber as a whole and not
// about the event; wait is what the subscriber asked for, 0 for nothing.
func (h *health) failed(now time.Time, holds bool, wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures++
	defer h.nudge()
	if wait > 0 {
		if until := now.Add(wait); until.After(h.until) {
			h.until, h.asked = until, true
		}
		return
	}
	if now.Before(h.until) || !holds && h.failures < slowAfter {
		return // one of several that failed together, or its own trouble
	}
	pause := min(firstPause<<min(h.pauses, 16), longestPause)
	h.pauses++
	h.until, h.asked = now.Add(pause/2+time.Duration(h.jitter(int64(pause/2)+1))), false
}

// gate returns how many may ask at once, of at most window, and how long nobody may.
func (h *health) gate(now time.Time, window int) (most int, wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Before(h.until) {
		return 0, h.until.Sub(now)
	}
	if h.failures >= slowAfter {
		return 1, 0
	}
	return window, 0
}

// asksFor returns until when the subscriber itself wants to be left alone; zero if it does
// not.
func (h *health) asksFor(now time.Time) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asked && now.Before(h.until) {
		return h.until
	}
	return time.Time{}
}

func (h *health) nudge() {
	select {
	case h.changed <- struct{}{}:
	default: // a nudge is under way already
	}
}
