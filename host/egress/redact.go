package egress

import (
	"encoding/base64"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// minRedactBytes is the length from which a value is redacted: shorter ones stand in
// ordinary text by chance.
const minRedactBytes = 6

// redactor puts placeholders back where an answer repeats a value that was filled in.
type redactor struct {
	// forms are the ways to write the values, longest first, each with its placeholder.
	forms []struct{ written, mark string }
	// members names members of JSON answers whose values nobody shall see.
	members []string
}

// newRedactor looks for values by their placeholder.
func newRedactor(filled map[string]secret.Text) *redactor {
	r := &redactor{}
	for mark, text := range filled {
		for _, written := range formsOf(text.Reveal()) {
			r.forms = append(r.forms, struct{ written, mark string }{written, mark})
		}
	}
	slices.SortFunc(r.forms, func(a, b struct{ written, mark string }) int {
		if d := len(b.written) - len(a.written); d != 0 {
			return d
		}
		return strings.Compare(a.written+a.mark, b.written+b.mark)
	})
	return r
}

// text returns text with every value replaced by its placeholder.
func (r *redactor) text(text string) string {
	for _, form := range r.forms {
		text = strings.ReplaceAll(text, form.written, form.mark)
	}
	return manifest.Redact(text, r.members)
}

// folded reports whether text holds a value in whatever case.
func (r *redactor) folded(text string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(r.forms, func(form struct{ written, mark string }) bool {
		return strings.Contains(text, strings.ToLower(form.written))
	})
}

// overhang is how many bytes beyond a limit must be read so that no value is cut by it.
func (r *redactor) overhang() int64 {
	if len(r.forms) == 0 {
		return 0
	}
	return int64(len(r.forms[0].written))
}

// formsOf lists the ways in which a server may repeat a value: as it is, in JSON, in a URL,
// in HTML, and in base64 at any place of a longer text.
func formsOf(value string) []string {
	if len(value) < minRedactBytes {
		return nil
	}
	query, path := url.QueryEscape(value), url.PathEscape(value)
	component := strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(query)
	forms := []string{value, query, path, component, lowerEscapes(query), lowerEscapes(path),
		lowerEscapes(component), html.EscapeString(value)}
	forms = append(forms, jsonForms(value)...)
	forms = append(forms, base64Forms(value)...)
	slices.Sort(forms)
	return slices.Compact(forms)
}

// jsonForms lists the ways that JSON libraries escape a text by default: not at all beyond
// need, slashes (PHP), non-ASCII (Python), HTML (Go), and all of these (.NET).
func jsonForms(value string) []string {
	plain := jsonEscape(value)
	slashed := strings.ReplaceAll(plain, "/", `\/`)
	return []string{plain, slashed, asciiEscape(plain, `\u%04x`), asciiEscape(slashed, `\u%04x`),
		goEscaper.Replace(plain), asciiEscape(dotnetEscaper.Replace(plain), `\u%04X`)}
}

var (
	goEscaper     = strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`, "\u2028", `\u2028`, "\u2029", `\u2029`)
	dotnetEscaper = strings.NewReplacer("<", `\u003C`, ">", `\u003E`, "&", `\u0026`, "'", `\u0027`, "+", `\u002B`, "`", `\u0060`,
		`\"`, `\u0022`)
)

// asciiEscape writes every UTF-16 unit of a JSON text's non-ASCII characters by format.
func asciiEscape(text, format string) string {
	var out strings.Builder
	for _, r := range text {
		if r < 0x80 {
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&out, format, unit)
		}
	}
	return out.String()
}

// base64Forms lists the parts of a base64 text that depend on value alone, for each of
// the three ways in which value may fall on groups of three bytes.
func base64Forms(value string) []string {
	var forms []string
	for lead := range 3 {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString(append(make([]byte, lead), value...))
			first := (lead*8 + 5) / 6           // characters with bits of what comes before
			last := (lead + len(value)) * 8 / 6 // whole characters before what comes after
			forms = append(forms, text[first:last])
		}
	}
	return append(forms, base64.StdEncoding.EncodeToString([]byte(value)), base64.URLEncoding.EncodeToString([]byte(value)))
}

// lowerEscapes writes percent-encodings with lower-case digits.
func lowerEscapes(text string) string {
	out := []byte(text)
	for i := 0; i+2 < len(out); i++ {
		if out[i] == '%' {
			copy(out[i+1:], strings.ToLower(string(out[i+1:i+3])))
		}
	}
	return string(out)
}
