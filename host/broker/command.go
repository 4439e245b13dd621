package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox"
)

// Run carries out one job and commits what came of it; see jobs.Runner.
func (b *Broker) Run(ctx context.Context, job domain.Job) (domain.Job, []domain.Job, error) {
	after, spawned, err := b.run(ctx, job)
	outcome := string(after.State)
	switch {
	case err != nil:
		outcome = "uncommitted"
	case after.State == domain.JobQueued:
		outcome = "retry"
	}
	b.opts.Metrics.Job(job.Kind, outcome)
	return after, spawned, err
}

func (b *Broker) run(ctx context.Context, job domain.Job) (domain.Job, []domain.Job, error) {
	connection, err := b.opts.Store.Connection(ctx, job.Connection)
	switch {
	case errors.Is(err, domain.ErrNotFound):
		job.State = domain.JobCancelled // as the removal of its connection left it
		return job, nil, nil
	case err != nil:
		return job, nil, fmt.Errorf("read connection: %w", err)
	}
	if job.Kind == domain.JobEvent {
		return b.release(ctx, connection, job)
	}
	after, spawned, err := b.command(ctx, connection, job)
	if err == nil && job.Command.Export == contract.ExportTeardownConnection && after.State.Ended() {
		err = b.remove(ctx, connection) // well or badly: a dead platform must not keep it alive
	}
	return after, spawned, err
}

// settle commits what one run of a command came to.
func (b *Broker) settle(ctx context.Context, e domain.CommandEffects) (domain.Job, []domain.Job, error) {
	committed, err := b.opts.Store.CommitCommand(ctx, e)
	if err != nil {
		return domain.Job{}, nil, fmt.Errorf("commit job %s: %w", e.JobID, err)
	}
	return committed.Job, committed.Jobs, nil
}

// command calls the plugin for a command. A failure of the plugin or of the host is the
// command's failure, and the policy says what becomes of it.
func (b *Broker) command(ctx context.Context, c domain.Connection, job domain.Job) (domain.Job, []domain.Job, error) {
	version, release, err := b.acquire(ctx, c)
	if err != nil {
		return b.fail(ctx, job, contract.Failure{Class: contract.FailureRetry, Code: failureCode(err),
			Message: "The plugin cannot run now: " + bounded(err.Error()) + "."})
	}
	defer release()
	if !slices.Contains(version.Manifest.Abilities, job.Command.Export) {
		return b.fail(ctx, job, contract.Failure{Class: contract.FailurePermanent, Code: "unsupported",
			Message: fmt.Sprintf("The plugin %s cannot %s.", version.Manifest.Title, job.Command.Export)})
	}
	return b.invoke(ctx, version, c, job)
}

func (b *Broker) invoke(ctx context.Context, v *registry.Version, c domain.Connection, job domain.Job) (domain.Job, []domain.Job, error) {
	inv := b.newInvocation(v, c, job.Command.Export)
	inv.log.log = inv.log.log.With("command", job.ID)
	var out contract.CommandOutput
	if err := inv.call(ctx, commandInput(job, contractConnection(c, v)), &out, b.opts.CommandDeadline); err != nil {
		if interrupted(err) {
			return job, nil, err // the host stops: the job is run again
		}
		b.opts.Log.Error("a command's invocation failed", "command", job.ID, "export", job.Command.Export,
			"plugin", c.Plugin, "attempt", job.Attempts+1, "error", err)
		return b.fail(ctx, job, contract.Failure{Class: contract.FailureRetry, Code: failureCode(err),
			Message: "The plugin failed while it carried the command out."})
	}
	after, spawned, err := b.settle(ctx, b.commandEffects(inv, job, out))
	if errors.Is(err, domain.ErrConflict) {
		return b.fail(ctx, job, contract.Failure{Class: contract.FailureRetry, Code: "conflict",
			Message: "Something that the command relied on changed meanwhile."})
	}
	return after, spawned, err
}

// remove deletes a connection that was torn down.
func (b *Broker) remove(ctx context.Context, c domain.Connection) error {
	if err := b.opts.Store.DeleteConnection(ctx, c.ID); err != nil && !errors.Is(err, domain.ErrNotFound) {
		return fmt.Errorf("remove connection %s after its teardown: %w", c.ID, err)
	}
	b.audit(ctx, "host", "connection.removed", c, string(c.ID), c.Name)
	return nil
}

// interrupted tells whether a host function ended the invocation because the host stops.
func interrupted(err error) bool {
	var fault *sandbox.HostFault
	return errors.As(err, &fault) && errors.Is(err, context.Canceled)
}

// fail commits a failed run without effects.
func (b *Broker) fail(ctx context.Context, job domain.Job, f contract.Failure) (domain.Job, []domain.Job, error) {
	now := b.opts.Now()
	state, at := b.opts.Policy.Next(job, f, now)
	after, spawned, err := b.settle(ctx, domain.CommandEffects{
		Effects: domain.Effects{Workspace: job.Workspace, Connection: job.Connection, At: now},
		JobID:   job.ID, State: state, NotBefore: at, Failure: &f, CountAttempt: true,
	})
	return after, spawned, err
}

// commandEffects turns a command's output into its commit.
func (b *Broker) commandEffects(inv *invocation, job domain.Job, out contract.CommandOutput) domain.CommandEffects {
	e := domain.CommandEffects{
		Effects: inv.effects(out.Events, out.Commands), JobID: job.ID, State: domain.JobDone, CountAttempt: true,
		Failure: out.Failure, Setup: out.Setup, Capabilities: out.Capabilities,
	}
	if out.Sent != nil || out.Health != nil {
		e.Result = &domain.CommandResult{Sent: out.Sent, Health: out.Health}
	}
	if out.Failure != nil {
		e.State, e.NotBefore = b.opts.Policy.Next(job, *out.Failure, b.opts.Now())
	}
	return e
}

// commandInput is the input document of a command's export.
func commandInput(job domain.Job, c contract.Connection) encodable {
	command := job.Command
	info := contract.CommandInfo{ID: command.ID, Attempt: int64(job.Attempts) + 1, CreatedAt: job.CreatedAt}
	switch command.Export {
	case contract.ExportSendMessage:
		return &contract.SendMessageInput{Command: info, Connection: c, Message: *command.Message, Strict: command.Strict}
	case contract.ExportEditMessage:
		return &contract.EditMessageInput{Command: info, Connection: c, Message: *command.Message, Strict: command.Strict}
	case contract.ExportDeleteMessage:
		return &contract.DeleteMessageInput{Command: info, Connection: c, Conversation: *command.Conversation,
			PlatformID: command.Status.PlatformID}
	case contract.ExportSendTyping:
		return &contract.SendTypingInput{Command: info, Connection: c, Conversation: *command.Conversation, Typing: *command.Typing}
	case contract.ExportSendReceipt:
		return &contract.SendReceiptInput{Command: info, Connection: c, Conversation: *command.Conversation, Status: *command.Status}
	case contract.ExportSetupConnection:
		return &contract.SetupConnectionInput{Command: info, Connection: c}
	case contract.ExportTeardownConnection:
		return &contract.TeardownConnectionInput{Command: info, Connection: c}
	case contract.ExportReconcile:
		return &contract.ReconcileInput{Command: info, Connection: c, Payload: command.Payload}
	case contract.ExportLookupContact:
		return &contract.LookupContactInput{Command: info, Connection: c, Contact: command.Contact}
	default: // check_health: every other export belongs to no command yet
		return &contract.CheckHealthInput{Command: info, Connection: c}
	}
}
