package spectest

import (
	"encoding/hex"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	"github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
)

// plain is a module without custom sections, which nothing that runs depends on. wazero
// refuses a module for a malformed name section, against the specification.
func plain(wasm []byte, m *binary.Module) []byte {
	out := slices.Clone(wasm[:8])
	for _, s := range m.Sections {
		if s.ID != binary.SectionCustom {
			out = append(out, wasm[s.Offset:s.Offset+s.Size()]...)
		}
	}
	return out
}

// accepts is what wazero says to a module.
func accepts(t testing.TB, wasm []byte) error {
	rt := newRuntime(t, "interpreter") // which validates as the compiler does, and is faster
	defer rt.Close(t.Context())
	_, err := rt.CompileModule(t.Context(), wasm)
	return err
}

// agree holds rewriting to what wazero says: what is valid stays so, and what is not, too.
// It says whether the module is valid, and whether it came as far as wazero.
func agree(t testing.TB, wasm []byte) (valid, decoded bool) {
	m, err := binary.Decode(wasm)
	if err != nil {
		return false, false // refused by the pipeline; it is not for wazero's eyes
	}
	original := accepts(t, plain(wasm, m))
	p, err := metered(wasm)
	stage := "rewriting"
	if err == nil {
		err, stage = accepts(t, p.wasm), "wazero"
	}
	if (original == nil) != (err == nil) {
		t.Errorf("original: %v\nrewritten: %v (%s)\nmodule: %s", original, err, stage, hex.EncodeToString(wasm))
	}
	return original == nil, true
}

