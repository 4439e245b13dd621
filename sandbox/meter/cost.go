package meter

import "github.com/seed75a60ee1/patchbay/sandbox/binary"

// What instructions cost, in units of fuel. A unit is about what an addition takes.
const (
	CostNothing      = 0  // block, loop, else, end, nop, drop: they leave no machine code
	CostPlain        = 1  // whatever is not named here
	CostDivision     = 4  // integer division and remainder, float division, square root
	CostVector       = 2  // a 128-bit instruction
	CostCall         = 4  // call, return_call: the frame
	CostCallIndirect = 8  // with the look-up and the comparison of types
	CostGrow         = 64 // memory.grow, table.grow: the engine returns to Go for them
	CostImport       = 64 // a call of a function of the host's, beside what the host charges
	// CostIteration is what going round a loop costs at least.
	CostIteration = 1
)

// What instructions cost by the length that they work on.
const (
	// BytesPerUnit is how many bytes memory.copy, memory.fill and memory.init, and the
	// host on the plugin's behalf, move for one unit.
	BytesPerUnit = 1 << bytesShift
	// UnitsPerPage is what memory.grow costs for each page of 64 KiB.
	UnitsPerPage = 1 << pageShift
	// UnitsPerEntry is what table.copy, table.fill, table.init and table.grow cost for each entry.
	UnitsPerEntry = 1 << entryShift

	bytesShift = 3
	pageShift  = 12
	entryShift = 1
)

// Cost is what an instruction costs each time it is executed, without what it costs by
// length. A call of an imported function costs [CostImport] more.
func Cost(op binary.Opcode) int64 {
	switch op.Prefix() {
	case 0:
		return int64(costs[op])
	case 0xfd:
		return CostVector
	}
	if op == binary.OpTableGrow {
		return CostGrow
	}
	return CostPlain
}

// costs are those of the instructions without a prefix.
var costs = func() (table [256]uint8) {
	for i := range table {
		table[i] = CostPlain
	}
	for _, op := range []binary.Opcode{0x01, binary.OpBlock, binary.OpLoop, binary.OpElse, binary.OpEnd, 0x1a} {
		table[op] = CostNothing
	}
	for _, op := range divisions {
		table[op] = CostDivision
	}
	table[binary.OpCall], table[binary.OpReturnCall] = CostCall, CostCall
	table[binary.OpCallIndirect], table[binary.OpReturnCallIndirect] = CostCallIndirect, CostCallIndirect
	table[binary.OpMemoryGrow] = CostGrow
	return table
}()

// divisions are i32.div_s to i32.rem_u, i64.div_s to i64.rem_u, f32.sqrt, f32.div,
// f64.sqrt and f64.div.
var divisions = []binary.Opcode{0x6d, 0x6e, 0x6f, 0x70, 0x7f, 0x80, 0x81, 0x82, 0x91, 0x95, 0x9f, 0xa3}
