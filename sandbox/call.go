package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/seed75a60ee1/patchbay/sandbox/kernel"
	"github.com/seed75a60ee1/patchbay/sandbox/meter"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// HostFunc is a function that a plugin may call. Its arguments are a copy, or nil if
// the plugin named no block; its result is lent to the plugin's invocation, which
// only reads it, and an empty one is the handle zero. An error ends the invocation
// with a [*HostFault]: it is for cancellation and for the host's own failures. What
// the plugin did wrong is to be said in the result.
type HostFunc func(ctx context.Context, args []byte) ([]byte, error)

// Invocation is one call into a plugin, and all that it can reach.
type Invocation struct {
	// Export is the function to call.
	Export string
	// Input is only read, and not kept.
	Input []byte
	// Host are the host functions by name. To call one that was admitted and is not
	// here ends the invocation with a [*HostFault].
	Host map[string]HostFunc
	// Config is what Extism's config_get answers from.
	Config map[string]string
	// Now is the wall clock, which stands still unless the plugin sleeps or spins; the
	// zero time is taken as 1970. All time is made up: a reading and a host call take a
	// microsecond, a sleep passes at once.
	Now time.Time
	// Seed is where all randomness comes from. Two invocations with the same seed get
	// the same random numbers, so use a new one for each.
	Seed [32]byte
	// Deadline is how long it may take, which host functions are told by their context; 0,
	// or more than [Limits.Deadline], is that.
	Deadline time.Duration
	// Fuel is how much it may use; 0, or more than [Limits.Fuel], is that.
	Fuel int64
	// Tenant is whose call it is. It is used for nothing but to serve tenants in turn
	// when calls have to wait for memory.
	Tenant string
	// Log takes the plugin's log lines, one by one while it runs. It may be nil.
	Log func(LogLine)
}

// Result is what came of an invocation.
type Result struct {
	// Output is the caller's to keep. It is nil if the invocation failed.
	Output []byte
	// HostCalls is how often host functions were called.
	HostCalls int
	// MemoryBytes is the plugin's own memory at the end, which is its highest.
	MemoryBytes int64
	// Fuel is what was used, as package meter charges: the same for the same invocation of
	// the same plugin, on any machine.
	Fuel int64
	// Took is the time from start to end, host functions included.
	Took time.Duration
}

// Call runs an export in an instance of its own and returns its output. It may be
// called from several goroutines.
//
// # Errors
//
//   - [ErrClosed], [ErrNoExport]: nothing ran, and there is no Result.
//   - [*LimitError]: a limit was met. The deadline's matches [context.DeadlineExceeded].
//   - [*Trap]: the plugin crashed.
//   - [*GuestError]: the plugin reported a failure.
//   - [*HostFault]: a host function failed, or memory did, as by [ErrBusy].
//   - ctx's own error, wrapped, if that ended first.
//
// With these a Result says what was used until then.
func (p *Plugin) Call(ctx context.Context, inv Invocation) (*Result, error) {
	return p.call(ctx, inv, nil)
}

// call is Call with a recorder of its host calls, or nil.
func (p *Plugin) call(ctx context.Context, inv Invocation, rec *recording.Recorder) (*Result, error) {
	if !p.calls.enter() {
		return nil, fmt.Errorf("call %s: plugin %w", clip(inv.Export, 64), ErrClosed)
	}
	defer p.calls.leave()
	switch t := p.spec.exportType(inv.Export); t {
	case "() -> ()", "() -> i32", "() -> i64":
	case "":
		return nil, fmt.Errorf("call %s: %w", clip(inv.Export, 64), ErrNoExport)
	default:
		return nil, fmt.Errorf("call %s of type %s: %w that takes nothing and returns a code", clip(inv.Export, 64), clip(t, 64), ErrNoExport)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("call %s: %w", clip(inv.Export, 64), context.Cause(ctx))
	}
	c := p.newCall(ctx, inv)
	c.recorder = rec
	defer c.end()
	from := p.source
	if c.runsStarter() {
		from = p.fresh
	}
	return c.run(from)
}

