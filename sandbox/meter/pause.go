package meter

import "github.com/seed75a60ee1/patchbay/sandbox/binary"

// Slice is how much fuel a module uses at most before it pauses, in units. Compiled code
// cannot be interrupted: while it runs, Go can neither collect garbage nor give the
// processor to anybody else, and nobody can tell it that its time is over. So the fuel
// is handed out in slices, and between two of them the module executes an instruction
// for which an engine returns to Go. A slice of ordinary code takes 5 microseconds, and
// one of nothing but loads that miss every cache some milliseconds.
const Slice = 1 << 14

// pauseFunction is the function that is called where the fuel of a slice has run out, or
// the stack. It traps if there is no more of either, or if the host wants the module to
// stop; otherwise it returns to the engine for a moment, by growing the memory by
// nothing, and takes the next slice.
func (w *writer) pauseFunction(m *binary.Module) []byte {
	w.out = binary.AppendU32(w.out[:0], 1) // one local: what is taken
	w.out = append(w.out, 1, byte(binary.I64))
	w.dig()
	w.op(opGlobalGet, w.stack)
	w.op(opGlobalGet, w.stop)
	w.bytes(opI64Or)
	w.trapIfNegative()
	if !w.ownTable {
		w.bytes(opI32Const, 0, opMemoryGrow, 0, opDrop)
	} else {
		w.bytes(opRefNull, byte(binary.FuncRef), opI32Const, 0)
		w.out = binary.AppendU32(append(w.out, opMisc, miscTableGrow), m.Space(binary.KindTable))
		w.bytes(opDrop)
	}
	w.i64(Slice)
	w.op(opGlobalGet, w.fuel)
	w.bytes(opI64Sub)
	w.op(opLocalSet, 0)
	w.least(w.reserve, 0)
	w.op(opLocalSet, 0)
	w.move(w.reserve, opI64Sub)
	w.move(w.fuel, opI64Add)
	w.op(opGlobalGet, w.fuel)
	w.trapIfNegative()
	w.bytes(opEnd)
	return w.out
}

// dig takes the stack that is kept for deep calls, if what there is has run out.
func (w *writer) dig() {
	w.op(opGlobalGet, w.stack)
	w.i64(0)
	w.bytes(opI64LessSigned, opIf, typeNothing)
	w.op(opGlobalGet, w.stack)
	w.op(opGlobalGet, w.deep)
	w.bytes(opI64Add)
	w.op(opGlobalSet, w.stack)
	w.i64(0)
	w.op(opGlobalSet, w.deep)
	w.bytes(opEnd)
}

// move adds what is taken to a global, or subtracts it.
func (w *writer) move(global uint32, op byte) {
	w.op(opGlobalGet, global)
	w.op(opLocalGet, 0)
	w.bytes(op)
	w.op(opGlobalSet, global)
}

// least pushes the smaller of a global and a local.
func (w *writer) least(global, local uint32) {
	for range 2 {
		w.op(opGlobalGet, global)
		w.op(opLocalGet, local)
	}
	w.bytes(opI64LessSigned, opSelect)
}

// trapIfNegative ends the invocation if what is on the stack is below zero.
func (w *writer) trapIfNegative() {
	w.i64(0)
	w.bytes(opI64LessSigned, opIf, typeNothing, opUnreachable, opEnd)
}
