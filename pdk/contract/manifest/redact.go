package manifest

import (
	"regexp"
	"strings"
)

// Redacted is what stands in an answer for a value that its rule keeps from the plugin.
const Redacted = `"[redacted]"`

// memberName matches what redact may name: what stands in JSON as it is spelled here.
var memberName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// Redact returns an answer in JSON with the value of every member that has one of the names,
// whatever kind of value that is, replaced by [Redacted], and all else as it is. It does so as
// well in a text that was cut off or is not quite JSON.
func Redact(text string, names []string) string {
	for _, name := range names {
		text = redact(text, `"`+name+`"`)
	}
	return text
}

func redact(text, name string) string {
	if !strings.Contains(text, name) {
		return text
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, name)
		out.WriteString(before)
		if !found {
			return out.String()
		}
		out.WriteString(name)
		value := strings.TrimLeft(rest, " \t\r\n")
		if value == "" || value[0] != ':' || strings.HasSuffix(before, `\`) {
			text = rest // it is a value itself, or stands in a text
			continue
		}
		value = strings.TrimLeft(value[1:], " \t\r\n")
		out.WriteString(rest[:len(rest)-len(value)])
		if value != "" {
			out.WriteString(Redacted)
		}
		text = value[endOfValue(value):]
	}
}

// endOfValue is where the value ends that a text begins with; the end of the text if it does
// not.
func endOfValue(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i = endOfString(text, i)
			if depth == 0 {
				return min(i+1, len(text))
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return i
			}
			if depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return len(text)
}

// endOfString is where the closing quote stands of a string that begins at from; the end of the
// text if there is none.
func endOfString(text string, from int) int {
	for i := from + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(text)
}

func redactProblem(name string) (why, fix string) {
	if memberName.MatchString(name) {
		return "", ""
	}
	return "it is no plain name of a member", "write the name as it stands in the answer: letters, digits, _ . and -"
}
