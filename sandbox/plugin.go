package sandbox

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/seed75a60ee1/patchbay/sandbox/meter"
)

// Plugin is a module that may run. It is safe for concurrent use: each call has an
// instance to itself, which is as if newly started.
type Plugin struct {
	engine   *Engine
	spec     *Spec
	limits   Limits
	runtime  wazero.Runtime // its own, so that no other plugin can be named in it
	metered  *meter.Module
	compiled wazero.CompiledModule
	source   source
	fresh    source // for what a frozen instance is past: its start
	frozen   ImageInfo
	calls    *gate

	closing  sync.Once
	closeErr error
}

func newPlugin(e *Engine, spec *Spec, limits Limits) *Plugin {
	config := wazero.NewRuntimeConfigCompiler()
	if e.interpreter {
		config = wazero.NewRuntimeConfigInterpreter()
	}
	config = config.
		WithCompilationCache(e.cache).
		WithCoreFeatures(api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall).
		WithMemoryLimitPages(limits.MemoryPages).
		WithDebugInfoEnabled(false) // DWARF of a stranger; names of functions are kept
	p := &Plugin{
		engine: e, spec: spec, limits: limits, calls: newGate(),
		runtime: wazero.NewRuntimeWithConfig(context.Background(), config),
	}
	p.fresh = &freshInstances{plugin: p}
	return p
}

// prepare makes the plugin ready to run, or leaves nothing behind.
func (p *Plugin) prepare(ctx context.Context, warmUp []Invocation) error {
	var err error
	if p.metered, err = meter.Rewrite(p.spec.module, meter.Options{TableEntries: p.limits.TableEntries}); err != nil {
		return errors.Join(err, p.runtime.Close(ctx))
	}
	if err := p.bind(ctx); err != nil {
		return errors.Join(err, p.runtime.Close(ctx))
	}
	p.compiled, err = p.engine.compileOnce(ctx, p.runtime, p.metered.Wasm)
	if err != nil {
		return errors.Join(p.refusal(ctx, err), p.runtime.Close(ctx))
	}
	p.freeze(ctx, warmUp)
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

// Image says how instances are made.
func (p *Plugin) Image() ImageInfo { return p.frozen }

// Close waits for running calls and frees the compiled code; new calls answer
// [ErrClosed] from now on. If ctx ends first the plugin stays open to the calls that
// run, and Close may be called again. A host function that closes its own plugin
// waits for itself.
func (p *Plugin) Close(ctx context.Context) error {
	if !p.calls.drain(ctx) {
		return fmt.Errorf("close plugin %s: calls are still running: %w", p.spec.Digest, context.Cause(ctx))
	}
	p.closing.Do(func() {
		p.source.close()
		p.closeErr = errors.Join(p.compiled.Close(ctx), p.runtime.Close(ctx))
		p.engine.forget(p)
	})
	return p.closeErr
}
