package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type messageCommand struct {
	Send   messageSend   `cmd:"" help:"Send a message."`
	List   messageList   `cmd:"" help:"List the messages of a connection, both ways."`
	Show   messageShow   `cmd:"" help:"Show one message."`
	Status messageStatus `cmd:"" help:"Tell the platform what became of a message that it sent."`
}

type messageSend struct {
	inWorkspace
	Connection   contract.ConnectionID      `arg:"" help:"The connection to send on."`
	Conversation contract.ConversationID    `short:"c" placeholder:"ID" help:"The conversation, by the platform's name."`
	Text         string                     `short:"t" placeholder:"TEXT" help:"What to say, plain."`
	Media        []string                   `sep:"none" placeholder:"[KIND:]HANDLE" help:"Attach what was uploaded, shown as image, audio, voice, video or file (the default); repeat for more."`
	Role         contract.Role              `enum:"agent,bot,customer,system" default:"agent" help:"Who says it: ${enum}."`
	As           string                     `placeholder:"NAME" help:"The author's name."`
	AsID         contract.ContactID         `name:"as-id" placeholder:"ID" help:"The author's id, by the platform's name."`
	ReplyTo      contract.PlatformMessageID `placeholder:"ID" help:"The message it answers, by the platform's name."`
	File         string                     `short:"f" placeholder:"FILE" help:"Read the message as JSON from a file, or from standard input for -: {conversation, author, parts, reply_to}. The flags above then may not be given."`

	Strict         bool   `help:"Refuse the message rather than leave out or convert a part."`
	IdempotencyKey string `placeholder:"KEY" help:"Send the message once, however often this command is repeated with this key."`
}

func (c *messageSend) Run(ctx context.Context, s *session) error {
	m, err := c.message(s)
	if err != nil {
		return err
	}
	m.Strict, m.IdempotencyKey = m.Strict || c.Strict, c.IdempotencyKey
	accepted, err := s.connect().Send(ctx, c.Workspace, c.Connection, m)
	if err != nil {
		return err
	}
	return s.done(accepted, "message %s was accepted; command %s sends it", accepted.Message.ID, accepted.Command.ID)
}

// message makes the message of the flags or of the file.
func (c *messageSend) message(s *session) (m client.NewMessage, err error) {
	byFlags := c.Text != "" || len(c.Media) > 0 || c.Conversation != "" || c.ReplyTo != "" || c.As != "" || c.AsID != ""
	switch {
	case c.File != "" && byFlags:
		return m, &usageError{"--file stands beside flags that say what to send", "give either the file or the flags"}
	case c.File != "":
		return c.messageFile(s)
	case c.Conversation == "":
		return m, &usageError{"there is no conversation to send to", "give --conversation, or the whole message with --file"}
	case c.Text == "" && len(c.Media) == 0:
		return m, &usageError{"there is nothing to send", "give --text, --media or --file"}
	}
	m.Conversation.ID, m.ReplyTo = c.Conversation, c.ReplyTo
	m.Author.Role, m.Author.Contact.Name, m.Author.Contact.ID = c.Role, c.As, c.AsID
	if c.Text != "" {
		m.Parts = append(m.Parts, contract.Part{Kind: contract.PartText, Text: &contract.Text{Plain: c.Text}})
	}
	for _, media := range c.Media {
		kind, handle, both := strings.Cut(media, ":")
		if !both {
			kind, handle = string(contract.MediaFile), media
		}
		m.Parts = append(m.Parts, contract.Part{Kind: contract.PartMedia, Fallback: "[" + kind + "]",
			Media: &contract.Media{Kind: contract.MediaKind(kind), Handle: contract.MediaHandle(handle)}})
	}
	return m, nil
}

