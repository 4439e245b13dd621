package meter

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// Version is that of what Rewrite makes: it is another one whenever the same module would
// be rewritten to another, or cost other fuel.
const Version = 1

// Options say how a module is bounded.
type Options struct {
	// TableEntries is how far each table may grow, unless it starts with more.
	TableEntries uint32
}

// Module is a module that was rewritten, and what its host has to do for it.
type Module struct {
	// Wasm is the module to compile: without data that is written at instantiation,
	// without a start function, and with no custom section but names.
	Wasm []byte
	// Fuel, Reserve, Stack, Deep and Stop are the names of exported mutable i64, which the
	// host sets before it calls. Fuel and Reserve together are the fuel that is left, in
	// units: Fuel for the current [Slice], which a charge may take below zero, and Reserve
	// for later ones. Stack and Deep together are the bytes of stack that are left; Deep
	// is moved to Stack, whole, when that has run out. The host may set Stop to -1 while
	// the module runs, from another goroutine, to have it trap at the end of the slice.
	Fuel, Reserve, Stack, Deep, Stop string
	// Globals are the mutable globals of the original.
	Globals []Global
	// Data is what the host writes into a new memory, in order, before anything runs.
	Data []Data
	// Start is the export to call after that, or "".
	Start string
	// Unrestorable is why an instance cannot be set back to what it was by setting its
	// memory and its globals; nil if it can.
	Unrestorable []string
}

// Global is a mutable global that the original defines.
type Global struct {
	// Export is the name it is exported by.
	Export string
	Type   binary.ValueType
}

// Data is a piece of memory's first content. It is a view of the original module.
type Data struct {
	Offset binary.Expr
	Bytes  []byte
}

// Rewrite returns a module that does what m does, metered. The error is a
// [*binary.Error] for code that names what does not exist; whether code is valid
// otherwise a compiler says later.
func Rewrite(m *binary.Module, o Options) (*Module, error) {
	if err := errors.Join(checkNames(m), checkData(m), checkReferences(m)); err != nil {
		return nil, err
	}
	w := &writer{
		out:  make([]byte, 0, len(m.Bytes())+len(m.Bytes())/8),
		fuel: m.Space(binary.KindGlobal), stack: m.Space(binary.KindGlobal) + 1, reserve: m.Space(binary.KindGlobal) + 2, stop: m.Space(binary.KindGlobal) + 3, deep: m.Space(binary.KindGlobal) + 4,
		pause: m.Space(binary.KindFunction), ownTable: m.Space(binary.KindMemory) == 0, types: &types{m: m},
		startDeclared: sync.OnceValue(func() bool { return declaresStart(m) }),
	}
	code, err := rewriteCode(m, w)
	if err != nil {
		return nil, err
	}
	out := &Module{Unrestorable: append(lastingParts(m), w.unrestorable...), Fuel: prefix + "fuel", Reserve: prefix + "reserve", Stack: prefix + "stack", Stop: prefix + "stop", Deep: prefix + "deep"}
	if m.HasStart {
		out.Start = prefix + "start"
	}
	for i, g := range m.Globals {
		if g.Mutable {
			out.Globals = append(out.Globals, Global{Export: fmt.Sprintf("%sglobal:%d", prefix, i), Type: g.Type})
		}
	}
	payloads := map[binary.SectionID][]byte{
		binary.SectionGlobal: globals(m), binary.SectionExport: exports(m, out, w),
		binary.SectionStart: nil, binary.SectionCode: code,
	}
	if len(m.Bodies) > 0 {
		payloads[binary.SectionFunction] = functions(m, w.types.function(nil))
	}
	if len(w.types.added) > 0 {
		payloads[binary.SectionType] = w.types.encode()
	}
	if len(m.Tables) > 0 || w.ownTable {
		payloads[binary.SectionTable] = tables(m, o.TableEntries, w.ownTable)
	}
	out.Data = DataOf(m)
	if payloads[binary.SectionData] = nil; w.usesData {
		payloads[binary.SectionData] = data(m)
	} else {
		payloads[binary.SectionDataCount] = nil
	}
	out.Wasm = m.Rebuild(payloads)
	return out, nil
}

