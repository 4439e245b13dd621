package plain

import "strings"

// link is a link of Markdown: how it is shown as text, and where it ends in its line.
type link struct {
	shown string
	end   int
}

// linksOf finds the links of a line, by where they begin: [text](target), an image, and
// <target>. Text within brackets is read once, whatever stands in it.
func linksOf(line string) map[int]link {
	if !strings.ContainsAny(line, "[<") {
		return nil
	}
	found := map[int]link{}
	var open []int
	for at := 0; at < len(line); at++ {
		switch line[at] {
		case '\\':
			at++
		case '`':
			_, length := codeSpan(line[at:])
			at += length - 1
		case '<':
			if l, ok := autolink(line, at); ok {
				found[at], at = l, l.end-1
			}
		case '[':
			open = append(open, at)
		case ']':
			if len(open) == 0 {
				continue
			}
			from := open[len(open)-1]
			open = open[:len(open)-1]
			if l, ok := linkAt(line, from, at); ok {
				if from > 0 && line[from-1] == '!' {
					from--
				}
				found[from], at, open = l, l.end-1, nil // a link holds no other
			}
		}
	}
	return found
}

// maxTarget bounds what stands between the parentheses of a link, in bytes.
const maxTarget = 4096

// linkAt reads the link whose text stands between the brackets at from and to.
func linkAt(line string, from, to int) (link, bool) {
	rest := line[to+1:]
	if !strings.HasPrefix(rest, "(") {
		return link{}, false
	}
	end := strings.IndexByte(rest[:min(len(rest), maxTarget)], ')')
	if end < 0 {
		return link{}, false
	}
	target, _, _ := strings.Cut(strings.TrimSpace(rest[1:end]), " ") // a title may follow
	target = strings.Trim(target, "<>")
	if strings.ContainsAny(target, "(\\") {
		return link{}, false
	}
	text := Markdown(line[from+1 : to])
	shown := text
	switch {
	case text == "":
		shown = target
	case target != "" && target != text && safeTarget(target):
		shown = text + " (" + target + ")"
	}
	return link{shown: shown, end: to + 1 + end + 1}, true
}

// autolink reads <https://…>.
func autolink(line string, at int) (link, bool) {
	end := strings.IndexAny(line[at+1:], "<> ")
	if end < 0 || line[at+1+end] != '>' || !safeTarget(line[at+1:at+1+end]) {
		return link{}, false
	}
	return link{shown: line[at+1 : at+1+end], end: at + 1 + end + 1}, true
}

// safeTarget tells whether people may be shown a link's target.
func safeTarget(target string) bool {
	for _, scheme := range []string{"https://", "http://", "mailto:", "tel:"} {
		if strings.HasPrefix(target, scheme) {
			return true
		}
	}
	return false
}

// Escape writes plain text as Markdown that shows it as it is: [Markdown] of it is the text
// again, but for white space around it.
func Escape(text string) string {
	var out strings.Builder
	start := true // of a line, white space left out
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case strings.IndexByte("\\`*_[]<>~&#!|", c) >= 0, start && strings.IndexByte("-+=", c) >= 0:
			out.WriteByte('\\')
		case (c == '.' || c == ')') && numbered(text[:i]):
			out.WriteByte('\\')
		}
		out.WriteByte(c)
		start = c == '\n' || start && (c == ' ' || c == '\t')
	}
	return out.String()
}

// numbered tells whether text ends in a line that is a number and nothing else, which a
// period would make an item of a list.
func numbered(text string) bool {
	digits := 0
	for i := len(text) - 1; i >= 0 && digits < 10; i-- {
		switch c := text[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c == '\n':
			return digits > 0
		case c != ' ':
			return false
		default:
			return digits > 0 && strings.TrimLeft(text[strings.LastIndexByte(text[:i], '\n')+1:i], " ") == ""
		}
	}
	return digits > 0 && digits < 10
}
