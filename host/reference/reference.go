// Package reference runs a plugin in Extism's own Go SDK instead of our sandbox, for a
// vendor who wants to know whether it behaves there as it does here.
//
// Nothing isolates or meters a plugin there: it has the real clock and real randomness,
// it can use all memory and run until [Timeout]. So only the command line uses this
// package, for a file that the person at the keyboard named, and the server never does.
package reference

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	extism "github.com/extism/go-sdk"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox"
)

// Timeout is after which time a call is given up.
const Timeout = time.Minute

// Call runs an export, with the input, the configuration and the host functions of inv;
// clock, seed and limits are not inv's to decide there. Its log is what goes through
// Extism's log functions.
//
// A failure is a [*sandbox.GuestError] if the plugin reported it and a
// [*sandbox.HostFault] if a host function failed. Anything else is the SDK's own text.
func Call(ctx context.Context, wasm []byte, inv sandbox.Invocation) (result *sandbox.Result, err error) {
	spec, err := sandbox.Inspect(wasm)
	if err != nil {
		return nil, err
	}
	if !spec.HasExport(inv.Export) {
		return nil, fmt.Errorf("call %s: %w", inv.Export, sandbox.ErrNoExport)
	}
	c := &call{}
	plugin, err := extism.NewPlugin(ctx, extism.Manifest{
		Wasm: []extism.Wasm{extism.WasmData{Data: wasm}}, Config: inv.Config, Timeout: uint64(Timeout.Milliseconds()),
	}, extism.PluginConfig{EnableWasi: true}, c.functions(spec.HostFunctions(), inv.Host))
	if err != nil {
		return nil, fmt.Errorf("the SDK refuses the plugin: %w", err)
	}
	defer func() { err = errors.Join(err, plugin.Close(context.WithoutCancel(ctx))) }()
	if inv.Log != nil {
		extism.SetLogLevel(extism.LogLevelTrace)
		plugin.SetLogger(func(level extism.LogLevel, text string) {
			inv.Log(sandbox.LogLine{Level: levelOf(level), Source: sandbox.SourceLog, Text: text})
		})
	}
	began := time.Now()
	code, output, err := plugin.CallWithContext(ctx, inv.Export, inv.Input)
	result = &sandbox.Result{HostCalls: c.hostCalls, Took: time.Since(began)}
	if err := c.verdict(inv.Export, code, err); err != nil {
		return result, err
	}
	result.Output = output
	return result, nil
}

// call is one call under way.
type call struct {
	hostCalls int
	fault     error // of a host function
}

// functions are the host functions that a plugin imports, and the bulk ones, which answer
// that they are not supported, so that a PDK falls back to Extism's own.
func (c *call) functions(imported []string, host map[string]sandbox.HostFunc) []extism.HostFunction {
	i32, i64 := extism.ValueTypeI32, extism.ValueTypeI64
	unsupported := func(_ context.Context, _ *extism.CurrentPlugin, stack []uint64) {
		answer := int64(contract.BulkUnsupported)
		stack[0] = uint64(answer)
	}
	functions := []extism.HostFunction{
		extism.NewHostFunctionWithStack(contract.BlockRead, unsupported, []extism.ValueType{i64, i64, i32, i32}, []extism.ValueType{i64}),
		extism.NewHostFunctionWithStack(contract.BlockWrite, unsupported, []extism.ValueType{i32, i32}, []extism.ValueType{i64}),
	}
	for _, name := range imported {
		functions = append(functions, extism.NewHostFunctionWithStack(name, c.function(name, host[name]), []extism.ValueType{i64}, []extism.ValueType{i64}))
	}
	return functions
}

// function makes a host function of ours one of the SDK's. A panic is how that is told
// to end the plugin.
func (c *call) function(name string, f sandbox.HostFunc) extism.HostFunctionStackCallback {
	return func(ctx context.Context, p *extism.CurrentPlugin, stack []uint64) {
		c.hostCalls++
		fail := func(err error) {
			c.fault = &sandbox.HostFault{Function: name, Err: err}
			panic(c.fault)
		}
		if f == nil {
			fail(errors.New("the invocation does not offer it"))
		}
		args, err := p.ReadBytes(stack[0])
		if err != nil {
			fail(err)
		}
		result, err := f(ctx, args)
		if err == nil {
			stack[0], err = p.WriteBytes(result)
		}
		if err != nil {
			fail(err)
		}
	}
}

// verdict is what an answer of the SDK's means in the sandbox's terms.
func (c *call) verdict(export string, code uint32, err error) error {
	switch {
	case c.fault != nil:
		return c.fault
	case err != nil && strings.Contains(err.Error(), "wasm stack trace"):
		return fmt.Errorf("%s trapped: %w", export, err)
	case err != nil:
		return &sandbox.GuestError{Export: export, Code: int32(code), Message: err.Error()}
	case code != 0:
		return &sandbox.GuestError{Export: export, Code: int32(code), Message: "it gave no reason"}
	}
	return nil
}

func levelOf(level extism.LogLevel) slog.Level {
	switch level {
	case extism.LogLevelTrace:
		return sandbox.LevelTrace
	case extism.LogLevelDebug:
		return slog.LevelDebug
	case extism.LogLevelInfo:
		return slog.LevelInfo
	case extism.LogLevelWarn:
		return slog.LevelWarn
	}
	return slog.LevelError
}
