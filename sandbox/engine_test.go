package sandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
)

func TestCloseWaitsForCallsAndRefusesNewOnes(t *testing.T) {
	p := loadProbe(t)
	inside, leave, returned := make(chan bool), make(chan bool), make(chan error)
	host := map[string]HostFunc{"probe": func(context.Context, []byte) ([]byte, error) {
		inside <- true
		<-leave
		return []byte("late"), nil
	}}
	go func() {
		_, err := p.Call(context.Background(), Invocation{Export: "call_host", Input: []byte("\x01"), Host: host})
		returned <- err
	}()
	<-inside
	impatient, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Close(impatient); !errors.Is(err, context.Canceled) {
		t.Errorf("Close with a call running and no patience gave %v", err)
	}
	if _, err := p.Call(context.Background(), Invocation{Export: "nop"}); !errors.Is(err, ErrClosed) {
		t.Errorf("a call after Close gave %v", err)
	}
	close(leave)
	if err := p.Close(context.Background()); err != nil {
		t.Errorf("Close gave %v", err)
	}
	if err := <-returned; err != nil {
		t.Errorf("the call that ran while the plugin closed gave %v", err)
	}
	if err := p.Close(impatient); err != nil {
		t.Errorf("a second Close gave %v", err)
	}
}

func TestAClosedEngineLoadsNothing(t *testing.T) {
	e := newEngine(t)
	p, err := e.Load(context.Background(), run(), LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Call(context.Background(), Invocation{Export: "run"}); !errors.Is(err, ErrClosed) {
		t.Errorf("a call of a plugin whose engine was closed gave %v", err)
	}
	if p, err := e.Load(context.Background(), run(), LoadOptions{}); p != nil || !errors.Is(err, ErrClosed) {
		t.Errorf("Load after Close gave %v, %v", p, err)
	}
}

func TestTheSameModuleTwiceIsTwoPlugins(t *testing.T) {
	e := newEngine(t)
	var both [2]*Plugin
	for i := range both {
		var err error
		if both[i], err = e.Load(context.Background(), run(), LoadOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := both[0].Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	output(t, both[1], Invocation{Export: "run"})
}

func TestCompiledCodeIsKeptAndMayBeDamaged(t *testing.T) {
	dir := t.TempDir()
	loadOnce := func() {
		e, err := NewEngine(EngineOptions{CacheDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		p, err := e.Load(context.Background(), run(), LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		output(t, p, Invocation{Export: "run"})
		if err := e.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	cached := func() []string {
		files, err := filepath.Glob(filepath.Join(dir, "wazero-*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	loadOnce()
	if n := len(cached()); n != 1 {
		t.Fatalf("%d files are cached, want 1", n)
	}
	for _, f := range cached() {
		if err := os.WriteFile(f, []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	loadOnce()
	for _, f := range cached() {
		if data, err := os.ReadFile(f); err != nil || string(data) == "damaged" {
			t.Errorf("%s was not mended: %v", filepath.Base(f), err)
		}
	}
}

func TestCustomSectionsDoNotCostACompilation(t *testing.T) {
	dir := t.TempDir()
	e, err := NewEngine(EngineOptions{CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, manifest := range []string{"one", "two"} {
		m := &wasmtest.Module{}
		m.Func("run", ":", "")
		m.Custom("patchbay.manifest", []byte(manifest))
		p, err := e.Load(context.Background(), m.Bytes(), LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := p.Spec().CustomSection("patchbay.manifest"); !ok || string(got) != manifest {
			t.Errorf("the manifest is %q, %v", got, ok)
		}
	}
	if err := e.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if files, err := filepath.Glob(filepath.Join(dir, "wazero-*", "*")); err != nil || len(files) != 1 {
		t.Errorf("%d files are cached, %v; want one for both", len(files), err)
	}
}

func TestLoadingCanBeCancelled(t *testing.T) {
	e, err := NewEngine(EngineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(context.Background())
	gone := errors.New("the operator gave up")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(gone)
	_, err = e.Load(ctx, buildPlugin(t, "testdata/probe"), LoadOptions{HostFunctions: []string{"probe"}})
	if !errors.Is(err, gone) || len(Refusals(err)) != 0 {
		t.Errorf("got %v, want the caller's reason and no refusal", err)
	}
}

func TestLimitsAreCheckedAllAtOnce(t *testing.T) {
	_, err := newEngine(t).Load(context.Background(), run(), LoadOptions{Limits: Limits{Blocks: -1, MemoryPages: 1 << 20}})
	want := "sandbox: limit MemoryPages is 1048576; set it from 1 to 65536, or to 0 for 512\n" +
		"sandbox: limit Blocks is -1; set it from 1 to 1048576, or to 0 for 16384"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
