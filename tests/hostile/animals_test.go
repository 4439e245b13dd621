package hostile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/sandbox"
	w "github.com/seed75a60ee1/patchbay/tests/hostile/asm"
)

// ration is the fuel of an animal here: a twentieth of the default.
const ration = 200_000_000

// animal is a hostile module, whose export "run" does harm and whose export "calm" tells
// by its code whether any of that can be seen from another call: 0 says that it cannot.
type animal struct {
	name  string
	build func(m *w.Module) []byte // adds what it needs to m and returns the body of run
	// locals are those of run, and imports are made before anything else.
	locals string

	limits sandbox.Limits
	host   map[string]sandbox.HostFunc
	// want is the limit that it meets; "trap" and a cause; or "calm" for no error.
	want string
	// about is what the call takes on a machine of its own, and peak by how much it may
	// have the process grow.
	about time.Duration
	peak  int64
}

func (a animal) wasm() []byte {
	m := &w.Module{}
	body := a.build(m)
	mark := m.Global(0)
	m.Memory(1)
	body = w.Code(w.I64(1), w.GlobalSet(mark), w.I32(0), w.I64(-1), w.I64Store, body)
	m.Func("run", ":", a.locals, body)
	m.Func("calm", ":i", "", w.I32(0), w.I64Load, w.GlobalGet(mark), w.I64Or, w.MemorySize, w.I32(1), w.I32Sub, w.Extend, w.I64Or, w.Wrap)
	return m.Bytes()
}

// as says what came of a call in the words of animal.want.
func as(err error) string {
	var limit *sandbox.LimitError
	var trap *sandbox.Trap
	switch {
	case err == nil:
		return "calm"
	case errors.As(err, &limit):
		return limit.Limit
	case errors.As(err, &trap):
		return "trap " + trap.Cause
	}
	return fmt.Sprintf("%T %v", err, err)
}

// roam lets an animal out and looks at what it did.
func roam(t *testing.T, e *sandbox.Engine, n *neighbour, a animal) {
	p := load(t, e, a.wasm(), sandbox.LoadOptions{Limits: a.limits, HostFunctions: []string{"poke"}})
	calm := func() {
		t.Helper()
		if _, err := p.Call(context.Background(), sandbox.Invocation{Export: "calm"}); err != nil {
			t.Errorf("what it did can be seen afterwards: %v", err)
		}
	}
	calm()
	var result *sandbox.Result
	var err error
	cost := measure(t, func() {
		result, err = p.Call(context.Background(), sandbox.Invocation{
			Export: "run", Input: []byte("bait"), Host: a.host, Tenant: "animal", Log: func(sandbox.LogLine) {},
		})
	})
	if got := as(err); got != a.want {
		t.Errorf("it ended with %s (%v), want %s", got, err, a.want)
	}
	cost.within(t, a.about, a.peak)
	calm()
	n.unmoved(a.name)
	t.Logf("%-20s %v, %d units", as(err), cost, result.Fuel)
}

func TestAnimalsAreContainedAndBlamed(t *testing.T) {
	e := newEngine(t, sandbox.EngineOptions{MemoryBytes: 256 * mib})
	n := moveIn(t, e)
	for _, a := range slices.Concat(loops(), calls(), lengths(), hoards(), floods()) {
		if a.limits.Fuel == 0 {
			a.limits.Fuel = ration
		}
		t.Run(strings.ReplaceAll(a.name, " ", "-"), func(t *testing.T) { roam(t, e, n, a) })
	}
}

// plain is an animal that is nothing but a body.
func plain(name string, about time.Duration, locals string, body ...[]byte) animal {
	return animal{name: name, want: "fuel", about: about, peak: 8 * mib, locals: locals, build: func(*w.Module) []byte { return w.Code(body...) }}
}

// loops compute without end.
func loops() []animal {
	return []animal{
		plain("endless loop", 80*time.Millisecond, "", w.Forever()),
		plain("loop of nothing but branches", 80*time.Millisecond, "i",
			w.Forever(w.Block, w.Block, w.Block, w.LocalGet(0), []byte{0x0e, 2, 0, 1, 2}, w.End, w.End, w.End)),
		plain("nested loops", 100*time.Millisecond, "III", w.Forever(
			w.Loop, w.Loop, w.Loop,
			w.LocalGet(0), w.I64(1), w.I64Add, w.LocalTee(0), w.Wrap, w.BrIf(0), w.End,
			w.LocalGet(1), w.I64(1), w.I64Add, w.LocalTee(1), w.Wrap, w.BrIf(0), w.End,
			w.LocalGet(2), w.I64(1), w.I64Add, w.LocalTee(2), w.Wrap, w.BrIf(0), w.End)),
		plain("divisions", 150*time.Millisecond, "I",
			w.Forever(w.Repeat(200, w.I64(-1), w.LocalGet(0), w.I64(3), w.I64Or, w.I64DivU, w.LocalSet(0)))),
		plain("square roots", 400*time.Millisecond, "F", w.Forever(w.Repeat(200, w.LocalGet(0), w.F64Sqrt, w.LocalSet(0)))),
		plain("loads that miss every cache", 500*time.Millisecond, "ii", chase(400)).with(14_000_000, 36*mib),
	}
}

func (a animal) with(fuel, peak int64) animal {
	a.limits.Fuel, a.peak = fuel, peak
	return a
}

func (a animal) wants(limit string) animal {
	a.want = limit
	return a
}

