package asm

import "slices"

// Instructions without operands, and those whose operands are always the same here.
var (
	Unreachable = []byte{0x00}
	Block       = []byte{0x02, 0x40} // up to End
	Loop        = []byte{0x03, 0x40} // up to End
	If          = []byte{0x04, 0x40} // up to End
	Else        = []byte{0x05}
	End         = []byte{0x0b}
	Drop        = []byte{0x1a}
	I32Eqz      = []byte{0x45}
	I64Eqz      = []byte{0x50}
	I32Eq       = []byte{0x46}
	I32GtS      = []byte{0x4a}
	I32LtU      = []byte{0x49}
	I32Add      = []byte{0x6a}
	I32Sub      = []byte{0x6b}
	I32Mul      = []byte{0x6c}
	I32Shl      = []byte{0x74}
	I32And      = []byte{0x71}
	V128Load    = []byte{0xfd, 0x00, 0x00, 0x00}
	V128Xor     = []byte{0xfd, 0x51}
	V128Zero    = append([]byte{0xfd, 0x0c}, make([]byte, 16)...)
	F64Sqrt     = []byte{0x9f}
	F64Add      = []byte{0xa0}
	F64Load     = []byte{0x2b, 0x00, 0x00}
	I64Add      = []byte{0x7c}
	I64Or       = []byte{0x84}
	I64DivU     = []byte{0x80}
	Wrap        = []byte{0xa7}       // i64 to i32
	Extend      = []byte{0xad}       // i32 to i64, unsigned
	MemorySize  = []byte{0x3f, 0x00} // in pages
	MemoryGrow  = []byte{0x40, 0x00} // by i32 pages; gives the old size or -1
	MemoryCopy  = []byte{0xfc, 0x0a, 0x00, 0x00}
	MemoryFill  = []byte{0xfc, 0x0b, 0x00}
	TableGrow   = []byte{0xfc, 0x0f, 0x00} // with a reference, by i32 entries; gives the old size or -1
	TableFill   = []byte{0xfc, 0x11, 0x00}
	TableCopy   = []byte{0xfc, 0x0e, 0x00, 0x00}
	TableGet    = []byte{0x25, 0x00}
	NullFunc    = []byte{0xd0, 0x70}
	RefIsNull   = []byte{0xd1}
	I64Load     = []byte{0x29, 0x00, 0x00}
	I32Load     = []byte{0x28, 0x00, 0x00}
	I64Store    = []byte{0x37, 0x00, 0x00}
	I32Store    = []byte{0x36, 0x00, 0x00}
)

// Code puts instructions one after another.
func Code(parts ...[]byte) []byte { return slices.Concat(parts...) }

// Repeat puts the same instructions n times.
func Repeat(n int, parts ...[]byte) []byte {
	return slices.Repeat(Code(parts...), n)
}

// Forever goes round a body without end.
func Forever(body ...[]byte) []byte { return Code(Loop, Code(body...), Br(0), End) }

// Call calls the function of that index.
func Call(function int) []byte { return append([]byte{0x10}, U32(function)...) }

// ReturnCall calls it in place of the function that runs.
func ReturnCall(function int) []byte { return append([]byte{0x12}, U32(function)...) }

// CallIndirect calls the entry of the table that is on the stack, of the type of that
// index.
func CallIndirect(kind int) []byte { return Code([]byte{0x11}, U32(kind), []byte{0}) }

// Br jumps to the label that many blocks out.
func Br(depth int) []byte { return append([]byte{0x0c}, U32(depth)...) }

// BrIf jumps unless an i32 is zero.
func BrIf(depth int) []byte { return append([]byte{0x0d}, U32(depth)...) }

// LocalGet pushes a local.
func LocalGet(i int) []byte { return append([]byte{0x20}, U32(i)...) }

// LocalSet pops a local.
func LocalSet(i int) []byte { return append([]byte{0x21}, U32(i)...) }

// LocalTee sets a local and leaves the value.
func LocalTee(i int) []byte { return append([]byte{0x22}, U32(i)...) }

// GlobalGet pushes a global.
func GlobalGet(i int) []byte { return append([]byte{0x23}, U32(i)...) }

// GlobalSet pops a global.
func GlobalSet(i int) []byte { return append([]byte{0x24}, U32(i)...) }

// I32 pushes an i32.
func I32(v int32) []byte { return append([]byte{0x41}, signed(int64(v))...) }

// I64 pushes an i64.
func I64(v int64) []byte { return append([]byte{0x42}, signed(v)...) }

// RefFunc pushes a reference to a function.
func RefFunc(function int) []byte { return append([]byte{0xd2}, U32(function)...) }

// MemoryInit copies from a passive data segment.
func MemoryInit(segment int) []byte { return Code([]byte{0xfc, 0x08}, U32(segment), []byte{0}) }

// U32 is the LEB128 encoding of v, at least 0.
func U32(v int) []byte {
	var out []byte
	for ; v >= 0x80; v >>= 7 {
		out = append(out, byte(v)|0x80)
	}
	return append(out, byte(v))
}

func signed(v int64) []byte {
	var out []byte
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}
