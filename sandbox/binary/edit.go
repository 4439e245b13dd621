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

// Lean returns what an engine needs to run the module, and what is safe to show to
// one that believes a module:
//
//   - no custom section that a stranger wrote, but for the functions' names, encoded
//     anew; a function without a name is named as it is exported;
//   - no table that can grow beyond tableEntries, or beyond its own minimum where that
//     is larger.
func (m *Module) Lean(tableEntries uint32) []byte {
	dst := m.encode(func(s Section, dst []byte) []byte {
		switch s.ID {
		case SectionCustom:
			return dst
		case SectionTable:
			return appendSection(dst, SectionTable, m.clampedTables(tableEntries))
		}
		return append(dst, s.raw...)
	})
	if names := m.debugNames(); len(names) > 0 {
		dst = appendNames(dst, names)
	}
	return dst
}

// clampedTables is the payload of the table section with a maximum for each table.
func (m *Module) clampedTables(most uint32) []byte {
	payload := appendU32(nil, uint32(len(m.Tables)))
	for _, t := range m.Tables {
		top := max(most, t.Min)
		if t.HasMax {
			top = min(top, t.Max)
		}
		payload = appendU32(append(payload, byte(t.Type), 1), t.Min)
		payload = appendU32(payload, top)
	}
	return payload
}

// AppendCustom returns the module with one custom section more, at its end. It does
// not look whether there is one of that name already: see [StripCustom].
func AppendCustom(wasm []byte, name string, data []byte) ([]byte, error) {
	m, err := Decode(wasm)
	if err != nil {
		return nil, err
	}
	return appendSection(m.Encode(), SectionCustom, append(appendName(nil, name), data...)), nil
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
			kept = appendU32(append(appendName(kept, e.Name), byte(e.Kind)), e.Index)
			n++
		}
	}
	return m.replace(SectionExport, append(appendU32(nil, n), kept...)), nil
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
	return append(appendU32(append(dst, byte(id)), uint32(len(payload))), payload...)
}

func appendName(dst []byte, name string) []byte {
	return append(appendU32(dst, uint32(len(name))), name...)
}

func appendU32(dst []byte, v uint32) []byte {
	for ; v >= 0x80; v >>= 7 {
		dst = append(dst, byte(v)|0x80)
	}
	return append(dst, byte(v))
}
