package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero/api"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
)

// refusedOfExtism are the plugins among those the Extism SDK is tested with that may
// not run here, with the imports that are named as the reason.
var refusedOfExtism = map[string]string{
	"count_vowels.wasm":     "extism:host/env.var_get extism:host/env.var_set",
	"count_vowels_std.wasm": "extism:host/env.var_get extism:host/env.var_set",
	"var.wasm":              "extism:host/env.var_get extism:host/env.var_set",
	"http.wasm":             "extism:host/env.http_request",
	"http_headers.wasm":     "extism:host/env.http_request",
	"host.wasm":             "extism:host/user.mult",
	"host_memory.wasm":      "host.to_upper",
	"main.wasm":             "lib.capitalize",
	"nested.c.instr.wasm": "dylibso_observe.instrument_enter dylibso_observe.instrument_exit " +
		"dylibso_observe.instrument_memory_grow",
}

// configsOfExtism are the configurations that a plugin reads, by file.
var configsOfExtism = map[string][]map[string]string{
	"config.wasm": {nil, {"thing": "hello"}},
	"exit.wasm":   {nil, {"code": "500"}, {"code": "-1"}, {"code": "0"}, {"code": "abc"}},
	"sleep.wasm":  {nil, {"duration": "0"}},
}

// TestPluginsRunAsUnderTheExtismSDK runs plugins made with Rust, TinyGo, Go, C,
// Haskell and by hand under both hosts: they answer the same, or are refused by name.
func TestPluginsRunAsUnderTheExtismSDK(t *testing.T) {
	for _, file := range wasmtest.ExtismPlugins(t) {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			wasm, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, err := newEngine(t).Load(context.Background(), wasm, LoadOptions{HostFunctions: hostsOfExtism})
			var imports []string
			for _, r := range Refusals(err) {
				imports = append(imports, r.Import)
			}
			if got, want := strings.Join(imports, " "), refusedOfExtism[name]; got != want || (err == nil) != (want == "") {
				t.Fatalf("Load blames %q, want %q: %v", got, want, err)
			}
			if p != nil {
				compareExports(t, p, wasm, append([]map[string]string{}, configsOfExtism[name]...))
			}
		})
	}
}

// TestAPluginWithBulkFunctionsRunsUnderTheExtismSDK holds that they are an addition
// to Extism's ABI, and no other ABI.
func TestAPluginWithBulkFunctionsRunsUnderTheExtismSDK(t *testing.T) {
	reference := newReference(t, buildPlugin(t, "testdata/probe"), noAnswer, 0)
	instance, err := reference.Instance(context.Background(), extism.PluginInstanceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer instance.Close(context.Background())
	in := strings.Repeat("payload", 99)
	if _, out, err := instance.Call("echo", []byte(in)); err != nil || string(out) != in {
		t.Errorf("%d bytes came back of %d: %v", len(out), len(in), err)
	}
}

func compareExports(t *testing.T, p *Plugin, wasm []byte, configs []map[string]string) {
	if len(configs) == 0 {
		configs = append(configs, nil)
	}
	reference := newReference(t, wasm, greeters(), 0)
	for _, x := range p.Spec().Exports {
		if x.Type != "() -> i32" && x.Type != "() -> ()" || strings.HasPrefix(x.Name, "asyncify_") {
			continue
		}
		for _, config := range configs {
			compareCall(t, p, reference, x.Name, config)
		}
	}
}

func compareCall(t *testing.T, p *Plugin, reference *extism.CompiledPlugin, export string, config map[string]string) {
	instance, err := reference.Instance(context.Background(), extism.PluginInstanceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer instance.Close(context.Background())
	instance.Config = config
	input := []byte("Hello, input of 23 bytes")
	code, want, wantErr := instance.Call(export, input)

	result, gotErr := p.Call(context.Background(), Invocation{Export: export, Input: input, Config: config, Host: greeters()})
	var failed *GuestError
	switch {
	case code == 0 && wantErr == nil:
		if gotErr != nil || !bytes.Equal(result.Output, want) {
			t.Errorf("%s with %v: got %q, %v; the SDK gives %q", export, config, result.Output, gotErr, want)
		}
	case !errors.As(gotErr, &failed) || failed.Code != int32(code):
		t.Errorf("%s with %v: got %v; the SDK gives code %d, %v", export, config, gotErr, int32(code), wantErr)
	case wantErr != nil && !strings.Contains(wantErr.Error(), "exit_code") && failed.Message != wantErr.Error() && code != ^uint32(0):
		t.Errorf("%s with %v: got message %q; the SDK gives %q", export, config, failed.Message, wantErr)
	}
}

// hostsOfExtism are the host functions that those plugins may have.
var hostsOfExtism = []string{"hostGreenMessage", "hostPurpleMessage"}

func greeters() map[string]HostFunc {
	all := map[string]HostFunc{}
	for _, name := range hostsOfExtism {
		all[name] = func(_ context.Context, args []byte) ([]byte, error) {
			return fmt.Appendf(nil, "%s: %s", name, args), nil
		}
	}
	return all
}

// newReference compiles a plugin with the Extism SDK. The bulk functions answer there
// that they are not supported, so that a PDK falls back to Extism's own. Without a
// timeout the SDK does not watch the time at all.
func newReference(tb testing.TB, wasm []byte, hosts map[string]HostFunc, timeout time.Duration) *extism.CompiledPlugin {
	tb.Helper()
	i32, i64 := extism.ValueTypeI32, extism.ValueTypeI64
	unsupported := func(_ context.Context, _ *extism.CurrentPlugin, stack []uint64) {
		stack[0] = api.EncodeI64(contract.BulkUnsupported)
	}
	functions := []extism.HostFunction{
		extism.NewHostFunctionWithStack(contract.BlockRead, unsupported, []extism.ValueType{i64, i64, i32, i32}, []extism.ValueType{i64}),
		extism.NewHostFunctionWithStack(contract.BlockWrite, unsupported, []extism.ValueType{i32, i32}, []extism.ValueType{i64}),
	}
	for name, f := range hosts {
		functions = append(functions, extism.NewHostFunctionWithStack(name, underExtism(f), []extism.ValueType{i64}, []extism.ValueType{i64}))
	}
	manifest := extism.Manifest{Wasm: []extism.Wasm{extism.WasmData{Data: wasm}}, Timeout: uint64(timeout.Milliseconds())}
	p, err := extism.NewCompiledPlugin(context.Background(), manifest, extism.PluginConfig{EnableWasi: true}, functions)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { p.Close(context.Background()) })
	return p
}

// underExtism makes a host function of ours one of the SDK's.
func underExtism(f HostFunc) extism.HostFunctionStackCallback {
	return func(ctx context.Context, p *extism.CurrentPlugin, stack []uint64) {
		args, err := p.ReadBytes(stack[0])
		if err != nil {
			panic(err)
		}
		result, err := f(ctx, args)
		if err != nil {
			panic(err)
		}
		if stack[0], err = p.WriteBytes(result); err != nil {
			panic(err)
		}
	}
}
