package house

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// File is one file kept in the repository. Path is relative to the repository's top.
type File struct {
	Path    string
	Content []byte
}

// CheckTree applies every rule about the tree to the files kept in the repository.
func CheckTree(files []File) []Violation {
	found := checkTop(files)
	for _, f := range files {
		found = append(found, checkFile(f)...)
	}
	return append(found, checkDocuments(files)...)
}

func checkTop(files []File) []Violation {
	var found []Violation
	seen := map[string]bool{}
	for _, f := range files {
		top, _, _ := strings.Cut(f.Path, "/")
		if !seen[top] && !strings.HasPrefix(top, ".") && !slices.Contains(TopLevel, top) {
			found = append(found, Violation{Where: top, What: "stands at the top of the repository",
				Why: "the tree speaks first, and this is not one of its words", Fix: "move it into one of " + strings.Join(TopLevel, ", ")})
		}
		seen[top] = true
	}
	for _, top := range TopLevel {
		if !seen[top] {
			found = append(found, Violation{Where: top, What: "is missing from the top of the repository",
				Why: "a newcomer looks for it there", Fix: "add it, or change house.TopLevel"})
		}
	}
	return found
}

// generated is the mark that the Go tools agree on (go help generate).
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

func checkFile(f File) []Violation {
	var found []Violation
	if len(f.Content) > MaxFileBytes {
		found = append(found, Violation{Where: f.Path, What: fmt.Sprintf("has %d bytes", len(f.Content)),
			Why: "every clone carries it for ever", Fix: fmt.Sprintf("make it when it is needed, or keep it below %d", MaxFileBytes)})
	}
	if strings.HasSuffix(f.Path, ".wasm") {
		found = append(found, Violation{Where: f.Path, What: "is a compiled module",
			Why: "nobody can review it, and it drifts from its source", Fix: "build it where it is needed; see host/pack"})
	}
	if lines := bytes.Count(f.Content, []byte("\n")); strings.HasSuffix(f.Path, ".go") && lines > MaxGoLines && !generated.Match(f.Content) {
		found = append(found, Violation{Where: f.Path, What: fmt.Sprintf("has %d lines", lines),
			Why: fmt.Sprintf("a file has one subject, and %d lines are enough for it", MaxGoLines), Fix: "split it by subject"})
	}
	return found
}
