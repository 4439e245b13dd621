package client

import (
	"context"
	"net/http"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// NewMessage is a message to send.
type NewMessage struct {
	Conversation contract.Conversation      `json:"conversation"`
	Author       contract.Author            `json:"author"`
	Parts        []contract.Part            `json:"parts"`
	ReplyTo      contract.PlatformMessageID `json:"reply_to,omitempty"`
	// Strict refuses the message instead of degrading a part.
	Strict bool `json:"strict,omitempty"`
	// IdempotencyKey makes a second send with the same key and content return the first
	// message, and one with other content a Problem; empty means none.
	IdempotencyKey string `json:"-"`
}

// Accepted is a message that the host took and will send.
type Accepted struct {
	Command Command        `json:"command"`
	Message domain.Message `json:"message"`
}

// MessageFilter selects messages of a connection; zero fields select all.
type MessageFilter struct {
	Conversation contract.ConversationID
	domain.Page
}

// StatusReport is what became of an inbound message on our side.
type StatusReport struct {
	// Status is MessageFailed, MessageDelivered or MessageRead.
	Status contract.MessageStatus `json:"status"`
	// Reason says why, for MessageFailed.
	Reason string `json:"reason,omitempty"`
}

// Send accepts a message for a connection. It is durable once this returns; it is sent
// after.
func (c *Client) Send(ctx context.Context, ws contract.WorkspaceID, id contract.ConnectionID, m NewMessage) (Accepted, error) {
	r := request{method: http.MethodPost, path: connection(ws, id, "messages"), document: m}
	if m.IdempotencyKey != "" {
		r.header = http.Header{"Idempotency-Key": {m.IdempotencyKey}}
	}
	return exchange[Accepted](ctx, c, r)
}

// Messages lists messages of a connection, both ways.
func (c *Client) Messages(ctx context.Context, ws contract.WorkspaceID, id contract.ConnectionID, f MessageFilter) (Page[domain.Message], error) {
	q := paged(f.Page)
	set(q, "conversation", f.Conversation)
	return list[domain.Message](ctx, c, connection(ws, id, "messages"), q)
}

// Message reads one message.
func (c *Client) Message(ctx context.Context, ws contract.WorkspaceID, id contract.MessageID) (domain.Message, error) {
	return get[domain.Message](ctx, c, at("workspaces", string(ws), "messages", string(id)))
}

// ReportStatus queues a report to the platform of what became of an inbound message.
func (c *Client) ReportStatus(ctx context.Context, ws contract.WorkspaceID, id contract.MessageID, s StatusReport) (Command, error) {
	return command(ctx, c, request{method: http.MethodPost, document: s,
		path: at("workspaces", string(ws), "messages", string(id), "status")})
}

// Conversations lists the conversations of a connection.
func (c *Client) Conversations(ctx context.Context, ws contract.WorkspaceID, id contract.ConnectionID, p domain.Page) (Page[domain.ConversationSummary], error) {
	return list[domain.ConversationSummary](ctx, c, connection(ws, id, "conversations"), paged(p))
}
