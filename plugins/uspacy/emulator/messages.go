package emulator

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Message is one message of a chat.
type Message struct {
	ID               string            `json:"id"`
	ChatID           string            `json:"chatId"`
	Timestamp        int64             `json:"timestamp"`
	UpdateTimestamp  int64             `json:"updateTimestamp,omitempty"`
	AuthorID         int64             `json:"authorId"`
	ExternalAuthorID string            `json:"externalAuthorId,omitempty"`
	ExternalID       string            `json:"externalId,omitempty"`
	Text             string            `json:"message"`
	Type             string            `json:"type"`
	ExternalLine     json.RawMessage   `json:"externalLine,omitempty"`
	AttachedFiles    []json.RawMessage `json:"attachedFiles"`
	ParentMessage    *Message          `json:"parentMessage,omitempty"`
	ReadBy           []int64           `json:"readBy"`
	Mentioned        []int64           `json:"mentioned"`
	Status           string            `json:"status,omitempty"`
	StatusText       *string           `json:"statusText,omitempty"`
	Meta             json.RawMessage   `json:"meta,omitempty"`

	line string
}

// newMessage is the body of message.create.
type newMessage struct {
	Message          *string
	ChatID           string
	Type             string
	ExternalLine     string
	ExternalAuthorID string
	ExternalID       string
	ID               string
	Timestamp        json.Number
	ParentMessage    string
	AttachedFiles    []json.RawMessage
	Mentioned        []string
	ReadBy           []int64
	Meta             json.RawMessage
}

var messageTypes = []string{"MESSAGE", "AUDIO", "VOICE", "VIDEO", "GIF"}

// createMessage takes a customer's message.
func (q *request) createMessage() (int, any) {
	var in newMessage
	if why := q.into(&in); why != "" {
		return http.StatusBadRequest, nestError(400, why)
	}
	if in.Message == nil || in.ChatID == "" || !slices.Contains(messageTypes, in.Type) ||
		in.ExternalLine == "" || in.ExternalAuthorID == "" {
		q.o.p.rec.Violation("a message lacks message, chatId, type, externalLine or externalAuthorId: %s", q.body)
		return http.StatusBadRequest, nestError(400, "message, chatId and type are needed")
	}
	if q.o.p.opts.Chat.NeedText && *in.Message == "" {
		return http.StatusBadRequest, nestError(400, "message should not be empty")
	}
	q.o.p.mu.Lock()
	status, answer, m := q.o.addCustomers(in)
	var event string
	if m != nil && !q.o.p.opts.Chat.NoEcho {
		event = q.o.event("create", m)
	}
	q.o.p.mu.Unlock()
	if event != "" {
		q.o.p.publish(event)
	}
	return status, answer
}

// addCustomers keeps a customer's message. The caller holds mu.
func (o *Portal) addCustomers(in newMessage) (int, any, *Message) {
	chat := o.chat(in.ChatID)
	switch {
	case chat == nil:
		return http.StatusNotFound, nestError(404, "Chat not found"), nil
	case o.line(in.ExternalLine) == nil:
		return http.StatusNotFound, nestError(404, "External line not found"), nil
	case !slices.Contains(chat.lineIDs, in.ExternalLine):
		o.p.rec.Violation("a message for chat %s came by the line %s", in.ChatID, in.ExternalLine)
		return http.StatusBadRequest, nestError(400, "the chat is of another line"), nil
	}
	for _, known := range o.messages {
		if in.ExternalID != "" && known.ExternalID == in.ExternalID {
			status := o.p.opts.Chat.DuplicateStatus
			return status, nestError(status, fmt.Sprintf(
				"E11000 duplicate key error collection: messenger.messages index: externalId_1 dup key: { externalId: %q }", in.ExternalID)), nil
		}
	}
	at, err := in.Timestamp.Int64()
	if err != nil || at < 1e12 {
		o.p.rec.Violation("the timestamp %q is not in milliseconds", in.Timestamp)
		at = millis(o.p.now())
	}
	m := &Message{
		ID: o.p.newID(), ChatID: in.ChatID, Timestamp: at, ExternalAuthorID: in.ExternalAuthorID, ExternalID: in.ExternalID,
		Text: *in.Message, Type: in.Type, AttachedFiles: in.AttachedFiles, ReadBy: []int64{}, Mentioned: []int64{}, Meta: in.Meta,
		line: in.ExternalLine,
	}
	o.checkFiles(in.AttachedFiles)
	if in.ParentMessage != "" {
		parent := o.message(in.ParentMessage)
		if parent == nil {
			return http.StatusBadRequest, nestError(400, "parentMessage is unknown"), nil
		}
		m.ParentMessage = parent
	}
	o.messages = append(o.messages, m)
	return http.StatusCreated, o.read(m), m
}

// checkFiles notes attachments that are not file objects as the upload answered them.
func (o *Portal) checkFiles(files []json.RawMessage) {
	for _, raw := range files {
		var f struct {
			ID  int64
			URL string
		}
		known := json.Unmarshal(raw, &f) == nil && slices.ContainsFunc(o.files, func(file *File) bool { return file.ID == f.ID })
		if !known || f.URL == "" {
			o.p.rec.Violation("the attachment %s is no file object of this portal", raw)
		}
	}
}

// message finds a message. The caller holds mu.
func (o *Portal) message(id string) *Message {
	if i := slices.IndexFunc(o.messages, func(m *Message) bool { return m.ID == id }); i >= 0 {
		return o.messages[i]
	}
	return nil
}

