package meter

import (
	"fmt"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// edit is code to be put before the instruction that stands at an offset, in place of
// it if drop is set.
type edit struct {
	at, until int
	what      editKind
	arg       int // by what: a region, a label's depth, an instruction
}

type editKind uint8

const (
	chargeRegion editKind = iota
	chargeLength
	leaveFrame
	branchOut // in place of a return
)

// function is one function that is being rewritten. It is used again for the next.
type function struct {
	m     *binary.Module
	w     *writer
	body  int
	index uint32
	kind  binary.FuncType

	locals  uint32 // parameters included
	regions []region
	edits   []edit
	open    []int32 // the region in which each block that is open was begun
	now     int32

	calls   bool // other functions
	lengths bool // works on lengths
	frame   frame
}

// read goes over the code once: what it costs, and where it must be changed.
func (f *function) read() error {
	f.begin()
	c := f.m.Code(f.body)
	for c.Next() {
		if err := f.check(c); err != nil {
			return err
		}
		f.regions[f.now].cost += Cost(c.Op)
		f.frame.count(f.m, c)
		f.take(c)
	}
	if err := c.Err(); err != nil {
		return err
	}
	fold(f.regions)
	return nil
}

func (f *function) begin() {
	f.kind, _ = f.m.FunctionType(f.index)
	b := &f.m.Bodies[f.body]
	f.locals = b.Locals + uint32(len(f.kind.Params))
	f.regions, f.edits, f.open = append(f.regions[:0], region{kept: true}), f.edits[:0], append(f.open[:0], 0)
	f.now, f.calls, f.lengths, f.frame = 0, false, false, frame{}
}

// take notes what an instruction means for the code around it.
func (f *function) take(c *binary.Cursor) {
	switch c.Op {
	case binary.OpBlock:
		f.open = append(f.open, f.now)
	case binary.OpLoop:
		f.open = append(f.open, f.now)
		f.enter(c.End, region{kept: true, cost: CostIteration})
	case binary.OpIf:
		f.open = append(f.open, f.now)
		f.enter(c.End, region{parent: f.now})
	case binary.OpElse:
		f.enter(c.End, region{parent: f.open[len(f.open)-1]})
	case binary.OpEnd:
		before := f.open[len(f.open)-1]
		if f.open = f.open[:len(f.open)-1]; len(f.open) > 0 {
			f.enter(c.End, region{parent: before})
		}
	case binary.OpBr, binary.OpBrIf, binary.OpBrTable, binary.OpUnreachable:
		f.enter(c.End, region{parent: f.now})
	case binary.OpReturn:
		f.edits = append(f.edits, edit{at: c.Start, until: c.End, what: branchOut, arg: c.Depth - 1})
		f.enter(c.End, region{parent: f.now})
	case binary.OpCall, binary.OpCallIndirect:
		f.call(c)
	case binary.OpReturnCall, binary.OpReturnCallIndirect:
		f.call(c)
		f.edits = append(f.edits, edit{at: c.Start, until: c.Start, what: leaveFrame})
		f.enter(c.End, region{parent: f.now})
	case binary.OpTableSet, binary.OpDataDrop, binary.OpElemDrop:
		f.w.lasting(c.Op, f.index)
	case binary.OpTableGrow, binary.OpTableFill, binary.OpTableCopy, binary.OpTableInit:
		f.w.lasting(c.Op, f.index)
		fallthrough
	case binary.OpMemoryGrow, binary.OpMemoryCopy, binary.OpMemoryFill, binary.OpMemoryInit:
		f.lengths = true
		f.edits = append(f.edits, edit{at: c.Start, until: c.Start, what: chargeLength, arg: int(c.Op)})
	}
}

// enter begins a region, whose charge is to stand at an offset.
func (f *function) enter(at int, r region) {
	f.now = int32(len(f.regions))
	f.regions = append(f.regions, r)
	f.edits = append(f.edits, edit{at: at, until: at, what: chargeRegion, arg: int(f.now)})
}

func (f *function) call(c *binary.Cursor) {
	f.calls = true
	if direct := c.Op == binary.OpCall || c.Op == binary.OpReturnCall; direct && c.Index < f.m.Imported(binary.KindFunction) {
		f.regions[f.now].cost += CostImport
	}
}

// check refuses an index that does not exist, and would after the rewrite.
func (f *function) check(c *binary.Cursor) error {
	var what string
	var most uint32
	switch c.Op {
	case binary.OpLocalGet, binary.OpLocalSet, binary.OpLocalTee:
		what, most = "local", f.locals
	case binary.OpGlobalGet, binary.OpGlobalSet:
		what, most = "global", f.m.Space(binary.KindGlobal)
	case binary.OpCallIndirect, binary.OpReturnCallIndirect:
		what, most = "type", uint32(len(f.m.Types))
	case binary.OpCall, binary.OpReturnCall:
		what, most = "function", f.m.Space(binary.KindFunction)
	case binary.OpMemoryInit, binary.OpDataDrop:
		what, most = "data segment", uint32(len(f.m.Data))
	case binary.OpRefFunc:
		if f.m.HasStart && c.Index == f.m.Start && !f.w.startDeclared() {
			return &binary.Error{Offset: c.Start, Section: binary.SectionCode.String(), Why: fmt.Sprintf("function %d refers to function %d, which is not declared for that", f.index, c.Index)}
		}
		return nil
	case binary.OpBr, binary.OpBrIf:
		what, most = "label", uint32(c.Depth)
	case binary.OpBrTable:
		for _, target := range c.Targets {
			if target >= uint32(c.Depth) {
				return f.missing(c, "label", target)
			}
		}
		return nil
	default:
		return nil
	}
	if c.Index >= most {
		return f.missing(c, what, c.Index)
	}
	return nil
}

func (f *function) missing(c *binary.Cursor, what string, index uint32) error {
	return &binary.Error{Offset: c.Start, Section: binary.SectionCode.String(), Why: fmt.Sprintf("function %d names %s %d, which does not exist", f.index, what, index)}
}
