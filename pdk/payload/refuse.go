package payload

import (
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// errNotUTF8 is named so that contract.DescribeError knows it.
var errNotUTF8 = errors.New("invalid UTF-8")

// where is which value an error is about.
type where bool

const (
	inOpen where = false // the object or array that is open, or the member whose name was read
	inNext where = true  // the same, but of an array the element to come
)

// refuse keeps an error of the whole document, unless there was one before. It returns
// false.
func (p *parser) refuse(at int, why string) bool {
	if p.err == nil {
		p.err = &contract.SyntaxError{Offset: int64(at), Why: why}
	}
	return false
}

// tooMany refuses a document that holds more values than it may.
func (p *parser) tooMany() bool {
	return p.refuse(p.at, "it holds more than "+strconv.Itoa(p.limits.MaxValues)+" values")
}

// fail keeps an error, unless there was one before. It returns false. The words are the
// contract's, so that a document is refused the same way wherever it is read.
func (p *parser) fail(at int, in where, cause error) bool {
	if p.err == nil {
		p.err = contract.DescribeError(nil, &jsontext.SyntacticError{ByteOffset: int64(at), JSONPointer: p.pointer(in), Err: cause})
	}
	return false
}

// empty refuses a document without a value.
func (p *parser) empty() { p.err = contract.DescribeError(new(jsontext.Decoder), io.EOF) }

// invalid refuses the byte at a place.
func (p *parser) invalid(at int, in where) bool { return p.fail(at, in, nil) }

// endsAt refuses a text that ends too early.
func (p *parser) endsAt(at int, in where) bool { return p.fail(at, in, io.ErrUnexpectedEOF) }

// wrongAt refuses a byte in the middle of a value, or that there is none.
func (p *parser) wrongAt(at int) bool {
	if at == p.size {
		return p.endsAt(at, inNext)
	}
	return p.invalid(at, inNext)
}

// badEscape refuses an escape because of its byte at wrong, or because it has none. It
// returns zero.
func (p *parser) badEscape(at, wrong int) int {
	if wrong == p.size {
		p.endsAt(at, inNext)
	} else {
		p.invalid(at, inNext)
	}
	return 0
}

// notName refuses what begins with c where a name is needed.
func (p *parser) notName(c byte) bool {
	if c == '{' || c == '[' || p.scanBare(c) != 0 {
		p.invalid(p.at, inNext)
	}
	return false
}

// duplicate refuses a name that its object had before.
func (p *parser) duplicate(name string) bool {
	p.name, p.named = name, true
	return p.fail(p.at, inOpen, jsontext.ErrDuplicateName)
}

// mismatch refuses a closing bracket of the wrong kind. To blame is what holds the
// brackets that differ, if there is anything in them.
func (p *parser) mismatch() bool {
	n := p.nodes[p.open]
	switch filled := len(p.nodes) > p.open+1; {
	case !filled:
		return p.invalid(p.at, inNext)
	case n.kind == '{':
		p.open = n.next
	}
	return p.invalid(p.at, inOpen)
}

// pointer says where the parser is.
func (p *parser) pointer(in where) jsontext.Pointer {
	var open []int
	for i := p.open; i != none; i = p.nodes[i].next {
		open = append(open, i)
	}
	slices.Reverse(open)
	var b strings.Builder
	for level, i := range open {
		inner, name := len(p.nodes), p.name
		innermost := level == len(open)-1
		if !innermost {
			inner = open[level+1]
			name = p.nodes[inner].name
		}
		switch isObject := p.nodes[i].kind == '{'; {
		case innermost && isObject && !p.named, innermost && !isObject && in == inOpen:
		case isObject:
			b.WriteByte('/')
			b.WriteString(pointerEscapes.Replace(name))
		default:
			b.WriteByte('/')
			b.WriteString(strconv.Itoa(p.elements(i, inner)))
		}
	}
	return jsontext.Pointer(b.String())
}

// pointerEscapes are those of RFC 6901.
var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// elements counts the elements of an array that is open, before a node.
func (p *parser) elements(array, before int) int {
	count := 0
	for i := array + 1; i < before; i = p.nodes[i].next {
		count++
	}
	return count
}
