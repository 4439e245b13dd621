package inspect

import (
	"fmt"
	"slices"
	"strings"
)

// DiffFormat names the shape of a [Diff] in JSON. What is added to it later keeps the name.
const DiffFormat = "patchbay.inspection-diff/1"

// Diff is what changed from one file to another.
type Diff struct {
	Format  string      `json:"format"`
	Old     Identity    `json:"old"`
	New     Identity    `json:"new"`
	Verdict DiffVerdict `json:"verdict"`
	// Changes are in the order of [Areas].
	Changes []Change `json:"changes"`
}

// DiffVerdict says whether the new version asks for more than the old one: for
// something that a grant of all that the old one asked for does not allow.
type DiffVerdict struct {
	AsksForMore bool   `json:"asks_for_more"`
	Text        string `json:"text"`
}

// Area is a part of a plugin in which something changed.
type Area string

// The areas.
const (
	AreaIdentity     Area = "identity"
	AreaHostFunction Area = "host functions"
	AreaEgress       Area = "egress"
	AreaSecret       Area = "secrets"
	AreaCredential   Area = "credentials"
	AreaAbility      Area = "abilities"
	AreaFinding      Area = "findings"
	AreaSetting      Area = "settings"
	AreaExport       Area = "exports"
	AreaImport       Area = "imports"
	AreaReach        Area = "reach"
	AreaBounds       Area = "bounds"
	AreaPlace        Area = "data"
	AreaModule       Area = "dependencies"
	AreaCode         Area = "code"
	AreaSection      Area = "sections"
)

// Areas lists them, those first that a grant is about.
func Areas() []Area {
	return []Area{
		AreaIdentity, AreaHostFunction, AreaEgress, AreaSecret, AreaCredential, AreaAbility, AreaFinding, AreaSetting, AreaExport,
		AreaImport, AreaReach, AreaBounds, AreaPlace, AreaModule, AreaCode, AreaSection,
	}
}

// ChangeKind says how something changed.
type ChangeKind string

// The kinds of change.
const (
	Gained  ChangeKind = "gained"
	Lost    ChangeKind = "lost"
	Changed ChangeKind = "changed"
)

// Change is one thing that changed.
type Change struct {
	Area Area       `json:"area"`
	Kind ChangeKind `json:"kind"`
	What string     `json:"what"`
	// Before and After are empty for what was not there.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// More is set if the new version asks for something by it that was not asked for.
	More bool `json:"more,omitempty"`
}

// Compare says what changed from an old version of a plugin to a new one. Both
// reports are only read.
func Compare(from, to *Report) *Diff {
	d := &Diff{Format: DiffFormat, Old: from.Plugin, New: to.Plugin, Changes: []Change{}}
	d.identity(from, to)
	d.manifests(from, to)
	d.findings(from, to)
	d.interfaces(from, to)
	d.bounds(from, to)
	d.contents(from, to)
	slices.SortStableFunc(d.Changes, func(a, b Change) int {
		return slices.Index(Areas(), a.Area) - slices.Index(Areas(), b.Area)
	})
	d.Verdict = d.judge(from, to)
	return d
}

func (d *Diff) judge(from, to *Report) DiffVerdict {
	var more []string
	for _, c := range d.Changes {
		if c.More {
			more = append(more, fmt.Sprintf("%s (%s)", c.What, c.Area))
		}
	}
	switch {
	case to.Manifest == nil:
		return DiffVerdict{true, "It cannot be told what the new file asks for: it has no valid manifest."}
	case from.Manifest == nil:
		return DiffVerdict{true, "Asks for more than before: the old file had no valid manifest, so nothing could have been granted."}
	case len(more) > 0:
		return DiffVerdict{true, "Asks for more than before: " + some(more, 2*maxText) + "."}
	case from.Plugin.Digest == to.Plugin.Digest:
		return DiffVerdict{false, "The files are the same."}
	}
	return DiffVerdict{false, "Asks for no more than before."}
}

// add notes a change of one text into another; an empty one stands for nothing.
func (d *Diff) add(area Area, what, before, after string, more bool) {
	kind := Changed
	switch {
	case before == after:
		return
	case before == "":
		kind = Gained
	case after == "":
		kind = Lost
	}
	d.Changes = append(d.Changes, Change{area, kind, what, before, after, more})
}

// sets notes what is in one list and not in the other.
func (d *Diff) sets(area Area, before, after []string, more bool) {
	d.keyed(area, setOf(before), setOf(after), func(_, _ string) bool { return more })
}

func setOf(names []string) map[string]string {
	set := map[string]string{}
	for _, name := range names {
		set[name] = present
	}
	return set
}

// present is the text of what is there and has nothing else to be told.
const present = "yes"

