package inspect

import (
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	w "github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
	"github.com/seed75a60ee1/patchbay/sandbox/meter"
)

func TestFreezableNamesInstructionAndFunction(t *testing.T) {
	for _, tt := range []struct {
		name string
		code []byte
		want string
	}{
		{"nothing that lasts", w.Code(w.I32Const(1), w.Drop), ""},
		{"bulk instructions on memory", []byte{0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 0x0b, 0}, ""},
		{"reading a table", []byte{0x41, 0, 0x25, 0, 0x1a}, ""},
		{"table.set", []byte{0x41, 0, 0xd0, 0x70, 0x26, 0}, "table.set in culprit"},
		{"table.grow", w.Code(w.NullFunc, w.I32Const(1), w.TableGrow, w.Drop), "table.grow in culprit"},
		{"table.fill", []byte{0x41, 0, 0xd0, 0x70, 0x41, 0, 0xfc, 0x11, 0}, "table.fill in culprit"},
		{"table.copy", []byte{0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 0x0e, 0, 0}, "table.copy in culprit"},
		{"table.init", []byte{0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 0x0c, 0, 0}, "table.init in culprit"},
		{"elem.drop twice", []byte{0xfc, 0x0d, 0, 0xfc, 0x0d, 0}, "elem.drop in culprit, and 1 more"},
		{"data.drop", []byte{0xfc, 0x09, 0}, "data.drop in culprit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &w.Module{}
			m.Table(1, 1)
			m.Memory(1)
			m.Func("bystander", ":", "", w.I32Const(7), w.Drop)
			m.Func("culprit", ":", "", tt.code)
			if got := reasonText(Freezable(decoded(t, m.Bytes()))); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestFreezableNamesWhatIsNotTheModulesOwn(t *testing.T) {
	m := &w.Module{}
	m.ImportMemory("env", "memory")
	wasm := m.Bytes()
	// A mutable v128 and a mutable funcref; an immutable one and a number do no harm.
	wasm = append(wasm, w.Section(6, w.Code(w.U32(4),
		[]byte{0x7b, 1, 0xfd, 12}, make([]byte, 16), w.End, []byte{0x70, 1, 0xd0, 0x70}, w.End,
		[]byte{0x70, 0, 0xd0, 0x70}, w.End, []byte{0x7f, 1, 0x41, 0}, w.End))...)
	want := "imported memory in env.memory; mutable global of type v128 in global 0; mutable global of type funcref in global 1"
	if got := reasonText(Freezable(decoded(t, wasm))); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What hides behind a number that no reader accepts is not trusted to be harmless.
func TestFreezableDoesNotTrustWhatItCannotRead(t *testing.T) {
	m := &w.Module{}
	m.Func("culprit", ":", "", []byte{0x41, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}, w.Drop)
	if got := reasonText(Freezable(decoded(t, m.Bytes()))); got != "unreadable instruction in culprit" {
		t.Errorf("got %q", got)
	}
	if r := analysed(t, m.Bytes()); r.finding("code-unreadable") == nil {
		t.Errorf("findings are %+v, want code-unreadable", r.Findings)
	}
}

// The sandbox decides with its own eyes whether it freezes; the report must say the same.
func TestFreezableAgreesWithTheSandbox(t *testing.T) {
	for name, wasm := range realPlugins(t) {
		m := decoded(t, wasm)
		rewritten, err := meter.Rewrite(m, meter.Options{})
		if err != nil {
			continue // refused for another reason
		}
		if got, want := len(Freezable(m)) == 0, len(rewritten.Unrestorable) == 0; got != want {
			t.Errorf("%s: Freezable says %v (%s), the sandbox %v (%s)", name, got, reasonText(Freezable(m)), want, rewritten.Unrestorable)
		}
	}
}

func reasonText(reasons []Reason) string {
	var texts []string
	for _, r := range reasons {
		texts = append(texts, r.String())
	}
	return strings.Join(texts, "; ")
}

func TestEveryInstructionThatLastsComesAfterTheFirstOne(t *testing.T) {
	for op, name := range unfreezable {
		if op != binary.OpTableSet && op < binary.OpDataDrop {
			t.Errorf("%s is passed over by Freezable's shortcut", name)
		}
	}
}
