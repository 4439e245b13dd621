package inspect

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// capabilities holds what the manifest declares against what the code can do.
func capabilities(r *Report) []Capability {
	all := []Capability{}
	for _, name := range []CapabilityName{Network, Secrets, Credentials, Media, State, Routing, Delivery, Signatures} {
		c := Capability{Name: name, Declared: []string{}, Imported: []string{}, Reachable: []string{}}
		for i := range r.Imports {
			imp := &r.Imports[i]
			f, known := hostFunctions[contract.HostFunction(imp.Name)]
			if !known || f.capability != name || imp.Origin != FromHost {
				continue
			}
			c.Imported = append(c.Imported, imp.Name)
			if imp.Reachable {
				c.Reachable = append(c.Reachable, imp.Name)
			}
		}
		switch m := r.Manifest; {
		case name == Network:
			c.NeedsDeclaring = true
			if m != nil {
				c.Declared = append(c.Declared, slices.Sorted(maps.Keys(m.Egress))...)
			}
		case name == Secrets:
			c.NeedsDeclaring = true
			if m != nil {
				c.Declared = append(c.Declared, slices.Sorted(maps.Keys(m.Secrets))...)
			}
		case name == Credentials:
			c.NeedsDeclaring = true
			if m != nil {
				c.Declared = append(c.Declared, slices.Sorted(maps.Keys(m.Credentials))...)
			}
		}
		if len(c.Declared)+len(c.Imported) > 0 {
			all = append(all, c)
		}
	}
	return all
}

// findUndeclared compares, both ways, what is declared and what the code can do.
func (a *analysis) findUndeclared() {
	var undeclared, unreachable, indirect []string
	for i := range a.Imports {
		imp := &a.Imports[i]
		switch {
		case imp.Origin != FromHost:
			continue
		case !imp.Reachable:
			unreachable = append(unreachable, imp.Name)
			continue
		case a.Manifest != nil && slices.Contains(toNetwork, imp.Name) && !a.rulesFor(imp.Name),
			a.Manifest != nil && len(a.Manifest.Secrets) == 0 && slices.Contains(toSecrets, imp.Name):
			undeclared = append(undeclared, fmt.Sprintf("%s, by %s", imp.Name, strings.Join(imp.Path, " > ")))
		}
		if !a.direct(imp.String()) {
			indirect = append(indirect, imp.Name)
		}
	}
	if len(undeclared) > 0 {
		a.find(Medium, "capability-undeclared", "Code can call host functions for which the manifest declares nothing.",
			"Without an egress rule or a secret they are refused at every call. That a manifest keeps quiet about what the code tries is a mistake or a probe.",
			"Ask the vendor to declare what it needs, or to take the calls out.", undeclared...)
	}
	if a.Manifest != nil && len(a.Manifest.Egress) > 0 && !a.imports(toNetwork...) {
		a.find(Low, "capability-unused", "The manifest asks for egress, and the code cannot send anything.",
			"A grant of it is wider than needed, and waits for a later version to use it.", "Do not grant it.",
			slices.Sorted(maps.Keys(a.Manifest.Egress))...)
	}
	if len(unreachable) > 0 {
		a.find(Low, "import-unreachable", fmt.Sprintf("No export can come to %s that it imports.", count(len(unreachable), "host function")),
			"It asks for more than it can use.", "Do not grant them, or ask the vendor to take them out.", unreachable...)
	}
	if len(indirect) > 0 {
		a.find(Info, "reach-indirect", fmt.Sprintf("Only indirect calls lead to %s.", count(len(indirect), "host function")),
			"Which export uses them cannot be told from the code: what this report says is an upper bound. Go compiles like that.",
			"Judge by what is granted.", indirect...)
	}
}

// rulesFor tells whether the manifest has an egress rule for a host function that leads out:
// http_cached_get has rules of its own.
func (a *analysis) rulesFor(function string) bool {
	for _, r := range a.Manifest.Egress {
		if r.Cached == (function == string(contract.HostHTTPCachedGet)) {
			return true
		}
	}
	return false
}

// direct tells whether an ability comes to an import by direct calls alone.
func (a *analysis) direct(name string) bool {
	return slices.ContainsFunc(a.Exports, func(e Export) bool { return slices.Contains(e.Directly, name) })
}

// defaultPages is how much memory a host gives a plugin unless it is told otherwise
// (sandbox.Limits).
const defaultPages = 512

