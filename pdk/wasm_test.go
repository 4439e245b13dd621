package pdk_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// buildPlugin compiles a connector of testdata as a vendor would.
func buildPlugin(t *testing.T, dir string) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles for wasip1")
	}
	file := filepath.Join(t.TempDir(), "plugin.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", file, "./testdata/"+dir)
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build ./testdata/%s: %v\n%s", dir, err, text)
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

func TestPluginImportsOnlyWhatItsConnectorCalls(t *testing.T) {
	imports, exports := readSections(t, buildPlugin(t, "least"))
	got := imports[contract.ImportModule]
	want := []string{contract.BlockRead, contract.BlockWrite, string(contract.HostSecretEqual)}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("testdata/least imports %v of %s, want %v", got, contract.ImportModule, want)
	}
	for module := range imports {
		if module != contract.ImportModule && module != "extism:host/env" && module != "wasi_snapshot_preview1" {
			t.Errorf("testdata/least imports of %q, which no host offers", module)
		}
	}
	for _, export := range append(contract.Exports(), "patchbay_abilities", "_initialize") {
		if !slices.Contains(exports, string(export)) {
			t.Errorf("testdata/least does not export %s", export)
		}
	}
}

// readSections returns a module's imported names by import module, and its exported names.
func readSections(t *testing.T, wasm []byte) (imports map[string][]string, exports []string) {
	t.Helper()
	imports = make(map[string][]string)
	r := bytes.NewReader(wasm[8:]) // after magic and version
	for r.Len() > 0 {
		id, _ := r.ReadByte()
		section := bytes.NewReader(take(t, r, number(t, r)))
		switch id {
		case 2:
			for range number(t, section) {
				module, name := name(t, section), name(t, section)
				imports[module] = append(imports[module], name)
				if kind := take(t, section, 1)[0]; kind != 0 {
					t.Fatalf("import %s.%s is no function", module, name)
				}
				number(t, section) // its type
			}
		case 7:
			for range number(t, section) {
				exports = append(exports, name(t, section))
				take(t, section, 1)
				number(t, section)
			}
		}
	}
	return imports, exports
}

func number(t *testing.T, r io.ByteReader) uint64 {
	n, err := binary.ReadUvarint(r) // LEB128
	if err != nil {
		t.Fatal("module ends early:", err)
	}
	return n
}

func take(t *testing.T, r *bytes.Reader, n uint64) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		t.Fatal("module ends early:", err)
	}
	return b
}

func name(t *testing.T, r *bytes.Reader) string {
	return string(take(t, r, number(t, r)))
}
