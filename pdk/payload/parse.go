package payload

import (
	"bytes"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Limits bound a document. Zero means the default.
type Limits struct {
	// MaxBytes is the longest document, in bytes; by default 1 MiB.
	MaxBytes int
	// MaxDepth is how deep objects and arrays may nest; by default 32.
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

// Parse reads one JSON object. It keeps body, which must not change while the object is
// in use. Its error is a [*contract.SyntaxError], which quotes no values.
func Parse(body []byte, limits Limits) (Object, error) {
	limits = limits.orDefaults()
	if len(body) > limits.MaxBytes {
		return Object{}, &contract.SyntaxError{Why: "it has more than " + strconv.Itoa(limits.MaxBytes) + " bytes"}
	}
	p := parser{body: body, limits: limits, decoder: jsontext.NewDecoder(bytes.NewBuffer(body))}
	root, err := p.document()
	if err != nil {
		return Object{}, contract.DescribeError(p.decoder, err)
	}
	return Object{shared: new(shared), node: root}, nil
}

// node is one value of a document.
type node struct {
	kind    jsontext.Kind
	raw     []byte   // the value as it stands
	start   int64    // where it begins in the document
	members []member // of an object
	items   []*node  // of an array
}

type member struct {
	name  string
	value *node
}

// parser builds the nodes of one document.
type parser struct {
	body    []byte
	limits  Limits
	decoder *jsontext.Decoder
	values  int
}

func (p *parser) document() (*node, error) {
	root, err := p.value()
	if err != nil {
		return nil, err
	}
	if root.kind != '{' {
		return nil, &contract.SyntaxError{Why: "an object is needed"}
	}
	switch _, err := p.decoder.ReadToken(); err {
	case io.EOF:
		return root, nil
	case nil:
		return nil, p.refuse("something follows the document")
	default:
		return nil, err
	}
}

// value reads one value. It calls itself no deeper than the limit.
func (p *parser) value() (*node, error) {
	n := &node{kind: p.decoder.PeekKind()}
	if n.kind != '{' && n.kind != '[' {
		raw, err := p.decoder.ReadValue()
		n.raw, n.start = raw, p.decoder.InputOffset()-int64(len(raw))
		return n, p.counted(err)
	}
	if _, err := p.decoder.ReadToken(); err != nil {
		return nil, err
	}
	n.start = p.decoder.InputOffset() - 1
	if p.decoder.StackDepth() > p.limits.MaxDepth {
		return nil, p.refuse("arrays and objects nest deeper than " + strconv.Itoa(p.limits.MaxDepth))
	}
	if err := p.children(n); err != nil {
		return nil, err
	}
	_, err := p.decoder.ReadToken() // the closing bracket
	n.raw = p.body[n.start:p.decoder.InputOffset()]
	return n, p.counted(err)
}

// children reads what is in an object or array.
func (p *parser) children(n *node) error {
	for kind := p.decoder.PeekKind(); kind != '}' && kind != ']'; kind = p.decoder.PeekKind() {
		name := ""
		if n.kind == '{' {
			token, err := p.decoder.ReadToken()
			if err != nil {
				return err
			}
			name = token.String()
		}
		value, err := p.value()
		if err != nil {
			return err
		}
		if n.kind == '{' {
			n.members = append(n.members, member{name, value})
		} else {
			n.items = append(n.items, value)
		}
	}
	return nil
}

// counted counts one value that was read with err.
func (p *parser) counted(err error) error {
	if p.values++; err == nil && p.values > p.limits.MaxValues {
		return p.refuse("it holds more than " + strconv.Itoa(p.limits.MaxValues) + " values")
	}
	return err
}

func (p *parser) refuse(why string) error {
	return &contract.SyntaxError{Offset: p.decoder.InputOffset(), Why: why}
}
