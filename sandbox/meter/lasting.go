package meter

import (
	"fmt"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// lastingNames are the instructions whose effect is neither in memory nor in a global.
var lastingNames = map[binary.Opcode]string{
	binary.OpTableSet: "table.set", binary.OpTableGrow: "table.grow", binary.OpTableFill: "table.fill",
	binary.OpTableCopy: "table.copy", binary.OpTableInit: "table.init",
	binary.OpElemDrop: "elem.drop", binary.OpDataDrop: "data.drop",
}

// lasting notes the first use of each such instruction.
func (w *writer) lasting(op binary.Opcode, function uint32) {
	if w.seen == nil {
		w.seen = map[binary.Opcode]bool{}
	}
	if !w.seen[op] {
		w.seen[op] = true
		w.unrestorable = append(w.unrestorable, fmt.Sprintf("function %d has the instruction %s, whose effect lasts", function, lastingNames[op]))
	}
}

// lastingParts are the parts of a module that cannot be set back: what is not its own,
// and globals that no host can set.
func lastingParts(m *binary.Module) []string {
	var all []string
	for _, kind := range []binary.Kind{binary.KindTable, binary.KindMemory, binary.KindGlobal} {
		if m.Imported(kind) > 0 {
			all = append(all, fmt.Sprintf("it imports a %s", kind))
		}
	}
	for i, g := range m.Globals {
		if simple := g.Type == binary.I32 || g.Type == binary.I64 || g.Type == binary.F32 || g.Type == binary.F64; g.Mutable && !simple {
			return append(all, fmt.Sprintf("global %d is mutable and of type %s, which a host cannot set", i, g.Type))
		}
	}
	return all
}
