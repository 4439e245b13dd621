package inspect

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	w "github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// callIndirect calls by a type, through the first table.
func callIndirect(typeIndex int) []byte { return append(append([]byte{0x11}, w.U32(typeIndex)...), 0) }

// host imports a host function.
func host(m *w.Module, name string) int { return m.Import(contract.ImportModule, name, "I:I") }

// useOf calls a host function and drops what it answers.
func useOf(function int) []byte { return w.Code(w.I64Const(0), w.Call(function), w.Drop) }

// described gives a module a manifest, made of a valid one by change.
func described(m *w.Module, change func(*manifest.Manifest)) *w.Module {
	doc := &manifest.Manifest{
		Contract: contract.Version, Name: "acme", Version: "1.0.0", Title: "Acme", Vendor: manifest.Vendor{Name: "Acme"},
		Abilities: []contract.Export{contract.ExportReceive},
	}
	if change != nil {
		change(doc)
	}
	m.Custom(manifest.Section, doc.Encode())
	return m
}

// plain is a module that exports receive and imports nothing.
func plain() *w.Module {
	m := &w.Module{}
	m.Memory(1)
	m.Func("receive", ":i", "", w.I32Const(0))
	return m
}

func analysed(t testing.TB, wasm []byte) *Report {
	t.Helper()
	r, err := Analyse(wasm, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func decoded(t testing.TB, wasm []byte) *binary.Module {
	t.Helper()
	m, err := binary.Decode(wasm)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// finding is the one of an ID, or nil.
func (r *Report) finding(id string) *Finding {
	for i := range r.Findings {
		if r.Findings[i].ID == id {
			return &r.Findings[i]
		}
	}
	return nil
}

func (r *Report) export(t testing.TB, name string) Export {
	t.Helper()
	i := slices.IndexFunc(r.Exports, func(e Export) bool { return e.Name == name })
	if i < 0 {
		t.Fatalf("there is no export %q in %+v", name, r.Exports)
	}
	return r.Exports[i]
}

// short strips the module from names of host functions.
func short(names []string) string {
	return strings.ReplaceAll(strings.Join(names, " "), contract.ImportModule+".", "")
}

// realPlugins are files of five compilers.
func realPlugins(t testing.TB) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, path := range w.ExtismPlugins(t) {
		wasm, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(path)] = wasm
	}
	return files
}