func (a *analysis) findMemory() {
	if m := a.Memory; m != nil && m.Min > defaultPages {
		a.find(High, "memory-large", fmt.Sprintf("It starts with %s of memory.", pagesText(m.Min)),
			fmt.Sprintf("A host gives %s unless it is told otherwise, and refuses a plugin that wants more.", pagesText(defaultPages)),
			"Ask the vendor why, before raising the limit.")
	}
	if m := a.Memory; m != nil && m.Max == nil && m.Grows {
		a.find(Info, "memory-unbounded", "It states no bound to its memory.",
			"It may grow as far as the host allows. Most compilers leave the bound out.", "Nothing; the host's limit holds.")
	}
	var unbounded []string
	for i, t := range a.Tables {
		if t.Max == nil && t.Grows {
			unbounded = append(unbounded, fmt.Sprintf("table %d, %s at first", i, count(t.Min, "entry")))
		}
	}
	if len(unbounded) > 0 {
		a.find(Low, "table-unbounded", "Its code grows a table without a bound.",
			"Tables take memory of the host's, outside the plugin's own.", "Nothing; the host's limit holds.", unbounded...)
	}
	if !a.Freezing.Possible {
		var reasons []string
		for _, r := range a.Freezing.Reasons {
			reasons = append(reasons, r.String())
		}
		a.find(Low, "not-freezable", "It cannot be frozen.",
			"Each call needs a new instance, which takes milliseconds where a frozen one takes microseconds. It is isolated all the same.",
			"Ask the vendor for a build without these instructions, if speed matters.", reasons...)
	}
}

const hugeFunction = 128 << 10

func (a *analysis) findCode() {
	var huge []string
	for _, f := range a.Code.Biggest {
		if f.Bytes >= hugeFunction {
			huge = append(huge, fmt.Sprintf("%s, %s", f.Name, bytesText(int64(f.Bytes))))
		}
	}
	if len(huge) > 0 {
		a.find(Low, "function-huge", fmt.Sprintf("It has %s of more than %s.", count(len(huge), "function"), bytesText(hugeFunction)),
			"They take long to compile, and nobody can read them. Generated code and flattened control flow look like that.",
			"Ask the vendor what they are.", huge...)
	}
	if n := a.Code.Unreached; n*2 > a.Code.Functions && n > 8 {
		a.find(Info, "code-unreached", fmt.Sprintf("No export can come to %s of %s.", thousands(int64(n)), count(a.Code.Functions, "function")),
			"Dead code does nothing, and hides what does.", "Ask the vendor to build with dead code removed.")
	}
	if a.Code.Recursive > 0 {
		var cycles []string
		for _, c := range a.Code.Cycles {
			cycles = append(cycles, cycleText(c))
		}
		a.find(Info, "recursion", comesBack(a.Code.Recursive)+" by direct calls.",
			"Depth then depends on the input. Calls are bounded in depth and in fuel.", "Nothing.", cycles...)
	}
}

// comesBack tells how many functions can call themselves, at once or over others.
func comesBack(n int) string {
	if n == 1 {
		return "1 function can come back to itself"
	}
	return count(n, "function") + " can come back to themselves"
}

func cycleText(c Cycle) string {
	text := strings.Join(c.Functions, ", ")
	if more := c.Size - len(c.Functions); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func (a *analysis) findMeasured() {
	if a.Measured == nil {
		return
	}
	told := slices.ContainsFunc(a.Findings, func(f Finding) bool { return f.ID == "import-refused" })
	var refusals []string
	for _, r := range a.Measured.Refusals {
		if r.Part != "import" || !told {
			refusals = append(refusals, r.Text)
		}
	}
	if len(refusals) > 0 {
		a.find(Critical, "load-refused", "The sandbox of this machine refuses it.",
			"A host would refuse it as well.", "Send it back to the vendor with the reasons below.", refusals...)
	}
	if i := a.Measured.Image; i != nil && !i.Frozen && a.Freezing.Possible {
		a.find(Low, "not-frozen", "It could be frozen by its code, and was not.",
			"Each call needs a new instance, which takes milliseconds where a frozen one takes microseconds. It is isolated all the same.",
			"Ask the vendor, if speed matters.", i.Why)
	}
}

// pagesText writes a number of pages of 64 KiB as a size.
func pagesText(pages uint32) string { return bytesText(int64(pages) << 16) }
