package api

import (
	"context"
	"net/http"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// TokenKeeper shows how token sets stand, and has them renewed.
type TokenKeeper interface {
	Credentials(ctx context.Context, ws contract.WorkspaceID, id contract.ConnectionID) (domain.TokenStatus, error)
	RefreshCredentials(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID) (domain.Job, error)
}

// Credentials is how a token set stands, as it is shown. No token is ever shown.
type Credentials struct {
	State            domain.TokenState `json:"state" enum:"none,valid,renewing,failing,refused" doc:"In one word: failing is tried again by itself, and refused needs somebody to act."`
	Valid            bool              `json:"valid" doc:"Whether the access token may be used now."`
	Version          uint64            `json:"version,omitempty" doc:"Counts the token sets so far."`
	Scope            string            `json:"scope,omitempty" doc:"What the platform granted."`
	ObtainedAt       time.Time         `json:"obtained_at,omitzero" doc:"When the host got it."`
	ExpiresAt        time.Time         `json:"expires_at,omitzero" doc:"When the access token expires; absent if that is not known."`
	RefreshExpiresAt time.Time         `json:"refresh_expires_at,omitzero" doc:"When the refresh token expires; absent if that is not known."`
	CanRefresh       bool              `json:"can_refresh" doc:"Whether it can be renewed without a person."`
	NextRefreshAt    time.Time         `json:"next_refresh_at,omitzero" doc:"When it will be renewed; absent if it will not."`
	Failures         int               `json:"failures" doc:"Renewals that failed since the last that worked."`
	FailedAt         time.Time         `json:"failed_at,omitzero" doc:"When the last of them failed."`
	LastFailure      *contract.Failure `json:"last_failure,omitempty" doc:"Why."`
}

func credentialsView(s domain.TokenStatus, err error) (*answer[Credentials], error) {
	if err != nil {
		return nil, err
	}
	return &answer[Credentials]{Credentials{State: s.State, Valid: s.Valid, Version: s.Version, Scope: s.Scope, ObtainedAt: s.ObtainedAt,
		ExpiresAt: s.ExpiresAt, RefreshExpiresAt: s.RefreshExpiresAt, CanRefresh: s.CanRefresh, NextRefreshAt: s.NextRefreshAt,
		Failures: s.Failures, FailedAt: s.FailedAt, LastFailure: s.LastFailure}}, nil
}

const refreshAbout = "Queues the renewal, also if the platform refused one before. While one is queued or runs, that one is the answer."

func (s *Server) addCredentials() {
	register(s, route{
		id: "get-credentials", method: http.MethodGet, path: connectionPath + "/credentials", tag: "connections", allow: access(identity.ConnectionRead),
		summary: "Tell how the tokens of a connection stand", description: "When they expire, when they will be renewed, and what failed. No token is shown.",
	}, func(ctx context.Context, in *InConnection) (*answer[Credentials], error) {
		return credentialsView(s.opts.Tenant.Credentials(ctx, in.Workspace, in.Connection))
	})
	register(s, route{
		id: "refresh-credentials", method: http.MethodPost, path: connectionPath + "/credentials/refresh", tag: "connections", allow: access(identity.ConnectionWrite), status: http.StatusAccepted,
		summary: "Renew the tokens of a connection", description: refreshAbout, errors: []int{http.StatusUnprocessableEntity},
	}, func(ctx context.Context, in *InConnection) (*accepted, error) {
		return acceptedJob(s.opts.Tenant.RefreshCredentials(ctx, caller(ctx).Actor(), in.Workspace, in.Connection))
	})
	register(s, route{
		id: "get-app-credentials", method: http.MethodGet, path: appPath + "/credentials", tag: "apps", allow: access(identity.AppManage),
		summary: "Tell how the tokens of an app stand", description: "When they expire, when they will be renewed, and what failed. No token is shown.",
	}, func(ctx context.Context, in *InApp) (*answer[Credentials], error) {
		return credentialsView(s.opts.Tenant.Credentials(ctx, domain.HostWorkspace, in.App))
	})
	register(s, route{
		id: "refresh-app-credentials", method: http.MethodPost, path: appPath + "/credentials/refresh", tag: "apps", allow: access(identity.AppManage), status: http.StatusAccepted,
		summary: "Renew the tokens of an app", description: refreshAbout, errors: []int{http.StatusUnprocessableEntity},
	}, func(ctx context.Context, in *InApp) (*accepted, error) {
		return acceptedJob(s.opts.Tenant.RefreshCredentials(ctx, caller(ctx).Actor(), domain.HostWorkspace, in.App))
	})
}
