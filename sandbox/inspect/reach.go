package inspect

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
)

// readImports lists what is imported, each name once, and gives each imported function
// a slot in a mask. Those that a host offers have theirs first; if there are more than
// fit, the last slot stands for the others, none of which a host offers.
func (a *analysis) readImports() {
	index := map[string]int{}
	all := []Import{}
	for n, i := range a.m.Imports {
		a.suspectText(i.Module+i.Name, "the name of import %d", n)
		imp := Import{Module: clip(i.Module, maxName), Name: clip(i.Name, maxName), Kind: i.Kind.String()}
		if i.Kind == binary.KindFunction {
			imp.Type = clip(a.m.Types[i.Type].String(), maxText)
		}
		imp.judge()
		key := imp.Module + "\x00" + imp.Name + "\x00" + imp.Kind + imp.Type
		if _, again := index[key]; again {
			continue
		}
		index[key] = len(all)
		all = append(all, imp)
	}
	slices.SortStableFunc(all, func(x, y Import) int {
		return cmp.Or(cmp.Compare(rank(x.Origin), rank(y.Origin)), cmp.Compare(x.Module, y.Module), cmp.Compare(x.Name, y.Name))
	})
	a.assignSlots(all)
	a.leaveOut("imports", len(all)-maxImports)
	a.Imports = all[:min(len(all), maxImports)]
	for i := range a.Imports {
		if imp := &a.Imports[i]; imp.Module == hostModule && imp.Kind == "function" && !isBulk(imp.Name) {
			a.HostFunctions = append(a.HostFunctions, imp.Name)
		}
	}
	slices.Sort(a.HostFunctions)
	a.HostFunctions = slices.Compact(a.HostFunctions)
}

func rank(o Origin) int {
	return slices.Index([]Origin{FromHost, FromNowhere, FromKernel, FromWASI}, o)
}

// assignSlots takes imports in the order of their ranks, but those from nowhere last:
// there may be any number of them.
func (a *analysis) assignSlots(all []Import) {
	slot := map[string]int{}
	assign := func(nowhere bool) {
		for i := range all {
			name := all[i].String()
			if _, has := slot[name]; has || all[i].Kind != "function" || (all[i].Origin == FromNowhere) != nowhere {
				continue
			}
			if len(a.slots) == maskBits-1 {
				a.slots = append(a.slots, "others")
			}
			slot[name] = min(len(a.slots), maskBits-1)
			if len(a.slots) < maskBits {
				a.slots = append(a.slots, name)
			}
		}
	}
	assign(false)
	assign(true)
	for _, i := range a.m.Imports {
		if i.Kind == binary.KindFunction {
			a.slotOf = append(a.slotOf, slot[clip(i.Module, maxName)+"."+clip(i.Name, maxName)])
		}
	}
}

// namesOf are the imports of a mask, sorted.
func (a *analysis) namesOf(m *mask) []string {
	var names []string
	for slot, name := range a.slots {
		if m.has(slot) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if n := len(names); n > maxReached {
		names = append(names[:maxReached:maxReached], fmt.Sprintf("and %d more", n-maxReached))
	}
	return names
}

// readReach works out what can be reached from where, and who can come back to itself.
func (a *analysis) readReach() {
	c := a.calls
	all, direct := findGroups(&c.all), findGroups(&c.direct)
	own := func(v uint32) (int, bool) {
		if v < uint32(len(a.slotOf)) {
			return a.slotOf[v], true
		}
		return 0, false
	}
	reach, directly := all.spread(&c.all, own), direct.spread(&c.direct, own)
	a.reach = func(v uint32) mask { return reach[all.of[v]] }
	a.directly = func(v uint32) mask { return directly[direct.of[v]] }
	a.readRecursion(all, direct)

	var entries []uint32
	if a.m.HasStart {
		a.before = append(a.before, a.m.Start)
	}
	for _, e := range a.m.Exports {
		if e.Kind == binary.KindFunction {
			entries = append(entries, e.Index)
			if slices.Contains(starters, e.Name) {
				a.before = append(a.before, e.Index)
			}
		}
	}
	w := c.all.walk(append(entries, a.before...))
	for v := uint32(len(a.slotOf)); v < c.functions; v++ {
		if !w.reached[v] {
			a.Code.Unreached++
		}
	}
	a.readWays(w)
}

// readRecursion counts who can come back to itself.
func (a *analysis) readRecursion(all, direct *groups) {
	circular := direct.circular(&a.calls.direct)
	var cycles []uint32 // groups, in the order of their first functions
	met := make([]bool, len(direct.size))
	for v := range a.calls.functions {
		if g := direct.of[v]; circular[g] {
			a.Code.Recursive++
			if !met[g] {
				met[g] = true
				cycles = append(cycles, g)
			}
		}
	}
	slices.SortStableFunc(cycles, func(x, y uint32) int { return cmp.Compare(direct.size[y], direct.size[x]) })
	a.leaveOut("cycles", len(cycles)-maxCycles)
	for _, g := range cycles[:min(len(cycles), maxCycles)] {
		a.Code.Cycles = append(a.Code.Cycles, Cycle{Size: int(direct.size[g]), Functions: a.members(direct, g)})
	}

	through := make([]bool, len(all.size)) // groups that have a type's node
	for v := a.calls.functions; v < uint32(len(all.of)); v++ {
		through[all.of[v]] = all.size[all.of[v]] > 1
	}
	for v := range a.calls.functions {
		if through[all.of[v]] {
			a.Code.IndirectRecursion++
		}
	}
}

// members names the first functions of a group.
func (a *analysis) members(of *groups, group uint32) []string {
	var names []string
	for v := range a.calls.functions {
		if of.of[v] == group && len(names) < maxCycle {
			names = append(names, functionName(a.names, v))
		}
	}
	return names
}

// readWays says of each import who calls it and how it is come to.
func (a *analysis) readWays(w *walk) {
	byName := map[string]*Import{}
	for i := range a.Imports {
		if imp := &a.Imports[i]; imp.Kind == "function" {
			byName[imp.String()+imp.Type] = imp
		}
	}
	of, wanted := map[uint32]*Import{}, map[uint32]bool{}
	index := uint32(0)
	for _, i := range a.m.Imports {
		if i.Kind != binary.KindFunction {
			continue
		}
		key := clip(i.Module, maxName) + "." + clip(i.Name, maxName) + clip(a.m.Types[i.Type].String(), maxText)
		if imp := byName[key]; imp != nil {
			of[index], wanted[index] = imp, true
			imp.Reachable = imp.Reachable || w.reached[index]
			if imp.Path == nil && imp.suspect() && w.reached[index] {
				imp.Path = a.pathText(w.path(index))
			}
		}
		index++
	}
	callers := a.calls.callers(wanted, maxCallers)
	for v := range index {
		for _, caller := range callers[v] {
			if imp := of[v]; len(imp.Callers) < maxCallers {
				imp.Callers = append(imp.Callers, functionName(a.names, caller))
			}
		}
	}
}

// pathText names the functions of a path; of a long one the middle is left out.
func (a *analysis) pathText(path []uint32) []string {
	var text []string
	for _, v := range path {
		if v < a.calls.functions {
			text = append(text, functionName(a.names, v))
		} else {
			text = append(text, "(indirect)")
		}
	}
	if n := len(text); n > maxPath {
		text = slices.Concat(text[:maxPath/2], []string{fmt.Sprintf("(%d more)", n-maxPath)}, text[n-maxPath/2:])
	}
	return text
}
