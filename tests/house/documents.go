package house

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// checkDocuments wants of every document in Markdown that the tests it names are there, and that
// its links lead to something.
func checkDocuments(files []File) []Violation {
	var found []Violation
	tests := testsOf(files)
	for _, f := range files {
		if !strings.HasSuffix(f.Path, ".md") {
			continue
		}
		text := string(f.Content)
		found = append(found, tests.missing(f.Path, text)...)
		found = append(found, tests.missingActs(f.Path, text)...)
		found = append(found, brokenLinks(f.Path, text, files)...)
	}
	return found
}

// tests is what the tests of the tree are called.
type tests struct {
	names []string
	// source is the text of every test below tests, where acts are named.
	source string
}

var testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark|Example)\w+)\(`)

func testsOf(files []File) tests {
	var all tests
	var source strings.Builder
	for _, f := range files {
		if !strings.HasSuffix(f.Path, "_test.go") {
			continue
		}
		for _, match := range testFunc.FindAllSubmatch(f.Content, -1) {
			all.names = append(all.names, string(match[1]))
		}
		if within(f.Path, "tests") {
			source.Write(f.Content)
		}
	}
	slices.Sort(all.names)
	all.source = source.String()
	return all
}

// testName is a test as a document names it; an ellipsis stands for the rest of a long name.
var testName = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9]*…?`)

func (t tests) missing(where, text string) []Violation {
	var found []Violation
	for _, name := range testName.FindAllString(text, -1) {
		start, short := strings.CutSuffix(name, "…")
		if strings.Contains(text, "func "+name+"(") {
			continue // the document shows how to write it
		}
		i, known := slices.BinarySearch(t.names, start)
		if known || short && i < len(t.names) && strings.HasPrefix(t.names[i], start) {
			continue
		}
		found = append(found, Violation{Where: where, What: "names the test " + name + ", which there is not",
			Why: "who looks for the proof finds nothing", Fix: "name the test that there is now, or write it"})
	}
	return found
}

// actsColumn is the column of a table whose cells name acts of tests, in quotation marks.
const actsColumn = "End to end"

var quoted = regexp.MustCompile(`"[^"]+"`)

func (t tests) missingActs(where, text string) []Violation {
	var found []Violation
	column := -1
	for line := range strings.Lines(text) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			column = -1 // the table is over
			continue
		}
		if i := slices.IndexFunc(cells, func(cell string) bool { return strings.TrimSpace(cell) == actsColumn }); i >= 0 {
			column = i
			continue
		}
		if column < 0 || column >= len(cells) {
			continue
		}
		for _, act := range quoted.FindAllString(cells[column], -1) {
			if !strings.Contains(t.source, act) {
				found = append(found, Violation{Where: where, What: fmt.Sprintf("names the act %s, which no test below tests has", act),
					Why: "who looks for the proof finds nothing", Fix: "name the act that there is now, or write it"})
			}
		}
	}
	return found
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// brokenLinks finds links to files of the tree that are not there.
func brokenLinks(where, text string, files []File) []Violation {
	var found []Violation
	for _, match := range link.FindAllStringSubmatch(text, -1) {
		target, _, _ := strings.Cut(match[1], "#")
		if target == "" || strings.Contains(target, ":") {
			continue // within the document, or elsewhere
		}
		to := path.Join(path.Dir(where), target)
		if !slices.ContainsFunc(files, func(f File) bool { return f.Path == to || within(f.Path, to) }) {
			found = append(found, Violation{Where: where, What: "has a link to " + match[1] + ", which there is not",
				Why: "it leads nowhere", Fix: "link to where it is now"})
		}
	}
	return found
}
