package hostile

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/sandbox"
	w "github.com/seed75a60ee1/patchbay/tests/hostile/asm"
)

// sampler is a small module with something of everything.
func sampler() []byte {
	m := &w.Module{}
	alloc, set := m.Import("extism:host/env", "alloc", "I:I"), m.Import("extism:host/env", "output_set", "II:")
	store := m.Import("extism:host/env", "store_u64", "II:")
	m.Memory(2)
	m.Table(4)
	count := m.Global(3)
	segment := m.Passive("passive")
	m.Data(64, "active data")
	add := m.Func("", "II:I", "I", w.LocalGet(0), w.LocalGet(1), w.I64Add, w.LocalTee(2))
	swap := m.Func("", "II:II", "", w.LocalGet(1), w.LocalGet(0))
	even := m.Func("", "i:i", "", w.LocalGet(0), w.I32Eqz, []byte{0x04, 0x7f}, w.I32(1), w.Else, w.LocalGet(0), w.I32(1), w.I32Sub, w.I32(1), w.CallIndirect(m.Type("i:i")), w.End)
	odd := m.Func("", "i:i", "", w.LocalGet(0), w.I32Eqz, []byte{0x04, 0x7f}, w.I32(0), w.Else, w.LocalGet(0), w.I32(1), w.I32Sub, w.ReturnCall(even), w.End)
	m.Elements(even, odd, add, swap)
	m.Start(m.Func("", ":", "", w.GlobalGet(count), w.I64(4), w.I64Add, w.GlobalSet(count)))
	m.Func("run", ":i", "IFVi",
		w.I32(0), w.I32(0), w.I32(7), w.MemoryInit(segment), w.I32(128), w.I32(64), w.I32(11), w.MemoryCopy, w.I32(200), w.I32(1), w.I32(9), w.MemoryFill,
		w.I32(0), w.V128Load, w.V128Zero, w.V128Xor, w.LocalSet(2), w.I32(8), w.F64Load, w.F64Sqrt, w.LocalSet(1),
		w.Block, w.Loop, w.LocalGet(3), w.I32(1), w.I32Add, w.LocalTee(3), w.I32(10), w.I32LtU, w.BrIf(0), w.End, w.LocalGet(3), []byte{0x0e, 1, 0, 0}, w.End,
		w.I64(1), w.I64(2), w.Call(swap), w.Call(add), w.GlobalGet(count), w.I64Add, w.LocalSet(0),
		w.NullFunc, w.I32(1), w.TableGrow, w.Drop, w.I32(5), w.Call(even), w.Drop, w.I32(1), w.MemoryGrow, w.Drop,
		w.I64(8), w.Call(alloc), w.LocalGet(0), w.Call(store), w.I64(1<<32), w.I64(8), w.Call(set), w.I32(0))
	return m.Bytes()
}

// chew loads a module and, if that works, runs all of its exports. It must come back soon.
func chew(t *testing.T, e *sandbox.Engine, wasm []byte, what string, at int) (loaded bool) {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), patience*time.Second)
	defer cancel()
	p, err := e.Load(ctx, wasm, sandbox.LoadOptions{Limits: sandbox.Limits{Fuel: 3_000_000, StackBytes: mib}})
	if err == nil {
		loaded = true
		for _, export := range p.Spec().Exports {
			_, _ = p.Call(ctx, sandbox.Invocation{Export: export.Name}) // any end will do, as long as it is one
		}
		if err := p.Close(ctx); err != nil {
			t.Errorf("%s at %d: %v", what, at, err)
		}
	}
	if took := time.Since(began); took > patience*time.Second || ctx.Err() != nil {
		t.Errorf("%s at %d took %v", what, at, took)
	}
	return loaded
}

func TestASmallModuleMalformedAtEveryBit(t *testing.T) {
	if slowdown > 1 && !*long {
		t.Skip("the race detector has nothing to see here: one goroutine; run with -long")
	}
	e := newEngine(t, sandbox.EngineOptions{})
	n := moveIn(t, e)
	whole := sampler()
	if !chew(t, e, whole, "nothing", 0) {
		t.Fatal("the module itself is not loaded")
	}
	loaded := 0
	cost := measure(t, func() {
		for at := range whole {
			chew(t, e, whole[:at], "the end", at) // between two sections that is a module
			for bit := range 8 {
				flipped := bytes.Clone(whole)
				flipped[at] ^= 1 << bit
				if chew(t, e, flipped, "a bit", at*8+bit) {
					loaded++
				}
			}
		}
	})
	n.unmoved("all of it")
	t.Logf("%d bytes: %d truncated, %d flipped, of which %d were loaded; %v", len(whole), len(whole), 8*len(whole), loaded, cost)
	if cost.kept > 16*mib || cost.peak > 300*mib {
		t.Errorf("%v", cost)
	}
	if loaded == 0 {
		t.Error("no flipped bit is harmless, which cannot be")
	}
}

func TestALargePluginMalformedHereAndThere(t *testing.T) {
	e := newEngine(t, sandbox.EngineOptions{})
	n := moveIn(t, e)
	whole := build(t, "neighbour")
	truncated, flipped := 300/slowdown, 2
	if *long {
		truncated, flipped = 20_000, 600
	}
	random := rand.New(rand.NewPCG(7, 7))
	loaded := 0
	cost := measure(t, func() {
		for range truncated {
			at := random.IntN(len(whole))
			if chew(t, e, whole[:at:at], "the end", at) {
				t.Errorf("the first %d bytes of %d are a module", at, len(whole))
			}
		}
		for range flipped {
			at := random.IntN(8 * len(whole))
			bits := bytes.Clone(whole)
			bits[at/8] ^= 1 << (at % 8)
			if chew(t, e, bits, "a bit", at) {
				loaded++
			}
		}
	})
	n.unmoved("all of it")
	t.Logf("%d bytes: %d truncated, %d flipped, of which %d were loaded; %v", len(whole), truncated, flipped, loaded, cost)
	if cost.kept > 16*mib || cost.peak > 500*mib {
		t.Errorf("%v", cost)
	}
}
