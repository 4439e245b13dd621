package payload

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Object is one JSON object of a document. The zero Object is empty.
type Object struct {
	doc  *document
	node int // none if it is absent
	// Its path is put together when it is needed. An object that is no element has index 0,
	// and element 0 has index 1.
	parent string
	name   string
	index  int
	fold   bool
}

// Err returns the first thing that was wrong with what was read so far, from this or any
// other object of the document: a [*contract.SyntaxError], or nil.
func (o Object) Err() error {
	if o.doc == nil {
		return nil
	}
	return o.doc.err
}

// Fold returns the object with names read regardless of case (ASCII), for platforms that
// are of two minds. A name in the case asked for goes before; two others are an error.
func (o Object) Fold() Object {
	o.fold = true
	return o
}

// Present tells whether the object itself was there.
func (o Object) Present() bool { return o.node != none }

// Has tells whether there is a field of that name that is not null.
func (o Object) Has(name string) bool { return o.find(name) != none }

// Names lists the object's names in the order they came.
func (o Object) Names() []string {
	if o.node == none {
		return nil
	}
	names := make([]string, 0, o.doc.count(o.node))
	for member := range o.doc.children(o.node) {
		names = append(names, o.doc.nodes[member].name)
	}
	return names
}

// String returns a text.
func (o Object) String(name string) string {
	value := o.find(name)
	if value == none {
		return ""
	}
	if o.doc.nodes[value].kind != '"' {
		o.blame(value, o.at(name), "a text is needed")
		return ""
	}
	return o.doc.meaning(value)
}

// Identifier returns a text, or a whole number in its digits: platforms are of two minds
// about ids.
func (o Object) Identifier(name string) string {
	value := o.find(name)
	if value == none {
		return ""
	}
	switch o.doc.nodes[value].kind {
	case '"':
		return o.doc.meaning(value)
	case '0':
		if raw := o.doc.raw(value); !strings.ContainsAny(raw, ".eE") {
			return raw
		}
	}
	o.blame(value, o.at(name), "a text or a whole number is needed")
	return ""
}

// Bool returns true or false.
func (o Object) Bool(name string) bool {
	value := o.find(name)
	if value == none {
		return false
	}
	kind := o.doc.nodes[value].kind
	if kind != 't' && kind != 'f' {
		o.blame(value, o.at(name), "true or false is needed")
	}
	return kind == 't'
}

// Int returns a whole number of 64 bits. One with a point or an exponent is none.
func (o Object) Int(name string) int64 {
	value := o.find(name)
	if value == none {
		return 0
	}
	number, err := strconv.ParseInt(o.doc.raw(value), 10, 64)
	if o.doc.nodes[value].kind != '0' || err != nil {
		o.blame(value, o.at(name), "a whole number is needed")
		return 0
	}
	return number
}

// Float returns a number, rounded to 64 bits.
func (o Object) Float(name string) float64 {
	value := o.find(name)
	if value == none {
		return 0
	}
	number, err := strconv.ParseFloat(o.doc.raw(value), 64)
	if o.doc.nodes[value].kind != '0' || err != nil {
		o.blame(value, o.at(name), "a number of usual size is needed")
		return 0
	}
	return number
}

// Object returns an object; it is empty if there is none.
func (o Object) Object(name string) Object {
	value := o.find(name)
	if value != none && o.doc.nodes[value].kind != '{' {
		o.blame(value, o.at(name), "an object is needed")
		value = none
	}
	return Object{doc: o.doc, node: value, parent: o.path(), name: name, fold: o.fold}
}

// Objects returns an array of objects.
func (o Object) Objects(name string) []Object {
	array := o.array(name)
	if array == none {
		return []Object{}
	}
	list := make([]Object, 0, o.doc.count(array))
	parent := o.path()
	for element := range o.doc.children(array) {
		object := Object{doc: o.doc, node: element, parent: parent, name: name, index: len(list) + 1, fold: o.fold}
		if o.doc.nodes[element].kind != '{' {
			o.blame(element, object.path(), "an object is needed")
			return nil
		}
		list = append(list, object)
	}
	return list
}

// Strings returns an array of texts.
func (o Object) Strings(name string) []string {
	array := o.array(name)
	if array == none {
		return []string{}
	}
	list := make([]string, 0, o.doc.count(array))
	for element := range o.doc.children(array) {
		if o.doc.nodes[element].kind != '"' {
			o.blame(element, o.at(name)+"["+strconv.Itoa(len(list))+"]", "a text is needed")
			return nil
		}
		list = append(list, o.doc.meaning(element))
	}
	return list
}

// Raw returns a copy of a value of any type, as it stands; nil if there is none.
func (o Object) Raw(name string) contract.RawJSON {
	value := o.find(name)
	if value == none {
		return nil
	}
	return contract.RawJSON(o.doc.raw(value))
}

// array returns an array, or none.
func (o Object) array(name string) int {
	value := o.find(name)
	if value != none && o.doc.nodes[value].kind != '[' {
		o.blame(value, o.at(name), "an array is needed")
		return none
	}
	return value
}

// find returns the value of a name, or none if there is none or it is null.
func (o Object) find(name string) int {
	if o.node == none {
		return none
	}
	nodes, key := o.doc.nodes, keyOf(name)
	sameLength := o.fold && isASCII(name)
	found := none
	for i, end := o.node+1, nodes[o.node].next; i < end; i = nodes[i].next {
		switch n := &nodes[i]; {
		case n.key == key && n.name == name:
			return o.orNone(i)
		case !o.fold || sameLength && len(n.name) != len(name) || !strings.EqualFold(n.name, name) || !isASCII(n.name):
		case found != none:
			o.blame(i, o.at(name), "the name stands twice, in different case")
		default:
			found = i
		}
	}
	return o.orNone(found)
}

// isASCII keeps the Kelvin sign and its like from passing for letters.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// orNone is a value, unless it is null.
func (o Object) orNone(value int) int {
	if o.doc.nodes[value].kind == 'n' {
		return none
	}
	return value
}

// path is the path of the object.
func (o Object) path() string {
	path := joined(o.parent, o.name)
	if o.index > 0 {
		path += "[" + strconv.Itoa(o.index-1) + "]"
	}
	return path
}

// at is the path of a field.
func (o Object) at(name string) string { return joined(o.path(), name) }

func joined(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// blame keeps the first thing that is wrong.
func (o Object) blame(value int, path, why string) {
	if o.doc.err == nil {
		o.doc.err = &contract.SyntaxError{Offset: int64(o.doc.nodes[value].start), Path: path, Why: why}
	}
}
