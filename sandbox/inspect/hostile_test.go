package inspect

import (
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	w "github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
)

// list is a section of n elements.
func list(id byte, n int, element func(i int) []byte) []byte {
	payload := w.U32(n)
	for i := range n {
		payload = append(payload, element(i)...)
	}
	return w.Section(id, payload)
}

func text(s string) []byte { return append(w.U32(len(s)), s...) }

// sprawling is as much of everything that makes calls as a decoder accepts: imports,
// types, functions in tables and exports, and each function calls by several types, and
// some others by name.
func sprawling() []byte {
	const types, imports, functions, exports, elements = 40_000, 10_000, 490_000, 100_000, 1_000_000
	signature := func(i int) []byte { // as many different ones as there are types
		params := []byte{0x7f, 0x7e, 0x7d, 0x7c}
		out := []byte{0x60, 8}
		for range 8 {
			out = append(out, params[i&3])
			i >>= 2
		}
		return append(out, 0)
	}
	return w.Code([]byte("\x00asm\x01\x00\x00\x00"),
		list(1, types, signature),
		list(2, imports, func(i int) []byte {
			return w.Code(text("m"), text(fmt.Sprint("f", i)), []byte{0}, w.U32(i%types))
		}),
		list(3, functions, func(i int) []byte { return w.U32(i % types) }),
		list(4, 1, func(int) []byte { return []byte{0x70, 0, 1} }),
		list(7, exports, func(i int) []byte { return w.Code(text(fmt.Sprint("e", i)), []byte{0}, w.U32(imports+i*4)) }),
		list(9, 1, func(int) []byte {
			entries := w.U32(elements)
			for i := range elements {
				entries = append(entries, w.U32(i%(imports+functions))...)
			}
			return w.Code([]byte{0}, w.I32Const(0), w.End, entries)
		}),
		list(10, functions, func(i int) []byte {
			body := []byte{0}
			for k := range 3 {
				body = append(body, callIndirect((i*7+k*13)%types)...)
				body = append(body, w.Call((i*31+k*7919)%(imports+functions))...)
			}
			body = append(body, w.Call((i+1)%functions+imports)...)
			return w.Code(w.U32(len(body)+1), body, w.End)
		}),
	)
}

// The time and memory for a file that was made to explode are in proportion to it.
func TestAModuleThatSprawlsIsAnalysedInBounds(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds with the race detector")
	}
	wasm := sprawling()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	r := analysed(t, wasm)
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	allocated := after.TotalAlloc - before.TotalAlloc
	t.Logf("%d bytes, %d functions: %v, %d MB allocated", len(wasm), r.Code.Functions, took, allocated>>20)
	if allocated > uint64(len(wasm))*60 || took > time.Minute {
		t.Errorf("%d bytes took %v and %d bytes of memory", len(wasm), took, allocated)
	}
	if e := r.Exports[0]; len(e.Reaches) != maxReached+1 || r.LeftOut["exports"] != 100_000-maxExports || r.LeftOut["imports"] != 10_000-maxImports {
		t.Errorf("an export reaches %d, left out are %v", len(e.Reaches), r.LeftOut)
	}
	sizes(t, r)
}

// sizes writes a report in every way and wants it to be of a size that can be read.
func sizes(t *testing.T, r *Report) {
	t.Helper()
	for name, write := range map[string]func(io.Writer) error{"text": r.WriteText, "JSON": r.WriteJSON, "HTML": r.WriteHTML} {
		var out strings.Builder
		if err := write(&out); err != nil || out.Len() > 16<<20 {
			t.Errorf("the %s has %d bytes (%v)", name, out.Len(), err)
		}
	}
}

// Data full of what the search looks for keeps it busy for a bounded time.
func TestDataThatLooksLikeEverythingIsSearchedInBounds(t *testing.T) {
	for _, pattern := range []string{"://", "eyJ", "aHR0cDovL", "1.1.1.1 ", "https://a.bc ", "-----BEGIN ", ":AA", "//:ptth", "http://aaaa.bbb:c@d.ef", "\x00\x04\x00\x00\xff\x0f\x00\x00http://a.bc "} {
		t.Run(pattern, func(t *testing.T) {
			m := plain()
			m.Data(0, strings.Repeat(pattern, (4<<20)/len(pattern)))
			began := time.Now()
			r := analysed(t, m.Bytes())
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("4 MiB of %q took %v", pattern, took)
			}
			sizes(t, r)
		})
	}
}

// nasty is what a name may hold that was made for whoever prints it.
const nasty = "\x1b[31m\x1b]8;;https://evil.io\x07</td><script>alert(1)</script>\"'><img src=x onerror=1>\r\nVERDICT\u202e\u200bgood\u0085\u009b\u2028"

