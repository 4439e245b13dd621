package meter

import "github.com/seed75a60ee1/patchbay/sandbox/binary"

// frame adds up what a function's frame takes of the engine's stack, at most as far as
// can be known: the engine keeps in a slot of its own each value that has to outlive a
// call, and hands over in memory what does not fit into registers.
type frame struct {
	values   int64
	handover int64
	wide     bool
}

const (
	frameBytes = 96 // return address, frame pointer, saved registers
	slotBytes  = 8
)

// count takes note of an instruction.
func (f *frame) count(m *binary.Module, c *binary.Cursor) {
	switch {
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
