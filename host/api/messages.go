package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/host/tenant"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Messages reads messages and conversations of a workspace.
type Messages interface {
	Message(ctx context.Context, ws contract.WorkspaceID, id contract.MessageID) (domain.Message, error)
	Messages(ctx context.Context, ws contract.WorkspaceID, f domain.MessageFilter, p domain.Page) (items []domain.Message, next string, err error)
	Conversations(ctx context.Context, ws contract.WorkspaceID, c contract.ConnectionID, p domain.Page) (items []domain.ConversationSummary, next string, err error)
}

// Sender accepts messages to send, and reports on those that came in.
type Sender interface {
	Send(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID, send tenant.Send) (domain.Job, domain.Message, error)
	ReportStatus(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.MessageID, r tenant.StatusReport) (domain.Job, error)
}

type newMessage struct {
	Conversation contract.Conversation      `json:"conversation" doc:"Where it belongs, by the platform's name."`
	Author       contract.Author            `json:"author" doc:"Who writes it."`
	Parts        []contract.Part            `json:"parts" minItems:"1" maxItems:"64" doc:"What it says, in order."`
	ReplyTo      contract.PlatformMessageID `json:"reply_to,omitempty" doc:"The message that it answers, by the platform's name."`
	Strict       bool                       `json:"strict,omitempty" doc:"Refuses the message instead of degrading a part of it."`
}

// sentMessage is a message that was accepted.
type sentMessage struct {
	Command Command        `json:"command" doc:"The command that sends it."`
	Message domain.Message `json:"message"`
}

// InMessage is the part of a request that names a message.
type InMessage struct {
	InWorkspace
	Message contract.MessageID `path:"message" example:"msg_01JD5Z6T9Q" doc:"The message."`
}

type newStatus struct {
	Status contract.MessageStatus `json:"status" enum:"failed,delivered,read" doc:"How far it got on our side."`
	Reason string                 `json:"reason,omitempty" maxLength:"500" example:"The agent is away." doc:"Why it failed, in one sentence."`
}

var exampleMessage = newMessage{
	Conversation: contract.Conversation{ID: "chat-17"},
	Author:       contract.Author{Role: contract.RoleAgent, Contact: contract.Contact{Name: "Anna"}},
	Parts:        []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: "Hello!"}}},
}

func (s *Server) addMessages() {
	register(s, route{
		id: "send-message", method: http.MethodPost, path: connectionPath + "/messages", tag: "messages", allow: access(identity.MessageSend), status: http.StatusAccepted,
		summary: "Send a message", description: "The message is durable when this is answered, and is sent after those before it in its conversation. " +
			"A repeat with the same Idempotency-Key is answered as the first was; with the same key, another message is refused.",
		example: exampleMessage, errors: []int{http.StatusTooManyRequests},
	}, s.sendMessage)
	register(s, route{
		id: "list-messages", method: http.MethodGet, path: connectionPath + "/messages", tag: "messages", allow: access(identity.MessageRead),
		summary: "List messages of a connection", description: "Both ways, in the order in which they became known.",
	}, s.listMessages)
	register(s, route{
		id: "list-conversations", method: http.MethodGet, path: connectionPath + "/conversations", tag: "messages", allow: access(identity.MessageRead),
		summary: "List conversations of a connection", description: "Tells where something was said, and when last.",
	}, s.listConversations)
	register(s, route{
		id: "get-message", method: http.MethodGet, path: "/v1/workspaces/{workspace}/messages/{message}", tag: "messages", allow: access(identity.MessageRead),
		summary: "Read a message", description: "Tells how far it got and what became of each of its parts.",
	}, func(ctx context.Context, in *InMessage) (*answer[domain.Message], error) {
		m, err := s.opts.Store.Message(ctx, in.Workspace, in.Message)
		return &answer[domain.Message]{messageView(m)}, err
	})
	register(s, route{
		id: "report-message-status", once: true, method: http.MethodPost, path: "/v1/workspaces/{workspace}/messages/{message}/status", tag: "messages", allow: access(identity.MessageSend),
		status: http.StatusAccepted, summary: "Report on a message that came in", description: "Queues a report to the platform of what became of the message on our side.",
		example: newStatus{Status: contract.MessageRead},
	}, s.reportStatus)
}

