package sandbox

import (
	"context"
	"fmt"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	"github.com/seed75a60ee1/patchbay/sandbox/kernel"
)

// bind gives the plugin's runtime the host modules that it imports from, and of
// [contract.ImportModule] no function that it does not import.
func (p *Plugin) bind(ctx context.Context) error {
	for module, define := range map[string]func(wazero.HostModuleBuilder){
		kernel.EnvModule:      defineEnv,
		contract.ImportModule: p.defineHostFunctions,
		wasiModule:            p.defineWASI,
	} {
		if !p.spec.importsFrom(module) {
			continue
		}
		b := p.runtime.NewHostModuleBuilder(module)
		define(b)
		if _, err := b.Instantiate(ctx); err != nil {
			return fmt.Errorf("define %s: %w", module, err)
		}
	}
	return nil
}

// defineEnv defines functions that need nothing of the plugin's own memory.
func defineEnv(b wazero.HostModuleBuilder) {
	for _, f := range kernel.Functions() {
		call := f.Call
		define(b, f.Name, f.Type, func(ctx context.Context, _ api.Module, stack []uint64) {
			call(callOf(ctx).kernel, nil, stack)
		})
	}
}

func (p *Plugin) defineHostFunctions(b wazero.HostModuleBuilder) {
	for _, f := range kernel.Bulk() {
		call := f.Call
		if !slices.ContainsFunc(p.spec.Imports, func(i Import) bool { return i.Name == f.Name }) {
			continue
		}
		define(b, f.Name, f.Type, func(ctx context.Context, m api.Module, stack []uint64) {
			call(callOf(ctx).kernel, m.Memory(), stack)
		})
	}
	for _, name := range p.spec.HostFunctions() {
		define(b, name, hostFunctionType, func(ctx context.Context, _ api.Module, stack []uint64) {
			stack[0] = uint64(callOf(ctx).hostCall(name, kernel.Handle(stack[0])))
		})
	}
}

func define(b wazero.HostModuleBuilder, name string, t binary.FuncType, f api.GoModuleFunc) {
	b.NewFunctionBuilder().WithGoModuleFunction(f, apiTypes(t.Params), apiTypes(t.Results)).Export(name)
}
