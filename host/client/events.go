package client

import (
	"context"
	"net/url"
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
	return c.SelectEvents(ctx, ws, domain.EventFilter{}, p)
}

// SelectEvents lists those events that a filter selects. A page may be short, or empty,
// and still have a Next.
func (c *Client) SelectEvents(ctx context.Context, ws contract.WorkspaceID, f domain.EventFilter, p domain.Page) (Page[Event], error) {
	q := paged(p)
	selecting(q, f)
	return list[Event](ctx, c, at("workspaces", string(ws), "events"), q)
}

// selecting adds a filter to a query.
func selecting(q url.Values, f domain.EventFilter) {
	for _, kind := range f.Kinds {
		q.Add("kind", string(kind))
	}
	for _, connection := range f.Connections {
		q.Add("connection", string(connection))
	}
}
