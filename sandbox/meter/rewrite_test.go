package meter_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	w "github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
	"github.com/seed75a60ee1/patchbay/sandbox/meter"
)

// rewrite rewrites a module and decodes what came of it.
func rewrite(t *testing.T, wasm []byte) (*meter.Module, *binary.Module) {
	t.Helper()
	m, err := binary.Decode(wasm)
	if err != nil {
		t.Fatal(err)
	}
	out, err := meter.Rewrite(m, meter.Options{TableEntries: 10})
	if err != nil {
		t.Fatal(err)
	}
	d, err := binary.Decode(out.Wasm)
	if err != nil {
		t.Fatalf("what came of it cannot be decoded: %v", err)
	}
	return out, d
}

func TestTablesCannotGrowBeyondTheMaximum(t *testing.T) {
	m := &w.Module{}
	m.Table(1, -1)
	m.Table(5, 100)
	m.Table(50, 60)
	m.Table(2, 3)
	_, d := rewrite(t, m.Bytes())
	for i, want := range []binary.Limits{
		{Min: 1, Max: 10, HasMax: true}, {Min: 5, Max: 10, HasMax: true},
		{Min: 50, Max: 50, HasMax: true}, {Min: 2, Max: 3, HasMax: true},
	} {
		if got := d.Tables[i].Limits; got != want {
			t.Errorf("table %d is %+v, want %+v", i, got, want)
		}
	}
}

func TestTheHostIsLeftWhatAnEngineWouldDo(t *testing.T) {
	m := &w.Module{}
	m.Memory(1)
	m.Global(7)
	m.Data(3, "abc")
	m.Data(9, "")
	m.Start(m.Func("", ":", ""))
	out, d := rewrite(t, m.Bytes())
	if len(out.Data) != 2 || out.Data[0].Offset.Bits != 3 || string(out.Data[0].Bytes) != "abc" {
		t.Errorf("data is %+v", out.Data)
	}
	if d.HasStart || out.Start == "" || len(d.Data) != 0 {
		t.Errorf("start is %v, %q; data %+v", d.HasStart, out.Start, d.Data)
	}
	exports := map[string]binary.Export{}
	for _, e := range d.Exports {
		exports[e.Name] = e
	}
	if e := exports[out.Start]; e.Kind != binary.KindFunction || e.Index != 0 {
		t.Errorf("the start function is exported as %+v", e)
	}
	for name, index := range map[string]uint32{out.Globals[0].Export: 0, out.Fuel: 1, out.Stack: 2, out.Reserve: 3, out.Stop: 4, out.Deep: 5} {
		if e := exports[name]; e.Kind != binary.KindGlobal || e.Index != index {
			t.Errorf("%s is exported as %+v, want global %d", name, e, index)
		}
	}
}

