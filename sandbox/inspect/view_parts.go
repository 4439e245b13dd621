package inspect

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

func (r *Report) settingPart() part {
	p := part{Title: "What can be set", Head: []string{"setting", "by", "type", "required", "default", "valid", "title"}}
	if r.Manifest == nil {
		return p
	}
	for _, name := range slices.Sorted(maps.Keys(r.Manifest.Settings)) {
		s := r.Manifest.Settings[name]
		p.Rows = append(p.Rows, []string{name, setBy(s), string(s.Type), onlyYes(s.Required), s.Default, validText(s), s.Title})
	}
	return p
}

// setBy says who decides a setting.
func setBy(s manifest.Setting) string {
	if s.Scope == manifest.ScopeApp {
		return "operator, for an app"
	}
	return "tenant"
}

func validText(s manifest.Setting) string {
	switch {
	case len(s.Values) > 0:
		return strings.Join(s.Values, ", ")
	case s.Min != 0 || s.Max != 0:
		return fmt.Sprintf("%d to %d", s.Min, s.Max)
	case s.MaxLength > 0:
		return fmt.Sprintf("at most %d bytes", s.MaxLength)
	}
	return ""
}

// maxPlaceRows is how many places people are shown; the JSON has more.
const maxPlaceRows = 40

func (r *Report) placePart() part {
	p := part{Title: "Hosts, URLs and addresses in its data", Head: []string{"standing", "text", "times", "where"},
		Note: "Texts only: what the code makes of them, and what it puts together at run time, does not show. Egress decides at every request."}
	for _, place := range r.Data.Places[:min(len(r.Data.Places), maxPlaceRows)] {
		text := string(place.Standing)
		if len(place.Rules) > 0 {
			text += " by " + strings.Join(place.Rules, ", ")
		}
		p.Rows = append(p.Rows, []string{text, place.Text, fmt.Sprint(place.Count), fmt.Sprintf("data segment %d, byte %d", place.Segment, place.Offset)})
	}
	if more := len(r.Data.Places) - maxPlaceRows + r.LeftOut["places"]; more > 0 {
		p.Rows = append(p.Rows, []string{"", fmt.Sprintf("and %d more", more), "", ""})
	}
	if len(p.Rows) == 0 {
		p.Note = "None were found. What the code puts together at run time does not show."
	}
	return p
}

func (r *Report) codePart() part {
	c := &r.Code
	start := "none"
	if c.HasStart {
		start = c.StartFunction
	}
	recursion := "none by direct calls"
	if c.Recursive > 0 {
		recursion = comesBack(c.Recursive) + " by direct calls"
	}
	if c.IndirectRecursion > 0 {
		recursion += fmt.Sprintf("; %s could, if indirect calls lead wherever their types allow", count(c.IndirectRecursion, "function"))
	}
	return part{Title: "What the code looks like", Facts: []pair{
		{"functions", fmt.Sprintf("%s, of which %s have a name and %s are reached by no export", thousands(int64(c.Functions)), thousands(int64(c.Named)), thousands(int64(c.Unreached)))},
		{"instructions", fmt.Sprintf("%s in %s", thousands(c.Instructions), bytesText(c.Bytes))},
		{"loops", fmt.Sprintf("%s, in %s", count(c.Loops, "loop"), count(c.WithLoops, "function"))},
		{"calls", fmt.Sprintf("%s direct, %s indirect, to any of %s in tables", thousands(int64(c.DirectCalls)), thousands(int64(c.IndirectCalls)), count(c.InTables, "function"))},
		{"recursion", recursion},
		{"start function", start},
		{"before a call", cmpOr(r.weighty(c.BeforeCall), "reaches nothing of a host")},
		{"uses", strings.Join(c.Features, ", ")},
		{"data", fmt.Sprintf("%s in %s", bytesText(r.Data.Bytes), count(r.Data.Segments, "segment"))},
	}}
}

func (r *Report) biggestPart() part {
	p := part{Title: "The biggest functions", Head: []string{"bytes", "function"}}
	for _, f := range r.Code.Biggest {
		p.Rows = append(p.Rows, []string{thousands(int64(f.Bytes)), f.Name})
	}
	return p
}

func (r *Report) measuredPart() part {
	p := part{Title: "What came of loading it"}
	m := r.Measured
	switch {
	case m == nil:
		return p
	case len(m.Refusals) > 0:
		for _, r := range m.Refusals {
			p.Facts = append(p.Facts, pair{"refused", r.Text})
		}
		return p
	}
	p.Facts = append(p.Facts, pair{"loaded in", (time.Duration(m.LoadMicros) * time.Microsecond).Round(100 * time.Microsecond).String()})
	if i := m.Image; i != nil {
		frozen, warmUp := "yes", cmpOr(strings.Join(i.WarmUp, ", "), "none")
		if !i.Frozen {
			frozen = "no: " + i.Why
		} else if i.Why != "" {
			warmUp = "none: " + i.Why
		}
		p.Facts = append(p.Facts, pair{"frozen", frozen}, pair{"warm-up", warmUp},
			pair{"fuel of it", thousands(i.Fuel)}, pair{"image", bytesText(i.Bytes)})
	}
	return p
}

func (r *Report) sectionPart() part {
	p := part{Title: "What the file is made of", Head: []string{"section", "bytes", "known"}}
	for _, s := range r.Sections {
		p.Rows = append(p.Rows, []string{s.Name, thousands(int64(s.SizeBytes)), yesNo(s.Known)})
	}
	return p
}

func (r *Report) modulePart() part {
	p := part{Title: "Go modules linked into it", Head: []string{"module", "version"}}
	for _, m := range r.Toolchain.Modules {
		version := m.Version
		if m.Replaced {
			version += " (in the place of another)"
		}
		p.Rows = append(p.Rows, []string{m.Path, version})
	}
	return p
}
