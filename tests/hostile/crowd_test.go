package hostile

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/sandbox"
	w "github.com/seed75a60ee1/patchbay/tests/hostile/asm"
)

// crowd has a plugin called on one goroutine for each processor, again and again, and
// meanwhile a neighbour's export by one more. It returns how long the neighbour's calls
// took, in order of length.
func crowd(t *testing.T, p *sandbox.Plugin, export string, n *neighbour, calls int) []time.Duration {
	t.Helper()
	var stop atomic.Bool
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for !stop.Load() {
				_, _ = p.Call(context.Background(), sandbox.Invocation{Export: export, Tenant: "animal", Log: func(sandbox.LogLine) {}}) // ends as it may
			}
		})
	}
	var took []time.Duration
	for range calls {
		began := time.Now()
		result, err := n.plugin.Call(context.Background(), sandbox.Invocation{Export: "work", Tenant: "neighbour"})
		took = append(took, time.Since(began))
		if err != nil || len(result.Output) == 0 {
			t.Errorf("the neighbour: %v", err)
		}
	}
	stop.Store(true)
	all.Wait()
	slices.Sort(took)
	return took
}

func at(took []time.Duration, percent int) time.Duration { return took[len(took)*percent/100] }

// TestTheNeighboursLatencyIsThatOfAnyCrowd compares animals with a plugin that means no
// harm and is as busy: with as many goroutines as processors in either case, the neighbour
// has to wait for a processor. What is claimed is that it waits no longer for an animal:
// the 99th percentile at most doubles. The machine is not ours alone, so that each
// animal has three attempts, and the benign crowd is measured beside each.
func TestTheNeighboursLatencyIsThatOfAnyCrowd(t *testing.T) {
	if slowdown > 1 {
		t.Skip("nothing is learnt of latency under the race detector")
	}
	e := newEngine(t, sandbox.EngineOptions{})
	n := moveIn(t, e)
	limits := sandbox.Limits{Fuel: ration}
	benign := load(t, e, build(t, "neighbour"), sandbox.LoadOptions{Limits: limits})
	for _, a := range []animal{
		plain("an endless loop", 0, "", w.Forever()),
		plain("loads that miss every cache", 0, "ii", chase(400)).with(14_000_000, 0),
		plain("memory.fill of everything", 0, "", w.I32(511), w.MemoryGrow, w.Drop, w.Forever(w.I32(0), w.I32(1), w.I32(32<<20), w.MemoryFill)),
		plain("recursion without end", 0, "").calling(func(m *w.Module) []byte { return w.Call(m.Func("", ":", "", w.Call(m.Next()))) }),
		plain("calls of the host", 0, "").calling(func(m *w.Module) []byte {
			return w.Forever(w.Call(m.Import("extism:host/env", "memory_bytes", ":I")), w.Drop)
		}),
		plain("blocks made and freed", 0, "").calling(func(m *w.Module) []byte {
			alloc, free := m.Import("extism:host/env", "alloc", "I:I"), m.Import("extism:host/env", "free", "I:")
			return w.Forever(w.I64(mib), w.Call(alloc), w.Call(free))
		}),
	} {
		t.Run(strings.ReplaceAll(a.name, " ", "-"), func(t *testing.T) {
			limits := limits
			if a.limits.Fuel != 0 {
				limits.Fuel = a.limits.Fuel
			}
			p := load(t, e, a.wasm(), sandbox.LoadOptions{Limits: limits})
			const attempts, calls = 3, 100
			for attempt := 1; ; attempt++ {
				beside := crowd(t, benign, "toil", n, calls)
				hostile := crowd(t, p, "run", n, calls)
				t.Logf("beside it: median %v, 99%% within %v; beside a benign plugin: %v, %v", at(hostile, 50), at(hostile, 99), at(beside, 50), at(beside, 99))
				if at(hostile, 99) <= 2*at(beside, 99) {
					return
				}
				if attempt == attempts {
					t.Errorf("the neighbour's 99th percentile is %v, beside a benign plugin %v", at(hostile, 99), at(beside, 99))
					return
				}
			}
		})
	}
	n.unmoved("the crowds")
}

// calling is an animal that adds to its module.
func (a animal) calling(build func(m *w.Module) []byte) animal {
	a.build = build
	return a
}

// TestNobodyStandsStillForAGuestThatComputes shows that Go can stop the world, which it does
// to collect garbage, while guests compute on all processors: as soon as beside goroutines
// of its own that compute, about. It never could if a guest were not metered.
func TestNobodyStandsStillForAGuestThatComputes(t *testing.T) {
	e := newEngine(t, sandbox.EngineOptions{})
	native := collectBeside(func() {
		for began := time.Now(); time.Since(began) < time.Second; {
			spin(new(int))
		}
	})
	t.Logf("beside goroutines of Go's own: %v", native)
	for _, a := range []animal{
		plain("loop", 0, "", w.Forever()),
		plain("chase", 0, "ii", chase(20_000)),
		plain("fill", 0, "", w.I32(511), w.MemoryGrow, w.Drop, w.Forever(w.I32(0), w.I32(1), w.I32(32<<20), w.MemoryFill)),
	} {
		p := load(t, e, a.wasm(), sandbox.LoadOptions{Limits: sandbox.Limits{Fuel: 1 << 50, Deadline: time.Second}})
		guests := collectBeside(func() {
			_, _ = p.Call(context.Background(), sandbox.Invocation{Export: "run"}) // ends by its deadline
		})
		t.Logf("beside %s: %v", a.name, guests)
		if guests.longest > 3*native.longest+patience*20*time.Millisecond || guests.count == 0 {
			t.Errorf("beside %s: %v; beside goroutines of Go's own: %v", a.name, guests, native)
		}
	}
}

// spin computes for a moment, in a way that Go can interrupt.
func spin(n *int) {
	for i := range 100_000 {
		*n += i
	}
}

// collections are garbage collections, and how long the longest took.
type collections struct {
	count   int
	longest time.Duration
}

func (c collections) String() string {
	return fmt.Sprintf("%d collections, the longest of %v", c.count, c.longest)
}

// collectBeside collects garbage for as long as busy runs, once for each processor.
func collectBeside(busy func()) (c collections) {
	var all sync.WaitGroup
	var running atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		running.Add(1)
		all.Go(func() {
			defer running.Add(-1)
			busy()
		})
	}
	for running.Load() > 0 {
		began := time.Now()
		runtime.GC()
		c.longest = max(c.longest, time.Since(began))
		c.count++
	}
	all.Wait()
	return c
}
