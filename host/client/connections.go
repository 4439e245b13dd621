package client

import (
	"context"
	"net/http"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Connection is a connection as the API shows it.
type Connection struct {
	ID        contract.ConnectionID `json:"id"`
	Workspace contract.WorkspaceID  `json:"workspace"`
	Plugin    string                `json:"plugin"`
	Name      string                `json:"name"`
	// App is the app that it belongs to; empty if its plugin has no apps.
	App   contract.ConnectionID    `json:"app,omitempty"`
	State contract.ConnectionState `json:"state"`
	// StateCode, StateReason and StateAction explain State; see contract.StateChange.
	StateCode   string            `json:"state_code,omitempty"`
	StateReason string            `json:"state_reason,omitempty"`
	StateAction string            `json:"state_action,omitempty"`
	Settings    map[string]string `json:"settings,omitempty"`
	// ReceiveURL is where the platform sends its deliveries. Whoever knows it can deliver,
	// so it is shown to administrators only.
	ReceiveURL     string                `json:"receive_url,omitempty"`
	PrivateTargets []string              `json:"private_targets,omitempty"`
	Capabilities   []contract.Capability `json:"capabilities,omitempty"`
	CreatedAt      time.Time             `json:"created_at"`
	UpdatedAt      time.Time             `json:"updated_at"`
	LastInboundAt  time.Time             `json:"last_inbound_at,omitzero"`
	LastOutboundAt time.Time             `json:"last_outbound_at,omitzero"`
}

// NewConnection is a connection to create.
type NewConnection struct {
	Plugin   string            `json:"plugin"`
	Name     string            `json:"name"`
	Settings map[string]string `json:"settings,omitempty"`
	Secrets  map[string]string `json:"secrets,omitempty"`
	// App is the app that it belongs to; empty if the plugin has none, or one.
	App contract.ConnectionID `json:"app,omitempty"`
}

// ConnectionPatch is what to change of a connection; nil leaves alone. Settings holds the
// settings to change: an empty value goes back to the default, and what is not named stays.
type ConnectionPatch struct {
	Name     *string           `json:"name,omitempty"`
	Settings map[string]string `json:"settings,omitempty"`
}

// CreateConnection makes a connection and queues its setup.
func (c *Client) CreateConnection(ctx context.Context, ws contract.WorkspaceID, n NewConnection) (Connection, error) {
	return post[Connection](ctx, c, at("workspaces", string(ws), "connections"), n)
}

// Connections lists the connections of a workspace.
func (c *Client) Connections(ctx context.Context, ws contract.WorkspaceID, p domain.Page) (Page[Connection], error) {
	return list[Connection](ctx, c, at("workspaces", string(ws), "connections"), paged(p))
}

// Connection reads one connection.
func (c *Client) Connection(ctx context.Context, ws contract.WorkspaceID, id contract.ConnectionID) (Connection, error) {
	return get[Connection](ctx, c, connection(ws, id))
}

// UpdateConnection changes a connection and queues its setup again.
func (c *Client) UpdateConnection(ctx context.Context, ws contract.WorkspaceID, id contract.ConnectionID, p ConnectionPatch) (Connection, error) {
	return exchange[Connection](ctx, c, request{method: http.MethodPatch, path: connection(ws, id), document: p})
}

// RemoveConnection queues the end of a connection. It answers an empty Command if there was
// nothing to wait for and the connection is gone.
func (c *Client) RemoveConnection(ctx context.Context, ws contract.WorkspaceID, id contract.ConnectionID) (Command, error) {
	return command(ctx, c, request{method: http.MethodDelete, path: connection(ws, id)})
}

// Setup reads what to enter on the platform's side, secrets filled in. The host keeps a
// note of who read it.
func (c *Client) Setup(ctx context.Context, ws contract.WorkspaceID, id contract.ConnectionID) ([]contract.SetupStep, error) {
	answer, err := get[struct {
		Steps []contract.SetupStep `json:"steps"`
	}](ctx, c, connection(ws, id, "setup"))
	return answer.Steps, err
}

// RotateSecret gives a secret a new value; an empty one makes the host generate it. The
// old value is accepted beside it for as long as overlap, in whole seconds.
func (c *Client) RotateSecret(ctx context.Context, ws contract.WorkspaceID, id contract.ConnectionID, name, value string, overlap time.Duration) error {
	document := struct {
		Value          string `json:"value,omitempty"`
		OverlapSeconds int64  `json:"overlap_seconds"`
	}{value, int64(overlap / time.Second)}
	return c.do(ctx, request{method: http.MethodPost, path: connection(ws, id, "secrets", name, "rotate"), document: document}, nil)
}

// AllowPrivateTargets replaces the list of "ip:port" targets that a connection may reach
// although their addresses are private.
func (c *Client) AllowPrivateTargets(ctx context.Context, ws contract.WorkspaceID, id contract.ConnectionID, targets []string) (Connection, error) {
	if targets == nil {
		targets = []string{}
	}
	return exchange[Connection](ctx, c, request{method: http.MethodPut, path: connection(ws, id, "private-targets"),
		document: map[string][]string{"targets": targets}})
}

// CheckConnection queues a check of whether the platform takes our credentials.
func (c *Client) CheckConnection(ctx context.Context, ws contract.WorkspaceID, id contract.ConnectionID) (Command, error) {
	return command(ctx, c, request{method: http.MethodPost, path: connection(ws, id, "check")})
}

// LookupContact queues a look-up of a person's details; they come as a contact.updated
// event.
func (c *Client) LookupContact(ctx context.Context, ws contract.WorkspaceID, id contract.ConnectionID, who contract.ContactID) (Command, error) {
	return command(ctx, c, request{method: http.MethodPost, path: connection(ws, id, "contacts", string(who), "lookup")})
}

// connection is the path of a connection and what lies below it.
func connection(ws contract.WorkspaceID, id contract.ConnectionID, below ...string) string {
	return at(append([]string{"workspaces", string(ws), "connections", string(id)}, below...)...)
}
