package binary

import "strings"

// The maxima of a module. Real ones stay far below; each bounds what a small file
// can make a host allocate, or how long it can keep a compiler busy. See RATIONALE.md
// beside package sandbox for the last ones.
const (
	maxSections       = 4096
	maxTypes          = 100_000
	maxParams         = 100
	maxResults        = 8
	maxImports        = 10_000
	maxFunctions      = 500_000
	maxTables         = 16
	maxMemories       = 1
	maxGlobals        = 10_000
	maxExports        = 100_000
	maxSegments       = 100_000
	maxElements       = 1_000_000
	maxBodyBytes      = 1 << 18
	maxLocals         = 50_000
	maxLocalsInAll    = 5_000_000
	maxControls       = 1 << 14
	maxLoopDepth      = 64
	maxCalls          = 20_000
	maxJoins          = 4_000_000
	maxJoinsInAll     = 32_000_000
	maxSquaresInAll   = 500_000_000
	maxCubesInAll     = 20_000_000_000
	maxLoopCubesInAll = 20_000_000_000
	maxProducers      = 1_000
	maxMemoryPages    = 1 << 16
	maxNameSubsection = 64
)

// ValueType is the type of a parameter, a local or a global, as encoded.
type ValueType byte

// The value types.
const (
	I32       ValueType = 0x7f
	I64       ValueType = 0x7e
	F32       ValueType = 0x7d
	F64       ValueType = 0x7c
	V128      ValueType = 0x7b
	FuncRef   ValueType = 0x70
	ExternRef ValueType = 0x6f
)

func (t ValueType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case FuncRef:
		return "funcref"
	case ExternRef:
		return "externref"
	}
	return "unknown"
}

// FuncType is the signature of a function.
type FuncType struct{ Params, Results []ValueType }

// String is written as in "(i64, i32) -> i64", with "()" for nothing.
func (t FuncType) String() string { return list(t.Params, true) + " -> " + list(t.Results, false) }

func list(types []ValueType, always bool) string {
	words := make([]string, len(types))
	for i, t := range types {
		words[i] = t.String()
	}
	if len(words) == 1 && !always {
		return words[0]
	}
	return "(" + strings.Join(words, ", ") + ")"
}

// Kind is what an import or an export is.
type Kind byte

// The kinds.
const (
	KindFunction Kind = 0
	KindTable    Kind = 1
	KindMemory   Kind = 2
	KindGlobal   Kind = 3
)

func (k Kind) String() string {
	return [...]string{"function", "table", "memory", "global"}[k&3]
}

// Limits are the size of a table in entries or of a memory in pages of 64 KiB.
type Limits struct {
	Min uint32
	// Max counts only if HasMax; without it the size may grow without bound.
	Max    uint32
	HasMax bool
}

// Table is a table of references.
type Table struct {
	Type ValueType
	Limits
}

// Global is a global variable.
type Global struct {
	Type    ValueType
	Mutable bool
	// Init is what it is at first; it is not set for an imported one.
	Init Expr
}

// Expr is a constant expression: one instruction.
type Expr struct {
	// Op is a const, global.get, ref.null or ref.func.
	Op Opcode
	// Bits are an i32's, i64's, f32's or f64's; a v128 is not kept.
	Bits uint64
	// Index is the global or function that is named.
	Index uint32
}

// Import is something the module needs from its host.
type Import struct {
	Module, Name string
	Kind         Kind
	// Type is the index of a function's type; it is 0 for other kinds.
	Type uint32
	// Limits are those of a table or a memory.
	Limits Limits
	// Global is the type of a global.
	Global Global
}

// Export is something the module offers to its host.
type Export struct {
	Name string
	Kind Kind
	// Index counts imports of that kind first.
	Index uint32
}

// Body is where the code of one function lies.
type Body struct {
	// Offset and Size are in bytes, of the locals and the instructions.
	Offset, Size int
	// Code is where the instructions begin, after the declared variables.
	Code int
	// Locals is how many variables it declares besides its parameters.
	Locals uint32
	// Controls counts its blocks, what they take and give, and the branches to them; a loop
	// counts as loopControls.
	Controls int
	// LoopDepth is how many of its loops stand in one another.
	LoopDepth int
}

