package contract

import (
	"bytes"
	"io"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// Appendable is a document that can be encoded: a pointer to any struct of this package.
type Appendable interface {
	// AppendJSON appends the document to dst as one JSON object and returns the
	// extended buffer. It cannot fail: bytes that are not UTF-8 become U+FFFD, a time
	// outside the years 0 to 9999 becomes the zero time, and a [RawJSON] that is not
	// one JSON value, or nests deeper than [MaxRawDepth], becomes null.
	AppendJSON(dst []byte) []byte
}

// Decodable is a document that can be decoded: a pointer to any struct of this package.
type Decodable interface {
	// DecodeJSON reads one JSON object. Fields that the document lacks keep their
	// values, unknown ones are skipped. Use [Unmarshal] for a whole document.
	DecodeJSON(d *jsontext.Decoder) error
	walk(r *reader) error
}

// How deep the arrays and objects of a document may nest.
const (
	// MaxDepth is for the whole document.
	MaxDepth = 64
	// MaxRawDepth is for one [RawJSON] in it.
	MaxRawDepth = 48
)

// Marshal encodes v. What it returns is what encoding/json makes of the same value, up
// to white space and the escaping of characters, and belongs to the caller.
func Marshal(v Appendable) []byte {
	scratch := scratches.Get().(*[]byte)
	document := v.AppendJSON((*scratch)[:0])
	if cap(document) <= maxScratchBytes {
		*scratch = document
		document = bytes.Clone(document)
	}
	scratches.Put(scratch)
	return document
}

// maxScratchBytes is the size of the largest scratch that is kept.
const maxScratchBytes = 64 << 10

// scratches holds buffers that documents grew in.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

// Unmarshal decodes the whole of data into v, and keeps no reference to data. Unknown
// fields are ignored, and null for a known one counts as absent. A wrong type, a
// duplicate name, invalid UTF-8, trailing data or nesting beyond [MaxDepth] is a
// [*SyntaxError]; v is then half filled, and of no use. The texts in v share one copy of
// the document, which lives as long as any of them.
func Unmarshal(data []byte, v Decodable) error {
	doc := string(data)
	if !certainlyValid(doc) {
		if err := verify(data); err != nil {
			return err
		}
	}
	return walked(doc, v)
}

// UnmarshalValid is [Unmarshal] for a document that is known to be valid JSON in valid
// UTF-8 without duplicate names, as what a host hands to its plugin is. Not looking first
// saves most of the work. With an invalid document it may panic, or read nonsense. The
// texts in v are parts of doc.
func UnmarshalValid(doc string, v Decodable) error { return walked(doc, v) }

// verify has the tokenizer read the whole of data.
func verify(data []byte) error {
	p := parsers.Get().(*parser)
	defer p.release()
	p.source = *bytes.NewBuffer(data)
	p.decoder.Reset(&p.source)
	if err := verifyObject(p.decoder); err != nil {
		return err
	}
	switch _, err := p.decoder.ReadToken(); err {
	case io.EOF:
		return nil
	case nil:
		return &SyntaxError{Offset: p.decoder.InputOffset(), Why: "something follows the document; a document is one JSON object"}
	default:
		return DescribeError(p.decoder, err)
	}
}

// verifyObject reads one object token by token: the tokenizer's own way of reading a value
// at once takes stack for each level, of which a guest has little.
func verifyObject(d *jsontext.Decoder) error {
	if kind := d.PeekKind(); kind != '{' && kind > 0 {
		return wrongValue(int(d.InputOffset()), "an object is needed, not "+kindName(byte(kind)))
	}
	for {
		if _, err := d.ReadToken(); err != nil {
			return DescribeError(d, err)
		}
		switch depth := d.StackDepth(); {
		case depth > MaxDepth:
			return &SyntaxError{Offset: d.InputOffset(), Path: pathOf(d.StackPointer()), Why: "arrays and objects nest deeper than 64"}
		case depth == 0:
			return nil
		}
	}
}

// walked fills v from a document that is valid JSON.
func walked(doc string, v Decodable) error {
	err := v.walk(&reader{doc: doc})
	if wrong, ok := err.(*SyntaxError); ok {
		wrong.Path = pathAt(doc, wrong.Offset)
	}
	return err
}

// decode reads one value of a longer text.
func decode(d *jsontext.Decoder, v Decodable) error {
	value, err := d.ReadValue()
	if err != nil {
		return DescribeError(d, err)
	}
	return walked(string(value), v)
}

// parser is a tokenizer with its source, kept between documents for the memory it owns.
type parser struct {
	source  bytes.Buffer
	decoder *jsontext.Decoder
}

var parsers = sync.Pool{New: func() any {
	p := new(parser)
	p.decoder = jsontext.NewDecoder(&p.source)
	return p
}}

// release puts p back without the caller's bytes.
func (p *parser) release() {
	p.source = bytes.Buffer{}
	p.decoder.Reset(&p.source)
	parsers.Put(p)
}

// tooDeep tells whether the brackets of data nest deeper than limit. It needs no valid
// JSON: up to the first error it counts as a parser would.
func tooDeep(data []byte, limit int) bool {
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
