package hostile

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/sandbox"
)

var long = flag.Bool("long", false, "run everything in full, which takes half an hour")

// workDir is a folder for the whole run.
var workDir string

func TestMain(m *testing.M) {
	flag.Parse()
	var err error
	if workDir, err = os.MkdirTemp("", "hostile-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(workDir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines leaked:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// builds are the plugins compiled from Go in this run, by folder below testdata.
var builds struct {
	sync.Mutex
	wasm map[string][]byte
}

// build compiles the Go plugin of a folder below testdata, once a run.
func build(tb testing.TB, name string) []byte {
	tb.Helper()
	builds.Lock()
	defer builds.Unlock()
	if wasm, ok := builds.wasm[name]; ok {
		return wasm
	}
	file := filepath.Join(workDir, name+".wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", file, ".")
	cmd.Dir, cmd.Env = filepath.Join("testdata", name), append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("go build %s: %v\n%s", name, err, out)
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	if builds.wasm == nil {
		builds.wasm = map[string][]byte{}
	}
	builds.wasm[name] = wasm
	return wasm
}

// newEngine has compiled code of this run's other tests at hand. Whoever means to see
// what it costs to compile asks for a folder of its own.
func newEngine(tb testing.TB, o sandbox.EngineOptions) *sandbox.Engine {
	tb.Helper()
	if o.CacheDir == "" {
		o.CacheDir = filepath.Join(workDir, "cache")
	}
	e, err := sandbox.NewEngine(o)
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

func load(tb testing.TB, e *sandbox.Engine, wasm []byte, o sandbox.LoadOptions) *sandbox.Plugin {
	tb.Helper()
	p, err := e.Load(context.Background(), wasm, o)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// neighbour is a plugin that means no harm and shares the engine with an animal.
type neighbour struct {
	t      *testing.T
	plugin *sandbox.Plugin
	answer string
}

// moveIn loads the neighbour and asks it once.
func moveIn(t *testing.T, e *sandbox.Engine) *neighbour {
	t.Helper()
	n := &neighbour{t: t, plugin: load(t, e, build(t, "neighbour"), sandbox.LoadOptions{})}
	if image := n.plugin.Image(); !image.Frozen {
		t.Fatalf("the neighbour is not frozen: %s", image.Why)
	}
	n.answer = n.ask()
	if !strings.Contains(n.answer, "after 1 visits by 1") {
		t.Fatalf("the neighbour answers %q", n.answer)
	}
	return n
}

func (n *neighbour) ask() string {
	n.t.Helper()
	result, err := n.plugin.Call(context.Background(), sandbox.Invocation{
		Export: "answer", Input: []byte("good morning"), Seed: [32]byte{1}, Now: time.Unix(1_800_000_000, 0), Tenant: "neighbour",
	})
	if err != nil {
		n.t.Fatalf("the neighbour: %v", err)
	}
	return string(result.Output)
}

// unmoved fails the test if the neighbour answers anything else than before.
func (n *neighbour) unmoved(after string) {
	n.t.Helper()
	if got := n.ask(); got != n.answer {
		n.t.Errorf("after %s the neighbour answers %q, before it %q", after, got, n.answer)
	}
}
