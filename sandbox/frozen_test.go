package sandbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/seed75a60ee1/patchbay/sandbox/image"
	w "github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
)

func mustLoad(tb testing.TB, e *Engine, wasm []byte, o LoadOptions) *Plugin {
	tb.Helper()
	p, err := e.Load(context.Background(), wasm, o)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// leaky has two exports: write puts its input's first 8 bytes into a global and all over
// a page of memory, and read returns 1 if either is not zero.
func leaky() []byte {
	m := &w.Module{}
	input := m.Import("extism:host/env", "input_load_u64", "I:I")
	m.Memory(2)
	m.Global(0)
	m.Func("write", ":", "i", w.I64Const(0), w.Call(input), w.GlobalSet(0),
		w.Loop, w.LocalGet(0), w.GlobalGet(0), w.I64Store,
		w.LocalGet(0), w.I32Const(8), w.I32Add, w.LocalSet(0),
		w.LocalGet(0), w.I32Const(2<<16), []byte{0x49}, []byte{0x0d, 0}, w.End)
	m.Func("read", ":i", "iI", w.GlobalGet(0), w.LocalSet(1),
		w.Loop, w.LocalGet(1), w.LocalGet(0), w.I64Load, w.I64Or, w.LocalSet(1),
		w.LocalGet(0), w.I32Const(8), w.I32Add, w.LocalSet(0),
		w.LocalGet(0), w.I32Const(2<<16), []byte{0x49}, []byte{0x0d, 0}, w.End,
		w.LocalGet(1), w.I64Const(0), []byte{0x52})
	return m.Bytes()
}

// TestNoByteOfOneCallIsInTheNext is run with both ways of finding what was written, and
// holds that the same instance serves both calls.
func TestNoByteOfOneCallIsInTheNext(t *testing.T) {
	for _, how := range image.Available() {
		t.Run(how.String(), func(t *testing.T) {
			p := mustLoad(t, newEngineWith(t, EngineOptions{Tracking: how}), leaky(), LoadOptions{})
			if got := p.Image(); !got.Frozen || got.Tracking != how.String() || got.Bytes != 2<<16 {
				t.Fatalf("the image is %+v", got)
			}
			for range 50 {
				output(t, p, Invocation{Export: "write", Input: []byte("a secret")})
				output(t, p, Invocation{Export: "read"})
			}
			if n := len(p.source.(*frozenInstances).keeper.idle); n != 1 {
				t.Errorf("%d instances are idle, want the one that served all", n)
			}
		})
	}
}

func TestAFreshInstanceServesWhatCannotBeFrozen(t *testing.T) {
	table := &w.Module{}
	table.Table(1, 5)
	table.Func("run", ":", "", w.NullFunc, w.I32Const(1), w.TableGrow, w.Drop)
	config := &w.Module{}
	length := config.Import("extism:host/env", "input_length", ":I")
	config.Memory(1)
	config.Func("_initialize", ":", "", w.Call(length), w.Drop)
	config.Func("run", ":", "")
	host := &w.Module{}
	f := host.Import("extism:host/user", "probe", "I:I")
	host.Memory(1)
	host.Func("_initialize", ":", "", w.I64Const(0), w.Call(f), w.Drop)
	host.Func("run", ":", "")
	random := &w.Module{}
	get := random.Import("wasi_snapshot_preview1", "random_get", "ii:i")
	random.Memory(1)
	random.Func("_initialize", ":", "", w.I32Const(0), w.I32Const(8), w.Call(get), w.Drop)
	random.Func("run", ":", "")
	for name, tt := range map[string]struct {
		wasm []byte
		why  string
	}{
		"a table that changes":                      {table.Bytes(), "table.grow"},
		"a start that reads the input":              {config.Bytes(), "reads its input"},
		"a start that calls the host":               {host.Bytes(), "does not offer it"},
		"a start that draws random numbers":         {random.Bytes(), "patchbay_reseed"},
		"and one that crashes, which calls tell of": {run(w.Unreachable), ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := load(t, tt.wasm, LoadOptions{HostFunctions: []string{"probe"}})
			if got := p.Image(); got.Frozen != (tt.why == "") || !strings.Contains(got.Why, tt.why) {
				t.Errorf("the image is %+v, want %q", got, tt.why)
			}
			if tt.why != "" {
				output(t, p, Invocation{Export: "run", Host: noAnswer})
			}
		})
	}
}