// rewriteCode returns the code section, or nil where there is none.
func rewriteCode(m *binary.Module, w *writer) ([]byte, error) {
	if len(m.Bodies) == 0 {
		return nil, nil
	}
	f := &function{m: m, w: w}
	section := binary.AppendU32(make([]byte, 0, cap(w.out)), uint32(len(m.Bodies)+1))
	for i := range m.Bodies {
		f.body, f.index = i, m.Imported(binary.KindFunction)+uint32(i)
		if err := f.read(); err != nil {
			return nil, err
		}
		w.out = w.out[:0]
		w.function(f)
		section = append(binary.AppendU32(section, uint32(len(w.out))), w.out...)
	}
	pause := w.pauseFunction(m)
	return append(binary.AppendU32(section, uint32(len(pause))), pause...), nil
}

// functions is the function section with the one that pauses.
func functions(m *binary.Module, pause uint32) []byte {
	payload := binary.AppendU32(nil, uint32(len(m.Functions)+1))
	for _, t := range m.Functions {
		payload = binary.AppendU32(payload, t)
	}
	return binary.AppendU32(payload, pause)
}

// prefix is how the names that are added begin. No name of a module's own may.
const prefix = "patchbay:"

func checkNames(m *binary.Module) error {
	for _, e := range m.Exports {
		if strings.HasPrefix(e.Name, prefix) {
			return &binary.Error{Section: binary.SectionExport.String(), Why: fmt.Sprintf("an export is named %.64q; names that begin with %q are the sandbox's", e.Name, prefix)}
		}
	}
	return nil
}

// checkData refuses what an engine would, since no engine sees it.
func checkData(m *binary.Module) error {
	var imported []binary.Global
	for _, i := range m.Imports {
		if i.Kind == binary.KindGlobal {
			imported = append(imported, i.Global)
		}
	}
	for i, s := range m.Data {
		e := s.Offset
		constant := e.Op == binary.OpI32Const
		global := e.Op == binary.OpGlobalGet && uint64(e.Index) < uint64(len(imported)) && imported[e.Index] == binary.Global{Type: binary.I32}
		if s.Active && !constant && !global {
			return &binary.Error{Section: binary.SectionData.String(), Why: fmt.Sprintf("data segment %d is put at what is no constant i32", i)}
		}
	}
	return nil
}

// checkReferences refuses to name, outside of code, the function that is added.
func checkReferences(m *binary.Module) error {
	most := m.Space(binary.KindFunction)
	fail := func(section binary.SectionID, function uint32) error {
		return &binary.Error{Section: section.String(), Why: fmt.Sprintf("it names function %d, which does not exist", function)}
	}
	for _, s := range m.Elements {
		for _, function := range s.Functions {
			if function >= most {
				return fail(binary.SectionElement, function)
			}
		}
	}
	for _, g := range m.Globals {
		if g.Init.Op == binary.OpRefFunc && g.Init.Index >= most {
			return fail(binary.SectionGlobal, g.Init.Index)
		}
	}
	return nil
}

// declaresStart reports whether code may refer to the start function: whether the
// module names it outside of code. The export that is added would make it so.
func declaresStart(m *binary.Module) bool {
	named := slices.ContainsFunc(m.Exports, func(e binary.Export) bool { return e.Kind == binary.KindFunction && e.Index == m.Start })
	for _, s := range m.Elements {
		named = named || slices.Contains(s.Functions, m.Start)
	}
	for _, g := range m.Globals {
		named = named || g.Init.Op == binary.OpRefFunc && g.Init.Index == m.Start
	}
	return named
}

// globals is the global section with five more.
func globals(m *binary.Module) []byte {
	payload := binary.AppendU32(nil, uint32(len(m.Globals)+5))
	for _, s := range m.Sections {
		if s.ID == binary.SectionGlobal {
			payload = append(payload, afterCount(s.Payload)...)
		}
	}
	zero := []byte{byte(binary.I64), 1, opI64Const, 0, opEnd}
	return append(payload, bytes.Repeat(zero, 5)...)
}

// afterCount is a vector without its length.
func afterCount(payload []byte) []byte {
	for i, b := range payload {
		if b < 0x80 {
			return payload[i+1:]
		}
	}
	return nil
}

