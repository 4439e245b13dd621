package spectest

import (
	"slices"

	wasm "github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// steps is how many loops and calls one call from outside may take.
const steps = 120

// function is the code of one generated function. Each of its methods leaves the operand
// stack as it was, but for what it says.
type function struct {
	*generator
	coder

	kind      declared
	variables []wasm.ValueType
	labels    [][]wasm.ValueType // what a branch to each open block takes, the innermost last
	budget    int                // how many instructions may still be chosen
}

// guard ends the function, with zeros, if there are no steps left, and takes one.
func (f *function) guard() {
	left := f.base + globalSteps
	f.op(wasm.OpGlobalGet, left)
	f.raw(0x45, 0x04, 0x40) // i32.eqz if
	for _, t := range f.kind.Results {
		f.zero(t)
	}
	f.raw(0x0f, 0x0b) // return end
	f.op(wasm.OpGlobalGet, left)
	f.i32(1)
	f.raw(0x6b) // i32.sub
	f.op(wasm.OpGlobalSet, left)
}

// variable is one of that type, parameters among them.
func (f *function) variable(t wasm.ValueType) uint32 {
	var fit []uint32
	for i, v := range f.variables[:len(f.variables)-3] {
		if v == t {
			fit = append(fit, uint32(i))
		}
	}
	return pick(f.choices, fit)
}

// expressions pushes a value of each type.
func (f *function) expressions(types []wasm.ValueType, depth int) {
	for _, t := range types {
		f.expression(t, depth)
	}
}

// expression pushes a value.
func (f *function) expression(t wasm.ValueType, depth int) {
	f.budget--
	if depth <= 0 || f.budget <= 0 || f.spent() {
		f.leaf(t)
		return
	}
	switch f.n(20) {
	default:
		f.leaf(t)
	case 2, 3, 4, 5, 6, 7:
		f.operation(t, depth-1)
	case 8, 9:
		f.load(t, depth-1)
	case 10:
		f.block([]wasm.ValueType{t}, depth-1)
	case 11:
		f.choose([]wasm.ValueType{t}, depth-1)
	case 12:
		f.call(t, depth-1)
	case 13:
		f.selection(t, depth-1)
	case 14:
		f.expression(t, depth-1)
		f.op(wasm.OpLocalTee, f.variable(t))
	case 15:
		f.jump(depth - 1) // what comes after it may take what it likes
	case 16, 17:
		f.special(t, depth-1)
	case 18:
		f.passing(t, depth-1)
	}
}

// leaf pushes a constant, a local or a global.
func (f *function) leaf(t wasm.ValueType) {
	switch f.n(4) {
	case 1, 2:
		f.op(wasm.OpLocalGet, f.variable(t))
	case 3:
		f.op(wasm.OpGlobalGet, f.global(t))
	default:
		f.constant(t)
	}
}

var edges = []uint64{0, 1, 2, 7, 63, 255, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 62, 1 << 63, 1<<64 - 1}

var reals = []float64{0, 1, -1, 0.5, 1e9, -3e20, 1e300, 5e-324}

func (f *function) constant(t wasm.ValueType) {
	word := pick(f.choices, edges)
	if f.seldom() {
		word = f.u64()
	}
	switch t {
	case wasm.I32:
		f.i32(int32(word))
	case wasm.I64:
		f.i64(int64(word))
	case wasm.F32:
		f.f32(realBits32(pick(f.choices, reals), word, f.rarely()))
	case wasm.F64:
		f.f64(realBits64(pick(f.choices, reals), word, f.rarely()))
	case wasm.V128:
		f.v128(word, f.u64())
	case wasm.FuncRef:
		if f.n(2) == 1 {
			f.op(wasm.OpRefFunc, uint32(f.n(len(f.functions))))
			return
		}
		f.zero(t)
	default:
		f.zero(t)
	}
}

// operation pushes what some instruction computes.
func (f *function) operation(t wasm.ValueType, depth int) {
	list := byResult[t]
	if len(list) == 0 {
		f.special(t, depth)
		return
	}
	o := list[f.n(len(list))]
	switch {
	case o.care == truncation && !f.rarely():
		f.small(depth, 0x7fff)
		f.raw(map[wasm.ValueType]byte{wasm.F32: 0xb2, wasm.F64: 0xb7}[o.params[0]])
	default:
		f.expressions(o.params, depth)
	}
	if o.care == division && !f.rarely() {
		if t == wasm.I32 {
			f.i32(1)
			f.raw(0x72)
		} else {
			f.i64(1)
			f.raw(0x84)
		}
	}
	f.op(o.op)
	switch o.care {
	case lane:
		f.raw(byte(f.n(o.lanes)))
	case shuffle:
		for range 16 {
			f.raw(byte(f.n(32)))
		}
	}
	f.canonical(o.care)
}

// canonical makes any NaN on the stack the same one.
func (f *function) canonical(c care) {
	scratch := uint32(len(f.variables) - 3)
	const nan32, nan64 = 0x7fc00000, 0x7ff8000000000000
	var equal, choose wasm.Opcode
	switch c {
	case floatResult:
		equal, choose = 0x5c, 0x1b
		f.op(wasm.OpLocalSet, scratch)
		f.f32(nan32)
	case doubleResult:
		scratch++
		equal, choose = 0x62, 0x1b
		f.op(wasm.OpLocalSet, scratch)
		f.f64(nan64)
	case floatLanes:
		scratch += 2
		equal, choose = 0xfd42, 0xfd52
		f.op(wasm.OpLocalSet, scratch)
		f.v128(nan32<<32|nan32, nan32<<32|nan32)
	case doubleLanes:
		scratch += 2
		equal, choose = 0xfd48, 0xfd52
		f.op(wasm.OpLocalSet, scratch)
		f.v128(nan64, nan64)
	default:
		return
	}
	for range 3 {
		f.op(wasm.OpLocalGet, scratch)
	}
	f.op(equal)
	f.op(choose)
}

// small pushes an i32 that is seldom above a mask.
func (f *function) small(depth int, mask int32) {
	f.expression(wasm.I32, depth)
	if !f.rarely() {
		f.i32(mask)
		f.raw(0x71)
	}
}

// address pushes where memory is, most of the time.
func (f *function) address(depth int) { f.small(depth, 0x7fff) }

// offset is what a load or a store adds.
func (f *function) offset() uint32 {
	if f.rarely() {
		return f.u32()
	}
	return uint32(f.n(300))
}

func (f *function) load(t wasm.ValueType, depth int) {
	list := loads[t]
	if len(list) == 0 {
		f.special(t, depth)
		return
	}
	a := pick(f.choices, list)
	f.address(depth)
	if a.lanes > 0 {
		f.expression(wasm.V128, depth)
	}
	f.access(a)
}

func (f *function) store(depth int) {
	a := pick(f.choices, stores)
	f.address(depth)
	f.expression(a.kind, depth)
	f.access(a)
}

func (f *function) access(a access) {
	f.op(a.op, uint32(f.n(a.align+1)), f.offset())
	if a.lanes > 0 {
		f.raw(byte(f.n(a.lanes)))
	}
}

// special pushes what only certain types can be.
func (f *function) special(t wasm.ValueType, depth int) {
	switch t {
	case wasm.FuncRef:
		f.i32(int32(f.n(4)))
		f.op(wasm.OpTableGet, pick(f.choices, []uint32{tableSpare, tableFunctions}))
	case wasm.ExternRef:
		f.i32(int32(f.n(2)))
		f.op(wasm.OpTableGet, tableThings)
	case wasm.I64: // the constant that cannot be set
		f.op(wasm.OpGlobalGet, f.base+1+uint32(len(all)))
	case wasm.I32:
		f.measure(depth)
	default:
		f.leaf(t)
	}
}

// measure pushes a size, or what growing gives.
func (f *function) measure(depth int) {
	table := uint32(f.n(3))
	switch f.n(6) {
	case 1:
		f.op(wasm.OpMemorySize, 0)
	case 2:
		f.small(depth, 1)
		f.op(wasm.OpMemoryGrow, 0)
	case 3:
		f.op(wasm.OpTableSize, table)
	case 4:
		if table == tableThings {
			f.expression(wasm.ExternRef, depth)
		} else {
			f.expression(wasm.FuncRef, depth)
		}
		by := []int32{1, 0, 3, 20, -1, 1 << 30}
		if !f.bounded[table] { // wazero would grow it
			by = by[:4]
		}
		f.i32(pick(f.choices, by))
		f.op(wasm.OpTableGrow, table)
	case 5:
		f.expression(wasm.FuncRef, depth)
		f.raw(0xd1)
	default:
		f.expression(wasm.ExternRef, depth)
		f.raw(0xd1)
	}
}

func (f *function) selection(t wasm.ValueType, depth int) {
	f.expression(t, depth)
	f.expression(t, depth)
	f.expression(wasm.I32, depth)
	if t == wasm.FuncRef || t == wasm.ExternRef || f.n(2) == 1 {
		f.raw(0x1c, 1, byte(t))
	} else {
		f.raw(0x1b)
	}
}

// passing pushes the value that a conditional branch did not take along.
func (f *function) passing(t wasm.ValueType, depth int) {
	fit := f.labelsOf([]wasm.ValueType{t})
	if len(fit) == 0 {
		f.leaf(t)
		return
	}
	f.expression(t, depth)
	f.expression(wasm.I32, depth)
	f.op(wasm.OpBrIf, pick(f.choices, fit))
}

// labelsOf are the depths of the labels that take those types.
func (f *function) labelsOf(types []wasm.ValueType) []uint32 {
	var fit []uint32
	for i, l := range f.labels {
		if slices.Equal(l, types) {
			fit = append(fit, uint32(len(f.labels)-1-i))
		}
	}
	return fit
}

// keep pops values, in reverse order, into variables or into nothing.
func (f *function) keep(types []wasm.ValueType) {
	for _, t := range slices.Backward(types) {
		if f.n(2) == 1 {
			f.op(wasm.OpLocalSet, f.variable(t))
		} else {
			f.raw(0x1a)
		}
	}
}
