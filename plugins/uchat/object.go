package main

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed75a60ee1/patchbay/pdk"
)

// object writes one JSON object.
type object struct{ buf []byte }

func newObject() *object { return &object{buf: append(make([]byte, 0, 512), '{')} }

// key begins a member.
func (o *object) key(name string) {
	if len(o.buf) > 1 {
		o.buf = append(o.buf, ',')
	}
	o.buf = appendQuoted(o.buf, name)
	o.buf = append(o.buf, ':')
}

// text writes a text as it is.
func (o *object) text(name, value string) *object {
	o.key(name)
	o.buf = appendQuoted(o.buf, value)
	return o
}

// words writes a text that somebody else chose, in a document that the host fills
// placeholders into: it can not bring one along.
func (o *object) words(name, value string) *object { return o.text(name, pdk.Inert(value)) }

func (o *object) number(name string, value int64) *object {
	o.key(name)
	o.buf = strconv.AppendInt(o.buf, value, 10)
	return o
}

func (o *object) flag(name string, value bool) *object {
	o.key(name)
	o.buf = strconv.AppendBool(o.buf, value)
	return o
}

// raw writes a value that is JSON already.
func (o *object) raw(name, json string) *object {
	o.key(name)
	o.buf = append(o.buf, json...)
	return o
}

func (o *object) end() string { return string(append(o.buf, '}')) }

func appendQuoted(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s) // the error tells that bytes were replaced, as they should
	return dst
}
