package sandbox

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
)

func TestMain(m *testing.M) {
	var err error
	if builds.dir, err = os.MkdirTemp("", "sandbox-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(builds.dir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines leaked:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// builds are the plugins compiled from Go in this run, by folder.
var builds struct {
	sync.Mutex
	dir  string
	wasm map[string][]byte
}

// buildPlugin compiles the Go plugin in a folder, once a run.
func buildPlugin(tb testing.TB, dir string) []byte {
	tb.Helper()
	builds.Lock()
	defer builds.Unlock()
	if wasm, ok := builds.wasm[dir]; ok {
		return wasm
	}
	file := filepath.Join(builds.dir, fmt.Sprint(len(builds.wasm), ".wasm"))
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-o", file, ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("go build in %s: %v\n%s", dir, err, out)
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	if builds.wasm == nil {
		builds.wasm = map[string][]byte{}
	}
	builds.wasm[dir] = wasm
	return wasm
}

// newEngine shares compiled code with the other tests of this run.
func newEngine(tb testing.TB) *Engine {
	tb.Helper()
	return newEngineWith(tb, EngineOptions{CacheDir: filepath.Join(builds.dir, "cache")})
}

func newEngineWith(tb testing.TB, o EngineOptions) *Engine {
	tb.Helper()
	e, err := NewEngine(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return e
}

func load(tb testing.TB, wasm []byte, o LoadOptions) *Plugin {
	tb.Helper()
	p, err := newEngine(tb).Load(context.Background(), wasm, o)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// loadProbe is the plugin of testdata/probe under the default limits.
func loadProbe(tb testing.TB) *Plugin {
	tb.Helper()
	return load(tb, buildPlugin(tb, "testdata/probe"), LoadOptions{HostFunctions: []string{"probe"}})
}

// output runs an export that is to succeed, and returns its output.
func output(tb testing.TB, p *Plugin, inv Invocation) string {
	tb.Helper()
	result, err := p.Call(context.Background(), inv)
	if err != nil {
		tb.Fatalf("%s(%.40q): %v", inv.Export, inv.Input, err)
	}
	return string(result.Output)
}

// run is a module with one export of that name, no imports and a memory.
func run(body ...[]byte) []byte {
	m := &wasmtest.Module{}
	m.Memory(1)
	m.Func("run", ":i", "", append(body, wasmtest.I32Const(0))...)
	return m.Bytes()
}
