package sandbox

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// source hands out instances, each to one call at a time and as if newly made.
type source interface {
	// acquire returns an instance that is initialised and lives in c's world. On an
	// error from the guest it is what wazero reported, wrapped in a startError.
	acquire(c *call) (*instance, error)
	// release takes it back; broken is set if the call did not return from it.
	release(i *instance, broken bool)
}

// instance is a plugin with memory.
type instance struct {
	module api.Module
	world  *world
}

// starter is a function to run once in a new instance.
type starter struct {
	name    string
	params  int // all of them i32, and zero
	lenient bool
}

// startError says in which function a new instance failed.
type startError struct {
	function string
	err      error
}

func (e *startError) Error() string { return fmt.Sprintf("in %s: %v", e.function, e.err) }
func (e *startError) Unwrap() error { return e.err }

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

// freshInstances makes an instance for every call and throws it away after it.
type freshInstances struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	starters []starter
}

func (f *freshInstances) acquire(c *call) (*instance, error) {
	i := &instance{world: &world{}}
	i.world.begin(c)
	var err error
	i.module, err = f.runtime.InstantiateModule(c, f.compiled, i.world.config())
	if err != nil {
		return nil, &startError{"instantiation", err}
	}
	if err := f.start(c, i.module); err != nil {
		f.release(i, true)
		return nil, err
	}
	return i, nil
}

func (f *freshInstances) start(c *call, m api.Module) error {
	if c.runsStarter() {
		return nil
	}
	for _, s := range f.starters {
		_, err := m.ExportedFunction(s.name).Call(c, make([]uint64, s.params)...)
		if err != nil && !(s.lenient && c.alive(m)) {
			return &startError{s.name, err}
		}
	}
	return nil
}

func (f *freshInstances) release(i *instance, _ bool) {
	// An instance that a trap or a deadline closed already is closed again in vain.
	_ = i.module.Close(context.Background())
}
