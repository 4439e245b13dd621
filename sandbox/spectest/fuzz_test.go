package spectest

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// seeds are the modules that an ordinary run generates.
const seeds = 600

// entropy is what the module of a seed is made of.
func entropy(seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 3))
	data := make([]byte, 512+random.IntN(6000))
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	return data
}

// tally is what a number of generated modules came to.
type tally struct {
	modules, valid, calls, traps, exhausted int

	fuel, instructions int64
	causes             map[string]int
	has                map[binary.Opcode]int // how many of each instruction
}

// check compares the module of these bytes with itself rewritten.
func (n *tally) check(t testing.TB, data []byte) {
	ctx := t.Context()
	s := generate(data)
	n.modules++
	defer func() {
		if t.Failed() {
			t.Logf("module: %s", hex.EncodeToString(s.wasm))
		}
	}()
	p, refusal := metered(s.wasm)
	original, err := newWorld(ctx, "compiler", s, prepared{wasm: s.wasm})
	defer original.close(ctx)
	if err != nil {
		t.Logf("a module that is not valid: %v", err)
		if refusal == nil {
			w, err := newWorld(ctx, "compiler", s, p)
			w.close(ctx)
			if err == nil {
				t.Errorf("it is valid rewritten")
			}
		}
		return
	}
	n.valid++
	n.count(t, s.wasm)
	if refusal != nil {
		t.Fatalf("a valid module is refused: %v", refusal)
	}
	if again, err := metered(s.wasm); err != nil || !bytes.Equal(again.wasm, p.wasm) {
		t.Errorf("rewritten again it is not the same (%v)", err)
	}
	all := calls(s, data)
	want := original.play(ctx, t, all, nil)
	for _, c := range want.calls {
		n.calls++
		if c.cause != "" {
			n.traps++
			n.causes[c.cause]++
		}
	}
	var first *transcript
	for _, engine := range []string{"compiler", "compiler", "interpreter"} {
		w, err := newWorld(ctx, engine, s, p)
		defer w.close(ctx)
		if err != nil {
			t.Fatalf("%s: the rewritten module is not valid: %v", engine, err)
		}
		got := w.play(ctx, t, all, first)
		if d := want.differs(got, false); d != "" {
			t.Fatalf("%s: original and rewritten differ: %s", engine, d)
		}
		if first != nil {
			if d := first.differs(got, true); d != "" {
				t.Fatalf("%s, again: %s", engine, d)
			}
			continue
		}
		first = &got
		n.starve(t, w, all, got)
		for _, c := range got.calls {
			n.fuel += c.fuel
		}
	}
}

// starve gives some call less than it uses, of fuel or of stack, and just as much fuel.
func (n *tally) starve(t testing.TB, w *world, all []call, full transcript) {
	if full.refused != "" {
		return
	}
	random := rand.New(rand.NewPCG(uint64(len(w.sample.wasm)), uint64(len(all))))
	for _, share := range []float64{1, 0.999, 0.5, 0} {
		last := random.IntN(len(all))
		used := full.calls[last].fuel
		fuel := int64(float64(used) * share)
		first := random.Int64N(fuel + 1)
		n.try(t, w, all[:last+1], full, allowance{first: first, later: fuel - first, stack: unlimited})
	}
	n.try(t, w, all[:1+random.IntN(len(all))], full, allowance{later: unlimited, stack: random.Int64N(1000), deep: random.Int64N(4096)})
}

// try makes calls, with plenty of everything but for the last one, which either comes to
// what it came to with plenty, or stops for want of something.
func (n *tally) try(t testing.TB, w *world, all []call, full transcript, a allowance) {
	ctx := t.Context()
	in, err := w.begin(ctx, t)
	if err != nil {
		t.Fatal(err)
	}
	last := len(all) - 1
	for _, c := range all[:last] {
		w.call(ctx, in, c, plenty)
	}
	c := all[last]
	got, want := w.call(ctx, in, c, a), full.calls[last]
	fuel, stack := in.fuelLeft(), in.stackLeft()
	switch {
	case (fuel < 0 || stack < 0) && got.cause == "unreachable":
		n.exhausted++
		if fuel < 0 && a.fuel() >= want.fuel {
			t.Fatalf("%s(%#x) used %d of fuel, and is out of it with %+v", c.function, c.args, want.fuel, a)
		}
	case got != want:
		t.Fatalf("%s(%#x) with %+v: %+v, want %+v; %d of fuel and %d of stack left", c.function, c.args, a, got, want, fuel, stack)
	}
}

// count counts instructions.
func (n *tally) count(t testing.TB, wasm []byte) {
	m, err := binary.Decode(wasm)
	if err != nil {
		t.Fatalf("a generated module is refused: %v", err)
	}
	for i := range m.Bodies {
		c := m.Code(i)
		for c.Next() {
			n.has[c.Op]++
			n.instructions++
		}
		if err := c.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func newTally() *tally { return &tally{causes: map[string]int{}, has: map[binary.Opcode]int{}} }

// TestGeneratedModulesRunTheSameRewritten is the fuzz target below on a row of seeds. It
// also holds the generator to what makes that worth something.
func TestGeneratedModulesRunTheSameRewritten(t *testing.T) {
	n, most := newTally(), uint64(seeds)
	if testing.Short() {
		most /= 10
	}
	for seed := range most {
		n.check(t, entropy(seed))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d modules, %d valid, of %d instructions; of %d calls, which took %d of fuel, %d trap (%v), %d stopped for want of it",
		n.modules, n.valid, n.instructions, n.calls, n.fuel, n.traps, n.causes, n.exhausted)
	if n.valid*100 < n.modules*95 {
		t.Errorf("%d of %d modules are valid; at least 95 %% should be", n.valid, n.modules)
	}
	if n.traps*2 > n.calls || n.traps*50 < n.calls {
		t.Errorf("%d of %d calls trap; between a fiftieth and half should", n.traps, n.calls)
	}
	for _, op := range slices.Sorted(slices.Values(instructions())) {
		if n.has[op] == 0 && !testing.Short() {
			t.Errorf("instruction %#x is in no module", uint16(op))
		}
	}
}

// FuzzRewritten compares generated modules with themselves rewritten. It takes about ten
// milliseconds a module, so that minimizing as long as Go does by default is all that it
// would do: fuzz with -fuzzminimizetime 5x.
func FuzzRewritten(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(entropy(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { newTally().check(t, data) })
}
