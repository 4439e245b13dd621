package pack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox"
)

// askDeadline bounds how long a connector may take to tell what it implements; starting
// up is all there is to do.
const askDeadline = 10 * time.Second

// abilities finds out what a compiled connector implements. The compiler decides about
// exports before it knows which connector is registered, so one made with our Go PDK
// exports all of the contract: it is run, in the sandbox and without a host, and asked.
// Any other module means what it exports. Either way it was loaded once, so that what no
// host would admit is refused here.
func abilities(ctx context.Context, wasm []byte) (found []contract.Export, err error) {
	spec, err := sandbox.Inspect(wasm)
	if err != nil {
		return nil, err
	}
	if problems := strangeImports(spec); len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	engine, err := sandbox.NewEngine(sandbox.EngineOptions{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, engine.Close(context.WithoutCancel(ctx))) }()
	plugin, err := engine.Load(ctx, wasm, sandbox.LoadOptions{HostFunctions: spec.HostFunctions()})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, plugin.Close(context.WithoutCancel(ctx))) }()
	if !spec.HasExport(abilitiesExport) {
		return exported(spec), nil
	}
	return ask(ctx, plugin)
}

// ask runs the connector to learn what it implements.
func ask(ctx context.Context, plugin *sandbox.Plugin) ([]contract.Export, error) {
	result, err := plugin.Call(ctx, sandbox.Invocation{Export: abilitiesExport, Now: time.Unix(0, 0), Deadline: askDeadline})
	if err != nil {
		return nil, fmt.Errorf("ask the connector what it implements: %w", err)
	}
	var found []contract.Export
	if err := json.Unmarshal(result.Output, &found); err != nil {
		return nil, fmt.Errorf("ask the connector what it implements: its answer %.100q is no list of names: %w", result.Output, err)
	}
	for _, ability := range found {
		if !slices.Contains(contract.Exports(), ability) {
			return nil, fmt.Errorf("ask the connector what it implements: %s has no ability %q; build with the patchbay of the connector's pdk", contract.Version, ability)
		}
	}
	return found, nil
}
