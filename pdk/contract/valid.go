package contract

import (
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/seed75a60ee1/patchbay/pdk/internal/words"
)

// validator tells whether a document is one that [verify] takes, for the documents that a
// host and a plugin send each other: it needs a tenth of the time. To what is rare in them
// it says no, and the tokenizer decides and finds the words for what is wrong.
type validator struct {
	doc   string
	at    int
	depth int
	open  [MaxDepth]container
	names []string // of the objects that are open
}

// container is an object or array that is open.
type container struct {
	closing byte
	count   int // members or elements so far
	names   int // where its names begin
}

// maxNames is how many names of an object are compared with each other.
const maxNames = 32

var validators = sync.Pool{New: func() any { return new(validator) }}

// certainlyValid tells that verify takes the document; false means that it may.
func certainlyValid(doc string) bool {
	v := validators.Get().(*validator)
	v.doc, v.at, v.depth, v.names = doc, 0, 0, v.names[:0]
	valid := v.document()
	v.doc = ""
	clear(v.names[:cap(v.names)])
	validators.Put(v)
	return valid
}

func (v *validator) document() bool {
	if v.space() != '{' || !v.push('}') {
		return false
	}
	for v.depth > 0 {
		if !v.step() {
			return false
		}
	}
	v.space()
	return v.at == len(v.doc)
}

// space skips white space and returns the byte after it; 0 at the end, where no byte of
// JSON is 0.
func (v *validator) space() byte {
	for ; v.at < len(v.doc); v.at++ {
		if c := v.doc[v.at]; c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c
		}
	}
	return 0
}

func (v *validator) push(closing byte) bool {
	if v.depth == MaxDepth {
		return false
	}
	v.open[v.depth] = container{closing: closing, names: len(v.names)}
	v.depth++
	v.at++
	return true
}

// step reads a member, an element, or the closing bracket of what is open.
func (v *validator) step() bool {
	top := &v.open[v.depth-1]
	c := v.space()
	if c == top.closing {
		v.names = v.names[:top.names]
		v.depth--
		v.at++
		return true
	}
	if top.count > 0 {
		if c != ',' {
			return false
		}
		v.at++
		c = v.space()
	}
	top.count++
	if top.closing == '}' {
		if c != '"' || !v.name(top) || v.space() != ':' {
			return false
		}
		v.at++
		c = v.space()
	}
	return v.value(c)
}

// name reads a name that the object does not have yet.
func (v *validator) name(top *container) bool {
	start := v.at + 1
	if top.count > maxNames || !v.text(false) {
		return false
	}
	name := v.doc[start : v.at-1]
	for _, other := range v.names[top.names:] {
		if other == name {
			return false
		}
	}
	v.names = append(v.names, name)
	return true
}

func (v *validator) value(c byte) bool {
	switch {
	case c == '"':
		return v.text(true)
	case c == '{':
		return v.push('}')
	case c == '[':
		return v.push(']')
	case c == '-' || isDigit(c):
		return v.number()
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if c == word[0] && strings.HasPrefix(v.doc[v.at:], word) {
			v.at += len(word)
			return true
		}
	}
	return false
}

// text reads a text. Escapes of one letter are the only ones it knows.
func (v *validator) text(escapes bool) bool {
	doc, start, ascii := v.doc, v.at+1, true
	at := start
	for {
		for at+words.Bytes <= len(doc) {
			n := words.Plain(words.At(doc, at))
			at += n
			if n < words.Bytes {
				break
			}
		}
		if at >= len(doc) {
			return false
		}
		switch c := doc[at]; {
		case c == '"':
			v.at = at + 1
			return ascii || utf8.ValidString(doc[start:at])
		case c == '\\':
			if !escapes || at+1 == len(doc) || strings.IndexByte(`"\/bfnrt`, doc[at+1]) < 0 {
				return false
			}
			at += 2
		case c >= utf8.RuneSelf:
			ascii = false
			for at++; at < len(doc) && doc[at] >= utf8.RuneSelf; at++ {
			}
		case c < ' ':
			return false
		default:
			at++
		}
	}
}

func isDigit(c byte) bool { return c-'0' < 10 }

// number reads a number (RFC 8259 section 6). What may not follow one is seen when it is
// read.
func (v *validator) number() bool {
	if v.doc[v.at] == '-' {
		v.at++
	}
	first := v.at
	if !v.digits() || v.doc[first] == '0' && v.at > first+1 {
		return false
	}
	if v.is('.') && !v.digits() {
		return false
	}
	if v.is('e') || v.is('E') {
		if !v.is('-') {
			v.is('+')
		}
		return v.digits()
	}
	return true
}

// is reads c if it comes next.
func (v *validator) is(c byte) bool {
	if v.at >= len(v.doc) || v.doc[v.at] != c {
		return false
	}
	v.at++
	return true
}

// digits reads digits, of which there must be one.
func (v *validator) digits() bool {
	first := v.at
	for v.at < len(v.doc) && isDigit(v.doc[v.at]) {
		v.at++
	}
	return v.at > first
}
