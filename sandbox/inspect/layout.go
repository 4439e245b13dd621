package inspect

import (
	"io"
	"strings"
	"unicode/utf8"
)

// lineWidth is how wide text is at most, tables aside.
const lineWidth = 100

// page is a text in the making. Whatever is put on it is made harmless there.
type page struct{ out strings.Builder }

func (p *page) flush(w io.Writer) error {
	_, err := io.WriteString(w, p.out.String())
	return err
}

// line writes one line, without spaces at its end.
func (p *page) line(text string) {
	p.out.WriteString(strings.TrimRight(clean(text), " "))
	p.out.WriteByte('\n')
}

// title begins a part.
func (p *page) title(text string) {
	p.out.WriteByte('\n')
	p.line(strings.ToUpper(text))
}

// wrapped writes text over as many lines as it takes, each but the first behind indent.
func (p *page) wrapped(first, indent, text string) {
	line, empty := first, true
	for word := range strings.FieldsSeq(clean(text)) {
		if !empty && width(line)+1+width(word) > lineWidth {
			p.line(line)
			line, empty = indent, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	p.line(line)
}

// width is how many columns a text takes, near enough.
func width(text string) int { return utf8.RuneCountInString(text) }

// pair is one line of a description.
type pair struct{ name, value string }

// pairs writes those lines that have a value.
func (p *page) pairs(list ...pair) {
	widest := 0
	for _, one := range list {
		if one.value != "" {
			widest = max(widest, width(one.name))
		}
	}
	for _, one := range list {
		if one.value != "" {
			p.wrapped(pad(one.name, widest+2), strings.Repeat(" ", widest+2), one.value)
		}
	}
}

func pad(text string, n int) string {
	return text + strings.Repeat(" ", max(0, n-width(text)))
}

// table writes rows under their heading, which is left out if it is nil.
func (p *page) table(heading []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	if heading != nil {
		upper := make([]string, len(heading))
		for i, h := range heading {
			upper[i] = strings.ToUpper(h)
		}
		rows = append([][]string{upper}, rows...)
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = clean(cell)
			widths[i] = max(widths[i], width(row[i]))
		}
	}
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			line += pad(cell, widths[i]+2)
		}
		p.line(line)
	}
}
