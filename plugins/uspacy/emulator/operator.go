package emulator

import (
	"encoding/json"
	"fmt"
)

// Reply is what an operator writes.
type Reply struct {
	// Chat is where.
	Chat string
	// Text is Markdown; may be empty with files.
	Text string
	// Type is the message's; empty means "MESSAGE".
	Type string
	// Files are the attachments' names and bytes.
	Files []NewFile
	// Parent is the message that is quoted; empty for none.
	Parent string
	// Author is the portal user; 0 means 18.
	Author int64
	// Quiet publishes no event, as when SNS gave up.
	Quiet bool
	// At is the message's timestamp in milliseconds; 0 means now.
	At int64
}

// NewFile is an attachment of an operator.
type NewFile struct {
	Name    string
	Content []byte
	// URL replaces the link; empty links to this platform.
	URL string
}

// Reply writes an operator's message and publishes it.
func (o *Portal) Reply(r Reply) (Message, error) {
	o.p.mu.Lock()
	m, err := o.reply(r)
	if err != nil {
		o.p.mu.Unlock()
		return Message{}, err
	}
	shown, event := o.read(m), o.event("create", m)
	o.p.mu.Unlock()
	o.p.rec.Wake()
	if !r.Quiet {
		o.p.publish(event)
	}
	return shown, nil
}

// reply keeps an operator's message. The caller holds mu.
func (o *Portal) reply(r Reply) (*Message, error) {
	chat := o.chat(r.Chat)
	if chat == nil {
		return nil, fmt.Errorf("emulator: there is no chat %q", r.Chat)
	}
	m := &Message{
		ID: o.p.newID(), ChatID: chat.ID, Timestamp: r.At, AuthorID: r.Author, Text: r.Text, Type: r.Type,
		ReadBy: []int64{r.Author}, Mentioned: []int64{}, line: chat.lineIDs[0],
	}
	if m.Timestamp == 0 {
		m.Timestamp = millis(o.p.now())
	}
	if m.AuthorID == 0 {
		m.AuthorID, m.ReadBy = 18, []int64{18}
	}
	if m.Type == "" {
		m.Type = "MESSAGE"
	}
	if r.Parent != "" {
		if m.ParentMessage = o.message(r.Parent); m.ParentMessage == nil {
			return nil, fmt.Errorf("emulator: there is no message %q", r.Parent)
		}
	}
	for _, f := range r.Files {
		file := o.keepFile(f.Name, f.Content, "message", m.ID)
		if f.URL != "" {
			file.URL = f.URL
		}
		m.AttachedFiles = append(m.AttachedFiles, encode(file))
	}
	chat.Assigned, chat.Active = true, true
	o.messages = append(o.messages, m)
	return m, nil
}

// Edit has an operator change a message.
func (o *Portal) Edit(id, text string) error {
	if _, ok := o.change(id, func(m *Message) { m.Text = text }); !ok {
		return fmt.Errorf("emulator: there is no message %q", id)
	}
	return nil
}

// Delete has an operator take a message away.
func (o *Portal) Delete(id string) error {
	if _, ok := o.remove(id); !ok {
		return fmt.Errorf("emulator: there is no message %q", id)
	}
	return nil
}

// Publish publishes an event as it is.
func (o *Portal) Publish(event string) { o.p.publish(event) }

// event is what is published about a message. The caller holds mu.
func (o *Portal) event(action string, m *Message) string {
	message := json.RawMessage(encode(o.read(m)))
	var event map[string]any
	switch o.p.opts.Chat.Wrapper {
	case "root":
		return string(message)
	case "data":
		event = map[string]any{"data": message}
	case "data.entity":
		event = map[string]any{"data": map[string]any{"entity": message, "service": "messenger", "user_id": m.AuthorID}}
	case "message":
		event = map[string]any{"message": message}
	case "payload.data":
		event = map[string]any{"payload": map[string]any{"data": message}}
	default:
		event = map[string]any{"payload": message, "entity": "message"}
	}
	event["service"], event["action"] = "messenger", action
	return string(encode(event))
}
