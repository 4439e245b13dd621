package binary

// effort adds up what the functions of a module cost a compiler beyond their length.
// Compilers in SSA form, wazero's among them, take memory with a function's blocks
// times its variables, and time with that times the blocks or the variables again: a
// file of 60 KB could keep one busy for minutes, and take gigabytes.
type effort struct{ locals, joins, squares, cubes, loopCubes uint64 }

// readBodies walks over each function's code.
func (m *Module) readBodies(r *reader) {
	var e effort
	index := uint32(len(m.importedTypes))
	m.Bodies = vector(r, "function bodies", maxFunctions, 2, func(r *reader) Body {
		body := r.sub(r.u32(), r.section)
		b := Body{Offset: body.pos, Size: body.left()}
		if b.Size > maxBodyBytes {
			body.fail("a function of %d bytes; at most %d are allowed", b.Size, maxBodyBytes)
		}
		b.Locals = readLocals(body)
		b.Code = body.pos
		m.readInstructions(body, &b)
		t, _ := m.FunctionType(index)
		index++
		e.add(body, uint64(b.Locals)+uint64(len(t.Params)), uint64(b.Controls), uint64(b.LoopDepth))
		r.err = body.err
		return b
	})
}

func (e *effort) add(r *reader, variables, controls, loopDepth uint64) {
	joins := variables * controls
	e.locals += variables
	e.joins += joins
	e.squares += controls * controls
	e.cubes += joins * variables
	e.loopCubes += joins * variables * loopDepth
	switch {
	case controls > maxControls:
		r.fail("a function with %d blocks and branches; at most %d are allowed", controls, maxControls)
	case joins > maxJoins:
		r.fail("a function with %d blocks and branches over %d variables takes too much to compile", controls, variables)
	case e.joins > maxJoinsInAll, e.squares > maxSquaresInAll, e.cubes > maxCubesInAll, e.loopCubes > maxLoopCubesInAll:
		r.fail("the functions up to this one take too much to compile; split large ones, or compile with optimisation")
	case e.locals > maxLocalsInAll:
		r.fail("the functions have more than %d locals together", maxLocalsInAll)
	}
}

// readLocals adds up a function's locals, which a compiler would otherwise allocate on
// the module's word: six bytes can ask for four billion.
func readLocals(r *reader) uint32 {
	total := uint64(0)
	for range r.count("groups of locals", maxLocals, 2) {
		total += uint64(r.u32())
		readValueType(r)
		if total > maxLocals {
			r.fail("%d locals; at most %d are allowed", total, maxLocals)
		}
		if r.err != nil {
			return 0
		}
	}
	return uint32(total)
}

// walker goes over the instructions of one function and counts what is expensive to
// compile.
type walker struct {
	m        *Module
	r        *reader
	controls int
	calls    int
	depth    int
	loops    []int // the depth of each loop that is open
	deepest  int   // how many of them there were at most
}

// loopControls is what a loop counts as: it is checked and perhaps doubled by package
// meter before it is compiled.
const loopControls = 5

// readInstructions walks to the end of a function's code. Modules have millions of
// instructions, nearly all of them plain ones: those are passed over right here.
func (m *Module) readInstructions(r *reader, b *Body) {
	w := &walker{m: m, r: r, depth: 1}
	code := r.wasm[:r.end]
	for w.depth > 0 && r.err == nil {
		if r.pos < len(code) {
			if o := &plain[code[r.pos]]; o.known && !o.special {
				r.pos++
				r.skip(o, 1)
				continue
			}
		}
		w.instruction()
	}
	r.done()
	b.Controls, b.LoopDepth = w.controls, w.deepest
}

// number is one LEB128 number.
var number = operands{known: true, numbers: 1}

// instruction reads one that is not plain.
func (w *walker) instruction() {
	switch op := Opcode(w.r.byte()); op {
	case OpBlock, OpIf:
		w.block()
	case OpLoop:
		w.block()
		w.loop()
	case OpEnd:
		if n := len(w.loops); n > 0 && w.loops[n-1] == w.depth {
			w.loops = w.loops[:n-1]
		}
		w.depth--
	case OpCall, OpReturnCall:
		w.call(1)
	case OpCallIndirect, OpReturnCallIndirect:
		w.call(2)
	case OpBr, OpBrIf:
		w.controls++
		w.r.skip(&number, 1)
	case OpBrTable:
		n := w.r.count("branch targets", maxControls, 1)
		w.controls += n
		w.r.skip(&number, n+1)
	case OpSelectTyped:
		n := w.r.count("types of a select", maxParams, 1)
		for range n {
			readValueType(w.r)
		}
	case prefixMisc:
		w.prefixed(&misc, op)
	case prefixVector:
		w.prefixed(&vectors, op)
	case prefixThreads:
		w.r.fail("an atomic instruction: threads are not supported")
	default:
		w.r.fail("instruction %#x is not known", uint16(op))
	}
}

func (w *walker) loop() {
	w.controls += loopControls - 1
	w.loops = append(w.loops, w.depth)
	if w.deepest = max(w.deepest, len(w.loops)); w.deepest > maxLoopDepth {
		w.r.fail("more than %d loops in one another", maxLoopDepth)
	}
}

func (w *walker) call(operands int) {
	w.r.skip(&number, operands)
	if w.calls++; w.calls > maxCalls {
		w.r.fail("a function with more than %d calls", maxCalls)
	}
}

// block reads a block's type, whose kinds are those of [BlockType].
func (w *walker) block() {
	w.controls++
	w.depth++
	t := readBlockType(w.r)
	switch {
	case !t.HasIndex:
	case uint64(t.Index) >= uint64(len(w.m.Types)):
		w.r.fail("type %d does not exist", t.Index)
	default:
		f := w.m.Types[t.Index]
		w.controls += len(f.Params) + len(f.Results)
	}
}

func (w *walker) prefixed(table *[256]operands, prefix Opcode) {
	op := w.r.u32()
	if op > 255 || !table[op].known {
		w.r.fail("instruction %#x %d is not known", uint16(prefix), op)
		return
	}
	w.r.skip(&table[op], 1)
}

// skip passes over operands, n times.
func (r *reader) skip(o *operands, n int) {
	if r.err != nil {
		return
	}
	code := r.wasm[:r.end]
	for range n * int(o.numbers) {
		start := r.pos
		for r.pos < len(code) && code[r.pos] >= 0x80 {
			r.pos++
		}
		if r.pos >= len(code) || r.pos-start > 9 {
			r.fail("a number that does not end")
			return
		}
		r.pos++
	}
	if o.bytes > 0 {
		r.bytes(uint32(o.bytes) * uint32(n))
	}
}
