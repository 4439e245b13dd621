package api

import (
	"context"
	"net/http"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/host/tenant"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Connections reads connections. What it returns may belong to any workspace.
type Connections interface {
	Connection(ctx context.Context, id contract.ConnectionID) (domain.Connection, error)
	Connections(ctx context.Context, ws contract.WorkspaceID, p domain.Page) (items []domain.Connection, next string, err error)
}

// ConnectionKeeper makes, changes and ends connections, and looks after their secrets.
type ConnectionKeeper interface {
	SecretKeeper
	CreateConnection(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, n tenant.NewConnection) (domain.Connection, error)
	UpdateConnection(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID, p tenant.ConnectionPatch) (domain.Connection, error)
	// RemoveConnection returns an empty job if the connection was removed at once.
	RemoveConnection(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID) (domain.Job, error)
	CheckConnection(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID) (domain.Job, error)
	LookupContact(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID, who contract.ContactID) (domain.Job, error)
	AllowPrivateTargets(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID, targets []string) (domain.Connection, error)
	ReceiveURL(c domain.Connection) string
}

// InConnection is the part of a request that names a connection.
type InConnection struct {
	InWorkspace
	Connection contract.ConnectionID `path:"connection" example:"con_01JD5Z6T9Q" doc:"The connection."`
}

type newConnection struct {
	Plugin   string                `json:"plugin" minLength:"1" maxLength:"40" example:"elma365" doc:"The plugin's name. The workspace must have enabled it."`
	Name     string                `json:"name" minLength:"1" maxLength:"200" example:"Support" doc:"What people call it."`
	Settings map[string]string     `json:"settings,omitempty" maxProperties:"100" doc:"The settings that the plugin's manifest declares, by name."`
	Secrets  map[string]string     `json:"secrets,omitempty" maxProperties:"100" doc:"The secrets that the manifest does not have generated, by name. They cannot be read back."`
	App      contract.ConnectionID `json:"app,omitempty" maxLength:"64" example:"app_01JD5Z6T9Q" doc:"The app that it belongs to, for a plugin that works through apps. Not needed if the plugin has only one."`
}

type connectionPatch struct {
	Name     *string           `json:"name,omitempty" minLength:"1" maxLength:"200" example:"Sales" doc:"A new name."`
	Settings map[string]string `json:"settings,omitempty" maxProperties:"100" doc:"Settings to change, by name; an empty value goes back to the default. What is not named stays."`
}

type privateTargets struct {
	Targets []string `json:"targets" maxItems:"100" example:"[\"10.0.0.5:443\"]" doc:"All of them, each an IP address with a port."`
}

type lookup struct {
	InConnection
	Contact contract.ContactID `path:"contact" example:"+15550100" doc:"The person, by the platform's name, escaped."`
}

const (
	connectionsPath = "/v1/workspaces/{workspace}/connections"
	connectionPath  = connectionsPath + "/{connection}"
)

// accepted is an answer with the command that was queued.
type accepted struct {
	Status int
	Body   *Command
}

// acceptedJob makes an answer of a job; an empty one means that nothing is left to do.
func acceptedJob(j domain.Job, err error) (*accepted, error) {
	if err != nil {
		return nil, err
	}
	if j.ID == "" {
		return &accepted{Status: http.StatusNoContent}, nil
	}
	v := commandView(j)
	return &accepted{Status: http.StatusAccepted, Body: &v}, nil
}

// connection reads a connection of the workspace; another's does not exist.
func (s *Server) connection(ctx context.Context, in *InConnection) (domain.Connection, error) {
	c, err := s.opts.Store.Connection(ctx, in.Connection)
	if err == nil && c.Workspace != in.Workspace {
		err = domain.ErrNotFound
	}
	return c, err
}

// shownConnection makes an answer of a connection.
func (s *Server) shownConnection(ctx context.Context, c domain.Connection, err error) (*answer[Connection], error) {
	if err != nil {
		return nil, err
	}
	return &answer[Connection]{s.connectionView(c, caller(ctx))}, nil
}

func (s *Server) addConnections() {
	register(s, route{
		id: "create-connection", once: true, method: http.MethodPost, path: connectionsPath, tag: "connections", allow: access(identity.ConnectionWrite), status: http.StatusCreated,
		summary: "Connect an account", description: "The connection exists when this is answered; its setup on the platform is queued. Read its setup steps next.",
		example: newConnection{Plugin: "elma365", Name: "Support", Settings: map[string]string{"company_url": "https://acme.elma365.example"}, Secrets: map[string]string{"token": "s3cret"}},
	}, s.createConnection)
	register(s, route{
		id: "list-connections", method: http.MethodGet, path: connectionsPath, tag: "connections", allow: access(identity.ConnectionRead),
		summary: "List connections", description: "Oldest first. Secrets are never shown.",
	}, s.listConnections)
	register(s, route{
		id: "get-connection", method: http.MethodGet, path: connectionPath, tag: "connections", allow: access(identity.ConnectionRead),
		summary: "Read a connection", description: "Tells its state, what to do about it, and when traffic was last seen.",
	}, func(ctx context.Context, in *InConnection) (*answer[Connection], error) {
		c, err := s.connection(ctx, in)
		return s.shownConnection(ctx, c, err)
	})
	register(s, route{
		id: "update-connection", method: http.MethodPatch, path: connectionPath, tag: "connections", allow: access(identity.ConnectionWrite),
		summary: "Change a connection", description: "Changes the name, settings or both, and queues the setup on the platform again.",
		example: connectionPatch{Name: ptr("Sales"), Settings: map[string]string{"company_url": ""}},
	}, s.updateConnection)
	register(s, route{
		id: "remove-connection", method: http.MethodDelete, path: connectionPath, tag: "connections", allow: access(identity.ConnectionWrite), status: http.StatusAccepted,
		summary: "Remove a connection", description: "Queues the end of it on the platform, and removes it when that is done. Answers 204 if there was nothing to wait for.",
	}, func(ctx context.Context, in *InConnection) (*accepted, error) {
		return acceptedJob(s.opts.Tenant.RemoveConnection(ctx, caller(ctx).Actor(), in.Workspace, in.Connection))
	})
	s.addConnectionCommands()
}

func (s *Server) addConnectionCommands() {
	register(s, route{
		id: "check-connection", once: true, method: http.MethodPost, path: connectionPath + "/check", tag: "connections", allow: access(identity.ConnectionWrite), status: http.StatusAccepted,
		summary: "Check a connection", description: "Queues a question to the platform whether it takes our credentials.",
	}, func(ctx context.Context, in *InConnection) (*accepted, error) {
		return acceptedJob(s.opts.Tenant.CheckConnection(ctx, caller(ctx).Actor(), in.Workspace, in.Connection))
	})
	register(s, route{
		id: "lookup-contact", once: true, method: http.MethodPost, path: connectionPath + "/contacts/{contact}/lookup", tag: "connections", allow: access(identity.MessageSend), status: http.StatusAccepted,
		summary: "Look a person up", description: "Queues a question to the platform about a person. What it says comes as a contact.updated event.",
	}, func(ctx context.Context, in *lookup) (*accepted, error) {
		return acceptedJob(s.opts.Tenant.LookupContact(ctx, caller(ctx).Actor(), in.Workspace, in.Connection, in.Contact))
	})
	register(s, route{
		id: "allow-private-targets", method: http.MethodPut, path: connectionPath + "/private-targets", tag: "connections", allow: access(identity.PrivateTargets),
		summary: "Allow private targets", description: "Replaces the list of private addresses that a connection may send to. Without it, the plugin reaches public addresses only.",
		example: privateTargets{Targets: []string{"10.0.0.5:443"}},
	}, func(ctx context.Context, in *struct {
		InConnection
		Body privateTargets
	}) (*answer[Connection], error) {
		c, err := s.opts.Tenant.AllowPrivateTargets(ctx, caller(ctx).Actor(), in.Workspace, in.Connection, in.Body.Targets)
		return s.shownConnection(ctx, c, err)
	})
}

func ptr[T any](v T) *T { return &v }

func (s *Server) createConnection(ctx context.Context, in *struct {
	InWorkspace
	Body newConnection
}) (*answer[Connection], error) {
	c, err := s.opts.Tenant.CreateConnection(ctx, caller(ctx).Actor(), in.Workspace, tenant.NewConnection(in.Body))
	return s.shownConnection(ctx, c, err)
}

func (s *Server) listConnections(ctx context.Context, in *struct {
	InWorkspace
	Page
}) (*answer[list[Connection]], error) {
	if err := s.exists(ctx, in.Workspace); err != nil {
		return nil, err
	}
	items, next, err := s.opts.Store.Connections(ctx, in.Workspace, in.Page.domain())
	who := caller(ctx)
	return listed(mapped(items, func(c domain.Connection) Connection { return s.connectionView(c, who) }), next), err
}

func (s *Server) updateConnection(ctx context.Context, in *struct {
	InConnection
	Body connectionPatch
}) (*answer[Connection], error) {
	c, err := s.opts.Tenant.UpdateConnection(ctx, caller(ctx).Actor(), in.Workspace, in.Connection, tenant.ConnectionPatch(in.Body))
	return s.shownConnection(ctx, c, err)
}