// Segment is a piece of data or of a table's content.
type Segment struct {
	// Active segments are copied in when an instance is made.
	Active bool
	// Size is in bytes for data and in entries for table content.
	Size int
	// Offset is where an active segment goes.
	Offset Expr
	// Table is the table that active table content goes to.
	Table uint32
	// Data is a view of the bytes of data.
	Data []byte
	// Functions are the functions that table content names, of those entries that name one.
	Functions []uint32
}

// SectionID says what a section holds.
type SectionID byte

// The sections.
const (
	SectionCustom    SectionID = 0
	SectionType      SectionID = 1
	SectionImport    SectionID = 2
	SectionFunction  SectionID = 3
	SectionTable     SectionID = 4
	SectionMemory    SectionID = 5
	SectionGlobal    SectionID = 6
	SectionExport    SectionID = 7
	SectionStart     SectionID = 8
	SectionElement   SectionID = 9
	SectionCode      SectionID = 10
	SectionData      SectionID = 11
	SectionDataCount SectionID = 12
)

var sectionNames = [...]string{
	"custom", "type", "import", "function", "table", "memory", "global",
	"export", "start", "element", "code", "data", "data count",
}

func (id SectionID) String() string {
	if int(id) < len(sectionNames) {
		return sectionNames[id]
	}
	return "unknown"
}

// rank is the place a section must take among the others: data count stands before
// code, against the order of the numbers.
func (id SectionID) rank() int {
	switch {
	case id == SectionDataCount:
		return 2 * int(SectionElement)
	case id >= SectionCode:
		return 2 * int(id)
	}
	return 2*int(id) - 1
}

// Section is one section as it lies in the file.
type Section struct {
	ID SectionID
	// Name is that of a custom section, and "" for others.
	Name string
	// Offset is where its first byte, the ID, stands in the file.
	Offset int
	// Payload is its content, for a custom section what follows the name.
	Payload []byte

	raw []byte // all of it, with ID and size
}

// Size is how many bytes of the file the section takes.
func (s Section) Size() int { return len(s.raw) }

// Module is a decoded module. It holds views into the bytes it was decoded from,
// which must not change while it is in use.
type Module struct {
	Sections []Section // in the order of the file
	Types    []FuncType
	Imports  []Import
	// Functions holds the type index of each function the module defines.
	Functions []uint32
	Tables    []Table
	Memories  []Limits
	Globals   []Global
	Exports   []Export
	// Start is the index of a function that runs when an instance is made, if HasStart.
	Start    uint32
	HasStart bool
	Elements []Segment
	Bodies   []Body
	Data     []Segment

	wasm          []byte
	preamble      []byte
	dataCount     uint32
	imported      [4]uint32 // how many imports there are of each kind
	importedTypes []uint32  // the type index of each imported function
}

// FunctionType is the signature of a function, counting imported ones first.
func (m *Module) FunctionType(index uint32) (FuncType, bool) {
	types := m.importedTypes
	if n := uint32(len(types)); index >= n {
		types, index = m.Functions, index-n
	}
	if uint64(index) >= uint64(len(types)) {
		return FuncType{}, false
	}
	return m.Types[types[index]], true
}

// Imported is how many things of a kind are imported. They are numbered first.
func (m *Module) Imported(kind Kind) uint32 { return m.imported[kind] }

// Space is how many things of a kind there are, imported ones included.
func (m *Module) Space(kind Kind) uint32 {
	defined := [...]int{
		KindFunction: len(m.Functions), KindTable: len(m.Tables),
		KindMemory: len(m.Memories), KindGlobal: len(m.Globals),
	}
	return m.imported[kind] + uint32(defined[kind])
}

// Bytes is the file that the module was decoded from: a view.
func (m *Module) Bytes() []byte { return m.wasm }

// Custom is the payload of the first custom section of that name: a view.
func (m *Module) Custom(name string) ([]byte, bool) {
	for _, s := range m.Sections {
		if s.ID == SectionCustom && s.Name == name {
			return s.Payload, true
		}
	}
	return nil, false
}
