package meter

import (
	"bytes"
	"fmt"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// edit is code to be put in place of what stands between two offsets, which may be
// nothing.
type edit struct {
	at, until int
	what      editKind
	arg       int // by what: a region, a label, the first of some labels, an instruction
	labels    int // how many
}

type editKind uint8

const (
	chargeRegion editKind = iota
	chargeLength
	leaveFrame
	branchOut   // in place of a return
	shiftBranch // to a label that is further out now
	beginLoop   // of one without calls, twice
	endLoop
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
	open    []opened
	labels  []uint32
	now     int32
	loops   []bool // for each loop, in order, whether it is written twice
	loop    int    // the next one

	calls   bool  // other functions
	checked int32 // the loop at whose header all is checked, or 0 for the function's entry
	lengths bool  // works on lengths
	frame   frame
}

// opened is a block that is open.
type opened struct {
	before int32 // the region in which it was begun
	twice  int   // how many loops that are written twice are open, this one included
	double bool
}

// read goes over the code: what it costs, and where it must be changed.
func (f *function) read() error {
	f.begin()
	f.findLoops()
	c := f.m.Code(f.body)
	for c.Next() {
		if err := f.check(c); err != nil {
			return err
		}
		f.regions[f.now].cost += Cost(c.Op)
		f.frame.count(f.m, c, f.locals)
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
	f.regions, f.edits, f.open = append(f.regions[:0], region{kept: true}), f.edits[:0], append(f.open[:0], opened{})
	f.now, f.calls, f.checked, f.lengths, f.loop = 0, false, 0, false, 0
	f.labels = f.labels[:0]
	f.frame.begin()
}

// findLoops finds out which loops hold no call. A call makes an engine keep in memory
// whatever lives across it, also one that is hardly ever made, as that of the function
// that pauses. Loops without are where that would be felt: they are written twice, one
// around the other, so that the pause is in the outer one and the inner one runs in
// registers.
func (f *function) findLoops() {
	f.loops = f.loops[:0]
	b := &f.m.Bodies[f.body]
	if bytes.IndexByte(f.m.Bytes()[b.Code:b.Offset+b.Size], byte(binary.OpLoop)) < 0 {
		return
	}
	var loops []int // the loop that each open block is, or -1
	found := 0      // how many of them, the outermost first, are known to hold a call
	for c := f.m.Code(f.body); c.Next(); {
		switch c.Op {
		case binary.OpBlock, binary.OpIf:
			loops = append(loops, -1)
		case binary.OpLoop:
			loops = append(loops, len(f.loops))
			f.loops = append(f.loops, true)
		case binary.OpEnd:
			if len(loops) > 0 {
				loops = loops[:len(loops)-1]
				found = min(found, len(loops))
			}
		case binary.OpCall, binary.OpCallIndirect, binary.OpReturnCall, binary.OpReturnCallIndirect,
			binary.OpMemoryGrow, binary.OpMemoryCopy, binary.OpMemoryFill, binary.OpMemoryInit,
			binary.OpTableGrow, binary.OpTableFill, binary.OpTableCopy, binary.OpTableInit:
			for _, loop := range loops[found:] {
				if loop >= 0 {
					f.loops[loop] = false
				}
			}
			found = len(loops)
		}
	}
}

// take notes what an instruction means for the code around it.
func (f *function) take(c *binary.Cursor) {
	switch c.Op {
	case binary.OpBlock:
		f.push(false)
	case binary.OpLoop:
		f.takeLoop(c)
	case binary.OpIf:
		f.push(false)
		f.enter(c.End, region{parent: f.now})
	case binary.OpElse:
		f.enter(c.End, region{parent: f.top().before})
	case binary.OpEnd:
		f.takeEnd(c)
	case binary.OpBr, binary.OpBrIf, binary.OpBrTable, binary.OpUnreachable:
		f.branch(c)
		f.enter(c.End, region{parent: f.now})
	case binary.OpReturn:
		f.edits = append(f.edits, edit{at: c.Start, until: c.End, what: branchOut, arg: c.Depth - 1 + f.top().twice})
		f.enter(c.End, region{parent: f.now})
	case binary.OpCall, binary.OpCallIndirect:
		f.call(c)
	case binary.OpReturnCall, binary.OpReturnCallIndirect:
		f.call(c)
		if f.isJump(c) {
			f.edits = append(f.edits, edit{at: c.Start, until: c.Start, what: leaveFrame})
		}
		f.enter(c.End, region{parent: f.now})
	case binary.OpTableSet, binary.OpElemDrop:
		f.w.lasting(c.Op, f.index)
	case binary.OpDataDrop:
		f.w.lasting(c.Op, f.index)
		f.w.usesData = true
	case binary.OpTableGrow, binary.OpTableFill, binary.OpTableCopy, binary.OpTableInit:
		f.w.lasting(c.Op, f.index)
		fallthrough
	case binary.OpMemoryGrow, binary.OpMemoryCopy, binary.OpMemoryFill, binary.OpMemoryInit:
		f.w.usesData = f.w.usesData || c.Op == binary.OpMemoryInit
		f.lengths = true
		f.edits = append(f.edits, edit{at: c.Start, until: c.Start, what: chargeLength, arg: int(c.Op)})
	}
}

func (f *function) top() *opened { return &f.open[len(f.open)-1] }

func (f *function) push(double bool) {
	o := opened{before: f.now, twice: f.top().twice, double: double}
	if double {
		o.twice++
	}
	f.open = append(f.open, o)
}

func (f *function) takeLoop(c *binary.Cursor) {
	double := f.loops[f.loop]
	f.loop++
	if f.now == 0 && len(f.regions) == 1 && !f.calls {
		f.checked = 1 // every call comes here next, as in code made by Go
	}
	f.push(double)
	f.enter(c.End, region{kept: true, cost: CostIteration})
	if double {
		*f.last() = edit{at: c.Start, until: c.End, what: beginLoop, arg: int(f.now)}
	}
}

func (f *function) takeEnd(c *binary.Cursor) {
	ended := *f.top()
	if f.open = f.open[:len(f.open)-1]; len(f.open) == 0 {
		return
	}
	if ended.double {
		f.edits = append(f.edits, edit{at: c.End, until: c.End, what: endLoop})
	}
	f.enter(c.End, region{parent: ended.before})
}

// branch notes a branch out of loops that are written twice.
func (f *function) branch(c *binary.Cursor) {
	twice := f.top().twice
	if twice == 0 || c.Op == binary.OpUnreachable {
		return
	}
	if c.Op == binary.OpBrTable || f.crossed(c.Index) > 0 {
		first := len(f.labels)
		if c.Op != binary.OpBrTable {
			f.labels = append(f.labels, c.Index+f.crossed(c.Index))
		} else {
			for _, label := range c.Targets {
				f.labels = append(f.labels, label+f.crossed(label))
			}
		}
		f.edits = append(f.edits, edit{at: c.Start, until: c.End, what: shiftBranch, arg: first, labels: len(f.labels) - first})
	}
}

// crossed is how many labels more there are up to one.
func (f *function) crossed(label uint32) uint32 {
	target := &f.open[len(f.open)-1-int(label)]
	return uint32(f.top().twice - target.twice)
}

func (f *function) last() *edit { return &f.edits[len(f.edits)-1] }

// enter begins a region, whose charge is to stand at an offset.
func (f *function) enter(at int, r region) {
	f.now = int32(len(f.regions))
	f.regions = append(f.regions, r)
	f.edits = append(f.edits, edit{at: at, until: at, what: chargeRegion, arg: int(f.now)})
}

// costs is what the function costs at most without its loops' coming round.
func (f *function) costs() (sum int64) {
	for _, r := range f.regions {
		sum += r.cost
	}
	return sum
}

func (f *function) call(c *binary.Cursor) {
	f.calls = true
	if direct := c.Op == binary.OpCall || c.Op == binary.OpReturnCall; direct && c.Index < f.m.Imported(binary.KindFunction) {
		f.regions[f.now].cost += CostImport
	}
}

// isJump reports whether a tail call surely is one in an engine: wazero makes an ordinary
// call of one whose arguments do not fit into registers.
func (f *function) isJump(c *binary.Cursor) bool {
	const fit = 4
	t, direct := f.m.FunctionType(c.Index)
	if direct = direct && c.Op == binary.OpReturnCall; !direct {
		t = f.m.Types[c.Index]
	}
	return len(t.Params) <= fit && len(t.Results) <= fit
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
		if c.Second >= f.m.Space(binary.KindTable) {
			return f.missing(c, "table", c.Second)
		}
		what, most = "type", uint32(len(f.m.Types))
	case binary.OpTableGet, binary.OpTableSet, binary.OpTableSize, binary.OpTableGrow, binary.OpTableFill:
		what, most = "table", f.m.Space(binary.KindTable)
	case binary.OpTableInit, binary.OpTableCopy:
		if c.Second >= f.m.Space(binary.KindTable) {
			return f.missing(c, "table", c.Second)
		}
		if c.Op == binary.OpTableInit {
			return nil
		}
		what, most = "table", f.m.Space(binary.KindTable)
	case binary.OpCall, binary.OpReturnCall:
		what, most = "function", f.m.Space(binary.KindFunction)
	case binary.OpMemoryInit, binary.OpDataDrop:
		what, most = "data segment", uint32(len(f.m.Data))
	case binary.OpRefFunc:
		if f.m.HasStart && c.Index == f.m.Start && !f.w.startDeclared() {
			return &binary.Error{Offset: c.Start, Section: binary.SectionCode.String(), Why: fmt.Sprintf("function %d refers to function %d, which is not declared for that", f.index, c.Index)}
		}
		what, most = "function", f.m.Space(binary.KindFunction)
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
