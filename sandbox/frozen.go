package sandbox

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/seed75a60ee1/patchbay/sandbox/image"
)

// Exports that a plugin may have for its host's sake.
const (
	// warmUpExport is called once, after the start and before [LoadOptions.WarmUp], so that
	// a language can make room for every call. It has no host functions.
	warmUpExport = "patchbay_warm_up"
	// reseedExport is called before every call of a frozen plugin, so that it can seed
	// anew what it seeded while it started.
	reseedExport = "patchbay_reseed"
)

// ImageInfo says how a plugin's instances are made.
type ImageInfo struct {
	// Frozen is set if calls begin from an image of the started plugin. Otherwise it is
	// started anew for each call, for the reason in Why; with Frozen, Why is the reason for
	// which it was not warmed up.
	Frozen bool
	Why    string
	// WarmUp are the exports that were called before it was frozen.
	WarmUp []string
	// Bytes is the memory that is frozen.
	Bytes int64
	// Fuel is what it took to start and warm up, once.
	Fuel int64
	// Tracking is how written memory is found: "pagemap-scan" or "compare".
	Tracking string
}

// frozenInstances begin every call from an image of the started plugin.
type frozenInstances struct {
	plugin     *Plugin
	keeper     *keeper
	image      *image.Image // nil if the plugin has no memory
	globals    []uint64
	started    int64 // monotonic time at the end of the start
	generators []generator
	reseed     bool
}

// freeze starts the plugin and keeps what it is then, or says why that cannot be. If it
// cannot be warmed up it is frozen as it starts. The error is for what another time would
// not fail: then the plugin is not to be what it is by chance for as long as it runs.
func (p *Plugin) freeze(ctx context.Context, calls []Invocation) error {
	p.source = p.fresh
	if reasons := p.metered.Unrestorable; len(reasons) > 0 {
		p.frozen.Why = strings.Join(reasons, "; ")
		return nil
	}
	var prepare []Invocation
	if t := p.spec.exportType(warmUpExport); t == "() -> ()" || t == "() -> i32" {
		prepare = append(prepare, Invocation{Export: warmUpExport})
	}
	prepare = append(prepare, calls...)
	f, err := p.freezeAfter(ctx, prepare)
	if err != nil && ctx.Err() == nil && !errors.Is(err, ErrBusy) {
		p.frozen = ImageInfo{Why: clip(err.Error(), p.limits.MessageBytes)}
		if len(prepare) == 0 {
			return nil
		}
		if f, err = p.freezeAfter(ctx, nil); err != nil && ctx.Err() == nil && !errors.Is(err, ErrBusy) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("start plugin %s: %w", p.spec.Digest, err)
	}
	f.keeper = p.engine.pool.newKeeper()
	p.source = f
	return nil
}

// freezeAfter starts an instance, makes some calls, and freezes it. While it starts its
// randomness always is the same: what a plugin starts as is part of what it does, on
// every machine, and does not depend on how it is packed.
func (p *Plugin) freezeAfter(ctx context.Context, calls []Invocation) (*frozenInstances, error) {
	c := p.newCall(ctx, Invocation{})
	defer c.end()
	c.world = starting([32]byte{})
	if !c.makeKernel() {
		return nil, errors.New("no block fits the limits")
	}
	i, err := p.startInstance(c)
	if err != nil {
		return nil, fmt.Errorf("it does not start by itself: %w", c.verdict(err))
	}
	defer i.discard()
	c.note(i)
	if c.kernel.Consulted() {
		return nil, errors.New("it reads its input or configuration while it starts")
	}
	info := ImageInfo{Frozen: true, Fuel: c.fuelUsed, Why: p.frozen.Why}
	for _, inv := range calls {
		used, err := p.warmUp(ctx, c, i, inv)
		if err != nil {
			return nil, fmt.Errorf("it does not warm up: %w", err)
		}
		info.Fuel += used
		info.WarmUp = append(info.WarmUp, inv.Export)
	}
	f, err := p.capture(c, i)
	if err != nil {
		return nil, err
	}
	if f.image != nil {
		info.Bytes, info.Tracking = int64(f.image.Bytes()), f.image.Tracking().String()
	}
	p.frozen = info
	return f, nil
}

