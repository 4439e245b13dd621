package hostile

import (
	"strings"
	"time"

	w "github.com/seed75a60ee1/patchbay/tests/hostile/asm"
)

// calls call one another, much or deep.
func calls() []animal {
	bomb := func(name string, depth int, want string) animal {
		a := plain(name, 300*time.Millisecond, "")
		a.want = want
		a.build = func(m *w.Module) []byte {
			last := m.Func("", ":", "")
			for range depth {
				last = m.Func("", ":", "", w.Call(last), w.Call(last))
			}
			return w.Call(last)
		}
		return a
	}
	// deep is a function that calls itself, around which much is kept.
	deep := func(name, signature, locals string, peak int64, body func(m *w.Module, self int) []byte) animal {
		a := plain(name, 100*time.Millisecond, "").wants("stack_bytes")
		a.limits.StackBytes, a.peak = 16*mib, peak
		a.build = func(m *w.Module) []byte {
			self := m.Func("", signature, locals, body(m, m.Next()))
			params, results, _ := strings.Cut(signature, ":")
			return w.Code(zeros(params), w.Call(self), w.Repeat(len(results), w.Drop))
		}
		return a
	}
	return []animal{
		bomb("a call bomb without loops", 34, "fuel"),
		bomb("a deeper call bomb", 500, "fuel"),
		deep("recursion", ":", "", 48*mib, func(_ *w.Module, self int) []byte { return w.Call(self) }),
		deep("recursion with 5000 locals", ":", strings.Repeat("I", 5000), 64*mib, func(_ *w.Module, self int) []byte {
			return w.Code(each(5000, func(i int) []byte { return w.Code(w.I32(0), w.I64Load, w.LocalSet(i)) }), w.Call(self),
				each(5000, func(i int) []byte { return w.Code(w.I32(0), w.LocalGet(i), w.I64Store) }))
		}),
		deep("recursion with 500 values on the stack", ":", "", 64*mib, func(_ *w.Module, self int) []byte {
			return w.Code(w.Repeat(500, w.I32(0), w.F64Load), w.Call(self), w.Repeat(499, w.F64Add), w.Drop)
		}),
		deep("recursion with 500 vectors on the stack", ":", "", 64*mib, func(_ *w.Module, self int) []byte {
			return w.Code(w.Repeat(500, w.I32(0), w.V128Load), w.Call(self), w.Repeat(499, w.V128Xor), w.Drop)
		}),
		deep("recursion with 100 parameters", strings.Repeat("I", 100)+":", "", 64*mib, func(_ *w.Module, self int) []byte {
			return w.Code(each(100, w.LocalGet), w.Call(self))
		}),
		deep("recursion with 8 results", ":"+strings.Repeat("I", 8), "", 64*mib, func(_ *w.Module, self int) []byte { return w.Call(self) }),
		deep("recursion with 100 vectors as parameters", strings.Repeat("V", 100)+":", "", 64*mib, func(_ *w.Module, self int) []byte {
			return w.Code(each(100, w.LocalGet), w.Call(self))
		}),
		deep("recursion through a table", ":", "", 48*mib, func(m *w.Module, self int) []byte {
			m.Table(1)
			m.Elements(self)
			return w.Code(w.I32(0), w.CallIndirect(m.Type(":")))
		}),
		// Everything that is merged is used after the call, and none of it was there before.
		deep("recursion with 300 merges", ":", strings.Repeat("I", 300), 64*mib, func(_ *w.Module, self int) []byte {
			return w.Code(each(300, func(i int) []byte {
				return w.Code(w.I32(0), w.I32Load, w.If, w.I32(0), w.I64Load, w.LocalSet(i), w.Else, w.I32(8), w.I64Load, w.LocalSet(i), w.End)
			}), w.Call(self), each(300, func(i int) []byte { return w.Code(w.I32(0), w.LocalGet(i), w.I64Store) }))
		}),
		deep("a tail call without end", ":", "", 8*mib, func(_ *w.Module, self int) []byte { return w.ReturnCall(self) }).wants("fuel"),
		deep("a tail call with 100 parameters", strings.Repeat("I", 100)+":", "", 64*mib, func(_ *w.Module, self int) []byte {
			return w.Code(each(100, w.LocalGet), w.ReturnCall(self))
		}).wants("stack_bytes"), // the engine has no tail call for more than fits its registers
		deep("recursion that comes back", "i:", "", 64*mib, func(_ *w.Module, self int) []byte { // from a depth of -100,000
			return w.Code(w.LocalGet(0), w.I32(-100_000), w.I32Eq, w.I32Eqz, w.If, w.LocalGet(0), w.I32(1), w.I32Sub, w.Call(self), w.End)
		}).wants("calm"),
	}
}

// each puts code n times, by number.
func each(n int, f func(i int) []byte) []byte {
	var all []byte
	for i := range n {
		all = append(all, f(i)...)
	}
	return all
}

// zeros pushes a zero of each type.
func zeros(types string) []byte {
	var all []byte
	for _, t := range types {
		switch t {
		case 'i':
			all = append(all, w.I32(0)...)
		case 'I':
			all = append(all, w.I64(0)...)
		case 'V':
			all = append(all, w.V128Zero...)
		}
	}
	return all
}
