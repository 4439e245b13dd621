package wasmtest

// Instructions without operands.
var (
	Unreachable = []byte{0x00}
	Drop        = []byte{0x1a}
	End         = []byte{0x0b}
	I32Add      = []byte{0x6a}
	I64Add      = []byte{0x7c}
	I64Or       = []byte{0x84}
	Wrap        = []byte{0xa7}       // i64 to i32
	Extend      = []byte{0xad}       // i32 to i64, unsigned
	MemoryGrow  = []byte{0x40, 0x00} // by i32 pages; gives the old size or -1
	Loop        = []byte{0x03, 0x40} // up to End
	NullFunc    = []byte{0xd0, 0x70}
	TableGrow   = []byte{0xfc, 0x0f, 0x00} // with a reference, by i32 entries; gives the old size or -1
	I64Store    = []byte{0x37, 0x03, 0x00}
	I64Load     = []byte{0x29, 0x03, 0x00}
)

// Code puts instructions one after another.
func Code(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// Call calls the function of that index.
func Call(function int) []byte { return append([]byte{0x10}, U32(function)...) }

// Br jumps to the label that many blocks out.
func Br(depth int) []byte { return append([]byte{0x0c}, U32(depth)...) }

// LocalGet pushes a local.
func LocalGet(i int) []byte { return append([]byte{0x20}, U32(i)...) }

// LocalSet pops a local.
func LocalSet(i int) []byte { return append([]byte{0x21}, U32(i)...) }

// GlobalGet pushes a global.
func GlobalGet(i int) []byte { return append([]byte{0x23}, U32(i)...) }

// GlobalSet pops a global.
func GlobalSet(i int) []byte { return append([]byte{0x24}, U32(i)...) }

// I32Const pushes an i32.
func I32Const(v int32) []byte { return append([]byte{0x41}, signed(int64(v))...) }

// I64Const pushes an i64.
func I64Const(v int64) []byte { return append([]byte{0x42}, signed(v)...) }

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
