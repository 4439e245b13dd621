package sandbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
	"github.com/seed75a60ee1/patchbay/sandbox/kernel"
)

// border is a module that imports everything there is. Its export "f3" copies the
// input from byte 64 on into its memory, and calls the third import with parameters
// from the first 64 bytes.
func border(e *Engine) (wasm []byte, functions []Import) {
	m := &wasmtest.Module{}
	o := newOffer([]string{"host"}, e.wasi)
	for _, module := range slices.Sorted(maps.Keys(o)) {
		for _, name := range slices.Sorted(maps.Keys(o[module])) {
			functions = append(functions, Import{Module: module, Name: name, Type: o[module][name]})
		}
	}
	index := map[string]int{}
	for _, f := range functions {
		index[f.Name] = m.Import(f.Module, f.Name, letters(f.Type))
	}
	m.Memory(1)
	for i, f := range functions {
		params, results, _ := strings.Cut(letters(f.Type), ":")
		body := wasmtest.Code(
			wasmtest.Call(index["input_offset"]), wasmtest.I64Const(64), wasmtest.I32Const(0), wasmtest.I32Const(1<<16),
			wasmtest.Call(index[contract.BlockRead]), wasmtest.Drop)
		for n, p := range params {
			body = wasmtest.Code(body, wasmtest.I64Const(int64(8*n)), wasmtest.Call(index["input_load_u64"]))
			if p == 'i' {
				body = wasmtest.Code(body, wasmtest.Wrap)
			}
		}
		body = wasmtest.Code(body, wasmtest.Call(i))
		for range results {
			body = wasmtest.Code(body, wasmtest.Drop)
		}
		m.Func(fmt.Sprint("f", i), ":", "", body)
	}
	return m.Bytes(), functions
}

// letters turns "(i64, i32) -> i64" into "Ii:I".
func letters(signature string) string {
	return strings.NewReplacer("i64", "I", "i32", "i", "->", ":", "(", "", ")", "", ",", "", " ", "").Replace(signature)
}

// FuzzBorder calls every function that a plugin can import, with parameters and
// memory of the fuzzer's choice: whatever they are, the call ends as documented.
func FuzzBorder(f *testing.F) {
	e := newEngine(f)
	wasm, functions := border(e)
	p, err := e.Load(context.Background(), wasm, LoadOptions{
		HostFunctions: []string{"host"}, Limits: Limits{BlockBytes: 1 << 18, Blocks: 8, MemoryPages: 1},
	})
	if err != nil {
		f.Fatal(err)
	}
	host := map[string]HostFunc{"host": func(_ context.Context, args []byte) ([]byte, error) { return args, nil }}
	for i := range functions {
		f.Add(byte(i), make([]byte, 128))
		f.Add(byte(i), []byte(strings.Repeat("\xff", 128)))
		f.Add(byte(i), []byte(strings.Repeat("\x01\x00\x00\x00\x40\x00\x00\x00", 16)))
	}
	f.Fuzz(func(t *testing.T, which byte, input []byte) {
		i := int(which) % len(functions)
		_, err := p.Call(context.Background(), Invocation{Export: fmt.Sprint("f", i), Input: input, Host: host, Log: func(LogLine) {}})
		var (
			trap   *Trap
			failed *GuestError
			met    *LimitError
		)
		switch {
		case errors.As(err, &trap):
			if functions[i].Module != wasiModule || strings.Contains(trap.Cause, "runtime error") {
				t.Fatalf("%s trapped: %v", functions[i], trap.Cause)
			}
		case err != nil && !errors.As(err, &failed) && !errors.As(err, &met):
			t.Fatalf("%s: %v", functions[i], err)
		}
	})
}

// TestEveryBorderFunctionIsCalled guards the fuzz target: none of its functions may
// be one that the module cannot reach.
func TestEveryBorderFunctionIsCalled(t *testing.T) {
	_, functions := border(newEngine(t))
	if n := len(kernel.Functions()) + len(kernel.Bulk()) + 1; len(functions) < n+40 {
		t.Errorf("%d functions, want %d of the kernel's and the host's, and WASI's", len(functions), n)
	}
}