// TestAPluginThatCanReseedIsFrozen has the random bytes of the start in memory, and
// others in their place in every call.
func TestAPluginThatCanReseedIsFrozen(t *testing.T) {
	m := &w.Module{}
	get := m.Import("wasi_snapshot_preview1", "random_get", "ii:i")
	write := m.Import("extism:host/user", "block_write", "ii:I")
	set := m.Import("extism:host/env", "output_set", "II:")
	m.Memory(1)
	fill := w.Code(w.I32Const(0), w.I32Const(8), w.Call(get), w.Drop)
	m.Func("_initialize", ":", "", fill)
	m.Func("patchbay_reseed", ":", "", fill)
	m.Func("run", ":", "", w.I32Const(0), w.I32Const(8), w.Call(write), w.I64Const(8), w.Call(set))
	p := load(t, m.Bytes(), LoadOptions{})
	if !p.Image().Frozen {
		t.Fatalf("the image is %+v", p.Image())
	}
	seen := map[string]bool{}
	for n := range 10 {
		seen[output(t, p, Invocation{Export: "run", Seed: [32]byte{byte(n)}})] = true
	}
	if again := output(t, p, Invocation{Export: "run", Seed: [32]byte{3}}); len(seen) != 10 || !seen[again] {
		t.Errorf("10 seeds gave %d outputs", len(seen))
	}
}

func TestGoGeneratorsAreFoundAndSeeded(t *testing.T) {
	memory := make([]byte, 1<<16)
	for n, at := range []int{0, 4096, 8000} {
		seed := [32]byte{byte(n + 1)}
		source := rand.NewChaCha8(seed)
		copy(memory[at+generatorSeed:], seed[:])
		turn := n * 3 % 4 // 0, 3, 2
		for range turn * generatorWords {
			source.Uint64()
		}
		count := generatorWords
		if turn == 3 {
			count = generatorKept
		}
		for i := range count {
			binary.LittleEndian.PutUint64(memory[at+8*i:], source.Uint64())
		}
		binary.LittleEndian.PutUint32(memory[at+generatorIndex:], 5)
		binary.LittleEndian.PutUint32(memory[at+generatorCount:], uint32(count))
		binary.LittleEndian.PutUint32(memory[at+generatorCounter:], uint32(turn*generatorStep))
	}
	found := findGenerators(memory)
	if fmt.Sprint(found) != "[0 4096 8000]" {
		t.Fatalf("found %v", found)
	}
	w := starting([32]byte{9})
	found[0].seed(memory, &w)
	want := starting([32]byte{9})
	next := make([]byte, generatorSeed)
	want.fill(next)
	words, numbers := memory[:generatorSeed], memory[generatorIndex:generatorBytes]
	if !bytes.Equal(words, next) || !bytes.Equal(numbers, []byte{0, 0, 0, 0, 28, 0, 0, 0, 12, 0, 0, 0}) {
		t.Errorf("seeded, it begins anew with %x and %v, want %x", words, numbers, next)
	}
	memory[4096]++
	if got := findGenerators(memory); len(got) != 1 {
		t.Errorf("words that do not come from the seed are taken for a generator: %v", got)
	}
}

func TestAnInstanceIsThrownAwayWhenItCannotBeSetBack(t *testing.T) {
	m := &w.Module{}
	m.Memory(1)
	m.Func("grow", ":", "", w.I32Const(1), w.MemoryGrow, w.Drop)
	m.Func("trap", ":", "", w.Unreachable)
	m.Func("nop", ":", "")
	m.Func("spin", ":", "", forever)
	p := load(t, m.Bytes(), LoadOptions{Limits: Limits{Uses: 3, Fuel: 1000}})
	keeper := p.source.(*frozenInstances).keeper
	for _, tt := range []struct {
		export string
		left   int
	}{{"nop", 1}, {"grow", 0}, {"nop", 1}, {"trap", 0}, {"spin", 0}, {"nop", 1}, {"nop", 1}, {"nop", 0}} {
		_, _ = p.Call(context.Background(), Invocation{Export: tt.export}) // some fail, as they should
		if len(keeper.idle) != tt.left {
			t.Errorf("after %s %d instances are idle, want %d", tt.export, len(keeper.idle), tt.left)
		}
	}
}

