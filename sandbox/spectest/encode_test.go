package spectest

import (
	"encoding/binary"

	wasm "github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// coder appends code.
type coder struct{ code []byte }

func (c *coder) raw(b ...byte) { c.code = append(c.code, b...) }

// op appends an instruction and numbers after it.
func (c *coder) op(op wasm.Opcode, numbers ...uint32) {
	if p := op.Prefix(); p != 0 {
		c.raw(p)
		c.number(uint32(op & 0xff))
	} else {
		c.raw(byte(op))
	}
	for _, n := range numbers {
		c.number(n)
	}
}

func (c *coder) number(n uint32) { c.code = wasm.AppendU32(c.code, n) }

func (c *coder) i32(v int32) {
	c.raw(0x41)
	c.code = wasm.AppendS64(c.code, int64(v))
}

func (c *coder) i64(v int64) {
	c.raw(0x42)
	c.code = wasm.AppendS64(c.code, v)
}

func (c *coder) f32(bits uint32) {
	c.code = binary.LittleEndian.AppendUint32(append(c.code, 0x43), bits)
}
func (c *coder) f64(bits uint64) {
	c.code = binary.LittleEndian.AppendUint64(append(c.code, 0x44), bits)
}

func (c *coder) v128(low, high uint64) {
	c.op(wasm.OpV128Const)
	c.code = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(c.code, low), high)
}

// zero appends a constant of that type.
func (c *coder) zero(t wasm.ValueType) {
	switch t {
	case wasm.I32:
		c.i32(0)
	case wasm.I64:
		c.i64(0)
	case wasm.F32:
		c.f32(0)
	case wasm.F64:
		c.f64(0)
	case wasm.V128:
		c.v128(0, 0)
	default:
		c.raw(0xd0, byte(t))
	}
}

// list is a vector under construction.
type list struct {
	coder
	n uint32
}

// add begins another element.
func (l *list) add() *coder {
	l.n++
	return &l.coder
}

func (c *coder) name(s string) {
	c.number(uint32(len(s)))
	c.raw([]byte(s)...)
}

func (c *coder) types(types []wasm.ValueType) {
	c.number(uint32(len(types)))
	for _, t := range types {
		c.raw(byte(t))
	}
}

// limits are a least and, unless it is negative, a greatest size.
func (c *coder) limits(least, most int) {
	if most < 0 {
		c.raw(0)
		c.number(uint32(least))
		return
	}
	c.raw(1)
	c.number(uint32(least))
	c.number(uint32(most))
}

// file is a module under construction, by section. Its start is negative for none.
type file struct {
	types, imports, functions, tables, memories, globals, exports, elements, bodies, data list

	start int
}

// bytes encodes the module.
func (f *file) bytes() []byte {
	out := coder{code: []byte("\x00asm\x01\x00\x00\x00")}
	section := func(id byte, payload []byte) {
		out.raw(id)
		out.number(uint32(len(payload)))
		out.raw(payload...)
	}
	vector := func(id byte, l *list) {
		if l.n > 0 {
			section(id, append(wasm.AppendU32(nil, l.n), l.code...))
		}
	}
	vector(1, &f.types)
	vector(2, &f.imports)
	vector(3, &f.functions)
	vector(4, &f.tables)
	vector(5, &f.memories)
	vector(6, &f.globals)
	vector(7, &f.exports)
	if f.start >= 0 {
		section(8, wasm.AppendU32(nil, uint32(f.start)))
	}
	vector(9, &f.elements)
	if f.data.n > 0 {
		section(12, wasm.AppendU32(nil, f.data.n))
	}
	vector(10, &f.bodies)
	vector(11, &f.data)
	return out.code
}

func (f *file) export(name string, kind wasm.Kind, index uint32) {
	e := f.exports.add()
	e.name(name)
	e.raw(byte(kind))
	e.number(index)
}
