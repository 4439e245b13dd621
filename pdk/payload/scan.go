package payload

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/seed75a60ee1/patchbay/pdk/internal/words"
)

// scanBare returns where the number, true, false or null ends that begins with c.
func (p *parser) scanBare(c byte) (end int) {
	switch {
	case c == '-' || isDigit(c):
		return p.scanNumber()
	case c == 't':
		return p.scanWord("true")
	case c == 'f':
		return p.scanWord("false")
	case c == 'n':
		return p.scanWord("null")
	}
	p.invalid(p.at, inNext)
	return 0
}

// scanWord returns where a word ends that has to be here.
func (p *parser) scanWord(word string) (end int) {
	for i := range len(word) {
		if at := p.at + i; p.text[at] != word[i] {
			p.wrongAt(at)
			return 0
		}
	}
	return p.at + len(word)
}

func isDigit(c byte) bool { return c-'0' < 10 }

// scanNumber stops at the first byte that cannot continue the number; whether that byte
// may follow one is seen when it is read.
func (p *parser) scanNumber() (end int) {
	text, at := p.text, p.at
	if text[at] == '-' {
		at++
	}
	first := at
	for isDigit(text[at]) {
		at++
	}
	switch {
	case at == first:
		return p.noDigit(at)
	case text[first] == '0':
		at = first + 1
	}
	if c := text[at]; c != '.' && c != 'e' && c != 'E' {
		return at
	}
	return p.scanFraction(at)
}

// scanFraction returns where the point with its digits ends, the exponent, or both.
func (p *parser) scanFraction(at int) (end int) {
	if p.text[at] == '.' {
		if at = p.skipDigits(at + 1); at == 0 {
			return 0
		}
	}
	if c := p.text[at]; c != 'e' && c != 'E' {
		return at
	}
	at++
	if c := p.text[at]; c == '-' || c == '+' {
		at++
	}
	return p.skipDigits(at)
}

// skipDigits returns where the digits end of which there must be one.
func (p *parser) skipDigits(at int) (end int) {
	text, first := p.text, at
	for isDigit(text[at]) {
		at++
	}
	if at == first {
		return p.noDigit(at)
	}
	return at
}

// noDigit refuses a number that has no digit where it needs one. It returns zero.
func (p *parser) noDigit(at int) int {
	if at == p.size {
		p.endsAt(p.at, inNext) // the whole number is what is not there
	} else {
		p.invalid(at, inNext)
	}
	return 0
}

// scanText returns where the text ends that begins here, and whether it has an escape.
func (p *parser) scanText() (end int, escaped bool) {
	text, at := p.text, p.at+1
	for {
		n := words.Plain(words.At(text, at))
		at += n
		if n == words.Bytes {
			continue
		}
		switch c := text[at]; {
		case c == '"':
			return at + 1, escaped
		case c == '\\':
			escaped = true
			at = p.scanEscape(at)
		case c >= utf8.RuneSelf:
			at = p.scanRunes(at)
		default:
			p.wrongAt(at)
			return 0, false
		}
		if at == 0 {
			return 0, false
		}
	}
}

// scanRunes returns where the characters end that are not ASCII, of which there is one,
// and the spaces between them.
func (p *parser) scanRunes(at int) (end int) {
	text := p.text
	for {
		c := text[at]
		switch {
		case c == ' ':
			at++
		case c < utf8.RuneSelf:
			return at
		case c-0xc2 < 0xe0-0xc2 && text[at+1]&0xc0 == 0x80: // as in most alphabets
			at += 2
		default:
			if at = p.scanRune(at); at == 0 {
				return 0
			}
		}
	}
}

// scanRune returns where the character ends that begins here and is not ASCII.
func (p *parser) scanRune(at int) (end int) {
	rest := p.text[at:p.size]
	_, n := utf8.DecodeRuneInString(rest)
	switch {
	case n > 1:
		return at + n
	case utf8.FullRuneInString(rest):
		p.fail(at, inNext, errNotUTF8)
	default:
		p.endsAt(at, inNext)
	}
	return 0
}

// scanEscape returns where the escape ends that begins with a backslash; two halves of a
// surrogate pair are one.
func (p *parser) scanEscape(at int) (end int) {
	switch p.text[at+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return at + 2
	case 'u':
		unit, digits := hexUnit(p.text[at+2:])
		if digits < 4 {
			return p.badEscape(at, at+2+digits)
		}
		if utf16.IsSurrogate(unit) {
			return p.scanLowHalf(at, unit)
		}
		return at + 6
	default:
		return p.badEscape(at, at+1)
	}
}

// scanLowHalf reads the escape that must follow one half of a surrogate pair, which begins
// at a byte.
func (p *parser) scanLowHalf(at int, high rune) (end int) {
	low := at + len(`\uD83D`)
	unit, digits := rune(0), 0
	if p.text[low] == '\\' && p.text[low+1] == 'u' {
		unit, digits = hexUnit(p.text[low+2:])
	}
	if digits == 4 && utf16.DecodeRune(high, unit) != utf8.RuneError {
		return low + len(`\uDE00`)
	}
	wrong := low
	for wrong < p.size && mayBeLowHalf(wrong-low, p.text[wrong]) {
		wrong++
	}
	return p.badEscape(at, wrong)
}

// mayBeLowHalf tells whether c may be byte i of the escape of a second half, which is
// from \uDC00 to \uDFFF.
func mayBeLowHalf(i int, c byte) bool {
	switch i {
	case 0:
		return c == '\\'
	case 1:
		return c == 'u'
	case 2:
		return c|0x20 == 'd'
	case 3:
		return 'c' <= c|0x20 && c|0x20 <= 'f'
	case 4:
		return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f'
	default:
		return false // with it the escape ends, and it is not one
	}
}

// hexUnit reads the four digits of a \u escape, and how many there are.
func hexUnit(s string) (unit rune, digits int) {
	for digits < 4 {
		c := s[digits]
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = (c | 0x20) - 'a' + 10
		default:
			return unit, digits
		}
		unit = unit<<4 | rune(c)
		digits++
	}
	return unit, digits
}

// unescape returns what a text means that has escapes, all of them valid.
func unescape(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	for {
		plain := strings.IndexByte(text, '\\')
		if plain < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:plain])
		escape := text[plain+1]
		text = text[plain+2:]
		if escape != 'u' {
			b.WriteByte(words.Unescaped(escape))
			continue
		}
		r, digits := hexUnit(text)
		text = text[digits:]
		if utf16.IsSurrogate(r) {
			low, _ := hexUnit(text[len(`\u`):])
			r, text = utf16.DecodeRune(r, low), text[len(`\uDE00`):]
		}
		b.WriteRune(r)
	}
}
