package sandbox

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tetratelabs/wazero"
)

// Plugin is a module that may run. It is safe for concurrent use: each call has an
// instance of its own.
type Plugin struct {
	engine   *Engine
	spec     *Spec
	limits   Limits
	runtime  wazero.Runtime // its own, so that no other plugin can be named in it
	compiled wazero.CompiledModule
	source   source
	calls    *gate

	closing  sync.Once
	closeErr error
}

func newPlugin(e *Engine, spec *Spec, limits Limits) *Plugin {
	config := wazero.NewRuntimeConfig().
		WithCompilationCache(e.cache).
		WithMemoryLimitPages(limits.MemoryPages).
		WithDebugInfoEnabled(false). // DWARF of a stranger; names of functions are kept
		WithCloseOnContextDone(true)
	return &Plugin{
		engine: e, spec: spec, limits: limits, calls: newGate(),
		runtime: wazero.NewRuntimeWithConfig(context.Background(), config),
	}
}

// compile makes the plugin ready to run, or leaves nothing behind.
func (p *Plugin) compile(ctx context.Context) error {
	if err := p.bind(ctx); err != nil {
		return errors.Join(err, p.runtime.Close(ctx))
	}
	var err error
	p.compiled, err = p.engine.compileOnce(ctx, p.runtime, p.spec.module.Lean(p.limits.TableEntries))
	if err != nil {
		return errors.Join(p.refusal(ctx, err), p.runtime.Close(ctx))
	}
	p.source = &freshInstances{runtime: p.runtime, compiled: p.compiled, starters: starters(p.spec)}
	return nil
}

// refusal says whose fault it is that the code was not compiled.
func (p *Plugin) refusal(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("compile plugin %s: %w", p.spec.Digest, context.Cause(ctx))
	}
	return &Refusal{Part: "code", Why: clip(err.Error(), p.limits.MessageBytes), Fix: "build it with a toolchain for WebAssembly 2.0"}
}

// Spec is what the module says of itself.
func (p *Plugin) Spec() *Spec { return p.spec }

// Close waits for running calls and frees the compiled code; new calls answer
// [ErrClosed] from now on. If ctx ends first the plugin stays open to the calls that
// run, and Close may be called again. A host function that closes its own plugin
// waits for itself.
func (p *Plugin) Close(ctx context.Context) error {
	if !p.calls.drain(ctx) {
		return fmt.Errorf("close plugin %s: calls are still running: %w", p.spec.Digest, context.Cause(ctx))
	}
	p.closing.Do(func() {
		p.closeErr = errors.Join(p.compiled.Close(ctx), p.runtime.Close(ctx))
		p.engine.forget(p)
	})
	return p.closeErr
}
