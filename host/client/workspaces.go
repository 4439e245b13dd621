package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// CreateWorkspace makes a workspace.
func (c *Client) CreateWorkspace(ctx context.Context, name string) (domain.Workspace, error) {
	return post[domain.Workspace](ctx, c, at("workspaces"), map[string]string{"name": name})
}

// Workspaces lists the workspaces that the token may see.
func (c *Client) Workspaces(ctx context.Context, p domain.Page) (Page[domain.Workspace], error) {
	return list[domain.Workspace](ctx, c, at("workspaces"), paged(p))
}

// Workspace reads one workspace.
func (c *Client) Workspace(ctx context.Context, ws contract.WorkspaceID) (domain.Workspace, error) {
	return get[domain.Workspace](ctx, c, at("workspaces", string(ws)))
}

// EnablePlugin lets a workspace connect with a plugin, by the plugin's name.
func (c *Client) EnablePlugin(ctx context.Context, ws contract.WorkspaceID, plugin string) error {
	return c.do(ctx, request{method: http.MethodPut, path: at("workspaces", string(ws), "plugins", plugin)}, nil)
}

// DisablePlugin takes that back.
func (c *Client) DisablePlugin(ctx context.Context, ws contract.WorkspaceID, plugin string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: at("workspaces", string(ws), "plugins", plugin)}, nil)
}

// NewToken is a token to issue.
type NewToken struct {
	// Subject is who will hold it; it stands in the audit log.
	Subject string `json:"subject"`
	Role    string `json:"role"`
	// Workspace is required by the workspace roles and refused by the others.
	Workspace  contract.WorkspaceID `json:"workspace,omitempty"`
	TTLSeconds int64                `json:"ttl_seconds,omitempty"`
}

// Token is a token that was issued. It is shown this once.
type Token struct {
	Token     string    `json:"token"`
	ID        string    `json:"id"`
	ExpiresAt time.Time `json:"expires_at"`
}

// IssueToken makes a token.
func (c *Client) IssueToken(ctx context.Context, t NewToken) (Token, error) {
	return post[Token](ctx, c, at("tokens"), t)
}

// RevokeToken ends a token at once, by its id.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return c.do(ctx, request{method: http.MethodPost, path: at("tokens", id, "revoke")}, nil)
}

// AuditFilter selects entries of the audit log; zero fields select all.
type AuditFilter struct {
	Workspace contract.WorkspaceID
	// Action is an exact word such as "plugin.approved".
	Action string
	domain.Page
}

// Audit lists the audit log.
func (c *Client) Audit(ctx context.Context, f AuditFilter) (Page[domain.AuditEntry], error) {
	q := paged(f.Page)
	set(q, "workspace", f.Workspace)
	set(q, "action", f.Action)
	return list[domain.AuditEntry](ctx, c, at("audit"), q)
}

// query is a shorthand for a query of one parameter.
func query[S ~string](name string, value S) url.Values {
	q := url.Values{}
	set(q, name, value)
	return q
}
