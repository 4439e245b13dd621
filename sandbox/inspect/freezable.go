package inspect

import (
	"fmt"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// Reason is one cause for which a module cannot be frozen.
type Reason struct {
	// What is an instruction such as "table.set", or such as "mutable global of type
	// v128" or "imported memory".
	What string `json:"what"`
	// Function is where the instruction stands first, by name or as "function 7"; for
	// what is not an instruction it is the import or the global.
	Function string `json:"function"`
	// Count is how many such instructions, globals or imports there are.
	Count int `json:"count"`
}

func (r Reason) String() string {
	if r.Count == 1 {
		return fmt.Sprintf("%s in %s", r.What, r.Function)
	}
	return fmt.Sprintf("%s in %s, and %d more", r.What, r.Function, r.Count-1)
}

// unfreezable are the instructions that change what an image of memory and numeric
// globals does not hold: tables, and which segments are still there.
var unfreezable = map[binary.Opcode]string{
	binary.OpTableSet:  "table.set",
	binary.OpTableGrow: "table.grow",
	binary.OpTableFill: "table.fill",
	binary.OpTableCopy: "table.copy",
	binary.OpTableInit: "table.init",
	binary.OpElemDrop:  "elem.drop",
	binary.OpDataDrop:  "data.drop",
}

// Freezable says why an instance of the module cannot be put back to an earlier state
// by restoring its memory and its mutable globals of number types. It is empty if it
// can. Those are the reasons, each given once with its first place:
//
//   - an instruction that changes a table or drops a segment, wherever it stands: it
//     counts even in a function that nothing calls, since calls cannot be foretold;
//   - a mutable global of a reference type or of v128, which the host cannot set;
//   - an imported memory, table or global, whose state is not the module's own;
//   - an instruction that cannot be read, behind which others could hide.
//
// The order is that of the module. The code is walked once and nothing is allocated
// for it, so that the cost is that of reading the file.
func Freezable(m *binary.Module) []Reason {
	found := reasons{}
	for _, i := range m.Imports {
		if i.Kind != binary.KindFunction {
			found.add("imported "+i.Kind.String(), func() string { return clip(i.Module+"."+i.Name, maxName) })
		}
	}
	for i, g := range m.Globals {
		if g.Mutable && !isNumber(g.Type) {
			found.add("mutable global of type "+g.Type.String(), func() string {
				return fmt.Sprintf("global %d", int(m.Imported(binary.KindGlobal))+i)
			})
		}
	}
	var names map[uint32]string
	place := func(body int) func() string {
		return func() string {
			if names == nil {
				names = functionNames(m)
			}
			return functionName(names, m.Imported(binary.KindFunction)+uint32(body))
		}
	}
	for i := range m.Bodies {
		c := m.Code(i)
		for c.Next() {
			if c.Op != binary.OpTableSet && c.Op < binary.OpDataDrop {
				continue // as nearly all are
			}
			if what, bad := unfreezable[c.Op]; bad {
				found.add(what, place(i))
			}
		}
		if c.Err() != nil {
			found.add("unreadable instruction", place(i))
		}
	}
	return found.list
}

func isNumber(t binary.ValueType) bool {
	return t == binary.I32 || t == binary.I64 || t == binary.F32 || t == binary.F64
}

// reasons are kept once for each cause, with their number.
type reasons struct{ list []Reason }

// add counts a cause; where names its place, and is asked for the first one only.
func (r *reasons) add(what string, where func() string) {
	for i := range r.list {
		if r.list[i].What == what {
			r.list[i].Count++
			return
		}
	}
	r.list = append(r.list, Reason{What: what, Function: where(), Count: 1})
}
