package inspect

import (
	"slices"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// calls is what one walk over all instructions finds. Nodes of its graphs are the
// functions, imported ones first, and after them the types that code calls by.
type calls struct {
	m           *binary.Module
	functions   uint32   // how many nodes are functions
	types       []uint32 // by type index, the first type that is the same
	importTypes []uint32 // by imported function
	direct      graph    // direct calls only; its nodes are functions
	all         graph    // a function leads to the types it calls by, a type to all that a table can hold

	loops         []uint32 // by body
	instructions  int64
	directCalls   int
	indirectCalls int
	inTables      int
	memoryGrows   bool
	tableGrows    []bool
	features      map[string]bool
	unreadable    []uint32 // functions with an instruction that cannot be read
	strings       *lengths
}

// readCalls walks over the code once.
func readCalls(m *binary.Module, strings *lengths) *calls {
	c := &calls{
		m: m, functions: m.Space(binary.KindFunction), types: sameTypes(m.Types), strings: strings,
		loops: make([]uint32, len(m.Bodies)), tableGrows: make([]bool, m.Space(binary.KindTable)),
		features: map[string]bool{},
	}
	for i := range m.Imports {
		if m.Imports[i].Kind == binary.KindFunction {
			c.importTypes = append(c.importTypes, m.Imports[i].Type)
		}
	}
	s := &scan{
		calls: c, tabled: make([]bool, c.functions),
		lastCall: make([]uint32, c.functions), lastType: make([]uint32, len(m.Types)), called: make([]bool, len(m.Types)),
	}
	s.elements()
	imported := m.Imported(binary.KindFunction)
	s.direct.start = make([]uint32, 0, c.functions+1)
	s.byType.start = make([]uint32, 0, c.functions+1)
	for v := range c.functions {
		s.direct.start = append(s.direct.start, uint32(len(s.direct.to)))
		s.byType.start = append(s.byType.start, uint32(len(s.byType.to)))
		if v >= imported {
			s.body(v, int(v-imported))
		}
	}
	s.direct.start = append(s.direct.start, uint32(len(s.direct.to)))
	s.byType.start = append(s.byType.start, uint32(len(s.byType.to)))
	c.join(s)
	return c
}

// sameTypes gives each type the index of the first one with that signature: that is
// what an indirect call compares.
func sameTypes(types []binary.FuncType) []uint32 {
	first, same := map[string]uint32{}, make([]uint32, len(types))
	var key []byte
	for i, t := range types {
		key = key[:0]
		for _, p := range t.Params {
			key = append(key, byte(p))
		}
		key = append(key, 0)
		for _, r := range t.Results {
			key = append(key, byte(r))
		}
		if _, known := first[string(key)]; !known {
			first[string(key)] = uint32(i)
		}
		same[i] = first[string(key)]
	}
	return same
}

// scan is the state of the walk.
type scan struct {
	*calls
	byType             graph  // from functions to types
	tabled             []bool // by function: a table may come to hold it
	called             []bool // by type: some code calls by it
	lastCall, lastType []uint32
}

func (s *scan) table(function uint32) {
	if function < s.functions {
		s.tabled[function] = true
	}
}

// elements notes the functions that are named outside code.
func (s *scan) elements() {
	for _, e := range s.m.Elements {
		for _, f := range e.Functions {
			s.table(f)
		}
	}
	for _, g := range s.m.Globals {
		if g.Init.Op == binary.OpRefFunc {
			s.table(g.Init.Index)
		}
	}
}

func (s *scan) body(v uint32, body int) {
	c := s.m.Code(body)
	for c.Next() {
		s.instructions++
		switch op := c.Op; {
		case op == binary.OpI32Const:
			s.strings.narrow(c.Value)
			continue
		case op == binary.OpI64Const:
			s.strings.wide(c.Value)
			continue
		case op == binary.OpCall || op == binary.OpReturnCall:
			s.call(v, c.Index)
		case op == binary.OpCallIndirect || op == binary.OpReturnCallIndirect:
			s.callIndirect(v, c.Index)
		case op == binary.OpLoop:
			s.loops[body]++
		case op == binary.OpRefFunc:
			s.table(c.Index)
		case op == binary.OpMemoryGrow:
			s.memoryGrows = true
		case op == binary.OpTableGrow && uint64(c.Index) < uint64(len(s.tableGrows)):
			s.tableGrows[c.Index] = true
		}
		s.strings.other(c.Op)
		s.feature(c.Op)
	}
	if c.Err() != nil {
		s.unreadable = append(s.unreadable, v)
	}
}

func (s *scan) call(v, target uint32) {
	s.directCalls++
	if target < s.functions && s.lastCall[target] != v+1 {
		s.lastCall[target] = v + 1
		s.direct.to = append(s.direct.to, target)
	}
}

func (s *scan) callIndirect(v, index uint32) {
	s.indirectCalls++
	if uint64(index) >= uint64(len(s.types)) {
		return
	}
	t := s.types[index]
	s.called[t] = true
	if s.lastType[t] != v+1 {
		s.lastType[t] = v + 1
		s.byType.to = append(s.byType.to, t)
	}
}

// feature notes what is newer than the first version of WebAssembly.
func (s *scan) feature(op binary.Opcode) {
	name := ""
	switch prefix := op.Prefix(); {
	case prefix == 0 && op < 0xc0 && op != binary.OpReturnCall && op != binary.OpReturnCallIndirect &&
		op != binary.OpTableGet && op != binary.OpTableSet:
		return // as nearly all are
	case op == binary.OpReturnCall || op == binary.OpReturnCallIndirect:
		name = "tail calls"
	case prefix == 0xfd:
		name = "SIMD"
	case prefix == 0 && op >= 0xc0 && op <= 0xc4:
		name = "sign extension"
	case prefix == 0xfc && op < binary.OpMemoryInit:
		name = "saturating conversion"
	case prefix == 0xfc && op < binary.OpTableGrow:
		name = "bulk memory"
	default:
		name = "reference types"
	}
	s.features[name] = true
}

// join makes the graph with indirect calls. A type's node leads to every function of
// the type that a table may hold, so that the edges are as many as there are calls and
// functions, and not their product.
func (c *calls) join(s *scan) {
	node := make([]uint32, len(c.types)) // by type
	nodes := c.functions
	for t, called := range s.called {
		if called {
			node[t] = nodes
			nodes++
		}
	}
	targets := make([][]uint32, len(c.types))
	for f, tabled := range s.tabled {
		if !tabled {
			continue
		}
		c.inTables++
		if t := c.typeOf(uint32(f)); s.called[t] {
			targets[t] = append(targets[t], uint32(f))
		}
	}
	g := graph{start: make([]uint32, 0, nodes+1), to: make([]uint32, 0, len(s.direct.to)+len(s.byType.to)+c.inTables)}
	for v := range c.functions {
		g.start = append(g.start, uint32(len(g.to)))
		g.to = append(g.to, s.direct.edges(v)...)
		for _, t := range s.byType.edges(v) {
			g.to = append(g.to, node[t])
		}
	}
	for t, called := range s.called {
		if called {
			g.start = append(g.start, uint32(len(g.to)))
			g.to = append(g.to, targets[t]...)
		}
	}
	g.start = append(g.start, uint32(len(g.to)))
	c.all = g
}

// typeOf is the first type that is the same as a function's.
func (c *calls) typeOf(function uint32) uint32 {
	if n := uint32(len(c.importTypes)); function >= n {
		return c.types[c.m.Functions[function-n]]
	}
	return c.types[c.importTypes[function]]
}

// callers lists functions that call one by name, at most n of them.
func (c *calls) callers(of map[uint32]bool, n int) map[uint32][]uint32 {
	found := map[uint32][]uint32{}
	for v := range c.functions {
		for _, w := range c.direct.edges(v) {
			if of[w] && len(found[w]) < n {
				found[w] = append(found[w], v)
			}
		}
	}
	return found
}

// featureNames are the features in alphabetical order.
func (c *calls) featureNames() []string {
	var names []string
	for name := range c.features {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
