package api

import (
	"context"
	"net/http"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/host/tenant"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// LimitKeeper keeps what a workspace may use of the host.
type LimitKeeper interface {
	Limits(ctx context.Context, ws contract.WorkspaceID) (tenant.WorkspaceLimits, error)
	SetLimits(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, limits domain.Limits) (tenant.WorkspaceLimits, error)
}

// limitValues is domain.Limits as clients see it.
type limitValues struct {
	DeliveriesPerSecond  float64 `json:"deliveries_per_second,omitempty" minimum:"-1" maximum:"1000000000000" example:"50" doc:"Deliveries, sustained; twice as many may come at once."`
	CommandsPerSecond    float64 `json:"commands_per_second,omitempty" minimum:"-1" maximum:"1000000000000" example:"20" doc:"Commands that are asked for, sustained; twice as many may come at once."`
	BytesPerSecond       float64 `json:"bytes_per_second,omitempty" minimum:"-1" maximum:"1000000000000" example:"1048576" doc:"Bodies of deliveries and commands."`
	FuelMillionPerSecond float64 `json:"fuel_million_per_second,omitempty" minimum:"-1" maximum:"1000000000000" example:"500" doc:"What its plugins compute, in millions of units of fuel."`
	QueuedJobs           int64   `json:"queued_jobs,omitempty" minimum:"-1" maximum:"1000000000000" example:"100000" doc:"How many jobs may wait: further commands are refused, and deliveries at twice as many."`
	Connections          int64   `json:"connections,omitempty" minimum:"-1" maximum:"1000000000000" example:"20" doc:"How many connections there may be."`
	Subscribers          int64   `json:"subscribers,omitempty" minimum:"-1" maximum:"1000000000000" example:"5" doc:"How many subscribers there may be."`
	Bridges              int64   `json:"bridges,omitempty" minimum:"-1" maximum:"1000000000000" example:"5" doc:"How many bridges there may be."`
}

// WorkspaceLimits is what bounds a workspace.
type WorkspaceLimits struct {
	Set       limitValues `json:"set" doc:"What an operator set for this workspace: what is absent is the host's default, and -1 no limit."`
	Effective limitValues `json:"effective" doc:"What binds the workspace: what is absent has no limit."`
}

func limitsView(l tenant.WorkspaceLimits, err error) (*answer[WorkspaceLimits], error) {
	return &answer[WorkspaceLimits]{WorkspaceLimits{Set: limitValues(l.Set), Effective: limitValues(l.Effective)}}, err
}

func (s *Server) addLimits() {
	const path = "/v1/workspaces/{workspace}/limits"
	register(s, route{
		id: "get-limits", method: http.MethodGet, path: path, tag: "workspaces", allow: access(identity.WorkspaceRead),
		summary: "Read what bounds a workspace", description: "Whoever reaches a limit is answered 429, with the limit in the problem's code (\"limit_connections\").",
	}, func(ctx context.Context, in *InWorkspace) (*answer[WorkspaceLimits], error) {
		return limitsView(s.opts.Tenant.Limits(ctx, in.Workspace))
	})
	register(s, route{
		id: "set-limits", method: http.MethodPut, path: path, tag: "workspaces", allow: access(identity.WorkspaceLimit),
		summary: "Set what bounds a workspace", description: "Sets all of them: one that is left out is the host's default, and -1 is no limit. They hold at once.",
		example: limitValues{DeliveriesPerSecond: 50, CommandsPerSecond: 20, Connections: 20}, errors: []int{http.StatusUnprocessableEntity},
	}, func(ctx context.Context, in *struct {
		InWorkspace
		Body limitValues
	}) (*answer[WorkspaceLimits], error) {
		return limitsView(s.opts.Tenant.SetLimits(ctx, caller(ctx).Actor(), in.Workspace, domain.Limits(in.Body)))
	})
}
