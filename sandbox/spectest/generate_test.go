package spectest

import (
	"encoding/binary"
	"fmt"
	"slices"

	wasm "github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// choices are what a generator is told by a fuzzer. When they are used up each is the
// first one, which is always the simplest.
type choices struct {
	data []byte
	at   int
}

func (c *choices) spent() bool { return c.at >= len(c.data) }

func (c *choices) byte() byte {
	if c.spent() {
		return 0
	}
	c.at++
	return c.data[c.at-1]
}

// n chooses one of so many, at most 65536.
func (c *choices) n(of int) int {
	v := int(c.byte())
	if of > 256 {
		v |= int(c.byte()) << 8
	}
	return v % of
}

func (c *choices) rarely() bool { return c.byte()&31 == 31 }
func (c *choices) seldom() bool { return c.byte()&7 == 7 }
func (c *choices) u32() uint32  { return uint32(c.u64()) }
func (c *choices) u64() uint64 {
	var b [8]byte
	for i := range b {
		b[i] = c.byte()
	}
	return binary.LittleEndian.Uint64(b[:])
}

func pick[T any](c *choices, of []T) T { return of[c.n(len(of))] }

// declared is a function of the generated module.
type declared struct {
	wasm.FuncType
	kind uint32 // its type's index
}

// sample is a generated module and what a test has to know of it.
type sample struct {
	wasm      []byte
	functions []declared // imported ones included; the others are exported as "f" and their index
	imported  int
	// globals are the names by which the mutable globals are exported, in order.
	globals []string
	kinds   []wasm.ValueType // of the globals
	sizes   int              // the function that is exported as "sizes" instead
	refers  bool             // needs module env
}

// generator makes one module.
type generator struct {
	*choices
	sample
	out file

	signatures []wasm.FuncType
	base       uint32   // index of the first global the module defines
	slots      []uint32 // the functions in the first table at the beginning
	passive    []uint32 // data segments that can be copied from
	active     uint32   // data segments that are gone once the module has started
	hasActive  bool
	bounded    [3]bool // the tables that have a maximum
}

// The indexes of things that each module has, those of globals counted from base.
const (
	tableFunctions = 0 // filled at the beginning, for calls
	tableThings    = 1 // of the host's
	tableSpare     = 2 // of functions, to be changed

	globalSteps = 0 // how many loops and calls are left
)

var (
	numbers  = typesOf("ilfdv")
	all      = typesOf("ilfdvpx")
	defaults = typesOf("iilfdvpxifdv") // the variables of each function, the last three for canonical NaNs
)

// generate makes a module out of choices.
func generate(data []byte) sample {
	g := &generator{choices: &choices{data: data}, out: file{start: -1}}
	g.importThings()
	g.declareFunctions()
	g.declareTables()
	g.declareMemory()
	g.declareGlobals()
	for i := g.imported; i < len(g.functions); i++ {
		g.define(i)
	}
	g.defineSizes()
	if g.seldom() {
		g.out.start = len(g.functions) // one more, without parameters
		g.functionOf(wasm.FuncType{})
		g.define(len(g.functions) - 1)
	}
	g.wasm = g.out.bytes()
	return g.sample
}

// typeIndex is the index of a function's type.
func (g *generator) typeIndex(t wasm.FuncType) uint32 {
	same := func(o wasm.FuncType) bool {
		return slices.Equal(o.Params, t.Params) && slices.Equal(o.Results, t.Results)
	}
	if i := slices.IndexFunc(g.signatures, same); i >= 0 {
		return uint32(i)
	}
	g.signatures = append(g.signatures, t)
	e := g.out.types.add()
	e.raw(0x60)
	e.types(t.Params)
	e.types(t.Results)
	return uint32(len(g.signatures) - 1)
}

// importThings imports a function, a constant and a variable, or nothing. An imported
// constant says where data goes.
func (g *generator) importThings() {
	if g.n(2) == 0 {
		return
	}
	g.refers = true
	t := wasm.FuncType{Params: typesOf("il"), Results: typesOf("l")}
	kind := g.typeIndex(t)
	g.functions, g.imported = append(g.functions, declared{t, kind}), 1
	thing := func(name string, rest ...byte) {
		e := g.out.imports.add()
		e.name("env")
		e.name(name)
		e.raw(rest...)
	}
	thing("mix", 0, byte(kind))
	thing("base", 3, byte(wasm.I32), 0)
	thing("shared", 3, byte(wasm.I32), 1)
	g.base = 2
}

func (g *generator) someTypes(most int) []wasm.ValueType {
	types := make([]wasm.ValueType, g.n(most+1))
	for i := range types {
		types[i] = g.someType()
	}
	return types
}

// someType is a number's more often than not.
func (g *generator) someType() wasm.ValueType {
	if g.seldom() {
		return pick(g.choices, all)
	}
	return pick(g.choices, numbers)
}

func (g *generator) declareFunctions() {
	for range 2 + g.n(4) {
		t := wasm.FuncType{Params: g.someTypes(4), Results: g.someTypes(3)}
		if n := len(g.signatures); n > 0 && g.n(2) == 1 { // so that there is somebody to call indirectly
			t = g.signatures[g.n(n)]
		}
		g.functionOf(t)
	}
}

func (g *generator) functionOf(t wasm.FuncType) {
	index := len(g.functions)
	kind := g.typeIndex(t)
	g.functions = append(g.functions, declared{t, kind})
	g.out.functions.add().number(kind)
	g.out.export(fmt.Sprintf("f%d", index), wasm.KindFunction, uint32(index))
}

func (g *generator) declareTables() {
	table := func(kind wasm.ValueType, least, most int) {
		g.bounded[g.out.tables.n] = most >= 0
		e := g.out.tables.add()
		e.raw(byte(kind))
		e.limits(least, most)
	}
	table(wasm.FuncRef, 8, pick(g.choices, []int{16, 8, -1}))
	table(wasm.ExternRef, 2, pick(g.choices, []int{-1, 12}))
	table(wasm.FuncRef, 4, pick(g.choices, []int{-1, 64}))
	if g.n(2) == 1 {
		g.out.export("functions", wasm.KindTable, tableFunctions)
	}

	e := g.out.elements.add() // active, from 0 on
	e.raw(0)
	e.i32(0)
	e.raw(0x0b)
	e.number(6)
	for range 6 {
		f := uint32(g.n(len(g.functions)))
		g.slots = append(g.slots, f)
		e.number(f)
	}
	e = g.out.elements.add() // passive, of expressions
	e.raw(5, byte(wasm.FuncRef))
	e.number(3)
	e.raw(0xd2)
	e.number(uint32(g.n(len(g.functions))))
	e.raw(0x0b, 0xd0, byte(wasm.FuncRef), 0x0b, 0xd2)
	e.number(uint32(g.n(len(g.functions))))
	e.raw(0x0b)
	e = g.out.elements.add() // passive, of functions
	e.raw(1, 0)
	e.number(2)
	e.number(uint32(g.n(len(g.functions))))
	e.number(uint32(g.n(len(g.functions))))
	e = g.out.elements.add() // for the spare table, where an imported constant or 1 says
	e.raw(2)
	e.number(tableSpare)
	e.i32(1)
	e.raw(0x0b, 0)
	e.number(1)
	e.number(uint32(g.n(len(g.functions))))
}

func (g *generator) declareMemory() {
	g.out.memories.add().limits(1, pick(g.choices, []int{2, 1, 4, -1}))
	g.out.export("memory", wasm.KindMemory, 0)
	for i := range uint32(1 + g.n(5)) {
		e := g.out.data.add()
		passive := i == 0 || g.n(2) == 1
		if passive {
			g.passive = append(g.passive, i)
			e.raw(1)
		} else {
			g.active, g.hasActive = i, true
			e.raw(0)
			g.place(e)
		}
		content := make([]byte, g.n(48))
		for j := range content {
			content[j] = byte(g.n(7) * (j + 1))
		}
		e.name(string(content))
	}
}

// place is where a data segment goes: seldom beyond the memory's end.
func (g *generator) place(e *coder) {
	switch {
	case g.refers && g.n(2) == 1:
		e.raw(0x23, 0)
	case g.rarely():
		e.i32(65536 - 16)
	default:
		e.i32(int32(g.n(60000)))
	}
	e.raw(0x0b)
}

func (g *generator) declareGlobals() {
	global := func(t wasm.ValueType, mutable byte, init func(e *coder)) {
		e := g.out.globals.add()
		e.raw(byte(t), mutable)
		init(e)
		e.raw(0x0b)
		if mutable == 1 {
			name := fmt.Sprintf("g%d", len(g.globals))
			g.globals, g.kinds = append(g.globals, name), append(g.kinds, t)
			g.out.export(name, wasm.KindGlobal, g.base+g.out.globals.n-1)
		}
	}
	global(wasm.I32, 1, func(e *coder) { e.i32(steps) })
	for _, t := range all {
		global(t, 1, func(e *coder) { e.zero(t) })
	}
	global(wasm.I64, 0, func(e *coder) { e.i64(-3) })
	global(wasm.I32, 0, func(e *coder) {
		if g.refers {
			e.raw(0x23, 0)
		} else {
			e.i32(7)
		}
	})
	global(wasm.FuncRef, 1, func(e *coder) { e.raw(0xd2, byte(len(g.functions)-1)) })
}

// global is the index of the mutable global of that type.
func (g *generator) global(t wasm.ValueType) uint32 {
	return g.base + 1 + uint32(slices.Index(all, t))
}

// defineSizes adds the function that tells how large tables and memory are, and which of
// the first entries of each table are null.
func (g *generator) defineSizes() {
	c := &coder{}
	for table := range uint32(3) {
		c.op(wasm.OpTableSize, table)
	}
	c.i32(0)
	for table := range uint32(3) {
		for entry := range int32(2) {
			c.i32(1)
			c.raw(0x74) // i32.shl
			c.i32(entry)
			c.op(wasm.OpTableGet, table)
			c.raw(0xd1, 0x72) // ref.is_null i32.or
		}
	}
	t := wasm.FuncType{Results: typesOf("iiii")}
	kind := g.typeIndex(t)
	g.out.functions.add().number(kind)
	g.out.export("sizes", wasm.KindFunction, uint32(len(g.functions)))
	g.sizes = len(g.functions)
	g.functions = append(g.functions, declared{t, kind})
	g.body(nil, append(c.code, 0x0b))
}

// body adds the code of a function, whose variables are those besides its parameters.
func (g *generator) body(variables []wasm.ValueType, code []byte) {
	b := coder{}
	b.number(uint32(len(variables)))
	for _, v := range variables {
		b.raw(1, byte(v))
	}
	b.raw(code...)
	e := g.out.bodies.add()
	e.name(string(b.code))
}

// define adds the code of a function.
func (g *generator) define(index int) {
	f := &function{generator: g, kind: g.functions[index], budget: 40 + g.n(120)}
	f.variables = append(slices.Clone(f.kind.Params), defaults...)
	f.labels = [][]wasm.ValueType{f.kind.Results}
	f.guard()
	f.statements(6, 4)
	f.expressions(f.kind.Results, 4)
	f.raw(0x0b)
	g.body(defaults, f.code)
}
