package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/seed75a60ee1/patchbay/sandbox/kernel"
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
	// Deadline is how long it may take; 0, or more than [Limits.Deadline], is that.
	Deadline time.Duration
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
//   - [*HostFault]: a host function failed.
//   - ctx's own error, wrapped, if that ended first.
//
// With these a Result says what was used until then.
func (p *Plugin) Call(ctx context.Context, inv Invocation) (*Result, error) {
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
	c := p.newCall(ctx, inv)
	defer c.cancel()
	return c.run(p.source)
}

// call is an invocation under way. It is the context that the guest's functions and
// the host's are called with.
type call struct {
	context.Context
	parent     context.Context
	cancel     context.CancelFunc
	invocation *Invocation
	plugin     *Plugin
	deadline   time.Duration
	began      time.Time

	kernel         *kernel.Kernel
	world          *world
	log            logger
	stdout, stderr lineWriter
	hostCalls      int
	stopped        error // why the host ended it
}

type callKey struct{}

// Value finds the call from the context that wazero hands to a host function.
func (c *call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

func (p *Plugin) newCall(ctx context.Context, inv Invocation) *call {
	l := &p.limits
	c := &call{parent: ctx, invocation: &inv, plugin: p, deadline: l.Deadline, began: time.Now()}
	if inv.Deadline > 0 {
		c.deadline = min(c.deadline, inv.Deadline)
	}
	c.Context, c.cancel = context.WithTimeout(ctx, c.deadline)
	c.log = logger{sink: inv.Log, most: l.LogLines, cut: l.LogLineBytes}
	c.stdout = lineWriter{log: &c.log, level: slog.LevelInfo, source: SourceStdout}
	c.stderr = lineWriter{log: &c.log, level: slog.LevelWarn, source: SourceStderr, keep: l.MessageBytes}
	return c
}

func (c *call) run(from source) (*Result, error) {
	result := &Result{}
	var err error
	result.Output, err = c.guest(from, result)
	result.HostCalls, result.Took = c.hostCalls, time.Since(c.began)
	c.endLog()
	return result, err
}

// guest runs the export and notes how much memory it ended with.
func (c *call) guest(from source, result *Result) ([]byte, error) {
	l := &c.plugin.limits
	var fits bool
	c.kernel, fits = kernel.New(kernel.Options{
		Limits: kernel.Limits{Blocks: l.Blocks, Bytes: l.BlockBytes},
		Input:  c.invocation.Input, Config: c.invocation.Config, Log: c.log.fromKernel(),
	})
	if !fits {
		return nil, c.quota(nil)
	}
	i, err := from.acquire(c)
	if err != nil {
		return nil, c.verdict(err)
	}
	stack := [1]uint64{}
	err = i.module.ExportedFunction(c.invocation.Export).CallWithStack(c, stack[:])
	if c.plugin.spec.Memory != nil {
		result.MemoryBytes = int64(i.module.Memory().Size())
	}
	err = c.verdict(err)
	from.release(i, err != nil)
	if err != nil {
		return nil, err
	}
	return c.output(int32(stack[0]))
}

// hostCall runs a function of the host's for the guest.
func (c *call) hostCall(name string, arg kernel.Handle) kernel.Handle {
	if c.hostCalls++; c.hostCalls > c.plugin.limits.HostCalls {
		c.stop(&LimitError{Limit: "host_calls", Allowed: int64(c.plugin.limits.HostCalls), Used: int64(c.hostCalls)})
	}
	c.world.sleep(tick)
	args, ok := c.kernel.Block(arg)
	if !ok && arg != 0 {
		c.kernel.Fault(name, arg)
	}
	result, err := c.callHost(c.invocation.Host[name], args)
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

// callHost turns a panic of a host function into an error, lest it be taken for a
// trap of the plugin.
func (c *call) callHost(f HostFunc, args []byte) (result []byte, err error) {
	if f == nil {
		return nil, errNotOffered
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f(c, bytes.Clone(args))
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
func (c *call) alive(m api.Module) bool {
	return c.stopped == nil && c.Err() == nil && !m.IsClosed()
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
