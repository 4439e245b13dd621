package sandbox

import (
	"sync"
	"time"
)

// watchEvery is how often running calls are looked at.
const watchEvery = 20 * time.Millisecond

// watch ends the calls whose time has passed, or whose caller has gone. A timer of its
// own for each call would cost more than many a call does.
type watch struct {
	mu     sync.Mutex
	calls  map[*call]bool
	timer  *time.Timer
	closed bool
}

func newWatch() *watch { return &watch{calls: map[*call]bool{}} }

// begin watches a call, which has an instance.
func (w *watch) begin(c *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.instance.stop.Set(0)
	w.calls[c] = true
	if w.timer == nil && !w.closed {
		w.timer = time.AfterFunc(watchEvery, w.look)
	}
}

// end watches it no more, and reports whether it was stopped.
func (w *watch) end(c *call) (stopped bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.calls, c)
	return c.late
}

func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for c := range w.calls {
		if c.parent.Err() != nil || now.After(c.began.Add(c.deadline)) {
			c.late = true
			c.instance.stop.Set(^uint64(0))
		}
	}
	w.timer = nil
	if len(w.calls) > 0 && !w.closed {
		w.timer = time.AfterFunc(watchEvery, w.look)
	}
}

// close looks no more. No call runs.
func (w *watch) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.timer != nil {
		w.timer.Stop()
	}
}
