package pack

import (
	"errors"
	"slices"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// must returns a module that was edited.
func must(t testing.TB) func(wasm []byte, err error) []byte {
	return func(wasm []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return wasm
	}
}

func without(names ...string) func(string) bool {
	return func(name string) bool { return !slices.Contains(names, name) }
}

func TestOpenTellsEverythingThatIsWrong(t *testing.T) {
	raw, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	packed, m := built(t), must(t)
	second := append([]byte(`{"name":"other"}`), ' ')
	for _, tt := range []struct {
		name string
		wasm []byte
	}{
		{"what the compiler made", raw},
		{"no manifest", m(binary.StripCustom(packed, manifest.Section))},
		{"two manifests", m(binary.AppendCustom(packed, manifest.Section, second))},
		{"a manifest that is not JSON", m(binary.AppendCustom(m(binary.StripCustom(packed, manifest.Section)), manifest.Section, []byte("name: greeter")))},
		{"an ability stated and not exported", m(binary.KeepExports(packed, without("send_message")))},
		{"no receive", m(binary.KeepExports(packed, without("receive")))},
		{"no module", []byte("\x7fELF")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Open(tt.wasm)
			if err == nil || p != nil {
				t.Fatalf("Open answered %+v and error %v, want an error alone", p, err)
			}
			golden(t, err.Error())
		})
	}
}

func TestOpenHoldsAbilitiesAgainstExports(t *testing.T) {
	_, err := Open(must(t)(binary.KeepExports(built(t), without("send_message"))))
	problem := new(manifest.Problem)
	if !errors.As(err, &problem) || problem.Field != "abilities[1]" || problem.Value != string(contract.ExportSendMessage) {
		t.Errorf("Open blamed %+v (%v), want abilities[1], send_message", problem, err)
	}
}

func TestExamineReadsWhatItCan(t *testing.T) {
	p, err := Examine(must(t)(binary.KeepExports(built(t), without("receive"))))
	if err != nil || p.Manifest == nil || p.Manifest.Name != "greeter" || len(p.Problems) == 0 {
		t.Errorf("Examine answered %+v and error %v, want the manifest and the problems", p, err)
	}
}

// FuzzOpen holds that what opens is what it says: its exports are its abilities, its host
// functions are the contract's, and what does not open yields nothing.
func FuzzOpen(f *testing.F) {
	empty := []byte("\x00asm\x01\x00\x00\x00")
	f.Add(empty)
	f.Add(must(f)(binary.AppendCustom(empty, manifest.Section, []byte(`{"name":"x","abilities":["receive"]}`))))
	f.Add(slices.Concat(empty, []byte("\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x07\x0b\x01\x07receive\x00\x00\x0a\x04\x01\x02\x00\x0b")))
	f.Fuzz(func(t *testing.T, wasm []byte) {
		p, err := Open(wasm)
		if err != nil {
			if p != nil {
				t.Errorf("Open answered both %+v and %v", p, err)
			}
			return
		}
		if has := exported(p.Spec); len(compare(p.Manifest.Abilities, has, "it has")) > 0 || len(strangeImports(p.Spec)) > 0 {
			t.Errorf("Open took a file that exports %v and states %v", has, p.Manifest.Abilities)
		}
	})
}
