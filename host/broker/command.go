package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/failpoint"
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
	if job.Kind == domain.JobClaim {
		return b.claim(ctx, connection, job)
	}
	if wait := b.opts.Limits.Debt(connection.Budget()); wait > 0 {
		return b.postponeCommand(ctx, job, wait)
	}
	return b.command(ctx, connection, job)
}

// postponeCommand has a command wait because its workspace has computed too much lately.
func (b *Broker) postponeCommand(ctx context.Context, job domain.Job, wait time.Duration) (domain.Job, []domain.Job, error) {
	now := b.opts.Now()
	return b.settle(ctx, job, domain.CommandEffects{
		Effects: domain.Effects{Workspace: job.Workspace, Connection: job.Connection, At: now},
		State:   domain.JobQueued, NotBefore: now.Add(wait), Failure: job.Failure, Unbegun: true,
	})
}

// settle commits what one run of a command came to. The connection that it was to tear down
// goes with it, well or badly: a dead platform must not keep it alive.
func (b *Broker) settle(ctx context.Context, job domain.Job, e domain.CommandEffects) (domain.Job, []domain.Job, error) {
	e.JobID = job.ID
	if err := b.settleRefresh(ctx, job, &e); err != nil {
		return domain.Job{}, nil, fmt.Errorf("settle refresh %s: %w", job.ID, err)
	}
	e.RemoveConnection = job.Command.Export == contract.ExportTeardownConnection && e.State.Ended()
	committed, err := b.opts.Store.CommitCommand(ctx, e)
	if err != nil {
		return domain.Job{}, nil, fmt.Errorf("commit job %s: %w", e.JobID, err)
	}
	failpoint.Hit(failpoint.BrokerAfterCommit)
	if job.Command.Refresh != nil {
		b.opts.Tokens.Changed(job.Connection) // the next one may be queued from now on
	}
	if !e.Unbegun || e.State != domain.JobQueued {
		b.unsettled.Delete(e.JobID)
	}
	if e.RemoveConnection {
		c := domain.Connection{Workspace: e.Workspace, ID: e.Connection}
		b.audit(ctx, "host", "connection.removed", c, string(c.ID), "its teardown is "+string(e.State))
	}
	return committed.Job, committed.Jobs, nil
}

// command calls the plugin for a command. A failure of the plugin or of the host is the
// command's failure, and the policy says what becomes of it.
func (b *Broker) command(ctx context.Context, c domain.Connection, job domain.Job) (domain.Job, []domain.Job, error) {
	version, release, err := b.acquire(ctx, c)
	if err != nil {
		return b.unable(ctx, job, contract.Failure{Class: contract.FailureRetry, Code: failureCode(err),
			Message: "The plugin cannot run now: " + bounded(err.Error()) + "."})
	}
	defer release()
	if !slices.Contains(version.Manifest.Abilities, job.Command.Export) {
		return b.unable(ctx, job, contract.Failure{Class: contract.FailurePermanent, Code: "unsupported",
			Message: fmt.Sprintf("The plugin %s cannot %s.", version.Manifest.Title, job.Command.Export)})
	}
	return b.invoke(ctx, version, c, job)
}

// invoke runs the plugin for a command and commits what came of it, again and again as long
// as something that the command wrote meanwhile has another version than it saw. What went
// out to the platform goes out once, however often the plugin runs.
func (b *Broker) invoke(ctx context.Context, v *registry.Version, c domain.Connection, job domain.Job) (domain.Job, []domain.Job, error) {
	j, err := b.openJournal(ctx, job)
	if err != nil {
		return job, nil, err
	}
	if done, err := b.superseded(ctx, job, j); done || err != nil {
		return b.done(ctx, job, err)
	}
	b.guard(j, v, job)
	if j.resumes() && j.begun.Digest != v.Digest {
		if j.acted() {
			return b.fail(ctx, job, nil, uncertain("plugin_changed", "The host stopped while the command ran, and its plugin was "+
				"replaced since: whether the platform has it is not known."))
		}
		j.anew() // nothing went out that must not go out again
	}
	b.unsettled.Store(job.ID, j)
	var lost error
	for range maxTries {
		after, spawned, err := b.runCommand(ctx, v, c, job, j)
		if !errors.Is(err, domain.ErrConflict) {
			return after, spawned, err
		}
		lost = err
		j.rerun()
	}
	b.opts.Log.Error("a command lost one race after the other", "command", job.ID, "export", job.Command.Export, "plugin", c.Plugin, "error", lost)
	return b.fail(ctx, job, nil, j.failure("conflict", "Something that the command relied on kept changing."))
}

