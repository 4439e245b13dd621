package spectest

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// memoryPages is what a generated memory without a maximum may grow to.
const memoryPages = 6

// call is one call from outside.
type call struct {
	function string
	args     []uint64
	results  []binary.ValueType
}

// calls are those that are made of a sample, the same for the same bytes.
func calls(s sample, data []byte) []call {
	h := fnv.New64a()
	_, _ = h.Write(data)
	random := rand.New(rand.NewPCG(h.Sum64(), 1))
	var all []call
	for range 2 {
		for i, f := range s.functions {
			if i < s.imported || i == s.sizes {
				continue
			}
			c := call{function: fmt.Sprintf("f%d", i), results: f.Results}
			for _, p := range f.Params {
				c.args = append(c.args, argument(random, p)...)
			}
			all = append(all, c)
		}
	}
	return all
}

// argument is a value of that type, as wazero takes it. A function cannot be passed in.
func argument(random *rand.Rand, t binary.ValueType) []uint64 {
	word := edges[random.IntN(len(edges))]
	real := reals[random.IntN(len(reals))]
	switch t {
	case binary.I32:
		return []uint64{uint64(uint32(word))}
	case binary.F32:
		return []uint64{uint64(realBits32(real, word, random.IntN(8) == 0))}
	case binary.F64:
		return []uint64{realBits64(real, word, random.IntN(8) == 0)}
	case binary.V128:
		return []uint64{word, random.Uint64()}
	case binary.ExternRef:
		return []uint64{uint64(random.IntN(3))}
	case binary.FuncRef:
		return []uint64{0}
	}
	return []uint64{word}
}

// came is what came of one call.
type came struct {
	results string
	cause   string
	fuel    int64 // used; 0 if nothing is metered
	steps   uint64
}

// transcript is what came of all of them, and the state after them.
type transcript struct {
	refused string // why there is no instance
	calls   []came
	sizes   string
	globals string
	memory  []byte
}

// world is a module compiled in a runtime, with what it imports.
type world struct {
	sample
	prepared
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
}

// newWorld compiles a module. Its runtime is to be closed in any case.
func newWorld(ctx context.Context, engine string, s sample, p prepared) (*world, error) {
	config := engines[engine]().WithCoreFeatures(features).WithMemoryLimitPages(memoryPages)
	w := &world{sample: s, prepared: p, runtime: wazero.NewRuntimeWithConfig(ctx, config)}
	var err error
	w.compiled, err = w.runtime.CompileModule(ctx, p.wasm)
	return w, err
}

func (w *world) close(ctx context.Context) { _ = w.runtime.Close(ctx) }

// begin makes a new instance, and env anew beside it, whose variable may have changed.
func (w *world) begin(ctx context.Context, t testing.TB) (*instance, error) {
	if old := w.runtime.Module("env"); old != nil {
		_ = old.Close(ctx)
	}
	if w.refers {
		if _, err := w.runtime.InstantiateWithConfig(ctx, env, wazero.NewModuleConfig().WithName("env")); err != nil {
			t.Fatalf("module env: %v", err)
		}
	}
	in, err := link(ctx, w.runtime, w.compiled, w.prepared, "")
	if err != nil {
		return nil, err
	}
	return in, in.start(ctx, w.runtime)
}

// call makes one call.
func (w *world) call(ctx context.Context, in *instance, c call, a allowance) came {
	in.ExportedGlobal("g0").(api.MutableGlobal).Set(steps)
	in.fill(a)
	results, err := in.ExportedFunction(c.function).Call(ctx, c.args...)
	out := came{cause: cause(err), steps: in.ExportedGlobal("g0").Get()}
	if in.host != nil {
		out.fuel = a.fuel() - in.fuelLeft()
	}
	for _, t := range c.results {
		if err != nil {
			break
		}
		n := 1
		if t == binary.V128 {
			n = 2
		}
		results[0] = meaningful(t, results[0])
		out.results += fmt.Sprintf("%v:%#x ", t, results[:n])
		results = results[n:]
	}
	return out
}

