package hostile

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/sandbox"
	"github.com/seed75a60ee1/patchbay/sandbox/image"
	w "github.com/seed75a60ee1/patchbay/tests/hostile/asm"
)

// globals is how many globals the secret is written to.
const globals = 16

// burrow is a module whose "hide" writes the 8 bytes of its input to every byte of its
// memory and to its globals, locals, blocks and output, and whose "seek" reads all of that
// and returns how often it met anything that is not as it was when the module started.
// With a table it puts references there, too, and cannot be frozen.
func burrow(pages int, table bool) []byte {
	m := &w.Module{}
	input := m.Import("extism:host/env", "input_load_u64", "I:I")
	alloc, store, read := m.Import("extism:host/env", "alloc", "I:I"), m.Import("extism:host/env", "store_u64", "II:"), m.Import("extism:host/env", "load_u64", "I:I")
	set := m.Import("extism:host/env", "output_set", "II:")
	m.Memory(pages)
	for range globals {
		m.Global(0)
	}
	const secret, at, found = 0, 1, 2
	var end int32 = int32(pages) << 16
	hide := w.Code(w.I64(0), w.Call(input), w.LocalSet(secret),
		w.Loop, w.LocalGet(at), w.LocalGet(secret), w.I64Store, w.LocalGet(at), w.I32(8), w.I32Add, w.LocalTee(at), w.I32(end), w.I32LtU, w.BrIf(0), w.End,
		each(globals, func(i int) []byte { return w.Code(w.LocalGet(secret), w.GlobalSet(i)) }),
		each(4, func(i int) []byte {
			return w.Code(w.I64(16), w.Call(alloc), w.LocalGet(secret), w.Call(store), w.I64(int64(i+2)<<32), w.I64(8), w.Call(set))
		}))
	count := w.Code(w.If, w.LocalGet(found), w.I32(1), w.I32Add, w.LocalSet(found), w.End)
	seek := w.Code(
		w.Loop, w.LocalGet(at), w.I64Load, w.I64Eqz, w.I32Eqz, count, w.LocalGet(at), w.I32(8), w.I32Add, w.LocalTee(at), w.I32(end), w.I32LtU, w.BrIf(0), w.End,
		each(globals, func(i int) []byte { return w.Code(w.GlobalGet(i), w.I64Eqz, w.I32Eqz, count) }),
		each(8, func(i int) []byte { return w.Code(w.I64(int64(i+2)<<32), w.Call(read), w.I64Eqz, w.I32Eqz, count) }),
		// A block is zero when it is made.
		w.I64(16), w.Call(alloc), w.Call(read), w.I64Eqz, w.I32Eqz, count,
		w.MemorySize, w.I32(int32(pages)), w.I32Eq, w.I32Eqz, count)
	if table {
		m.Table(32)
		hide = w.Code(hide, w.I32(0), w.RefFunc(m.Next()), w.I32(32), w.TableFill)
		seek = w.Code(seek, each(32, func(i int) []byte { return w.Code(w.I32(int32(i)), w.TableGet, w.RefIsNull, w.I32Eqz, count) }))
	}
	m.Func("hide", ":", "Iii", hide)
	m.Func("hide_and_trap", ":", "Iii", hide, w.Unreachable)
	m.Func("hide_and_loop", ":", "Iii", hide, w.Forever())
	m.Func("hide_and_grow", ":", "Iii", hide, w.I32(1), w.MemoryGrow, w.LocalTee(at), w.I32(16), w.I32Shl, w.LocalGet(secret), w.I64Store)
	m.Func("seek", ":i", "Iii", seek, w.LocalGet(found))
	return m.Bytes()
}

