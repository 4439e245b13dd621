package client

import (
	"context"
	"net/http"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// ConnectionHealth is what is known of how well a connection works.
type ConnectionHealth struct {
	State  contract.ConnectionState `json:"state"`
	Code   string                   `json:"code,omitempty"`
	Reason string                   `json:"reason,omitempty"`
	Action string                   `json:"action,omitempty"`
	// Known is what each of those who know something says.
	Known []KnownHealth `json:"known"`
	// Credentials is nil if the connection has no tokens, and Probe if it is not probed.
	Credentials *CredentialsHealth `json:"credentials,omitempty"`
	Probe       *ProbeHealth       `json:"probe,omitempty"`
	Traffic     TrafficHealth      `json:"traffic"`
}

// KnownHealth is what one of those who know something says of a connection.
type KnownHealth struct {
	By     domain.HealthCause       `json:"by"`
	State  contract.ConnectionState `json:"state"`
	Code   string                   `json:"code,omitempty"`
	Reason string                   `json:"reason,omitempty"`
	Action string                   `json:"action,omitempty"`
}

// CredentialsHealth is how the tokens of a connection stand. Times that are not known are zero.
type CredentialsHealth struct {
	Valid         bool              `json:"valid"`
	ExpiresAt     time.Time         `json:"expires_at,omitzero"`
	RefreshedAt   time.Time         `json:"refreshed_at,omitzero"`
	NextRefreshAt time.Time         `json:"next_refresh_at,omitzero"`
	Failures      int               `json:"failures"`
	LastFailure   *contract.Failure `json:"last_failure,omitempty"`
}

// ProbeHealth is what the regular checks found.
type ProbeHealth struct {
	LastAt   time.Time `json:"last_at,omitzero"`
	NextAt   time.Time `json:"next_at,omitzero"`
	Failures int       `json:"failures"`
	Detail   string    `json:"detail,omitempty"`
}

// TrafficHealth is when a connection was last seen to work.
type TrafficHealth struct {
	LastInboundAt  time.Time `json:"last_inbound_at,omitzero"`
	LastOutboundAt time.Time `json:"last_outbound_at,omitzero"`
}

// Authorisation is a link that takes one browser to a platform's consent page and back.
type Authorisation struct {
	URL       string    `json:"url"`
	ExpiresAt time.Time `json:"expires_at"`
}

// ConnectionHealth tells how well a connection works.
func (c *Client) ConnectionHealth(ctx context.Context, ws contract.WorkspaceID, id contract.ConnectionID) (ConnectionHealth, error) {
	return get[ConnectionHealth](ctx, c, connection(ws, id, "health"))
}

// AuthorizeConnection begins to authorise a connection in a browser.
func (c *Client) AuthorizeConnection(ctx context.Context, ws contract.WorkspaceID, id contract.ConnectionID) (Authorisation, error) {
	return exchange[Authorisation](ctx, c, request{method: http.MethodPost, path: connection(ws, id, "authorize")})
}
