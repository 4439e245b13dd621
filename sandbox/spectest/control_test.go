package spectest

import (
	"math"
	"slices"

	wasm "github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// statements does up to so many things.
func (f *function) statements(most, depth int) {
	for range 1 + f.n(most) {
		if f.budget <= 0 || f.spent() {
			return
		}
		f.statement(depth)
	}
}

func (f *function) statement(depth int) {
	f.budget--
	if depth <= 0 {
		f.raw(0x01)
		return
	}
	switch f.n(24) {
	default:
		t := f.someType()
		f.expression(t, depth-1)
		f.op(wasm.OpLocalSet, f.variable(t))
	case 2, 3:
		t := f.someType()
		f.expression(t, depth-1)
		f.op(wasm.OpGlobalSet, f.global(t))
	case 4, 5, 6:
		f.store(depth - 1)
	case 7:
		f.expression(f.someType(), depth-1)
		f.raw(0x1a)
	case 8, 9:
		types := f.someTypes(3)
		f.block(types, depth-1)
		f.keep(types)
	case 10, 11:
		types := f.someTypes(2)
		f.choose(types, depth-1)
		f.keep(types)
	case 12, 13:
		types := f.someTypes(2)
		f.loop(types, depth-1)
		f.keep(types)
	case 14:
		f.branch(depth - 1)
	case 15, 16:
		types := f.callSomething(depth - 1)
		f.keep(types)
	case 17, 18:
		f.bulk(depth - 1)
	case 19:
		f.tables(depth - 1)
	case 20: // a way out that is seldom taken, and code that nobody comes to
		f.small(depth-1, 15)
		f.raw(0x45, 0x04, 0x40)
		f.labels = append(f.labels, nil)
		f.jump(depth - 1)
		f.statements(2, depth-1)
		f.raw(0x0b)
		f.labels = f.labels[:len(f.labels)-1]
	case 21:
		f.raw(0x01)
	}
}

// opens begins a block that takes and gives values; those it takes are pushed. It
// returns how a branch to the block would have to push them.
func (f *function) opens(op wasm.Opcode, results []wasm.ValueType, depth int) (params []wasm.ValueType) {
	if f.n(3) == 2 {
		params = f.someTypes(2)
	}
	f.expressions(params, depth)
	if op == wasm.OpIf {
		f.expression(wasm.I32, depth)
	}
	f.op(op)
	switch {
	case len(params) == 0 && len(results) == 0:
		f.raw(0x40)
	case len(params) == 0 && len(results) == 1:
		f.raw(byte(results[0]))
	default:
		f.code = wasm.AppendS64(f.code, int64(f.typeIndex(wasm.FuncType{Params: params, Results: results})))
	}
	return params
}

// inside is what a block does between its parameters and its results.
func (f *function) inside(params, results []wasm.ValueType, depth int) {
	if slices.Equal(params, results) && f.n(2) == 1 {
		f.statements(2, depth)
		return
	}
	f.keep(params)
	f.statements(3, depth)
	f.expressions(results, depth)
}

func (f *function) block(results []wasm.ValueType, depth int) {
	params := f.opens(wasm.OpBlock, results, depth)
	f.within(results, func() { f.inside(params, results, depth) })
}

// within is the inside of a block of which the label takes those types, and its end.
func (f *function) within(label []wasm.ValueType, inside func()) {
	f.labels = append(f.labels, label)
	inside()
	f.labels = f.labels[:len(f.labels)-1]
	f.raw(0x0b)
}

// choose is an if, and an else unless it can do without.
func (f *function) choose(results []wasm.ValueType, depth int) {
	params := f.opens(wasm.OpIf, results, depth)
	f.within(results, func() {
		f.inside(params, results, depth)
		if !slices.Equal(params, results) || f.n(2) == 1 {
			f.raw(0x05)
			f.inside(params, results, depth)
		}
	})
}

// loop goes round while there are steps, and while some condition holds, if it has any.
func (f *function) loop(results []wasm.ValueType, depth int) {
	params := f.opens(wasm.OpLoop, results, depth)
	f.within(params, func() {
		f.keep(params)
		f.guard()
		f.statements(4, depth)
		if f.n(4) != 3 {
			f.expressions(params, depth)
			f.again(depth)
			f.keep(params)
		}
		f.expressions(results, depth)
	})
}

// again goes round a loop, a few times or as it may come out.
func (f *function) again(depth int) {
	if f.n(3) == 2 {
		f.expression(wasm.I32, depth)
	} else {
		f.op(wasm.OpGlobalGet, f.base+globalSteps)
		f.i32(int32(f.n(8)))
		f.raw(0x71)
	}
	f.op(wasm.OpBrIf, 0)
}

// branch is conditional.
func (f *function) branch(depth int) {
	target := f.n(len(f.labels))
	types := f.labels[len(f.labels)-1-target]
	f.expressions(types, depth)
	f.expression(wasm.I32, depth)
	f.op(wasm.OpBrIf, uint32(target))
	f.keep(types)
}

// jump leaves for good. After it the operand stack is whatever is wanted.
func (f *function) jump(depth int) {
	target := f.n(len(f.labels))
	types := f.labels[len(f.labels)-1-target]
	switch f.n(8) {
	case 1:
		f.raw(0x00)
	case 2:
		f.expressions(f.kind.Results, depth)
		f.raw(0x0f)
	case 3, 4:
		fit := f.labelsOf(types)
		f.expressions(types, depth)
		f.small(depth, 7)
		f.op(wasm.OpBrTable, uint32(f.n(5)))
		for range f.code[len(f.code)-1] + 1 {
			f.number(pick(f.choices, fit))
		}
	case 5, 6:
		f.tailCall(depth)
	default:
		f.expressions(types, depth)
		f.op(wasm.OpBr, uint32(target))
	}
}

// tailCall leaves by calling a function that gives what this one gives.
func (f *function) tailCall(depth int) {
	var fit []uint32
	for i, o := range f.functions {
		if slices.Equal(o.Results, f.kind.Results) {
			fit = append(fit, uint32(i))
		}
	}
	callee := pick(f.choices, fit)
	slot := slices.Index(f.slots, callee)
	f.expressions(f.functions[callee].Params, depth)
	if slot >= 0 && f.n(2) == 1 {
		f.slot(slot, depth)
		f.op(wasm.OpReturnCallIndirect, f.functions[callee].kind, tableFunctions)
		return
	}
	f.op(wasm.OpReturnCall, callee)
}

// slot pushes an index into the table of functions: mostly the one that is meant.
func (f *function) slot(slot, depth int) {
	if f.rarely() {
		f.small(depth, 7)
	} else {
		f.i32(int32(slot))
	}
}

// callSomething calls a function and pushes its results.
func (f *function) callSomething(depth int) (results []wasm.ValueType) {
	slot := f.n(len(f.slots))
	callee := f.slots[slot]
	kind := f.functions[callee]
	f.expressions(kind.Params, depth)
	if f.n(2) == 1 {
		f.slot(slot, depth)
		f.op(wasm.OpCallIndirect, kind.kind, tableFunctions)
	} else {
		f.op(wasm.OpCall, callee)
	}
	return kind.Results
}

// call pushes the first result of that type that some function gives.
func (f *function) call(t wasm.ValueType, depth int) {
	results := f.callSomething(depth)
	at := slices.Index(results, t)
	if at < 0 {
		f.keep(results)
		f.leaf(t)
		return
	}
	f.keep(results[at+1:])
	v := f.variable(t)
	f.op(wasm.OpLocalSet, v)
	f.keep(results[:at])
	f.op(wasm.OpLocalGet, v)
}

// bulk works on a piece of memory.
func (f *function) bulk(depth int) {
	segment := pick(f.choices, f.passive)
	switch f.n(5) {
	case 1:
		f.address(depth)
		f.expression(wasm.I32, depth)
		f.small(depth, 0x3ff)
		f.op(wasm.OpMemoryFill, 0)
	case 2, 3:
		f.address(depth)
		f.small(depth, 7)
		f.small(depth, 15)
		f.op(wasm.OpMemoryInit, segment, 0)
	case 4:
		if f.hasActive && f.n(2) == 1 {
			// Of what is gone there is nothing but nothing to copy. wazero alone would go on
			// copying it, against the specification.
			f.address(depth)
			f.i32(0)
			f.i32(0)
			f.op(wasm.OpMemoryInit, f.active, 0)
			segment = f.active
		}
		f.op(wasm.OpDataDrop, segment)
	default:
		f.address(depth)
		f.address(depth)
		f.small(depth, 0xfff)
		f.op(wasm.OpMemoryCopy, 0, 0)
	}
}

// tables works on entries of a table, mostly the one that nothing is called from.
func (f *function) tables(depth int) {
	table, kind := uint32(tableSpare), wasm.FuncRef
	switch {
	case f.rarely():
		table = tableFunctions
	case f.n(3) == 2:
		table, kind = tableThings, wasm.ExternRef
	}
	f.small(depth, 1)
	switch f.n(5) {
	case 1:
		f.expression(kind, depth)
		f.small(depth, 1)
		f.op(wasm.OpTableFill, table)
	case 2:
		f.small(depth, 1)
		f.small(depth, 1)
		if kind == wasm.ExternRef {
			f.op(wasm.OpTableCopy, table, table)
		} else {
			f.op(wasm.OpTableCopy, table, pick(f.choices, []uint32{tableSpare, tableFunctions}))
		}
	case 3:
		f.raw(0x1a)
		f.small(depth, 1)
		f.small(depth, 1)
		f.small(depth, 1)
		f.op(wasm.OpTableInit, uint32(1+f.n(2)), tableSpare)
	case 4:
		f.raw(0x1a)
		f.op(wasm.OpElemDrop, uint32(f.n(3)))
	default:
		f.expression(kind, depth)
		f.op(wasm.OpTableSet, table)
	}
}

// realBits32 are the bits of a float, or any bits, a NaN with payload among them.
func realBits32(v float64, word uint64, anyBits bool) uint32 {
	if anyBits {
		return uint32(word)
	}
	return math.Float32bits(float32(v))
}

// realBits64 is the same for a double.
func realBits64(v float64, word uint64, anyBits bool) uint64 {
	if anyBits {
		return word
	}
	return math.Float64bits(v)
}
