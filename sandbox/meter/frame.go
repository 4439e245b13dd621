package meter

import "github.com/seed75a60ee1/patchbay/sandbox/binary"

// frame adds up what a function's frame takes of the engine's stack at most: the engine
// keeps in a slot of its own each value that has to outlive a call, and hands over in
// memory what does not fit into registers. Values are made by instructions, and where
// ways join: there is one then for each variable that either way may have set.
type frame struct {
	values   int64
	handover int64
	wide     bool
	sets     []int64 // of variables, in each block that is open
}

func (f *frame) begin() { *f = frame{sets: append(f.sets[:0], 0)} }

const (
	frameBytes = 96 // return address, frame pointer, saved registers
	slotBytes  = 8
)

// count takes note of an instruction.
func (f *frame) count(m *binary.Module, c *binary.Cursor, locals uint32) {
	switch {
	case c.Op == binary.OpBlock || c.Op == binary.OpLoop || c.Op == binary.OpIf:
		f.sets = append(f.sets, 0)
		f.passed(m, c.Block)
	case c.Op == binary.OpLocalSet || c.Op == binary.OpLocalTee:
		f.sets[len(f.sets)-1]++
	case c.Op == binary.OpEnd:
		f.join(locals)
	case c.Op == binary.OpCall || c.Op == binary.OpReturnCall:
		t, _ := m.FunctionType(c.Index)
		f.callee(t)
	case c.Op == binary.OpCallIndirect || c.Op == binary.OpReturnCallIndirect:
		f.callee(m.Types[c.Index])
	case c.Op.Prefix() == 0xfd:
		f.wide = true
		f.values++
	case c.Op.Prefix() == 0 && makesValue[c.Op]:
		f.values++
	}
}

// passed counts what a block takes and gives, which is joined, too.
func (f *frame) passed(m *binary.Module, t binary.BlockType) {
	switch {
	case t.HasIndex:
		f.values += int64(len(m.Types[t.Index].Params) + len(m.Types[t.Index].Results))
	case t.Result != 0:
		f.values++
	}
}

// join ends a block. What was set in it was set in the one around it, too.
func (f *frame) join(locals uint32) {
	inner := f.sets[len(f.sets)-1]
	if f.sets = f.sets[:len(f.sets)-1]; len(f.sets) > 0 {
		inner = min(inner, int64(locals))
		f.values += inner
		f.sets[len(f.sets)-1] += inner
	}
}

func (f *frame) callee(t binary.FuncType) {
	f.values += int64(len(t.Results))
	f.handover = max(f.handover, int64(len(t.Params)+len(t.Results)))
	for _, p := range t.Params {
		f.wide = f.wide || p == binary.V128
	}
}

// bytes is how large the frame may be, with that many variables.
func (f *frame) bytes(locals uint32) int64 {
	slot := int64(slotBytes)
	if f.wide {
		slot = 2 * slotBytes
	}
	return frameBytes + slot*(int64(locals)+f.values+f.handover)
}

// makesValue tells which instructions without a prefix make a value that may have to be
// kept. Constants are made again where they are used.
var makesValue = func() (table [256]bool) {
	table[binary.OpGlobalGet], table[binary.OpTableGet] = true, true
	table[0x1b], table[binary.OpSelectTyped] = true, true
	for op := 0x28; op <= 0x35; op++ { // loads
		table[op] = true
	}
	for op := 0x45; op <= 0xc4; op++ { // arithmetic
		table[op] = true
	}
	table[binary.OpMemorySize], table[binary.OpMemoryGrow] = true, true
	table[0xd1], table[binary.OpRefFunc] = true, true
	return table
}()
