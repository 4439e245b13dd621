package pdk_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// The manifest that the README shows is valid, and is that of the example beside it.
func TestTheManifestOfTheReadmeFitsTheExample(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "```yaml\n")
	block, _, found := strings.Cut(block, "```")
	if !found {
		t.Fatal("the README shows no manifest")
	}
	head := "contract: patchbay/1\nname: bubble\nversion: 0.1.0\ntitle: Bubble\nvendor: {name: Example}\n"
	m, err := manifest.ParseYAML([]byte(head + block))
	if err != nil {
		t.Fatal(err)
	}
	want, got := pdk.Abilities(bubble{}), slices.Clone(m.Abilities)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) || !m.HasApps() {
		t.Errorf("the README's abilities are %v, apps %t; the example's are %v", got, m.HasApps(), want)
	}
}