// TestNoIndexCanNameWhatTheRewriteAdds has code that is invalid and would be valid
// afterwards: it could set its own fuel.
func TestNoIndexCanNameWhatTheRewriteAdds(t *testing.T) {
	fill := w.Code(w.I32Const(0), w.I32Const(0), w.I32Const(0), []byte{0xfc, 0x0b, 0})
	for name, body := range map[string][]byte{
		"the global of the fuel": w.Code(w.I64Const(1<<62), w.GlobalSet(1)),
		"and of the stack":       w.Code(w.GlobalGet(2), w.Drop),
		"and of the reserve":     w.Code(w.I64Const(1<<62), w.GlobalSet(3)),
		"the local for lengths":  w.Code(fill, w.LocalGet(1), w.Drop),
		"a label too far":        w.Br(1),
		"a branch table":         w.Code(w.I32Const(0), []byte{0x0e, 1, 0, 1}),
		"a type":                 w.Code(w.I32Const(0), []byte{0x11, 5, 0}),
		"a function":             w.Call(1),
		"a data segment":         w.Code(w.I32Const(0), w.I32Const(0), w.I32Const(0), []byte{0xfc, 0x08, 0, 0}),
	} {
		t.Run(name, func(t *testing.T) {
			m := &w.Module{}
			m.Memory(1)
			m.Table(1, 1)
			m.Global(0)
			m.Func("run", ":", "I", body)
			d, err := binary.Decode(m.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			var wrong *binary.Error
			if _, err := meter.Rewrite(d, meter.Options{}); !errors.As(err, &wrong) || !strings.Contains(wrong.Why, "does not exist") {
				t.Errorf("got %v", err)
			}
		})
	}
	for name, add := range map[string]func(*w.Module){
		"an export of a name that is the sandbox's": func(m *w.Module) { m.Func("patchbay:fuel", ":", "") },
		"data where a global says": func(m *w.Module) {
			m.Memory(1)
			m.DataAt(w.GlobalGet(0), "x")
			m.Global(0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := &w.Module{}
			add(m)
			d, err := binary.Decode(m.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			var wrong *binary.Error
			if _, err := meter.Rewrite(d, meter.Options{}); !errors.As(err, &wrong) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWhatCannotBeSetBackIsTold(t *testing.T) {
	null := []byte{0xd0, 0x70}
	for name, tt := range map[string]struct {
		body []byte
		want string
	}{
		"table.set":  {w.Code(w.I32Const(0), null, []byte{0x26, 0}), "function 0 has the instruction table.set"},
		"table.grow": {w.Code(w.NullFunc, w.I32Const(0), w.TableGrow, w.Drop), "table.grow"},
		"data.drop":  {[]byte{0xfc, 9, 0}, "data.drop"},
		"elem.drop":  {[]byte{0xfc, 13, 0}, "elem.drop"},
		"nothing":    {w.Code(w.I32Const(0), []byte{0x25, 0}, w.Drop), ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := &w.Module{}
			m.Memory(1)
			m.Table(1, 1)
			m.Func("run", ":", "", tt.body)
			m.Data(0, "x")
			out, _ := rewrite(t, m.Bytes())
			if got := strings.Join(out.Unrestorable, "; "); !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// plugins are those of the Extism SDK's tests but for one, which is C without
// optimisation: it is as large as a module may be before it is rewritten, and larger than
// package binary would read again.
func plugins(t *testing.T) []string {
	return slices.DeleteFunc(w.ExtismPlugins(t), func(file string) bool { return filepath.Base(file) == "nested.c.instr.wasm" })
}

// TestRealPluginsAreRewritten holds that functions stay what and where they were, and
// that two rewrites are the same.
func TestRealPluginsAreRewritten(t *testing.T) {
	for _, file := range plugins(t) {
		wasm, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := binary.Decode(wasm)
		if err != nil {
			t.Fatal(err)
		}
		out, d := rewrite(t, wasm)
		again, _ := rewrite(t, wasm)
		if !bytes.Equal(out.Wasm, again.Wasm) {
			t.Errorf("%s: two rewrites differ", filepath.Base(file))
		}
		if len(d.Bodies) != len(m.Bodies)+1 || len(d.Globals) != len(m.Globals)+5 || len(d.Imports) != len(m.Imports) {
			t.Errorf("%s: %d functions of %d, %d globals of %d", filepath.Base(file), len(d.Bodies), len(m.Bodies), len(d.Globals), len(m.Globals))
		}
		for i := range m.Imports {
			if d.Imports[i] != m.Imports[i] {
				t.Errorf("%s: import %d is %v", filepath.Base(file), i, d.Imports[i])
			}
		}
	}
}

// BenchmarkRewrite is what metering adds to a plugin's first load.
func BenchmarkRewrite(b *testing.B) {
	for _, file := range w.ExtismPlugins(b) {
		if filepath.Base(file) != "fs_std.wasm" {
			continue
		}
		wasm, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		m, err := binary.Decode(wasm)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(wasm)))
		for b.Loop() {
			if _, err := meter.Rewrite(m, meter.Options{}); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// TestVersionsAreToldApart fails when what Rewrite makes has changed: what was kept of
// an older version must not be taken for it. Make Version another one, and put the new
// sum here.
func TestVersionsAreToldApart(t *testing.T) {
	const version, sum = 1, "e6b0e9ac681d1713"
	h := sha256.New()
	for _, file := range plugins(t) {
		wasm, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out, _ := rewrite(t, wasm)
		h.Write(out.Wasm)
	}
	if got := hex.EncodeToString(h.Sum(nil)[:8]); meter.Version != version || got != sum {
		t.Errorf("version %d makes %s; known is that version %d makes %s", meter.Version, got, version, sum)
	}
}

// TestSegmentsThatCodeNamesStay has one that is written at instantiation, and is empty
// from then on, before one that the code copies.
func TestSegmentsThatCodeNamesStay(t *testing.T) {
	m := &w.Module{}
	m.Memory(1)
	m.Data(3, "abc")
	m.Func("run", ":", "", w.I32Const(0), w.I32Const(0), w.I32Const(0), []byte{0xfc, 0x08, 0, 0})
	out, d := rewrite(t, m.Bytes())
	if len(d.Data) != 1 || d.Data[0].Active || d.Data[0].Size != 0 || string(out.Data[0].Bytes) != "abc" {
		t.Errorf("data is %+v, and %+v is left to the host", d.Data, out.Data)
	}
}
