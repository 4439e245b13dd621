package payload

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Object is one JSON object of a document. The zero Object is empty.
type Object struct {
	shared *shared
	node   *node // nil if it is absent
	path   string
	fold   bool
}

// shared is what the objects of one document have in common.
type shared struct{ err error }

// Err returns the first thing that was wrong with what was read so far, from this or any
// other object of the document: a [*contract.SyntaxError], or nil.
func (o Object) Err() error {
	if o.shared == nil {
		return nil
	}
	return o.shared.err
}

// Fold returns the object with names read regardless of case (ASCII), for platforms that
// are of two minds. A name in the case asked for goes before; two others are an error.
func (o Object) Fold() Object {
	o.fold = true
	return o
}

// Present tells whether the object itself was there.
func (o Object) Present() bool { return o.node != nil }

// Has tells whether there is a field of that name that is not null.
func (o Object) Has(name string) bool { return o.find(name) != nil }

// Names lists the object's names in the order they came.
func (o Object) Names() []string {
	if o.node == nil {
		return nil
	}
	names := make([]string, len(o.node.members))
	for i, m := range o.node.members {
		names[i] = m.name
	}
	return names
}

// String returns a text.
func (o Object) String(name string) string {
	n := o.find(name)
	if n == nil {
		return ""
	}
	if n.kind != '"' {
		o.blame(n, o.at(name), "a text is needed")
		return ""
	}
	return n.text()
}

// Identifier returns a text, or a whole number in its digits: platforms are of two minds
// about ids.
func (o Object) Identifier(name string) string {
	n := o.find(name)
	if n == nil {
		return ""
	}
	if n.kind == '0' && !bytes.ContainsAny(n.raw, ".eE") {
		return string(n.raw)
	}
	if n.kind != '"' {
		o.blame(n, o.at(name), "a text or a whole number is needed")
		return ""
	}
	return n.text()
}

// Bool returns true or false.
func (o Object) Bool(name string) bool {
	n := o.find(name)
	if n != nil && n.kind != 't' && n.kind != 'f' {
		o.blame(n, o.at(name), "true or false is needed")
	}
	return n != nil && n.kind == 't'
}

// Int returns a whole number of 64 bits. One with a point or an exponent is none.
func (o Object) Int(name string) int64 {
	n := o.find(name)
	if n == nil {
		return 0
	}
	value, err := strconv.ParseInt(string(n.raw), 10, 64)
	if n.kind != '0' || err != nil {
		o.blame(n, o.at(name), "a whole number is needed")
		return 0
	}
	return value
}

// Float returns a number, rounded to 64 bits.
func (o Object) Float(name string) float64 {
	n := o.find(name)
	if n == nil {
		return 0
	}
	value, err := strconv.ParseFloat(string(n.raw), 64)
	if n.kind != '0' || err != nil {
		o.blame(n, o.at(name), "a number of usual size is needed")
		return 0
	}
	return value
}

// Object returns an object; it is empty if there is none.
func (o Object) Object(name string) Object {
	n := o.find(name)
	if n != nil && n.kind != '{' {
		o.blame(n, o.at(name), "an object is needed")
		n = nil
	}
	return o.child(n, o.at(name))
}

// Objects returns an array of objects.
func (o Object) Objects(name string) []Object {
	items := o.array(name)
	list := make([]Object, 0, len(items))
	for i, n := range items {
		path := o.at(name) + "[" + strconv.Itoa(i) + "]"
		if n.kind != '{' {
			o.blame(n, path, "an object is needed")
			return nil
		}
		list = append(list, o.child(n, path))
	}
	return list
}

// Strings returns an array of texts.
func (o Object) Strings(name string) []string {
	items := o.array(name)
	list := make([]string, 0, len(items))
	for i, n := range items {
		if n.kind != '"' {
			o.blame(n, o.at(name)+"["+strconv.Itoa(i)+"]", "a text is needed")
			return nil
		}
		list = append(list, n.text())
	}
	return list
}

// Raw returns a copy of a value of any type, as it stands; nil if there is none.
func (o Object) Raw(name string) contract.RawJSON {
	n := o.find(name)
	if n == nil {
		return nil
	}
	return bytes.Clone(n.raw)
}

// array returns the items of an array.
func (o Object) array(name string) []*node {
	n := o.find(name)
	if n == nil {
		return nil
	}
	if n.kind != '[' {
		o.blame(n, o.at(name), "an array is needed")
	}
	return n.items
}

// find returns the value of a name, or nil if there is none or it is null.
func (o Object) find(name string) *node {
	if o.node == nil {
		return nil
	}
	var found *node
	for _, m := range o.node.members {
		switch {
		case m.name == name:
			return m.value.orNil()
		case !o.fold || !strings.EqualFold(m.name, name) || !isASCII(m.name):
		case found != nil:
			o.blame(m.value, o.at(name), "the name stands twice, in different case")
		default:
			found = m.value
		}
	}
	return found.orNil()
}

// isASCII keeps the Kelvin sign and its like from passing for letters.
func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

// orNil is n, unless it is null.
func (n *node) orNil() *node {
	if n == nil || n.kind == 'n' {
		return nil
	}
	return n
}

// text returns what a string means.
func (n *node) text() string {
	text, _ := jsontext.AppendUnquote(nil, n.raw) // the parser checked it
	return string(text)
}

func (o Object) child(n *node, path string) Object {
	return Object{shared: o.shared, node: n, path: path, fold: o.fold}
}

// at is the path of a field.
func (o Object) at(name string) string {
	if o.path == "" {
		return name
	}
	return o.path + "." + name
}

// blame keeps the first thing that is wrong.
func (o Object) blame(n *node, path, why string) {
	if o.shared.err == nil {
		o.shared.err = &contract.SyntaxError{Offset: n.start, Path: path, Why: why}
	}
}
