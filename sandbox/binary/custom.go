package binary

import (
	"slices"
	"strings"
)

// The custom sections this package reads.
const (
	nameSection      = "name"
	producersSection = "producers"
)

// FunctionNames are the names that the module's name section gives its functions,
// by index. A malformed section counts as none: nothing that runs depends on it.
func (m *Module) FunctionNames() map[uint32]string {
	payload, ok := m.Custom(nameSection)
	if !ok {
		return nil
	}
	r := &reader{wasm: payload, end: len(payload), section: nameSection}
	var names map[uint32]string
	for n := 0; r.left() > 0; n++ {
		if n == maxNameSubsection {
			return nil
		}
		id := r.byte()
		sub := r.sub(r.u32(), nameSection)
		if id == 1 && sub.err == nil {
			names = readNameMap(sub)
			r.err = sub.err
		}
	}
	if r.err != nil {
		return nil
	}
	return names
}

func readNameMap(r *reader) map[uint32]string {
	n := r.count("function names", maxFunctions, 2)
	names := make(map[uint32]string, n)
	for range n {
		i := r.u32()
		names[i] = r.name()
		if r.err != nil {
			return nil
		}
	}
	r.done()
	return names
}

// debugNames are [Module.FunctionNames], and the export's where there is none.
func (m *Module) debugNames() map[uint32]string {
	names := m.FunctionNames()
	if names == nil {
		names = map[uint32]string{}
	}
	for _, e := range m.Exports {
		if _, named := names[e.Index]; e.Kind == KindFunction && !named {
			names[e.Index] = e.Name
		}
	}
	return names
}

// appendNames encodes a name section that holds nothing but functions' names.
func appendNames(dst []byte, names map[uint32]string) []byte {
	indexes := make([]uint32, 0, len(names))
	for i := range names {
		indexes = append(indexes, i)
	}
	slices.Sort(indexes)
	entries := AppendU32(nil, uint32(len(indexes)))
	for _, i := range indexes {
		entries = AppendName(AppendU32(entries, i), names[i])
	}
	payload := AppendU32(append(AppendName(nil, nameSection), 1), uint32(len(entries)))
	return appendSection(dst, SectionCustom, append(payload, entries...))
}

// Producer is one line of what the module says about the tools that made it.
type Producer struct {
	// Field is "language", "processed-by" or "sdk".
	Field         string
	Name, Version string
}

// Producers is what the module says about the tools that made it, or nothing if it
// does not or does so in a malformed section. It is the maker's word, not evidence.
func (m *Module) Producers() []Producer {
	payload, ok := m.Custom(producersSection)
	if !ok {
		return nil
	}
	r := &reader{wasm: payload, end: len(payload), section: producersSection}
	var all []Producer
	for range r.count("fields", maxProducers, 2) {
		field := r.name()
		all = append(all, vector(r, "values", maxProducers, 2, func(r *reader) Producer {
			return Producer{Field: field, Name: r.name(), Version: r.name()}
		})...)
		if r.err != nil || len(all) > maxProducers {
			return nil
		}
	}
	if r.done(); r.err != nil {
		return nil
	}
	return all
}

// Toolchain is [Module.Producers] in one line, such as "Go cmd/compile go1.26.0",
// or "" where the module does not say.
func (m *Module) Toolchain() string {
	var tools, languages []string
	for _, p := range m.Producers() {
		line := strings.TrimSpace(p.Name + " " + p.Version)
		switch p.Field {
		case "processed-by":
			tools = append(tools, line)
		case "language":
			languages = append(languages, line)
		}
	}
	if len(tools) == 0 {
		tools = languages
	}
	return strings.Join(tools, ", ")
}
