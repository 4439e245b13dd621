package sandbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/seed75a60ee1/patchbay/sandbox/image"
	"github.com/seed75a60ee1/patchbay/sandbox/meter"
)

// source hands out instances, each to one call at a time and as if newly made.
type source interface {
	// acquire returns an instance that is started, with c's fuel and stack. On an error
	// from the guest it is what wazero reported, wrapped in a startError.
	acquire(c *call) (*instance, error)
	// release takes it back; broken is set if the call did not return from it.
	release(i *instance, broken bool)
	// close frees what is kept between calls. There are none any more.
	close()
}

// instance is a plugin with memory.
type instance struct {
	module      api.Module
	memory      *image.Memory // nil if it has none
	fuel        tank
	stack, deep api.MutableGlobal
	stop        api.MutableGlobal
	globals     []api.MutableGlobal
	functions   map[string]api.Function
	uses        int
	besides     int64 // bytes that it takes beside its memory
	reserved    *reservation
	idleSince   uint64 // as the pool counts
}

// newInstance makes an instance around a memory, and starts nothing. The memory is the
// instance's from now on.
func (p *Plugin) newInstance(ctx context.Context, memory *image.Memory) (*instance, error) {
	i := &instance{memory: memory, besides: p.besides, functions: map[string]api.Function{}}
	if memory != nil {
		ctx = experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(func(uint64, uint64) experimental.LinearMemory { return memory }))
	}
	// No arguments, no environment, no files: all of WASI is in wasi.go. Anonymous, for
	// there may be many.
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	var err error
	if i.module, err = p.runtime.InstantiateModule(ctx, p.compiled, config); err != nil {
		if memory != nil {
			memory.Free()
		}
		return nil, &startError{"instantiation", err}
	}
	i.fuel = tank{i.global(p.metered.Fuel), i.global(p.metered.Reserve)}
	i.stack, i.deep, i.stop = i.global(p.metered.Stack), i.global(p.metered.Deep), i.global(p.metered.Stop)
	for _, g := range p.metered.Globals {
		i.globals = append(i.globals, i.global(g.Export))
	}
	return i, nil
}

func (i *instance) global(name string) api.MutableGlobal {
	return i.module.ExportedGlobal(name).(api.MutableGlobal)
}

// tank is an instance's fuel, of which it uses a slice at a time.
type tank struct{ slice, reserve api.MutableGlobal }

func (t tank) fill(units int64) {
	first := min(units, meter.Slice)
	t.slice.Set(uint64(first))
	t.reserve.Set(uint64(units - first))
}

// left is below zero once it has run out.
func (t tank) left() int64 { return int64(t.slice.Get()) + int64(t.reserve.Get()) }

// take takes fuel for what the host does. Before the slice is below zero the instance
// does not notice.
func (t tank) take(units int64) { t.slice.Set(t.slice.Get() - uint64(units)) }

// shallow is the stack, in bytes, that an instance may keep between calls.
const shallow = 256 << 10

// giveStack lets calls go so deep.
func (i *instance) giveStack(bytes int64) {
	first := min(bytes, shallow)
	i.stack.Set(uint64(first))
	i.deep.Set(uint64(bytes - first))
}

// forget drops what the instance still knows of a call: whom it asked for memory, and a
// stack that had to grow.
func (i *instance) forget(stackBytes int64) {
	if i.memory != nil {
		i.memory.Guard(nil)
	}
	if stackBytes > shallow && i.deep.Get() == 0 {
		clear(i.functions)
	}
}

// function looks an export up once: each look-up is a stack of 10 KB.
func (i *instance) function(name string) api.Function {
	f, ok := i.functions[name]
	if !ok {
		f = i.module.ExportedFunction(name)
		i.functions[name] = f
	}
	return f
}

// discard gives back what the instance has.
func (i *instance) discard() {
	i.closeModule()
	i.reserved.free()
}

// closeModule has wazero free the memory, too.
func (i *instance) closeModule() {
	_ = i.module.Close(context.Background()) // there is nothing to fail
}

// startError says in which function a new instance failed.
type startError struct {
	function string
	err      error
}

func (e *startError) Error() string { return fmt.Sprintf("in %s: %v", e.function, e.err) }
func (e *startError) Unwrap() error { return e.err }

