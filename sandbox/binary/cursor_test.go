package binary_test

import (
	"os"
	"testing"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	w "github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
)

// TestACursorGoesOverEveryInstructionOfRealPlugins holds that instructions lie side by
// side, and that the last one of a function is the end of its body.
func TestACursorGoesOverEveryInstructionOfRealPlugins(t *testing.T) {
	for _, file := range w.ExtismPlugins(t) {
		wasm, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := binary.Decode(wasm)
		if err != nil {
			t.Fatal(err)
		}
		for i, b := range m.Bodies {
			c, at := m.Code(i), b.Code
			for c.Next() {
				if c.Start != at || c.End <= at {
					t.Fatalf("%s, function %d: an instruction from %d to %d after one to %d", file, i, c.Start, c.End, at)
				}
				at = c.End
			}
			if c.Err() != nil || at != b.Offset+b.Size || c.Op != binary.OpEnd || c.Depth != 1 {
				t.Fatalf("%s, function %d: ended with %#x at %d of %d, depth %d: %v", file, i, uint16(c.Op), at, b.Offset+b.Size, c.Depth, c.Err())
			}
		}
	}
}

func TestACursorReadsOperands(t *testing.T) {
	m := &w.Module{}
	m.Memory(1)
	m.Func("run", "i:", "IIF", w.I32Const(-7), []byte{0x04, 0x7f}, w.I64Const(1<<40), []byte{0x1a},
		w.I32Const(0), []byte{0x0e, 2, 0, 1, 1}, []byte{0x00, 0x0b}, []byte{0x28, 2, 0x80, 1}, w.Drop, []byte{0xfc, 0x0a, 0, 0})
	module, err := binary.Decode(m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got := module.Locals(0); len(got) != 4 || got[0] != (binary.LocalGroup{Count: 1, Type: binary.I32}) || got[3].Type != binary.F64 {
		t.Errorf("locals are %v", got)
	}
	c := module.Code(0)
	for _, want := range []struct {
		op    binary.Opcode
		depth int
		holds func() bool
	}{
		{binary.OpI32Const, 1, func() bool { return c.Value == -7 }},
		{binary.OpIf, 1, func() bool { return c.Block == binary.BlockType{Result: binary.I32} }},
		{binary.OpI64Const, 2, func() bool { return c.Value == 1<<40 }},
		{0x1a, 2, func() bool { return true }},
		{binary.OpI32Const, 2, func() bool { return c.Value == 0 }},
		{binary.OpBrTable, 2, func() bool { return len(c.Targets) == 3 && c.Targets[0] == 0 && c.Targets[2] == 1 }},
		{binary.OpUnreachable, 2, func() bool { return true }},
		{binary.OpEnd, 2, func() bool { return true }},
		{0x28, 1, func() bool { return c.Index == 2 && c.Second == 128 }},
		{0x1a, 1, func() bool { return true }},
		{binary.OpMemoryCopy, 1, func() bool { return len(c.Bytes()) == 4 }},
		{binary.OpEnd, 1, func() bool { return true }},
	} {
		if !c.Next() || c.Op != want.op || c.Depth != want.depth || !want.holds() {
			t.Fatalf("want %#x at depth %d, got %+v", uint16(want.op), want.depth, c)
		}
	}
	if c.Next() || c.Err() != nil {
		t.Errorf("there is more: %+v, %v", c, c.Err())
	}
}
