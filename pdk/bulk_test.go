package pdk_test

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
)

// bulkHost is the least host that offers bulk functions. Blocks are numbered from 1.
type bulkHost struct {
	blocks         [][]byte
	input          uint64
	output         []byte
	failure        string
	eightBytesEach int // calls of the functions that bulk ones replace
}

func (b *bulkHost) block(handle uint64) []byte {
	if handle == 0 || handle > uint64(len(b.blocks)) {
		return nil
	}
	return b.blocks[handle-1]
}

func (b *bulkHost) keep(data []byte) uint64 {
	if len(data) == 0 {
		return 0
	}
	b.blocks = append(b.blocks, data)
	return uint64(len(b.blocks))
}

// define adds a function of 64-bit or, with narrow, 32-bit parameters.
func define(m wazero.HostModuleBuilder, name string, params, results []api.ValueType, call func(mod api.Module, stack []uint64)) {
	f := api.GoModuleFunc(func(_ context.Context, mod api.Module, stack []uint64) { call(mod, stack) })
	m.NewFunctionBuilder().WithGoModuleFunction(f, params, results).Export(name)
}

var (
	none, i64s, i32s = []api.ValueType(nil), []api.ValueType{api.ValueTypeI64}, []api.ValueType{api.ValueTypeI32}
	twoI64s          = []api.ValueType{api.ValueTypeI64, api.ValueTypeI64}
)

func (b *bulkHost) environment(m wazero.HostModuleBuilder, h *pdktest.Host) {
	slow := func(api.Module, []uint64) { b.eightBytesEach++ }
	define(m, "alloc", i64s, i64s, slow)
	define(m, "load_u8", i64s, i32s, slow)
	define(m, "load_u64", i64s, i64s, slow)
	define(m, "store_u8", []api.ValueType{api.ValueTypeI64, api.ValueTypeI32}, none, slow)
	define(m, "store_u64", twoI64s, none, slow)
	define(m, "free", i64s, none, func(api.Module, []uint64) {})
	define(m, "length", i64s, i64s, func(_ api.Module, s []uint64) { s[0] = uint64(len(b.block(s[0]))) })
	define(m, "input_length", none, i64s, func(_ api.Module, s []uint64) { s[0] = uint64(len(b.block(b.input))) })
	define(m, "input_offset", none, i64s, func(_ api.Module, s []uint64) { s[0] = b.input })
	define(m, "output_set", twoI64s, none, func(_ api.Module, s []uint64) { b.output = b.block(s[0])[:s[1]] })
	define(m, "error_set", i64s, none, func(_ api.Module, s []uint64) { b.failure = string(b.block(s[0])) })
	for level, name := range []string{"log_trace", "log_debug", "log_info", "log_warn", "log_error"} {
		define(m, name, i64s, none, func(_ api.Module, s []uint64) { logged(h, pdk.LogLevel(level), string(b.block(s[0]))) })
	}
}

func (b *bulkHost) user(m wazero.HostModuleBuilder, h *pdktest.Host) {
	read := []api.ValueType{api.ValueTypeI64, api.ValueTypeI64, api.ValueTypeI32, api.ValueTypeI32}
	define(m, contract.BlockRead, read, i64s, func(mod api.Module, s []uint64) {
		data := b.block(s[0])[s[1]:]
		data = data[:min(uint64(len(data)), s[3])]
		mod.Memory().Write(uint32(s[2]), data)
		s[0] = uint64(len(data))
	})
	define(m, contract.BlockWrite, []api.ValueType{api.ValueTypeI32, api.ValueTypeI32}, i64s, func(mod api.Module, s []uint64) {
		view, _ := mod.Memory().Read(uint32(s[0]), uint32(s[1]))
		s[0] = b.keep(append([]byte(nil), view...))
	})
	for name, serve := range hostFunctions(h) {
		define(m, string(name), i64s, i64s, func(_ api.Module, s []uint64) { s[0] = b.keep(serve(b.block(s[0]))) })
	}
}

// loadBulk runs a plugin on plain wazero with bulk functions.
func loadBulk(t *testing.T, wasm []byte, h *pdktest.Host) caller {
	t.Helper()
	r := wazero.NewRuntime(background)
	t.Cleanup(func() { _ = r.Close(background) })
	wasi_snapshot_preview1.MustInstantiate(background, r)
	b := new(bulkHost)
	environment, user := r.NewHostModuleBuilder("extism:host/env"), r.NewHostModuleBuilder(contract.ImportModule)
	b.environment(environment, h)
	b.user(user, h)
	for _, m := range []wazero.HostModuleBuilder{environment, user} {
		if _, err := m.Instantiate(background); err != nil {
			t.Fatal(err)
		}
	}
	mod, err := r.InstantiateWithConfig(background, wasm, wazero.NewModuleConfig().WithStartFunctions("_initialize"))
	if err != nil {
		t.Fatal(err)
	}
	return func(export string, input []byte) ([]byte, string) {
		b.blocks, b.output, b.failure = nil, nil, ""
		b.input = b.keep(input)
		code, err := mod.ExportedFunction(export).Call(background)
		if err != nil {
			t.Fatalf("%s trapped: %v", export, err)
		}
		if (code[0] == 1) != (b.failure != "") || b.eightBytesEach > 0 {
			t.Errorf("%s answered %d with the error %q, after %d calls that bulk functions make needless", export, code[0], b.failure, b.eightBytesEach)
		}
		return b.output, b.failure
	}
}
