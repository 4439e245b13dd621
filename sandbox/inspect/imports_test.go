package inspect_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox"
	"github.com/seed75a60ee1/patchbay/sandbox/inspect"
	w "github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
)

// The report refuses an import exactly if the sandbox does.
func TestTheReportRefusesWhatTheSandboxRefuses(t *testing.T) {
	engine, err := sandbox.NewEngine(sandbox.EngineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	files := map[string][]byte{}
	for _, path := range w.ExtismPlugins(t) {
		if files[filepath.Base(path)], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	for name, imports := range map[string][][3]string{
		"wrong types":     {{contract.ImportModule, "http_send", "i:i"}, {contract.ImportModule, contract.BlockRead, "I:I"}, {"extism:host/env", "alloc", "i:I"}},
		"unknown names":   {{contract.ImportModule, "fly", "I:I"}, {"extism:host/env", "fly", "I:I"}, {"wasi_snapshot_preview1", "fly", ":i"}, {"env", "abort", ":"}},
		"nothing special": {{contract.ImportModule, "kv_get", "I:I"}, {"extism:host/env", "alloc", "I:I"}, {"wasi_snapshot_preview1", "sched_yield", ":i"}},
	} {
		m := &w.Module{}
		for _, i := range imports {
			m.Import(i[0], i[1], i[2])
		}
		m.Memory(1)
		m.Func("receive", ":i", "", w.I32Const(0))
		files[name] = m.Bytes()
	}
	var offered []string
	for _, f := range contract.HostFunctions() {
		offered = append(offered, string(f))
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel() // Load admits, and then does not compile
	for name, wasm := range files {
		_, err := engine.Load(ended, wasm, sandbox.LoadOptions{HostFunctions: offered})
		var want []string
		for _, r := range sandbox.Refusals(err) {
			if r.Part == "import" {
				want = append(want, r.Import)
			}
		}
		r, err := inspect.Analyse(wasm, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, i := range r.Imports {
			if i.Refused != "" {
				got = append(got, i.Module+"."+i.Name)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: the report refuses %q, the sandbox %q", name, got, want)
		}
	}
}

// A host function that is new in the contract has to be explained to reviewers.
func TestEveryHostFunctionIsExplained(t *testing.T) {
	m := &w.Module{}
	for _, f := range contract.HostFunctions() {
		m.Import(contract.ImportModule, string(f), "I:I")
	}
	m.Func("receive", ":i", "", w.I32Const(0))
	r, err := inspect.Analyse(m.Bytes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, c := range r.Capabilities {
		told += len(c.Imported)
	}
	if len(r.Imports) != len(contract.HostFunctions()) || told != len(r.Imports) {
		t.Errorf("of %d host functions %d are told, %d under a capability", len(contract.HostFunctions()), len(r.Imports), told)
	}
	for _, i := range r.Imports {
		if i.Origin != inspect.FromHost || i.Does == "" {
			t.Errorf("%s is not explained: %+v", i.Name, i)
		}
	}
}
