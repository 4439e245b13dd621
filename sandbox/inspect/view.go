package inspect

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// view is a report as people read it, the same in a terminal and in a page: what is
// told by it stands here, how it looks in text.go and in page.html.
type view struct {
	Name, Title string // what the report is about
	Facts       []pair
	Verdict     Verdict
	Findings    []Finding
	Parts       []part
}

// part is a piece of the report with a heading of its own.
type part struct {
	Title string
	// Note explains how to read it; may be empty.
	Note  string
	Facts []pair
	Head  []string
	Rows  [][]string
	// Changes are those of a comparison.
	Changes []Change
}

func (p part) empty() bool { return len(p.Facts) == 0 && len(p.Rows) == 0 && p.Note == "" }

// Name and Value are for the page.
func (p pair) Name() string  { return p.name }
func (p pair) Value() string { return p.value }

func (r *Report) view() *view {
	v := &view{Name: r.Plugin.label(), Title: r.Plugin.Title, Verdict: r.Verdict, Findings: r.Findings, Facts: r.facts()}
	for _, p := range []part{
		r.capabilityPart(), r.importPart(), r.reachPart(), r.egressPart(), r.secretPart(), r.credentialPart(), r.settingPart(), r.placePart(),
		r.codePart(), r.biggestPart(), r.plumbingPart(), r.measuredPart(), r.sectionPart(), r.modulePart(),
	} {
		if !p.empty() {
			v.Parts = append(v.Parts, p)
		}
	}
	return v
}

// label is name and version, or what stands for them in a file without a manifest.
func (i Identity) label() string {
	if i.Name == "" {
		return "A file without a valid manifest"
	}
	return i.Name + " " + i.Version
}

func (r *Report) facts() []pair {
	p, abilities := &r.Plugin, ""
	if r.Manifest != nil {
		abilities = joined(r.Manifest.Abilities)
	}
	freezing := "can be frozen: a call gets a clean instance in microseconds"
	if !r.Freezing.Possible {
		freezing = "cannot be frozen: " + r.Freezing.Reasons[0].String()
	}
	return []pair{
		{"about", p.Description}, {"vendor", strings.Join(filled(p.Vendor, p.VendorURL, p.Contact), ", ")}, {"licence", p.Licence},
		{"contract", p.Contract}, {"digest", p.Digest},
		{"size", fmt.Sprintf("%s, %s", bytesText(p.SizeBytes), count(r.Code.Functions, "function"))},
		{"signature", string(r.Signature.State) + ": " + r.Signature.Note},
		{"made with", cmpOr(r.Toolchain.Text, "not said")}, {"abilities", abilities},
		{"memory", memoryText(r.Memory)}, {"tables", tablesText(r.Tables)}, {"freezing", freezing},
	}
}

