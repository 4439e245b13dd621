package spectest

import (
	"strings"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// typesOf reads a signature's letters: i, l, f, d are i32, i64, f32, f64; v a vector, p
// and x references to functions and to the host's things.
func typesOf(letters string) []binary.ValueType {
	types := make([]binary.ValueType, len(letters))
	for i, l := range letters {
		types[i] = typeOf[l]
	}
	return types
}

var typeOf = map[rune]binary.ValueType{
	'i': binary.I32, 'l': binary.I64, 'f': binary.F32, 'd': binary.F64,
	'v': binary.V128, 'p': binary.FuncRef, 'x': binary.ExternRef,
}

// care is what has to be done about an instruction so that all engines agree on what it
// gives, and that it does not always trap.
type care uint8

const (
	careless     care = iota
	division          // traps if its second operand is zero
	truncation        // traps if its operand is too large
	lane              // names a lane
	shuffle           // names sixteen
	floatResult       // may give a NaN of which the bits are not determined
	doubleResult      // the same
	floatLanes        // the same, in lanes
	doubleLanes       // the same
)

// operation is an instruction that takes values and gives one.
type operation struct {
	op     binary.Opcode
	params []binary.ValueType
	result binary.ValueType
	care   care
	lanes  int
}

// access is a load or a store.
type access struct {
	op    binary.Opcode
	kind  binary.ValueType // what is loaded or stored
	align int              // the greatest that is allowed
	lanes int              // of which one is loaded or stored, or 0
}

// row is a run of instructions with successive numbers and one signature.
type row struct {
	first, last binary.Opcode
	signature   string
	care        care
	lanes       int
}

var operations = func() (all []operation) {
	for _, r := range rows {
		params, result, _ := strings.Cut(r.signature, ":")
		for op := r.first; op <= r.last; op++ {
			all = append(all, operation{op, typesOf(params), typesOf(result)[0], r.care, r.lanes})
		}
	}
	return all
}()

// byResult are the operations that give a type.
var byResult = func() map[binary.ValueType][]operation {
	by := map[binary.ValueType][]operation{}
	for _, o := range operations {
		by[o.result] = append(by[o.result], o)
	}
	return by
}()

// rows are the instructions that compute, of the specification's list.
var rows = []row{
	{first: 0x45, last: 0x45, signature: "i:i"},
	{first: 0x46, last: 0x4f, signature: "ii:i"},
	{first: 0x50, last: 0x50, signature: "l:i"},
	{first: 0x51, last: 0x5a, signature: "ll:i"},
	{first: 0x5b, last: 0x60, signature: "ff:i"},
	{first: 0x61, last: 0x66, signature: "dd:i"},
	{first: 0x67, last: 0x69, signature: "i:i"},
	{first: 0x6a, last: 0x6c, signature: "ii:i"},
	{first: 0x6d, last: 0x70, signature: "ii:i", care: division},
	{first: 0x71, last: 0x78, signature: "ii:i"},
	{first: 0x79, last: 0x7b, signature: "l:l"},
	{first: 0x7c, last: 0x7e, signature: "ll:l"},
	{first: 0x7f, last: 0x82, signature: "ll:l", care: division},
	{first: 0x83, last: 0x8a, signature: "ll:l"},
	{first: 0x8b, last: 0x91, signature: "f:f", care: floatResult},
	{first: 0x92, last: 0x98, signature: "ff:f", care: floatResult},
	{first: 0x99, last: 0x9f, signature: "d:d", care: doubleResult},
	{first: 0xa0, last: 0xa6, signature: "dd:d", care: doubleResult},
	{first: 0xa7, last: 0xa7, signature: "l:i"},
	{first: 0xa8, last: 0xa9, signature: "f:i", care: truncation},
	{first: 0xaa, last: 0xab, signature: "d:i", care: truncation},
	{first: 0xac, last: 0xad, signature: "i:l"},
	{first: 0xae, last: 0xaf, signature: "f:l", care: truncation},
	{first: 0xb0, last: 0xb1, signature: "d:l", care: truncation},
	{first: 0xb2, last: 0xb3, signature: "i:f"},
	{first: 0xb4, last: 0xb5, signature: "l:f"},
	{first: 0xb6, last: 0xb6, signature: "d:f", care: floatResult},
	{first: 0xb7, last: 0xb8, signature: "i:d"},
	{first: 0xb9, last: 0xba, signature: "l:d"},
	{first: 0xbb, last: 0xbb, signature: "f:d", care: doubleResult},
	{first: 0xbc, last: 0xbc, signature: "f:i"},
	{first: 0xbd, last: 0xbd, signature: "d:l"},
	{first: 0xbe, last: 0xbe, signature: "i:f"},
	{first: 0xbf, last: 0xbf, signature: "l:d"},
	{first: 0xc0, last: 0xc1, signature: "i:i"},
	{first: 0xc2, last: 0xc4, signature: "l:l"},
	{first: 0xd1, last: 0xd1, signature: "x:i"},

	{first: 0xfc00, last: 0xfc01, signature: "f:i"},
	{first: 0xfc02, last: 0xfc03, signature: "d:i"},
	{first: 0xfc04, last: 0xfc05, signature: "f:l"},
	{first: 0xfc06, last: 0xfc07, signature: "d:l"},

	{first: 0xfd0d, last: 0xfd0d, signature: "vv:v", care: shuffle},
	{first: 0xfd0e, last: 0xfd0e, signature: "vv:v"},
	{first: 0xfd0f, last: 0xfd11, signature: "i:v"},
	{first: 0xfd12, last: 0xfd12, signature: "l:v"},
	{first: 0xfd13, last: 0xfd13, signature: "f:v"},
	{first: 0xfd14, last: 0xfd14, signature: "d:v"},
	{first: 0xfd15, last: 0xfd16, signature: "v:i", care: lane, lanes: 16},
	{first: 0xfd17, last: 0xfd17, signature: "vi:v", care: lane, lanes: 16},
	{first: 0xfd18, last: 0xfd19, signature: "v:i", care: lane, lanes: 8},
	{first: 0xfd1a, last: 0xfd1a, signature: "vi:v", care: lane, lanes: 8},
	{first: 0xfd1b, last: 0xfd1b, signature: "v:i", care: lane, lanes: 4},
	{first: 0xfd1c, last: 0xfd1c, signature: "vi:v", care: lane, lanes: 4},
	{first: 0xfd1d, last: 0xfd1d, signature: "v:l", care: lane, lanes: 2},
	{first: 0xfd1e, last: 0xfd1e, signature: "vl:v", care: lane, lanes: 2},
	{first: 0xfd1f, last: 0xfd1f, signature: "v:f", care: lane, lanes: 4},
	{first: 0xfd20, last: 0xfd20, signature: "vf:v", care: lane, lanes: 4},
	{first: 0xfd21, last: 0xfd21, signature: "v:d", care: lane, lanes: 2},
	{first: 0xfd22, last: 0xfd22, signature: "vd:v", care: lane, lanes: 2},
	{first: 0xfd23, last: 0xfd4c, signature: "vv:v"},
	{first: 0xfd4d, last: 0xfd4d, signature: "v:v"},
	{first: 0xfd4e, last: 0xfd51, signature: "vv:v"},
	{first: 0xfd52, last: 0xfd52, signature: "vvv:v"},
	{first: 0xfd53, last: 0xfd53, signature: "v:i"},
	{first: 0xfd5e, last: 0xfd5e, signature: "v:v", care: floatLanes},
	{first: 0xfd5f, last: 0xfd5f, signature: "v:v", care: doubleLanes},
	// i8x16
	{first: 0xfd60, last: 0xfd62, signature: "v:v"},
	{first: 0xfd63, last: 0xfd64, signature: "v:i"},
	{first: 0xfd65, last: 0xfd66, signature: "vv:v"},
	{first: 0xfd67, last: 0xfd6a, signature: "v:v", care: floatLanes},
	{first: 0xfd6b, last: 0xfd6d, signature: "vi:v"},
	{first: 0xfd6e, last: 0xfd73, signature: "vv:v"},
	{first: 0xfd74, last: 0xfd75, signature: "v:v", care: doubleLanes},
	{first: 0xfd76, last: 0xfd79, signature: "vv:v"},
	{first: 0xfd7a, last: 0xfd7a, signature: "v:v", care: doubleLanes},
	{first: 0xfd7b, last: 0xfd7b, signature: "vv:v"},
	{first: 0xfd7c, last: 0xfd7f, signature: "v:v"},
	// i16x8
	{first: 0xfd80, last: 0xfd81, signature: "v:v"},
	{first: 0xfd82, last: 0xfd82, signature: "vv:v"},
	{first: 0xfd83, last: 0xfd84, signature: "v:i"},
	{first: 0xfd85, last: 0xfd86, signature: "vv:v"},
	{first: 0xfd87, last: 0xfd8a, signature: "v:v"},
	{first: 0xfd8b, last: 0xfd8d, signature: "vi:v"},
	{first: 0xfd8e, last: 0xfd93, signature: "vv:v"},
	{first: 0xfd94, last: 0xfd94, signature: "v:v", care: doubleLanes},
	{first: 0xfd95, last: 0xfd99, signature: "vv:v"},
	{first: 0xfd9b, last: 0xfd9f, signature: "vv:v"},
	// i32x4
	{first: 0xfda0, last: 0xfda1, signature: "v:v"},
	{first: 0xfda3, last: 0xfda4, signature: "v:i"},
	{first: 0xfda7, last: 0xfdaa, signature: "v:v"},
	{first: 0xfdab, last: 0xfdad, signature: "vi:v"},
	{first: 0xfdae, last: 0xfdae, signature: "vv:v"},
	{first: 0xfdb1, last: 0xfdb1, signature: "vv:v"},
	{first: 0xfdb5, last: 0xfdba, signature: "vv:v"},
	{first: 0xfdbc, last: 0xfdbf, signature: "vv:v"},
	// i64x2
	{first: 0xfdc0, last: 0xfdc1, signature: "v:v"},
	{first: 0xfdc3, last: 0xfdc4, signature: "v:i"},
	{first: 0xfdc7, last: 0xfdca, signature: "v:v"},
	{first: 0xfdcb, last: 0xfdcd, signature: "vi:v"},
	{first: 0xfdce, last: 0xfdce, signature: "vv:v"},
	{first: 0xfdd1, last: 0xfdd1, signature: "vv:v"},
	{first: 0xfdd5, last: 0xfddf, signature: "vv:v"},
	// f32x4 and f64x2
	{first: 0xfde0, last: 0xfde1, signature: "v:v", care: floatLanes},
	{first: 0xfde3, last: 0xfde3, signature: "v:v", care: floatLanes},
	{first: 0xfde4, last: 0xfdeb, signature: "vv:v", care: floatLanes},
	{first: 0xfdec, last: 0xfded, signature: "v:v", care: doubleLanes},
	{first: 0xfdef, last: 0xfdef, signature: "v:v", care: doubleLanes},
	{first: 0xfdf0, last: 0xfdf7, signature: "vv:v", care: doubleLanes},
	{first: 0xfdf8, last: 0xfdff, signature: "v:v"},
}

// loads by the type they give, and stores. A load of a lane takes the other lanes.
var (
	loads = map[binary.ValueType][]access{
		binary.I32: {{op: 0x28, align: 2}, {op: 0x2c}, {op: 0x2d}, {op: 0x2e, align: 1}, {op: 0x2f, align: 1}},
		binary.I64: {
			{op: 0x29, align: 3}, {op: 0x30}, {op: 0x31}, {op: 0x32, align: 1}, {op: 0x33, align: 1},
			{op: 0x34, align: 2}, {op: 0x35, align: 2},
		},
		binary.F32: {{op: 0x2a, align: 2}},
		binary.F64: {{op: 0x2b, align: 3}},
		binary.V128: {
			{op: 0xfd00, align: 4}, {op: 0xfd01, align: 3}, {op: 0xfd02, align: 3}, {op: 0xfd03, align: 3},
			{op: 0xfd04, align: 3}, {op: 0xfd05, align: 3}, {op: 0xfd06, align: 3}, {op: 0xfd07},
			{op: 0xfd08, align: 1}, {op: 0xfd09, align: 2}, {op: 0xfd0a, align: 3},
			{op: 0xfd54, lanes: 16}, {op: 0xfd55, align: 1, lanes: 8}, {op: 0xfd56, align: 2, lanes: 4},
			{op: 0xfd57, align: 3, lanes: 2}, {op: 0xfd5c, align: 2}, {op: 0xfd5d, align: 3},
		},
	}
	stores = []access{
		{op: 0x36, kind: binary.I32, align: 2}, {op: 0x37, kind: binary.I64, align: 3},
		{op: 0x38, kind: binary.F32, align: 2}, {op: 0x39, kind: binary.F64, align: 3},
		{op: 0x3a, kind: binary.I32}, {op: 0x3b, kind: binary.I32, align: 1},
		{op: 0x3c, kind: binary.I64}, {op: 0x3d, kind: binary.I64, align: 1}, {op: 0x3e, kind: binary.I64, align: 2},
		{op: 0xfd0b, kind: binary.V128, align: 4}, {op: 0xfd58, kind: binary.V128, lanes: 16},
		{op: 0xfd59, kind: binary.V128, align: 1, lanes: 8}, {op: 0xfd5a, kind: binary.V128, align: 2, lanes: 4},
		{op: 0xfd5b, kind: binary.V128, align: 3, lanes: 2},
	}
)

// others are the instructions that are in no table above.
var others = []binary.Opcode{
	0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13, 0x1a, 0x1b, 0x1c,
	0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x3f, 0x40, 0x41, 0x42, 0x43, 0x44, 0xd0, 0xd2,
	0xfc08, 0xfc09, 0xfc0a, 0xfc0b, 0xfc0c, 0xfc0d, 0xfc0e, 0xfc0f, 0xfc10, 0xfc11, 0xfd0c,
}

// instructions are all that there are: WebAssembly 2.0 and tail calls.
func instructions() []binary.Opcode {
	all := append([]binary.Opcode(nil), others...)
	for _, o := range operations {
		all = append(all, o.op)
	}
	for _, list := range loads {
		for _, a := range list {
			all = append(all, a.op)
		}
	}
	for _, a := range stores {
		all = append(all, a.op)
	}
	return all
}
