package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	"github.com/seed75a60ee1/patchbay/sandbox/kernel"
)

const wasiModule = "wasi_snapshot_preview1"

// Spec is what a module says of itself: the upper bound of what it can do.
type Spec struct {
	// Digest identifies the file: "sha256:" and 64 hexadecimal digits.
	Digest    string
	SizeBytes int64
	Imports   []Import
	Exports   []Export
	// Memory is nil for a module without one.
	Memory   *MemorySpec
	Tables   []TableSpec
	Sections []Section
	// Functions counts those defined in the module, Globals its variables.
	Functions, Globals int
	// CodeBytes and DataBytes are the instructions and the initial data.
	CodeBytes, DataBytes int64
	// HasStart is set if code runs as soon as an instance is made.
	HasStart bool
	// Toolchain is what the module says it was made with, perhaps nothing.
	Toolchain string

	module *binary.Module
	sum    [sha256.Size]byte
}

// Import is something a module needs from its host.
type Import struct {
	Module, Name string
	// Kind is "function", "table", "memory" or "global".
	Kind string
	// Type is a function's signature, as in "(i64) -> i64".
	Type string
}

func (i Import) String() string { return i.Module + "." + i.Name }

// Export is something a module offers its host, in the terms of [Import].
type Export struct{ Name, Kind, Type string }

// MemorySpec is a memory's size in pages of 64 KiB.
type MemorySpec struct {
	MinPages uint32
	// MaxPages counts only if HasMax.
	MaxPages uint32
	HasMax   bool
}

// TableSpec is a table's size in entries.
type TableSpec struct {
	Min uint32
	// Max counts only if HasMax.
	Max    uint32
	HasMax bool
}

// Section is a piece of the file.
type Section struct {
	// ID is such as "code"; Name is that of a custom section.
	ID, Name          string
	Offset, SizeBytes int
}

// Inspect reads what a module says of itself. Nothing of it runs. The error is a
// [*binary.Error]. The Spec keeps a view of wasm, which must not change any more.
func Inspect(wasm []byte) (*Spec, error) { return inspect(wasm, sha256.Sum256(wasm)) }

func inspect(wasm []byte, sum [sha256.Size]byte) (*Spec, error) {
	m, err := binary.Decode(wasm)
	if err != nil {
		return nil, err
	}
	s := &Spec{
		Digest: "sha256:" + hex.EncodeToString(sum[:]), SizeBytes: int64(len(wasm)),
		Functions: len(m.Functions), Globals: len(m.Globals), HasStart: m.HasStart,
		Toolchain: clip(m.Toolchain(), 256), module: m, sum: sum,
	}
	s.takeInterface(m)
	s.takeSizes(m)
	return s, nil
}

func (s *Spec) takeInterface(m *binary.Module) {
	for _, i := range m.Imports {
		imp := Import{Module: i.Module, Name: i.Name, Kind: i.Kind.String()}
		if i.Kind == binary.KindFunction {
			imp.Type = m.Types[i.Type].String()
		}
		s.Imports = append(s.Imports, imp)
	}
	for _, e := range m.Exports {
		exp := Export{Name: e.Name, Kind: e.Kind.String()}
		if t, ok := m.FunctionType(e.Index); ok && e.Kind == binary.KindFunction {
			exp.Type = t.String()
		}
		s.Exports = append(s.Exports, exp)
	}
}

func (s *Spec) takeSizes(m *binary.Module) {
	for _, l := range m.Memories {
		s.Memory = &MemorySpec{MinPages: l.Min, MaxPages: l.Max, HasMax: l.HasMax}
	}
	for _, t := range m.Tables {
		s.Tables = append(s.Tables, TableSpec{Min: t.Min, Max: t.Max, HasMax: t.HasMax})
	}
	for _, sec := range m.Sections {
		s.Sections = append(s.Sections, Section{ID: sec.ID.String(), Name: sec.Name, Offset: sec.Offset, SizeBytes: sec.Size()})
	}
	for _, b := range m.Bodies {
		s.CodeBytes += int64(b.Size)
	}
	for _, d := range m.Data {
		s.DataBytes += int64(d.Size)
	}
}

// CustomSection is a copy of the first custom section of that name.
func (s *Spec) CustomSection(name string) ([]byte, bool) {
	data, ok := s.module.Custom(name)
	return bytes.Clone(data), ok
}

// HostFunctions are the host functions that the module imports, sorted: the upper
// bound of what it can ask of its host.
func (s *Spec) HostFunctions() []string {
	var names []string
	for _, i := range s.Imports {
		if i.Module == contract.ImportModule && !isBulk(i.Name) {
			names = append(names, i.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// HasExport reports whether the module exports a function of that name.
func (s *Spec) HasExport(name string) bool { return s.exportType(name) != "" }

// exportType is the signature of an exported function, or "".
func (s *Spec) exportType(name string) string {
	for _, e := range s.Exports {
		if e.Name == name {
			return e.Type
		}
	}
	return ""
}

// importsFrom reports whether the module imports anything of that module.
func (s *Spec) importsFrom(module string) bool {
	return slices.ContainsFunc(s.Imports, func(i Import) bool { return i.Module == module })
}

func isBulk(name string) bool {
	return slices.ContainsFunc(kernel.Bulk(), func(f kernel.Function) bool { return f.Name == name })
}