// read is a message as it is read. The caller holds mu.
func (o *Portal) read(m *Message) Message {
	shown := *m
	if o.p.opts.Chat.HideExternalID {
		shown.ExternalID = ""
	}
	if shown.AttachedFiles == nil {
		shown.AttachedFiles = []json.RawMessage{}
	}
	line := o.line(m.line)
	switch {
	case line == nil || o.p.opts.Chat.LineAsID:
		shown.ExternalLine = encode(m.line)
	default:
		shown.ExternalLine = encode(line)
	}
	return shown
}

func (q *request) getMessage() (int, any) {
	q.o.p.mu.Lock()
	defer q.o.p.mu.Unlock()
	m := q.o.message(q.id)
	if m == nil {
		return http.StatusNotFound, nestError(404, "Message not found")
	}
	return http.StatusOK, q.o.read(m)
}

// listMessages answers a page of a chat, newest first; with dir=prev, those before
// lastTimestamp.
func (q *request) listMessages() (int, any) {
	query := q.r.URL.Query()
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil || limit < 1 || limit > 100 {
		limit = 50
	}
	before, _ := strconv.ParseInt(query.Get("lastTimestamp"), 10, 64)
	q.o.p.mu.Lock()
	defer q.o.p.mu.Unlock()
	if q.o.chat(query.Get("chatId")) == nil {
		return http.StatusNotFound, nestError(404, "Chat not found")
	}
	list := []Message{}
	for _, m := range q.o.messages {
		if m.ChatID == query.Get("chatId") && (before == 0 || query.Get("dir") != "prev" || m.Timestamp < before) {
			list = append(list, q.o.read(m))
		}
	}
	slices.SortStableFunc(list, func(a, b Message) int { return int(b.Timestamp - a.Timestamp) })
	return http.StatusOK, list[:min(limit, len(list))]
}

func (q *request) editMessage() (int, any) {
	var in struct {
		ID            string
		Message       *string
		AttachedFiles []json.RawMessage
	}
	if why := q.into(&in); why != "" || in.ID == "" || in.Message == nil {
		q.o.p.rec.Violation("an edit lacks id or message: %s", q.body)
		return http.StatusBadRequest, nestError(400, "id and message are needed")
	}
	m, ok := q.o.change(in.ID, func(m *Message) { m.Text = *in.Message })
	if !ok {
		return http.StatusNotFound, nestError(404, "Message not found")
	}
	return http.StatusOK, m
}

// change edits a message and tells of it.
func (o *Portal) change(id string, edit func(*Message)) (Message, bool) {
	o.p.mu.Lock()
	m := o.message(id)
	if m == nil {
		o.p.mu.Unlock()
		return Message{}, false
	}
	edit(m)
	m.UpdateTimestamp = max(millis(o.p.now()), m.UpdateTimestamp+1)
	shown, event := o.read(m), o.event("update", m)
	o.p.mu.Unlock()
	o.p.publish(event)
	return shown, true
}

func (q *request) deleteMessage() (int, any) {
	m, ok := q.o.remove(q.id)
	if !ok {
		return http.StatusNotFound, nestError(404, "Message not found")
	}
	return http.StatusOK, m
}

// remove takes a message away and tells of it.
func (o *Portal) remove(id string) (Message, bool) {
	o.p.mu.Lock()
	m := o.message(id)
	if m == nil {
		o.p.mu.Unlock()
		return Message{}, false
	}
	o.messages = slices.DeleteFunc(o.messages, func(m *Message) bool { return m.ID == id })
	shown, event := o.read(m), o.event("delete", m)
	o.p.mu.Unlock()
	o.p.publish(event)
	return shown, true
}

var statuses = []string{"sent", "delivered", "read", "error"}

func (q *request) setStatus() (int, any) {
	var in struct {
		Status     string
		StatusText *string
	}
	if why := q.into(&in); why != "" || !slices.Contains(statuses, in.Status) {
		q.o.p.rec.Violation("a status is malformed: %s", q.body)
		return http.StatusBadRequest, nestError(400, "status is needed")
	}
	q.o.p.mu.Lock()
	defer q.o.p.mu.Unlock()
	m := q.o.message(q.id)
	if m == nil {
		return http.StatusNotFound, nestError(404, "Message not found")
	}
	if at := slices.Index(statuses, m.Status); at > slices.Index(statuses, in.Status) && m.Status != "error" {
		q.o.p.rec.Violation("the status of %s went back from %s to %s", m.ID, m.Status, in.Status)
	}
	m.Status, m.StatusText = in.Status, in.StatusText
	return http.StatusOK, q.o.read(m)
}

// Messages returns the messages of a chat, oldest first.
func (o *Portal) Messages(chat string) []Message {
	o.p.mu.Lock()
	defer o.p.mu.Unlock()
	var list []Message
	for _, m := range o.messages {
		if m.ChatID == chat {
			list = append(list, o.read(m))
		}
	}
	return list
}

// WaitMessage returns the first message of any chat that match accepts, past or to come.
func (o *Portal) WaitMessage(ctx context.Context, match func(Message) bool) (Message, error) {
	var found Message
	err := o.p.rec.Until(ctx, func() bool {
		o.p.mu.Lock()
		defer o.p.mu.Unlock()
		i := slices.IndexFunc(o.messages, func(m *Message) bool { return match(o.read(m)) })
		if i >= 0 {
			found = o.read(o.messages[i])
		}
		return i >= 0
	})
	if err != nil {
		return Message{}, fmt.Errorf("emulator: the message did not come (%s): %w", strings.TrimSpace(o.p.Summary()), err)
	}
	return found, nil
}
