package sandbox

import (
	"context"
	"crypto/sha256"
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
	besides  int64 // what an instance takes beside its memory
	calls    *gate

	closing  sync.Once
	closeErr error
}

func newPlugin(e *Engine, limits Limits) *Plugin {
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
		engine: e, limits: limits, calls: newGate(),
		runtime: wazero.NewRuntimeWithConfig(context.Background(), config),
	}
	p.fresh = &freshInstances{plugin: p}
	return p
}

// compileAhead compiles what is kept of an earlier load of the module, while the module
// is still being read. It gives nil if nothing is kept, or if that cannot be compiled.
func (p *Plugin) compileAhead(ctx context.Context, sum [sha256.Size]byte) <-chan *meter.Module {
	done := make(chan *meter.Module, 1)
	file := p.engine.rewrittenFile(sum, p.limits.TableEntries)
	if file == "" {
		done <- nil
		return done
	}
	go func() {
		m := readRewritten(file)
		if m != nil {
			var err error
			if p.compiled, err = p.engine.compileOnce(ctx, p.runtime, m.Wasm); err != nil {
				m = nil
			}
		}
		done <- m
	}()
	return done
}

// admit reads the module and says whether it may run.
func (p *Plugin) admit(wasm []byte, sum [sha256.Size]byte, hostFunctions []string) (err error) {
	if p.spec, err = inspect(wasm, sum); err != nil {
		return err
	}
	return admit(p.spec, newOffer(hostFunctions, p.engine.wasi), p.limits)
}

// prepare makes the plugin ready to run. A module that was compiled ahead is taken as
// it is.
func (p *Plugin) prepare(ctx context.Context, known *meter.Module, warmUp func(*Spec) []Invocation) (err error) {
	if p.metered = known; known != nil {
		p.metered.Data = meter.DataOf(p.spec.module)
	} else if err := p.compile(ctx); err != nil {
		return err
	}
	p.besides = p.bytesBesides()
	var calls []Invocation
	if warmUp != nil {
		// Twice: the second time finds what the first one made room for. Measured on
		// ELMA365: 43 pages to set back after a webhook instead of 59, a tenth less time.
		calls = append(warmUp(p.spec), warmUp(p.spec)...)
	}
	return p.freeze(ctx, calls)
}

func (p *Plugin) compile(ctx context.Context) (err error) {
	if p.metered, err = p.engine.meterOnce(p.spec.module, p.spec.sum, p.limits.TableEntries); err != nil {
		return err
	}
	if p.compiled, err = p.engine.compileOnce(ctx, p.runtime, p.metered.Wasm); err != nil {
		return p.refusal(ctx, err)
	}
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
