package client

import (
	"context"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Event is one event as a CloudEvents 1.0 envelope.
type Event struct {
	SpecVersion string           `json:"specversion"`
	ID          contract.EventID `json:"id"`
	// Source is "/workspaces/{ws}/connections/{connection}".
	Source string `json:"source"`
	// Type is "patchbay." and the kind of the data.
	Type string `json:"type"`
	// Subject is the conversation's id; empty for what concerns the whole connection.
	Subject         string    `json:"subject,omitempty"`
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	// Sequence is the event's place among those of the workspace, and the cursor to go on
	// from.
	Sequence   string                `json:"sequence"`
	Connection contract.ConnectionID `json:"connection"`
	Data       contract.Event        `json:"data"`
}

// Events lists events in the order of their sequence. Page.After is a sequence.
func (c *Client) Events(ctx context.Context, ws contract.WorkspaceID, p domain.Page) (Page[Event], error) {
	return list[Event](ctx, c, at("workspaces", string(ws), "events"), paged(p))
}
