package failpoint

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestASettingNamesAMomentAndAHit(t *testing.T) {
	for _, tt := range []struct {
		name, setting, wrong string
		count                int64
	}{
		{name: "third hit", setting: Setting(StoreBeforeCommit, 3), count: 3},
		{name: "unknown name", setting: "store.sometime:1", wrong: "there is no failpoint"},
		{name: "no count", setting: "store.before-commit", wrong: "at which hit"},
		{name: "hit 0", setting: "store.before-commit:0", wrong: "at which hit"},
		{name: "empty", setting: "", wrong: "there is no failpoint"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name, count, err := parse(tt.setting)
			if tt.wrong == "" {
				if err != nil || name != StoreBeforeCommit || count != tt.count {
					t.Fatalf("parse(%q) = %q, %d, %v; want %q, %d, nil", tt.setting, name, count, err, StoreBeforeCommit, tt.count)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.wrong) {
				t.Fatalf("parse(%q) gave %v, want an error that says %q", tt.setting, err, tt.wrong)
			}
		})
	}
}

var hits = regexp.MustCompile(`failpoint\.Hit\((?:"([^"]+)"|failpoint\.(\w+))\)`)

// A name that nobody hits proves nothing, and a hit that nobody lists is never tried.
func TestEveryNameIsHitSomewhereAndEveryHitIsListed(t *testing.T) {
	declared := constants(t)
	placed := map[Name]bool{}
	for path, source := range sources(t, "..") {
		for _, hit := range hits.FindAllStringSubmatch(source, -1) {
			name := Name(hit[1])
			if hit[2] != "" {
				name = declared[hit[2]]
			}
			if _, _, err := parse(Setting(name, 1)); err != nil {
				t.Errorf("%s hits %s, which is not in Names()", path, hit[0])
			}
			placed[name] = true
		}
	}
	for _, name := range Names() {
		if !placed[name] {
			t.Errorf("no code hits %q: place it, or take it out of the list", name)
		}
	}
}

// constants maps the identifiers of this package's names to their values.
func constants(t *testing.T) map[string]Name {
	t.Helper()
	source, err := os.ReadFile("failpoint.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Name{}
	for _, m := range regexp.MustCompile(`(?m)^\t(\w+)\s+Name = "([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
		found[m[1]] = Name(m[2])
	}
	if len(found) != len(Names()) {
		t.Fatalf("%d names are declared and %d are listed", len(found), len(Names()))
	}
	return found
}

// sources returns the Go files below dir that are not tests.
func sources(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // somebody's temporary file
			}
			return err
		}
		if entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		content, err := os.ReadFile(path)
		found[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