// reading has data in its memory.
func (a animal) reading(at int, data string) animal {
	build := a.build
	a.build = func(m *w.Module) []byte {
		m.Data(at, data)
		return build(m)
	}
	return a
}

// chase makes a list of all of the memory's cache lines in an order that no processor
// foresees, and walks along it, n steps in a row. Its locals are two i32.
func chase(n int) []byte {
	const lines = 1 << 19
	return w.Code(w.I32(511), w.MemoryGrow, w.Drop,
		w.Loop, w.LocalGet(1), w.I32(64), w.I32Mul,
		w.LocalGet(1), w.I32(1664525), w.I32Mul, w.I32(1013904223), w.I32Add, w.I32(lines-1), w.I32And, w.I32(64), w.I32Mul,
		w.I32Store,
		w.LocalGet(1), w.I32(1), w.I32Add, w.LocalTee(1), w.I32(lines), w.I32LtU, w.BrIf(0), w.End,
		w.Forever(w.LocalGet(0), w.Repeat(n, w.I32Load), w.LocalSet(0)))
}

// lengths have one instruction do much.
func lengths() []animal {
	grow := w.Code(w.I32(511), w.MemoryGrow, w.Drop)
	const all = 32 << 20
	repeat := func(name string, about time.Duration, body ...[]byte) animal {
		return plain(name, about, "", grow, w.Forever(body...)).with(ration, 36*mib)
	}
	table := func(name string, about time.Duration, body ...[]byte) animal {
		a := plain(name, about, "", body...)
		a.build = func(m *w.Module) []byte {
			m.Table(1)
			return w.Code(body...)
		}
		return a
	}
	wide := w.Code(w.NullFunc, w.I32(65535), w.TableGrow, w.Drop)
	initial := plain("memory.init of a megabyte", 200*time.Millisecond, "")
	initial.build = func(m *w.Module) []byte {
		segment := m.Passive(strings.Repeat("x", mib))
		return w.Code(grow, w.Forever(w.I32(0), w.I32(0), w.I32(mib), w.MemoryInit(segment)))
	}
	initial.peak = 36 * mib
	return []animal{
		repeat("memory.fill of everything", 200*time.Millisecond, w.I32(0), w.I32(1), w.I32(all), w.MemoryFill),
		repeat("memory.fill of nothing", 300*time.Millisecond, w.I32(0), w.I32(1), w.I32(0), w.MemoryFill),
		repeat("memory.copy onto itself", 200*time.Millisecond, w.I32(0), w.I32(1), w.I32(all-1), w.MemoryCopy),
		repeat("memory.copy of a byte", 300*time.Millisecond, w.I32(0), w.I32(1), w.I32(1), w.MemoryCopy),
		plain("memory.fill beyond memory", 5*time.Millisecond, "", w.I32(0), w.I32(1), w.I32(-1), w.MemoryFill).with(4_000_000_000, 8*mib).wants("trap out of bounds memory access"),
		initial,
		plain("memory.grow by nothing", 600*time.Millisecond, "", w.Forever(w.I32(0), w.MemoryGrow, w.Drop)).with(ration/10, 8*mib),
		plain("memory.grow by too much", 5*time.Millisecond, "", w.Forever(w.I32(-1), w.MemoryGrow, w.Drop)),
		table("table.fill", 200*time.Millisecond, wide, w.Forever(w.I32(0), w.NullFunc, w.I32(65536), w.TableFill)),
		table("table.copy", 200*time.Millisecond, wide, w.Forever(w.I32(0), w.I32(1), w.I32(65535), w.TableCopy)),
		table("table.grow by nothing", 600*time.Millisecond, w.Forever(w.NullFunc, w.I32(0), w.TableGrow, w.Drop)).with(ration/10, 8*mib),
	}
}

// TestTimeEndsWhatFuelDoesNot has guests compute for whom a unit of fuel is long.
func TestTimeEndsWhatFuelDoesNot(t *testing.T) {
	e := newEngine(t, sandbox.EngineOptions{})
	n := moveIn(t, e)
	for _, a := range []animal{
		plain("loads that miss every cache", 0, "ii", chase(20_000)),
		plain("loop", 0, "", w.Forever()),
		plain("memory.fill of everything", 0, "", w.I32(511), w.MemoryGrow, w.Drop, w.Forever(w.I32(0), w.I32(1), w.I32(32<<20), w.MemoryFill)),
	} {
		p := load(t, e, a.wasm(), sandbox.LoadOptions{Limits: sandbox.Limits{Fuel: 1 << 50, Deadline: 200 * time.Millisecond}})
		var err error
		cost := measure(t, func() { _, err = p.Call(context.Background(), sandbox.Invocation{Export: "run"}) })
		if as(err) != "deadline" || !errors.Is(err, context.DeadlineExceeded) || cost.took < 200*time.Millisecond {
			t.Errorf("%s: %v after %v", a.name, err, cost.took)
		}
		cost.within(t, 300*time.Millisecond, 40*mib)
		gone := errors.New("the platform hung up")
		ctx, cancel := context.WithCancelCause(context.Background())
		timer := time.AfterFunc(20*time.Millisecond, func() { cancel(gone) })
		defer timer.Stop()
		if _, err = p.Call(ctx, sandbox.Invocation{Export: "run"}); !errors.Is(err, gone) {
			t.Errorf("%s, whose caller went away: %v", a.name, err)
		}
		n.unmoved(a.name)
		t.Logf("%-28s %v, asked for 200 ms", a.name, cost)
	}
}
