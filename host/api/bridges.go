package api

import (
	"context"
	"net/http"
	"time"

	"github.com/seed75a60ee1/patchbay/host/bridges"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// BridgeKeeper makes, changes and ends bridges. What belongs to another workspace does not
// exist.
type BridgeKeeper interface {
	CreateBridge(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, n bridges.NewBridge) (domain.BridgeStatus, error)
	Bridge(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID) (domain.BridgeStatus, error)
	Bridges(ctx context.Context, ws contract.WorkspaceID, p domain.Page) (items []domain.BridgeStatus, next string, err error)
	UpdateBridge(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.BridgeID, p bridges.Patch) (domain.BridgeStatus, error)
	DeleteBridge(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id domain.BridgeID) error
	BridgeLinks(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID, p domain.Page) (items []domain.BridgeLink, next string, err error)
}

// Bridge is a bridge as it is shown.
type Bridge struct {
	ID          domain.BridgeID       `json:"id" example:"brg_01JD5Z6T9Q"`
	Workspace   contract.WorkspaceID  `json:"workspace" example:"wsp_01JD5Z6T9Q"`
	Name        string                `json:"name" example:"Shop to desk"`
	Customers   contract.ConnectionID `json:"customers" example:"con_01JD5Z6T9Q" doc:"The connection where customers write."`
	Agents      contract.ConnectionID `json:"agents" example:"con_01JD5Z6T9R" doc:"The connection where agents or bots answer."`
	State       domain.BridgeState    `json:"state" enum:"active,paused"`
	StateReason string                `json:"state_reason,omitempty" doc:"Why it is paused, if the host did it."`
	Behind      uint64                `json:"behind" doc:"How many events of the workspace it has yet to look at."`
	Counts      domain.BridgeCounts   `json:"counts" doc:"What it has carried over, and left out."`
	CreatedAt   time.Time             `json:"created_at"`
	UpdatedAt   time.Time             `json:"updated_at"`
}

func bridgeView(b domain.BridgeStatus) Bridge {
	return Bridge{ID: b.ID, Workspace: b.Workspace, Name: b.Name, Customers: b.Customers, Agents: b.Agents, State: b.State,
		StateReason: b.StateReason, Behind: b.Progress.Behind, Counts: b.Progress.Counts, CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt}
}

// BridgeLink says which conversations a bridge has linked.
type BridgeLink struct {
	Customers   contract.ConversationID `json:"customers" example:"chat-17" doc:"The conversation on the customers' side."`
	Agents      contract.ConversationID `json:"agents" example:"chat-17" doc:"The conversation on the agents' side."`
	State       domain.BridgeLinkState  `json:"state" enum:"active,stopped" doc:"One that looked like a loop is stopped, until the bridge is set active again."`
	StateReason string                  `json:"state_reason,omitempty" doc:"Why it is stopped."`
	CreatedAt   time.Time               `json:"created_at"`
	LastAt      time.Time               `json:"last_at,omitzero" doc:"When something was last carried over."`
}

func linkView(l domain.BridgeLink) BridgeLink {
	return BridgeLink{Customers: l.Customers, Agents: l.Agents, State: l.State, StateReason: l.StateReason, CreatedAt: l.CreatedAt, LastAt: l.LastAt}
}

type newBridge struct {
	Name      string                `json:"name" minLength:"1" maxLength:"200" example:"Shop to desk" doc:"What people call it."`
	Customers contract.ConnectionID `json:"customers" minLength:"1" example:"con_01JD5Z6T9Q" doc:"The connection where customers write."`
	Agents    contract.ConnectionID `json:"agents" minLength:"1" example:"con_01JD5Z6T9R" doc:"The connection where agents or bots answer."`
}

type bridgePatch struct {
	Name  *string             `json:"name,omitempty" minLength:"1" maxLength:"200" example:"Shop to bot" doc:"A new name."`
	State *domain.BridgeState `json:"state,omitempty" enum:"active,paused" doc:"A paused bridge keeps its place and carries on there. Setting it active starts stopped links again."`
}

// InBridge is the part of a request that names a bridge.
type InBridge struct {
	InWorkspace
	Bridge domain.BridgeID `path:"bridge" example:"brg_01JD5Z6T9Q" doc:"The bridge."`
}

const (
	bridgesPath = "/v1/workspaces/{workspace}/bridges"
	bridgePath  = bridgesPath + "/{bridge}"
)

func (s *Server) addBridges() {
	register(s, route{
		id: "create-bridge", method: http.MethodPost, path: bridgesPath, tag: "bridges", allow: access(identity.ConnectionWrite), status: http.StatusCreated,
		summary: "Patch two connections together", description: "From now on, what comes in on one goes out on the other, conversation by conversation. " +
			"Bridges of a workspace must not make a circle.",
		once:    true,
		example: newBridge{Name: "Shop to desk", Customers: "con_01JD5Z6T9Q", Agents: "con_01JD5Z6T9R"},
	}, func(ctx context.Context, in *struct {
		InWorkspace
		Body newBridge
	}) (*answer[Bridge], error) {
		b, err := s.opts.Bridges.CreateBridge(ctx, caller(ctx).Actor(), in.Workspace, bridges.NewBridge(in.Body))
		return &answer[Bridge]{bridgeView(b)}, err
	})
	register(s, route{
		id: "list-bridges", method: http.MethodGet, path: bridgesPath, tag: "bridges", allow: access(identity.ConnectionRead),
		summary: "List bridges", description: "Oldest first, each with what it has carried.",
	}, s.listBridges)
	register(s, route{
		id: "get-bridge", method: http.MethodGet, path: bridgePath, tag: "bridges", allow: access(identity.ConnectionRead),
		summary: "Read a bridge", description: "Tells what it has carried and left out, and how far behind it is.",
	}, func(ctx context.Context, in *InBridge) (*answer[Bridge], error) {
		b, err := s.opts.Bridges.Bridge(ctx, in.Workspace, in.Bridge)
		return &answer[Bridge]{bridgeView(b)}, err
	})
	register(s, route{
		id: "list-bridge-links", method: http.MethodGet, path: bridgePath + "/links", tag: "bridges", allow: access(identity.ConnectionRead),
		summary: "List the links of a bridge", description: "Tells which conversation of one side is which of the other.",
	}, func(ctx context.Context, in *struct {
		InBridge
		Page
	}) (*answer[list[BridgeLink]], error) {
		items, next, err := s.opts.Bridges.BridgeLinks(ctx, in.Workspace, in.Bridge, in.Page.domain())
		return listed(mapped(items, linkView), next), err
	})
	s.addBridgeChanges()
}

func (s *Server) addBridgeChanges() {
	register(s, route{
		id: "update-bridge", method: http.MethodPatch, path: bridgePath, tag: "bridges", allow: access(identity.ConnectionWrite),
		summary: "Change, pause or resume a bridge", description: "Changes the name, the state or both. The connections of a bridge never change.",
		example: bridgePatch{State: ptr(domain.BridgePaused)},
	}, func(ctx context.Context, in *struct {
		InBridge
		Body bridgePatch
	}) (*answer[Bridge], error) {
		b, err := s.opts.Bridges.UpdateBridge(ctx, caller(ctx).Actor(), in.Workspace, in.Bridge, bridges.Patch(in.Body))
		return &answer[Bridge]{bridgeView(b)}, err
	})
	register(s, route{
		id: "delete-bridge", method: http.MethodDelete, path: bridgePath, tag: "bridges", allow: access(identity.ConnectionWrite), status: http.StatusNoContent,
		summary: "Delete a bridge", description: "Its links are forgotten; what it queued is still sent. The connections stay.",
	}, func(ctx context.Context, in *InBridge) (*struct{}, error) {
		return nil, s.opts.Bridges.DeleteBridge(ctx, caller(ctx).Actor(), in.Workspace, in.Bridge)
	})
}

func (s *Server) listBridges(ctx context.Context, in *struct {
	InWorkspace
	Page
}) (*answer[list[Bridge]], error) {
	if err := s.exists(ctx, in.Workspace); err != nil {
		return nil, err
	}
	items, next, err := s.opts.Bridges.Bridges(ctx, in.Workspace, in.Page.domain())
	return listed(mapped(items, bridgeView), next), err
}