// theProof has 64 goroutines hide secrets and seek them, in turn and all at once.
func theProof(t *testing.T, p *sandbox.Plugin, rounds int, hides []string) {
	t.Helper()
	var next, found atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for range 64 {
		all.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(rounds) || found.Load() > 10 {
					return
				}
				secret := binary.LittleEndian.AppendUint64(nil, 0x5ec4e7_0000_0000_00|uint64(n)<<8|0xa5)
				export := hides[n%int64(len(hides))]
				_, err := p.Call(context.Background(), sandbox.Invocation{Export: export, Input: secret, Tenant: fmt.Sprint("tenant ", n%7)})
				if end := as(err); end != "calm" && end != "trap unreachable" && end != "fuel" {
					t.Errorf("%s: %v", export, err)
				}
				if _, err := p.Call(context.Background(), sandbox.Invocation{Export: "seek", Tenant: "thief"}); err != nil {
					found.Add(1)
					t.Errorf("after round %d, %s, something was found: %v", n, export, err)
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d secrets hidden, none found: %v", rounds, time.Since(began).Round(time.Millisecond))
}

func TestIsolationOfAModuleThatWritesEveryByte(t *testing.T) {
	for _, tracking := range image.Available() {
		t.Run(tracking.String(), func(t *testing.T) {
			e := newEngine(t, sandbox.EngineOptions{Tracking: tracking})
			p := load(t, e, burrow(2, false), sandbox.LoadOptions{Limits: sandbox.Limits{Fuel: 1_000_000, Uses: 1000}})
			if i := p.Image(); !i.Frozen || i.Tracking != tracking.String() {
				t.Fatalf("frozen is %v (%s), by %s", i.Frozen, i.Why, i.Tracking)
			}
			theProof(t, p, 10_000, []string{"hide", "hide", "hide_and_trap", "hide", "hide_and_grow", "hide", "hide_and_loop", "hide"})
		})
	}
	t.Run("fresh", func(t *testing.T) {
		p := load(t, newEngine(t, sandbox.EngineOptions{}), burrow(2, true), sandbox.LoadOptions{Limits: sandbox.Limits{Fuel: 1_000_000}})
		if i := p.Image(); i.Frozen {
			t.Fatal("a module that changes its table is frozen")
		}
		theProof(t, p, 10_000, []string{"hide", "hide_and_trap", "hide"})
	})
	t.Run("when memory is short", func(t *testing.T) {
		e := newEngine(t, sandbox.EngineOptions{MemoryBytes: 3 * mib})
		p := load(t, e, burrow(2, false), sandbox.LoadOptions{Limits: sandbox.Limits{Fuel: 1_000_000, Deadline: time.Minute}})
		theProof(t, p, 2000, []string{"hide", "hide_and_trap", "hide"})
	})
}

// TestIsolationCanFail shows that the module finds what there is to find.
func TestIsolationCanFail(t *testing.T) {
	m := &w.Module{}
	m.Memory(4)
	m.Data(100_000, "left behind")
	m.Func("seek", ":i", "ii", w.Loop, w.LocalGet(0), w.I64Load, w.I64Eqz, w.I32Eqz, w.If, w.LocalGet(1), w.I32(1), w.I32Add, w.LocalSet(1), w.End,
		w.LocalGet(0), w.I32(8), w.I32Add, w.LocalTee(0), w.I32(4<<16), w.I32LtU, w.BrIf(0), w.End, w.LocalGet(1))
	p := load(t, newEngine(t, sandbox.EngineOptions{}), m.Bytes(), sandbox.LoadOptions{})
	if _, err := p.Call(context.Background(), sandbox.Invocation{Export: "seek"}); code(err) != "2" {
		t.Errorf("a secret of 11 bytes is found as %v, want in 2 words", err)
	}
}

func TestIsolationOfAGoProgramThatHoards(t *testing.T) {
	rounds := max(1, 200/slowdown)
	if *long {
		rounds = 10_000
	}
	for _, tracking := range image.Available() {
		t.Run(tracking.String(), func(t *testing.T) {
			p := load(t, newEngine(t, sandbox.EngineOptions{Tracking: tracking}), build(t, "hoarder"), sandbox.LoadOptions{Limits: sandbox.Limits{Deadline: time.Hour}})
			if i := p.Image(); !i.Frozen {
				t.Fatalf("not frozen: %s", i.Why)
			}
			var next atomic.Int64
			var all sync.WaitGroup
			for range 64 {
				all.Go(func() {
					for n := next.Add(1); n <= int64(rounds); n = next.Add(1) {
						secret := fmt.Appendf(nil, "a tenant's secret, no. %06d", n)
						turned := make([]byte, len(secret))
						for i, b := range secret {
							turned[i] = ^b
						}
						seed := [32]byte{byte(n), byte(n >> 8), 1}
						if _, err := p.Call(context.Background(), sandbox.Invocation{Export: "hide", Input: secret, Seed: seed}); err != nil {
							t.Errorf("hide: %v", err)
						}
						// What any tenant's secret begins with, since another may have been hidden last.
						result, err := p.Call(context.Background(), sandbox.Invocation{Export: "seek", Input: turned[:20], Seed: seed})
						if err != nil || string(result.Output) != "0" {
							t.Errorf("after round %d: found %s times, %v", n, result.Output, err)
						}
					}
				})
			}
			all.Wait()
		})
	}
}
