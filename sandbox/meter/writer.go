package meter

import "github.com/seed75a60ee1/patchbay/sandbox/binary"

// The instructions that are put in.
const (
	opUnreachable   = 0x00
	opBlock         = 0x02
	opIf            = 0x04
	opEnd           = 0x0b
	opBr            = 0x0c
	opBrIf          = 0x0d
	opCall          = 0x10
	opDrop          = 0x1a
	opSelect        = 0x1b
	opLocalGet      = 0x20
	opLocalSet      = 0x21
	opLocalTee      = 0x22
	opGlobalGet     = 0x23
	opGlobalSet     = 0x24
	opMemoryGrow    = 0x40
	opI32Const      = 0x41
	opI64Const      = 0x42
	opI64LessSigned = 0x53
	opI64Add        = 0x7c
	opI64Sub        = 0x7d
	opI64And        = 0x83
	opI64Or         = 0x84
	opI64Shl        = 0x86
	opI64ShrU       = 0x88
	opI64ExtendU    = 0xad
	opRefNull       = 0xd0
	opMisc          = 0xfc
	miscTableGrow   = 0x0f
	typeNothing     = 0x40
)

// writer encodes functions. The code it puts in leaves the operand stack as it was.
type writer struct {
	out         []byte
	fuel, stack uint32 // the globals
	reserve     uint32
	stop, deep  uint32
	pause       uint32 // the function
	ownTable    bool   // for a module without memory: an empty table
	types       *types

	usesData bool // some code names a data segment
	// startDeclared reports whether code may refer to the start function.
	startDeclared func() bool

	seen         map[binary.Opcode]bool
	unrestorable []string
}

func (w *writer) bytes(b ...byte)          { w.out = append(w.out, b...) }
func (w *writer) op(op byte, index uint32) { w.out = binary.AppendU32(append(w.out, op), index) }
func (w *writer) i64(v int64)              { w.out = binary.AppendS64(append(w.out, opI64Const), v) }
func (w *writer) add(global uint32, op byte, v int64) {
	w.op(opGlobalGet, global)
	w.i64(v)
	w.bytes(op)
	w.op(opGlobalSet, global)
}

// pauseIfNegative has the module pause if what is on the stack is below zero.
func (w *writer) pauseIfNegative() {
	w.i64(0)
	w.bytes(opI64LessSigned, opIf, typeNothing)
	w.op(opCall, w.pause)
	w.bytes(opEnd)
}

func (w *writer) checkBoth() {
	w.op(opGlobalGet, w.fuel)
	w.op(opGlobalGet, w.stack)
	w.bytes(opI64Or)
	w.pauseIfNegative()
}

func (w *writer) checkFuel() {
	w.op(opGlobalGet, w.fuel)
	w.pauseIfNegative()
}

// function writes a body that was read.
func (w *writer) function(f *function) {
	wasm, b := f.m.Bytes(), &f.m.Bodies[f.body]
	frame := int64(0)
	if f.calls {
		frame = f.frame.bytes(f.locals)
	}
	w.locals(f, wasm[b.Offset:b.Code])
	w.add(w.fuel, opI64Sub, f.regions[0].cost)
	switch {
	case f.calls:
		w.enter(frame, f.kind.Results, f.checked > 0)
	case f.checked == 0 && f.costs() > unchecked:
		w.checkFuel()
	}
	at := b.Code
	for _, e := range f.edits {
		w.out = append(w.out, wasm[at:e.at]...)
		w.edit(f, e, wasm[e.at:e.until], frame)
		at = e.until
	}
	w.out = append(w.out, wasm[at:b.Offset+b.Size]...)
	if f.calls {
		w.add(w.stack, opI64Add, frame) // the end just written is that of the block around it all
		w.bytes(opEnd)
	}
}

// unchecked is what a function without calls costs at most not to look whether there is
// fuel: so much more than was charged for it can a call cost.
const unchecked = 48