// call is an invocation under way. It is the context that the guest's functions are
// called with.
type call struct {
	context.Context // the caller's
	parent          context.Context
	deadlined       context.Context // with the deadline, once something asked
	cancel          context.CancelFunc
	invocation      *Invocation
	recorder        *recording.Recorder // may be nil
	plugin          *Plugin
	deadline        time.Duration
	fuel            int64
	began           time.Time

	instance       *instance
	kernel         *kernel.Kernel
	world          world
	stack          [1]uint64
	log            logger
	stdout, stderr lineWriter
	hostCalls      int
	fuelUsed       int64
	memoryBytes    int64
	late           bool   // its time had passed, or its caller gone, while it ran
	empty          string // the limit whose global was below zero at the end
	stopped        error  // why the host ended it
	exited         bool   // the guest ended itself
	starved        bool   // memory could not grow because others had it
}

type callKey struct{}

// Value finds the call from the context that wazero hands to a host function.
func (c *call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

func callOf(ctx context.Context) *call {
	if c, ok := ctx.(*call); ok { // as it is, but for wazero's own wrapping
		return c
	}
	return ctx.Value(callKey{}).(*call)
}

func (p *Plugin) newCall(ctx context.Context, inv Invocation) *call {
	l := &p.limits
	c := &call{Context: ctx, parent: ctx, invocation: &inv, plugin: p, deadline: l.Deadline, fuel: l.fuelOf(inv.Fuel), began: time.Now()}
	if inv.Deadline > 0 {
		c.deadline = min(c.deadline, inv.Deadline)
	}
	c.log = logger{sink: inv.Log, most: l.LogLines, cut: l.LogLineBytes}
	c.stdout = lineWriter{log: &c.log, level: slog.LevelInfo, source: SourceStdout}
	c.stderr = lineWriter{log: &c.log, level: slog.LevelWarn, source: SourceStderr, keep: l.MessageBytes}
	return c
}

// timed is the caller's context with the deadline. Most calls never need it.
func (c *call) timed() context.Context {
	if c.deadlined == nil {
		c.deadlined, c.cancel = context.WithDeadline(c.parent, c.began.Add(c.deadline))
	}
	return c.deadlined
}

func (c *call) end() {
	if c.cancel != nil {
		c.cancel()
	}
}

// makeKernel reports whether the input fits the limits.
func (c *call) makeKernel() (fits bool) {
	l := &c.plugin.limits
	c.kernel, fits = kernel.New(kernel.Options{
		Limits: kernel.Limits{Blocks: l.Blocks, Bytes: l.BlockBytes}, Charge: c.charge,
		Input: c.invocation.Input, Config: c.invocation.Config, Log: c.log.fromKernel(),
	})
	return fits
}

func (c *call) run(from source) (*Result, error) {
	result := &Result{}
	var err error
	result.Output, err = c.guest(from)
	result.HostCalls, result.Fuel, result.MemoryBytes = c.hostCalls, c.fuelUsed, c.memoryBytes
	result.Took = time.Since(c.began)
	c.endLog()
	return result, err
}

// guest runs the export.
func (c *call) guest(from source) ([]byte, error) {
	if !c.makeKernel() {
		return nil, c.quota(nil)
	}
	i, err := from.acquire(c)
	if err != nil {
		return nil, c.verdict(err)
	}
	err = i.function(c.invocation.Export).CallWithStack(c, c.stack[:])
	code := int32(c.stack[0])
	c.note(i)
	from.release(i, err != nil)
	if err = c.verdict(err); err != nil {
		return nil, err
	}
	if c.starved {
		return nil, &HostFault{Function: "memory", Err: ErrBusy}
	}
	return c.output(code)
}

// begin gives an instance the call's fuel and stack.
func (c *call) begin(i *instance) {
	c.instance = i
	i.fuel.fill(c.fuel)
	i.giveStack(c.plugin.limits.StackBytes)
	c.plugin.engine.watch.begin(c)
}

// note takes down what the instance has used, before somebody else gets it.
func (c *call) note(i *instance) {
	stopped := c.plugin.engine.watch.end(c)
	left := i.fuel.left()
	c.fuelUsed = c.fuel - left
	if i.memory != nil {
		c.memoryBytes = int64(i.memory.Bytes())
	}
	switch {
	case stopped && int64(i.stop.Get()) < 0:
		c.empty = "deadline"
	case left < 0:
		c.empty = "fuel"
	case int64(i.stack.Get()) < 0:
		c.empty = "stack_bytes"
	}
}

// charge takes fuel for what the host does on the plugin's behalf.
func (c *call) charge(units int64) {
	c.instance.fuel.take(units)
	if left := c.instance.fuel.left(); left < 0 {
		c.stop(c.exhausted("fuel", c.fuel, c.fuel-left))
	}
}

// guard lets memory grow for as long as the pool has some; what is covered is counted
// already.
func (c *call) guard(r *reservation, covered int64) func(bytes int) bool {
	return func(bytes int) bool {
		n := int64(bytes)
		if n <= covered {
			covered -= n
			return true
		}
		if !r.grow(n - covered) {
			c.starved = true
			return false
		}
		covered = 0
		return true
	}
}

// hostCall runs a function of the host's for the guest.
func (c *call) hostCall(name string, arg kernel.Handle) kernel.Handle {
	if c.hostCalls++; c.hostCalls > c.plugin.limits.HostCalls {
		c.stop(&LimitError{Limit: "host_calls", Allowed: int64(c.plugin.limits.HostCalls), Used: int64(c.hostCalls)})
	}
	ctx := c.timed()
	if ctx.Err() != nil {
		c.stop(c.ended())
	}
	c.world.sleep(tick)
	args, ok := c.kernel.Block(arg)
	if !ok && arg != 0 {
		c.kernel.Fault(name, arg)
	}
	c.charge(int64(len(args)) / meter.BytesPerUnit)
	result, err := c.callHost(ctx, name, args)
	if err != nil {
		c.stop(c.hostFault(name, err))
	}
	h := c.kernel.Lend(result)
	if h == 0 && len(result) > 0 {
		c.stop(c.quota(nil)) // what the function did is done; its answer must not go missing
	}
	return h
}

var errNotOffered = errors.New("the invocation does not offer it")

func notOffered(context.Context, []byte) ([]byte, error) { return nil, errNotOffered }

// callHost turns a panic of a host function into an error, lest it be taken for a
// trap of the plugin.
func (c *call) callHost(ctx context.Context, name string, args []byte) (result []byte, err error) {
	f := c.invocation.Host[name]
	if f == nil {
		f = notOffered
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	if c.recorder != nil {
		return c.recorder.Call(ctx, name, bytes.Clone(args), f)
	}
	return f(ctx, bytes.Clone(args))
}

// stop ends the invocation from within a host function. A panic is how wazero wants
// to be told; the guest cannot catch it.
func (c *call) stop(why error) {
	c.stopped = why
	panic(why)
}

// runsStarter reports whether the export is itself what starts a module.
func (c *call) runsStarter() bool {
	return c.invocation.Export == "_start" || c.invocation.Export == "_initialize"
}

// alive reports whether the guest can go on after a failure.
func (c *call) alive(i *instance) bool {
	return c.stopped == nil && !c.exited && i.fuel.left() >= 0 && int64(i.stack.Get()) >= 0
}

// endLog logs what is left of the streams, and what was not as it should be.
func (c *call) endLog() {
	c.stdout.flush()
	c.stderr.flush()
	if c.log.dropped > 0 {
		c.log.remark("%d more lines were dropped; %d are allowed", c.log.dropped, c.log.most)
	}
	if n, first := c.kernel.Faults(); n > 0 {
		c.log.remark("the plugin used memory that is not in a block %d times, first in %s", n, first)
	}
}
