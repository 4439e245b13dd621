package binary

// Cursor goes over the instructions of one function, one at a time:
//
//	for c := m.Code(0); c.Next(); {
//		… c.Op …
//	}
//
// It reads code that [Decode] has walked over already. Indexes may still name what
// does not exist, since Decode does not look at them.
type Cursor struct {
	// Op is the instruction.
	Op Opcode
	// Start and End are where it lies, as offsets into the module.
	Start, End int
	// Index is its first operand where that is a number, by instruction: a label's depth,
	// a function, a type, a local, a global, a table, a segment, a load's alignment. For
	// i32.const and i64.const see Value; for a block see Block.
	Index uint32
	// Second is its second operand where that is a number: call_indirect's table, a
	// load's offset, the second index of a bulk instruction.
	Second uint32
	// Block is the type of a block, a loop or an if.
	Block BlockType
	// Value is the constant of i32.const or i64.const.
	Value int64
	// Targets are br_table's labels, the default one last. They are valid until Next.
	Targets []uint32
	// Depth is how many blocks are open before the instruction, the function's own body
	// being the first: 1 at the beginning.
	Depth int

	m   *Module
	r   reader
	end int
}

// BlockType is what a block takes and gives: nothing, one value, or a function's type.
type BlockType struct {
	// Index is a function's type if HasIndex is set; otherwise Result is the value that
	// is given, or 0 for none.
	Index    uint32
	HasIndex bool
	Result   ValueType
}

// Code returns a cursor before the first instruction of a body, counting from 0
// those the module defines.
func (m *Module) Code(body int) *Cursor {
	b := &m.Bodies[body]
	return &Cursor{m: m, r: reader{wasm: m.wasm, pos: b.Code, end: b.Offset + b.Size, section: SectionCode.String()}}
}

// Next goes to the next instruction, and reports whether there is one.
func (c *Cursor) Next() bool {
	switch {
	case c.Op == OpEnd && c.Depth == 0 && c.end > 0, c.r.left() == 0:
		return false
	case c.end == 0:
		c.Depth = 1
	default:
		c.follow()
	}
	c.Start = c.r.pos
	c.Op = Opcode(c.r.byte())
	c.read()
	c.End, c.end = c.r.pos, c.r.pos
	return c.r.err == nil
}

// follow counts the blocks after the instruction that was read last.
func (c *Cursor) follow() {
	switch c.Op {
	case OpBlock, OpLoop, OpIf:
		c.Depth++
	case OpEnd:
		c.Depth--
	}
}

// read reads the operands.
func (c *Cursor) read() {
	r := &c.r
	o := &plain[c.Op]
	switch c.Op {
	case OpBlock, OpLoop, OpIf:
		c.Block = readBlockType(r)
		return
	case OpI32Const:
		c.Value = r.signed(32)
		return
	case OpI64Const:
		c.Value = r.signed(64)
		return
	case OpBrTable:
		c.Targets = c.Targets[:0]
		for range r.count("branch targets", maxControls, 1) + 1 {
			c.Targets = append(c.Targets, r.u32())
		}
		return
	case OpSelectTyped:
		for range r.u32() {
			r.byte()
		}
		return
	case prefixMisc, prefixVector:
		table := &misc
		if c.Op == prefixVector {
			table = &vectors
		}
		sub := r.u32() & 0xff
		o = &table[sub]
		c.Op = c.Op<<8 | Opcode(sub)
	}
	if o.numbers > 0 {
		c.Index = r.u32()
	}
	if o.numbers > 1 {
		c.Second = r.u32()
	}
	if o.bytes > 0 {
		r.bytes(uint32(o.bytes))
	}
}

// readBlockType reads what follows a block's opcode.
func readBlockType(r *reader) BlockType {
	index := r.signed(33)
	switch {
	case index >= 0:
		return BlockType{Index: uint32(index), HasIndex: true}
	case index == -64: // 0x40
		return BlockType{}
	}
	return BlockType{Result: ValueType(index & 0x7f)}
}

// Err is nil if Next went to the end. Decode passes over numbers that are longer than
// they may be, which end a Cursor early.
func (c *Cursor) Err() error {
	if c.r.err == nil {
		return nil
	}
	return c.r.err
}

// Bytes is the instruction as it stands in the module: a view.
func (c *Cursor) Bytes() []byte { return c.m.wasm[c.Start:c.End:c.End] }

// Locals are the types of a function's variables, its parameters first, in groups as
// they are declared.
func (m *Module) Locals(body int) []LocalGroup {
	t, _ := m.FunctionType(m.imported[KindFunction] + uint32(body))
	groups := make([]LocalGroup, 0, len(t.Params)+4)
	for _, p := range t.Params {
		groups = append(groups, LocalGroup{Count: 1, Type: p})
	}
	b := &m.Bodies[body]
	r := &reader{wasm: m.wasm, pos: b.Offset, end: b.Code, section: SectionCode.String()}
	for range r.u32() {
		groups = append(groups, LocalGroup{Count: r.u32(), Type: ValueType(r.byte())})
	}
	return groups
}

// LocalGroup is a run of variables of one type.
type LocalGroup struct {
	Count uint32
	Type  ValueType
}
