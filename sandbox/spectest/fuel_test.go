package spectest

import (
	"slices"
	"testing"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	"github.com/seed75a60ee1/patchbay/sandbox/meter"
)

// free are the instructions that make no machine code: nop, block, loop, else, end, drop.
var free = []binary.Opcode{0x01, 0x02, 0x03, 0x05, 0x0b, 0x1a}

func TestEveryInstructionThatDoesSomethingCosts(t *testing.T) {
	for _, op := range instructions() {
		if cost := meter.Cost(op); cost < 1 && !slices.Contains(free, op) || cost < 0 || cost > 100 {
			t.Errorf("instruction %#x costs %d", uint16(op), cost)
		}
	}
}

// counting returns a module that adds up, in an exported global "count", what each
// instruction costs just before it: slow, and too simple to be wrong.
func counting(wasm []byte) ([]byte, error) {
	m, err := binary.Decode(wasm)
	if err != nil {
		return nil, err
	}
	global := m.Space(binary.KindGlobal)
	out := coder{code: slices.Clone(wasm[:8])}
	for _, s := range m.Sections {
		payload := coder{}
		switch s.ID {
		case binary.SectionGlobal:
			payload = longer(s.Payload, len(m.Globals))
			payload.raw(byte(binary.I64), 1, 0x42, 0, 0x0b)
		case binary.SectionExport:
			payload = longer(s.Payload, len(m.Exports))
			payload.name("count")
			payload.raw(byte(binary.KindGlobal))
			payload.number(global)
		case binary.SectionCode:
			payload.number(uint32(len(m.Bodies)))
			for i := range m.Bodies {
				body := countingBody(m, i, global)
				payload.name(string(body))
			}
		default:
			payload.raw(s.Payload...)
		}
		out.raw(byte(s.ID))
		out.name(string(payload.code))
	}
	return out.code, nil
}

// longer is a section with one element more than n, to which that is to be added.
func longer(payload []byte, n int) coder {
	c := coder{}
	c.number(uint32(n + 1))
	c.raw(payload[len(binary.AppendU32(nil, uint32(n))):]...)
	return c
}

func countingBody(m *binary.Module, body int, global uint32) []byte {
	out := coder{}
	b := &m.Bodies[body]
	out.raw(m.Bytes()[b.Offset:b.Code]...)
	for c := m.Code(body); c.Next(); {
		if cost := meter.Cost(c.Op); cost > 0 {
			out.op(binary.OpGlobalGet, global)
			out.i64(cost)
			out.raw(0x7c)
			out.op(binary.OpGlobalSet, global)
		}
		out.raw(c.Bytes()...)
	}
	return out.code
}

// TestFuelIsNoLessThanWhatIsExecuted compares fuel with a count kept at every single
// instruction, over generated modules.
func TestFuelIsNoLessThanWhatIsExecuted(t *testing.T) {
	ctx := t.Context()
	var ratios []float64
	for seed := range uint64(150) {
		data := entropy(1000 + seed)
		s := generate(data)
		wasm, err := counting(s.wasm)
		if err != nil {
			t.Fatal(err)
		}
		p, err := metered(s.wasm)
		if err != nil {
			t.Fatal(err)
		}
		counter, err := newWorld(ctx, "compiler", s, prepared{wasm: wasm})
		defer counter.close(ctx)
		if err != nil {
			t.Fatalf("seed %d: counting: %v", seed, err)
		}
		w, err := newWorld(ctx, "compiler", s, p)
		defer w.close(ctx)
		if err != nil {
			t.Fatal(err)
		}
		slow, err := counter.begin(ctx, t)
		fast, again := w.begin(ctx, t)
		if err != nil || again != nil {
			continue // the start function traps
		}
		for _, c := range calls(s, data) {
			before := slow.ExportedGlobal("count").Get()
			counter.call(ctx, slow, c, plenty)
			cost := int64(slow.ExportedGlobal("count").Get() - before)
			got := w.call(ctx, fast, c, plenty)
			if got.fuel < cost {
				t.Errorf("seed %d: %s(%#x) is charged %d, and executes what costs %d", seed, c.function, c.args, got.fuel, cost)
			}
			if got.cause == "" {
				ratios = append(ratios, float64(got.fuel)/float64(cost))
			}
		}
	}
	// The mean would say little: some of the calls work on memory, which the count leaves out.
	slices.Sort(ratios)
	n := len(ratios)
	if n == 0 {
		t.Fatal("no call returned")
	}
	t.Logf("%d calls are charged, of what they execute: a tenth at most %.2f times, half %.2f, nine tenths %.2f",
		n, ratios[n/10], ratios[n/2], ratios[n*9/10])
	if ratios[n/2] > 1.5 {
		t.Errorf("half of the calls are charged %.2f times what they execute, or more", ratios[n/2])
	}
}

