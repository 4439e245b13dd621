package contract

import (
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// SyntaxError is the first thing wrong with a JSON document. Match on Path; Why is
// written for people and may be reworded. It never quotes values, which may be secret.
type SyntaxError struct {
	// Offset is at or after which byte it is.
	Offset int64
	// Path is where it is, such as "message.parts[3].text"; empty for the whole document.
	Path string
	// Why says what is wrong and what is needed.
	Why string
}

func (e *SyntaxError) Error() string {
	where := "document"
	if e.Path != "" {
		where = e.Path
	}
	return "JSON: " + where + ": " + e.Why + " (near byte " + strconv.FormatInt(e.Offset, 10) + ")"
}

// kindName says what is needed or there, by the first byte of a value.
func kindName(c byte) string {
	switch c {
	case '"':
		return "a text"
	case 't', 'f':
		return "true or false"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}

// wrongType says that the value that follows is none of the kind needed.
func (r *reader) wrongType(needed byte) error {
	found := r.peek()
	return wrongValue(r.at, kindName(needed)+" is needed, not "+kindName(found))
}

// wrongValue says why the value at a byte is wrong. Its path is found later.
func wrongValue(at int, why string) error {
	return &SyntaxError{Offset: int64(at), Why: why}
}

// pathAt is the path of the value that covers or follows a byte of a valid document.
func pathAt(doc string, offset int64) string {
	d := jsontext.NewDecoder(strings.NewReader(doc))
	for d.InputOffset() <= offset {
		if _, err := d.ReadToken(); err != nil {
			return ""
		}
	}
	return pathOf(d.StackPointer())
}

// DescribeError turns an error that d or a DecodeJSON returned into a [*SyntaxError], for
// readers that work with d themselves.
func DescribeError(d *jsontext.Decoder, err error) error {
	if typed := (*SyntaxError)(nil); errors.As(err, &typed) {
		return typed
	}
	cause := (*jsontext.SyntacticError)(nil)
	if !errors.As(err, &cause) { // io.EOF: nothing but white space
		return &SyntaxError{Offset: d.InputOffset(), Why: "it is empty; a JSON object is needed"}
	}
	why := "it is not valid JSON"
	switch {
	case errors.Is(cause.Err, jsontext.ErrDuplicateName):
		why = "the name stands twice in its object"
	case errors.Is(cause.Err, io.ErrUnexpectedEOF):
		why = "the document ends in the middle"
	case cause.Err != nil && strings.Contains(cause.Err.Error(), "UTF-8"):
		why = "it is not valid UTF-8"
	}
	return &SyntaxError{Offset: cause.ByteOffset, Path: pathOf(cause.JSONPointer), Why: why}
}

// maxPathBytes bounds a path, whose names may be an attacker's.
const maxPathBytes = 200

// pathOf writes a JSON pointer the way that people write it.
func pathOf(pointer jsontext.Pointer) string {
	var b strings.Builder
	for token := range pointer.Tokens() {
		switch {
		case b.Len()+len(token) > maxPathBytes:
			b.WriteString("…")
			return b.String()
		case isNumber(token):
			b.WriteString("[" + token + "]")
		case !isWord(token):
			b.WriteString("[" + strconv.QuoteToASCII(token) + "]")
		case b.Len() > 0:
			b.WriteString("." + token)
		default:
			b.WriteString(token)
		}
	}
	return b.String()
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func isWord(s string) bool {
	odd := func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	return s != "" && strings.IndexFunc(s, odd) < 0
}
