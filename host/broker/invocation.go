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
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/sandbox"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// invocation is one call into a plugin: what its host functions act for, and the effects
// they gathered.
type invocation struct {
	broker     *Broker
	version    *registry.Version
	connection domain.Connection
	// app is the connection's app; nil if it has none, or is one.
	app    *domain.Connection
	export contract.Export
	now    time.Time
	// command is the job's id; empty for deliveries.
	command string

	// body is the raw body of the delivery, and received when it came; nil and zero for
	// commands.
	body     []byte
	received time.Time
	// tracked tells to remember what was read, so that the commit can check it.
	tracked bool
	kv      overlay
	// routes is what route_put and route_delete asked for, in order.
	routes []domain.RouteWrite
	// journal is what a command asks of the host; nil for deliveries.
	journal *journal
	// paused is for how long a destination is left alone that the command asked for.
	paused time.Duration
	// carried is the token sets whose access tokens are in the request that is made, and refused
	// those of the requests that were answered 401.
	carried, refused []domain.TokenUse
	// since is when a refusal must have been to count; see domain.TokenOwner.
	since time.Time
	// tokens is the token set that was handed over, to be committed with the delivery; nil if
	// none was. renewed is the version that a refresh has made.
	tokens  *domain.TokenSet
	renewed uint64
	// handed tells that a delivery's tokens were handed over, whether they are new or not; brings
	// is what it seems to carry in the way of tokens, to a plugin that may take some.
	handed bool
	brings []string
	// bearers is what its Authorization header proves its sender with, which no recording shows.
	bearers []string
	// refresh is what the command renews; nil if it is none that does.
	refresh *domain.Refresh
	// raced tells that a write was refused because somebody else was faster.
	raced bool
	// recording is the invocation kept whole; nil if it never began.
	recording *recording.Recording
}

// bring has the invocation run with a delivery, of which nothing is encrypted.
func (inv *invocation) bring(d domain.Delivery) {
	inv.body, inv.tracked, inv.received = d.Body, true, d.ReceivedAt
	if inv.body == nil {
		inv.body = []byte{}
	}
	if !takesTokens(inv.version) {
		return
	}
	inv.brings, inv.bearers = tokensIn(d), bearers(d.Headers)
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
	inv.broker.opts.Limits.ChargeFuel(inv.connection.Budget(), used.Fuel)
	if err == nil {
		err = decodeOutput(result.Output, out)
	}
	inv.broker.opts.Metrics.Invocation(inv.version.Manifest.Name, inv.export, used.Took, used.Fuel, kindOf(err))
	if failed := (*sandbox.GuestError)(nil); inv.raced && errors.As(err, &failed) {
		return fmt.Errorf("%w: %w", domain.ErrConflict, err) // what the plugin made of a lost race
	}
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

// connectionInfo is what the plugin is told about its connection, or in app scope about the
// app.
func (inv *invocation) connectionInfo() contract.Connection {
	c, m := inv.connection, &inv.version.Manifest
	info := contract.Connection{ID: c.ID, Workspace: c.Workspace, Name: c.Name, State: c.State, IsApp: c.IsApp}
	switch {
	case c.IsApp:
		info.Settings = m.WithDefaultsIn(manifest.ScopeApp, c.Settings)
	case inv.app != nil:
		info.Settings = m.WithDefaultsIn(manifest.ScopeConnection, c.Settings)
		info.App = &contract.App{ID: inv.app.ID, Settings: m.WithDefaultsIn(manifest.ScopeApp, inv.app.Settings)}
	default:
		info.Settings = m.WithDefaults(c.Settings)
	}
	return info
}

// effects is what the invocation gathered through its host functions.
func (inv *invocation) effects(events []contract.Event, commands []contract.CommandRequest) domain.Effects {
	return domain.Effects{
		Workspace: inv.connection.Workspace, Connection: inv.connection.ID,
		Reads: inv.kv.reads(), Scans: inv.kv.scans, Writes: inv.kv.changes(),
		Events: events, Commands: commands, Routes: inv.routes, Tokens: inv.tokens, At: inv.now, Recording: inv.packed(),
	}
}
