package binary

// The instructions that may stand in a constant expression.
const (
	opEnd       = 0x0b
	opGlobalGet = 0x23
	opI32Const  = 0x41
	opI64Const  = 0x42
	opF32Const  = 0x43
	opF64Const  = 0x44
	opRefNull   = 0xd0
	opRefFunc   = 0xd2
	opVector    = 0xfd
	opV128Const = 0x0c
)

// skipExpr reads a constant expression: one instruction and an end.
func skipExpr(r *reader) {
	switch op := r.byte(); op {
	case opI32Const:
		r.signed(32)
	case opI64Const:
		r.signed(64)
	case opF32Const:
		r.bytes(4)
	case opF64Const:
		r.bytes(8)
	case opGlobalGet, opRefFunc:
		r.u32()
	case opRefNull:
		readRefType(r)
	case opVector:
		if r.u32() != opV128Const {
			r.fail("a constant expression holds a vector instruction that is not a constant")
		}
		r.bytes(16)
	default:
		r.fail("instruction %#x cannot stand in a constant expression", op)
	}
	if r.byte() != opEnd {
		r.fail("a constant expression has more than one instruction")
	}
}

// The bits of an element segment's flags.
const (
	elementPassive  = 1 << iota // or declarative, when explicit is set too
	elementExplicit             // names its table, or is declarative
	elementExprs                // entries are expressions, not function indexes
)

func (m *Module) readElements(r *reader) {
	entries := 0
	m.Elements = vector(r, "element segments", maxSegments, 3, func(r *reader) Segment {
		s := m.readElement(r)
		if entries += s.Size; entries > maxElements {
			r.fail("the element segments have more than %d entries together", maxElements)
		}
		return s
	})
}

func (m *Module) readElement(r *reader) Segment {
	flags := r.u32()
	if flags > elementPassive|elementExplicit|elementExprs {
		r.fail("element segment flags %#x are not known", flags)
	}
	s := Segment{Active: flags&elementPassive == 0}
	if s.Active {
		m.readPlace(r, flags&elementExplicit != 0)
	}
	exprs := flags&elementExprs != 0
	if flags&(elementPassive|elementExplicit) != 0 {
		readElementKind(r, exprs)
	}
	size, entry := 1, func(r *reader) { r.u32() }
	if exprs {
		size, entry = 2, skipExpr
	}
	s.Size = r.count("entries of an element segment", maxElements, size)
	for i := 0; i < s.Size && r.err == nil; i++ {
		entry(r)
	}
	return s
}

// readPlace reads which table an active segment goes to, and from where on.
func (m *Module) readPlace(r *reader, explicit bool) {
	table := uint32(0)
	if explicit {
		table = r.u32()
	}
	if table >= m.space(KindTable) {
		r.fail("table %d does not exist", table)
	}
	skipExpr(r)
}

func readElementKind(r *reader, exprs bool) {
	if exprs {
		readRefType(r)
		return
	}
	if kind := r.byte(); kind != 0 {
		r.fail("element kind %#x is not known", kind)
	}
}

func (m *Module) readData(r *reader) Segment {
	flags := r.u32()
	s := Segment{Active: flags != 1}
	if flags == 2 && r.u32() != 0 || flags > 2 {
		r.fail("data segment flags %#x or its memory are not known", flags)
	}
	if s.Active {
		if m.space(KindMemory) == 0 {
			r.fail("data for a memory that does not exist")
		}
		skipExpr(r)
	}
	s.Size = len(r.bytes(r.u32()))
	return s
}