// TestRewritingKeepsValidity tries indexes that are out of range by as much as rewriting
// adds, and what else the parts that it takes away or adds could hide.
func TestRewritingKeepsValidity(t *testing.T) {
	nothing := binary.FuncType{}
	code := func(build func(c *coder)) func(f *file) {
		return func(f *file) {
			c := &coder{}
			c.raw(0)
			build(c)
			c.raw(0x0b)
			e := f.bodies.add()
			e.name(string(c.code))
		}
	}
	index := func(op binary.Opcode, index uint32) func(f *file) {
		return code(func(c *coder) {
			c.op(op, index)
			c.raw(0x1a)
		})
	}
	data := func(place func(e *coder)) func(f *file) {
		return func(f *file) {
			code(func(*coder) {})(f)
			e := f.data.add()
			e.raw(0)
			place(e)
			e.raw(0x0b)
			e.name("data")
		}
	}
	withStart := func(build func(f *file)) func(f *file) {
		return func(f *file) {
			f.start = 0
			build(f)
		}
	}
	variables := func(n uint32) func(f *file) {
		return func(f *file) {
			c := &coder{}
			c.raw(1)
			c.number(n)
			c.raw(byte(binary.I64))
			c.code = append(c.code, 0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 11, 0, 0x0b) // memory.fill
			e := f.bodies.add()
			e.name(string(c.code))
		}
	}
	for _, tt := range []struct {
		name  string
		valid bool // with a memory
		build func(f *file)
	}{
		{"the last global", true, index(binary.OpGlobalGet, 1)},
		{"the global that would be fuel", false, index(binary.OpGlobalGet, 2)},
		{"the global that would be stack", false, index(binary.OpGlobalGet, 3)},
		{"setting the global that would be fuel", false, code(func(c *coder) {
			c.i64(1)
			c.op(binary.OpGlobalSet, 2)
		})},
		{"a local that would be the length", false, code(func(c *coder) {
			c.op(binary.OpLocalGet, 0)
			c.i32(0)
			c.i32(0)
			c.op(binary.OpMemoryFill, 0)
		})},
		{"a local that would be the length, where nobody comes", false, code(func(c *coder) {
			c.raw(0x00)
			c.op(binary.OpLocalGet, 0)
			c.op(binary.OpMemoryFill, 0)
		})},
		{"a block of a type that would be added", false, code(func(c *coder) {
			c.raw(0x02, 1, 0x0b, 0x10, 0)
		})},
		{"an indirect call of a type that would be added", false, code(func(c *coder) {
			c.i32(0)
			c.op(binary.OpCallIndirect, 1, 0)
		})},
		{"elements that name the function that would pause", false, func(f *file) {
			f.elements.add().raw(0, 0x41, 0, 0x0b, 1, 1)
			code(func(*coder) {})(f)
		}},
		{"elements whose expression names the function that would pause", false, func(f *file) {
			f.elements.add().raw(5, 0x70, 1, 0xd2, 1, 0x0b)
			code(func(*coder) {})(f)
		}},
		{"declared elements that name the function that would pause", false, func(f *file) {
			f.elements.add().raw(3, 0, 1, 1)
			index(binary.OpRefFunc, 1)(f)
		}},
		{"a global that names the function that would pause", false, func(f *file) {
			f.globals.add().raw(0x70, 0, 0xd2, 1, 0x0b)
			code(func(*coder) {})(f)
		}},
		{"a reference to the function that would pause", false, index(binary.OpRefFunc, 1)},
		{"the function that would pause in place of the rest", false, code(func(c *coder) { c.op(binary.OpReturnCall, 1) })},
		{"a table that would be added", false, index(binary.OpTableSize, 1)},
		{"an indirect call through a table that would be added", false, code(func(c *coder) {
			c.i32(0)
			c.op(binary.OpCallIndirect, 0, 1)
		})},
		{"elements for a table that would be added", false, func(f *file) {
			f.elements.add().raw(2, 1, 0x41, 0, 0x0b, 0, 0)
			code(func(*coder) {})(f)
		}},
		{"copying from a table that would be added", false, code(func(c *coder) {
			c.i32(0)
			c.i32(0)
			c.i32(0)
			c.op(binary.OpTableCopy, 0, 1)
		})},
		{"filling a table from elements, into one that would be added", false, func(f *file) {
			f.elements.add().raw(1, 0, 1, 0)
			code(func(c *coder) {
				c.i32(0)
				c.i32(0)
				c.i32(0)
				c.op(binary.OpTableInit, 0, 1)
			})(f)
		}},
		{"a call of no function", false, code(func(c *coder) { c.op(binary.OpCall, 1) })},
		{"a label that would be the whole body's", false, code(func(c *coder) {
			c.op(binary.OpCall, 0)
			c.op(binary.OpBr, 1)
		})},
		{"one label of many that would be the whole body's", false, code(func(c *coder) {
			c.op(binary.OpCall, 0)
			c.i32(0)
			c.op(binary.OpBrTable, 1, 1, 0)
		})},
		{"a return where values are left", true, code(func(c *coder) {
			c.op(binary.OpCall, 0)
			c.i32(0)
			c.raw(0x0f)
		})},
		{"a value too many at the end", false, code(func(c *coder) {
			c.op(binary.OpCall, 0)
			c.i32(0)
		})},
		{"a reference to the start function, which nothing declares", false, withStart(index(binary.OpRefFunc, 0))},
		{"a reference to the start function, which an export declares", true, withStart(func(f *file) {
			f.export("start", binary.KindFunction, 0)
			index(binary.OpRefFunc, 0)(f)
		})},
		{"a reference to the start function, which an element declares", true, withStart(func(f *file) {
			e := f.elements.add()
			e.raw(3, 0, 1, 0)
			index(binary.OpRefFunc, 0)(f)
		})},
		{"a reference to the start function, which an element's expression declares", true, withStart(func(f *file) {
			e := f.elements.add()
			e.raw(7, 0x70, 1, 0xd2, 0, 0x0b)
			index(binary.OpRefFunc, 0)(f)
		})},
		{"a reference to the start function, which a global declares", true, withStart(func(f *file) {
			f.globals.add().raw(0x70, 0, 0xd2, 0, 0x0b)
			index(binary.OpRefFunc, 0)(f)
		})},
		{"data where a constant says", true, data(func(e *coder) { e.i32(1) })},
		{"data where a long says", false, data(func(e *coder) { e.i64(1) })},
		{"data where a float says", false, data(func(e *coder) { e.f32(1) })},
		{"data where a reference says", false, data(func(e *coder) { e.raw(0xd0, 0x70) })},
		{"data where a global of the module's says", false, data(func(e *coder) { e.raw(0x23, 0) })},
		{"data where fuel would say", false, data(func(e *coder) { e.raw(0x23, 2) })},
		{"elements where fuel would say", false, func(f *file) {
			f.elements.add().raw(0, 0x23, 2, 0x0b, 0)
			code(func(*coder) {})(f)
		}},
		{"a global that begins as fuel would", false, func(f *file) {
			f.globals.add().raw(byte(binary.I64), 0, 0x23, 3, 0x0b)
			code(func(*coder) {})(f)
		}},
		{"exports that are called nearly as ours", true, withStart(func(f *file) {
			for _, name := range []string{"patchbay", "patchbay2:fuel", "fuel", "stack", "start"} {
				f.export(name, binary.KindFunction, 0)
			}
			code(func(*coder) {})(f)
		})},
		{"many variables and a length", true, variables(49_998)},
		{"as many variables as there may be and a length", true, variables(50_000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, memory := range []bool{true, false} { // what is added depends on it
				g := &generator{choices: &choices{}, out: file{start: -1}}
				g.typeIndex(nothing)
				g.out.functions.add().number(0)
				g.out.tables.add().raw(0x70, 0, 1)
				if memory {
					g.out.memories.add().raw(0, 1)
				}
				g.out.globals.add().raw(byte(binary.I32), 0, 0x41, 0, 0x0b)
				g.out.globals.add().raw(byte(binary.I64), 1, 0x42, 0, 0x0b)
				tt.build(&g.out)
				valid, decoded := agree(t, g.out.bytes())
				if memory && (valid != tt.valid || valid && !decoded) {
					t.Errorf("it is valid: %v, want %v (decoded: %v)", valid, tt.valid, decoded)
				}
			}
		})
	}
}

