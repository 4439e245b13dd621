package plain

import (
	"unicode"
	"unicode/utf8"
)

// Split cuts a text into at most most pieces of at most limit code points each, after white space where
// there is some in the last quarter. The pieces together are the text. There is at least
// one; nil means that there would be more.
func Split(text string, limit, most int) []string {
	pieces := make([]string, 0, 1)
	for {
		end := cut(text, limit)
		pieces = append(pieces, text[:end])
		text = text[end:]
		if text == "" {
			return pieces
		}
		if len(pieces) == most {
			return nil
		}
	}
}

// cut returns how many bytes of text the first piece takes.
func cut(text string, limit int) int {
	if len(text) <= limit {
		return len(text)
	}
	end, atSpace := 0, 0
	for count := 0; count < limit; count++ {
		r, size := utf8.DecodeRuneInString(text[end:])
		if size == 0 {
			return len(text)
		}
		end += size
		if unicode.IsSpace(r) && count >= limit*3/4 {
			atSpace = end
		}
	}
	if atSpace > 0 && end < len(text) {
		return atSpace
	}
	return end
}
