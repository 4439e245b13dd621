package spectest

import (
	"slices"
	"testing"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	"github.com/seed75a60ee1/patchbay/sandbox/meter"
)

// TestWhatNeverEndsIsEnded runs programs that would go on for ever, or as good as that,
// with little fuel and stack, some without a memory. Neither may be overdrawn by much: fuel by no more than one
// function's straight-line code costs.
func TestWhatNeverEndsIsEnded(t *testing.T) {
	const (
		fuel  = 1_000_000 // some slices
		stack = 1 << 16
	)
	type program struct {
		name  string
		stack bool  // it is the stack that ends it
		pages int   // of memory
		by    int64 // may be overdrawn
		build func(c *coder)
		// helper is a function "f1" without parameters and results.
		helper func(c *coder)
	}
	additions := func(n int) func(c *coder) {
		return func(c *coder) {
			c.i32(0)
			for range n {
				c.raw(0x41, 1, 0x6a)
			}
			c.raw(0x1a)
		}
	}
	call := func(n int, function byte) func(c *coder) {
		return func(c *coder) {
			for range n {
				c.raw(0x10, function)
			}
		}
	}
	for _, tt := range []program{
		{name: "a loop with nothing in it", by: 100, build: func(c *coder) { c.raw(0x03, 0x40, 0x0c, 0, 0x0b) }},
		{name: "a loop by br_table", by: 100, build: func(c *coder) { c.raw(0x03, 0x40, 0x41, 0, 0x0e, 0, 0, 0x0b) }},
		{name: "a loop around a long piece of code", by: 3000, build: func(c *coder) {
			c.raw(0x03, 0x40)
			additions(1000)(c)
			c.raw(0x0c, 0, 0x0b)
		}},
		{name: "a loop that calls itself in place of going on", by: 100, build: func(c *coder) { c.raw(0x12, 0) }},
		{name: "two functions that take turns", by: 100, build: func(c *coder) { c.raw(0x12, 1) }, helper: func(c *coder) { c.raw(0x12, 0) }},
		{name: "tail calls through the table", by: 100, build: func(c *coder) { c.raw(0x41, 0, 0x13, 0, 0) }},
		{name: "a recursion", stack: true, by: 1000, build: call(1, 0)},
		{name: "a recursion through the table", stack: true, by: 1000, build: func(c *coder) { c.raw(0x41, 0, 0x11, 0, 0) }},
		{name: "a recursion of two", stack: true, by: 1000, build: call(1, 1), helper: call(1, 0)},
		{name: "a recursion with a loop that it does not come to", stack: true, by: 1000, build: func(c *coder) {
			c.raw(0x41, 0, 0x04, 0x40, 0x03, 0x40, 0x41, 0, 0x0d, 0, 0x0b, 0x0b, 0x10, 0)
		}},
		{name: "a recursion with a loop behind it", stack: true, by: 1000, build: func(c *coder) {
			c.raw(0x10, 0, 0x03, 0x40, 0x41, 0, 0x0d, 0, 0x0b)
		}},
		{name: "a recursion with a loop before it", stack: true, by: 1000, build: func(c *coder) {
			c.raw(0x03, 0x40, 0x41, 0, 0x0d, 0, 0x0b, 0x10, 0)
		}},
		{name: "a recursion in a loop", stack: true, by: 1000, build: func(c *coder) {
			c.raw(0x03, 0x40, 0x10, 0, 0x41, 0, 0x0d, 0, 0x0b)
		}},
		{name: "many calls of something long with a loop that it does not come to", by: 60_000, build: call(10_000, 1), helper: func(c *coder) {
			c.raw(0x02, 0x40, 0x0c, 0, 0x03, 0x40, 0x0c, 0, 0x0b, 0x0b)
			additions(1000)(c)
		}},
		{name: "many calls of something long", by: 60_000, build: call(10_000, 1), helper: additions(1000)},
		{name: "many calls through the table of something long", by: 120_000, helper: additions(1000), build: func(c *coder) {
			for range 10_000 {
				c.raw(0x41, 1, 0x11, 0, 0)
			}
		}},
		{name: "a page filled again and again", pages: 1, by: 60_000, build: func(c *coder) {
			for range 1000 {
				c.raw(0x41, 0, 0x41, 0)
				c.i32(65536)
				c.raw(0xfc, 11, 0)
			}
		}},
		{name: "a page filled by somebody else again and again", pages: 1, by: 60_000, build: call(10_000, 1), helper: func(c *coder) {
			c.raw(0x41, 0, 0x41, 0)
			c.i32(65536)
			c.raw(0xfc, 11, 0)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &generator{choices: &choices{}, out: file{start: -1}}
			g.functionOf(binary.FuncType{})
			g.functionOf(binary.FuncType{})
			g.out.tables.add().raw(0x70, 0, 2)
			g.out.elements.add().raw(0, 0x41, 0, 0x0b, 2, 0, 1)
			if tt.pages > 0 {
				g.out.memories.add().limits(tt.pages, tt.pages)
			}
			for _, build := range []func(c *coder){tt.build, tt.helper} {
				c := &coder{}
				if build != nil {
					build(c)
				}
				c.raw(0x0b)
				g.body(nil, c.code)
			}
			p, err := metered(g.out.bytes())
			if err != nil {
				t.Fatal(err)
			}
			for engine := range engines {
				in := launch(t, engine, p)
				in.fill(allow(fuel, stack))
				_, err = in.ExportedFunction("f0").Call(t.Context())
				left, other := in.fuelLeft(), in.stackLeft()
				if tt.stack {
					left, other = other, left
				}
				if got := cause(err); got != "unreachable" || left >= 0 || other < 0 || left < -tt.by {
					t.Errorf("%s: %q, with %d of fuel and %d bytes of stack left; at most %d may be overdrawn", engine, got, in.fuelLeft(), in.stackLeft(), tt.by)
				}
				if tt.stack {
					continue
				}
				in.fill(allowance{first: meter.Slice, later: unlimited, stack: unlimited, stop: true})
				_, err = in.ExportedFunction("f0").Call(t.Context())
				if got, used := cause(err), meter.Slice+unlimited-in.fuelLeft(); got != "unreachable" || used > meter.Slice+tt.by {
					t.Errorf("%s, told to stop: %q, with %d of fuel used; at most %d more than a slice may be", engine, got, used, tt.by)
				}
			}
		})
	}
}