// broken is a small generated module of which some bytes are not as they were, most of
// them operands of instructions.
func broken(t testing.TB, random *rand.Rand) []byte {
	data := make([]byte, 40+random.IntN(300))
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	wasm := generate(data).wasm
	m, err := binary.Decode(wasm)
	if err != nil {
		t.Fatal(err)
	}
	var operands []int
	for i := range m.Bodies {
		for c := m.Code(i); c.Next(); {
			for at := c.Start + 1; at < c.End; at++ {
				operands = append(operands, at)
			}
		}
	}
	for range 1 + random.IntN(2) {
		if random.IntN(4) > 0 {
			wasm[operands[random.IntN(len(operands))]] = byte(random.IntN(24))
		} else {
			wasm[8+random.IntN(len(wasm)-8)] = byte(random.Uint32())
		}
	}
	return wasm
}

// TestBrokenModulesAreRefusedAsWazeroRefusesThem is the fuzz target below on modules that
// are nearly valid.
func TestBrokenModulesAreRefusedAsWazeroRefusesThem(t *testing.T) {
	const modules = 3000
	random := rand.New(rand.NewPCG(7, 7))
	valid, refused := 0, 0
	for i := range modules {
		ok, decoded := agree(t, broken(t, random))
		switch {
		case ok:
			valid++
		case decoded:
			refused++
		}
		if t.Failed() {
			t.Fatalf("module %d", i)
		}
	}
	t.Logf("%d modules: %d valid, %d refused that can be decoded", modules, valid, refused)
	if valid < modules/10 || refused < modules/10 {
		t.Errorf("of %d modules %d are valid and %d decoded and refused; at least a tenth each should be", modules, valid, refused)
	}
}

// TestRealPluginsStayValid rewrites what compilers of five languages made, and people.
func TestRealPluginsStayValid(t *testing.T) {
	for _, file := range wasmtest.ExtismPlugins(t) {
		wasm, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if valid, _ := agree(t, wasm); !valid {
			t.Errorf("%s is not valid", filepath.Base(file))
		}
	}
}

// TestThreadsAreRefused wants a module with a shared memory or an atomic instruction
// refused, and told why.
func TestThreadsAreRefused(t *testing.T) {
	refused := 0
	for _, wasm := range suiteModules(t, "threads", 1) {
		if _, decoded := agree(t, wasm); decoded {
			continue
		}
		if _, err := metered(wasm); !strings.Contains(err.Error(), "not supported") {
			t.Errorf("refused: %v", err)
		}
		refused++
	}
	if refused < 50 {
		t.Errorf("%d modules are refused, want at least 50", refused)
	}
}

// suiteModules are one in so many of a folder of the suite.
func suiteModules(t testing.TB, folder string, oneIn int) [][]byte {
	suite, err := suiteFolder()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(suite, folder, "testdata", "*.wasm"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no modules in folder %s: %v", folder, err)
	}
	var all [][]byte
	for i, file := range files {
		if i%oneIn != 0 {
			continue
		}
		wasm, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, wasm)
	}
	return all
}

// FuzzValidity holds any bytes to the same: it begins with modules of the suite, valid and
// not, and some that are generated.
func FuzzValidity(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(generate(entropy(seed)[:200]).wasm)
	}
	for _, wasm := range suiteModules(f, "v2", 40) {
		f.Add(wasm)
	}
	f.Fuzz(func(t *testing.T, wasm []byte) { agree(t, wasm) })
}
