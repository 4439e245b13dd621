package binary

// Opcode is an instruction: one byte, or a prefix in the upper byte and the number
// that follows it in the lower one.
type Opcode uint16

// The instructions that more than their operands is known of.
const (
	OpUnreachable        Opcode = 0x00
	OpBlock              Opcode = 0x02
	OpLoop               Opcode = 0x03
	OpIf                 Opcode = 0x04
	OpElse               Opcode = 0x05
	OpEnd                Opcode = 0x0b
	OpBr                 Opcode = 0x0c
	OpBrIf               Opcode = 0x0d
	OpBrTable            Opcode = 0x0e
	OpReturn             Opcode = 0x0f
	OpCall               Opcode = 0x10
	OpCallIndirect       Opcode = 0x11
	OpReturnCall         Opcode = 0x12
	OpReturnCallIndirect Opcode = 0x13
	OpSelectTyped        Opcode = 0x1c
	OpLocalGet           Opcode = 0x20
	OpLocalSet           Opcode = 0x21
	OpLocalTee           Opcode = 0x22
	OpGlobalGet          Opcode = 0x23
	OpGlobalSet          Opcode = 0x24
	OpTableGet           Opcode = 0x25
	OpTableSet           Opcode = 0x26
	OpMemorySize         Opcode = 0x3f
	OpMemoryGrow         Opcode = 0x40
	OpI32Const           Opcode = 0x41
	OpI64Const           Opcode = 0x42
	OpF32Const           Opcode = 0x43
	OpF64Const           Opcode = 0x44
	OpRefNull            Opcode = 0xd0
	OpRefFunc            Opcode = 0xd2
	OpMemoryInit         Opcode = 0xfc08
	OpDataDrop           Opcode = 0xfc09
	OpMemoryCopy         Opcode = 0xfc0a
	OpMemoryFill         Opcode = 0xfc0b
	OpTableInit          Opcode = 0xfc0c
	OpElemDrop           Opcode = 0xfc0d
	OpTableCopy          Opcode = 0xfc0e
	OpTableGrow          Opcode = 0xfc0f
	OpTableSize          Opcode = 0xfc10
	OpTableFill          Opcode = 0xfc11
	OpV128Const          Opcode = 0xfd0c
)

// Prefix is the byte that a longer instruction begins with, or 0.
func (o Opcode) Prefix() byte { return byte(o >> 8) }

const (
	prefixMisc    = 0xfc
	prefixVector  = 0xfd
	prefixThreads = 0xfe
)

// operands is what follows an instruction: some LEB128 numbers, then some bytes.
type operands struct {
	known   bool
	special bool // looked at more closely than by its operands
	numbers uint8
	bytes   uint8
}

// plain, misc and vectors are the operands of the instructions of WebAssembly 2.0
// and of tail calls, by opcode, and by the second number of those with a prefix.
var plain, misc, vectors = instructions()

func instructions() (plain, misc, vectors [256]operands) {
	set := func(table *[256]operands, from, to int, numbers, bytes uint8) {
		for op := from; op <= to; op++ {
			table[op] = operands{known: true, numbers: numbers, bytes: bytes}
		}
	}
	set(&plain, 0x00, 0x01, 0, 0) // unreachable, nop
	set(&plain, 0x02, 0x04, 0, 0) // block, loop, if
	set(&plain, 0x05, 0x05, 0, 0) // else
	set(&plain, 0x0b, 0x0b, 0, 0) // end
	set(&plain, 0x0c, 0x0d, 1, 0) // br, br_if
	set(&plain, 0x0e, 0x0e, 0, 0) // br_table
	set(&plain, 0x0f, 0x0f, 0, 0) // return
	set(&plain, 0x10, 0x10, 1, 0) // call
	set(&plain, 0x11, 0x11, 2, 0) // call_indirect: type, table
	set(&plain, 0x12, 0x12, 1, 0) // return_call
	set(&plain, 0x13, 0x13, 2, 0) // return_call_indirect
	set(&plain, 0x1a, 0x1b, 0, 0) // drop, select
	set(&plain, 0x1c, 0x1c, 0, 0) // select with types
	set(&plain, 0x20, 0x26, 1, 0) // locals, globals, tables
	set(&plain, 0x28, 0x3e, 2, 0) // loads and stores: alignment, offset
	set(&plain, 0x3f, 0x40, 1, 0) // memory.size, memory.grow
	set(&plain, 0x41, 0x42, 1, 0) // i32.const, i64.const
	set(&plain, 0x43, 0x43, 0, 4) // f32.const
	set(&plain, 0x44, 0x44, 0, 8) // f64.const
	set(&plain, 0x45, 0xc4, 0, 0) // numeric
	set(&plain, 0xd0, 0xd0, 1, 0) // ref.null
	set(&plain, 0xd1, 0xd1, 0, 0) // ref.is_null
	set(&plain, 0xd2, 0xd2, 1, 0) // ref.func
	for _, op := range []Opcode{OpBlock, OpLoop, OpIf, OpEnd, OpBr, OpBrIf, OpBrTable, OpSelectTyped,
		OpCall, OpCallIndirect, OpReturnCall, OpReturnCallIndirect} {
		plain[op].special = true
	}

	set(&misc, 0, 7, 0, 0)   // saturating conversions
	set(&misc, 8, 8, 2, 0)   // memory.init
	set(&misc, 9, 9, 1, 0)   // data.drop
	set(&misc, 10, 10, 2, 0) // memory.copy
	set(&misc, 11, 11, 1, 0) // memory.fill
	set(&misc, 12, 12, 2, 0) // table.init
	set(&misc, 13, 13, 1, 0) // elem.drop
	set(&misc, 14, 14, 2, 0) // table.copy
	set(&misc, 15, 17, 1, 0) // table.grow, table.size, table.fill

	set(&vectors, 0, 255, 0, 0)
	set(&vectors, 0, 11, 2, 0)   // loads and stores
	set(&vectors, 12, 13, 0, 16) // v128.const, i8x16.shuffle
	set(&vectors, 21, 34, 0, 1)  // lanes
	set(&vectors, 84, 91, 2, 1)  // loads and stores of a lane
	set(&vectors, 92, 93, 2, 0)  // loads with zeros
	return plain, misc, vectors
}

// Known reports whether there is such an instruction without a prefix.
func Known(op Opcode) bool { return op <= 0xff && plain[op].known }