func cmpOr(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func filled(texts ...string) []string {
	return slices.DeleteFunc(texts, func(s string) bool { return s == "" })
}

func joined[S ~string](words []S) string {
	texts := make([]string, len(words))
	for i, word := range words {
		texts[i] = string(word)
	}
	return strings.Join(texts, ", ")
}

func memoryText(b *Bounds) string {
	switch {
	case b == nil:
		return "none of its own"
	case b.Max != nil && *b.Max == b.Min || !b.Grows:
		return pagesText(b.Min) + ", and never more"
	case b.Max == nil:
		return pagesText(b.Min) + " at first, and as much more as the host allows"
	}
	return fmt.Sprintf("%s at first, at most %s", pagesText(b.Min), pagesText(*b.Max))
}

func tablesText(tables []Bounds) string {
	var texts []string
	for _, t := range tables {
		text := count(t.Min, "entry")
		switch {
		case !t.Grows || t.Max != nil && *t.Max == t.Min:
			text += ", and never more"
		case t.Max == nil:
			text += " at first, and as many more as the host allows"
		default:
			text += fmt.Sprintf(" at first, at most %s", thousands(int64(*t.Max)))
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}

func (r *Report) capabilityPart() part {
	p := part{Title: "What it can do", Head: []string{"capability", "the manifest declares", "the code imports", "some export reaches"}}
	for _, c := range r.Capabilities {
		declared := "need not be declared"
		if c.NeedsDeclaring {
			declared = cmpOr(strings.Join(c.Declared, ", "), "nothing")
		}
		reachable := "all of that"
		if len(c.Reachable) < len(c.Imported) {
			reachable = cmpOr(strings.Join(c.Reachable, ", "), "none")
		} else if len(c.Imported) == 0 {
			reachable = ""
		}
		p.Rows = append(p.Rows, []string{string(c.Name), declared, cmpOr(strings.Join(c.Imported, ", "), "nothing"), reachable})
	}
	if len(p.Rows) == 0 {
		p.Note = "Nothing but to turn its input into an output."
	}
	return p
}

// importPart lists the imports that a reviewer decides about.
func (r *Report) importPart() part {
	p := part{Title: "What it asks of a host", Head: []string{"import", "does", "reached", "called by"}}
	for i := range r.Imports {
		imp := &r.Imports[i]
		if !imp.suspect() {
			continue
		}
		does, reached := imp.Does, ""
		if imp.Refused != "" {
			does = "refused: " + imp.Refused
		}
		if imp.Kind == "function" {
			reached = yesNo(imp.Reachable)
		}
		p.Rows = append(p.Rows, []string{imp.short(), does, reached, some(imp.Callers, 80)})
	}
	return p
}

// short is the name alone where it is known whose it is.
func (i *Import) short() string {
	if i.Origin == FromNowhere {
		return i.String()
	}
	return i.Name
}

// some lists what fits n characters, and how many more there are.
func some(names []string, n int) string {
	text := ""
	for i, name := range names {
		if i > 0 && width(text)+width(name) > n {
			return fmt.Sprintf("%s and %d more", text, len(names)-i)
		}
		if i > 0 {
			text += ", "
		}
		text += name
	}
	return text
}

// plumbingPart lists the other imports, by what they do.
func (r *Report) plumbingPart() part {
	p := part{Title: "What it imports to run at all"}
	for i := range r.Imports {
		imp := &r.Imports[i]
		if imp.suspect() {
			continue
		}
		n := slices.IndexFunc(p.Facts, func(one pair) bool { return one.name == imp.Does })
		if n < 0 {
			p.Facts = append(p.Facts, pair{imp.Does, imp.Name})
			continue
		}
		p.Facts[n].value += ", " + imp.Name
	}
	return p
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// reachPart groups the exports that reach the same.
func (r *Report) reachPart() part {
	p := part{Title: "What each export can reach",
		Note: "An upper bound: an indirect call counts as a call of every function of its type that a table can hold. What runs before an export counts for each. What carries bytes, logs and time is left out."}
	type group struct {
		exports           []string
		reaches, directly string
	}
	var groups []group
	for _, e := range r.Exports {
		if e.Kind != "function" || e.Role == RoleRuntime && e.Name != "_start" {
			continue
		}
		reaches, directly := r.weighty(e.Reaches), r.weighty(e.Directly)
		i := slices.IndexFunc(groups, func(g group) bool { return g.reaches == reaches && g.directly == directly })
		if i < 0 {
			i = len(groups)
			groups = append(groups, group{reaches: reaches, directly: directly})
		}
		groups[i].exports = append(groups[i].exports, e.Name)
	}
	for _, g := range groups {
		name, value := some(g.exports, 40), cmpOr(g.reaches, "nothing")
		switch {
		case len(groups) == 1 && len(g.exports) > 1:
			name = "every export"
		}
		switch {
		case g.reaches == "":
		case g.directly == "":
			value += "; by direct calls alone nothing"
		case g.directly != g.reaches:
			value += "; by direct calls alone " + g.directly
		}
		p.Facts = append(p.Facts, pair{name, value})
	}
	if len(p.Facts) == 0 {
		p.Note = ""
	}
	return p
}

// weighty are those of the imports that a reviewer decides about.
func (r *Report) weighty(reached []string) string {
	var names []string
	for i := range r.Imports {
		if imp := &r.Imports[i]; imp.suspect() && imp.Kind == "function" && slices.Contains(reached, imp.String()) {
			names = append(names, imp.short())
		}
	}
	return some(slices.Compact(names), maxText)
}

func (r *Report) egressPart() part {
	p := part{Title: "Where it wants to send requests", Head: []string{"rule", "host", "methods", "paths below", "purpose"}}
	if r.Manifest == nil {
		return p
	}
	for _, name := range slices.Sorted(maps.Keys(r.Manifest.Egress)) {
		rule := r.Manifest.Egress[name]
		p.Rows = append(p.Rows, []string{name, targetText(rule, r.Manifest), methodsText(rule), strings.Join(rule.Paths, ", "), rule.Purpose})
	}
	return p
}

// targetText tells whom an egress rule leads to.
func targetText(r manifest.EgressRule, m *manifest.Manifest) string {
	switch {
	case r.Setting != "" && m.Settings[r.Setting].Type == manifest.TypeList:
		return fmt.Sprintf("each that %s lists as %s", settler(r, m), r.Setting)
	case r.Setting != "":
		return fmt.Sprintf("any that %s enters as %s", settler(r, m), r.Setting)
	case r.Port != 0:
		return r.Host + ":" + strconv.FormatInt(r.Port, 10)
	}
	return r.Host
}

// settler says who decides where a rule leads that hangs on a setting.
func settler(r manifest.EgressRule, m *manifest.Manifest) string {
	if m.Settings[r.Setting].Scope == manifest.ScopeApp {
		return "the operator"
	}
	return "a tenant"
}

// tenantDecides tells whether a tenant decides where a rule leads.
func tenantDecides(r manifest.EgressRule, m *manifest.Manifest) bool {
	return r.Setting != "" && m.Settings[r.Setting].Scope != manifest.ScopeApp
}

// methodsText says which requests a rule is for, and how many of them go out.
func methodsText(r manifest.EgressRule) string {
	text := strings.Join(r.Methods, ", ")
	if r.Cached {
		text += ", kept for all and read by receive and route, too"
	}
	if len(r.Redact) > 0 {
		text += "; it does not see " + strings.Join(r.Redact, ", ") + " in the answers"
	}
	for _, rate := range r.Rates {
		var bounds []string
		if rate.RequestsPerSecond > 0 {
			bounds = append(bounds, fmt.Sprintf("%d a second", rate.RequestsPerSecond))
		}
		if rate.Concurrent > 0 {
			bounds = append(bounds, fmt.Sprintf("%d at once", rate.Concurrent))
		}
		text += fmt.Sprintf("; at most %s for each %s", strings.Join(bounds, " and "), rate.Per)
	}
	return text
}

func (r *Report) secretPart() part {
	p := part{Title: "The secrets that are used for it; it never sees their values", Head: []string{"secret", "from", "sent to", "optional", "purpose"}}
	if r.Manifest == nil {
		return p
	}
	for _, name := range slices.Sorted(maps.Keys(r.Manifest.Secrets)) {
		s := r.Manifest.Secrets[name]
		p.Rows = append(p.Rows, []string{name, originText(s), strings.Join(s.SendTo, ", "), onlyYes(s.Optional), s.Purpose})
	}
	return p
}

// credentialPart lists what of token sets is filled in, and how those are kept fresh.
func (r *Report) credentialPart() part {
	p := part{Title: "The credentials that are used for it; the host fills them in", Head: []string{"credential", "sent to", "purpose"}}
	if r.Manifest == nil {
		return p
	}
	for _, owner := range slices.Sorted(maps.Keys(r.Manifest.Tokens)) {
		p.Facts = append(p.Facts, pair{"tokens of the " + owner, tokensText(r.Manifest.Tokens[owner])})
	}
	for _, name := range slices.Sorted(maps.Keys(r.Manifest.Credentials)) {
		c := r.Manifest.Credentials[name]
		p.Rows = append(p.Rows, []string{name, strings.Join(c.SendTo, ", "), c.Purpose})
	}
	return p
}

// tokensText says how a token set is kept fresh.
func tokensText(t manifest.TokenRule) string {
	text := fmt.Sprintf("renewed with %d %% of their life left", cmp.Or(t.RefreshAheadPercent, 20))
	if t.KeepAliveSeconds > 0 {
		text += fmt.Sprintf(", and at least every %v", time.Duration(t.KeepAliveSeconds)*time.Second)
	}
	if t.Obtain {
		text += "; the first are had without a person"
	}
	return text
}

func onlyYes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

func originText(s manifest.Secret) string {
	switch {
	case s.Default != "":
		return owner(s) + ", or else " + s.Default
	case s.GenerateBytes > 0 && s.Scope == manifest.ScopeApp:
		return fmt.Sprintf("the host, %d random bytes, for all connections of an app", s.GenerateBytes)
	case s.GenerateBytes > 0:
		return fmt.Sprintf("the host, %d random bytes", s.GenerateBytes)
	}
	return owner(s)
}

// owner is who brings a secret.
func owner(s manifest.Secret) string {
	if s.Scope == manifest.ScopeApp {
		return "the operator, for all connections of an app"
	}
	return "the tenant"
}
