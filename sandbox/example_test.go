package sandbox_test

import (
	"context"
	"fmt"

	"github.com/seed75a60ee1/patchbay/sandbox"
	w "github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
)

// A plugin that hands its input to the host function "greet" and returns the answer.
func greeter() []byte {
	m := &w.Module{}
	input := m.Import("extism:host/env", "input_offset", ":I")
	length := m.Import("extism:host/env", "length", "I:I")
	output := m.Import("extism:host/env", "output_set", "II:")
	greet := m.Import("extism:host/user", "greet", "I:I")
	m.Func("receive", ":i", "I",
		w.Call(input), w.Call(greet), w.LocalSet(0),
		w.LocalGet(0), w.LocalGet(0), w.Call(length), w.Call(output), w.I32Const(0))
	return m.Bytes()
}

func ExamplePlugin_Call() {
	ctx := context.Background()
	engine, err := sandbox.NewEngine(sandbox.EngineOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close(ctx)
	plugin, err := engine.Load(ctx, greeter(), sandbox.LoadOptions{HostFunctions: []string{"greet"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := plugin.Call(ctx, sandbox.Invocation{
		Export: "receive", Input: []byte("newcomer"),
		Host: map[string]sandbox.HostFunc{"greet": func(_ context.Context, args []byte) ([]byte, error) {
			return append([]byte("hello, "), args...), nil
		}},
	})
	fmt.Println(string(result.Output), err)
	// Output: hello, newcomer <nil>
}

func ExampleEngine_Load_refused() {
	ctx := context.Background()
	engine, err := sandbox.NewEngine(sandbox.EngineOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close(ctx)
	_, err = engine.Load(ctx, greeter(), sandbox.LoadOptions{})
	fmt.Println(err)
	// Output: plugin refused: import extism:host/user.greet: the host does not offer it to this plugin; list it in the manifest and have it granted, or do not call it
}

func ExampleInspect() {
	spec, err := sandbox.Inspect(greeter())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, i := range spec.Imports {
		fmt.Println(i, i.Type)
	}
	// Output:
	// extism:host/env.input_offset () -> i64
	// extism:host/env.length (i64) -> i64
	// extism:host/env.output_set (i64, i64) -> ()
	// extism:host/user.greet (i64) -> i64
}
