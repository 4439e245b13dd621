package inspect

import (
	"io"
	"strings"
)

// WriteText writes the report for a terminal: first what decides, then the details.
func (r *Report) WriteText(w io.Writer) error { return r.view().writeText(w) }

func (v *view) writeText(w io.Writer) error {
	p := &page{}
	p.line(v.Name)
	if v.Title != "" {
		p.line(v.Title)
	}
	p.line("")
	p.pairs(v.Facts...)
	p.title("Verdict")
	p.wrapped("", "", v.Verdict.Text)
	v.writeFindings(p)
	for _, one := range v.Parts {
		one.writeText(p)
	}
	v.explain(p)
	return p.flush(w)
}

// writeFindings is the list at a glance.
func (v *view) writeFindings(p *page) {
	if len(v.Findings) == 0 {
		return
	}
	p.title("Findings")
	widest := 0
	for _, f := range v.Findings {
		widest = max(widest, len(f.Severity))
	}
	for _, f := range v.Findings {
		indent := strings.Repeat(" ", widest+2)
		p.wrapped(pad(string(f.Severity), widest+2), indent, f.What+" ["+f.ID+"]")
	}
}

// explain says of each finding why it matters and what to do.
func (v *view) explain(p *page) {
	if len(v.Findings) == 0 {
		return
	}
	p.title("The findings in full")
	for i, f := range v.Findings {
		if i > 0 {
			p.line("")
		}
		p.wrapped("", "", f.ID+" ("+string(f.Severity)+"): "+f.What)
		p.wrapped("  why  ", "       ", f.Why)
		p.wrapped("  do   ", "       ", f.Do)
		for _, e := range f.Evidence {
			p.wrapped("  -    ", "       ", e)
		}
	}
}

func (one part) writeText(p *page) {
	p.title(one.Title)
	if one.Note != "" {
		p.wrapped("", "", one.Note)
	}
	p.pairs(one.Facts...)
	p.table(one.Head, one.Rows)
	for _, c := range one.Changes {
		c.writeText(p)
	}
}
