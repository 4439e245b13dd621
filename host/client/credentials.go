package client

import (
	"context"
	"net/http"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Credentials is how a token set stands. Times that are not known are zero.
type Credentials struct {
	State            domain.TokenState `json:"state"`
	Valid            bool              `json:"valid"`
	Version          uint64            `json:"version,omitempty"`
	Scope            string            `json:"scope,omitempty"`
	ObtainedAt       time.Time         `json:"obtained_at,omitzero"`
	ExpiresAt        time.Time         `json:"expires_at,omitzero"`
	RefreshExpiresAt time.Time         `json:"refresh_expires_at,omitzero"`
	CanRefresh       bool              `json:"can_refresh"`
	NextRefreshAt    time.Time         `json:"next_refresh_at,omitzero"`
	Failures         int               `json:"failures"`
	FailedAt         time.Time         `json:"failed_at,omitzero"`
	LastFailure      *contract.Failure `json:"last_failure,omitempty"`
}

// Credentials tells how the tokens of a connection stand.
func (c *Client) Credentials(ctx context.Context, ws contract.WorkspaceID, id contract.ConnectionID) (Credentials, error) {
	return get[Credentials](ctx, c, connection(ws, id, "credentials"))
}

// RefreshCredentials queues the renewal of the tokens of a connection, or answers the one
// that is queued.
func (c *Client) RefreshCredentials(ctx context.Context, ws contract.WorkspaceID, id contract.ConnectionID) (Command, error) {
	return command(ctx, c, request{method: http.MethodPost, path: connection(ws, id, "credentials", "refresh")})
}

// AppCredentials tells how the tokens of an app stand.
func (c *Client) AppCredentials(ctx context.Context, app contract.ConnectionID) (Credentials, error) {
	return get[Credentials](ctx, c, at("apps", string(app), "credentials"))
}

// RefreshAppCredentials queues the renewal of the tokens of an app, or answers the one that
// is queued.
func (c *Client) RefreshAppCredentials(ctx context.Context, app contract.ConnectionID) (Command, error) {
	return command(ctx, c, request{method: http.MethodPost, path: at("apps", string(app), "credentials", "refresh")})
}
