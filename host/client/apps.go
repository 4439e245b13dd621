package client

import (
	"context"
	"net/http"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// NewApp is an app to create.
type NewApp struct {
	Plugin   string            `json:"plugin"`
	Name     string            `json:"name"`
	Settings map[string]string `json:"settings,omitempty"`
	Secrets  map[string]string `json:"secrets,omitempty"`
}

// Unclaimed is what waits at an app for a connection to claim it.
type Unclaimed struct {
	Key        string                `json:"key"`
	Title      string                `json:"title,omitempty"`
	Install    bool                  `json:"install,omitempty"`
	Deliveries int64                 `json:"deliveries"`
	Bytes      int64                 `json:"bytes"`
	OldestAt   time.Time             `json:"oldest_at"`
	ExpiresAt  time.Time             `json:"expires_at"`
	Connection contract.ConnectionID `json:"connection,omitempty"`
}

// Assignment says which connection a key of an app leads to.
type Assignment struct {
	Key        string                `json:"key"`
	Workspace  contract.WorkspaceID  `json:"workspace"`
	Connection contract.ConnectionID `json:"connection"`
}

// CreateApp makes an app and queues its setup.
func (c *Client) CreateApp(ctx context.Context, n NewApp) (Connection, error) {
	return post[Connection](ctx, c, at("apps"), n)
}

// Apps lists the apps.
func (c *Client) Apps(ctx context.Context, p domain.Page) (Page[Connection], error) {
	return list[Connection](ctx, c, at("apps"), paged(p))
}

// App reads one app.
func (c *Client) App(ctx context.Context, id contract.ConnectionID) (Connection, error) {
	return get[Connection](ctx, c, at("apps", string(id)))
}

// UpdateApp changes an app and queues its setup again.
func (c *Client) UpdateApp(ctx context.Context, id contract.ConnectionID, p ConnectionPatch) (Connection, error) {
	return exchange[Connection](ctx, c, request{method: http.MethodPatch, path: at("apps", string(id)), document: p})
}

// RemoveApp queues the end of an app that has no connections. It answers an empty Command if
// there was nothing to wait for and the app is gone.
func (c *Client) RemoveApp(ctx context.Context, id contract.ConnectionID) (Command, error) {
	return command(ctx, c, request{method: http.MethodDelete, path: at("apps", string(id))})
}

// AppSetup reads what to register with the platform, secrets filled in. The host keeps a note
// of who read it.
func (c *Client) AppSetup(ctx context.Context, id contract.ConnectionID) ([]contract.SetupStep, error) {
	answer, err := get[struct {
		Steps []contract.SetupStep `json:"steps"`
	}](ctx, c, at("apps", string(id), "setup"))
	return answer.Steps, err
}

// RotateAppSecret gives a secret of an app a new value; an empty one makes the host generate
// it. The old value is accepted beside it for as long as overlap, in whole seconds.
func (c *Client) RotateAppSecret(ctx context.Context, id contract.ConnectionID, name, value string, overlap time.Duration) error {
	document := struct {
		Value          string `json:"value,omitempty"`
		OverlapSeconds int64  `json:"overlap_seconds"`
	}{value, int64(overlap / time.Second)}
	return c.do(ctx, request{method: http.MethodPost, path: at("apps", string(id), "secrets", name, "rotate"), document: document}, nil)
}

// AppConnections lists the connections of an app, of all workspaces.
func (c *Client) AppConnections(ctx context.Context, id contract.ConnectionID, p domain.Page) (Page[Connection], error) {
	return list[Connection](ctx, c, at("apps", string(id), "connections"), paged(p))
}

// Unclaimed lists what waits at an app.
func (c *Client) Unclaimed(ctx context.Context, id contract.ConnectionID, p domain.Page) (Page[Unclaimed], error) {
	return list[Unclaimed](ctx, c, at("apps", string(id), "unclaimed"), paged(p))
}

// Assign makes an account's deliveries a connection's, those that wait included, and returns
// how many those are.
func (c *Client) Assign(ctx context.Context, id contract.ConnectionID, a Assignment) (queued int, err error) {
	answer, err := post[struct {
		Queued int `json:"queued"`
	}](ctx, c, at("apps", string(id), "unclaimed", "assign"), a)
	return answer.Queued, err
}

// Discard gives up what waits for a key, and returns how many deliveries that was.
func (c *Client) Discard(ctx context.Context, id contract.ConnectionID, key string) (discarded int, err error) {
	answer, err := exchange[struct {
		Discarded int `json:"discarded"`
	}](ctx, c, request{method: http.MethodDelete, path: at("apps", string(id), "unclaimed", key)})
	return answer.Discarded, err
}

// AppKey is an account of an app that leads to a connection.
type AppKey struct {
	Key        string                `json:"key"`
	Workspace  contract.WorkspaceID  `json:"workspace"`
	Connection contract.ConnectionID `json:"connection"`
}

// AppKeys lists which accounts of an app lead to which connections.
func (c *Client) AppKeys(ctx context.Context, id contract.ConnectionID, p domain.Page) (Page[AppKey], error) {
	return list[AppKey](ctx, c, at("apps", string(id), "keys"), paged(p))
}

// ReleaseAppKey takes an account from the connection that has it, and returns who that was.
func (c *Client) ReleaseAppKey(ctx context.Context, id contract.ConnectionID, key string) (AppKey, error) {
	return exchange[AppKey](ctx, c, request{method: http.MethodDelete, path: at("apps", string(id), "keys", key)})
}
