package jobs

import "time"

const (
	// look is how often the clock is looked at, at the least. Timers do not notice that the
	// clock on the wall was set.
	look = 5 * time.Second
	// jump is how far the clock on the wall must move, beyond the time that passed, to count
	// as set. Less is how clocks are kept right.
	jump = time.Second
)

// clock notices when the clock on the wall is set back.
type clock struct {
	now   func() time.Time
	began time.Time // with a monotonic reading, which nobody sets
	ahead int64     // the wall's time less the time that passed since began
}

func newClock(now func() time.Time) *clock {
	c := &clock{now: now, began: time.Now()}
	c.ahead = c.now().UnixNano()
	return c
}

// read returns the time on the wall, in Unix nanoseconds, and how far it was set back since
// the last call; 0 if it was not.
func (c *clock) read() (now, back int64) {
	now = c.now().UnixNano()
	ahead := now - int64(time.Since(c.began))
	if moved := ahead - c.ahead; moved < -int64(jump) || moved > int64(jump) {
		c.ahead = ahead
		return now, max(0, -moved)
	}
	return now, 0
}
