// Package asm builds small modules by hand, for plugins that no compiler would write.
//
// A signature is written as "iI:I": parameters, a colon, results; i is an i32, I an i64,
// F an f64 and V a v128. Instructions are byte slices, made by the functions of this
// package, and one after another they are a body.
package asm

import (
	"slices"
	"strings"
)

// Module is a module under construction. Imports come before functions, because both
// are numbered in one row.
type Module struct {
	types, imports, functions, tables, memories, globals, exports, codes, data, elements [][]byte

	signatures map[string]int
	imported   int
	start      []byte
	counted    bool // code refers to data segments by number
}

// Import adds a function to be imported and returns its index.
func (m *Module) Import(module, name, signature string) int {
	if len(m.functions) > 0 {
		panic("BUG: import after a function")
	}
	m.imports = append(m.imports, Code(Name(module), Name(name), []byte{0}, U32(m.Type(signature))))
	m.imported++
	return m.imported - 1
}

// Func adds a function, exported under name unless that is empty, and returns its
// index. Locals are types as in a signature.
func (m *Module) Func(name, signature, locals string, body ...[]byte) int {
	m.functions = append(m.functions, U32(m.Type(signature)))
	index := m.imported + len(m.functions) - 1
	if name != "" {
		m.Export(name, 0, index)
	}
	m.codes = append(m.codes, vec(Code(groups(locals), Code(body...), End)))
	return index
}

// groups declares locals, one group for each run of a type.
func groups(locals string) []byte {
	var list [][]byte
	for len(locals) > 0 {
		n := len(locals) - len(strings.TrimLeft(locals, locals[:1]))
		list = append(list, append(U32(n), valueType(rune(locals[0]))))
		locals = locals[n:]
	}
	return join(list)
}

// Next is the index that the next function will have.
func (m *Module) Next() int { return m.imported + len(m.functions) }

// Export adds an export of a kind: 0 function, 1 table, 2 memory, 3 global.
func (m *Module) Export(name string, kind byte, index int) {
	m.exports = append(m.exports, Code(Name(name), []byte{kind}, U32(index)))
}

// Memory adds a memory of at least pages, and exports it.
func (m *Module) Memory(pages int) {
	m.memories = append(m.memories, append([]byte{0}, U32(pages)...))
	m.Export("memory", 2, 0)
}

// Table adds a table of functions without a bound.
func (m *Module) Table(least int) {
	m.tables = append(m.tables, append([]byte{0x70, 0}, U32(least)...))
}

// Global adds a mutable i64 and returns its index.
func (m *Module) Global(value int64) int {
	m.globals = append(m.globals, Code([]byte{valueType('I'), 1}, I64(value), End))
	return len(m.globals) - 1
}

// Start makes a function run as soon as an instance is made.
func (m *Module) Start(function int) { m.start = section(8, U32(function)) }

// Elements puts functions into the first table, from entry 0 on.
func (m *Module) Elements(functions ...int) {
	var list [][]byte
	for _, f := range functions {
		list = append(list, U32(f))
	}
	m.elements = append(m.elements, Code([]byte{0}, I32(0), End, join(list)))
}

// Data puts bytes into the memory at offset.
func (m *Module) Data(offset int, bytes string) {
	m.data = append(m.data, Code([]byte{0}, I32(int32(offset)), End, vec([]byte(bytes))))
}

// Passive adds data for memory.init and returns its index.
func (m *Module) Passive(bytes string) int {
	m.counted = true
	m.data = append(m.data, Code([]byte{1}, vec([]byte(bytes))))
	return len(m.data) - 1
}

// Bytes encodes the module.
func (m *Module) Bytes() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range []struct {
		id   byte
		list [][]byte
	}{
		{1, m.types}, {2, m.imports}, {3, m.functions}, {4, m.tables}, {5, m.memories},
		{6, m.globals}, {7, m.exports}, {9, m.elements}, {10, m.codes}, {11, m.data},
	} {
		if s.id == 9 {
			out = append(out, m.start...)
		}
		if s.id == 10 && m.counted {
			out = append(out, section(12, U32(len(m.data)))...)
		}
		if len(s.list) > 0 {
			out = append(out, section(s.id, join(s.list))...)
		}
	}
	return out
}

// Type is the index of a signature.
func (m *Module) Type(signature string) int {
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
	var list []byte
	for _, l := range letters {
		list = append(list, valueType(l))
	}
	return vec(list)
}

func valueType(letter rune) byte {
	return map[rune]byte{'i': 0x7f, 'I': 0x7e, 'F': 0x7c, 'V': 0x7b}[letter]
}

// Name is a text with its length before it.
func Name(text string) []byte { return vec([]byte(text)) }

func section(id byte, payload []byte) []byte { return append([]byte{id}, vec(payload)...) }

// vec is bytes with their length before them.
func vec(bytes []byte) []byte { return append(U32(len(bytes)), bytes...) }

// join is a list with its length before it.
func join(list [][]byte) []byte { return append(U32(len(list)), slices.Concat(list...)...) }
