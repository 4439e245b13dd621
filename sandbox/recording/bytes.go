package recording

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Bytes are bytes that a person can read in a recording as far as they are text, and that
// come back exactly. A JSON document without white space between its tokens is written as
// {"json": …}, other text as a string, everything else as {"base64": "…"}, and nil as
// null.
type Bytes []byte

const (
	formJSON   = "json"
	formBase64 = "base64"
	// maxInlineDepth is how deep a document may nest that is written as one.
	maxInlineDepth = 100
)

// MarshalJSONTo writes b in the form that suits it.
func (b Bytes) MarshalJSONTo(e *jsontext.Encoder) error {
	switch {
	case b == nil:
		return e.WriteToken(jsontext.Null)
	case isDocument(b):
		return writeForm(e, formJSON, jsontext.Value(b))
	case isText(b):
		return e.WriteToken(jsontext.String(string(b)))
	}
	quoted, err := jsontext.AppendQuote(nil, base64.StdEncoding.EncodeToString(b))
	if err != nil {
		return err
	}
	return writeForm(e, formBase64, quoted)
}

func writeForm(e *jsontext.Encoder, form string, value jsontext.Value) error {
	for _, t := range []jsontext.Token{jsontext.BeginObject, jsontext.String(form)} {
		if err := e.WriteToken(t); err != nil {
			return err
		}
	}
	if err := e.WriteValue(value); err != nil {
		return err
	}
	return e.WriteToken(jsontext.EndObject)
}

// isDocument reports whether b is an object or array that comes back from JSON as it is.
func isDocument(b []byte) bool {
	if len(b) == 0 || b[0] != '{' && b[0] != '[' || tooDeep(b) {
		return false
	}
	compact := jsontext.Value(bytes.Clone(b))
	return compact.IsValid() && compact.Compact() == nil && bytes.Equal(compact, b)
}

func tooDeep(b []byte) bool {
	depth := 0 // or more, if there are brackets in strings
	for _, c := range b {
		switch c {
		case '{', '[':
			if depth++; depth > maxInlineDepth {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}

// isText reports whether b is UTF-8 and few of its characters need six to be written.
func isText(b []byte) bool {
	controls := 0
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			controls++
		}
	}
	return controls <= len(b)/8 && utf8.Valid(b)
}

// UnmarshalJSONFrom reads any of the forms.
func (b *Bytes) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	switch d.PeekKind() {
	case 'n', '"':
		t, err := d.ReadToken()
		if *b = nil; err == nil && t.Kind() == '"' {
			*b = append(Bytes{}, t.String()...)
		}
		return err
	case '{':
		return b.readForm(d)
	}
	if err := d.SkipValue(); err != nil {
		return err
	}
	return fmt.Errorf("it is neither null, nor a string, nor {%q: …}, nor {%q: …}", formJSON, formBase64)
}

func (b *Bytes) readForm(d *jsontext.Decoder) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	name, err := d.ReadToken()
	if err != nil {
		return err
	}
	form := name.String()
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	switch {
	case form == formJSON:
		*b, err = readDocument(value)
	case form == formBase64 && value.Kind() == '"':
		*b, err = readBase64(value)
	default:
		err = fmt.Errorf("%q is no form of bytes: write {%q: …} or {%q: \"…\"}", form, formJSON, formBase64)
	}
	if err != nil {
		return err
	}
	if end, err := d.ReadToken(); err != nil || end.Kind() != '}' {
		return fmt.Errorf("%q stands beside something else: %w", form, err)
	}
	return nil
}

func readDocument(value jsontext.Value) ([]byte, error) {
	document := value.Clone()
	err := document.Compact()
	return document, err
}

func readBase64(value jsontext.Value) ([]byte, error) {
	text, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.Strict().AppendDecode([]byte{}, text)
}

// Seed is what randomness comes from, written in hexadecimal digits.
type Seed [32]byte

// MarshalText writes 64 digits.
func (s Seed) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, s[:]), nil }

// UnmarshalText reads 64 digits.
func (s *Seed) UnmarshalText(text []byte) error {
	raw, err := hex.AppendDecode(nil, text)
	if err != nil || len(raw) != len(s) {
		return fmt.Errorf("a seed is %d hexadecimal digits, and %.80q is not", 2*len(s), text)
	}
	copy(s[:], raw)
	return nil
}