// TestAnIdleInstanceKeepsNothingOfACall has one call that goes deep and comes back, and one
// that does not.
func TestAnIdleInstanceKeepsNothingOfACall(t *testing.T) {
	m := &w.Module{}
	m.Memory(1)
	m.Global(0)
	m.Func("shallow", ":", "")
	m.Func("deep", ":", "", w.GlobalGet(0), w.I64Const(1), w.I64Add, w.GlobalSet(0),
		w.GlobalGet(0), w.I64Const(20_000), []byte{0x53, 0x04, 0x40}, w.Call(1), w.End)
	e := newEngineWith(t, EngineOptions{})
	keeper := mustCallAll(t, mustLoad(t, e, m.Bytes(), LoadOptions{}), "shallow")
	if n := len(keeper.idle[0].functions); n != 1 {
		t.Errorf("%d functions are kept after a shallow call, want its stack to be used again", n)
	}
	keeper = mustCallAll(t, mustLoad(t, e, m.Bytes(), LoadOptions{}), "shallow", "deep")
	if n := len(keeper.idle[0].functions); n != 0 {
		t.Errorf("%d functions are kept after a deep call, and with them its stack", n)
	}
	before := e.pool.used
	if keeper.idle[0].memory.Reallocate(2*pageBytes) == nil || e.pool.used != before {
		t.Errorf("an idle instance still asks for its last call: %d bytes are counted, and %d before", e.pool.used, before)
	}
}

// mustCallAll calls exports one after the other, and returns who keeps the instance.
func mustCallAll(t *testing.T, p *Plugin, exports ...string) *keeper {
	for _, export := range exports {
		output(t, p, Invocation{Export: export})
	}
	return p.source.(*frozenInstances).keeper
}

func TestWarmingUpIsHowEveryCallBegins(t *testing.T) {
	count := w.Code(w.GlobalGet(0), w.I64Const(1), w.I64Add, w.GlobalSet(0), w.GlobalGet(0), w.Wrap)
	m := &w.Module{}
	m.Memory(1)
	m.Global(0)
	m.Func("run", ":i", "", count)
	m.Func("bad", ":", "", w.Unreachable)
	for name, tt := range map[string]struct {
		warmUp []Invocation
		code   int32
		why    string
	}{
		"none":              {nil, 1, ""},
		"two calls":         {[]Invocation{{Export: "run"}, {Export: "run"}}, 5, ""},
		"one that crashes":  {[]Invocation{{Export: "run"}, {Export: "bad"}}, 1, "unreachable"},
		"one there is none": {[]Invocation{{Export: "gone"}}, 1, "no such export"},
	} {
		t.Run(name, func(t *testing.T) {
			p := load(t, m.Bytes(), LoadOptions{WarmUp: func(*Spec) []Invocation { return tt.warmUp }})
			for range 3 {
				_, err := p.Call(context.Background(), Invocation{Export: "run"})
				var failed *GuestError
				if !errors.As(err, &failed) || failed.Code != tt.code {
					t.Errorf("got %v, want code %d", err, tt.code)
				}
			}
			if got := p.Image(); !got.Frozen || !strings.Contains(got.Why, tt.why) || (got.Why == "") != (tt.why == "") {
				t.Errorf("the image is %+v, want %q", got, tt.why)
			}
		})
	}
}

// TestTheSameCallUsesTheSameFuel is on both engines, with instances that are new and
// that have served before, and at the same time.
func TestTheSameCallUsesTheSameFuel(t *testing.T) {
	wasm := buildPlugin(t, "testdata/probe")
	fuel := map[int64]bool{}
	var mu sync.Mutex
	for _, interpreter := range []bool{false, true} {
		e := newEngineWith(t, EngineOptions{Interpreter: interpreter})
		p := mustLoad(t, e, wasm, LoadOptions{HostFunctions: []string{"probe"}})
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				for range 3 {
					result, err := p.Call(context.Background(), Invocation{Export: "visit", Input: []byte("one"), Seed: [32]byte{7}})
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					fuel[result.Fuel] = true
					mu.Unlock()
				}
			})
		}
		all.Wait()
	}
	if len(fuel) != 1 {
		t.Errorf("the same call used %v units", fuel)
	}
}