func (s *Server) sendMessage(ctx context.Context, in *struct {
	InConnection
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" example:"4be3b1c5-6b0c-4b1e-9a55-2f1d3a0c9f10" doc:"A name for this message that the sender chooses, so that it can safely repeat the request."`
	Body           newMessage
}) (*answer[sentMessage], error) {
	send := tenant.Send{Strict: in.Body.Strict, IdempotencyKey: in.IdempotencyKey, Message: contract.Message{
		Conversation: in.Body.Conversation, Author: in.Body.Author, Parts: in.Body.Parts, ReplyTo: in.Body.ReplyTo}}
	if problems := fetchProblems(send.Message); len(problems) > 0 {
		return nil, &domain.Invalid{Problems: problems}
	}
	if in.IdempotencyKey != "" {
		var err error
		if send.RequestHash, err = exchangeOf(ctx).requestHash(); err != nil {
			return nil, fmt.Errorf("hash the request: %w", err)
		}
	}
	job, message, err := s.opts.Tenant.Send(ctx, caller(ctx).Actor(), in.Workspace, in.Connection, send)
	if err != nil {
		return nil, err
	}
	return &answer[sentMessage]{sentMessage{Command: commandView(job), Message: messageView(message)}}, nil
}

// fetchProblems blames attachments that the host would have to fetch from somewhere: a
// tenant uploads them instead.
func fetchProblems(m contract.Message) (problems []domain.Problem) {
	blame := func(field string, media *contract.Media) {
		if media == nil || media.SourceURL == "" && media.SourceHeaders == nil && media.Missing == "" {
			return
		}
		problems = append(problems, domain.Problem{Field: field, Why: "it names an attachment by something other than a handle",
			Fix: "upload it first, and give its handle"})
	}
	for i, part := range m.Parts {
		field := fmt.Sprintf("parts[%d]", i)
		blame(field+".media", part.Media)
		if part.Card != nil {
			blame(field+".card.image", part.Card.Image)
		}
		if part.Carousel == nil {
			continue
		}
		for j, card := range part.Carousel.Cards {
			blame(fmt.Sprintf("%s.carousel.cards[%d].image", field, j), card.Image)
		}
	}
	return problems
}

func (s *Server) listMessages(ctx context.Context, in *struct {
	InConnection
	Page
	Conversation contract.ConversationID `query:"conversation" maxLength:"512" doc:"Selects one conversation."`
}) (*answer[list[domain.Message]], error) {
	if _, err := s.connection(ctx, &in.InConnection); err != nil {
		return nil, err
	}
	items, next, err := s.opts.Store.Messages(ctx, in.Workspace,
		domain.MessageFilter{Connection: in.Connection, Conversation: in.Conversation}, in.Page.domain())
	return listed(mapped(items, messageView), next), err
}

func (s *Server) listConversations(ctx context.Context, in *struct {
	InConnection
	Page
}) (*answer[list[domain.ConversationSummary]], error) {
	if _, err := s.connection(ctx, &in.InConnection); err != nil {
		return nil, err
	}
	items, next, err := s.opts.Store.Conversations(ctx, in.Workspace, in.Connection, in.Page.domain())
	return listed(items, next), err
}

func (s *Server) reportStatus(ctx context.Context, in *struct {
	InMessage
	Body newStatus
}) (*accepted, error) {
	return acceptedJob(s.opts.Tenant.ReportStatus(ctx, caller(ctx).Actor(), in.Workspace, in.Message, tenant.StatusReport(in.Body)))
}
