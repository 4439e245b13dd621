package inspect

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	w "github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
)

func TestReachFollowsDirectCalls(t *testing.T) {
	m := &w.Module{}
	send, get := host(m, "http_send"), host(m, "kv_get")
	m.Func("receive", ":i", "", w.Call(4), w.I32Const(0))
	m.Func("send_message", ":i", "", w.Call(5), w.I32Const(0))
	m.Func("", ":", "", useOf(get))
	m.Func("", ":", "", w.Call(4), useOf(send))
	r := analysed(t, m.Bytes())
	if got := short(r.export(t, "receive").Reaches); got != "kv_get" {
		t.Errorf("receive reaches %q, want kv_get", got)
	}
	if got := short(r.export(t, "send_message").Reaches); got != "http_send kv_get" {
		t.Errorf("send_message reaches %q, want both", got)
	}
	if got := short(r.export(t, "send_message").Directly); got != "http_send kv_get" {
		t.Errorf("send_message reaches %q directly, want both", got)
	}
	path := r.Imports[slices.IndexFunc(r.Imports, func(i Import) bool { return i.Name == "http_send" })].Path
	if got := strings.Join(path, " > "); got != "send_message > function 5 > extism:host/user.http_send" {
		t.Errorf("the way to http_send is %q", got)
	}
}

func TestReachTakesAnIndirectCallForAllOfItsType(t *testing.T) {
	for _, tt := range []struct {
		name     string
		elements []int
		code     []byte // of receive, before it calls () -> () indirectly
		reaches  string
	}{
		{"a function of the type in a table", []int{2}, nil, "http_send"},
		{"one of another type in a table", []int{3}, nil, ""},
		{"one of the type that no table holds", nil, nil, ""},
		{"one that code makes a reference to", nil, []byte{0xd2, 2, 0x1a}, "http_send"},
		{"the import itself in a table", []int{0}, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &w.Module{}
			send := host(m, "http_send")
			m.Table(4, 4)
			m.Func("receive", ":i", "", tt.code, w.I32Const(0), callIndirect(2), w.I32Const(0)) // types: 0 of the import, 1 of receive, 2 () -> ()
			m.Func("", ":", "", useOf(send))
			m.Func("", "i:", "", useOf(send))
			if tt.elements != nil {
				m.Elements(tt.elements...)
			}
			r := analysed(t, m.Bytes())
			e := r.export(t, "receive")
			if short(e.Reaches) != tt.reaches || len(e.Directly) != 0 {
				t.Errorf("receive reaches %q, directly %q, want %q and nothing", short(e.Reaches), short(e.Directly), tt.reaches)
			}
			if found := r.finding("reach-indirect") != nil; found != (tt.reaches != "") {
				t.Errorf("reach-indirect found: %v", found)
			}
		})
	}
}

// Types are compared by what they are, as indirect calls do, and not by their numbers.
func TestReachComparesTypesByStructure(t *testing.T) {
	if got := sameTypes(decoded(t, []byte("\x00asm\x01\x00\x00\x00\x01\x0e\x04\x60\x00\x00\x60\x01\x7f\x00\x60\x00\x00\x60\x00\x00")).Types); !slices.Equal(got, []uint32{0, 1, 0, 0}) {
		t.Errorf("types are %v, want 0 1 0 0", got)
	}
}

func TestWhatRunsBeforeCountsForEveryExport(t *testing.T) {
	for _, tt := range []struct{ name, starter string }{
		{"a start function", ""}, {"an initialiser", "_initialize"}, {"constructors", "__wasm_call_ctors"}, {"a reseeding", "patchbay_reseed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &w.Module{}
			send := host(m, "http_send")
			m.Func("receive", ":i", "", w.I32Const(0))
			start := m.Func(tt.starter, ":", "", useOf(send))
			if tt.starter == "" {
				m.Start(start)
			}
			r := analysed(t, m.Bytes())
			if got := short(r.export(t, "receive").Reaches); got != "http_send" {
				t.Errorf("receive reaches %q, want http_send", got)
			}
			if got := short(r.Code.BeforeCall); got != "http_send" {
				t.Errorf("before a call %q is reached, want http_send", got)
			}
			if r.Code.Unreached != 0 {
				t.Errorf("%d functions are unreached", r.Code.Unreached)
			}
		})
	}
}

// More imports than a report tells apart must not crowd out those that a host offers.
func TestAHostFunctionIsToldAmongManyImports(t *testing.T) {
	m := &w.Module{}
	for i := range 2 * maskBits {
		m.Import("aaa", fmt.Sprint("f", i), "I:I")
	}
	send := host(m, "http_send")
	m.Func("receive", ":i", "", useOf(send), w.I32Const(0))
	m.Func("send_message", ":i", "", useOf(0), useOf(send-1), w.I32Const(0))
	r := analysed(t, m.Bytes())
	if got := short(r.export(t, "receive").Reaches); got != "http_send" {
		t.Errorf("receive reaches %q, want http_send", got)
	}
	if got := short(r.export(t, "send_message").Reaches); got != "aaa.f0 others" {
		t.Errorf("send_message reaches %q, want one by name and others", got)
	}
}