func (c *messageSend) messageFile(s *session) (m client.NewMessage, err error) {
	data, err := s.readInput(c.File)
	if err != nil {
		return m, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields() // a field that is misspelt must not go missing in silence
	if err := decoder.Decode(&m); err != nil {
		return m, &hinted{fmt.Errorf("%s is not a message: %w", c.File, err),
			`a message looks like {"conversation": {"id": "42"}, "author": {"role": "agent"}, "parts": [{"kind": "text", "text": {"plain": "Hello"}}]}`}
	}
	return m, nil
}

type messageList struct {
	inWorkspace
	pageFlags
	Connection   contract.ConnectionID   `arg:"" help:"The connection."`
	Conversation contract.ConversationID `short:"c" placeholder:"ID" help:"Only this conversation."`
}

func (c *messageList) Run(ctx context.Context, s *session) error {
	page, err := s.connect().Messages(ctx, c.Workspace, c.Connection,
		client.MessageFilter{Conversation: c.Conversation, Page: c.page()})
	if err != nil {
		return err
	}
	return listing(s, page,
		column[domain.Message]{"id", func(m domain.Message) string { return string(m.ID) }},
		column[domain.Message]{"at", func(m domain.Message) string { return when(m.CreatedAt) }},
		column[domain.Message]{"way", func(m domain.Message) string { return string(m.Direction) }},
		column[domain.Message]{"conversation", func(m domain.Message) string { return string(m.Conversation.ID) }},
		column[domain.Message]{"author", func(m domain.Message) string { return authorText(m.Author) }},
		column[domain.Message]{"status", func(m domain.Message) string { return string(m.Status) }},
		column[domain.Message]{"says", func(m domain.Message) string { return shorten(partsText(m.Parts), 60) }},
	)
}

type messageShow struct {
	inWorkspace
	ID contract.MessageID `arg:"" help:"The message."`
}

func (c *messageShow) Run(ctx context.Context, s *session) error {
	m, err := s.connect().Message(ctx, c.Workspace, c.ID)
	if err != nil {
		return err
	}
	return s.show(m, func() { showMessage(s, m) })
}

func showMessage(s *session, m domain.Message) {
	fields := []field{
		{"id", string(m.ID)}, {"platform id", string(m.PlatformID)}, {"way", string(m.Direction)},
		{"connection", string(m.Connection)}, {"conversation", string(m.Conversation.ID)},
		{"author", authorText(m.Author)}, {"status", string(m.Status)}, {"failure", failureText(m.Failure)},
		{"command", string(m.Command)}, {"reply to", string(m.ReplyTo)}, {"created", when(m.CreatedAt)},
	}
	for i, p := range m.Parts {
		fields = append(fields, field{fmt.Sprintf("part %d", i), string(p.Kind) + ": " + partText(p)})
	}
	for _, o := range m.Outcomes {
		fields = append(fields, field{fmt.Sprintf("part %d went", o.Index), strings.TrimSuffix(string(o.Fate)+": "+o.Note, ": ")})
	}
	printFields(s.stdout, fields...)
}

type messageStatus struct {
	inWorkspace
	ID     contract.MessageID     `arg:"" help:"The message, which came from the platform."`
	Status contract.MessageStatus `arg:"" enum:"delivered,read,failed" help:"What became of it: ${enum}."`
	Reason string                 `help:"Why, for failed."`
}

func (c *messageStatus) Run(ctx context.Context, s *session) error {
	queued, err := s.connect().ReportStatus(ctx, c.Workspace, c.ID, client.StatusReport{Status: c.Status, Reason: c.Reason})
	return s.queued(queued, err)
}

func authorText(a contract.Author) string {
	for _, name := range []string{a.Contact.Name, a.Contact.Login, string(a.Contact.ID)} {
		if name != "" {
			return string(a.Role) + " " + name
		}
	}
	return string(a.Role)
}

// partText is one part as plain words.
func partText(p contract.Part) string {
	switch {
	case p.Text != nil:
		return p.Text.Plain
	case p.Media != nil && p.Media.Missing != "":
		return "[" + p.Media.Name + ": " + p.Media.Missing + "]"
	case p.Media != nil:
		return strings.TrimSpace("[" + string(p.Media.Kind) + " " + p.Media.Name + " " + string(p.Media.Handle) + "]")
	}
	return p.Fallback
}

func partsText(parts []contract.Part) string {
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = partText(p)
	}
	return strings.Join(texts, " ")
}

// shorten cuts a text to at most n code points.
func shorten(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	return string(runes[:n-1]) + "…"
}

func failureText(f *contract.Failure) string {
	if f == nil {
		return ""
	}
	return strings.TrimSuffix(fmt.Sprintf("%s (%s): %s", f.Code, f.Class, f.Message), ": ")
}
