package plain

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Markdown turns CommonMark, and struck text as GitHub writes it, into plain text: emphasis,
// headings, code and fences lose their marks, a link is followed by its target in brackets, a
// list keeps a hyphen or its number. What is no markup stays as it is, and so do line breaks.
// It takes linear time.
func Markdown(md string) string {
	var out strings.Builder
	fence := ""
	for i, line := range strings.Split(md, "\n") {
		if i > 0 {
			out.WriteByte('\n')
		}
		mark := fenceMark(line)
		switch {
		case fence != "" && mark == fence && strings.Trim(line, " "+fence[:1]) == "":
			fence = ""
		case fence != "":
			out.WriteString(line)
		case mark != "":
			fence = mark
		default:
			prefix, rest := blockPrefix(line)
			out.WriteString(prefix)
			writeInline(&out, rest)
		}
	}
	return strings.TrimSpace(out.String())
}

// fenceMark returns the three characters that a fence of code begins with, or "".
func fenceMark(line string) string {
	line = strings.TrimLeft(line, " ")
	for _, mark := range []string{"```", "~~~"} {
		rest, ok := strings.CutPrefix(line, mark)
		if ok && !strings.Contains(rest, "`") {
			return mark
		}
	}
	return ""
}

// blockPrefix returns what is shown of the mark that a line begins with, and the rest of it.
func blockPrefix(line string) (prefix, rest string) {
	trimmed := strings.TrimLeft(line, " ")
	indent := line[:len(line)-len(trimmed)]
	if level := len(trimmed) - len(strings.TrimLeft(trimmed, "#")); level >= 1 && level <= 6 {
		if heading := trimmed[level:]; heading == "" || heading[0] == ' ' {
			return "", strings.TrimSpace(heading)
		}
	}
	if len(trimmed) >= 2 && strings.ContainsRune("-*+", rune(trimmed[0])) && trimmed[1] == ' ' {
		return indent + "- ", trimmed[2:]
	}
	return indent, trimmed
}

// piece is a part of a line: words, or a run of one delimiter.
type piece struct {
	text        string
	mark        byte // '*', '_' or '~'; 0 for words
	opens, ends bool
}

// writeInline writes a line without its inline marks.
func writeInline(out *strings.Builder, line string) {
	pieces := inline(line)
	pair(pieces)
	for _, p := range pieces {
		out.WriteString(p.text)
	}
}

// inline cuts a line into pieces. Links, code and escapes are words already.
func inline(line string) []piece {
	var pieces []piece
	words := func(text string) { pieces = append(pieces, piece{text: text}) }
	links := linksOf(line)
	for at := 0; at < len(line); {
		if l, ok := links[at]; ok {
			words(l.shown)
			at = l.end
			continue
		}
		switch c := line[at]; c {
		case '\\':
			if at+1 < len(line) && isPunctuation(line[at+1]) {
				at++
			}
			words(line[at : at+1])
			at++
		case '&':
			text, length := entity(line[at:])
			words(text)
			at += length
		case '`':
			text, length := codeSpan(line[at:])
			words(text)
			at += length
		case '*', '_', '~':
			run := len(line[at:]) - len(strings.TrimLeft(line[at:], string(c)))
			pieces = append(pieces, delimiter(line, at, run))
			at += run
		default:
			end := strings.IndexAny(line[at+1:], "\\&`*_~[!<")
			if end < 0 {
				end = len(line) - at - 1
			}
			words(line[at : at+1+end])
			at += 1 + end
		}
	}
	return pieces
}

// delimiter reads a run of delimiters by the rules of flanking (CommonMark 0.31.2 section 6.2).
func delimiter(line string, at, run int) piece {
	mark := line[at]
	before, _ := utf8.DecodeLastRuneInString(line[:at])
	after, _ := utf8.DecodeRuneInString(line[at+run:])
	left := flanks(after, before, at+run == len(line), at == 0)
	right := flanks(before, after, at == 0, at+run == len(line))
	p := piece{text: line[at : at+run], mark: mark, opens: left, ends: right}
	switch mark {
	case '_':
		p.opens = left && (!right || isMark(before))
		p.ends = right && (!left || isMark(after))
	case '~':
		if run != 2 {
			p.mark = 0
		}
	}
	return p
}

// flanks tells whether a run stands at inner, seen from outer; none tells that there is nothing
// on that side.
func flanks(inner, outer rune, noInner, noOuter bool) bool {
	if noInner || unicode.IsSpace(inner) {
		return false
	}
	return !isMark(inner) || noOuter || unicode.IsSpace(outer) || isMark(outer)
}

func isMark(r rune) bool { return unicode.IsPunct(r) || unicode.IsSymbol(r) }

// pair takes away the delimiters that belong together. For each kind of mark the openers that
// still wait are kept, so that none is looked at twice.
func pair(pieces []piece) {
	waiting := map[byte][]int{}
	for i := range pieces {
		p := &pieces[i]
		if p.mark == 0 {
			continue
		}
		for p.ends && p.text != "" && len(waiting[p.mark]) > 0 {
			stack := waiting[p.mark]
			opener := &pieces[stack[len(stack)-1]]
			n := min(len(p.text), len(opener.text))
			p.text, opener.text = p.text[n:], opener.text[n:]
			if opener.text == "" {
				waiting[p.mark] = stack[:len(stack)-1]
			}
		}
		if p.opens && p.text != "" {
			waiting[p.mark] = append(waiting[p.mark], i)
		}
	}
}

// codeSpan reads the code that s begins with, and how many bytes it takes; without an end the
// backticks are characters like any other.
func codeSpan(s string) (text string, length int) {
	ticks := s[:len(s)-len(strings.TrimLeft(s, "`"))]
	for from := len(ticks); from < len(s); {
		at := strings.Index(s[from:], ticks)
		if at < 0 {
			break
		}
		at += from
		end := at + len(s[at:]) - len(strings.TrimLeft(s[at:], "`"))
		if end-at == len(ticks) {
			code := s[len(ticks):at]
			if len(code) > 2 && code[0] == ' ' && code[len(code)-1] == ' ' {
				code = code[1 : len(code)-1]
			}
			return code, end
		}
		from = end
	}
	return ticks, len(ticks)
}

func isPunctuation(c byte) bool { return c > ' ' && c < 0x7f && !isAlphanumeric(c) }

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