// locals writes the declared variables, with one more for lengths if there are any.
func (w *writer) locals(f *function, declared []byte) {
	if !f.lengths {
		w.out = append(w.out, declared...)
		return
	}
	groups := f.m.Locals(f.body)[len(f.kind.Params):]
	w.out = binary.AppendU32(w.out, uint32(len(groups)+1))
	for _, g := range append(groups, binary.LocalGroup{Count: 1, Type: binary.I32}) {
		w.out = append(binary.AppendU32(w.out, g.Count), byte(g.Type))
	}
}

// enter takes the frame from the stack and begins a block around the body, so that
// whichever way the body ends it ends here. Fuel and stack are checked unless they are
// elsewhere.
func (w *writer) enter(frame int64, results []binary.ValueType, elsewhere bool) {
	w.add(w.stack, opI64Sub, frame)
	if !elsewhere {
		w.checkBoth()
	}
	w.bytes(opBlock)
	w.out = binary.AppendS64(w.out, w.types.block(results))
}

func (w *writer) edit(f *function, e edit, original []byte, frame int64) {
	switch e.what {
	case chargeRegion:
		w.charge(&f.regions[e.arg], f.calls && int(f.checked) == e.arg)
	case beginLoop:
		w.loop(f, e, original)
	case endLoop:
		w.bytes(opEnd)
	case shiftBranch:
		w.branch(original[0], f.labels[e.arg:e.arg+e.labels])
	case chargeLength:
		w.chargeLength(f.locals, binary.Opcode(e.arg))
	case leaveFrame:
		w.add(w.stack, opI64Add, frame)
	case branchOut:
		if f.calls {
			original = binary.AppendU32([]byte{opBr}, uint32(e.arg))
		}
		w.out = append(w.out, original...)
	}
}

// loop begins a loop twice. The outer one pauses if it must; the inner one goes there
// when the fuel has run out, and is charged after that for this time round.
func (w *writer) loop(f *function, e edit, original []byte) {
	w.out = append(w.out, original...)
	if f.calls && int(f.checked) == e.arg {
		w.checkBoth()
	} else {
		w.checkFuel()
	}
	w.out = append(w.out, original...)
	w.op(opGlobalGet, w.fuel)
	w.i64(0)
	w.bytes(opI64LessSigned)
	w.op(opBrIf, 1)
	w.add(w.fuel, opI64Sub, f.regions[e.arg].cost)
}

// branch writes a branch with other labels.
func (w *writer) branch(op byte, labels []uint32) {
	w.bytes(op)
	if op == byte(binary.OpBrTable) {
		w.out = binary.AppendU32(w.out, uint32(len(labels)-1))
	}
	for _, label := range labels {
		w.out = binary.AppendU32(w.out, label)
	}
}

func (w *writer) charge(r *region, both bool) {
	if r.cost == 0 {
		return
	}
	w.add(w.fuel, opI64Sub, r.cost)
	switch {
	case both:
		w.checkBoth()
	case r.kept:
		w.checkFuel()
	}
}

// chargeLength charges for the length on top of the stack. What no memory or table
// can be as long as is not charged in full: the instruction fails, or traps.
func (w *writer) chargeLength(local uint32, op binary.Opcode) {
	w.op(opLocalTee, local)
	w.op(opGlobalGet, w.fuel)
	w.op(opLocalGet, local)
	w.bytes(opI64ExtendU)
	switch op {
	case binary.OpMemoryGrow:
		w.scale(1<<17-1, opI64Shl, pageShift)
	case binary.OpMemoryCopy, binary.OpMemoryFill, binary.OpMemoryInit:
		w.scale(-1, opI64ShrU, bytesShift)
	default:
		w.scale(1<<25-1, opI64Shl, entryShift)
	}
	w.bytes(opI64Sub)
	w.op(opGlobalSet, w.fuel)
	w.checkFuel()
}

func (w *writer) scale(mask int64, shift byte, by int64) {
	if mask >= 0 {
		w.i64(mask)
		w.bytes(opI64And)
	}
	w.i64(by)
	w.bytes(shift)
}
