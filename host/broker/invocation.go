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
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// invocation is one call into a plugin: what its host functions act for, and the effects
// they gathered.
type invocation struct {
	broker     *Broker
	version    *registry.Version
	connection domain.Connection
	export     contract.Export
	now        time.Time
	// command is the job's id; empty for deliveries.
	command string

	// body is the raw body of the delivery; nil for commands.
	body []byte
	// tracked tells to remember what was read, so that the commit can check it.
	tracked bool
	kv      overlay
	// journal is what a command asks of the host; nil for deliveries.
	journal *journal
	// paused is for how long a destination is left alone that the command asked for.
	paused time.Duration
	// recording is the invocation kept whole; nil if it never began.
	recording *recording.Recording
}

// encodable and decodable are the two halves of the contract's generated codec.
type encodable interface{ AppendJSON(dst []byte) []byte }

// call runs the export with the input and decodes the output into out. A run that was cut
// off begins as it began then.
func (inv *invocation) call(ctx context.Context, in encodable, out contract.Decodable, deadline time.Duration) error {
	start, err := inv.begin(in)
	if err != nil {
		return err
	}
	recorded, result, err := inv.version.Code.Record(ctx, sandbox.Invocation{
		Export: string(inv.export), Input: start.Input, Host: inv.functions(),
		Now: start.Now, Seed: start.Seed, Deadline: deadline, Tenant: string(inv.connection.Workspace), Log: inv.logLine,
	})
	inv.recording = recorded
	used := sandbox.Result{}
	if result != nil {
		used = *result
	}
	inv.broker.opts.Limits.ChargeFuel(inv.connection.Workspace, used.Fuel)
	if err == nil {
		err = decodeOutput(result.Output, out)
	}
	inv.broker.opts.Metrics.Invocation(inv.version.Manifest.Name, inv.export, used.Took, used.Fuel, kindOf(err))
	return err
}

// begin says how the invocation begins, and notes it in the journal.
func (inv *invocation) begin(in encodable) (begun, error) {
	if inv.journal != nil && inv.journal.resumes() {
		inv.now = inv.journal.begun.Now
		return inv.journal.begun, nil
	}
	start := begun{Digest: inv.version.Digest, Input: in.AppendJSON(nil), Now: inv.now}
	if _, err := io.ReadFull(inv.broker.opts.Random, start.Seed[:]); err != nil {
		return start, fmt.Errorf("seed an invocation: %w", err)
	}
	if inv.journal != nil {
		start.Run = inv.journal.begun.Run
		inv.journal.begun = start
	}
	return start, nil
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
		Events: events, Commands: commands, At: inv.now, Recording: inv.packed(),
	}
}