// keyed notes what has another text in one map than in the other. widens says whether
// the step asks for more; it is not asked about what was lost.
func (d *Diff) keyed(area Area, before, after map[string]string, widens func(before, after string) bool) {
	keys := map[string]bool{}
	for key := range before {
		keys[key] = true
	}
	for key := range after {
		keys[key] = true
	}
	for _, key := range sortedKeys(keys) {
		b, a := before[key], after[key]
		n := len(d.Changes)
		d.add(area, key, b, a, a != "" && b != a && widens(b, a))
		if len(d.Changes) > n && (a == present || b == present) {
			c := &d.Changes[n]
			c.Before, c.After = "", ""
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func never(_, _ string) bool { return false }

func (d *Diff) identity(from, to *Report) {
	o, n := from.Plugin, to.Plugin
	d.add(AreaIdentity, "name", o.Name, n.Name, o.Name != "" && n.Name != "")
	d.add(AreaIdentity, "version", o.Version, n.Version, false)
	d.add(AreaIdentity, "title", o.Title, n.Title, false)
	d.add(AreaIdentity, "vendor", o.Vendor, n.Vendor, false)
	d.add(AreaIdentity, "vendor's page", o.VendorURL, n.VendorURL, false)
	d.add(AreaIdentity, "contact", o.Contact, n.Contact, false)
	d.add(AreaIdentity, "licence", o.Licence, n.Licence, false)
	d.add(AreaIdentity, "contract", o.Contract, n.Contract, false)
	d.add(AreaIdentity, "signature", string(from.Signature.State), string(to.Signature.State), false)
	d.add(AreaCode, "made with", from.Toolchain.Text, to.Toolchain.Text, false)
}

// findings appear, vanish, or have other places.
func (d *Diff) findings(from, to *Report) {
	before, after := map[string]*Finding{}, map[string]*Finding{}
	for i := range from.Findings {
		before[from.Findings[i].ID] = &from.Findings[i]
	}
	for i := range to.Findings {
		after[to.Findings[i].ID] = &to.Findings[i]
		f := &to.Findings[i]
		if o := before[f.ID]; o != nil {
			d.add(AreaFinding, f.ID, o.text(f), f.text(o), false)
		} else {
			d.add(AreaFinding, f.ID, "", f.text(nil), false)
		}
	}
	for i := range from.Findings {
		if f := &from.Findings[i]; after[f.ID] == nil {
			d.add(AreaFinding, f.ID, f.text(nil), "", false)
		}
	}
}

// text is a finding in a line, with the evidence that another one of the same ID lacks
// if it is more than good to know.
func (f *Finding) text(other *Finding) string {
	text := fmt.Sprintf("%s: %s", f.Severity, f.What)
	if f.Severity == Info {
		return text
	}
	var own []string
	for _, e := range f.Evidence {
		if other == nil || !slices.Contains(other.Evidence, e) {
			own = append(own, e)
		}
	}
	if len(own) > 0 {
		text += " " + strings.Join(own, "; ")
	}
	return text
}

func (d *Diff) interfaces(from, to *Report) {
	d.sets(AreaHostFunction, from.HostFunctions, to.HostFunctions, true)
	imports := func(r *Report) map[string]string {
		m := map[string]string{}
		for i := range r.Imports {
			if imp := &r.Imports[i]; imp.Origin != FromHost {
				m[imp.String()] = cmpOr(imp.Type, imp.Kind)
			}
		}
		return m
	}
	d.keyed(AreaImport, imports(from), imports(to), never)
	exports := func(r *Report) map[string]string {
		m := map[string]string{}
		for _, e := range r.Exports {
			m[e.Name] = cmpOr(e.Type, e.Kind)
		}
		return m
	}
	d.keyed(AreaExport, exports(from), exports(to), never)

	reach := func(r *Report, name string) (string, bool) {
		i := slices.IndexFunc(r.Exports, func(e Export) bool { return e.Name == name && e.Kind == "function" })
		if i < 0 {
			return "", false
		}
		return cmpOr(r.weighty(r.Exports[i].Reaches), "nothing"), true
	}
	for _, e := range to.Exports {
		before, was := reach(from, e.Name)
		if after, is := reach(to, e.Name); was && is {
			d.add(AreaReach, e.Name, before, after, false)
		}
	}
}

func (d *Diff) bounds(from, to *Report) {
	d.add(AreaBounds, "memory", memoryText(from.Memory), memoryText(to.Memory), false)
	d.add(AreaBounds, "tables", cmpOr(tablesText(from.Tables), "none"), cmpOr(tablesText(to.Tables), "none"), false)
	d.add(AreaBounds, "freezing", freezingText(from), freezingText(to), false)
}

func freezingText(r *Report) string {
	if r.Freezing.Possible {
		return "possible"
	}
	var reasons []string
	for _, reason := range r.Freezing.Reasons {
		reasons = append(reasons, reason.String())
	}
	return "not possible: " + strings.Join(reasons, "; ")
}

func (d *Diff) contents(from, to *Report) {
	places := func(r *Report) map[string]string {
		m := map[string]string{}
		for _, p := range r.Data.Places {
			m[p.Text] = string(p.Standing)
		}
		return m
	}
	d.keyed(AreaPlace, places(from), places(to), never)
	modules := func(r *Report) map[string]string {
		m := map[string]string{}
		for _, one := range r.Toolchain.Modules {
			m[one.Path] = cmpOr(one.Version, present)
		}
		return m
	}
	d.keyed(AreaModule, modules(from), modules(to), never)
	sections := func(r *Report) map[string]string {
		size := map[string]int{}
		for _, s := range r.Sections {
			size[s.Name] += s.SizeBytes
		}
		m := map[string]string{}
		for name, n := range size {
			m[name] = count(n, "byte")
		}
		return m
	}
	d.keyed(AreaSection, sections(from), sections(to), never)
	o, n := &from.Code, &to.Code
	d.add(AreaCode, "size", count(from.Plugin.SizeBytes, "byte"), count(to.Plugin.SizeBytes, "byte"), false)
	d.add(AreaCode, "functions", thousands(int64(o.Functions)), thousands(int64(n.Functions)), false)
	d.add(AreaCode, "functions with loops", thousands(int64(o.WithLoops)), thousands(int64(n.WithLoops)), false)
	d.add(AreaCode, "recursive functions", thousands(int64(o.Recursive)), thousands(int64(n.Recursive)), false)
	d.add(AreaCode, "start function", cmpOr(o.StartFunction, "none"), cmpOr(n.StartFunction, "none"), false)
	d.add(AreaCode, "uses", cmpOr(strings.Join(o.Features, ", "), "nothing new"), cmpOr(strings.Join(n.Features, ", "), "nothing new"), false)
}
