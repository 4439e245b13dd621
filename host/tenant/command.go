package tenant

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Send is a message to send.
type Send struct {
	Message contract.Message
	// Strict refuses the message instead of degrading a part of it.
	Strict bool
	// IdempotencyKey makes a repeat with the same RequestHash return the first command.
	IdempotencyKey, RequestHash string
}

// StatusReport tells what became of a message that came in.
type StatusReport struct {
	Status contract.MessageStatus
	Reason string
}

// maxIdempotencyKey bounds an idempotency key, in bytes.
const maxIdempotencyKey = 255

// Send accepts a message: when it returns, the message is durable and will be sent, in
// the order of its conversation.
func (s *Service) Send(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID, send Send) (domain.Job, domain.Message, error) {
	c, err := s.connection(ctx, ws, id)
	if err != nil {
		return domain.Job{}, domain.Message{}, err
	}
	if c.IsApp {
		return domain.Job{}, domain.Message{}, invalid("connection", string(id), "it is an app, and no conversation is the app's own", "send to a connection of it")
	}
	if err := s.checkSend(ctx, ws, send); err != nil {
		return domain.Job{}, domain.Message{}, err
	}
	if err := s.admit(ws, int64(len(send.Message.AppendJSON(nil)))); err != nil {
		return domain.Job{}, domain.Message{}, err
	}
	now := s.opts.Now()
	message := send.Message
	message.ID, message.Status = contract.MessageID(s.opts.Store.NewID("msg")), contract.MessageQueued
	kept := domain.Message{Message: message, Workspace: ws, Connection: id, Direction: domain.Outbound, CreatedAt: now, UpdatedAt: now}
	job, created, err := s.opts.Store.AcceptCommand(ctx, domain.NewCommand{
		Workspace: ws, Connection: id, Message: &kept, Lane: domain.ConversationLane(id, message.Conversation.ID), At: now,
		Command:        domain.Command{Export: contract.ExportSendMessage, By: by.Subject, Message: &message, Strict: send.Strict},
		IdempotencyKey: send.IdempotencyKey, RequestHash: send.RequestHash,
	})
	if err != nil {
		return domain.Job{}, domain.Message{}, fmt.Errorf("send to connection %s: %w", c.ID, err)
	}
	if !created {
		first, err := s.opts.Store.Message(ctx, ws, job.Command.Message.ID)
		if errors.Is(err, domain.ErrNotFound) && job.State.Ended() { // it was removed for its age
			kept.Message, kept.Command = *job.Command.Message, job.Command.ID
			kept.CreatedAt, kept.UpdatedAt = job.CreatedAt, job.UpdatedAt
			return job, kept, nil
		}
		return job, first, err
	}
	s.opts.Jobs.Add(job)
	kept.Command = job.Command.ID
	return job, kept, nil
}

func (s *Service) checkSend(ctx context.Context, ws contract.WorkspaceID, send Send) error {
	problems := messageProblems(send.Message)
	if len(send.IdempotencyKey) > maxIdempotencyKey {
		problems = append(problems, domain.Problem{Field: "Idempotency-Key", Why: "it has more than 255 bytes", Fix: "use a UUID"})
	}
	for _, media := range mediaOf(send.Message) {
		kept, err := s.opts.Store.Media(ctx, media.handle)
		if err != nil || kept.Workspace != ws {
			problems = append(problems, domain.Problem{Field: media.field, Value: string(media.handle),
				Why: "this workspace has no such attachment", Fix: "upload it first: POST /v1/workspaces/{workspace}/media"})
		}
	}
	if len(problems) > 0 {
		return &domain.Invalid{Problems: problems}
	}
	return nil
}

func messageProblems(m contract.Message) (problems []domain.Problem) {
	if m.Conversation.ID == "" {
		problems = append(problems, domain.Problem{Field: "conversation.id", Why: "it is required", Fix: "name the conversation"})
	}
	if len(m.Parts) == 0 {
		problems = append(problems, domain.Problem{Field: "parts", Why: "it is empty", Fix: "give at least one part"})
	}
	if err := m.Validate(); err != nil && len(problems) == 0 {
		problems = append(problems, domain.Problem{Field: "message", Why: err.Error(), Fix: "see the schema of the message"})
	}
	return problems
}

// reference is an attachment that a message mentions, and where.
type reference struct {
	field  string
	handle contract.MediaHandle
}

