package binary

// The instructions that the walk over a function's code tells apart.
const (
	opBlock       = 0x02
	opLoop        = 0x03
	opIf          = 0x04
	opElse        = 0x05
	opBr          = 0x0c
	opBrIf        = 0x0d
	opBrTable     = 0x0e
	opSelectTyped = 0x1c
	opMisc        = 0xfc
)

// operands is what follows an instruction: some LEB128 numbers, then some bytes.
type operands struct {
	known   bool
	numbers uint8
	bytes   uint8
}

// number is one LEB128 number.
var number = operands{known: true, numbers: 1}

// plain, misc and vectors are the operands of the instructions of WebAssembly 2.0, by
// opcode, and by the second number of those that begin with opMisc or opVector. The
// instructions that the walk looks at more closely are not among the plain ones.
var plain, misc, vectors = instructions()

func instructions() (plain, misc, vectors [256]operands) {
	set := func(table *[256]operands, from, to int, numbers, bytes uint8) {
		for op := from; op <= to; op++ {
			table[op] = operands{known: true, numbers: numbers, bytes: bytes}
		}
	}
	set(&plain, 0x00, 0x01, 0, 0) // unreachable, nop
	set(&plain, opElse, opElse, 0, 0)
	set(&plain, 0x0f, 0x0f, 0, 0) // return
	set(&plain, 0x10, 0x10, 1, 0) // call
	set(&plain, 0x11, 0x11, 2, 0) // call_indirect
	set(&plain, 0x1a, 0x1b, 0, 0) // drop, select
	set(&plain, 0x20, 0x26, 1, 0) // locals, globals, tables
	set(&plain, 0x28, 0x3e, 2, 0) // loads and stores: alignment, offset
	set(&plain, 0x3f, 0x40, 1, 0) // memory.size, memory.grow
	set(&plain, opI32Const, opI64Const, 1, 0)
	set(&plain, opF32Const, opF32Const, 0, 4)
	set(&plain, opF64Const, opF64Const, 0, 8)
	set(&plain, 0x45, 0xc4, 0, 0) // numeric
	set(&plain, opRefNull, opRefNull, 1, 0)
	set(&plain, 0xd1, 0xd1, 0, 0) // ref.is_null
	set(&plain, opRefFunc, opRefFunc, 1, 0)

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
	set(&vectors, 0, 11, 2, 0)            // loads and stores
	set(&vectors, opV128Const, 13, 0, 16) // v128.const, i8x16.shuffle
	set(&vectors, 21, 34, 0, 1)           // lanes
	set(&vectors, 84, 91, 2, 1)           // loads and stores of a lane
	set(&vectors, 92, 93, 2, 0)           // loads with zeros
	return plain, misc, vectors
}
