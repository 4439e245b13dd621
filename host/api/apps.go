package api

import (
	"context"
	"net/http"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/host/tenant"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// AppKeeper makes, changes and ends apps, and says whose it is what waits at them. An app is
// kept like a connection of the host's own workspace.
type AppKeeper interface {
	CreateApp(ctx context.Context, by domain.Actor, n tenant.NewApp) (domain.Connection, error)
	Apps(ctx context.Context, p domain.Page) (items []domain.Connection, next string, err error)
	App(ctx context.Context, id contract.ConnectionID) (domain.Connection, error)
	UpdateApp(ctx context.Context, by domain.Actor, id contract.ConnectionID, p tenant.ConnectionPatch) (domain.Connection, error)
	// RemoveApp returns an empty job if the app was removed at once.
	RemoveApp(ctx context.Context, by domain.Actor, id contract.ConnectionID) (domain.Job, error)
	AppConnections(ctx context.Context, app contract.ConnectionID, p domain.Page) (items []domain.Connection, next string, err error)
	Unclaimed(ctx context.Context, app contract.ConnectionID, p domain.Page) (items []domain.ParkedKey, next string, err error)
	// Assign and Discard return how many deliveries waited.
	Assign(ctx context.Context, by domain.Actor, app contract.ConnectionID, key string, ws contract.WorkspaceID, c contract.ConnectionID) (int, error)
	Discard(ctx context.Context, by domain.Actor, app contract.ConnectionID, key string) (int, error)
	AppKeys(ctx context.Context, app contract.ConnectionID, p domain.Page) (items []domain.HeldRoute, next string, err error)
	// ReleaseKey returns who had the key.
	ReleaseKey(ctx context.Context, by domain.Actor, app contract.ConnectionID, key string) (domain.HeldRoute, error)
}

const (
	appsPath      = "/v1/apps"
	appPath       = appsPath + "/{app}"
	unclaimedPath = appPath + "/unclaimed"
)

// InApp is the part of a request that names an app.
type InApp struct {
	App contract.ConnectionID `path:"app" example:"app_01JD5Z6T9Q" doc:"The app."`
}

type newApp struct {
	Plugin   string            `json:"plugin" minLength:"1" maxLength:"40" example:"uspacy" doc:"The plugin's name."`
	Name     string            `json:"name" minLength:"1" maxLength:"200" example:"Our marketplace app" doc:"What people call it."`
	Settings map[string]string `json:"settings,omitempty" maxProperties:"100" doc:"The settings that the plugin's manifest declares for apps, by name."`
	Secrets  map[string]string `json:"secrets,omitempty" maxProperties:"100" doc:"The secrets that the manifest declares for apps and does not have generated, by name. They cannot be read back."`
}

// Unclaimed is what waits at an app for a connection to claim it, as it is shown.
type Unclaimed struct {
	Key        string                `json:"key" example:"portal:acme.example" doc:"What the plugin calls the account."`
	Title      string                `json:"title,omitempty" example:"acme.example" doc:"The account, for people."`
	Install    bool                  `json:"install,omitempty" doc:"An account that installed the app and has no connection yet: assign it to one."`
	Deliveries int64                 `json:"deliveries" doc:"How many deliveries wait."`
	Bytes      int64                 `json:"bytes" doc:"How much room they take."`
	OldestAt   time.Time             `json:"oldest_at" doc:"When the first of them came."`
	ExpiresAt  time.Time             `json:"expires_at" doc:"When the last of them will be given up."`
	Connection contract.ConnectionID `json:"connection,omitempty" doc:"The connection that has the key already; what waits came too long ago for it."`
}

type assignment struct {
	Key        string                `json:"key" minLength:"1" maxLength:"512" example:"portal:acme.example" doc:"The key that waits, as the listing shows it."`
	Workspace  contract.WorkspaceID  `json:"workspace" minLength:"1" maxLength:"64" example:"wsp_01JD5Z6T9Q" doc:"The workspace that the account belongs to."`
	Connection contract.ConnectionID `json:"connection" minLength:"1" maxLength:"64" example:"con_01JD5Z6T9Q" doc:"The connection of that workspace, and of this app."`
}

type assigned struct {
	Queued int `json:"queued" doc:"How many deliveries waited, and run for the connection now, in their order."`
}

type discarded struct {
	Discarded int `json:"discarded" doc:"How many deliveries were given up."`
}

// manageApps is who deals with apps.
var manageApps = access(identity.AppManage)

func (s *Server) addApps() {
	register(s, route{
		id: "create-app", once: true, method: http.MethodPost, path: appsPath, tag: "apps", allow: manageApps, status: http.StatusCreated,
		summary: "Make an app", description: "Keeps the operator's own account with a platform, which the connections of many workspaces share. Read its setup steps next: they name the URLs to register.",
		example: newApp{Plugin: "uspacy", Name: "Our marketplace app", Secrets: map[string]string{"client_secret": "s3cret"}},
	}, func(ctx context.Context, in *struct{ Body newApp }) (*answer[Connection], error) {
		c, err := s.opts.Tenant.CreateApp(ctx, caller(ctx).Actor(), tenant.NewApp(in.Body))
		return s.shownConnection(ctx, c, err)
	})
	register(s, route{
		id: "list-apps", method: http.MethodGet, path: appsPath, tag: "apps", allow: manageApps,
		summary: "List apps", description: "Oldest first. Secrets are never shown.",
	}, func(ctx context.Context, in *struct{ Page }) (*answer[list[Connection]], error) {
		return s.shownConnections(ctx)(s.opts.Tenant.Apps(ctx, in.Page.domain()))
	})
	register(s, route{
		id: "get-app", method: http.MethodGet, path: appPath, tag: "apps", allow: manageApps,
		summary: "Read an app", description: "Tells its state, what to do about it, and its receive URL.",
	}, func(ctx context.Context, in *InApp) (*answer[Connection], error) {
		c, err := s.opts.Tenant.App(ctx, in.App)
		return s.shownConnection(ctx, c, err)
	})
	register(s, route{
		id: "update-app", method: http.MethodPatch, path: appPath, tag: "apps", allow: manageApps,
		summary: "Change an app", description: "Changes the name, settings or both, and queues the setup again.",
		example: connectionPatch{Settings: map[string]string{"sns_topic_arns": "arn:aws:sns:eu-central-1:123456789012:messages"}},
	}, func(ctx context.Context, in *struct {
		InApp
		Body connectionPatch
	}) (*answer[Connection], error) {
		c, err := s.opts.Tenant.UpdateApp(ctx, caller(ctx).Actor(), in.App, tenant.ConnectionPatch(in.Body))
		return s.shownConnection(ctx, c, err)
	})
	register(s, route{
		id: "remove-app", method: http.MethodDelete, path: appPath, tag: "apps", allow: manageApps, status: http.StatusAccepted,
		summary: "Remove an app", description: "Refused while it has connections. What waits at it is given up. Answers 204 if there was nothing to wait for.",
		errors: []int{http.StatusUnprocessableEntity},
	}, func(ctx context.Context, in *InApp) (*accepted, error) {
		return acceptedJob(s.opts.Tenant.RemoveApp(ctx, caller(ctx).Actor(), in.App))
	})
	s.addAppSecrets()
	s.addUnclaimed()
	s.addAppKeys()
}

// shownConnections makes an answer of a page of connections.
func (s *Server) shownConnections(ctx context.Context) func([]domain.Connection, string, error) (*answer[list[Connection]], error) {
	return func(items []domain.Connection, next string, err error) (*answer[list[Connection]], error) {
		if err != nil {
			return nil, err
		}
		who := caller(ctx)
		return listed(mapped(items, func(c domain.Connection) Connection { return s.connectionView(c, who) }), next), nil
	}
}

func (s *Server) addAppSecrets() {
	register(s, route{
		id: "get-app-setup", method: http.MethodGet, path: appPath + "/setup", tag: "apps", allow: manageApps,
		summary: "Read the setup steps of an app", description: "Tells what to register with the platform, secrets included. Every look is audited.",
	}, func(ctx context.Context, in *InApp) (*answer[setup], error) {
		steps, err := s.opts.Tenant.Setup(ctx, caller(ctx).Actor(), domain.HostWorkspace, in.App)
		return &answer[setup]{setup{Steps: orEmpty(steps)}}, err
	})
	register(s, route{
		id: "rotate-app-secret", method: http.MethodPost, path: appPath + "/secrets/{name}/rotate", tag: "apps", allow: manageApps, status: http.StatusNoContent,
		summary: "Give a secret of an app a new value", description: "The new value is used at once, for all connections of the app; the old one stays accepted for as long as is asked.",
		example: rotation{OverlapSeconds: 86400},
	}, func(ctx context.Context, in *struct {
		InApp
		Name string `path:"name" example:"client_secret" doc:"The secret's name in the manifest."`
		Body rotation
	}) (*struct{}, error) {
		overlap := time.Duration(in.Body.OverlapSeconds) * time.Second
		return nil, s.opts.Tenant.RotateSecret(ctx, caller(ctx).Actor(), domain.HostWorkspace, in.App, in.Name, in.Body.Value, overlap)
	})
	register(s, route{
		id: "list-app-connections", method: http.MethodGet, path: appPath + "/connections", tag: "apps", allow: manageApps,
		summary: "List the connections of an app", description: "Of all workspaces, oldest first.",
	}, func(ctx context.Context, in *struct {
		InApp
		Page
	}) (*answer[list[Connection]], error) {
		return s.shownConnections(ctx)(s.opts.Tenant.AppConnections(ctx, in.App, in.Page.domain()))
	})
}

func (s *Server) addUnclaimed() {
	register(s, route{
		id: "list-unclaimed", method: http.MethodGet, path: unclaimedPath, tag: "apps", allow: manageApps,
		summary: "List what waits at an app", description: "Deliveries of accounts that no connection has claimed yet, such as new installs, account by account.",
	}, func(ctx context.Context, in *struct {
		InApp
		Page
	}) (*answer[list[Unclaimed]], error) {
		items, next, err := s.opts.Tenant.Unclaimed(ctx, in.App, in.Page.domain())
		return listed(mapped(items, func(k domain.ParkedKey) Unclaimed { return Unclaimed(k) }), next), err
	})
	register(s, route{
		id: "assign-unclaimed", method: http.MethodPost, path: unclaimedPath + "/assign", tag: "apps", allow: manageApps,
		summary: "Assign an account to a connection", description: "From now on the account's deliveries are the connection's; those that wait run for it, in their order. Look closely: this decides who sees them.",
		example: assignment{Key: "portal:acme.example", Workspace: "wsp_01JD5Z6T9Q", Connection: "con_01JD5Z6T9Q"},
	}, func(ctx context.Context, in *struct {
		InApp
		Body assignment
	}) (*answer[assigned], error) {
		n, err := s.opts.Tenant.Assign(ctx, caller(ctx).Actor(), in.App, in.Body.Key, in.Body.Workspace, in.Body.Connection)
		return &answer[assigned]{assigned{n}}, err
	})
	register(s, route{
		id: "discard-unclaimed", method: http.MethodDelete, path: unclaimedPath + "/{key}", tag: "apps", allow: manageApps,
		summary: "Discard what waits for an account", description: "Gives it up at once; the platform was told that it was taken.",
	}, func(ctx context.Context, in *struct {
		InApp
		Key string `path:"key" minLength:"1" maxLength:"512" example:"portal:acme.example" doc:"The key, as the listing shows it, escaped."`
	}) (*answer[discarded], error) {
		n, err := s.opts.Tenant.Discard(ctx, caller(ctx).Actor(), in.App, in.Key)
		return &answer[discarded]{discarded{n}}, err
	})
}
