package binary

import "bytes"

// Encode returns the module as the file it was decoded from, byte for byte.
func (m *Module) Encode() []byte {
	return m.encode(func(s Section, dst []byte) []byte { return append(dst, s.raw...) })
}

// encode writes each section as each does.
func (m *Module) encode(each func(s Section, dst []byte) []byte) []byte {
	dst := bytes.Clone(m.preamble)
	for _, s := range m.Sections {
		dst = each(s, dst)
	}
	return dst
}

// order is how sections that are not custom stand in a file.
var order = [...]SectionID{
	SectionType, SectionImport, SectionFunction, SectionTable, SectionMemory, SectionGlobal,
	SectionExport, SectionStart, SectionElement, SectionDataCount, SectionCode, SectionData,
}

// Rebuild returns a module with other sections in place of this one's: those in
// payloads, where a nil one removes the section. Custom sections go, since what they
// say may no longer hold and a stranger wrote them, but for the functions' names,
// encoded anew; a function without a name is named as it is exported.
func (m *Module) Rebuild(payloads map[SectionID][]byte) []byte {
	for _, s := range m.Sections {
		if _, other := payloads[s.ID]; !other && s.ID != SectionCustom {
			payloads[s.ID] = s.Payload
		}
	}
	dst := bytes.Clone(m.preamble)
	for _, id := range order {
		if payload := payloads[id]; payload != nil {
			dst = appendSection(dst, id, payload)
		}
	}
	if names := m.debugNames(); len(names) > 0 {
		dst = appendNames(dst, names)
	}
	return dst
}

// AppendCustom returns the module with one custom section more, at its end. It does
// not look whether there is one of that name already: see [StripCustom].
func AppendCustom(wasm []byte, name string, data []byte) ([]byte, error) {
	m, err := Decode(wasm)
	if err != nil {
		return nil, err
	}
	return appendSection(m.Encode(), SectionCustom, append(AppendName(nil, name), data...)), nil
}

// StripCustom returns the module without its custom sections of that name.
func StripCustom(wasm []byte, name string) ([]byte, error) {
	m, err := Decode(wasm)
	if err != nil {
		return nil, err
	}
	return m.encode(func(s Section, dst []byte) []byte {
		if s.ID == SectionCustom && s.Name == name {
			return dst
		}
		return append(dst, s.raw...)
	}), nil
}

// KeepExports returns the module with those exports alone that keep wants, of every
// kind. What only a removed export reached stays in the file as dead code.
func KeepExports(wasm []byte, keep func(name string) bool) ([]byte, error) {
	m, err := Decode(wasm)
	if err != nil {
		return nil, err
	}
	kept, n := []byte(nil), uint32(0)
	for _, e := range m.Exports {
		if keep(e.Name) {
			kept = AppendU32(append(AppendName(kept, e.Name), byte(e.Kind)), e.Index)
			n++
		}
	}
	return m.replace(SectionExport, append(AppendU32(nil, n), kept...)), nil
}

// replace encodes the module with another payload for a section, if it has that.
func (m *Module) replace(id SectionID, payload []byte) []byte {
	return m.encode(func(s Section, dst []byte) []byte {
		if s.ID == id {
			return appendSection(dst, id, payload)
		}
		return append(dst, s.raw...)
	})
}

func appendSection(dst []byte, id SectionID, payload []byte) []byte {
	return append(AppendU32(append(dst, byte(id)), uint32(len(payload))), payload...)
}

// AppendName appends a length and a text.
func AppendName(dst []byte, name string) []byte {
	return append(AppendU32(dst, uint32(len(name))), name...)
}

// AppendU32 appends v as an unsigned LEB128 number.
func AppendU32(dst []byte, v uint32) []byte {
	for ; v >= 0x80; v >>= 7 {
		dst = append(dst, byte(v)|0x80)
	}
	return append(dst, byte(v))
}

// AppendS64 appends v as a signed LEB128 number.
func AppendS64(dst []byte, v int64) []byte {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(dst, b)
		}
		dst = append(dst, b|0x80)
	}
}