// warmUp makes a call of an instance that is started, and returns the fuel it used. A
// failure that the plugin reports is an answer like any other.
func (p *Plugin) warmUp(ctx context.Context, start *call, i *instance, inv Invocation) (fuel int64, err error) {
	c := p.newCall(ctx, inv)
	defer c.end()
	c.world = calling(&inv, start.world.monotonic)
	if p.spec.exportType(inv.Export) == "" || c.runsStarter() || !c.makeKernel() {
		return 0, fmt.Errorf("call %s: %w", clip(inv.Export, 64), ErrNoExport)
	}
	if i.memory != nil {
		i.memory.Guard(c.guard(i.reserved, 0))
	}
	c.begin(i)
	err = i.function(inv.Export).CallWithStack(c, c.stack[:])
	c.note(i)
	err = c.verdict(err)
	start.world.monotonic = c.world.monotonic
	start.world.drawn = start.world.drawn || c.world.drawn
	return c.fuelUsed, err
}

// capture freezes an instance.
func (p *Plugin) capture(c *call, i *instance) (*frozenInstances, error) {
	f := &frozenInstances{plugin: p, started: c.world.monotonic, reseed: p.spec.exportType(reseedExport) == "() -> ()"}
	for _, g := range i.globals {
		f.globals = append(f.globals, g.Get())
	}
	if i.memory != nil {
		f.generators = findGenerators(i.memory.Content())
	}
	if c.world.drawn && len(f.generators) == 0 && !f.reseed {
		return nil, fmt.Errorf("it draws random numbers while it starts, and has no export %s by which it would draw others for each call", reseedExport)
	}
	if i.memory == nil {
		return f, nil
	}
	var err error
	f.image, err = image.New(i.memory.Content(), p.engine.tracking)
	return f, err
}

func (f *frozenInstances) acquire(c *call) (*instance, error) {
	c.world = calling(c.invocation, f.started)
	reserved, err := f.plugin.engine.pool.reserve(c, f.bytes())
	if err != nil {
		return nil, err
	}
	i := f.keeper.borrow(reserved)
	if i == nil {
		if i, err = f.thaw(c, reserved); err != nil {
			f.keeper.giveBack(nil)
			return nil, err
		}
	}
	if i.memory != nil {
		i.memory.Guard(c.guard(reserved, 0)) // it is as large as the image already
	}
	c.begin(i)
	if err := f.seed(c, i); err != nil {
		c.note(i)
		f.release(i, true)
		return nil, err
	}
	return i, nil
}

func (f *frozenInstances) bytes() int64 {
	if f.image == nil {
		return 0
	}
	return int64(f.image.Bytes())
}

// thaw makes an instance from the image.
func (f *frozenInstances) thaw(c *call, reserved *reservation) (*instance, error) {
	var memory *image.Memory
	if f.image != nil {
		var err error
		if memory, err = f.image.NewMemory(max(f.plugin.mostBytes(), f.image.Bytes())); err != nil {
			reserved.free()
			return nil, &HostFault{Function: "memory", Err: err}
		}
	}
	i, err := f.plugin.newInstance(c, memory)
	if err != nil {
		reserved.free()
		return nil, err
	}
	i.reserved = reserved
	if more := f.bytes() - f.plugin.firstBytes(); more > 0 {
		i.module.Memory().Grow(uint32(more / pageBytes))
	}
	f.restoreGlobals(i)
	return i, nil
}

func (f *frozenInstances) restoreGlobals(i *instance) {
	for n, g := range i.globals {
		g.Set(f.globals[n])
	}
}

// seed gives the plugin the call's randomness in place of what it started with.
func (f *frozenInstances) seed(c *call, i *instance) error {
	for _, g := range f.generators {
		g.seed(i.memory.Content(), &c.world)
	}
	if !f.reseed {
		return nil
	}
	if err := i.function(reseedExport).CallWithStack(c, c.stack[:]); err != nil {
		return &startError{reseedExport, err}
	}
	return nil
}

// release makes the instance what it was, or throws it away if that cannot be, or if
// it has served long enough.
func (f *frozenInstances) release(i *instance, broken bool) {
	i.uses++
	i.forget(f.plugin.limits.StackBytes)
	if broken || i.uses >= f.plugin.limits.Uses || !f.restore(i) {
		i.discard()
		f.keeper.giveBack(nil)
		return
	}
	f.keeper.giveBack(i)
}

func (f *frozenInstances) restore(i *instance) bool {
	if i.memory != nil && (i.memory.Grown() || i.memory.Restore() != nil) {
		return false
	}
	f.restoreGlobals(i)
	return true
}

func (f *frozenInstances) close() {
	f.keeper.close()
	if f.image != nil {
		_ = f.image.Close() // nobody uses it; the system reclaims it with the process
	}
}
