package contract

import (
	"encoding/base64"
	"strconv"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed75a60ee1/patchbay/pdk/internal/words"
)

// reader walks one JSON value that the tokenizer found valid, so it looks for types, not
// for syntax. Texts that it hands out are parts of doc.
type reader struct {
	doc      string
	at       int
	elements int // of all lists so far
}

// maxElements is how many elements all lists of a document may have together. A few
// megabytes of {} would otherwise become half a gigabyte of Go, before anybody looks at
// how many there may be.
const maxElements = 50_000

// peek returns the first byte of what follows: a value, a comma or a closing bracket.
func (r *reader) peek() byte {
	for {
		switch c := r.doc[r.at]; c {
		case ' ', '\t', '\n', '\r', ',', ':':
			r.at++
		default:
			return c
		}
	}
}

// begin reads the bracket that opens an object or array.
func (r *reader) begin(bracket byte) error {
	if r.peek() != bracket {
		return r.wrongType(bracket)
	}
	r.at++
	return nil
}

// end reads a closing bracket, and tells whether there was one.
func (r *reader) end() bool {
	if c := r.peek(); c != '}' && c != ']' {
		return false
	}
	r.at++
	return true
}

// plain reads the string that comes next, if it is ASCII without escapes and no white space
// stands before it. Nearly every string is such a one, and costs a guest a third of what
// peek and quoted do. It reads nothing otherwise.
func (r *reader) plain() (s string, ok bool) {
	doc, at := r.doc, r.at
	if c := doc[at]; c == ',' || c == ':' {
		at++
	}
	if doc[at] != '"' {
		return "", false
	}
	at++
	for start := at; at+words.Bytes <= len(doc); {
		n := words.Plain(words.At(doc, at))
		at += n
		if n == words.Bytes {
			continue
		}
		if doc[at] != '"' {
			break
		}
		r.at = at + 1
		return doc[start:at], true
	}
	return "", false
}

// name reads the name of the next member, which is not plain; more is false at the object's
// end, which is then read.
func (r *reader) name() (name string, more bool) {
	if r.end() {
		return "", false
	}
	return r.quoted(), true
}

// quoted reads the string that begins here.
func (r *reader) quoted() string {
	start := r.at
	if r.skipQuoted() {
		return unquote(r.doc[start:r.at])
	}
	return r.doc[start+1 : r.at-1]
}

// unquote returns what a string with escapes means. The tokenizer checked it.
func unquote(quoted string) string {
	inner := quoted[1 : len(quoted)-1]
	text, n := make([]byte, len(inner)+words.Bytes), 0 // with room for a word too many
	for i := 0; i < len(inner); i++ {
		for i+words.Bytes <= len(inner) {
			copy(text[n:n+words.Bytes], inner[i:i+words.Bytes])
			plain := words.Plain(words.At(inner, i))
			i += plain
			n += plain
			if plain < words.Bytes {
				break
			}
		}
		if i == len(inner) {
			break
		}
		c := inner[i]
		if c == '\\' {
			i++
			if inner[i] == 'u' { // rare
				text, _ := jsontext.AppendUnquote(nil, quoted)
				return string(text)
			}
			c = words.Unescaped(inner[i])
		}
		text[n] = c
		n++
	}
	return unsafe.String(unsafe.SliceData(text), n) // nobody else has it
}

// skipQuoted reads over the string that begins here, and tells whether it has an escape.
func (r *reader) skipQuoted() (escaped bool) {
	doc, at := r.doc, r.at+1
	for {
		for at+words.Bytes <= len(doc) {
			n := words.Plain(words.At(doc, at))
			at += n
			if n < words.Bytes {
				break
			}
		}
		switch doc[at] {
		case '"':
			r.at = at + 1
			return escaped
		case '\\':
			escaped = true
			at += 2
		default:
			for at++; doc[at] >= utf8.RuneSelf; at++ {
			}
		}
	}
}

// skip reads over the next value.
func (r *reader) skip() {
	for depth := 0; ; {
		switch r.peek() {
		case '"':
			r.skipQuoted()
		case '{', '[':
			depth++
			r.at++
		case '}', ']':
			depth--
			r.at++
		default:
			r.literal()
		}
		if depth == 0 {
			return
		}
	}
}

// literal reads the number, true, false or null that begins here.
func (r *reader) literal() string {
	start := r.at
	for ; r.at < len(r.doc); r.at++ {
		if c := r.doc[r.at]; c == ',' || c == ']' || c == '}' || c <= ' ' {
			break
		}
	}
	return r.doc[start:r.at]
}

// absent reads a null, and tells whether there was one.
func (r *reader) absent() bool {
	if r.peek() != 'n' {
		return false
	}
	r.at += len("null")
	return true
}

