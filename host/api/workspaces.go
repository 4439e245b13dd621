package api

import (
	"context"
	"net/http"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Workspaces reads workspaces.
type Workspaces interface {
	Workspace(ctx context.Context, id contract.WorkspaceID) (domain.Workspace, error)
	Workspaces(ctx context.Context, p domain.Page) (items []domain.Workspace, next string, err error)
}

// WorkspaceKeeper opens workspaces and lets them connect with plugins.
type WorkspaceKeeper interface {
	CreateWorkspace(ctx context.Context, by domain.Actor, name string) (domain.Workspace, error)
	EnablePlugin(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, plugin string) (domain.Workspace, error)
	DisablePlugin(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, plugin string) (domain.Workspace, error)
	LimitKeeper
}

// Page selects a page of a listing.
type Page struct {
	After string `query:"after" maxLength:"2048" doc:"The next of the page before; without it, the first page is read."`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many items to return."`
}

func (p Page) domain() domain.Page { return domain.Page{After: p.After, Limit: p.Limit} }

// InWorkspace is the part of a request that names the workspace.
type InWorkspace struct {
	Workspace contract.WorkspaceID `path:"workspace" example:"wsp_01JD5Z6T9Q" doc:"The workspace."`
}

type newWorkspace struct {
	Name string `json:"name" minLength:"1" maxLength:"200" example:"Acme" doc:"What people call it."`
}

type workspacePlugin struct {
	InWorkspace
	Plugin string `path:"plugin" example:"elma365" doc:"The plugin's name."`
}

func (s *Server) addWorkspaces() {
	register(s, route{
		id: "create-workspace", method: http.MethodPost, path: "/v1/workspaces", tag: "workspaces", allow: access(identity.WorkspaceCreate), status: http.StatusCreated,
		summary: "Open a workspace", description: "A workspace is one tenant: it sees only what is its own.",
		example: newWorkspace{Name: "Acme"},
	}, func(ctx context.Context, in *struct{ Body newWorkspace }) (*answer[domain.Workspace], error) {
		w, err := s.opts.Tenant.CreateWorkspace(ctx, caller(ctx).Actor(), in.Body.Name)
		return &answer[domain.Workspace]{w}, err
	})
	register(s, route{
		id: "list-workspaces", method: http.MethodGet, path: "/v1/workspaces", tag: "workspaces", allow: access(identity.WorkspaceRead),
		summary: "List workspaces", description: "An operator sees all of them, oldest first; everybody else sees their own.",
	}, s.listWorkspaces)
	register(s, route{
		id: "get-workspace", method: http.MethodGet, path: "/v1/workspaces/{workspace}", tag: "workspaces", allow: access(identity.WorkspaceRead),
		summary: "Read a workspace", description: "Tells its name and which plugins it may connect with.",
	}, func(ctx context.Context, in *InWorkspace) (*answer[domain.Workspace], error) {
		w, err := s.opts.Store.Workspace(ctx, in.Workspace)
		return &answer[domain.Workspace]{w}, err
	})
	s.addWorkspacePlugins()
}

func (s *Server) listWorkspaces(ctx context.Context, in *Page) (*answer[list[domain.Workspace]], error) {
	if who := caller(ctx); bound(who) {
		own, err := s.opts.Store.Workspace(ctx, who.Workspace)
		return listed([]domain.Workspace{own}, ""), err
	}
	items, next, err := s.opts.Store.Workspaces(ctx, in.domain())
	return listed(items, next), err
}

// exists answers domain.ErrNotFound if there is no such workspace: a listing of it would
// look like one of a workspace that has nothing.
func (s *Server) exists(ctx context.Context, ws contract.WorkspaceID) error {
	_, err := s.opts.Store.Workspace(ctx, ws)
	return err
}

func (s *Server) addWorkspacePlugins() {
	const path = "/v1/workspaces/{workspace}/plugins/{plugin}"
	register(s, route{
		id: "enable-plugin", method: http.MethodPut, path: path, tag: "workspaces", allow: access(identity.PluginEnable),
		summary: "Let a workspace connect with a plugin", description: "A version of the plugin must have been approved. Enabling twice changes nothing.",
		errors: []int{http.StatusUnprocessableEntity},
	}, func(ctx context.Context, in *workspacePlugin) (*answer[domain.Workspace], error) {
		w, err := s.opts.Tenant.EnablePlugin(ctx, caller(ctx).Actor(), in.Workspace, in.Plugin)
		return &answer[domain.Workspace]{w}, err
	})
	register(s, route{
		id: "disable-plugin", method: http.MethodDelete, path: path, tag: "workspaces", allow: access(identity.PluginEnable),
		summary: "Stop a plugin for a workspace", description: "Deliveries to its connections are kept for replay and answered 503; its commands wait.",
	}, func(ctx context.Context, in *workspacePlugin) (*answer[domain.Workspace], error) {
		w, err := s.opts.Tenant.DisablePlugin(ctx, caller(ctx).Actor(), in.Workspace, in.Plugin)
		return &answer[domain.Workspace]{w}, err
	})
}
