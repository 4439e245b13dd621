package binary

import "encoding/binary"

// readExpr reads a constant expression: one instruction and an end.
func readExpr(r *reader) Expr {
	e := Expr{Op: Opcode(r.byte())}
	switch e.Op {
	case OpI32Const:
		e.Bits = uint64(uint32(r.signed(32)))
	case OpI64Const:
		e.Bits = uint64(r.signed(64))
	case OpF32Const:
		if b := r.bytes(4); b != nil {
			e.Bits = uint64(binary.LittleEndian.Uint32(b))
		}
	case OpF64Const:
		if b := r.bytes(8); b != nil {
			e.Bits = binary.LittleEndian.Uint64(b)
		}
	case OpGlobalGet, OpRefFunc:
		e.Index = r.u32()
	case OpRefNull:
		readRefType(r)
	case prefixVector:
		e.Op = OpV128Const
		if r.u32() != uint32(OpV128Const&0xff) {
			r.fail("a constant expression holds a vector instruction that is not a constant")
		}
		r.bytes(16)
	default:
		r.fail("instruction %#x cannot stand in a constant expression", uint16(e.Op))
	}
	if Opcode(r.byte()) != OpEnd {
		r.fail("a constant expression has more than one instruction")
	}
	return e
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
		s.Table, s.Offset = m.readPlace(r, flags&elementExplicit != 0)
	}
	exprs := flags&elementExprs != 0
	if flags&(elementPassive|elementExplicit) != 0 {
		readElementKind(r, exprs)
	}
	size := 1
	if exprs {
		size = 2
	}
	s.Size = r.count("entries of an element segment", maxElements, size)
	s.Functions = make([]uint32, 0, s.Size)
	for i := 0; i < s.Size && r.err == nil; i++ {
		if !exprs {
			s.Functions = append(s.Functions, r.u32())
		} else if e := readExpr(r); e.Op == OpRefFunc {
			s.Functions = append(s.Functions, e.Index)
		}
	}
	return s
}

// readPlace reads which table an active segment goes to, and from where on.
func (m *Module) readPlace(r *reader, explicit bool) (table uint32, offset Expr) {
	if explicit {
		table = r.u32()
	}
	if table >= m.Space(KindTable) {
		r.fail("table %d does not exist", table)
	}
	return table, readExpr(r)
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
		if m.Space(KindMemory) == 0 {
			r.fail("data for a memory that does not exist")
		}
		s.Offset = readExpr(r)
	}
	s.Data = r.bytes(r.u32())
	s.Size = len(s.Data)
	return s
}
