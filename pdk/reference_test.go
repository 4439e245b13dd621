package pdk_test

import (
	"context"
	"testing"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero/api"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
)

// loadReference runs a plugin under Extism's own SDK, which is the reference for the ABI
// and has no bulk functions.
func loadReference(t *testing.T, wasm []byte, h *pdktest.Host) caller {
	t.Helper()
	i64, i32 := api.ValueTypeI64, api.ValueTypeI32
	unsupported := func(_ *extism.CurrentPlugin, stack []uint64) { stack[0] = api.EncodeI64(contract.BulkUnsupported) }
	functions := []extism.HostFunction{
		referenceFunction(contract.BlockRead, unsupported, i64, i64, i32, i32),
		referenceFunction(contract.BlockWrite, unsupported, i32, i32),
	}
	for name, serve := range hostFunctions(h) {
		functions = append(functions, referenceFunction(string(name), func(p *extism.CurrentPlugin, stack []uint64) {
			args, err := p.ReadBytes(stack[0])
			if err != nil {
				panic(err)
			}
			if stack[0], err = p.WriteBytes(serve(args)); err != nil {
				panic(err)
			}
		}, i64))
	}
	extism.SetLogLevel(extism.LogLevelTrace)
	plugin, err := extism.NewPlugin(background, extism.Manifest{Wasm: []extism.Wasm{extism.WasmData{Data: wasm}}}, extism.PluginConfig{EnableWasi: true}, functions)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plugin.Close(background) })
	levels := map[extism.LogLevel]pdk.LogLevel{
		extism.LogLevelTrace: pdk.LogTrace, extism.LogLevelDebug: pdk.LogDebug, extism.LogLevelInfo: pdk.LogInfo,
		extism.LogLevelWarn: pdk.LogWarn, extism.LogLevelError: pdk.LogError,
	}
	plugin.SetLogger(func(level extism.LogLevel, text string) {
		if len(text) > 0 && text[0] == '{' { // the SDK logs through it, too
			logged(h, levels[level], text)
		}
	})
	return func(export string, input []byte) ([]byte, string) {
		code, output, err := plugin.Call(export, input)
		if err != nil {
			return nil, err.Error()
		}
		if code != 0 {
			t.Errorf("%s answered %d and set no error", export, code)
		}
		return output, ""
	}
}

func referenceFunction(name string, call func(*extism.CurrentPlugin, []uint64), params ...api.ValueType) extism.HostFunction {
	f := extism.NewHostFunctionWithStack(name, func(_ context.Context, p *extism.CurrentPlugin, stack []uint64) { call(p, stack) }, params, []api.ValueType{api.ValueTypeI64})
	f.SetNamespace(contract.ImportModule)
	return f
}
