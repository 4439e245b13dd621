package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type commandCommand struct {
	List   commandList   `cmd:"" help:"List the commands of a workspace."`
	Show   commandShow   `cmd:"" help:"Show one command."`
	Retry  commandRetry  `cmd:"" help:"Run a parked command again, or every one that is selected. One whose failure is uncertain may take effect twice."`
	Cancel commandCancel `cmd:"" help:"Give a queued or parked command up, or every parked one that is selected."`
	// Recording is what one run of a command was.
	Recording commandRecording `cmd:"" help:"Read the recording of a run, for patchbay plugin replay."`
}

type commandList struct {
	inWorkspace
	pageFlags
	Connection contract.ConnectionID `placeholder:"ID" help:"Only this connection."`
	State      domain.JobState       `enum:",queued,done,parked,cancelled" default:"" placeholder:"STATE" help:"Only commands that are queued, done, parked or cancelled."`
	Export     contract.Export       `placeholder:"NAME" help:"Only those that do this, such as send_message."`
	Code       string                `placeholder:"CODE" help:"Only those whose last run failed with this code."`
	Class      contract.FailureClass `enum:",retry,retry_after,reauthorise,permanent,uncertain" default:"" placeholder:"CLASS" help:"Only those whose last run failed in this way: retry, retry_after, reauthorise, permanent or uncertain."`
}

func (c *commandList) Run(ctx context.Context, s *session) error {
	page, err := s.connect().Commands(ctx, c.Workspace, client.CommandFilter{Connection: c.Connection, State: c.State,
		Export: c.Export, Code: c.Code, Class: c.Class, Page: c.page()})
	if err != nil {
		return err
	}
	return listing(s, page,
		column[client.Command]{"id", func(c client.Command) string { return c.ID }},
		column[client.Command]{"does", commandExport},
		column[client.Command]{"connection", func(c client.Command) string { return string(c.Connection) }},
		column[client.Command]{"state", func(c client.Command) string { return string(c.State) }},
		column[client.Command]{"runs", func(c client.Command) string { return strconv.Itoa(c.Attempts) }},
		column[client.Command]{"updated", func(c client.Command) string { return when(c.UpdatedAt) }},
		column[client.Command]{"failure", func(c client.Command) string { return failureText(c.Failure) }},
	)
}

// oneCommand names a command of a workspace.
type oneCommand struct {
	inWorkspace
	ID string `arg:"" help:"The command."`
}

type commandShow struct{ oneCommand }

func (c *commandShow) Run(ctx context.Context, s *session) error {
	found, err := s.connect().Command(ctx, c.Workspace, c.ID)
	if err != nil {
		return err
	}
	return s.show(found, func() { showCommand(s, found) })
}

// commands names one command of a workspace, or selects many.
type commands struct {
	inWorkspace
	ID string `arg:"" optional:"" help:"The command."`
	parkedFlags
}

// Validate refuses a selection of nothing.
func (c *commands) Validate() error {
	if err := c.inWorkspace.Validate(); err != nil {
		return err
	}
	return oneOrMany(c.ID, c.selection() != client.ParkedCommands{})
}

type commandRetry struct{ commands }

func (c *commandRetry) Run(ctx context.Context, s *session) error {
	if c.ID == "" {
		return s.inBatches("queued again", c.batches(ctx, s.connect().RetryCommands))
	}
	queued, err := s.connect().RetryCommand(ctx, c.Workspace, c.ID)
	return s.queued(queued, err)
}

type commandCancel struct{ commands }

func (c *commandCancel) Run(ctx context.Context, s *session) error {
	if c.ID == "" {
		return s.inBatches("gave up", c.batches(ctx, s.connect().CancelCommands))
	}
	cancelled, err := s.connect().CancelCommand(ctx, c.Workspace, c.ID)
	return s.queued(cancelled, err)
}

// batches makes the request for the batch after a cursor.
func (c *commands) batches(ctx context.Context,
	ask func(context.Context, contract.WorkspaceID, client.ParkedCommands) (domain.Bulk, error)) func(string) (domain.Bulk, error) {
	return func(after string) (domain.Bulk, error) {
		which := c.selection()
		which.After = after
		return ask(ctx, c.Workspace, which)
	}
}

// queued answers a request that made or changed a command.
func (s *session) queued(c client.Command, err error) error {
	if err != nil {
		return err
	}
	if c.ID == "" {
		return s.done(map[string]any{"done": true}, "it is done; there was nothing to wait for")
	}
	return s.done(c, "command %s is %s", c.ID, c.State)
}

func showCommand(s *session, c client.Command) {
	fields := []field{
		{"id", c.ID}, {"does", commandExport(c)}, {"connection", string(c.Connection)}, {"state", string(c.State)},
		{"runs", strconv.Itoa(c.Attempts)}, {"failure", failureText(c.Failure)},
		{"created", when(c.CreatedAt)}, {"updated", when(c.UpdatedAt)},
	}
	if c.State == domain.JobQueued {
		fields = append(fields, field{"not before", when(c.NotBefore)})
	}
	printFields(s.stdout, append(fields, commandDetail(c)...)...)
}

func commandExport(c client.Command) string {
	if c.Command == nil {
		return ""
	}
	return string(c.Command.Export)
}

// commandDetail describes what a command was about and what came of it.
func commandDetail(c client.Command) (fields []field) {
	if c.Command == nil {
		return nil
	}
	fields = append(fields, field{"asked by", c.Command.By})
	if m := c.Command.Message; m != nil {
		fields = append(fields, field{"message", string(m.ID)}, field{"says", shorten(partsText(m.Parts), 200)})
	}
	if status := c.Command.Status; status != nil {
		fields = append(fields, field{"status", string(status.Status)})
	}
	fields = append(fields, field{"contact", string(c.Command.Contact)})
	result := c.Command.Result
	if result == nil {
		return fields
	}
	if result.Sent != nil {
		fields = append(fields, field{"sent as", string(result.Sent.PlatformID)})
	}
	if h := result.Health; h != nil {
		fields = append(fields, field{"health", healthText(h)})
	}
	return fields
}

func healthText(h *contract.Health) string {
	if h.CredentialsValid {
		return strings.TrimSuffix("the platform takes the credentials: "+h.Detail, ": ")
	}
	return strings.TrimSuffix("the platform refuses the credentials: "+h.Detail, ": ")
}
