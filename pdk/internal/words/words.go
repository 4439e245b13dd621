// Package words looks at a text eight bytes at a time, which is most of what a parser does
// with one.
package words

import "math/bits"

// Bytes is how many bytes are in a word.
const Bytes = 8

const (
	each     = 0x0101010101010101
	highBits = 0x80 * each
)

// Plain counts the bytes at the start of a word, its lowest first, that stand in a JSON
// text for themselves: ASCII without control characters, quotation marks and backslashes.
func Plain(w uint64) int {
	// A borrow can only make a byte look odd that comes after one that is.
	control, quote, backslash := w-' '*each, (w^'"'*each)-each, (w^'\\'*each)-each
	return bits.TrailingZeros64((w|control|quote|backslash)&highBits) / 8
}

// Unescaped is the character that a JSON escape of one letter stands for.
func Unescaped(letter byte) byte {
	switch letter {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return letter
}
