package sandbox

import (
	"math/rand/v2"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/sys"
)

const (
	// monotonicStart is not zero: Go's runtime takes a zero for a broken clock.
	monotonicStart = int64(time.Second)
	// tick is by how much monotonic time moves at a reading or a host call, so that a
	// loop that waits for time to pass ends.
	tick = int64(time.Microsecond)
	// wallStep is by how much the wall clock moves. TinyGo sleeps by watching it.
	wallStep = time.Millisecond
	// lastMoment is where monotonic time stops, far from overflowing.
	lastMoment = int64(1) << 61
)

// world is what an instance sees of time and chance. It lasts as long as the
// instance, and is set anew for every call.
type world struct {
	now       time.Time
	monotonic int64
	random    *rand.ChaCha8
}

// begin sets the world to what the call says.
func (w *world) begin(c *call) {
	w.now, w.monotonic = c.invocation.Now, monotonicStart
	if w.now.IsZero() {
		w.now = time.Unix(0, 0)
	}
	w.random = rand.NewChaCha8(c.invocation.Seed)
	c.world = w
}

// config binds a new instance to the world. There are no arguments, no environment,
// no files and no streams, which are wazero's defaults; see fdWrite for what is written.
func (w *world) config() wazero.ModuleConfig {
	return wazero.NewModuleConfig().
		WithName(""). // anonymous: there may be many
		WithStartFunctions().
		WithWalltime(w.walltime, sys.ClockResolution(wallStep)).
		WithNanotime(w.nanotime, sys.ClockResolution(tick)).
		WithNanosleep(w.sleep).
		WithRandSource(w)
}

// walltime stands still in a call that neither sleeps nor spins: it moves with
// monotonic time, a whole millisecond at a time.
func (w *world) walltime() (seconds int64, nanoseconds int32) {
	w.sleep(tick)
	t := w.now.Add(time.Duration(w.monotonic - monotonicStart).Truncate(wallStep))
	return t.Unix(), int32(t.Nanosecond())
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

// Read gives random bytes from the call's seed.
func (w *world) Read(p []byte) (int, error) { return w.random.Read(p) }