// runCommand is one run of the plugin with its commit. domain.ErrConflict means that it
// may be run again.
func (b *Broker) runCommand(ctx context.Context, v *registry.Version, c domain.Connection, job domain.Job, j *journal) (domain.Job, []domain.Job, error) {
	app, err := b.appOf(ctx, c)
	if err != nil {
		return job, nil, err
	}
	inv := b.newInvocation(v, c, job.Command.Export)
	inv.app, inv.command, inv.journal, inv.refresh = app, job.ID, j, job.Command.Refresh
	if job.Command.Export == contract.ExportSetupConnection {
		inv.since = job.Began()
	}
	var out contract.CommandOutput
	in, err := b.commandInput(inv, job)
	if err != nil {
		return b.fail(ctx, job, nil, contract.Failure{Class: contract.FailurePermanent, Code: "unreadable", Message: bounded(err.Error())})
	}
	failure := inv.call(ctx, in, &out, b.opts.CommandDeadline)
	j.close()
	failpoint.Hit(failpoint.BrokerBeforeCommit)
	if failure != nil {
		switch {
		case interrupted(failure):
			return job, nil, failure // the host stops: the job is run again
		case errors.Is(failure, domain.ErrConflict):
			return b.conflict(ctx, job, failure)
		}
		b.opts.Log.Error("a command's invocation failed", "command", job.ID, "export", job.Command.Export,
			"plugin", c.Plugin, "attempt", job.Attempts+1, "error", failure)
		return b.fail(ctx, job, inv, j.failureOf(failure))
	}
	effects := b.commandEffects(inv, job, out)
	if err := b.afterUnauthorised(ctx, inv, job, &effects); err != nil {
		return job, nil, err
	}
	after, spawned, err := b.settle(ctx, job, effects)
	switch {
	case errors.Is(err, domain.ErrConflict):
		return b.conflict(ctx, job, err)
	case errors.Is(err, domain.ErrQuota):
		return b.fail(ctx, job, inv, j.overQuota(err))
	}
	return after, spawned, err
}

// conflict tells a command that was cancelled or has ended meanwhile from one that may be
// run again.
func (b *Broker) conflict(ctx context.Context, job domain.Job, cause error) (domain.Job, []domain.Job, error) {
	now, err := b.opts.Store.Job(ctx, job.ID)
	if err == nil && now.State.Ended() {
		b.unsettled.Delete(job.ID)
		return now, nil, nil
	}
	return job, nil, errors.Join(cause, err)
}

// interrupted tells whether a host function ended the invocation because the host stops.
func interrupted(err error) bool {
	var fault *sandbox.HostFault
	return errors.As(err, &fault) && errors.Is(err, context.Canceled)
}

// unable commits that a command could not begin. If a run of it was cut off before, that
// one's journal stays until the command can; if it never can, whether the platform has it
// depends on that run.
func (b *Broker) unable(ctx context.Context, job domain.Job, f contract.Failure) (domain.Job, []domain.Job, error) {
	j, err := b.openJournal(ctx, job)
	if err != nil {
		return job, nil, err
	}
	now := b.opts.Now()
	state, at := b.opts.Policy.Next(job, f, now)
	if state != domain.JobQueued && j.acted() {
		f = uncertain(f.Code, f.Message+" Before, the host stopped while the command ran: whether the platform has it is not known.")
	}
	return b.settle(ctx, job, domain.CommandEffects{
		Effects: domain.Effects{Workspace: job.Workspace, Connection: job.Connection, At: now},
		State:   state, NotBefore: at, Failure: &f, CountAttempt: true, Unbegun: true,
	})
}

// fail commits a failed run without effects; inv is nil if none ran.
func (b *Broker) fail(ctx context.Context, job domain.Job, inv *invocation, f contract.Failure) (domain.Job, []domain.Job, error) {
	now := b.opts.Now()
	state, at := b.opts.Policy.Next(job, f, now)
	var recorded []byte
	if inv != nil { // the plugin broke down
		state, at = b.opts.Policy.Fault(job, f, now)
		recorded = inv.packed()
	}
	after, spawned, err := b.settle(ctx, job, domain.CommandEffects{
		Effects: domain.Effects{Workspace: job.Workspace, Connection: job.Connection, At: now, Recording: recorded},
		State:   state, NotBefore: at, Failure: &f, CountAttempt: true,
	})
	return after, spawned, err
}

// commandEffects turns a command's output into its commit.
func (b *Broker) commandEffects(inv *invocation, job domain.Job, out contract.CommandOutput) domain.CommandEffects {
	e := domain.CommandEffects{
		Effects: inv.effects(out.Events, out.Commands), State: domain.JobDone, CountAttempt: true,
		Failure: out.Failure, Setup: out.Setup, Capabilities: out.Capabilities,
	}
	if out.Sent != nil || out.Health != nil {
		e.Result = &domain.CommandResult{Sent: out.Sent, Health: out.Health}
	}
	switch {
	case out.Failure == nil:
	case inv.paused > 0 && again(out.Failure.Class):
		e.State, e.NotBefore = b.opts.Policy.Pause(job, inv.paused, b.opts.Now())
		e.CountAttempt = false
	default:
		e.State, e.NotBefore = b.opts.Policy.Next(job, *out.Failure, b.opts.Now())
	}
	return e
}

// again tells whether a failure of the class is one that time may mend.
func again(c contract.FailureClass) bool {
	return c == contract.FailureRetry || c == contract.FailureRetryAfter
}

// commandInput is the input document of a command's export. It fails if what the command
// holds cannot be decrypted.
func (b *Broker) commandInput(inv *invocation, job domain.Job) (encodable, error) {
	info := contract.CommandInfo{ID: job.Command.ID, Attempt: int64(job.Attempts) + 1, CreatedAt: job.CreatedAt}
	if job.Command.Exchange != nil {
		return b.exchangeInput(job, info, inv.connectionInfo())
	}
	return plainInput(job.Command, info, inv.connectionInfo()), nil
}

func plainInput(command *domain.Command, info contract.CommandInfo, c contract.Connection) encodable {
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
	case contract.ExportRefreshCredentials:
		return &contract.RefreshCredentialsInput{Command: info, Connection: c, Reason: command.Refresh.Reason, Ambiguous: command.Refresh.Ambiguous}
	default: // check_health: every other export belongs to no command
		return &contract.CheckHealthInput{Command: info, Connection: c}
	}
}
