package pack

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/sandbox"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const greeter = "testdata/greeter"

// compiled is the connector of testdata as the compiler makes it, not packed yet. It is
// compiled once.
var compiled = sync.OnceValues(func() ([]byte, error) {
	b := builder{Options: Options{Dir: greeter}}
	return b.compile(context.Background())
})

// built returns the plugin file of the connector of testdata.
func built(t *testing.T) []byte {
	t.Helper()
	wasm, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	m, err := (&builder{Options: Options{Dir: greeter}}).readManifest()
	if err != nil {
		t.Fatal(err)
	}
	packed, err := seal(wasm, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// folder makes a connector's folder with that manifest, and beside it the module file.
func folder(t *testing.T, yaml string, module []byte) (dir, wasm string) {
	t.Helper()
	dir = t.TempDir()
	wasm = filepath.Join(dir, "module.wasm")
	for name, content := range map[string][]byte{ManifestFile: []byte(yaml), "module.wasm": module} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, wasm
}

func greeterYAML(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(greeter, ManifestFile))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestBuildMakesAPluginOfAGoPackage(t *testing.T) {
	output := filepath.Join(t.TempDir(), "greeter.wasm")
	var steps []string
	report, err := Build(t.Context(), Options{Dir: greeter, Output: output, Progress: func(step string) { steps = append(steps, step) }})
	if err != nil {
		t.Fatal(err)
	}
	wasm, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Open(wasm)
	if err != nil {
		t.Fatalf("what Build wrote, Open refuses: %v", err)
	}
	if report.Digest != p.Spec.Digest || report.SizeBytes != int64(len(wasm)) || report.Manifest.Name != "greeter" || report.Took <= 0 {
		t.Errorf("Build reported %+v of a file of %d bytes with digest %s", report, len(wasm), p.Spec.Digest)
	}
	if want := []string{"http_send", "secret_equal"}; !slices.Equal(report.HostFunctions, want) {
		t.Errorf("host functions are %v, want %v", report.HostFunctions, want)
	}
	if want := []string{"_initialize", "memory", "patchbay_warm_up", "receive", "send_message"}; !slices.Equal(exportNames(p.Spec), want) {
		t.Errorf("exports are %v, want %v", exportNames(p.Spec), want)
	}
	if _, named := p.Spec.CustomSection("name"); !named {
		t.Error("the functions lost their names, so that a trap's stack would be numbers")
	}
	want := []string{"reading plugin.yaml", "compiling", "asking the connector what it can do", "packing", "writing " + output}
	if !slices.Equal(steps, want) {
		t.Errorf("Build did %q, want %q", steps, want)
	}
}

func exportNames(spec *sandbox.Spec) []string {
	var names []string
	for _, e := range spec.Exports {
		names = append(names, e.Name)
	}
	slices.Sort(names)
	return names
}

func TestBuildIsReproducible(t *testing.T) {
	first := built(t)
	again, err := (&builder{Options: Options{Dir: greeter}}).compile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if once, _ := compiled(); !bytes.Equal(once, again) {
		t.Error("compiling the same package twice gave different bytes")
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, trace := range []string{filepath.Dir(filepath.Dir(here)), os.TempDir() + "/patchbay", "vcs.revision"} {
		if bytes.Contains(first, []byte(trace)) {
			t.Errorf("the plugin file holds %q, which differs from machine to machine", trace)
		}
	}
}

func TestBuildPacksAModuleOfAnotherCompiler(t *testing.T) {
	want := built(t) // exports what it implements, and does not answer when asked
	dir, module := folder(t, greeterYAML(t), want)
	output := filepath.Join(dir, "out.wasm")
	if _, err := Build(t.Context(), Options{Dir: dir, Wasm: module, Output: output}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(output); err != nil || !bytes.Equal(got, want) {
		t.Errorf("packing a packed file gave another file of %d bytes, want the same %d (%v)", len(got), len(want), err)
	}
}

func TestBuildLeavesTheOldFileWhenItFails(t *testing.T) {
	dir, module := folder(t, greeterYAML(t), []byte("nonsense"))
	output := filepath.Join(dir, "out.wasm")
	if err := os.WriteFile(output, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(t.Context(), Options{Dir: dir, Wasm: module, Output: output}); err == nil {
		t.Error("Build packed nonsense")
	}
	if got, _ := os.ReadFile(output); string(got) != "old" {
		t.Errorf("the old file holds %q now", got)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".patchbay-build-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestBuildTellsTheVendorWhatToMend(t *testing.T) {
	raw, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, yaml string
		module     []byte
	}{
		{"abilities that the connector lacks, and one not stated", strings.Replace(greeterYAML(t),
			"[receive, send_message]", "[receive, send_typing, authorize_url]", 1), raw},
		{"several wrong fields", strings.NewReplacer("name: greeter", "name: Greeter!", "1.2.0", "v1", "[POST]", "[]").Replace(greeterYAML(t)), raw},
		{"no module", greeterYAML(t), []byte("#!/bin/sh\n")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, module := folder(t, tt.yaml, tt.module)
			_, err := Build(t.Context(), Options{Dir: dir, Wasm: module, Output: filepath.Join(dir, "out.wasm")})
			if err == nil {
				t.Fatal("Build made a plugin of it")
			}
			golden(t, strings.ReplaceAll(err.Error(), dir, "DIR"))
		})
	}
}

func TestBuildTellsWhatDoesNotCompile(t *testing.T) {
	dir, _ := folder(t, greeterYAML(t), nil)
	for name, text := range map[string]string{"go.mod": "module acme.test/broken\n\ngo 1.26\n", "main.go": "package main\n\nfunc main() { greet() }\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Build(t.Context(), Options{Dir: dir, Output: filepath.Join(dir, "out.wasm")})
	if refused := new(CompileError); !errors.As(err, &refused) || !strings.Contains(refused.Output, "main.go:3:15: undefined: greet") {
		t.Errorf("got %v, want a CompileError that names main.go:3:15", err)
	}
}

func TestBuildTellsThatThereIsNoManifest(t *testing.T) {
	if _, err := Build(t.Context(), Options{Dir: t.TempDir()}); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), ManifestFile) {
		t.Errorf("got %v, want that %s does not exist", err, ManifestFile)
	}
}

func TestBuildStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	stop := func(step string) {
		if step == "compiling" {
			cancel()
		}
	}
	_, err := Build(ctx, Options{Dir: greeter, Output: filepath.Join(t.TempDir(), "out.wasm"), Progress: stop})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// golden compares text with the golden file of the test, or rewrites that.
func golden(t *testing.T, text string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", strings.NewReplacer("/", ".", ",", "").Replace(t.Name())+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text+"\n" != string(want) {
		t.Errorf("got\n%s\nwant, from %s,\n%s", text, path, want)
	}
}
