package binary_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	"github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
)

// sample has something in every section that a test here looks at.
func sample() *wasmtest.Module {
	m := &wasmtest.Module{}
	alloc := m.Import("extism:host/env", "alloc", "I:I")
	m.Table(1, -1)
	m.Memory(2)
	m.Global(-5)
	f := m.Func("run", ":i", "iI", wasmtest.I64Const(8), wasmtest.Call(alloc), wasmtest.Wrap)
	m.Func("", ":", "")
	m.Elements(f)
	m.Data(16, "hello")
	m.Custom("producers", []byte("\x02\x08language\x01\x02Go\x04go1.\x0cprocessed-by\x01\x0eGo cmd/compile\x06go1.26"))
	m.Custom("name", []byte("\x01\x0e\x02\x00\x05alloc\x01\x04main"))
	return m
}

func TestDecodeReadsWhatAModuleSaysOfItself(t *testing.T) {
	m, err := binary.Decode(sample().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Imports[0]; got.Module != "extism:host/env" || got.Name != "alloc" || m.Types[got.Type].String() != "(i64) -> i64" {
		t.Errorf("import is %+v of type %s", got, m.Types[got.Type])
	}
	if got, ok := m.FunctionType(m.Exports[1].Index); !ok || got.String() != "() -> i32" {
		t.Errorf("export %q is %s, want () -> i32", m.Exports[1].Name, got)
	}
	if got := m.Tables[0]; got.Min != 1 || got.HasMax {
		t.Errorf("table is %+v, want 1 entry and no maximum", got)
	}
	if got := m.Memories[0]; got.Min != 2 || got.HasMax {
		t.Errorf("memory is %+v, want 2 pages and no maximum", got)
	}
	if got := m.Globals[0]; got.Type != binary.I64 || !got.Mutable {
		t.Errorf("global is %+v, want a mutable i64", got)
	}
	if m.Elements[0].Size != 1 || m.Data[0].Size != 5 || m.Bodies[0].Locals != 2 {
		t.Errorf("elements %+v, data %+v, bodies %+v", m.Elements, m.Data, m.Bodies)
	}
	if got := m.FunctionNames(); got[0] != "alloc" || got[1] != "main" {
		t.Errorf("function names are %v", got)
	}
	if got := m.Toolchain(); got != "Go cmd/compile go1.26" {
		t.Errorf("toolchain is %q", got)
	}
}

func TestDecodeRefusesAndSaysWhere(t *testing.T) {
	section := func(id byte, payload string) string {
		return "\x00asm\x01\x00\x00\x00" + string(wasmtest.Section(id, []byte(payload)))
	}
	types := section(1, "\x01\x60\x00\x00")
	for _, tt := range []struct{ name, wasm, section, why string }{
		{"an empty file", "", "preamble", "begins with"},
		{"a component", "\x00asm\x0d\x00\x01\x00", "preamble", "begins with"},
		{"a section that is not there", "\x00asm\x01\x00\x00\x00\x01\x05", "type", "left"},
		{"an unknown section", section(13, ""), "unknown", "not known"},
		{"sections out of order", section(3, "\x00") + types[8:], "type", "stands after"},
		{"a section twice", types + types[8:], "type", "stands after"},
		{"four billion types", section(1, "\xff\xff\xff\xff\x0f"), "type", "at most"},
		{"more types than bytes", section(1, "\x05\x60\x00\x00"), "type", "left"},
		{"a count that does not fit", section(1, "\xff\xff\xff\xff\x10"), "type", "fit"},
		{"a count padded past its width", section(1, "\x80\x80\x80\x80\x80\x00"), "type", "fit"},
		{"bytes after the last type", section(1, "\x00\x00"), "type", "too many"},
		{"a type that does not exist", types + string(wasmtest.Section(3, []byte("\x01\x01"))), "function", "does not exist"},
		{"a function without code", types + string(wasmtest.Section(3, []byte("\x01\x00"))), "code", "have code"},
		{"a name that is not UTF-8", section(0, "\x01\xff"), "custom", "UTF-8"},
		{"a shared memory", section(5, "\x01\x03\x01\x01"), "memory", "shared"},
		{"a maximum below the minimum", section(5, "\x01\x01\x02\x01"), "memory", "below"},
		{"five gigabytes of memory", section(5, "\x01\x00\x81\x80\x04"), "memory", "beyond"},
		{"data without a memory", section(11, "\x01\x00\x41\x00\x0b\x00"), "data", "does not exist"},
		{"a call in a constant expression", section(6, "\x01\x7f\x00\x10\x00\x0b"), "global", "constant expression"},
		{"four gigabytes of data", section(11, "\x01\x01\xff\xff\xff\xff\x0f"), "data", "left"},
		{
			"four billion locals in six bytes",
			types + string(wasmtest.Section(3, []byte("\x01\x00"))) +
				string(wasmtest.Section(10, []byte("\x01\x08\x01\xff\xff\xff\xff\x0f\x7f\x0b"))),
			"code", "locals",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := binary.Decode([]byte(tt.wasm))
			var wrong *binary.Error
			if !errors.As(err, &wrong) {
				t.Fatalf("Decode(%q) = %v, want an *Error", tt.wasm, err)
			}
			if wrong.Section != tt.section || !strings.Contains(wrong.Why, tt.why) || wrong.Offset > len(tt.wasm) {
				t.Errorf("Decode(%q) blames the %s section: %s; want the %s section and %q", tt.wasm, wrong.Section, wrong.Why, tt.section, tt.why)
			}
		})
	}
}

