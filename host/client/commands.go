package client

import (
	"context"
	"net/http"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Command is a command as the API shows it.
type Command = domain.Job

// CommandFilter selects commands; zero fields select all.
type CommandFilter struct {
	Connection contract.ConnectionID
	State      domain.JobState
	Export     contract.Export
	Code       string
	Class      contract.FailureClass
	domain.Page
}

// Commands lists the commands of a workspace.
func (c *Client) Commands(ctx context.Context, ws contract.WorkspaceID, f CommandFilter) (Page[Command], error) {
	q := paged(f.Page)
	set(q, "connection", f.Connection)
	set(q, "state", f.State)
	set(q, "export", f.Export)
	set(q, "code", f.Code)
	set(q, "class", f.Class)
	return list[Command](ctx, c, at("workspaces", string(ws), "commands"), q)
}

// Command reads one command.
func (c *Client) Command(ctx context.Context, ws contract.WorkspaceID, id string) (Command, error) {
	return get[Command](ctx, c, at("workspaces", string(ws), "commands", id))
}

// RetryCommand queues a parked command again.
func (c *Client) RetryCommand(ctx context.Context, ws contract.WorkspaceID, id string) (Command, error) {
	return command(ctx, c, request{method: http.MethodPost, path: at("workspaces", string(ws), "commands", id, "retry")})
}

// CancelCommand gives a queued or parked command up.
func (c *Client) CancelCommand(ctx context.Context, ws contract.WorkspaceID, id string) (Command, error) {
	return command(ctx, c, request{method: http.MethodPost, path: at("workspaces", string(ws), "commands", id, "cancel")})
}

// command makes a request that answers with a command.
func command(ctx context.Context, c *Client, r request) (Command, error) {
	return exchange[Command](ctx, c, r)
}
