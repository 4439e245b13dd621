package spectest

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	"github.com/seed75a60ee1/patchbay/sandbox/meter"
)

const (
	features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall
	// unlimited is more fuel, or stack, than any test uses.
	unlimited = 1 << 62
	// deepest is what a recursion may take that is to end by our limit.
	deepest = 16 << 20
	// tableEntries is beyond what any test grows a table to that has no maximum.
	tableEntries = 1 << 20
)

// prepared is a module as wazero is given it, and what is left to its host.
type prepared struct {
	wasm    []byte
	host    *meter.Module // nil if nothing was rewritten
	imports []binary.Import
}

// rewriter makes a module ready. Its error is a refusal.
type rewriter func(wasm []byte) (prepared, error)

// unchanged is the rewriter that does nothing.
func unchanged(wasm []byte) (prepared, error) { return prepared{wasm: wasm}, nil }

// metered is the rewriter under test.
func metered(wasm []byte) (prepared, error) {
	m, err := binary.Decode(wasm)
	if err != nil {
		return prepared{}, err
	}
	out, err := meter.Rewrite(m, meter.Options{TableEntries: tableEntries})
	if err != nil {
		return prepared{}, err
	}
	return prepared{wasm: out.Wasm, host: out, imports: m.Imports}, nil
}

// engines are the two ways in which wazero runs code.
var engines = map[string]func() wazero.RuntimeConfig{
	"compiler":    wazero.NewRuntimeConfigCompiler,
	"interpreter": wazero.NewRuntimeConfigInterpreter,
}

// newRuntime is a runtime of that engine, which lives as long as the test.
func newRuntime(tb testing.TB, engine string) wazero.Runtime {
	tb.Helper()
	rt := wazero.NewRuntimeWithConfig(tb.Context(), engines[engine]().WithCoreFeatures(features))
	tb.Cleanup(func() { _ = rt.Close(context.Background()) })
	return rt
}

// instance is an instance of a prepared module.
type instance struct {
	api.Module
	prepared
}

// link makes an instance of a module, in which nothing has run.
func link(ctx context.Context, rt wazero.Runtime, compiled wazero.CompiledModule, p prepared, name string) (*instance, error) {
	mod, err := rt.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName(name).WithStartFunctions())
	if err != nil {
		return nil, err
	}
	in := &instance{Module: mod, prepared: p}
	in.fill(plenty)
	return in, nil
}

// launch makes an instance of a module in a runtime of its own, in which nothing has run.
func launch(t testing.TB, engine string, p prepared) *instance {
	t.Helper()
	rt := newRuntime(t, engine)
	compiled, err := rt.CompileModule(t.Context(), p.wasm)
	if err != nil {
		t.Fatal(err)
	}
	in, err := link(t.Context(), rt, compiled, p, "")
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// start does what the engine would do with the original: it writes the data, in order
// until some does not fit, and calls the start function.
func (in *instance) start(ctx context.Context, rt wazero.Runtime) error {
	if in.host == nil {
		return nil
	}
	for i, d := range in.host.Data {
		offset, err := in.offset(rt, d.Offset)
		if err != nil {
			return fmt.Errorf("data %d: %w", i, err)
		}
		if !in.Memory().Write(offset, d.Bytes) {
			return fmt.Errorf("data %d: out of bounds memory access", i)
		}
	}
	if in.host.Start == "" {
		return nil
	}
	_, err := in.ExportedFunction(in.host.Start).Call(ctx)
	return err
}

// offset is where a piece of data goes: a constant, or what an imported global says.
func (in *instance) offset(rt wazero.Runtime, e binary.Expr) (uint32, error) {
	switch e.Op {
	case binary.OpI32Const:
		return uint32(e.Bits), nil
	case binary.OpGlobalGet:
		left := e.Index
		for _, imp := range in.imports {
			if imp.Kind != binary.KindGlobal {
				continue
			}
			if left == 0 {
				return uint32(rt.Module(imp.Module).ExportedGlobal(imp.Name).Get()), nil
			}
			left--
		}
	}
	return 0, fmt.Errorf("instruction %#x of global %d is no offset", uint16(e.Op), e.Index)
}

// allowance is what a call may use: of fuel first and later, of stack what is at hand and
// what is kept for deep calls. With stop it is to end with the first slice.
type allowance struct {
	first, later int64
	stack, deep  int64
	stop         bool
}

// allow is an allowance as a host of ours makes it.
func allow(fuel, stack int64) allowance {
	const hand = 1 << 16
	first, near := min(fuel, meter.Slice), min(stack, hand)
	return allowance{first: first, later: fuel - first, stack: near, deep: stack - near}
}

var plenty = allow(unlimited, unlimited)

func (a allowance) fuel() int64 { return a.first + a.later }

// fill sets what calls may use.
func (in *instance) fill(a allowance) {
	if in.host == nil {
		return
	}
	stop := int64(0)
	if a.stop {
		stop = -1
	}
	in.meter(in.host.Fuel).Set(uint64(a.first))
	in.meter(in.host.Reserve).Set(uint64(a.later))
	in.meter(in.host.Stack).Set(uint64(a.stack))
	in.meter(in.host.Deep).Set(uint64(a.deep))
	in.meter(in.host.Stop).Set(uint64(stop))
}

func (in *instance) fuelLeft() int64 {
	if in.host == nil {
		return unlimited
	}
	return int64(in.meter(in.host.Fuel).Get() + in.meter(in.host.Reserve).Get())
}

func (in *instance) stackLeft() int64 {
	if in.host == nil {
		return unlimited
	}
	return int64(in.meter(in.host.Stack).Get() + in.meter(in.host.Deep).Get())
}

func (in *instance) meter(name string) api.MutableGlobal {
	return in.ExportedGlobal(name).(api.MutableGlobal)
}

// cause is what an error of wazero's says that a trap was, without where it was.
func cause(err error) string {
	if err == nil {
		return ""
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line[strings.LastIndex(": "+line, ": "):]
}

// suiteFolder is where wazero keeps the specification's tests.
var suiteFolder = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	return filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest"), err
})
