package inspect

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/sandbox/binary"
)

const (
	maxTools   = 32
	maxModules = 500
)

// oldest is the first version of a compiler that its makers still mend, or in whose
// code for WebAssembly no grave fault is known; as of late 2026.
var oldest = []struct {
	tool string // how its name begins, in lower case
	version
	why string
}{
	{"tinygo", version{0, 37}, "older ones miscompile for wasip1 in known ways and link a Go standard library without its later fixes"},
	{"go cmd/compile", version{1, 25}, "its standard library gets no security fixes any more"},
	{"rustc", version{1, 85}, "its standard library gets no fixes any more"},
	{"clang", version{17, 0}, "its libraries for WASI get no fixes any more"},
	{"ghc", version{9, 6}, "its WebAssembly backend was a preview"},
}

type version struct{ major, minor int }

var versionPattern = regexp.MustCompile(`(\d{1,4})\.(\d{1,4})`)

func readToolchain(m *binary.Module) Toolchain {
	t := Toolchain{Text: clip(m.Toolchain(), maxText)}
	for _, p := range m.Producers() {
		if len(t.Tools) == maxTools {
			break
		}
		t.Tools = append(t.Tools, Tool{Field: clip(p.Field, maxName), Name: clip(p.Name, maxName), Version: clip(p.Version, maxName), Old: oldReason(p)})
	}
	t.Modules = goModules(m)
	return t
}

// oldReason says why a producer is too old, or "".
func oldReason(p binary.Producer) string {
	if p.Field != "processed-by" {
		return ""
	}
	found := versionPattern.FindStringSubmatch(p.Version)
	if found == nil {
		return ""
	}
	major, _ := strconv.Atoi(found[1])
	minor, _ := strconv.Atoi(found[2])
	for _, o := range oldest {
		if strings.HasPrefix(strings.ToLower(p.Name), o.tool) {
			if cmp.Or(cmp.Compare(major, o.major), cmp.Compare(minor, o.minor)) < 0 {
				return fmt.Sprintf("%d.%d or newer is wanted: %s", o.major, o.minor, o.why)
			}
			return ""
		}
	}
	return ""
}

// The marks around what Go's linker writes down about modules (see cmd/go/internal/modload).
var (
	modulesBegin = []byte("\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6")
	modulesEnd   = []byte("\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2")
)

// goModules are the modules that a Go program was linked of, without itself.
func goModules(m *binary.Module) []Module {
	for _, s := range m.Data {
		if _, after, found := bytes.Cut(s.Data, modulesBegin); found {
			if text, _, found := bytes.Cut(after, modulesEnd); found {
				return parseModules(string(text))
			}
		}
	}
	return nil
}

func parseModules(text string) []Module {
	var all []Module
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		switch {
		case len(fields) < 2 || len(all) == maxModules:
		case fields[0] == "dep":
			all = append(all, moduleOf(fields))
		case fields[0] == "=>" && len(all) > 0:
			all[len(all)-1] = moduleOf(fields)
			all[len(all)-1].Replaced = true
		}
	}
	return all
}

func moduleOf(fields []string) Module {
	m := Module{Path: clip(fields[1], maxName)}
	if len(fields) > 2 {
		m.Version = clip(fields[2], maxName)
	}
	return m
}

// corpusSection holds recordings by which an engine is tested on the plugin. It is
// recording.Section, of a package that stands above this one.
const corpusSection = "patchbay.corpus"

// knownCustom tells custom sections that the specification, its tools or Patchbay define.
func knownCustom(name string) bool {
	return slices.Contains([]string{
		manifest.Section, corpusSection, "name", "producers", "target_features", "linking", "dylink", "dylink.0", "build_id", "go:buildid",
		"sourceMappingURL", "external_debug_info", "metadata.code.branch_hint",
	}, name) || strings.HasPrefix(name, ".debug_") || strings.HasPrefix(name, "reloc.")
}
