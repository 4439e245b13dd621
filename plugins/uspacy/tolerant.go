package main

import (
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

// The readers below take what Uspacy writes as it comes: numbers may be texts, texts numbers, and
// what is of no use reads as nothing. So one odd field never costs a message.

// textOf reads a text or a number.
func textOf(o payload.Object, name string) string {
	raw := o.Raw(name)
	switch raw.Kind() {
	case '"':
		return o.String(name)
	case '0':
		return string(raw)
	}
	return ""
}

// numberOf reads a whole number, in digits or as a text; 0 if there is none.
func numberOf(o payload.Object, name string) int64 {
	text := textOf(o, name)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f < -1e15 || f > 1e15 {
		return 0
	}
	return int64(f)
}

// millisOf reads a time in milliseconds; one that can only be seconds is taken as such.
func millisOf(o payload.Object, name string) int64 {
	n := numberOf(o, name)
	if n > 0 && n < 1e11 {
		return n * 1000
	}
	return n
}

// objectOf reads an object; it is empty if there is none.
func objectOf(o payload.Object, name string) payload.Object {
	if o.Raw(name).Kind() != '{' {
		return payload.Object{}
	}
	return o.Object(name)
}

// objectsOf reads the objects of an array. One with anything else in it has none.
func objectsOf(o payload.Object, name string) []payload.Object {
	if o.Raw(name).Kind() != '[' {
		return nil
	}
	return o.Objects(name)
}

// bare writes the braces of a JSON text as themselves, where they were written as escapes: what
// is looked for placeholders is then what will be read.
func bare(json string) string {
	if !strings.Contains(json, `\u007`) {
		return json
	}
	var b strings.Builder
	for i := 0; i < len(json); i++ {
		switch {
		case json[i] != '\\' || i+1 == len(json):
			b.WriteByte(json[i])
		case i+6 <= len(json) && strings.EqualFold(json[i:i+6], `\u007b`):
			b.WriteByte('{')
			i += 5
		default:
			b.WriteString(json[i : i+2])
			i++
		}
	}
	return b.String()
}