// mediaOf lists the attachments that a message mentions.
func mediaOf(m contract.Message) (found []reference) {
	add := func(field string, media *contract.Media) {
		if media != nil {
			found = append(found, reference{field: field + ".handle", handle: media.Handle})
		}
	}
	if m.Author.Contact.Avatar != "" {
		found = append(found, reference{field: "author.contact.avatar", handle: m.Author.Contact.Avatar})
	}
	for i, part := range m.Parts {
		field := fmt.Sprintf("parts[%d]", i)
		add(field+".media", part.Media)
		if part.Card != nil {
			add(field+".card.image", part.Card.Image)
		}
		if part.Carousel != nil {
			for j, card := range part.Carousel.Cards {
				add(fmt.Sprintf("%s.carousel.cards[%d].image", field, j), card.Image)
			}
		}
	}
	return found
}

// accept makes a command durable and has it run. A repeat of a named request gets the
// command of the first.
func (s *Service) accept(ctx context.Context, by domain.Actor, c domain.Connection, command domain.Command, lane string) (domain.Job, error) {
	command.By = by.Subject
	once := domain.OnceOf(ctx)
	job, created, err := s.opts.Store.AcceptCommand(ctx, domain.NewCommand{
		Workspace: c.Workspace, Connection: c.ID, Command: command, Lane: lane, At: s.opts.Now(),
		IdempotencyKey: once.Key, RequestHash: once.RequestHash,
	})
	if err != nil {
		return domain.Job{}, fmt.Errorf("accept %s for connection %s: %w", command.Export, c.ID, err)
	}
	if created {
		s.opts.Jobs.Add(job)
	}
	return job, nil
}

// CheckConnection asks the plugin how the connection is.
func (s *Service) CheckConnection(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID) (domain.Job, error) {
	c, err := s.connection(ctx, ws, id)
	if err != nil {
		return domain.Job{}, err
	}
	if err := s.admit(ws, 0); err != nil {
		return domain.Job{}, err
	}
	return s.accept(ctx, by, c, domain.Command{Export: contract.ExportCheckHealth}, domain.ConnectionLane(id))
}

// LookupContact asks the platform about a person. What it says comes as an event.
func (s *Service) LookupContact(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID, who contract.ContactID) (domain.Job, error) {
	c, err := s.connection(ctx, ws, id)
	if err != nil {
		return domain.Job{}, err
	}
	if who == "" || len(who) > 512 {
		return domain.Job{}, &domain.Invalid{Problems: []domain.Problem{{Field: "contact", Value: string(who),
			Why: "it has not 1 to 512 bytes", Fix: "name the person as the platform does"}}}
	}
	if err := s.admit(ws, 0); err != nil {
		return domain.Job{}, err
	}
	return s.accept(ctx, by, c, domain.Command{Export: contract.ExportLookupContact, Contact: who}, "")
}

// ReportStatus tells the platform what became of a message that came in.
func (s *Service) ReportStatus(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.MessageID, report StatusReport) (domain.Job, error) {
	m, err := s.opts.Store.Message(ctx, ws, id)
	if err != nil {
		return domain.Job{}, fmt.Errorf("message %s: %w", id, err)
	}
	c, err := s.connection(ctx, ws, m.Connection)
	if err != nil {
		return domain.Job{}, err
	}
	if problems := statusProblems(m, report); len(problems) > 0 {
		return domain.Job{}, &domain.Invalid{Problems: problems}
	}
	if err := s.admit(ws, 0); err != nil {
		return domain.Job{}, err
	}
	status := &contract.StatusReport{PlatformID: m.PlatformID, MessageID: m.ID, Status: report.Status}
	if report.Status == contract.MessageFailed {
		status.Failure = &contract.Failure{Class: contract.FailurePermanent, Code: "not_delivered", Message: report.Reason}
	}
	conversation := m.Conversation
	return s.accept(ctx, by, c, domain.Command{Export: contract.ExportSendReceipt, Conversation: &conversation, Status: status},
		domain.ConversationLane(c.ID, conversation.ID))
}

func statusProblems(m domain.Message, report StatusReport) (problems []domain.Problem) {
	if m.Direction != domain.Inbound {
		problems = append(problems, domain.Problem{Field: "message", Value: string(m.ID),
			Why: "it went out; its status comes from the platform", Fix: "report only on messages that came in"})
	}
	switch report.Status {
	case contract.MessageDelivered, contract.MessageRead, contract.MessageFailed:
	default:
		problems = append(problems, domain.Problem{Field: "status", Value: string(report.Status),
			Why: "it cannot be reported", Fix: "delivered, read or failed"})
	}
	if len(report.Reason) > 500 || !utf8.ValidString(report.Reason) {
		problems = append(problems, domain.Problem{Field: "reason", Why: "it is not text of at most 500 bytes", Fix: "one sentence will do"})
	}
	return problems
}