func TestMalformedCustomSectionsCountAsNone(t *testing.T) {
	for _, payload := range []string{"\x01", "\x01\x7f", "\x01\x03\xff\xff\x7f", "\x01\x06\xff\xff\xff\xff\x0f\x00"} {
		m := &wasmtest.Module{}
		m.Custom("name", []byte(payload))
		m.Custom("producers", []byte(payload))
		d, err := binary.Decode(m.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if names, tool := d.FunctionNames(), d.Toolchain(); names != nil || tool != "" {
			t.Errorf("payload %q gives names %v and toolchain %q, want none", payload, names, tool)
		}
		if built := rebuild(d); len(built) != 8 {
			t.Errorf("payload %q: the module built of it still has %d bytes, want only the preamble", payload, len(built))
		}
	}
}

func TestEditsChangeWhatTheySayAndNothingElse(t *testing.T) {
	wasm := sample().Bytes()
	with, err := binary.AppendCustom(wasm, "patchbay.manifest", []byte("one"))
	if err != nil || !bytes.HasPrefix(with, wasm) {
		t.Fatalf("AppendCustom changed what was there, or failed: %v", err)
	}
	m, err := binary.Decode(with)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := m.Custom("patchbay.manifest"); !ok || string(got) != "one" {
		t.Errorf("the section holds %q, %v", got, ok)
	}
	if back, err := binary.StripCustom(with, "patchbay.manifest"); err != nil || !bytes.Equal(back, wasm) {
		t.Errorf("StripCustom did not undo AppendCustom: %v", err)
	}
	kept, err := binary.KeepExports(wasm, func(name string) bool { return name == "memory" })
	if err != nil {
		t.Fatal(err)
	}
	if m, err := binary.Decode(kept); err != nil || len(m.Exports) != 1 || m.Exports[0].Name != "memory" {
		t.Errorf("after KeepExports: %+v, %v", m.Exports, err)
	}
}

// rebuild is the module without custom sections but names.
func rebuild(m *binary.Module) []byte { return m.Rebuild(map[binary.SectionID][]byte{}) }

func TestRebuildReplacesRemovesAndInsertsSections(t *testing.T) {
	m := &wasmtest.Module{}
	m.Memory(1)
	m.Func("run", ":", "")
	m.Start(0)
	d, err := binary.Decode(m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	globals := wasmtest.Code(wasmtest.U32(1), []byte{0x7e, 1}, wasmtest.I64Const(7), []byte{0x0b})
	built, err := binary.Decode(d.Rebuild(map[binary.SectionID][]byte{
		binary.SectionStart: nil, binary.SectionGlobal: globals, binary.SectionMemory: {1, 0, 5},
	}))
	if err != nil {
		t.Fatal(err)
	}
	if built.HasStart || len(built.Globals) != 1 || built.Globals[0].Init.Bits != 7 || built.Memories[0].Min != 5 || len(built.Bodies) != 1 {
		t.Errorf("got %+v", built)
	}
}

func TestRebuildKeepsFunctionNamesAndNoOtherCustomSection(t *testing.T) {
	m := sample()
	m.Custom("vendor", []byte("a stranger's bytes"))
	d, err := binary.Decode(m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	built, err := binary.Decode(rebuild(d))
	if err != nil {
		t.Fatal(err)
	}
	if got := built.FunctionNames(); got[1] != "main" {
		t.Errorf("names after Rebuild: %v", got)
	}
	for _, s := range built.Sections {
		if s.ID == binary.SectionCustom && s.Name != "name" {
			t.Errorf("custom section %q is still there", s.Name)
		}
	}
}

func TestRealModulesRoundTrip(t *testing.T) {
	for _, file := range wasmtest.ExtismPlugins(t) {
		wasm, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := binary.Decode(wasm)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
			continue
		}
		if !bytes.Equal(m.Encode(), wasm) {
			t.Errorf("%s: Encode is not what was decoded", filepath.Base(file))
		}
		if _, err := binary.Decode(rebuild(m)); err != nil {
			t.Errorf("%s: the rebuilt module does not decode: %v", filepath.Base(file), err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(sample().Bytes())
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x01\x05\xff\xff\xff\xff\x0f"))
	for _, file := range wasmtest.ExtismPlugins(f) {
		if info, err := os.Stat(file); err == nil && info.Size() < 4096 {
			wasm, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(wasm)
		}
	}
	f.Fuzz(func(t *testing.T, wasm []byte) {
		m, err := binary.Decode(wasm)
		if err != nil {
			var wrong *binary.Error
			if m != nil || !errors.As(err, &wrong) || wrong.Offset < 0 || wrong.Offset > len(wasm) {
				t.Fatalf("Decode gave a module with an error, or an error without a place: %v", err)
			}
			return
		}
		if !bytes.Equal(m.Encode(), wasm) {
			t.Fatalf("%x was accepted and encodes as %x", wasm, m.Encode())
		}
		checkEdits(t, wasm, m)
	})
}

// checkEdits holds every edit of an accepted module to be accepted again.
func checkEdits(t *testing.T, wasm []byte, m *binary.Module) {
	all, err := binary.KeepExports(wasm, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	kept, err := binary.Decode(all)
	if err != nil || len(kept.Exports) != len(m.Exports) {
		t.Fatalf("keeping every export left %d of %d: %v", len(kept.Exports), len(m.Exports), err)
	}
	if d, err := binary.Decode(rebuild(m)); err != nil || len(d.Bodies) != len(m.Bodies) {
		t.Fatalf("the rebuilt module was refused or lost code: %v", err)
	}
	with, err := binary.AppendCustom(wasm, "\x00fuzz", []byte("x"))
	if err != nil {
		if len(m.Sections) == 4096 {
			return
		}
		t.Fatal(err)
	}
	if back, err := binary.StripCustom(with, "\x00fuzz"); err == nil && !bytes.Equal(back, wasm) {
		if _, had := m.Custom("\x00fuzz"); !had {
			t.Fatalf("StripCustom did not undo AppendCustom")
		}
	}
}
