package payload

import (
	"strconv"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// maxNesting is how deep objects and arrays may nest, whatever the limits are.
const maxNesting = 10_000

// maxScannedNames is up to how many names of an object are compared with each other; the
// names of a larger one are kept in a map.
const maxScannedNames = 64

// parser builds the nodes of one document. It does not call itself: what is open is in the
// nodes. While an object or array is open, its next is the node it is in, and its end is
// how many names it has.
//
// Every method that reads goes on from at, and tells by false, or by zero for what it
// read, that the document was refused with err.
type parser struct {
	text   string // with padding
	size   int    // without
	at     int
	limits Limits
	nodes  []node
	open   int // the innermost object or array that is open
	depth  int // how many are open
	values int // how many values were read whole
	err    error

	name  string // of the value to come
	key   nameKey
	named bool                        // whether it has a name
	many  map[int]map[string]struct{} // the names of the open objects that have many
}

// document reads the whole of the text.
func (p *parser) document() {
	if p.skipSpace(0) == p.size {
		p.empty()
		return
	}
	ok := p.value(p.next(0))
	for ok && p.open != none {
		ok = p.child()
	}
	switch {
	case !ok:
	case p.nodes[root].kind != '{':
		p.err = &contract.SyntaxError{Why: "an object is needed"}
	case p.skipSpace(p.at) < p.size:
		p.trailing()
	}
}

// trailing refuses what follows the document.
func (p *parser) trailing() {
	c := p.next(0)
	end := p.at + 1
	switch c {
	case '{', '[':
	case '"':
		end, _ = p.scanText()
	default:
		end = p.scanBare(c)
	}
	p.refuse(end, "something follows the document")
}

// child reads one member or element of the object or array that is open, or its closing
// bracket.
func (p *parser) child() bool {
	var comma byte
	if len(p.nodes) > p.open+1 {
		comma = ','
	}
	c := p.next(comma)
	if c == '}' || c == ']' {
		return p.close(c)
	}
	if p.nodes[p.open].kind == '[' {
		return p.value(c)
	}
	return p.memberName(c) && p.value(p.next(':'))
}

// next finds the first byte of the next name, value or closing bracket, after the comma or
// colon that is needed before it. A bracket needs no comma.
func (p *parser) next(delimiter byte) byte {
	text, at := p.text, p.at
	c := text[at]
	if c <= ' ' {
		at = p.skipSpace(at)
		c = text[at]
	}
	if c != delimiter || delimiter == 0 {
		return p.undelimited(at, c, delimiter)
	}
	after := at + 1
	c = text[after]
	if c <= ' ' {
		if after = p.skipSpace(after); after == p.size {
			p.endsAt(after, inOpen)
			return 0
		}
		c = text[after]
	}
	if delimiter == ',' && (c == '}' || c == ']') {
		p.invalid(at, inOpen)
		return 0
	}
	p.at = after
	return c
}

// undelimited is next where no delimiter stands, or another one, but c.
func (p *parser) undelimited(at int, c, delimiter byte) byte {
	switch {
	case c == '}' || c == ']':
		if delimiter == ':' {
			p.invalid(at, inOpen)
			return 0
		}
	case at == p.size:
		p.endsAt(at, inOpen)
		return 0
	case delimiter != 0 || c == ',' || c == ':':
		p.invalid(at, inOpen)
		return 0
	}
	p.at = at
	return c
}

// skipSpace returns where white space that begins at a byte ends.
func (p *parser) skipSpace(at int) int {
	text := p.text
	for {
		switch text[at] {
		case ' ', '\n', '\r', '\t':
			at++
		default:
			return at
		}
	}
}

// value reads the value that begins with c, or the opening bracket of one.
func (p *parser) value(c byte) bool {
	var end int
	var escaped bool
	switch {
	case c == '"':
		end, escaped = p.scanText()
	case c == '{' || c == '[':
		return p.begin(c)
	case c == ']' && p.named:
		p.named = false // the bracket is what is wrong, not the member
		return p.invalid(p.at, inOpen)
	default:
		end = p.scanBare(c)
		if c == '-' || isDigit(c) {
			c = '0'
		}
	}
	if end == 0 {
		return false
	}
	n := p.grow()
	n.kind, n.escaped, n.end, n.next = c, escaped, end, len(p.nodes)
	p.at = end
	p.named = false
	if p.values++; p.values > p.limits.MaxValues {
		return p.tooMany()
	}
	return true
}

// grow returns a new node, with the name that was read and where it starts.
func (p *parser) grow() *node {
	size := len(p.nodes)
	if size < cap(p.nodes) {
		p.nodes = p.nodes[:size+1]
	} else {
		p.nodes = append(p.nodes, node{})
	}
	n := &p.nodes[size]
	n.name, n.key, n.start = p.name, p.key, p.at
	p.name, p.key = "", 0
	return n
}

// begin reads an opening bracket.
func (p *parser) begin(bracket byte) bool {
	if p.depth++; p.depth > maxNesting {
		return p.invalid(p.at, inNext)
	}
	n := p.grow()
	n.kind, n.next = bracket, p.open
	p.open = len(p.nodes) - 1
	p.at++
	p.named = false
	if p.depth > p.limits.MaxDepth {
		return p.refuse(p.at, "arrays and objects nest deeper than "+strconv.Itoa(p.limits.MaxDepth))
	}
	return true
}

// close reads a closing bracket.
func (p *parser) close(bracket byte) bool {
	n := &p.nodes[p.open]
	if bracket != n.kind+2 { // in ASCII
		return p.mismatch()
	}
	if n.end > maxScannedNames {
		delete(p.many, p.open)
	}
	p.at++
	p.open, n.next, n.end = n.next, len(p.nodes), p.at
	p.depth--
	if p.values++; p.values > p.limits.MaxValues {
		return p.tooMany()
	}
	return true
}

// memberName reads a name of the object that is open, which begins with c.
func (p *parser) memberName(c byte) bool {
	if c != '"' {
		return p.notName(c)
	}
	end, escaped := p.scanText()
	if end == 0 {
		return false
	}
	name := p.text[p.at+1 : end-1]
	if escaped {
		name = unescape(name)
	}
	key := keyOf(name)
	if !p.isNew(name, key) {
		return p.duplicate(name)
	}
	p.name, p.key, p.named = name, key, true
	p.at = end
	return true
}

// isNew notes a name of the object that is open, and tells whether it had none such.
func (p *parser) isNew(name string, key nameKey) bool {
	object := &p.nodes[p.open]
	object.end++
	if object.end > maxScannedNames {
		return p.isNewOfMany(name)
	}
	for i := p.open + 1; i < len(p.nodes); i = p.nodes[i].next {
		if n := &p.nodes[i]; n.key == key && n.name == name {
			return false
		}
	}
	return true
}

// isNewOfMany is isNew for an object of many names, so that a hostile one costs no more
// than many small ones.
func (p *parser) isNewOfMany(name string) bool {
	names := p.many[p.open]
	if names == nil {
		names = make(map[string]struct{}, 2*maxScannedNames)
		for i := p.open + 1; i < len(p.nodes); i = p.nodes[i].next {
			names[p.nodes[i].name] = struct{}{}
		}
		if p.many == nil {
			p.many = make(map[int]map[string]struct{})
		}
		p.many[p.open] = names
	}
	before := len(names)
	names[name] = struct{}{}
	return len(names) > before
}
