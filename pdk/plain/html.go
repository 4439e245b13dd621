package plain

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// tags is every HTML element that an operator's editor may produce, and what it leaves
// behind in a text when it opens and when it closes. A "<" that begins none of them is
// a character like any other.
var tags = map[string]struct{ open, close string }{
	"p": {"", "\n"}, "div": {"", "\n"}, "br": {"\n", ""}, "hr": {"\n", ""},
	"ul": {"\n", ""}, "ol": {"\n", ""}, "li": {"- ", "\n"}, "tr": {"", "\n"}, "td": {"", " "}, "th": {"", " "},
	"h1": {"", "\n"}, "h2": {"", "\n"}, "h3": {"", "\n"}, "h4": {"", "\n"}, "h5": {"", "\n"}, "h6": {"", "\n"},
	"blockquote": {"", "\n"}, "pre": {"", "\n"}, "table": {"", "\n"},
	"a": {}, "b": {}, "i": {}, "u": {}, "s": {}, "em": {}, "strong": {}, "del": {}, "span": {}, "font": {}, "code": {},
	"img": {}, "tbody": {}, "thead": {}, "sub": {}, "sup": {}, "html": {}, "body": {}, "head": {},
	"script": {}, "style": {},
}

// tag is one HTML tag: its name in lower case, what stands between name and ">", and
// how many bytes it takes.
type tag struct {
	name, attributes string
	closing          bool
	length           int
}

// readTag reads the tag that s begins with; false if there is none that we know. It looks
// no further than the next "<", so that reading all tags of a text takes linear time.
func readTag(s string) (tag, bool) {
	end := strings.IndexAny(s[1:], "<>") + 1
	if end < 2 || s[0] != '<' || s[end] != '>' {
		return tag{}, false
	}
	body, closing := strings.CutPrefix(strings.TrimSuffix(s[1:end], "/"), "/")
	name := body
	if space := strings.IndexAny(body, " \t\r\n"); space >= 0 {
		name = body[:space]
	}
	attributes := body[len(name):]
	name = strings.ToLower(name)
	_, known := tags[name]
	return tag{name: name, attributes: attributes, closing: closing, length: end + 1}, known
}

// HasTags tells whether a text contains HTML.
func HasTags(s string) bool {
	for {
		start := strings.IndexByte(s, '<')
		if start < 0 {
			return false
		}
		s = s[start:]
		if _, ok := readTag(s); ok {
			return true
		}
		s = s[1:]
	}
}

// HTML turns HTML into text, in one pass: elements become line breaks or nothing, a
// link is followed by its target in brackets, entities become characters. The result is
// never longer than the input.
func HTML(s string) string {
	var out strings.Builder
	var target string
	for s != "" {
		next := strings.IndexAny(s, "<&")
		if next < 0 {
			break
		}
		out.WriteString(s[:next])
		s = s[next:]
		if s[0] == '&' {
			text, length := entity(s)
			out.WriteString(text)
			s = s[length:]
			continue
		}
		t, ok := readTag(s)
		if !ok {
			out.WriteByte('<')
			s = s[1:]
			continue
		}
		s = s[t.length:]
		if (t.name == "script" || t.name == "style") && !t.closing {
			s = skipTo(s, "</"+t.name)
		}
		target = writeTag(&out, t, target)
	}
	out.WriteString(s)
	return strings.TrimSpace(out.String())
}

// writeTag writes what a tag leaves behind. target is that of the link which is open,
// and the result that of the link which is open now.
func writeTag(out *strings.Builder, t tag, target string) string {
	mark := tags[t.name]
	if !t.closing {
		out.WriteString(mark.open)
		if t.name == "a" {
			return linkTarget(t.attributes)
		}
		return target
	}
	out.WriteString(mark.close)
	if t.name == "a" && target != "" {
		if !strings.HasSuffix(out.String(), target) {
			out.WriteString(" (" + target + ")")
		}
		return ""
	}
	return target
}

// skipTo returns what follows the first occurrence of an end tag, or nothing.
func skipTo(s, end string) string {
	for i := 0; i+len(end) <= len(s); i++ {
		if s[i] == '<' && strings.EqualFold(s[i:i+len(end)], end) {
			return s[i:]
		}
	}
	return ""
}

// linkTarget returns the href among a tag's attributes if it is an http, https or mailto
// link.
func linkTarget(attributes string) string {
	_, value, ok := strings.Cut(attributes, "href=")
	if !ok || len(value) < 2 {
		return ""
	}
	quote := value[0]
	if quote != '"' && quote != '\'' {
		value, _, _ = strings.Cut(value, " ")
	} else if value, _, ok = strings.Cut(value[1:], string(quote)); !ok {
		return ""
	}
	for _, scheme := range []string{"https://", "http://", "mailto:"} {
		if strings.HasPrefix(value, scheme) {
			return strings.ReplaceAll(value, "&amp;", "&")
		}
	}
	return ""
}

// entities is the named characters that editors produce.
var entities = map[string]string{
	"amp": "&", "lt": "<", "gt": ">", "quot": `"`, "apos": "'", "nbsp": " ", "laquo": "«", "raquo": "»",
	"ndash": "–", "mdash": "—", "hellip": "…", "copy": "©", "reg": "®", "euro": "€", "rarr": "→", "bull": "•",
}

// entity reads the entity that s begins with, and how many bytes it takes; what is none
// is an ampersand.
func entity(s string) (text string, length int) {
	end := strings.IndexByte(s[:min(len(s), 12)], ';')
	if end < 2 {
		return "&", 1
	}
	name := s[1:end]
	if text, ok := entities[name]; ok {
		return text, end + 1
	}
	if name[0] != '#' {
		return "&", 1
	}
	digits, base := name[1:], 10
	if strings.HasPrefix(digits, "x") || strings.HasPrefix(digits, "X") {
		digits, base = digits[1:], 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil || n == 0 || !utf8.ValidRune(rune(n)) {
		return "&", 1
	}
	return string(rune(n)), end + 1
}