// starter is a function to run once in a new instance.
type starter struct {
	name    string
	params  int // all of them i32, and zero
	lenient bool
}

// starters are what Extism runs before the first call, by language runtime: Haskell's
// takes its arguments, a reactor's and a command's take none.
func starters(s *Spec) []starter {
	initialize, ctors := s.exportType("_initialize") == "() -> ()", s.exportType("__wasm_call_ctors") == "() -> ()"
	haskell := s.exportType("hs_init") == "(i32, i32) -> ()"
	var all []starter
	switch {
	case haskell && initialize:
		all = append(all, starter{name: "_initialize", lenient: true}, starter{name: "hs_init", params: 2})
	case haskell:
		all = append(all, starter{name: "hs_init", params: 2})
	case initialize:
		all = append(all, starter{name: "_initialize"})
	case ctors:
		all = append(all, starter{name: "__wasm_call_ctors"})
	}
	return all
}

// start makes a new instance what an engine would have made it: its data is written,
// its start function has run, and what a language runtime wants run first.
func (p *Plugin) start(c *call, i *instance) error {
	if err := p.writeData(i); err != nil {
		return &startError{"instantiation", err}
	}
	if p.metered.Start != "" {
		if _, err := i.function(p.metered.Start).Call(c); err != nil {
			return &startError{"instantiation", err}
		}
	}
	if c.runsStarter() {
		return nil
	}
	for _, s := range starters(p.spec) {
		if _, err := i.function(s.name).Call(c, make([]uint64, s.params)...); err != nil && !(s.lenient && c.alive(i)) {
			return &startError{s.name, err}
		}
	}
	return nil
}

var errOutOfBounds = errors.New("out of bounds memory access")

func (p *Plugin) writeData(i *instance) error {
	for _, d := range p.metered.Data {
		if !i.module.Memory().Write(uint32(d.Offset.Bits), d.Bytes) {
			return errOutOfBounds
		}
	}
	return nil
}

// startInstance makes an instance of zero memory and starts it, with the call's fuel and
// in the call's world.
func (p *Plugin) startInstance(c *call) (*instance, error) {
	reserved, err := p.engine.pool.reserve(c, p.firstBytes())
	if err != nil {
		return nil, err
	}
	var memory *image.Memory
	if p.spec.Memory != nil {
		if memory, err = image.NewBlank(p.mostBytes()); err != nil {
			reserved.free()
			return nil, &HostFault{Function: "memory", Err: err}
		}
		memory.Guard(c.guard(reserved, p.firstBytes()))
	}
	i, err := p.newInstance(c, memory)
	if err != nil {
		reserved.free()
		return nil, err
	}
	i.reserved = reserved
	c.begin(i)
	if err := p.start(c, i); err != nil {
		c.note(i)
		i.discard()
		return nil, err
	}
	return i, nil
}

// firstBytes is how much memory an instance begins with, and mostBytes how much it may
// come to.
func (p *Plugin) firstBytes() int64 {
	if p.spec.Memory == nil {
		return 0
	}
	return int64(p.spec.Memory.MinPages) * pageBytes
}

func (p *Plugin) mostBytes() int {
	most := p.limits.MemoryPages
	if m := p.spec.Memory; m.HasMax {
		most = min(most, m.MaxPages)
	}
	return int(most) * pageBytes
}

// bytesBesides is what an instance takes beside its memory.
func (p *Plugin) bytesBesides() int64 {
	bytes := instanceBytes + globalBytes*int64(p.spec.Globals)
	for _, t := range p.spec.Tables {
		entries := t.Min
		if len(p.metered.Unrestorable) > 0 { // then it may be that they grow
			entries = max(t.Min, p.limits.TableEntries)
		}
		bytes += entryBytes * int64(entries)
	}
	return bytes
}

// pageBytes is WebAssembly's page.
const pageBytes = 1 << 16

// freshInstances makes an instance for every call, and throws it away after it.
type freshInstances struct{ plugin *Plugin }

func (f *freshInstances) acquire(c *call) (*instance, error) {
	c.world = starting(c.invocation.Seed)
	i, err := f.plugin.startInstance(c)
	if err != nil {
		return nil, err
	}
	c.world = calling(c.invocation, c.world.monotonic)
	return i, nil
}

func (f *freshInstances) release(i *instance, _ bool) { i.discard() }

func (f *freshInstances) close() {}
