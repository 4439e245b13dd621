package recording

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxDifferences is how many differences of two documents are told.
const MaxDifferences = 20

const (
	// maxExcerpt is how much of a text is shown, and before how much of that before the
	// first difference.
	maxExcerpt = 160
	before     = 40
	// maxFailureText is how much of a failure's message is shown.
	maxFailureText = 400
)

// Difference is one place in which two JSON documents differ.
type Difference struct {
	// Path is a JSON Pointer (RFC 6901).
	Path string `json:"path"`
	// Want and Got are what stands there, or "nothing".
	Want string `json:"want"`
	Got  string `json:"got"`
}

func (d Difference) String() string {
	return fmt.Sprintf("%s: recorded is %s, now it is %s", d.Path, d.Want, d.Got)
}

// nothing stands for a member or element that is not there.
type nothing struct{}

// diff lists the differences of two objects or two arrays; none if either is something
// else, or if they differ in white space, order or spelling alone.
func diff(want, got []byte) []Difference {
	a, oka := parse(want)
	b, okb := parse(got)
	if !oka || !okb || !isComposite(a) || reflect.TypeOf(a) != reflect.TypeOf(b) {
		return nil
	}
	w := differ{}
	w.walk("", a, b)
	return w.found
}

func isComposite(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

// parse reads one JSON document. Numbers stay as they are written.
func parse(data []byte) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, false
	}
	_, err := d.Token()
	return v, err == io.EOF
}

type differ struct{ found []Difference }

func (w *differ) walk(path string, want, got any) {
	if len(w.found) >= MaxDifferences {
		return
	}
	switch a := want.(type) {
	case map[string]any:
		if b, ok := got.(map[string]any); ok {
			w.members(path, a, b)
			return
		}
	case []any:
		if b, ok := got.([]any); ok {
			w.elements(path, a, b)
			return
		}
	default:
		if !isComposite(got) && want == got {
			return
		}
	}
	d := Difference{Path: path}
	d.Want, d.Got = excerpts(written(want), written(got))
	w.found = append(w.found, d)
}

func (w *differ) members(path string, want, got map[string]any) {
	names := slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for _, all := range []map[string]any{want, got} {
			for name := range maps.Keys(all) {
				if !yield(name) {
					return
				}
			}
		}
	}))
	for _, name := range names {
		w.walk(path+"/"+pointer(name), at(want, name), at(got, name))
	}
}

func at(all map[string]any, name string) any {
	if v, ok := all[name]; ok {
		return v
	}
	return nothing{}
}

// pointer escapes a name for a JSON Pointer.
func pointer(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

func (w *differ) elements(path string, want, got []any) {
	for i := range max(len(want), len(got)) {
		var a, b any = nothing{}, nothing{}
		if i < len(want) {
			a = want[i]
		}
		if i < len(got) {
			b = got[i]
		}
		w.walk(path+"/"+strconv.Itoa(i), a, b)
	}
}

// written is a value as JSON.
func written(v any) string {
	if _, none := v.(nothing); none {
		return ""
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// excerpt is the beginning of a text, as far as it is readable.
func excerpt(text string) string { return window(text, 0) }

// excerpts are two texts around the place where they begin to differ.
func excerpts(a, b string) (string, string) {
	same := 0
	for same < len(a) && same < len(b) && a[same] == b[same] {
		same++
	}
	from := max(0, same-before)
	if len(a) <= maxExcerpt && len(b) <= maxExcerpt {
		from = 0
	}
	return window(a, from), window(b, from)
}

// window is a part of a text, from a byte on, with a mark where something is left out.
func window(text string, from int) string {
	if text == "" {
		return "nothing"
	}
	part := text[min(from, len(text)):]
	lead, rest := "", ""
	if from > 0 {
		lead = "…"
	}
	if len(part) > maxExcerpt {
		part, rest = part[:maxExcerpt], "…"
	}
	if from > 0 || rest != "" {
		part = strings.ToValidUTF8(part, "") // a character may have been cut
	}
	if !utf8.ValidString(part) || strings.ContainsFunc(part, func(r rune) bool { return r < ' ' }) {
		part = strconv.Quote(part)
	}
	return lead + part + rest
}
