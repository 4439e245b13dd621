package api

import (
	"time"

	"github.com/seed75a60ee1/patchbay/host/cloudevents"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// What is kept and what is shown differ: a view leaves out what gives power over a
// connection, and what is a plugin's own business.

// Connection is a connection as it is shown.
type Connection struct {
	ID             contract.ConnectionID    `json:"id" example:"con_01JD5Z6T9Q"`
	Workspace      contract.WorkspaceID     `json:"workspace" example:"wsp_01JD5Z6T9Q"`
	Plugin         string                   `json:"plugin" example:"elma365"`
	Name           string                   `json:"name" example:"Support"`
	App            contract.ConnectionID    `json:"app,omitempty" example:"app_01JD5Z6T9Q" doc:"The app that it belongs to; absent if its plugin has no apps."`
	State          contract.ConnectionState `json:"state" enum:"pending,connecting,connected,degraded,needs_action,disconnected"`
	StateCode      string                   `json:"state_code,omitempty" example:"token_refused" doc:"Why it is in this state; for programs."`
	StateReason    string                   `json:"state_reason,omitempty" doc:"Why it is in this state; for people."`
	StateAction    string                   `json:"state_action,omitempty" doc:"What to do about it."`
	Settings       map[string]string        `json:"settings,omitempty" doc:"What was set; defaults are not shown."`
	ReceiveURL     string                   `json:"receive_url,omitempty" format:"uri" doc:"Where the platform sends its webhooks. Whoever knows it can deliver, so only administrators see it."`
	PrivateTargets []string                 `json:"private_targets,omitempty" example:"[\"10.0.0.5:443\"]" doc:"Private targets that an operator allowed; only administrators see them."`
	Capabilities   []contract.Capability    `json:"capabilities,omitempty" doc:"How well it carries what a message can hold."`
	CreatedAt      time.Time                `json:"created_at"`
	UpdatedAt      time.Time                `json:"updated_at"`
	LastInboundAt  time.Time                `json:"last_inbound_at,omitzero" doc:"When the last genuine delivery came."`
	LastOutboundAt time.Time                `json:"last_outbound_at,omitzero" doc:"When the platform last accepted a message."`
}

// connectionView shows a connection to who.
func (s *Server) connectionView(c domain.Connection, who identity.Principal) Connection {
	v := Connection{
		ID: c.ID, Workspace: c.Workspace, Plugin: c.Plugin, Name: c.Name, App: c.App, State: c.State,
		StateCode: c.StateCode, StateReason: c.StateReason, StateAction: c.StateAction,
		Settings: c.Settings, Capabilities: c.Capabilities, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
		LastInboundAt: c.LastInboundAt, LastOutboundAt: c.LastOutboundAt,
	}
	if who.Can(identity.SecretWrite, c.Workspace) {
		v.ReceiveURL, v.PrivateTargets = s.opts.Tenant.ReceiveURL(c), c.PrivateTargets
	}
	return v
}

// Command is a command as it is shown.
type Command struct {
	ID         string                `json:"id" example:"cmd_01JD5Z6T9Q"`
	Kind       domain.JobKind        `json:"kind" enum:"command"`
	Workspace  contract.WorkspaceID  `json:"workspace"`
	Connection contract.ConnectionID `json:"connection"`
	Lane       string                `json:"lane" doc:"Commands of one lane run one at a time, in order."`
	Seq        uint64                `json:"seq"`
	NotBefore  time.Time             `json:"not_before" doc:"The earliest time to run."`
	Attempts   int                   `json:"attempts"`
	State      domain.JobState       `json:"state" enum:"queued,done,parked,cancelled"`
	Failure    *contract.Failure     `json:"failure,omitempty" doc:"Why the last attempt failed."`
	CreatedAt  time.Time             `json:"created_at"`
	UpdatedAt  time.Time             `json:"updated_at"`
	Command    *domain.Command       `json:"command,omitempty"`
}

func commandView(j domain.Job) Command {
	v := Command{
		ID: j.ID, Kind: j.Kind, Workspace: j.Workspace, Connection: j.Connection, Lane: j.Lane, Seq: j.Seq, NotBefore: j.NotBefore,
		Attempts: j.Attempts, State: j.State, Failure: j.Failure, CreatedAt: j.CreatedAt, UpdatedAt: j.UpdatedAt,
	}
	if j.Command != nil {
		command := *j.Command
		command.Payload = ""
		command.Message = cloudevents.WithoutSources(command.Message)
		v.Command = &command
	}
	return v
}

func messageView(m domain.Message) domain.Message {
	m.Message = *cloudevents.WithoutSources(&m.Message)
	return m
}

// deliveryView shows a delivery to who. Header fields, the query and the body may hold what
// proves a delivery genuine, so only administrators see them.
func deliveryView(d domain.Delivery, who identity.Principal) domain.Delivery {
	if !who.Can(identity.DeliveryReplay, d.Workspace) {
		d.Headers, d.Query, d.Body = nil, "", nil
	}
	if d.Sealed {
		d.Body = nil
	}
	return d
}

// pluginView shows a plugin version to who: tenants need to know what they can connect
// with, and not what reviewers noted.
func pluginView(p domain.Plugin, who identity.Principal) domain.Plugin {
	p.HostFunctions, p.Exports = orEmpty(p.HostFunctions), orEmpty(p.Exports)
	if bound(who) {
		p.File, p.Grant = "", nil
	}
	return p
}

func orEmpty[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}
