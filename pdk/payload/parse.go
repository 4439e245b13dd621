package payload

import (
	"iter"
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/internal/words"
)

// Limits bound a document. Zero means the default.
type Limits struct {
	// MaxBytes is the longest document, in bytes; by default 1 MiB.
	MaxBytes int
	// MaxDepth is how deep objects and arrays may nest; by default 32, and never more
	// than 10,000.
	MaxDepth int
	// MaxValues is how many values there may be, names not counted; by default 20,000.
	MaxValues int
}

func (l Limits) orDefaults() Limits {
	set := func(limit *int, fallback int) {
		if *limit == 0 {
			*limit = fallback
		}
	}
	set(&l.MaxBytes, 1<<20)
	set(&l.MaxDepth, 32)
	set(&l.MaxValues, 20_000)
	return l
}

// Parse reads one JSON object. It copies body once; the texts that are read from the
// object share that copy, which lives as long as any of them. Its error is a
// [*contract.SyntaxError], which quotes no values.
func Parse(body []byte, limits Limits) (Object, error) {
	limits = limits.orDefaults()
	if len(body) > limits.MaxBytes {
		return Object{}, &contract.SyntaxError{Why: "it has more than " + strconv.Itoa(limits.MaxBytes) + " bytes"}
	}
	p := parser{text: padded(body), size: len(body), limits: limits}
	p.nodes = make([]node, 1, min(2+len(body)/24, mostNodesAtFirst))
	p.document()
	if p.err != nil {
		return Object{}, p.err
	}
	return Object{doc: &document{text: p.text, nodes: p.nodes}, node: root}, nil
}

// document is what the objects of one document have in common.
type document struct {
	text  string // with padding
	nodes []node
	err   error // the first thing that was wrong with what was read
}

// node is one value of a document. The nodes of a document follow each other as their
// values do, so that the first child comes right after its object or array.
type node struct {
	kind    byte    // its first byte, but '0' for every number
	escaped bool    // it is a text that has an escape
	key     nameKey // of name
	name    string  // in its object
	start   int     // where it begins in the document
	end     int     // and ends
	next    int     // the node after this one and all that is in it
}

// nameKey is the same for the same names and seldom for others, so that most are told
// apart without a look at them.
type nameKey uint32

func keyOf(name string) nameKey {
	if name == "" {
		return 0
	}
	return nameKey(len(name))<<16 | nameKey(name[0])<<8 | nameKey(name[len(name)-1])
}

// The first nodes of every document.
const (
	none = iota // stands for what is absent
	root
)

// mostNodesAtFirst bounds how many nodes there is room for before the first is read.
const mostNodesAtFirst = 128

// raw is a value as it stands.
func (d *document) raw(i int) string { return d.text[d.nodes[i].start:d.nodes[i].end] }

// meaning is what a text says.
func (d *document) meaning(i int) string {
	n := &d.nodes[i]
	text := d.text[n.start+1 : n.end-1]
	if n.escaped {
		return unescape(text)
	}
	return text
}

// children are the members or elements of an object or array.
func (d *document) children(i int) iter.Seq[int] {
	return func(yield func(child int) bool) {
		for child := i + 1; child < d.nodes[i].next; child = d.nodes[child].next {
			if !yield(child) {
				return
			}
		}
	}
}

// count counts them.
func (d *document) count(i int) int {
	count := 0
	for range d.children(i) {
		count++
	}
	return count
}

// padded copies body to a text that ends in a word of zeros. Since no zero may stand in
// JSON, the parser looks ahead without asking whether the text ends.
func padded(body []byte) string {
	var b strings.Builder
	b.Grow(len(body) + words.Bytes)
	b.Write(body)
	b.WriteString("\x00\x00\x00\x00\x00\x00\x00\x00")
	return b.String()
}