// RetryCommand queues a parked command again.
func (s *Service) RetryCommand(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.CommandID) (domain.Job, error) {
	if _, err := s.command(ctx, ws, id); err != nil {
		return domain.Job{}, err
	}
	job, err := s.opts.Store.RequeueJob(ctx, string(id), s.opts.Now())
	if err != nil {
		return domain.Job{}, fmt.Errorf("retry command %s: %w", id, err)
	}
	s.opts.Jobs.Add(job)
	s.audit(ctx, by, "command.retried", ws, job.Connection, string(id), "")
	return job, nil
}

// CancelCommand takes a queued or parked command back.
func (s *Service) CancelCommand(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.CommandID) (domain.Job, error) {
	if _, err := s.command(ctx, ws, id); err != nil {
		return domain.Job{}, err
	}
	job, err := s.opts.Store.CancelJob(ctx, string(id))
	if err != nil {
		return domain.Job{}, fmt.Errorf("cancel command %s: %w", id, err)
	}
	s.opts.Jobs.Forget(job)
	s.audit(ctx, by, "command.cancelled", ws, job.Connection, string(id), "")
	return job, nil
}

func (s *Service) command(ctx context.Context, ws contract.WorkspaceID, id contract.CommandID) (domain.Job, error) {
	job, err := s.opts.Store.Job(ctx, string(id))
	if err == nil && (job.Workspace != ws || job.Kind != domain.JobCommand) {
		err = domain.ErrNotFound
	}
	if err != nil {
		return domain.Job{}, fmt.Errorf("command %s: %w", id, err)
	}
	return job, nil
}

// Upload keeps an attachment. When it returns, the bytes are durable.
func (s *Service) Upload(ctx context.Context, _ domain.Actor, ws contract.WorkspaceID, name string, r io.Reader) (domain.Media, error) {
	if _, err := s.opts.Store.Workspace(ctx, ws); err != nil {
		return domain.Media{}, fmt.Errorf("workspace: %w", err)
	}
	sum, size, mime, err := s.opts.Files.Put(ctx, r, s.opts.MediaMaxBytes)
	if err != nil {
		return domain.Media{}, fmt.Errorf("upload: %w", err)
	}
	if once := domain.OnceOf(ctx); once.Key != "" { // what was sent is known only now
		ctx = domain.WithOnce(ctx, domain.Once{Key: once.Key, RequestHash: once.RequestHash + " " + sum})
	}
	claimed, settled, err := s.claim(ctx, ws, "med")
	if err != nil {
		return domain.Media{}, err
	}
	handle := contract.MediaHandle(claimed)
	if settled {
		return s.uploaded(ctx, ws, handle)
	}
	m := domain.Media{Handle: handle, Workspace: ws, SHA256: sum, Name: fileName(name), MIME: mime, SizeBytes: size, CreatedAt: s.opts.Now()}
	if err := s.opts.Store.PutMedia(ctx, m); err != nil {
		return domain.Media{}, fmt.Errorf("upload: %w", err)
	}
	return m, s.settle(ctx, ws)
}

// uploaded is the attachment that a request repeats the upload of.
func (s *Service) uploaded(ctx context.Context, ws contract.WorkspaceID, h contract.MediaHandle) (domain.Media, error) {
	m, err := s.opts.Store.Media(ctx, h)
	switch {
	case errors.Is(err, domain.ErrNotFound) || err == nil && m.Workspace != ws:
		return domain.Media{}, errRemoved(string(h))
	case err != nil:
		return domain.Media{}, fmt.Errorf("upload: %w", err)
	}
	return m, nil
}

// OpenMedia opens an attachment of the workspace. The caller closes it.
func (s *Service) OpenMedia(ctx context.Context, ws contract.WorkspaceID, h contract.MediaHandle) (domain.Media, io.ReadSeekCloser, error) {
	m, err := s.opts.Store.Media(ctx, h)
	if err == nil && m.Workspace != ws {
		err = domain.ErrNotFound
	}
	if err != nil {
		return domain.Media{}, nil, fmt.Errorf("media %s: %w", h, err)
	}
	file, err := s.opts.Files.Open(m.SHA256)
	if err != nil {
		return domain.Media{}, nil, fmt.Errorf("media %s: %w", h, err)
	}
	return m, file, nil
}

// fileName is the last element of a name that somebody gave, without what a file system or
// a header would stumble over.
func fileName(name string) string {
	name = path.Base(strings.ReplaceAll(strings.ToValidUTF8(name, ""), `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == '"' || r == 0x7f {
			return -1
		}
		return r
	}, name)
	if len(name) > 200 {
		name = strings.ToValidUTF8(name[:200], "")
	}
	if name == "" || name == "." || name == "/" || name == ".." {
		return "file"
	}
	return name
}