// hostileNames has nasty wherever a module has room for text.
func hostileNames() []byte {
	m := &w.Module{}
	m.Import(nasty, nasty, "I:I")
	m.Import(contract.ImportModule, nasty, "I:I")
	m.Table(1, 1)
	m.Memory(1)
	m.Func("receive", ":i", "", w.Call(0), w.I32Const(0))
	m.Func(nasty, ":", "", w.I32Const(0), w.NullFunc, []byte{0x26, 0}, w.Call(3))
	m.Data(0, "https://evil.io/"+nasty+" aHR0cHM6Ly9ldmlsLmlvLxtbMzFt")
	m.Custom(nasty, []byte(nasty))
	m.Custom("producers", producers(nasty, nasty))
	name := w.Code(w.U32(1), w.U32(3), text(nasty))
	m.Custom("name", w.Code([]byte{1}, w.U32(len(name)), name))
	doc := manifest.Manifest{
		Contract: contract.Version, Name: "acme", Version: "1.0.0", Title: nasty, Description: nasty,
		Vendor: manifest.Vendor{Name: nasty}, Licence: "MIT", Abilities: []contract.Export{contract.ExportReceive},
		Egress:   map[string]manifest.EgressRule{"api": {Purpose: nasty, Host: "api.acme.test", Methods: []string{"GET"}, Paths: []string{"/"}}},
		Secrets:  map[string]manifest.Secret{"token": {Purpose: nasty, SendTo: []string{"api"}}},
		Settings: map[string]manifest.Setting{"tone": {Type: manifest.TypeString, Title: nasty, Default: nasty}},
	}
	m.Custom(manifest.Section, doc.Encode())
	return m.Bytes()
}

func TestNothingThatIsPrintedCanDoHarm(t *testing.T) {
	r, err := Analyse(hostileNames(), &Measured{Refusals: []Refusal{{Part: nasty, Text: nasty}}, Image: &Image{Why: nasty, WarmUp: []string{nasty}}})
	if err != nil {
		t.Fatal(err)
	}
	if r.finding("text-deceptive") == nil {
		t.Errorf("findings are %+v, want text-deceptive", r.Findings)
	}
	harmless(t, r, r.WriteText, r.WriteJSON, r.WriteHTML)
	for _, d := range []*Diff{Compare(analysed(t, plain().Bytes()), r), Compare(r, analysed(t, plain().Bytes()))} {
		harmless(t, d, d.WriteText, d.WriteJSON, d.WriteHTML)
	}
}

// harmless fails if what is printed can steer a terminal or a browser.
func harmless(t *testing.T, what any, text, json, html func(io.Writer) error) {
	t.Helper()
	for name, write := range map[string]func(io.Writer) error{"text": text, "JSON": json, "HTML": html} {
		var out strings.Builder
		if err := write(&out); err != nil {
			t.Fatal(err)
		}
		for _, r := range out.String() {
			if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == unicode.ReplacementChar) {
				t.Fatalf("the %s of a %T holds %U", name, what, r)
			}
		}
		if name != "HTML" {
			continue
		}
		for _, tag := range tags.FindAllString(out.String(), -1) {
			if !ourTag.MatchString(tag) {
				t.Fatalf("the page of a %T holds %s, which is not in its template", what, tag)
			}
		}
	}
}

// tags finds whatever a browser could take for a tag; ourTag is one that the template has.
var (
	tags   = regexp.MustCompile(`<[^ \n0-9][^>]*>?`)
	ourTag = regexp.MustCompile(`^<(!doctype html|/?(html|head|meta|title|style|body|header|main|nav|section|article|h1|h2|h3|p|dl|dt|dd|ul|li|a|div|table|thead|tbody|tr|th|td|span|strong|code|br)` +
		`( (lang|charset|http-equiv|content|name|id|class|href|role|scope|tabindex|aria-label|aria-labelledby)="[^"<>]*")*)>$`)
)

// FuzzAnalyse wants of any file that is a module: no panic, the same report again, all
// of it printable, and the page to have the tags of its template and no others.
func FuzzAnalyse(f *testing.F) {
	f.Add(hostileNames())
	f.Add(plain().Bytes())
	f.Add(described(sending("http_send", "mult"), nil).Bytes())
	for _, wasm := range realPlugins(f) {
		if len(wasm) < 2_000 {
			f.Add(wasm)
		}
	}
	f.Fuzz(func(t *testing.T, wasm []byte) {
		r, err := Analyse(wasm, nil)
		if err != nil {
			return
		}
		harmless(t, r, r.WriteText, r.WriteJSON, r.WriteHTML)
		var first, second strings.Builder
		again := analysed(t, wasm)
		if err := r.WriteJSON(&first); err != nil {
			t.Fatal(err)
		}
		if err := again.WriteJSON(&second); err != nil || first.String() != second.String() {
			t.Errorf("the same file gave %s and then %s (%v)", first.String(), second.String(), err)
		}
		if d := Compare(r, again); d.Verdict.AsksForMore && r.Manifest != nil || len(d.Changes) > 0 {
			t.Errorf("a file differs from itself: %+v", d)
		}
		if first.Len() > 100*len(wasm)+1<<20 {
			t.Errorf("%d bytes gave a report of %d", len(wasm), first.Len())
		}
	})
}

func BenchmarkAnalyse(b *testing.B) {
	for _, name := range []string{"count_vowels_std.wasm", "hello_haskell.wasm"} {
		wasm := realPlugins(b)[name]
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(wasm)))
			for b.Loop() {
				analysed(b, wasm)
			}
		})
		b.Run(name+", decoding alone", func(b *testing.B) {
			b.SetBytes(int64(len(wasm)))
			for b.Loop() {
				if _, err := binary.Decode(wasm); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
