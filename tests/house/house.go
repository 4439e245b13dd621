// Package house holds the rules about how the repository is laid out and which of its
// packages may import which, as data and as functions over data. The test beside it
// reads the real import graph and the real tree, and applies them; a table test shows
// that each rule bites.
//
// The rules are those of DESIGN.md section 3. Whoever changes one changes it here, in
// [Directions], [Rooms] or [Reserved], with the reason beside it.
package house

import (
	"fmt"
	"slices"
	"strings"
)

// Module is the path of our module; every path in the rules is relative to it.
const Module = "github.com/seed75a60ee1/patchbay"

// Package is one package of ours, as far as the rules look at it. Paths are relative to
// [Module]; imports are full import paths.
type Package struct {
	Path string
	// Imports is what the package's own files import; TestImports what its tests add,
	// those of the external test package included.
	Imports, TestImports []string
	// Documented tells whether any file of the package has a package comment.
	Documented bool
}

// Violation is one breach of the rules.
type Violation struct{ Where, What, Why, Fix string }

func (v Violation) String() string {
	return fmt.Sprintf("%s %s: %s; %s", v.Where, v.What, v.Why, v.Fix)
}

// Check applies every rule about packages to the graph.
func Check(graph []Package) []Violation {
	var found []Violation
	for _, p := range graph {
		if !p.Documented {
			found = append(found, Violation{Where: p.Path, What: "has no package comment",
				Why: "a newcomer reads it instead of the code", Fix: "open one file with \"// Package ...\""})
		}
		for _, imported := range p.Imports {
			found = append(found, check(p.Path, imported, false)...)
		}
		for _, imported := range p.TestImports {
			found = append(found, check(p.Path, imported, true)...)
		}
	}
	return found
}

// check applies the rules about imports to one of them.
func check(importer, imported string, inTest bool) []Violation {
	var found []Violation
	blame := func(why, fix string) {
		what := "imports " + imported
		if inTest {
			what = "imports " + imported + " in a test"
		}
		found = append(found, Violation{Where: importer, What: what, Why: why, Fix: fix})
	}
	if ours, ok := strings.CutPrefix(imported, Module+"/"); ok {
		checkDirection(importer, ours, blame)
		if !inTest {
			checkRooms(importer, ours, blame)
		}
		return found
	}
	for _, r := range Reserved {
		if within(imported, r.Library) && !withinAny(importer, r.For) && !(inTest && withinAny(importer, r.ForTests)) {
			blame(r.Why, "use what "+strings.Join(r.For, " or ")+" offers")
		}
	}
	return found
}

func checkDirection(importer, imported string, blame func(why, fix string)) {
	for _, d := range Directions {
		if !within(importer, d.From) {
			continue
		}
		if within(imported, home(importer, d)) || withinAny(imported, d.Below) || slices.Contains(d.May, imported) {
			return
		}
		blame(d.Why, "move what both need to where both may look, or pass it in as an interface")
		return
	}
	blame("no rule says what "+importer+" may import", "put the package where DESIGN.md section 3 has room for it")
}

// home is the subtree that a package may import freely: its own top folder, or for a
// vendor its own plugin.
func home(importer string, d Direction) string {
	if !d.Apart {
		return d.From
	}
	rest := strings.TrimPrefix(importer, d.From+"/")
	first, _, _ := strings.Cut(rest, "/")
	return d.From + "/" + first
}

func checkRooms(importer, imported string, blame func(why, fix string)) {
	for _, r := range Rooms {
		if within(imported, r.Room) && !within(importer, r.Room) && !withinAny(importer, r.KnownTo) {
			blame(r.Why, "declare the interface you need; host/server passes the implementation in")
		}
	}
}

// within tells whether path is root or lies below it.
func within(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}

func withinAny(path string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return within(path, root) })
}
