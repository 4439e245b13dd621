package spectest

import (
	"testing"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// TestActiveDataIsGoneOnceItIsWritten shows the one thing that is not the same rewritten.
// The specification drops a segment that is written at instantiation; wazero keeps it,
// so that code can copy it again; rewritten it is dropped. No compiler makes such code.
func TestActiveDataIsGoneOnceItIsWritten(t *testing.T) {
	g := &generator{choices: &choices{}, out: file{start: -1}}
	g.functionOf(binary.FuncType{})
	g.out.memories.add().limits(1, 1)
	e := g.out.data.add()
	e.raw(0, 0x41, 0, 0x0b)
	e.name("data")
	c := &coder{}
	c.raw(0x41, 16, 0x41, 0, 0x41, 4)
	c.op(binary.OpMemoryInit, 0, 0)
	c.raw(0x0b)
	g.body(nil, c.code)
	for _, tt := range []struct {
		name    string
		rewrite rewriter
		want    string
	}{
		{"wazero alone", unchanged, ""},
		{"rewritten, as specified", metered, "out of bounds memory access"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := tt.rewrite(g.out.bytes())
			if err != nil {
				t.Fatal(err)
			}
			in := launch(t, "compiler", p)
			if err := in.start(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			if got, _ := in.Memory().Read(0, 4); string(got) != "data" {
				t.Errorf("memory begins with %q", got)
			}
			_, err = in.ExportedFunction("f0").Call(t.Context())
			if got := cause(err); got != tt.want {
				t.Errorf("memory.init of it: %q, want %q", got, tt.want)
			}
		})
	}
}