// TestOurStackLimitComesFirst recurses with frames that are larger than they look. The
// engine's own limit, which is not the same everywhere, is not to be reached.
func TestOurStackLimitComesFirst(t *testing.T) {
	// each sets a number of variables a number of times in a row, if the parameter is set.
	each := func(variables, times int, value func(c *coder, variable uint32)) func(c *coder) {
		return func(c *coder) {
			for range times {
				c.raw(0x20, 0, 0x04, 0x40)
				for v := range uint32(variables) {
					value(c, v+1)
					c.op(binary.OpLocalSet, v+1)
				}
				c.raw(0x0b, 0x10, 1)
			}
		}
	}
	constant := func(c *coder, v uint32) { c.i64(int64(v)) }
	sum := func(c *coder, v uint32) {
		c.op(binary.OpLocalGet, v)
		c.i64(int64(v))
		c.raw(0x7c)
	}
	// values leaves values on the operand stack.
	values := func(times int, push func(c *coder)) func(c *coder) {
		return func(c *coder) {
			for range times {
				push(c)
			}
		}
	}
	for _, tt := range []struct {
		name      string
		variables int
		left      int // values that build leaves on the operand stack
		build     func(c *coder)
	}{
		{"no variables", 0, 0, func(*coder) {}},
		{"constants", 0, 1000, values(1000, func(c *coder) { c.i64(1 << 40) })},
		{"sums", 0, 1000, values(1000, func(c *coder) { c.raw(0x20, 0, 0xac) })},
		{"what comes out of blocks", 0, 1000, values(1000, func(c *coder) {
			c.raw(0x20, 0, 0x04, 0x7e, 0x42, 1, 0x05, 0x42, 2, 0x0b)
		})},
		{"what comes out of blocks, two at a time", 0, 1000, values(500, func(c *coder) {
			c.raw(0x20, 0, 0x04, 3, 0x42, 1, 0x42, 2, 0x05, 0x42, 3, 0x42, 4, 0x0b)
		})},
		{"what loops take", 0, 1000, values(500, func(c *coder) {
			c.raw(0x42, 1, 0x42, 2, 0x03, 2, 0x20, 0, 0x41, 0, 0x48, 0x0d, 0, 0x0b)
		})},
		{"a hundred variables", 100, 0, each(100, 1, sum)},
		{"a hundred variables, set to sums in ten blocks", 100, 0, each(100, 10, sum)},
		{"a hundred variables, set to constants in a hundred blocks", 100, 0, each(100, 100, constant)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &generator{choices: &choices{}, out: file{start: -1}}
			g.functionOf(binary.FuncType{Params: typesOf("i"), Results: typesOf("l")})
			g.functionOf(binary.FuncType{})
			g.typeIndex(binary.FuncType{Params: typesOf("ll"), Results: typesOf("ll")})
			g.typeIndex(binary.FuncType{Results: typesOf("ll")})
			g.out.globals.add().raw(byte(binary.I64), 1, 0x42, 0, 0x0b)
			c := &coder{}
			for v := range uint32(tt.variables) {
				c.raw(0x20, 0, 0xac)
				c.op(binary.OpLocalSet, v+1)
			}
			tt.build(c)
			c.raw(0x20, 0, 0x41, 1, 0x6a, 0x10, 0) // and on
			for v := range uint32(tt.variables) {  // so that they live over the call
				c.op(binary.OpLocalGet, v+1)
				c.raw(0x7c)
			}
			for range 1 + tt.left {
				c.raw(0x24, 0)
			}
			c.i64(0)
			c.raw(0x0b)
			g.body(slices.Repeat(typesOf("l"), tt.variables), c.code)
			g.body(nil, []byte{0x0b})
			p, err := metered(g.out.bytes())
			if err != nil {
				t.Fatal(err)
			}
			in := launch(t, "compiler", p)
			in.fill(allow(unlimited, deepest))
			_, err = in.ExportedFunction("f0").Call(t.Context(), 0)
			if got := cause(err); got != "unreachable" || in.stackLeft() >= 0 {
				t.Errorf("%q, with %d bytes of stack left of %d", got, in.stackLeft(), deepest)
			}
		})
	}
}
