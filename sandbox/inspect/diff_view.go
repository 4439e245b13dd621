package inspect

import (
	"io"
)

// WriteText writes the changes for a terminal.
func (d *Diff) WriteText(w io.Writer) error { return d.view().writeText(w) }

// WriteJSON writes the changes for programs.
func (d *Diff) WriteJSON(w io.Writer) error { return writeJSON(w, d) }

// WriteHTML writes the changes as one page that needs nothing else.
func (d *Diff) WriteHTML(w io.Writer) error { return d.view().writeHTML(w) }

func (d *Diff) view() *view {
	v := &view{Name: d.Old.label() + " → " + d.New.label(), Verdict: Verdict{Level: Info, Text: d.Verdict.Text}}
	if d.Verdict.AsksForMore {
		v.Verdict.Level = High
	}
	v.Facts = []pair{
		{"old digest", d.Old.Digest}, {"new digest", d.New.Digest},
		{"old size", bytesText(d.Old.SizeBytes)}, {"new size", bytesText(d.New.SizeBytes)},
	}
	for _, area := range Areas() {
		p := part{Title: areaTitles[area]}
		for _, c := range d.Changes {
			if c.Area == area {
				p.Changes = append(p.Changes, c)
			}
		}
		if len(p.Changes) > 0 {
			v.Parts = append(v.Parts, p)
		}
	}
	return v
}

// Mark tells gained, lost and changed apart without colour.
func (c Change) Mark() string {
	return map[ChangeKind]string{Gained: "+", Lost: "-", Changed: "~"}[c.Kind]
}

// writeText writes a change on a line, or on three where something became another.
func (c Change) writeText(p *page) {
	what := c.Mark() + " " + c.What
	if c.More {
		what += " (asks for more)"
	}
	switch {
	case c.Kind == Changed && width(what)+width(c.Before)+width(c.After)+8 <= lineWidth:
		p.line(what + ": " + c.Before + " → " + c.After)
	case c.Kind == Changed:
		p.wrapped("", "  ", what)
		p.wrapped("    before  ", "            ", c.Before)
		p.wrapped("    now     ", "            ", c.After)
	case c.Before+c.After != "":
		p.wrapped("", "    ", what+": "+c.Before+c.After)
	default:
		p.line(what)
	}
}

var areaTitles = map[Area]string{
	AreaIdentity:     "Who it is",
	AreaHostFunction: "Host functions that it imports",
	AreaEgress:       "Where it wants to send requests",
	AreaSecret:       "Secrets that are used for it",
	AreaCredential:   "Credentials that are used for it",
	AreaAbility:      "Abilities",
	AreaFinding:      "Findings",
	AreaSetting:      "What can be set",
	AreaExport:       "Exports",
	AreaImport:       "Other imports",
	AreaReach:        "What each export can reach",
	AreaBounds:       "Memory, tables, freezing",
	AreaPlace:        "Hosts, URLs and addresses in its data",
	AreaModule:       "Go modules linked into it",
	AreaCode:         "Code",
	AreaSection:      "Sections of the file",
}