func TestLoopsRecursionAndSizesAreCounted(t *testing.T) {
	m := &w.Module{}
	m.Table(2, 2)
	m.Func("receive", ":i", "", w.Loop, w.Loop, w.End, w.End, w.Call(1), w.I32Const(0))
	m.Func("even", ":", "", w.Call(2))
	m.Func("odd", ":", "", w.Call(1))
	m.Func("self", ":", "", w.Call(3))
	m.Func("round", ":", "", w.I32Const(0), callIndirect(1))
	m.Elements(4)
	r := analysed(t, m.Bytes())
	c := r.Code
	if c.Functions != 5 || c.Loops != 2 || c.WithLoops != 1 || c.Recursive != 3 || c.IndirectRecursion != 1 || c.DirectCalls != 4 || c.IndirectCalls != 1 || c.InTables != 1 {
		t.Errorf("got %+v", c)
	}
	if len(c.Cycles) != 2 || cycleText(c.Cycles[0]) != "even, odd" || cycleText(c.Cycles[1]) != "self" {
		t.Errorf("cycles are %+v", c.Cycles)
	}
	if c.Biggest[0].Name != "receive" {
		t.Errorf("the biggest function is %+v, want receive", c.Biggest[0])
	}
}

func TestACapabilityIsDeclaredImportedAndReached(t *testing.T) {
	m := &w.Module{}
	send, equal := host(m, "http_send"), host(m, "secret_equal")
	host(m, "hmac_sign")
	m.Func("receive", ":i", "", useOf(send), useOf(equal), w.I32Const(0))
	r := analysed(t, described(m, func(d *manifest.Manifest) {
		d.Secrets = map[string]manifest.Secret{"token": {Purpose: "p"}}
	}).Bytes())
	want := []Capability{
		{Network, true, []string{}, []string{"http_send"}, []string{"http_send"}},
		{Secrets, true, []string{"token"}, []string{"hmac_sign", "secret_equal"}, []string{"secret_equal"}},
	}
	if len(r.Capabilities) != 2 {
		t.Fatalf("got %+v", r.Capabilities)
	}
	for i, c := range r.Capabilities {
		if c.Name != want[i].Name || c.NeedsDeclaring != true || !slices.Equal(c.Declared, want[i].Declared) ||
			!slices.Equal(c.Imported, want[i].Imported) || !slices.Equal(c.Reachable, want[i].Reachable) {
			t.Errorf("got %+v, want %+v", c, want[i])
		}
	}
}

func TestBoundsTellWhetherCodeCanGrowThem(t *testing.T) {
	m := plain()
	m.Table(3, -1)
	r := analysed(t, m.Bytes())
	if b := r.Memory; b == nil || b.Min != 1 || b.Max != nil || b.Grows {
		t.Errorf("memory is %+v, want 1 page that nothing grows", b)
	}
	m.Func("", ":", "", w.I32Const(1), w.MemoryGrow, w.Drop, w.NullFunc, w.I32Const(1), w.TableGrow, w.Drop)
	r = analysed(t, m.Bytes())
	if b, table := r.Memory, r.Tables[0]; !b.Grows || table.Min != 3 || table.Max != nil || !table.Grows {
		t.Errorf("memory is %+v and the table %+v, want both to grow", b, table)
	}
	if r.finding("table-unbounded") == nil || r.finding("memory-unbounded") == nil || r.finding("not-freezable") == nil {
		t.Errorf("findings are %+v", r.Findings)
	}
}

func TestNamesOfRustAreReadable(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"_ZN10extism_pdk3var3get17hf00d4c52fd07cd99E", "extism_pdk::var::get"},
		{"_ZN10serde_json3ser18format_escaped_str17h05da2695f4dd2791E.llvm.682619231754648719", "serde_json::ser::format_escaped_str"},
		{"_ZN40_$LT$str$u20$as$u20$core..fmt..Debug$GT$3fmt17h61840ef8e03e8d3bE", "<str as core::fmt::Debug>::fmt"},
		{"_ZN3foo", "_ZN3foo"},
		{"_ZN99999999foo17h0E", "_ZN99999999foo17h0E"},
		{"runtime.mallocgc", "runtime.mallocgc"},
	} {
		if got := readable(tt.name); got != tt.want {
			t.Errorf("readable(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestEveryRealPluginIsAnalysed(t *testing.T) {
	for name, wasm := range realPlugins(t) {
		r := analysed(t, wasm)
		if len(r.Sections) == 0 || r.Code.Functions == 0 || r.Plugin.SizeBytes != int64(len(wasm)) {
			t.Errorf("%s: %+v", name, r)
		}
		for i := range r.Imports {
			// nested.c keeps fd_close in a table by a type that none of its code calls.
			if imp := &r.Imports[i]; !imp.Reachable && name != "nested.c.instr.wasm" {
				t.Errorf("%s: nothing reaches %s, and its linker drops what nothing calls", name, imp)
			}
		}
	}
}
