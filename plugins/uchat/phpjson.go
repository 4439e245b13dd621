package main

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// phpJSON writes a JSON text as PHP's json_encode does by default: no white space, slashes
// and everything beyond ASCII escaped. It is false if the text is not JSON. Numbers stay as
// they are, and an empty object stays one.
func phpJSON(text string) (string, bool) {
	if !jsontext.Value(text).IsValid() {
		return "", false
	}
	var out strings.Builder
	out.Grow(len(text))
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case ' ', '\t', '\r', '\n':
			i++
		case '"':
			end := stringEnd(text, i)
			out.WriteByte('"')
			writePHP(&out, text[i+1:end-1])
			out.WriteByte('"')
			i = end
		default:
			out.WriteByte(c)
			i++
		}
	}
	return out.String(), true
}

// stringEnd is where the string that begins at start ends; the text is valid JSON.
func stringEnd(text string, start int) int {
	for i := start + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// writePHP writes what stands between the quotation marks of a JSON string.
func writePHP(out *strings.Builder, s string) {
	for s != "" {
		if s[0] != '\\' {
			r, size := utf8.DecodeRuneInString(s)
			writePHPRune(out, r)
			s = s[size:]
			continue
		}
		if s[1] != 'u' {
			writePHPRune(out, rune(shortMeanings[strings.IndexByte(shortLetters, s[1])])) // valid JSON has no other
			s = s[2:]
			continue
		}
		r, size := escapedRune(s)
		writePHPRune(out, r)
		s = s[size:]
	}
}

// The escapes of one letter, in JSON and in PHP alike, and what each stands for.
const (
	shortLetters  = `"\/bfnrt`
	shortMeanings = "\"\\/\b\f\n\r\t"
)

// escapedRune reads \uXXXX, or two of them that are one character.
func escapedRune(s string) (r rune, size int) {
	first, _ := strconv.ParseUint(s[2:6], 16, 16) // valid JSON has four digits
	if !utf16.IsSurrogate(rune(first)) || len(s) < 12 {
		return rune(first), 6
	}
	second, _ := strconv.ParseUint(s[8:12], 16, 16)
	return utf16.DecodeRune(rune(first), rune(second)), 12
}

// writePHPRune writes a character as PHP does.
func writePHPRune(out *strings.Builder, r rune) {
	if short := strings.IndexRune(shortMeanings, r); short >= 0 {
		out.WriteByte('\\')
		out.WriteByte(shortLetters[short])
		return
	}
	if r >= ' ' && r < utf8.RuneSelf {
		out.WriteByte(byte(r))
		return
	}
	for _, unit := range utf16.AppendRune(nil, r) {
		out.WriteString(`\u`)
		digits := strconv.FormatUint(uint64(unit), 16)
		out.WriteString("0000"[len(digits):] + digits)
	}
}
