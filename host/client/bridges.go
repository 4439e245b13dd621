package client

import (
	"context"
	"net/http"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Bridge is a bridge as the API shows it.
type Bridge struct {
	ID        domain.BridgeID      `json:"id"`
	Workspace contract.WorkspaceID `json:"workspace"`
	Name      string               `json:"name"`
	// Customers is the connection where customers write, and Agents the one where agents or
	// bots answer.
	Customers   contract.ConnectionID `json:"customers"`
	Agents      contract.ConnectionID `json:"agents"`
	State       domain.BridgeState    `json:"state"`
	StateReason string                `json:"state_reason,omitempty"`
	// Behind is how many events of the workspace it has yet to look at.
	Behind    uint64              `json:"behind"`
	Counts    domain.BridgeCounts `json:"counts"`
	CreatedAt time.Time           `json:"created_at"`
	UpdatedAt time.Time           `json:"updated_at"`
}

// NewBridge is a bridge to create.
type NewBridge struct {
	Name      string                `json:"name"`
	Customers contract.ConnectionID `json:"customers"`
	Agents    contract.ConnectionID `json:"agents"`
}

// BridgePatch is what to change of a bridge; nil leaves alone.
type BridgePatch struct {
	Name  *string             `json:"name,omitempty"`
	State *domain.BridgeState `json:"state,omitempty"`
}

// BridgeLink says which conversations a bridge has linked.
type BridgeLink struct {
	Customers   contract.ConversationID `json:"customers"`
	Agents      contract.ConversationID `json:"agents"`
	State       domain.BridgeLinkState  `json:"state"`
	StateReason string                  `json:"state_reason,omitempty"`
	CreatedAt   time.Time               `json:"created_at"`
	LastAt      time.Time               `json:"last_at,omitzero"`
}

// CreateBridge patches two connections together, from the next event on.
func (c *Client) CreateBridge(ctx context.Context, ws contract.WorkspaceID, n NewBridge) (Bridge, error) {
	return post[Bridge](ctx, c, at("workspaces", string(ws), "bridges"), n)
}

// Bridges lists the bridges of a workspace.
func (c *Client) Bridges(ctx context.Context, ws contract.WorkspaceID, p domain.Page) (Page[Bridge], error) {
	return list[Bridge](ctx, c, at("workspaces", string(ws), "bridges"), paged(p))
}

// Bridge reads one bridge.
func (c *Client) Bridge(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID) (Bridge, error) {
	return get[Bridge](ctx, c, at("workspaces", string(ws), "bridges", string(id)))
}

// UpdateBridge changes the name of a bridge, pauses it or sets it active. Setting it active
// starts links again that looked like a loop.
func (c *Client) UpdateBridge(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID, p BridgePatch) (Bridge, error) {
	return exchange[Bridge](ctx, c, request{method: http.MethodPatch, path: at("workspaces", string(ws), "bridges", string(id)), document: p})
}

// DeleteBridge removes a bridge with its links.
func (c *Client) DeleteBridge(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID) error {
	return c.do(ctx, request{method: http.MethodDelete, path: at("workspaces", string(ws), "bridges", string(id))}, nil)
}

// BridgeLinks lists which conversations a bridge has linked.
func (c *Client) BridgeLinks(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID, p domain.Page) (Page[BridgeLink], error) {
	return list[BridgeLink](ctx, c, at("workspaces", string(ws), "bridges", string(id), "links"), paged(p))
}
