package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/pack"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// TestReportsOfExtismPlugins holds what the report says of plugins that others made, in
// C, Rust, TinyGo and Haskell. The files come with the Extism SDK and never change.
func TestReportsOfExtismPlugins(t *testing.T) {
	for _, name := range []string{"alloc", "count_vowels", "http", "hello_haskell"} {
		t.Run(name, func(t *testing.T) {
			file := extismPlugin(t, name)
			golden(t, name+".txt", inspected(t, file, "--static"))
			golden(t, name+".json", inspected(t, file, "--static", "--json"))
		})
	}
}

// TestReportsOfEveryExtismPluginAgree wants of each of them that the three ways of
// printing tell the same.
func TestReportsOfEveryExtismPluginAgree(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(filepath.Dir(extismPlugin(t, "alloc")), "*.wasm"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d plugins, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var report struct {
				Plugin   struct{ Digest string }
				Verdict  struct{ Text string }
				Findings []struct{ ID string }
			}
			if err := json.Unmarshal([]byte(inspected(t, file, "--static", "--json")), &report); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "report.html")
			inspected(t, file, "--static", "--html", path)
			page, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for way, text := range map[string]string{"text": inspected(t, file, "--static"), "page": string(page)} {
				if !strings.Contains(text, report.Plugin.Digest) || !strings.Contains(text, report.Verdict.Text) {
					t.Errorf("the %s lacks the digest or the verdict %q", way, report.Verdict.Text)
				}
				for _, f := range report.Findings {
					if !strings.Contains(text, f.ID) {
						t.Errorf("the %s lacks the finding %s", way, f.ID)
					}
				}
			}
		})
	}
}

func TestADiffOfExtismPlugins(t *testing.T) {
	golden(t, "diff.txt", inspected(t, extismPlugin(t, "count_vowels"), "--diff", extismPlugin(t, "http_headers")))
	golden(t, "diff.json", inspected(t, extismPlugin(t, "count_vowels"), "--diff", extismPlugin(t, "http_headers"), "--json"))
}

// TestReportOfELMA365 holds what a reviewer reads of our own plugin. What depends on the
// compiler's version is replaced: sizes, counts, digests.
func TestReportOfELMA365(t *testing.T) {
	file := filepath.Join(t.TempDir(), "elma365.wasm")
	if _, err := pack.Build(t.Context(), pack.Options{Dir: "../../../plugins/elma365", Output: file}); err != nil {
		t.Fatal(err)
	}
	golden(t, "elma365.txt", withoutNumbers(inspected(t, file, "--static")))
	golden(t, "elma365.json", withoutFigures(t, inspected(t, file, "--static", "--json")))
}

// extismPlugin is the path of a plugin that the Extism SDK is tested with.
func extismPlugin(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/extism/go-sdk").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "wasm", name+".wasm")
}

// inspected is what "plugin inspect" prints of a file, be it a plugin or not.
func inspected(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	s := &session{stdout: &stdout, stderr: &stderr}
	code := run(t.Context(), s, slices.Concat([]string{"plugin", "inspect"}, args))
	if code != 0 && (code != exitFailure || !strings.Contains(stderr.String(), "is no plugin that a host would take")) {
		t.Fatalf("plugin inspect %v exited with %d: %s", args, code, stderr.String())
	}
	return stdout.String()
}

// golden compares text with a golden file, or rewrites that.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", "inspect", name)
	if *update {
		if err := cmp.Or(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("got\n%s\nwhich is not what %s holds; if it should be, run go test -update and review the change", text, path)
	}
}

var (
	// compiledLine and compiledPart begin a line, or a part up to the next empty line, that tell only what the
	// compiler made of the code.
	compiledLine = regexp.MustCompile(`(?m)^(functions|instructions|loops|calls|recursion|data|size|tables|memory|made with|digest) .*\n(?: .*\n)*`)
	compiledPart = regexp.MustCompile(`(?m)^(THE BIGGEST FUNCTIONS|WHAT THE FILE IS MADE OF|GO MODULES LINKED INTO IT)\n(?:.+\n)*`)
	evidence     = regexp.MustCompile(`(?m)^(recursion \(info\): ).*\n(?:  .*\n)*`)
	place        = regexp.MustCompile(`data segment \d+(, byte \d+)?`)
)

// withoutNumbers is a text report without what depends on the compiler.
func withoutNumbers(text string) string {
	text = compiledLine.ReplaceAllString(text, "$1 …\n")
	text = compiledPart.ReplaceAllString(text, "$1\n…\n")
	text = evidence.ReplaceAllString(text, "$1…\n")
	text = regexp.MustCompile(`(?m)^info( +)\d+ functions can`).ReplaceAllString(text, "info${1}N functions can")
	return place.ReplaceAllString(text, "data segment N")
}

// withoutFigures is a JSON report without what depends on the compiler.
func withoutFigures(t *testing.T, text string) string {
	t.Helper()
	var report map[string]any
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"code", "sections", "tables", "memory", "toolchain"} {
		if report[part] == nil {
			t.Errorf("the report has no %q", part)
		}
		delete(report, part)
	}
	delete(report, "left_out")
	strip(report)
	out, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return place.ReplaceAllString(string(out), "data segment N") + "\n"
}

// strip blanks figures wherever they stand, and drops ways through the code.
func strip(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range []string{"digest", "size_bytes", "segments", "bytes", "segment", "offset", "bits_per_byte", "dense", "path", "callers", "directly"} {
			delete(v, key)
		}
		if v["id"] == "recursion" {
			delete(v, "what")
			delete(v, "evidence")
		}
		if reaches, ok := v["reaches"].([]any); ok { // what a language's runtime reaches is its own affair
			v["reaches"] = slices.DeleteFunc(reaches, func(name any) bool { return !strings.HasPrefix(name.(string), contract.ImportModule) })
		}
		for _, one := range v {
			strip(one)
		}
	case []any:
		for _, one := range v {
			strip(one)
		}
	}
}