// text reads a string.
func (r *reader) text() (string, error) {
	if s, ok := r.plain(); ok {
		return s, nil
	}
	if r.peek() != '"' {
		return "", r.wrongType('"')
	}
	return r.quoted(), nil
}

func decodeString[T ~string](r *reader, dst *T) error {
	if s, ok := r.plain(); ok {
		*dst = T(s)
		return nil
	}
	if r.absent() {
		return nil
	}
	s, err := r.text()
	*dst = T(s)
	return err
}

func decodeInt(r *reader, dst *int64) error {
	if r.absent() {
		return nil
	}
	if c := r.peek(); c != '-' && (c < '0' || c > '9') {
		return r.wrongType('0')
	}
	start := r.at
	n, err := strconv.ParseInt(r.literal(), 10, 64)
	if err != nil {
		return wrongValue(start, "a whole number from -2^63 to 2^63-1, without point and exponent, is needed")
	}
	*dst = n
	return nil
}

func decodeBool(r *reader, dst *bool) error {
	if r.absent() {
		return nil
	}
	c := r.peek()
	if c != 't' && c != 'f' {
		return r.wrongType('t')
	}
	r.literal()
	*dst = c == 't'
	return nil
}

func decodeTime(r *reader, dst *time.Time) error {
	if r.absent() {
		return nil
	}
	s, err := r.text()
	if err != nil {
		return err
	}
	if dst.UnmarshalText([]byte(s)) != nil {
		return wrongValue(r.at-1, `a time as in RFC 3339 is needed, such as "2026-01-31T09:30:00Z"`)
	}
	return nil
}

func decodeBytes(r *reader, dst *[]byte) error {
	if r.absent() {
		return nil
	}
	s, err := r.text()
	if err != nil {
		return err
	}
	if *dst, err = base64.StdEncoding.DecodeString(s); err != nil {
		return wrongValue(r.at-1, "base64 (RFC 4648 section 4, with padding) is needed")
	}
	return nil
}

func decodeRaw(r *reader, dst *RawJSON) error {
	if r.absent() {
		return nil
	}
	start := r.at
	r.skip()
	raw := RawJSON(r.doc[start:r.at])
	if tooDeep(raw, MaxRawDepth) {
		return wrongValue(start, "arrays and objects of a raw value nest deeper than 48")
	}
	*dst = raw
	return nil
}

func decodeMap(r *reader, dst *map[string]string) error {
	if r.absent() {
		return nil
	}
	if err := r.begin('{'); err != nil {
		return err
	}
	var pairs [16]struct{ key, value string } // so that a map is made as large as it gets
	n := 0
	for ; n < len(pairs); n++ {
		key, value, more, err := r.pair()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		pairs[n].key, pairs[n].value = key, value
	}
	m := make(map[string]string, n)
	for _, p := range pairs[:n] {
		m[p.key] = p.value
	}
	*dst = m
	for n == len(pairs) {
		key, value, more, err := r.pair()
		if err != nil || !more {
			return err
		}
		m[key] = value
	}
	return nil
}

// pair reads the next member of an object of strings; more is false at its end.
func (r *reader) pair() (key, value string, more bool, err error) {
	if key, more = r.plain(); !more {
		if key, more = r.name(); !more {
			return "", "", false, nil
		}
	}
	value, err = r.text()
	return key, value, true, err
}

func decodeStrings[T ~string](r *reader, dst *[]T) error {
	return decodeArray(r, dst, func(element *T, r *reader) error {
		s, err := r.text()
		*element = T(s)
		return err
	})
}

// firstElementsBytes is how much room a list has before it grows, if its elements are small.
const firstElementsBytes = 256

func decodeArray[T any](r *reader, dst *[]T, decode func(*T, *reader) error) error {
	if r.absent() {
		return nil
	}
	if err := r.begin('['); err != nil {
		return err
	}
	list := make([]T, 0, max(4, firstElementsBytes/max(unsafe.Sizeof(*new(T)), 1)))
	for !r.end() {
		if r.elements++; r.elements > maxElements {
			return wrongValue(r.at, "the lists of a document may have "+strconv.Itoa(maxElements)+" elements together")
		}
		list = append(list, *new(T))
		if err := decode(&list[len(list)-1], r); err != nil {
			return err
		}
	}
	*dst = list
	return nil
}

func decodeStruct[T any](r *reader, dst *T, decode func(*T, *reader) error) error {
	if r.absent() {
		return nil
	}
	return decode(dst, r)
}

func decodePointer[T any](r *reader, dst **T, decode func(*T, *reader) error) error {
	if r.absent() {
		return nil
	}
	*dst = new(T)
	return decode(*dst, r)
}
