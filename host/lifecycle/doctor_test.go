package lifecycle_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/lifecycle"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// patient is a store to be examined.
type patient struct {
	problems []string
	media    []domain.Media
	plugins  []domain.Plugin
	fails    error
}

func (p *patient) Check(context.Context) []string { return p.problems }

func (p *patient) AllMedia(context.Context, domain.Page) ([]domain.Media, string, error) {
	return p.media, "", p.fails
}

func (p *patient) Plugins(context.Context) ([]domain.Plugin, error) { return p.plugins, p.fails }

func hashOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func put(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// sound is a data folder in which all is well, with its store.
func sound(t *testing.T) (dir string, p *patient) {
	t.Helper()
	dir, p = t.TempDir(), new(patient)
	for _, name := range lifecycle.KeyFiles {
		put(t, dir, "keys/"+name, "a key")
	}
	for i, content := range []string{"a picture", "a voice note"} {
		sum := hashOf(content)
		put(t, dir, "media/"+sum[:2]+"/"+sum+".bin", content)
		p.media = append(p.media, domain.Media{Handle: contract.MediaHandle(fmt.Sprintf("med_%d", i+1)), Workspace: "wsp_1", SHA256: sum})
	}
	for i, content := range []string{"one version", "another"} {
		put(t, dir, "plugins/"+hashOf(content)+".wasm", content)
		p.plugins = append(p.plugins, domain.Plugin{Digest: "sha256:" + hashOf(content), Active: i == 0,
			Manifest: manifest.Manifest{Name: "acme", Version: fmt.Sprintf("1.%d.0", i)}})
	}
	return dir, p
}

func examine(t *testing.T, dir string, p *patient) lifecycle.Diagnosis {
	t.Helper()
	d, err := lifecycle.Examine(t.Context(), lifecycle.Subject{Data: dir, Store: p, Schema: 2, StoreBytes: 4096, Deep: true, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestNothingIsFoundWhereAllIsWell(t *testing.T) {
	dir, p := sound(t)
	d := examine(t, dir, p)
	if len(d.Findings) > 0 || d.Media != 2 || d.Read != 2 || d.Plugins != 2 || d.Keys != 3 || d.Schema != 2 {
		t.Errorf("found %+v", d)
	}
}

// What a person is told about each thing that can be wrong stands in a golden file.
func TestWhatIsToldOfEachThing(t *testing.T) {
	voice, picture := hashOf("a voice note"), hashOf("a picture")
	var told strings.Builder
	for _, tt := range []struct {
		name   string
		damage func(t *testing.T, dir string, p *patient)
	}{
		{"the store contradicts itself", func(t *testing.T, dir string, p *patient) {
			p.problems = []string{`delivery "dlv_1": its body of 12 bytes is gone`}
		}},
		{"an attachment is gone", func(t *testing.T, dir string, p *patient) {
			if err := os.Remove(filepath.Join(dir, "media", voice[:2], voice+".bin")); err != nil {
				t.Fatal(err)
			}
		}},
		{"an attachment is damaged", func(t *testing.T, dir string, p *patient) {
			put(t, dir, "media/"+picture[:2]+"/"+picture+".bin", "another picture")
		}},
		{"an attachment is nobody's", func(t *testing.T, dir string, p *patient) {
			at := filepath.Join(dir, "media", picture[:2], picture+".bin")
			if err := os.Chtimes(at, time.Time{}, time.Now().Add(-48*time.Hour)); err != nil {
				t.Fatal(err)
			}
			p.media = p.media[1:]
		}},
		{"the plugin that runs is gone", func(t *testing.T, dir string, p *patient) {
			put(t, dir, "plugins/"+hashOf("one version")+".wasm", "something else")
		}},
		{"a plugin that does not run is gone", func(t *testing.T, dir string, p *patient) {
			put(t, dir, "plugins/"+hashOf("another")+".wasm", "something else")
		}},
		{"a key is empty", func(t *testing.T, dir string, p *patient) { put(t, dir, "keys/secrets.json", "") }},
		{"others may read a key", func(t *testing.T, dir string, p *patient) {
			if err := os.Chmod(filepath.Join(dir, "keys/identity.json"), 0o644); err != nil {
				t.Fatal(err)
			}
		}},
		{"the store cannot be read", func(t *testing.T, dir string, p *patient) { p.fails = errors.New("a page is damaged") }},
	} {
		dir, p := sound(t)
		tt.damage(t, dir, p)
		fmt.Fprintf(&told, "## %s\n", tt.name)
		d := examine(t, dir, p)
		if len(d.Findings) == 0 {
			t.Errorf("%s: nothing was found", tt.name)
		}
		for _, f := range d.Findings {
			fmt.Fprintf(&told, "%s %s: %s\n  means: %s\n  do:    %s\n", f.Severity, f.Class, strings.ReplaceAll(f.What, dir, "DATA"), f.Means, f.Do)
		}
	}
	golden(t, "doctor.txt", told.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, []byte(got), 0o644)); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("%s differs (%v); if that is meant, run go test -update\ngot:\n%s", path, err, got)
	}
}

func TestASampleOfTheAttachmentsIsRead(t *testing.T) {
	dir, p := sound(t)
	for i := range 300 {
		content := fmt.Sprint("picture ", i)
		sum := hashOf(content)
		put(t, dir, "media/"+sum[:2]+"/"+sum+".bin", content)
		p.media = append(p.media, domain.Media{Handle: "med", SHA256: sum})
	}
	d, err := lifecycle.Examine(t.Context(), lifecycle.Subject{Data: dir, Store: p, Now: time.Now})
	if err != nil || d.Media != 302 || d.Read < 100 || d.Read > 130 {
		t.Errorf("of %d attachments %d were read, %v", d.Media, d.Read, err)
	}
}

func TestAHostThatNeverRanHasNoAttachments(t *testing.T) {
	d := examine(t, t.TempDir(), new(patient))
	if len(d.Findings) != len(lifecycle.KeyFiles) {
		t.Errorf("found %+v, want its keys missing and nothing else", d.Findings)
	}
}

func TestAnExaminationEndsWithItsContext(t *testing.T) {
	dir, p := sound(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lifecycle.Examine(ctx, lifecycle.Subject{Data: dir, Store: p, Now: time.Now}); !errors.Is(err, context.Canceled) {
		t.Errorf("Examine = %v", err)
	}
}
