// Package wasmtest builds small modules by hand, for tests that need code no
// compiler would write.
//
// A signature is written as "iI:I": parameters, a colon, results; i is an i32, I an
// i64. Instructions are byte slices, made by the functions of this package, and one
// after another they are a body.
package wasmtest

import "strings"

// Module is a module under construction. Imports come before functions, because
// both are numbered in one row.
type Module struct {
	types, imports, functions, tables, memories, globals, exports, codes, data, elements [][]byte

	signatures map[string]int
	imported   int
	start      []byte
	custom     []byte
}

// Import adds a function to be imported and returns its index.
func (m *Module) Import(module, name, signature string) int {
	if len(m.functions) > 0 {
		panic("BUG: import after a function")
	}
	entry := append(append(vec([]byte(module)), vec([]byte(name))...), 0)
	m.imports = append(m.imports, append(entry, U32(m.typeOf(signature))...))
	m.imported++
	return m.imported - 1
}

// ImportMemory adds a memory to be imported.
func (m *Module) ImportMemory(module, name string) {
	entry := append(append(vec([]byte(module)), vec([]byte(name))...), 2, 0, 1)
	m.imports = append(m.imports, entry)
}

// Func adds a function, exported under name unless that is empty, and returns its
// index. Locals are types as in a signature.
func (m *Module) Func(name, signature, locals string, body ...[]byte) int {
	m.functions = append(m.functions, U32(m.typeOf(signature)))
	index := m.imported + len(m.functions) - 1
	if name != "" {
		m.Export(name, 0, index)
	}
	var groups [][]byte
	for _, l := range locals {
		groups = append(groups, []byte{1, valueType(l)})
	}
	code := append(join(groups), Code(body...)...)
	m.codes = append(m.codes, vec(append(code, 0x0b)))
	return index
}

// Export adds an export of a kind: 0 function, 1 table, 2 memory, 3 global.
func (m *Module) Export(name string, kind byte, index int) {
	m.exports = append(m.exports, append(append(vec([]byte(name)), kind), U32(index)...))
}

// Memory adds a memory of at least pages, and exports it.
func (m *Module) Memory(pages int) {
	m.memories = append(m.memories, append([]byte{0}, U32(pages)...))
	m.Export("memory", 2, 0)
}

// Table adds a table of functions, which may grow to most, or without bound if that
// is negative.
func (m *Module) Table(least, most int) {
	t := append([]byte{0x70, 0}, U32(least)...)
	if most >= 0 {
		t = append(append([]byte{0x70, 1}, U32(least)...), U32(most)...)
	}
	m.tables = append(m.tables, t)
}

// Global adds a mutable i64 and returns its index.
func (m *Module) Global(value int64) int {
	m.globals = append(m.globals, Code([]byte{0x7e, 1}, I64Const(value), []byte{0x0b}))
	return len(m.globals) - 1
}

// Start makes a function run as soon as an instance is made.
func (m *Module) Start(function int) { m.start = Section(8, U32(function)) }

// Elements puts functions into the first table, from entry 0 on.
func (m *Module) Elements(functions ...int) {
	var list [][]byte
	for _, f := range functions {
		list = append(list, U32(f))
	}
	m.elements = append(m.elements, Code([]byte{0}, I32Const(0), []byte{0x0b}, join(list)))
}

// Data puts bytes into the memory at offset.
func (m *Module) Data(offset int, bytes string) { m.DataAt(I32Const(int32(offset)), bytes) }

// DataAt puts bytes into the memory where a constant expression says.
func (m *Module) DataAt(offset []byte, bytes string) {
	m.data = append(m.data, Code([]byte{0}, offset, []byte{0x0b}, vec([]byte(bytes))))
}

// Custom adds a custom section at the end.
func (m *Module) Custom(name string, payload []byte) {
	m.custom = append(m.custom, Section(0, append(vec([]byte(name)), payload...))...)
}

// Bytes encodes the module.
func (m *Module) Bytes() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	sections := []struct {
		id   byte
		list [][]byte
	}{
		{1, m.types}, {2, m.imports}, {3, m.functions}, {4, m.tables}, {5, m.memories},
		{6, m.globals}, {7, m.exports}, {9, m.elements}, {10, m.codes}, {11, m.data},
	}
	for _, s := range sections {
		if s.id == 9 {
			out = append(out, m.start...)
		}
		if len(s.list) > 0 {
			out = append(out, Section(s.id, join(s.list))...)
		}
	}
	return append(out, m.custom...)
}

func (m *Module) typeOf(signature string) int {
	if i, ok := m.signatures[signature]; ok {
		return i
	}
	if m.signatures == nil {
		m.signatures = map[string]int{}
	}
	params, results, _ := strings.Cut(signature, ":")
	m.types = append(m.types, Code([]byte{0x60}, valueTypes(params), valueTypes(results)))
	m.signatures[signature] = len(m.types) - 1
	return len(m.types) - 1
}

func valueTypes(letters string) []byte {
	var list [][]byte
	for _, l := range letters {
		list = append(list, []byte{valueType(l)})
	}
	return join(list)
}

func valueType(letter rune) byte {
	return map[rune]byte{'i': 0x7f, 'I': 0x7e, 'F': 0x7c}[letter]
}

// Section encodes one section.
func Section(id byte, payload []byte) []byte { return append([]byte{id}, vec(payload)...) }

// vec is bytes with their length before them.
func vec(bytes []byte) []byte { return append(U32(len(bytes)), bytes...) }

// join is a list with its length before it.
func join(list [][]byte) []byte { return append(U32(len(list)), Code(list...)...) }