// meaningful is a word without what means nothing: the upper half of a short number, of
// which wazero's interpreter makes what it likes, and a function's address.
func meaningful(t binary.ValueType, word uint64) uint64 {
	switch t {
	case binary.I32, binary.F32:
		return uint64(uint32(word))
	case binary.FuncRef:
		return min(word, 1)
	}
	return word
}

// play makes all calls. If it is known what they use, each begins with less than that at
// random, so that it pauses somewhere on its way and goes on with plenty.
func (w *world) play(ctx context.Context, t testing.TB, all []call, known *transcript) transcript {
	var out transcript
	in, err := w.begin(ctx, t)
	if err != nil {
		out.refused = cause(err)
		return out
	}
	random := rand.New(rand.NewPCG(uint64(len(w.sample.wasm)), 2))
	for i, c := range all {
		a := plenty
		if known != nil {
			a.first = random.Int64N(known.calls[i].fuel + 1)
			a.later = unlimited - a.first
		}
		got := w.call(ctx, in, c, a)
		if got.cause == "" && in.stackLeft() != unlimited {
			t.Errorf("%s(%#x) returned, and %d bytes of stack did not", c.function, c.args, unlimited-in.stackLeft())
		}
		out.calls = append(out.calls, got)
	}
	out.state(ctx, t, w, in)
	return out
}

// state notes memory, globals and the sizes of tables.
func (out *transcript) state(ctx context.Context, t testing.TB, w *world, in *instance) {
	sizes := w.call(ctx, in, call{function: "sizes", results: typesOf("iiii")}, plenty)
	out.sizes = sizes.results + sizes.cause
	memory := in.Memory()
	view, _ := memory.Read(0, memory.Size())
	out.memory = bytes.Clone(view)
	for i, name := range w.sample.globals {
		v := meaningful(w.kinds[i], in.ExportedGlobal(name).Get())
		if w.host != nil {
			named := w.host.Globals[i]
			if again := meaningful(named.Type, in.ExportedGlobal(named.Export).Get()); named.Type != w.kinds[i] || again != v {
				t.Errorf("global %s is %#x and, as %s of type %v, %#x", name, v, named.Export, named.Type, again)
			}
		}
		out.globals += fmt.Sprintf("%s:%#x ", name, v)
	}
	if shared := w.runtime.Module("env"); shared != nil {
		out.globals += fmt.Sprintf("shared:%#x", shared.ExportedGlobal("shared").Get())
	}
}

// differs says how two transcripts differ, but for fuel if that is not to be compared.
func (out transcript) differs(other transcript, fuel bool) string {
	if out.refused != other.refused {
		return fmt.Sprintf("not started: %q and %q", out.refused, other.refused)
	}
	for i, a := range out.calls {
		b := other.calls[i]
		if !fuel {
			a.fuel, b.fuel = 0, 0
		}
		if a != b {
			return fmt.Sprintf("call %d: %+v and %+v", i, a, b)
		}
	}
	switch {
	case out.sizes != other.sizes:
		return fmt.Sprintf("sizes: %s and %s", out.sizes, other.sizes)
	case out.globals != other.globals:
		return fmt.Sprintf("globals: %s and %s", out.globals, other.globals)
	case !bytes.Equal(out.memory, other.memory):
		return "memory"
	}
	return ""
}

// env is the module that samples import from: a function that mixes its parameters into a
// variable and gives their sum, that variable, and a constant.
var env = func() []byte {
	g := &generator{choices: &choices{}, out: file{start: -1}}
	g.functionOf(binary.FuncType{Params: typesOf("il"), Results: typesOf("l")})
	for _, mutable := range []byte{0, 1} {
		e := g.out.globals.add()
		e.raw(byte(binary.I32), mutable)
		e.i32(300)
		e.raw(0x0b)
		g.out.export([]string{"base", "shared"}[mutable], binary.KindGlobal, uint32(mutable))
	}
	g.out.export("mix", binary.KindFunction, 0)
	c := &coder{}
	c.raw(0x20, 0, 0x23, 1, 0x6a, 0x24, 1)    // shared += the first
	c.raw(0x20, 0, 0xac, 0x20, 1, 0x7c, 0x0b) // the first, extended, + the second
	g.body(nil, c.code)
	return g.out.bytes()
}()
