package wasmtest

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ExtismPlugins are the files of the plugins that the Extism SDK is tested with: made
// by Rust, TinyGo, Go, C, Haskell and by hand.
func ExtismPlugins(tb testing.TB) []string {
	tb.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/extism/go-sdk").Output()
	if err != nil {
		tb.Fatalf("go list: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "wasm", "*.wasm"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("no plugins in the go-sdk: %v", err)
	}
	return files
}
