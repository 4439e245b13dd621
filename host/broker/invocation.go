package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox"
)

// invocation is one call into a plugin: what its host functions act for, and the effects
// they gathered.
type invocation struct {
	broker     *Broker
	version    *registry.Version
	connection domain.Connection
	export     contract.Export
	now        time.Time
	log        invocationLog

	// body is the raw body of the delivery; nil for commands.
	body []byte
	// tracked tells to remember what was read, so that the commit can check it.
	tracked bool
	kv      overlay
}

// encodable and decodable are the two halves of the contract's generated codec.
type encodable interface{ AppendJSON(dst []byte) []byte }

// call runs the export with the input and decodes the output into out.
func (inv *invocation) call(ctx context.Context, in encodable, out contract.Decodable, deadline time.Duration) error {
	var seed [32]byte
	if _, err := io.ReadFull(inv.broker.opts.Random, seed[:]); err != nil {
		return fmt.Errorf("seed an invocation: %w", err)
	}
	result, err := inv.version.Code.Call(ctx, sandbox.Invocation{
		Export: string(inv.export), Input: in.AppendJSON(nil), Host: inv.functions(),
		Now: inv.now, Seed: seed, Deadline: deadline, Tenant: string(inv.connection.Workspace), Log: inv.log.line,
	})
	used := sandbox.Result{}
	if result != nil {
		used = *result
	}
	if err == nil {
		err = decodeOutput(result.Output, out)
	}
	inv.broker.opts.Metrics.Invocation(inv.version.Manifest.Name, inv.export, used.Took, used.Fuel, kindOf(err))
	return err
}

// outputError is a plugin's output that cannot be taken at its word.
type outputError struct{ cause error }

func (e *outputError) Error() string { return "the plugin's output is not usable: " + e.cause.Error() }

func (e *outputError) Unwrap() error { return e.cause }

func decodeOutput(output []byte, out contract.Decodable) error {
	err := contract.Unmarshal(output, out)
	if err == nil {
		if v, ok := out.(interface{ Validate() error }); ok {
			err = v.Validate()
		}
	}
	if err != nil {
		return &outputError{cause: err}
	}
	return nil
}

// kindOf names the kind of an invocation's failure, for metrics and for people; empty if
// there is none.
func kindOf(err error) string {
	var (
		trap   *sandbox.Trap
		limit  *sandbox.LimitError
		guest  *sandbox.GuestError
		output *outputError
	)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline"
	case errors.As(err, &limit):
		return "limit"
	case errors.As(err, &trap):
		return "trap"
	case errors.As(err, &guest):
		return "error"
	case errors.As(err, &output):
		return "bad_output"
	}
	return "host"
}

// contractConnection is what the plugin is told about its connection.
func contractConnection(c domain.Connection, v *registry.Version) contract.Connection {
	return contract.Connection{
		ID: c.ID, Workspace: c.Workspace, Name: c.Name, State: c.State,
		Settings: v.Manifest.WithDefaults(c.Settings),
	}
}

// effects is what the invocation gathered through its host functions.
func (inv *invocation) effects(events []contract.Event, commands []contract.CommandRequest) domain.Effects {
	return domain.Effects{
		Workspace: inv.connection.Workspace, Connection: inv.connection.ID,
		Reads: inv.kv.reads(), Scans: inv.kv.scans, Writes: inv.kv.changes(),
		Events: events, Commands: commands, At: inv.now,
	}
}
