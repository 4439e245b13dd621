package hostile

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/sandbox"
	w "github.com/seed75a60ee1/patchbay/tests/hostile/asm"
)

// bomb is a module that is dear before anything of it runs.
type bomb struct {
	name  string
	build func(m *w.Module)
	about time.Duration
	peak  int64
}

// merges is a function with that many variables, all of which change in each of that many
// branches: each branch's end may need a merge of each variable.
func merges(locals, branches int) func(m *w.Module) {
	return func(m *w.Module) {
		m.Memory(1)
		m.Func("run", ":", strings.Repeat("I", locals),
			each(branches, func(i int) []byte {
				return w.Code(w.I32(0), w.I32Load, w.If, w.LocalGet((i+1)%locals), w.LocalSet(i%locals), w.End)
			}),
			each(locals, func(i int) []byte { return w.Code(w.I32(0), w.LocalGet(i), w.I64Store) }))
	}
}

// nested is a function with nested loops, in each of which all variables may change.
func nested(locals, depth int) func(m *w.Module) {
	return func(m *w.Module) {
		m.Memory(1)
		m.Func("run", ":", strings.Repeat("I", locals),
			each(depth, func(i int) []byte { return w.Code(w.Loop, w.I64(int64(i)), w.LocalSet(i%locals)) }),
			each(locals, func(i int) []byte { return w.Code(w.I32(0), w.LocalGet(i), w.I64Store) }),
			each(depth, func(int) []byte { return w.Code(w.I32(0), w.I32Load, w.BrIf(0), w.End) }))
	}
}

func bombs() []bomb {
	second := time.Second
	run := func(m *w.Module, body ...[]byte) { m.Func("run", ":", "", body...) }
	return []bomb{
		{"1000 variables merged 1000 times", merges(1000, 1000), 2 * second, 256 * mib},
		{"5000 variables merged 3000 times", merges(5000, 3000), 10 * second, 512 * mib},
		{"1000 variables in 16 nested loops", nested(1000, 16), second, 256 * mib},
		{"4000 variables in 16 nested loops", nested(4000, 16), second, 256 * mib},
		{"a variable in 4000 nested loops", nested(1, 4000), second, 256 * mib},
		{"2000 variables in 1000 nested loops", nested(2000, 1000), second, 512 * mib},
		{"a function of 150000 additions", func(m *w.Module) {
			m.Memory(1)
			run(m, w.I64(0), w.Repeat(150_000, w.I32(0), w.I64Load, w.I64Add), w.Drop)
		}, 5 * second, 512 * mib},
		{"half a million calls in a function", func(m *w.Module) {
			f := m.Func("", ":", "")
			run(m, w.Repeat(500_000, w.Call(f)))
		}, 5 * second, 512 * mib},
		{"a hundred thousand functions", func(m *w.Module) {
			for range 100_000 {
				m.Func("", ":", "", w.I64(1), w.Drop)
			}
			run(m)
		}, 3 * second, 512 * mib},
		{"fifty thousand blocks in one another", func(m *w.Module) {
			run(m, w.Repeat(50_000, w.Block), w.Repeat(50_000, w.End))
		}, second, 256 * mib},
		{"a branch to a hundred thousand places", func(m *w.Module) {
			run(m, w.Block, w.I32(0), []byte{0x0e}, w.U32(100_000), w.Repeat(100_001, []byte{0}), w.End)
		}, second, 128 * mib},
		{"a hundred thousand mutable globals", func(m *w.Module) {
			for range 100_000 {
				m.Global(1)
			}
			run(m)
		}, second, 256 * mib},
		{"16 tables of 65536 entries", func(m *w.Module) {
			for range 16 {
				m.Table(65536)
			}
			run(m)
		}, second, 128 * mib},
		{"fifty thousand variables", func(m *w.Module) {
			m.Func("run", ":", strings.Repeat("I", 50_000), w.Repeat(1000, w.LocalGet(49_999), w.Drop))
		}, second, 64 * mib},
		{"a million zeros of data", func(m *w.Module) {
			m.Memory(1)
			for range 100_000 {
				m.Data(0, "0123456789")
			}
			run(m)
		}, second, 128 * mib},
	}
}

// TestBombsAreBoundedAtLoadAndAtCall lets modules be compiled that were made to be hard
// to compile. To refuse one is as good as to run it.
func TestBombsAreBoundedAtLoadAndAtCall(t *testing.T) {
	e := newEngine(t, sandbox.EngineOptions{CacheDir: filepath.Join(t.TempDir(), "cache")})
	n := moveIn(t, e)
	for _, b := range bombs() {
		t.Run(strings.ReplaceAll(b.name, " ", "-"), func(t *testing.T) {
			m := &w.Module{}
			b.build(m)
			wasm := m.Bytes()
			var p *sandbox.Plugin
			var err error
			cost := measure(t, func() { p, err = e.Load(t.Context(), wasm, sandbox.LoadOptions{}) })
			t.Logf("%d KiB of code, loading: %v; %.200v", len(wasm)>>10, cost, err)
			if cost.took > patience*b.about || cost.peak > b.peak*slowdown {
				t.Errorf("to load it took %v, should about %v and %d MiB", cost, b.about, b.peak/mib)
			}
			if err != nil {
				n.unmoved(b.name)
				return
			}
			cost = measure(t, func() { _, err = p.Call(context.Background(), sandbox.Invocation{Export: "run"}) })
			t.Logf("the call: %v; %s", cost, as(err))
			if cost.took > patience*50*time.Millisecond || cost.peak > 64*mib*slowdown || cost.kept > 16*mib {
				t.Errorf("to call it took %v", cost)
			}
			n.unmoved(b.name)
			if err := p.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
}
