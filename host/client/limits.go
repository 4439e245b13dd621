package client

import (
	"context"
	"net/http"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// WorkspaceLimits is what bounds a workspace.
type WorkspaceLimits struct {
	// Set is what an operator set for it: 0 is the host's default, -1 no limit.
	Set domain.Limits `json:"set"`
	// Effective is what binds it; 0 is no limit.
	Effective domain.Limits `json:"effective"`
}

// Limits reads what bounds a workspace.
func (c *Client) Limits(ctx context.Context, ws contract.WorkspaceID) (WorkspaceLimits, error) {
	return get[WorkspaceLimits](ctx, c, at("workspaces", string(ws), "limits"))
}

// SetLimits sets all limits of a workspace: 0 is the host's default, -1 no limit.
func (c *Client) SetLimits(ctx context.Context, ws contract.WorkspaceID, l domain.Limits) (WorkspaceLimits, error) {
	return exchange[WorkspaceLimits](ctx, c, request{method: http.MethodPut, path: at("workspaces", string(ws), "limits"), document: l})
}
