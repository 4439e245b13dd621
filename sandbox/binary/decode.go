package binary

import "bytes"

var preamble = []byte{0x00, 'a', 's', 'm', 0x01, 0x00, 0x00, 0x00}

// Decode reads a WebAssembly 2.0 module. It walks over the instructions and counts
// them; whether they are valid, a compiler says later. The module keeps views into
// wasm. The error is an [*Error].
func Decode(wasm []byte) (*Module, error) {
	r := &reader{wasm: wasm, end: len(wasm), section: "preamble"}
	if !bytes.HasPrefix(wasm, preamble) {
		r.fail("a core module begins with the 8 bytes %x", preamble)
		return nil, r.err
	}
	r.pos = len(preamble)
	m := &Module{wasm: wasm, preamble: wasm[:len(preamble)]}
	for last := SectionCustom; r.left() > 0; {
		last = m.decodeSection(r, last)
	}
	if r.err == nil {
		m.checkTotals(r)
	}
	if r.err != nil {
		return nil, r.err
	}
	return m, nil
}

// decodeSection reads the next section and returns the last one that was not custom.
func (m *Module) decodeSection(r *reader, last SectionID) SectionID {
	start := r.pos
	id := SectionID(r.byte())
	r.section = id.String()
	switch {
	case id > SectionDataCount:
		r.fail("section %d is not known", id)
	case id != SectionCustom && last != SectionCustom && id.rank() <= last.rank():
		r.fail("it stands after the %s section", last)
	case len(m.Sections) == maxSections:
		r.fail("more than %d sections", maxSections)
	}
	body := r.sub(r.u32(), r.section)
	payload := body.pos
	name := m.decodeContent(id, body)
	if id == SectionCustom {
		payload, body.pos = body.pos, body.end
	}
	body.done()
	if r.err = body.err; r.err != nil {
		return last
	}
	m.Sections = append(m.Sections, Section{
		ID: id, Name: name, Offset: start, Payload: r.wasm[payload:r.pos:r.pos], raw: r.wasm[start:r.pos:r.pos],
	})
	if id == SectionCustom {
		return last
	}
	return id
}

// decodeContent fills in what the section says. The name it returns is that of a
// custom section, whose content is left unread.
func (m *Module) decodeContent(id SectionID, r *reader) (name string) {
	switch id {
	case SectionCustom:
		return r.name()
	case SectionType:
		m.Types = vector(r, "types", maxTypes, 3, readFuncType)
	case SectionImport:
		m.Imports = vector(r, "imports", maxImports, 4, m.readImport)
	case SectionFunction:
		m.Functions = vector(r, "functions", maxFunctions, 1, m.readTypeIndex)
	case SectionTable:
		m.Tables = vector(r, "tables", maxTables, 3, readTable)
	case SectionMemory:
		m.Memories = vector(r, "memories", maxMemories, 2, readMemory)
	case SectionGlobal:
		m.Globals = vector(r, "globals", maxGlobals, 4, readGlobal)
	case SectionExport:
		m.readExports(r)
	case SectionStart:
		m.readStart(r)
	case SectionElement:
		m.readElements(r)
	case SectionDataCount:
		m.dataCount = r.u32()
	case SectionCode:
		m.readBodies(r)
	case SectionData:
		m.Data = vector(r, "data segments", maxSegments, 2, m.readData)
	}
	return ""
}

// checkTotals compares what sections say about one another.
func (m *Module) checkTotals(r *reader) {
	counted := false
	for _, s := range m.Sections {
		counted = counted || s.ID == SectionDataCount
	}
	switch {
	case len(m.Functions) != len(m.Bodies):
		r.section = SectionCode.String()
		r.fail("%d functions are declared and %d have code", len(m.Functions), len(m.Bodies))
	case counted && uint64(m.dataCount) != uint64(len(m.Data)):
		r.section = SectionData.String()
		r.fail("%d data segments are announced and %d follow", m.dataCount, len(m.Data))
	case m.Space(KindMemory) > maxMemories:
		r.section = SectionMemory.String()
		r.fail("more than one memory")
	case m.Space(KindTable) > maxTables:
		r.section = SectionTable.String()
		r.fail("more than %d tables", maxTables)
	}
}