// exports is the export section with all that is named in out.
func exports(m *binary.Module, out *Module, w *writer) []byte {
	all := slices.Clone(m.Exports)
	add := func(name string, kind binary.Kind, index uint32) {
		all = append(all, binary.Export{Name: name, Kind: kind, Index: index})
	}
	add(out.Fuel, binary.KindGlobal, w.fuel)
	add(out.Reserve, binary.KindGlobal, w.reserve)
	add(out.Stack, binary.KindGlobal, w.stack)
	add(out.Stop, binary.KindGlobal, w.stop)
	add(out.Deep, binary.KindGlobal, w.deep)
	if m.HasStart {
		add(out.Start, binary.KindFunction, m.Start)
	}
	named := out.Globals
	for i, g := range m.Globals {
		if g.Mutable {
			add(named[0].Export, binary.KindGlobal, m.Imported(binary.KindGlobal)+uint32(i))
			named = named[1:]
		}
	}
	payload := binary.AppendU32(nil, uint32(len(all)))
	for _, e := range all {
		payload = binary.AppendU32(append(binary.AppendName(payload, e.Name), byte(e.Kind)), e.Index)
	}
	return payload
}

// tables is the table section with a maximum for each table, and perhaps one more that
// is empty for ever.
func tables(m *binary.Module, most uint32, own bool) []byte {
	n := len(m.Tables)
	if own {
		n++
	}
	payload := binary.AppendU32(nil, uint32(n))
	for _, t := range m.Tables {
		top := max(most, t.Min)
		if t.HasMax {
			top = min(top, t.Max)
		}
		payload = binary.AppendU32(append(payload, byte(t.Type), 1), t.Min)
		payload = binary.AppendU32(payload, top)
	}
	if own {
		payload = append(payload, byte(binary.FuncRef), 1, 0, 0)
	}
	return payload
}

// DataOf is [Module.Data] of what m is rewritten to.
func DataOf(m *binary.Module) []Data {
	var all []Data
	for _, s := range m.Data {
		if s.Active {
			all = append(all, Data{Offset: s.Offset, Bytes: s.Data})
		}
	}
	return all
}

// data is the data section without what the host writes, for code that names segments:
// without such code there is none, since an engine keeps something of each for every
// instance, and Go's linker makes 40,000. A segment that is written at
// instantiation is empty for the code from then on, so that an empty one takes its place.
func data(m *binary.Module) []byte {
	const passive = 1
	payload := binary.AppendU32(nil, uint32(len(m.Data)))
	for _, s := range m.Data {
		left := s.Data
		if s.Active {
			left = nil
		}
		payload = append(binary.AppendU32(append(payload, passive), uint32(len(left))), left...)
	}
	return payload
}

// types finds a type for a block that gives results, and adds those that are not there.
type types struct {
	m     *binary.Module
	known map[string]uint32 // by results, of functions that take nothing
	added []binary.FuncType
}

// block is the type of a block, as a signed number.
func (t *types) block(results []binary.ValueType) int64 {
	switch len(results) {
	case 0:
		return typeNothing - 0x80
	case 1:
		return int64(results[0]) - 0x80
	}
	return int64(t.function(results))
}

// function is the type of a function that takes nothing.
func (t *types) function(results []binary.ValueType) uint32 {
	if t.known == nil {
		t.known = map[string]uint32{}
		for i, f := range slices.Backward(t.m.Types) {
			if len(f.Params) == 0 {
				t.known[key(f.Results)] = uint32(i)
			}
		}
	}
	index, ok := t.known[key(results)]
	if !ok {
		index = uint32(len(t.m.Types) + len(t.added))
		t.known[key(results)] = index
		t.added = append(t.added, binary.FuncType{Results: results})
	}
	return index
}

func key(list []binary.ValueType) string {
	text := make([]byte, len(list))
	for i, v := range list {
		text[i] = byte(v)
	}
	return string(text)
}

// encode is the type section with those that were added.
func (t *types) encode() []byte {
	payload := binary.AppendU32(nil, uint32(len(t.m.Types)+len(t.added)))
	for _, f := range append(slices.Clone(t.m.Types), t.added...) {
		payload = append(payload, 0x60)
		for _, list := range [][]binary.ValueType{f.Params, f.Results} {
			payload = binary.AppendU32(payload, uint32(len(list)))
			for _, v := range list {
				payload = append(payload, byte(v))
			}
		}
	}
	return payload
}
