package store

import (
	"context"
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// accepted is what an idempotency key stands for: a job, or a thing.
type accepted struct {
	Job         string    `json:"job,omitempty"`
	RequestHash string    `json:"request_hash"`
	At          time.Time `json:"at"`
	// Ended is the state of the job when it was removed for its age; empty while it is there.
	Ended domain.JobState `json:"ended,omitempty"`
	// Message is what that job sent, if anything.
	Message contract.MessageID `json:"message,omitempty"`
	// Thing is what the request made or was about to make, and Settled that it did; see
	// ClaimKey.
	Thing   string `json:"thing,omitempty"`
	Settled bool   `json:"settled,omitempty"`
}

// acceptance is the answer to a command.
type acceptance struct {
	job     domain.Job
	created bool
}

// AcceptCommand queues a command at the end of its lane, with the message it sends. Ids
// that are missing are filled in. If the workspace has used the idempotency key, nothing
// is changed: for the same request the first job is returned as it stands now, with
// created false, and for another one ErrIdempotencyMismatch. ErrNotFound if the workspace
// has no such connection.
func (s *Store) AcceptCommand(ctx context.Context, n domain.NewCommand) (job domain.Job, created bool, err error) {
	a, err := change(ctx, s, "accept command", func(t *tx) (acceptance, error) {
		return t.acceptCommand(n)
	})
	return a.job, a.created, err
}

func idempotencyKey(ws contract.WorkspaceID, k string) key { return workspaceKey(ws).text(k) }

func (t *tx) acceptCommand(n domain.NewCommand) (acceptance, error) {
	if first, err := t.acceptedBefore(n); err != nil || first != nil {
		if err != nil {
			return acceptance{}, err
		}
		if first.Ended != "" {
			return acceptance{endedJob(n, first), false}, nil
		}
		job, err := t.job(first.Job)
		return acceptance{job, false}, err
	}
	if err := t.owns(n.Workspace, n.Connection); err != nil {
		return acceptance{}, err
	}
	command, err := t.newCommand(n)
	if err != nil {
		return acceptance{}, err
	}
	id := string(command.ID)
	if n.Lane == "" {
		n.Lane = ownLane(n.Connection, id)
	}
	job := t.addJob(domain.Job{ID: id, Kind: domain.JobCommand, Workspace: n.Workspace, Connection: n.Connection,
		Lane: n.Lane, NotBefore: n.At, CreatedAt: n.At, Command: &command, IdempotencyKey: n.IdempotencyKey})
	if n.IdempotencyKey != "" {
		t.putJSON(bucketIdempotency, idempotencyKey(n.Workspace, n.IdempotencyKey), accepted{Job: id, RequestHash: n.RequestHash, At: n.At})
	}
	return acceptance{job, true}, nil
}

// acceptedBefore returns what the idempotency key stands for; nil if it is new.
func (t *tx) acceptedBefore(n domain.NewCommand) (*accepted, error) {
	k := idempotencyKey(n.Workspace, n.IdempotencyKey)
	if n.IdempotencyKey == "" || !t.has(bucketIdempotency, k) {
		return nil, nil
	}
	first, err := load[accepted](t, bucketIdempotency, k)
	if err == nil && first.RequestHash != n.RequestHash {
		return nil, domain.ErrIdempotencyMismatch
	}
	return &first, err
}

// endedJob is what is still known of a command that was removed for its age. The request is
// the same, so the rest is what it said.
func endedJob(n domain.NewCommand, first *accepted) domain.Job {
	command := n.Command
	command.ID = contract.CommandID(first.Job)
	if command.Message != nil {
		sent := *command.Message
		sent.ID, sent.Status = first.Message, ""
		command.Message = &sent
	}
	return domain.Job{ID: first.Job, Kind: domain.JobCommand, Workspace: n.Workspace, Connection: n.Connection, Lane: n.Lane,
		State: first.Ended, CreatedAt: first.At, UpdatedAt: first.At, NotBefore: first.At, Command: &command}
}

// newCommand fills in ids and keeps the message. The caller's structures stay as they are.
func (t *tx) newCommand(n domain.NewCommand) (domain.Command, error) {
	c := n.Command
	if c.ID == "" {
		c.ID = contract.CommandID(t.ids.next("cmd"))
	}
	if t.has(bucketJobIDs, key(c.ID)) {
		return c, fmt.Errorf("command %q: %w", c.ID, domain.ErrExists)
	}
	if n.Message == nil {
		return c, nil
	}
	m := *n.Message
	if m.ID == "" {
		m.ID = contract.MessageID(t.ids.next("msg"))
	}
	if t.has(bucketMessages, key(m.ID)) {
		return c, fmt.Errorf("message %q: %w", m.ID, domain.ErrExists)
	}
	m.Workspace, m.Connection, m.Direction, m.Command = n.Workspace, n.Connection, domain.Outbound, c.ID
	m.Status, m.PlatformID, m.CreatedAt, m.UpdatedAt = contract.MessageQueued, "", n.At, n.At
	send := m.Message
	if c.Message != nil {
		send = *c.Message
		send.ID, send.Status = m.ID, m.Status
	}
	c.Message = &send
	return c, t.createMessage(m)
}

// CommitCommand keeps what one run of a command came to, all of it or nothing.
// ErrConflict if the job has ended meanwhile or an entry has another version than
// expected, ErrQuota if there are too many key-value entries.
func (s *Store) CommitCommand(ctx context.Context, e domain.CommandEffects) (domain.CommandCommitted, error) {
	if jobState(e.State) == 0 {
		return domain.CommandCommitted{}, &domain.Invalid{Problems: []domain.Problem{{Field: "state", Value: string(e.State),
			Why: "it is not a state of a job", Fix: "use queued, done, parked or cancelled"}}}
	}
	return change(ctx, s, "commit command", func(t *tx) (domain.CommandCommitted, error) {
		return t.commitCommand(e)
	})
}

func (t *tx) commitCommand(e domain.CommandEffects) (domain.CommandCommitted, error) {
	var c domain.CommandCommitted
	before, err := t.queuedJob(e.JobID)
	if err != nil {
		return c, err
	}
	if before.Kind != domain.JobCommand || before.Command == nil || before.Connection != e.Connection || before.Workspace != e.Workspace {
		return c, fmt.Errorf("job %q is no command of connection %q: %w", e.JobID, e.Connection, domain.ErrNotFound)
	}
	connection, err := t.connection(e.Connection)
	if err != nil {
		return c, err
	}
	plan, err := t.check(&e.Effects)
	if err != nil {
		return c, err
	}
	t.configure(connection, &e)
	c.Job = t.runJob(before, &e)
	if !e.Unbegun || e.State != domain.JobQueued {
		t.endJournal(e.JobID)
	}
	t.putRecording(e.Workspace, e.JobID, before.Attempts+1, e.Recording)
	t.noticeParked(&c.Job, &e)
	from := source{ws: e.Workspace, connection: e.Connection, command: before.Command.ID, at: e.At}
	told, err := t.tellMessage(from, before.Command, &e)
	if err != nil {
		return c, err
	}
	c.Events, c.Jobs, err = t.apply(from, plan, &e.Effects)
	c.Events = append(told, c.Events...)
	if err == nil && e.RemoveConnection && t.appUnused(connection) == nil { // else somebody connected meanwhile
		err = t.deleteConnection(e.Connection, e.At)
	}
	return c, err
}

// configure keeps what a setup or a health check found out about the connection.
func (t *tx) configure(before domain.Connection, e *domain.CommandEffects) {
	if e.Setup != nil || e.Capabilities != nil {
		after := before
		after.UpdatedAt = e.At
		if e.Setup != nil {
			after.Setup = e.Setup
		}
		if e.Capabilities != nil {
			after.Capabilities = e.Capabilities
		}
		t.putConnection(&before, after)
	}
	if e.Result != nil && e.Result.Sent != nil {
		t.sawTraffic(e.Connection, time.Time{}, e.At)
	}
}

// runJob moves the job to where the run left it.
func (t *tx) runJob(before domain.Job, e *domain.CommandEffects) domain.Job {
	after := before
	after.State, after.Failure, after.UpdatedAt = e.State, e.Failure, e.At
	if e.CountAttempt {
		after.Attempts++
	}
	if e.State == domain.JobQueued {
		after.NotBefore = e.NotBefore
	}
	if e.Result != nil || e.Unauthorised {
		command := *before.Command
		if e.Result != nil {
			command.Result = e.Result
		}
		if e.Unauthorised {
			command.Unauthorised++
		}
		after.Command = &command
	}
	t.putJob(&before, after)
	return after
}

// noticeParked tells the operator of a job that waits for a decision from now on.
func (t *tx) noticeParked(job *domain.Job, e *domain.CommandEffects) {
	if job.State != domain.JobParked || job.Failure == nil {
		return
	}
	kind := domain.NoticeJobParked
	if job.Failure.Class == contract.FailureUncertain {
		kind = domain.NoticeJobUncertain
	}
	t.notice(domain.Notice{At: e.At, Kind: kind, Workspace: job.Workspace, Connection: job.Connection, Target: job.ID,
		Detail: fmt.Sprintf("%s failed for good (%s; runs: %d): %s", job.Command.Export, job.Failure.Code, job.Attempts, job.Failure.Message)})
}

// tellMessage brings the message that the command sends, if any, up to date, and returns
// the event that says so.
func (t *tx) tellMessage(from source, c *domain.Command, e *domain.CommandEffects) ([]domain.Event, error) {
	if c.Message == nil || !t.has(bucketMessages, key(c.Message.ID)) {
		return nil, nil
	}
	m, err := t.message(c.Message.ID)
	if err != nil {
		return nil, err
	}
	switch {
	case e.Result != nil && e.Result.Sent != nil:
		return t.tellSent(from, c, m, *e.Result.Sent)
	case e.Failure != nil && e.State == domain.JobParked && c.Export == contract.ExportSendMessage:
		return t.report(from, &m, contract.StatusReport{Status: contract.MessageFailed, Failure: e.Failure}), nil
	}
	return nil, nil
}

func (t *tx) tellSent(from source, c *domain.Command, before messageRecord, sent contract.Sent) ([]domain.Event, error) {
	after := before
	after.Outcomes, after.UpdatedAt = sent.Parts, from.at
	if c.Export == contract.ExportEditMessage {
		after.Parts = c.Message.Parts
	}
	if sent.PlatformID != "" {
		after.PlatformID = sent.PlatformID
		if err := t.takeName(&after); err != nil {
			return nil, err
		}
	}
	t.putMessage(&before, after)
	status := sent.Status
	if status == "" {
		status = contract.MessageSent
	}
	return t.report(from, &after, contract.StatusReport{Status: status, Parts: sent.Parts}), nil
}

// RequeueJob queues a parked job again, in its old place, for the given time. Its attempts
// stay and a new series of them begins, its failure goes, and the message it sends waits again. ErrConflict if it is not
// parked, ErrNotFound if it or its connection is not there.
func (s *Store) RequeueJob(ctx context.Context, id string, at time.Time) (domain.Job, error) {
	return change(ctx, s, "requeue job", func(t *tx) (domain.Job, error) { return t.requeue(id, at) })
}

// messageOf returns the message that a job sends; nil if it sends none.
func (t *tx) messageOf(job domain.Job) (*messageRecord, error) {
	c := job.Command
	if c == nil || c.Message == nil || c.Export != contract.ExportSendMessage || !t.has(bucketMessages, key(c.Message.ID)) {
		return nil, nil
	}
	m, err := t.message(c.Message.ID)
	return &m, err
}

// CancelJob ends a queued or parked job, and fails the message that it would have sent.
// ErrConflict if it has ended otherwise. A run that is under way is not stopped; its
// commit will answer ErrConflict.
func (s *Store) CancelJob(ctx context.Context, id string) (domain.Job, error) {
	now := s.opts.Now()
	return change(ctx, s, "cancel job", func(t *tx) (domain.Job, error) { return t.cancelWaiting(id, now) })
}

func (t *tx) cancel(before domain.Job, code, message string, now time.Time) (domain.Job, error) {
	m, err := t.messageOf(before)
	if err != nil {
		return before, err
	}
	after := before
	after.State, after.UpdatedAt = domain.JobCancelled, now
	t.putJob(&before, after)
	t.endJournal(before.ID)
	if m != nil {
		from := source{ws: before.Workspace, connection: before.Connection, command: before.Command.ID, at: now}
		t.report(from, m, contract.StatusReport{Status: contract.MessageFailed,
			Failure: &contract.Failure{Class: contract.FailurePermanent, Code: code, Message: message}})
	}
	return after, nil
}