// TestFuelOfProgramsCountedByHand runs programs whose instructions can be counted with a
// pencil.
func TestFuelOfProgramsCountedByHand(t *testing.T) {
	const i32 = binary.I32
	countdown := func(c *coder) { // n times: 5
		c.raw(0x03, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b)
	}
	for _, tt := range []struct {
		name     string
		n        uint64 // the parameter of the function "run"
		executed int64  // instructions, and units by length, that are certain
		most     int64
		trap     string
		build    func(c *coder)
	}{
		{"nothing", 0, 0, 16, "", func(*coder) {}},
		{"a thousand additions", 5, 2002, 2100, "", func(c *coder) {
			c.raw(0x20, 0)
			for range 1000 {
				c.raw(0x41, 3, 0x6a)
			}
			c.raw(0x21, 0)
		}},
		{"a loop, once around", 1, 5, 40, "", countdown},
		{"a loop, ten thousand times around", 10_000, 50_000, 65_000, "", countdown},
		{"a loop, a million times around, by many slices", 1_000_000, 5_000_000, 6_500_000, "", countdown},
		{"a loop over a global", 0, 8000, 9100, "", func(c *coder) {
			// loop; global.get 0; i32.const 1; i32.add; global.set 0; global.get 0; i32.const 1000; i32.lt_u; br_if
			c.raw(0x03, 0x40, 0x23, 0, 0x41, 1, 0x6a, 0x24, 0, 0x23, 0)
			c.i32(1000)
			c.raw(0x49, 0x0d, 0, 0x0b)
		}},
		{"loops in one another", 100, 100*(100*8+2) + 100*5, 130_000, "", func(c *coder) {
			// 100 times: global = 100; 100 times: 8; then 5
			c.raw(0x03, 0x40)
			c.i32(100)
			c.raw(0x24, 0)
			c.raw(0x03, 0x40, 0x23, 0, 0x41, 1, 0x6b, 0x24, 0, 0x23, 0, 0x45, 0x45, 0x0d, 0, 0x0b)
			c.raw(0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b)
		}},
		{"an arm that is not taken costs little", 0, 2, 200, "", func(c *coder) {
			c.raw(0x20, 0, 0x04, 0x40)
			for range 1000 {
				c.raw(0x20, 0, 0x41, 3, 0x6a, 0x21, 0)
			}
			c.raw(0x0b)
		}},
		{"an arm that is taken", 1, 4002, 4200, "", func(c *coder) {
			c.raw(0x20, 0, 0x04, 0x40)
			for range 1000 {
				c.raw(0x20, 0, 0x41, 3, 0x6a, 0x21, 0)
			}
			c.raw(0x0b)
		}},
		{"code behind a return costs little", 0, 1, 200, "", func(c *coder) {
			c.raw(0x0f)
			for range 1000 {
				c.raw(0x20, 0, 0x41, 3, 0x6a, 0x21, 0)
			}
		}},
		{"a branch that leaves a block", 1, 2, 200, "", func(c *coder) {
			c.raw(0x02, 0x40, 0x20, 0, 0x0d, 0)
			for range 1000 {
				c.raw(0x20, 0, 0x41, 3, 0x6a, 0x21, 0)
			}
			c.raw(0x0b)
		}},
		{"a table of branches to much code", 1, 2 + 4000, 4300, "", func(c *coder) {
			c.raw(0x02, 0x40, 0x02, 0x40, 0x20, 0, 0x0e, 1, 0, 1, 0x0b, 0x00, 0x0b)
			for range 1000 {
				c.raw(0x20, 0, 0x41, 3, 0x6a, 0x21, 0)
			}
		}},
		{"a hundred calls of itself", 100, 100*10 + 3, 5000, "", func(c *coder) {
			// if n == 0 return; run(n-1): local.get, eqz, if, (return); local.get, const, sub, call
			c.raw(0x20, 0, 0x45, 0x04, 0x40, 0x0f, 0x0b, 0x20, 0, 0x41, 1, 0x6b, 0x10, 0)
		}},
		{"a hundred calls of itself in place of itself", 100, 100*7 + 3, 5000, "", func(c *coder) {
			c.raw(0x20, 0, 0x45, 0x04, 0x40, 0x0f, 0x0b, 0x20, 0, 0x41, 1, 0x6b, 0x12, 0)
		}},
		{"a hundred calls through the table", 100, 100*8 + 3, 5000, "", func(c *coder) {
			c.raw(0x20, 0, 0x45, 0x04, 0x40, 0x0f, 0x0b, 0x20, 0, 0x41, 1, 0x6b, 0x41, 0, 0x11, 0, 0)
		}},
		{"a trap", 0, 1, 16, "unreachable", func(c *coder) { c.raw(0x00) }},
		{"filling a page", 65536, 4 + 65536/meter.BytesPerUnit, 65536/meter.BytesPerUnit + 40, "", func(c *coder) {
			c.raw(0x41, 0, 0x41, 0, 0x20, 0, 0xfc, 11, 0)
		}},
		{"filling more than there is", 1 << 31, 4 + 65536/meter.BytesPerUnit, 1 << 40, "out of bounds memory access", func(c *coder) {
			c.raw(0x41, 0, 0x41, 0, 0x20, 0, 0xfc, 11, 0)
		}},
		{"copying a page", 65536, 4 + 65536/meter.BytesPerUnit, 65536/meter.BytesPerUnit + 40, "", func(c *coder) {
			c.raw(0x41, 0, 0x41, 0, 0x20, 0, 0xfc, 10, 0, 0)
		}},
		{"growing by two pages", 2, 2 + 2*meter.UnitsPerPage, 2*meter.UnitsPerPage + 200, "", func(c *coder) {
			c.raw(0x20, 0, 0x40, 0, 0x1a)
		}},
		{"growing a table by a thousand entries", 1000, 3 + 1000*meter.UnitsPerEntry, 1000*meter.UnitsPerEntry + 200, "", func(c *coder) {
			c.raw(0xd0, 0x70, 0x20, 0, 0xfc, 15, 0, 0x1a)
		}},
		{"filling a table", 10, 4 + 10*meter.UnitsPerEntry, 10*meter.UnitsPerEntry + 40, "", func(c *coder) {
			c.raw(0x41, 0, 0xd0, 0x70, 0x20, 0, 0xfc, 17, 0)
		}},
		{"copying a table", 10, 4 + 10*meter.UnitsPerEntry, 10*meter.UnitsPerEntry + 40, "", func(c *coder) {
			c.raw(0x41, 0, 0x41, 0, 0x20, 0, 0xfc, 14, 0, 0)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &generator{choices: &choices{}, out: file{start: -1}}
			g.functionOf(binary.FuncType{Params: []binary.ValueType{i32}})
			table := g.out.tables.add()
			table.raw(0x70)
			table.limits(10, 2000)
			g.out.elements.add().raw(0, 0x41, 0, 0x0b, 1, 0)
			g.out.memories.add().limits(1, 3)
			g.out.globals.add().raw(byte(i32), 1, 0x41, 0, 0x0b)
			c := &coder{}
			tt.build(c)
			c.raw(0x0b)
			g.body(nil, c.code)
			p, err := metered(g.out.bytes())
			if err != nil {
				t.Fatal(err)
			}
			in := launch(t, "compiler", p)
			_, err = in.ExportedFunction("f0").Call(t.Context(), tt.n)
			if got := cause(err); got != tt.trap {
				t.Errorf("trap %q, want %q", got, tt.trap)
			}
			if fuel := unlimited - in.fuelLeft(); fuel < tt.executed || fuel > tt.most {
				t.Errorf("fuel %d, want %d to %d", fuel, tt.executed, tt.most)
			}
		})
	}
}
