package sandbox

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	"github.com/seed75a60ee1/patchbay/sandbox/image"
)

// EngineOptions say where an [Engine] keeps things.
type EngineOptions struct {
	// CacheDir is a folder for compiled code, so that a plugin is compiled once and not
	// at every start. What is in it is executed: nobody else may write there. With ""
	// compiled code is kept in memory only.
	CacheDir string
	// MemoryBytes is how much memory all instances of plugins may take together, those
	// that nobody uses included. A call that finds none waits for it. Default 1 GiB.
	MemoryBytes int64
	// Interpreter has plugins interpreted instead of compiled: ten to a hundred times
	// slower, the same results and the same fuel.
	Interpreter bool
	// Tracking is how memory is set back between calls. Default the quickest there is.
	Tracking image.Tracking
}

// Engine loads plugins and holds what they share: compiled code. It is safe for
// concurrent use and must be closed.
type Engine struct {
	dir   string
	cache wazero.CompilationCache
	wasi  map[string]binary.FuncType // the functions of wasiModule
	pool  *pool
	watch *watch

	interpreter bool
	tracking    image.Tracking

	loads     *gate
	compiling chan struct{} // holds one token while a module is compiled: wazero's cache wants one at a time
	mu        sync.Mutex
	plugins   map[*Plugin]bool
	closing   sync.Once
	closeErr  error
}

// NewEngine returns an engine without plugins.
func NewEngine(o EngineOptions) (*Engine, error) {
	if o.MemoryBytes < 0 {
		return nil, fmt.Errorf("sandbox: MemoryBytes is %d; set it to what plugins may take, or to 0 for 1 GiB", o.MemoryBytes)
	}
	e := &Engine{
		dir: o.CacheDir, cache: wazero.NewCompilationCache(),
		pool: newPool(cmp.Or(o.MemoryBytes, 1<<30)), watch: newWatch(), interpreter: o.Interpreter, tracking: o.Tracking,
		loads: newGate(), compiling: make(chan struct{}, 1), plugins: map[*Plugin]bool{},
	}
	if o.CacheDir != "" {
		var err error
		if e.cache, err = wazero.NewCompilationCacheWithDir(o.CacheDir); err != nil {
			return nil, fmt.Errorf("open compilation cache %q: %w", o.CacheDir, err)
		}
	}
	var err error
	if e.wasi, err = wasiSignatures(context.Background()); err != nil {
		return nil, err
	}
	return e, nil
}

// wasiSignatures asks wazero which functions of WASI it has.
func wasiSignatures(ctx context.Context) (map[string]binary.FuncType, error) {
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer rt.Close(ctx)
	compiled, err := wasi_snapshot_preview1.NewBuilder(rt).Compile(ctx)
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", wasiModule, err)
	}
	all := map[string]binary.FuncType{}
	for name, def := range compiled.ExportedFunctions() {
		all[name] = binary.FuncType{Params: valueTypes(def.ParamTypes()), Results: valueTypes(def.ResultTypes())}
	}
	return all, nil
}

func valueTypes(types []api.ValueType) []binary.ValueType {
	list := make([]binary.ValueType, len(types))
	for i, t := range types {
		list[i] = binary.ValueType(t)
	}
	return list
}

func apiTypes(types []binary.ValueType) []api.ValueType {
	list := make([]api.ValueType, len(types))
	for i, t := range types {
		list[i] = api.ValueType(t)
	}
	return list
}

// LoadOptions say under which conditions a plugin may run.
type LoadOptions struct {
	Limits Limits
	// HostFunctions are the imports of [contract.ImportModule] that it may have. Any
	// other is refused.
	HostFunctions []string
	// WarmUp gives calls to make, in order and twice over, before the plugin is frozen, so that what a
	// language makes at first use is there for every call: it can halve what a call takes.
	// What they leave behind is how every call begins, so they hold nothing of a tenant's,
	// and are the same wherever the plugin is loaded. [OwnRecordings] gives a vendor's own
	// examples. It may be nil.
	WarmUp func(*Spec) []Invocation
}

// Load decodes, admits, meters and compiles a module, starts it without any host
// function, and freezes it if it can ([Plugin.Image]). The error is a [*binary.Error]
// for a file that is no module, or joins the [*Refusal]s of one that may not run. Load
// keeps a view of wasm, which must not change any more.
func (e *Engine) Load(ctx context.Context, wasm []byte, o LoadOptions) (*Plugin, error) {
	if !e.loads.enter() {
		return nil, fmt.Errorf("load plugin: engine %w", ErrClosed)
	}
	defer e.loads.leave()
	limits, err := o.Limits.withDefaults()
	if err != nil {
		return nil, err
	}
	if n := int64(len(wasm)); n > limits.ModuleBytes {
		return nil, &Refusal{Part: "file", Why: fmt.Sprintf("it has %d bytes", n), Fix: fmt.Sprintf("at most %d are allowed", limits.ModuleBytes)}
	}
	p := newPlugin(e, limits)
	sum := sha256.Sum256(wasm)
	compiled := p.compileAhead(ctx, sum)
	if err = p.admit(wasm, sum, o.HostFunctions); err == nil {
		err = p.bind(ctx)
	}
	known := <-compiled
	if err == nil {
		err = p.prepare(ctx, known, o.WarmUp)
	}
	if err != nil {
		return nil, errors.Join(err, p.runtime.Close(ctx))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.plugins[p] = true
	return p, nil
}

func (e *Engine) forget(p *Plugin) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.plugins, p)
}

// Close waits for loads under way, closes every plugin, waiting for their calls, and
// then the engine. If ctx ends first, those that still run stay open and Close may
// be called again.
func (e *Engine) Close(ctx context.Context) error {
	if !e.loads.drain(ctx) {
		return fmt.Errorf("close engine: plugins are still being loaded: %w", context.Cause(ctx))
	}
	e.mu.Lock()
	open := slices.Collect(maps.Keys(e.plugins))
	e.mu.Unlock()
	var all []error
	for _, p := range open {
		all = append(all, p.Close(ctx))
	}
	if err := errors.Join(all...); err != nil {
		return err
	}
	e.closing.Do(func() {
		e.pool.close()
		e.watch.close()
		e.closeErr = e.cache.Close(ctx)
	})
	return e.closeErr
}

// compileOnce compiles in rt, and again if what the cache held was damaged. That it
// has two workers is not for speed: only then does wazero heed ctx, between functions.
func (e *Engine) compileOnce(ctx context.Context, rt wazero.Runtime, wasm []byte) (wazero.CompiledModule, error) {
	select {
	case e.compiling <- struct{}{}:
		defer func() { <-e.compiling }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx = experimental.WithCompilationWorkers(ctx, 2)
	compiled, err := rt.CompileModule(ctx, wasm)
	// The text is all that tells a damaged cache from a bad module.
	if err != nil && e.dir != "" && strings.HasPrefix(err.Error(), "compilationcache:") {
		e.emptyCache()
		compiled, err = rt.CompileModule(ctx, wasm)
	}
	return compiled, err
}

// emptyCache removes what is cached on disk: which file was damaged is not known. A
// file that stays is met again by the next compilation, which reports it.
func (e *Engine) emptyCache() {
	files, _ := filepath.Glob(filepath.Join(e.dir, "wazero-*", "*"))
	for _, f := range files {
		_ = os.Remove(f)
	}
}
