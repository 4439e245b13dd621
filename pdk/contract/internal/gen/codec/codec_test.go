package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract/internal/documents"
)

var folder = filepath.Join("..", "..", "..")

func TestCheckedInCodeIsCurrent(t *testing.T) {
	want, err := generate(folder)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(folder, target))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("pdk/contract/%s is stale (%v): run go generate ./pdk/contract", target, err)
	}
}

// The tests of the codec and the schemas begin at the top-level documents, so a struct
// that none of them is made of would go untested.
func TestEveryStructBelongsToADocument(t *testing.T) {
	m, err := load(folder)
	if err != nil {
		t.Fatal(err)
	}
	reachable := slices.Sorted(maps.Keys(documents.Reachable()))
	if !slices.Equal(m.names(), reachable) {
		t.Errorf("structs of the contract: %v\nmade into documents: %v\nadd the missing ones to internal/documents", m.names(), reachable)
	}
}

func TestGenerateRefusesWhatTheCodecCannotKeep(t *testing.T) {
	for _, tt := range []struct{ name, field, blamed string }{
		{"an unknown type", "F float64 `json:\"f\"`", "float64 is a type that the codec does not know"},
		{"a slice of one", "F []int64 `json:\"f\"`", "[]int64 is a type"},
		{"a map of anything else", "F map[string]int64 `json:\"f\"`", "a type that the codec does not know"},
		{"an empty struct left out", "F T `json:\"f,omitempty\"`", "use omitzero"},
		{"a zero text left out", "F string `json:\"f,omitzero\"`", "use omitempty"},
		{"a pointer that may be null", "F *T `json:\"f\"`", "a pointer needs omitempty"},
		{"an option of encoding/json", "F int64 `json:\"f,string\"`", `option "string"`},
		{"no name", "F int64 `json:\"-\"`", "no name"},
		{"two fields on a line", "F, G int64 `json:\"f\"`", "a line and a json tag of its own"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			source := "package p\ntype T struct {\n A string `json:\"a\"`\n" + tt.field + "\n}"
			if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(source), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := generate(dir); err == nil || !strings.Contains(err.Error(), tt.blamed) {
				t.Errorf("generate(%s) = %v, want a complaint with %q", tt.field, err, tt.blamed)
			}
		})
	}
}
