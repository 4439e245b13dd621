package inspect

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// How long a text of the plugin's may be in a report, in bytes.
const (
	maxName = 160
	maxText = 240
)

// clip shortens text to at most n bytes, at the border of a character.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	cut := n - len("…")
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

const zeroWidthJoiner = '\u200d' // holds emoji together and does no harm

// deceptive tells a character that is not seen, but moves, hides or turns what is.
func deceptive(r rune) bool {
	return r != zeroWidthJoiner && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) ||
		r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar)
}

// suspicious tells a deceptive character that honest text does not need either: the
// others break lines, join Persian letters or allow a hyphen.
func suspicious(r rune) bool {
	switch r {
	case '\n', '\t', '\r', '\u200c', '\u00ad':
		return false
	}
	return deceptive(r)
}

// clean makes a text harmless on a line of a terminal or in a page: line breaks and
// tabs become spaces, other deceptive characters are written as numbers.
func clean(text string) string {
	if strings.IndexFunc(text, deceptive) < 0 {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			out.WriteByte(' ')
		case deceptive(r):
			fmt.Fprintf(&out, "\\u%04x", r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}
