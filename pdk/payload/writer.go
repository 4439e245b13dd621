package payload

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed75a60ee1/patchbay/pdk"
)

// Writer writes one JSON object, member by member; make one with [New]. It does not look
// for names that are written twice.
type Writer struct{ buf []byte }

// New begins an object.
func New() *Writer { return &Writer{buf: append(make([]byte, 0, 512), '{')} }

// key begins a member.
func (w *Writer) key(name string) {
	if len(w.buf) > 1 {
		w.buf = append(w.buf, ',')
	}
	w.buf = AppendQuoted(w.buf, name)
	w.buf = append(w.buf, ':')
}

// Text writes a text as it is. Where the host fills in placeholders, as in the body of a
// request, it fills in those of the text, too; see [Writer.Words].
func (w *Writer) Text(name, value string) *Writer {
	w.key(name)
	w.buf = AppendQuoted(w.buf, value)
	return w
}

// Words writes a text that somebody else chose, in a document that the host fills
// placeholders into: it can not bring one along ([pdk.Inert]).
func (w *Writer) Words(name, value string) *Writer { return w.Text(name, pdk.Inert(value)) }

// Number writes a whole number.
func (w *Writer) Number(name string, value int64) *Writer {
	w.key(name)
	w.buf = strconv.AppendInt(w.buf, value, 10)
	return w
}

// Flag writes true or false.
func (w *Writer) Flag(name string, value bool) *Writer {
	w.key(name)
	w.buf = strconv.AppendBool(w.buf, value)
	return w
}

// Raw writes a value that is JSON already; it is not looked at.
func (w *Writer) Raw(name, json string) *Writer {
	w.key(name)
	w.buf = append(w.buf, json...)
	return w
}

// Len is how many bytes have been written so far.
func (w *Writer) Len() int { return len(w.buf) }

// End returns the object. Nothing is written after it.
func (w *Writer) End() string { return string(append(w.buf, '}')) }

// AppendQuoted appends a text as JSON. What is no UTF-8 in it becomes U+FFFD.
func AppendQuoted(dst []byte, text string) []byte {
	dst, _ = jsontext.AppendQuote(dst, text) // the error tells that bytes were replaced, as they should
	return dst
}
