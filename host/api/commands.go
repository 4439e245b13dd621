package api

import (
	"context"
	"net/http"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Commands reads jobs. What it returns may belong to any workspace and be of any kind.
type Commands interface {
	Job(ctx context.Context, id string) (domain.Job, error)
	Jobs(ctx context.Context, f domain.JobFilter, p domain.Page) (items []domain.Job, next string, err error)
}

// CommandKeeper decides about commands that did not work.
type CommandKeeper interface {
	RetryCommand(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.CommandID) (domain.Job, error)
	CancelCommand(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.CommandID) (domain.Job, error)
}

// InCommand is the part of a request that names a command.
type InCommand struct {
	InWorkspace
	Command contract.CommandID `path:"command" example:"cmd_01JD5Z6T9Q" doc:"The command."`
}

const (
	commandsPath = "/v1/workspaces/{workspace}/commands"
	commandPath  = commandsPath + "/{command}"
)

func (s *Server) addCommands() {
	register(s, route{
		id: "list-commands", method: http.MethodGet, path: commandsPath, tag: "commands", allow: access(identity.MessageRead),
		summary: "List commands", description: "What plugins were asked to do for this workspace. Parked ones failed for good and wait for a decision.",
	}, s.listCommands)
	register(s, route{
		id: "get-command", method: http.MethodGet, path: commandPath, tag: "commands", allow: access(identity.MessageRead),
		summary: "Read a command", description: "Tells where it stands and, if it failed, why.",
	}, s.getCommand)
	register(s, route{
		id: "retry-command", method: http.MethodPost, path: commandPath + "/retry", tag: "commands", allow: access(identity.MessageSend), status: http.StatusAccepted,
		summary: "Try a parked command again", description: "It is queued again at once.", errors: []int{http.StatusConflict},
	}, func(ctx context.Context, in *InCommand) (*accepted, error) {
		return acceptedJob(s.opts.Tenant.RetryCommand(ctx, caller(ctx).Actor(), in.Workspace, in.Command))
	})
	register(s, route{
		id: "cancel-command", method: http.MethodPost, path: commandPath + "/cancel", tag: "commands", allow: access(identity.MessageSend), status: http.StatusAccepted,
		summary: "Give a command up", description: "A queued or parked command is not run any more. A message of its counts as failed.", errors: []int{http.StatusConflict},
	}, func(ctx context.Context, in *InCommand) (*accepted, error) {
		return acceptedJob(s.opts.Tenant.CancelCommand(ctx, caller(ctx).Actor(), in.Workspace, in.Command))
	})
}

func (s *Server) listCommands(ctx context.Context, in *struct {
	InWorkspace
	Page
	Connection contract.ConnectionID `query:"connection" doc:"Selects those of one connection."`
	State      domain.JobState       `query:"state" enum:"queued,done,parked,cancelled" doc:"Selects those in this state."`
	Export     contract.Export       `query:"export" maxLength:"100" example:"send_message" doc:"Selects those that do this."`
	Code       string                `query:"code" maxLength:"200" example:"platform_unavailable" doc:"Selects those whose last run failed with this code."`
	Class      contract.FailureClass `query:"class" enum:"retry,retry_after,reauthorise,permanent,uncertain" doc:"Selects those whose last run failed in this way."`
}) (*answer[list[Command]], error) {
	if err := s.exists(ctx, in.Workspace); err != nil {
		return nil, err
	}
	filter := domain.JobFilter{Workspace: in.Workspace, Connection: in.Connection, State: in.State, Kind: domain.JobCommand,
		Export: in.Export, Code: in.Code, Class: in.Class}
	items, next, err := s.opts.Store.Jobs(ctx, filter, in.Page.domain())
	return listed(mapped(items, commandView), next), err
}

func (s *Server) getCommand(ctx context.Context, in *InCommand) (*answer[Command], error) {
	j, err := s.opts.Store.Job(ctx, string(in.Command))
	if err == nil && (j.Workspace != in.Workspace || j.Kind != domain.JobCommand) {
		err = domain.ErrNotFound
	}
	return &answer[Command]{commandView(j)}, err
}
