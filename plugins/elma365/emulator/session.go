package emulator

import (
	"context"
	"fmt"
	"slices"
)

// SessionState says where a live-chat session stands. The messenger is never told.
type SessionState string

// The states of a session, as far as the emulator has them.
const (
	SessionWaiting  SessionState = "Waiting"
	SessionOperator SessionState = "AssignedToOperator"
	SessionClosed   SessionState = "Closed"
)

// Session is one live-chat session.
type Session struct {
	// Chat is the messenger's conversation (externalChatId).
	Chat string
	// Name is what the operator sees (externalChatName).
	Name     string
	State    SessionState
	Messages []Message
}

// Message is one customer's message, as the platform took it.
type Message struct {
	// ID is the messenger's (externalMessageId).
	ID   string
	Chat string
	// User is the messenger's name for its author (externalUserId).
	User  string
	Text  string
	Files []ReceivedFile
	// Posts counts how often the messenger posted it.
	Posts int
	// Processed tells that the files were downloaded, or given up on.
	Processed bool
	// Read tells that an operator read it.
	Read bool
}

// session is a [Session] that is still being written.
type session struct {
	chat, name string
	state      SessionState
	messages   []*Message
}

// snapshot copies a session. The caller holds p.mu.
func (s *session) snapshot() Session {
	out := Session{Chat: s.chat, Name: s.name, State: s.state}
	for _, m := range s.messages {
		out.Messages = append(out.Messages, m.snapshot())
	}
	return out
}

// snapshot copies a message. The caller holds p.mu.
func (m *Message) snapshot() Message {
	out := *m
	out.Files = slices.Clone(m.Files)
	return out
}

// Sessions returns the channel's sessions, oldest first, closed ones included.
func (c *Channel) Sessions() []Session {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	out := make([]Session, len(c.sessions))
	for i, s := range c.sessions {
		out[i] = s.snapshot()
	}
	return out
}

// Session returns the newest session of a chat.
func (c *Channel) Session(chat string) (Session, bool) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	for _, s := range slices.Backward(c.sessions) {
		if s.chat == chat {
			return s.snapshot(), true
		}
	}
	return Session{}, false
}

// CloseSession closes the open session of a chat; the next message opens a new one.
func (c *Channel) CloseSession(chat string) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if s := c.open[chat]; s != nil {
		s.state = SessionClosed
		delete(c.open, chat)
	}
}

// Message returns a customer's message by the messenger's id.
func (c *Channel) Message(id string) (Message, bool) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if m := c.messages[id]; m != nil {
		return m.snapshot(), true
	}
	return Message{}, false
}

// WaitMessage returns the first processed message that match accepts, past or to come.
func (c *Channel) WaitMessage(ctx context.Context, match func(Message) bool) (Message, error) {
	var found Message
	err := c.p.rec.Until(ctx, func() bool {
		for _, s := range c.Sessions() {
			for _, m := range s.Messages {
				if m.Processed && match(m) {
					found = m
					return true
				}
			}
		}
		return false
	})
	if err != nil {
		return Message{}, fmt.Errorf("emulator: no such message came (exchanges %s): %w", c.p.Summary(), err)
	}
	return found, nil
}

// take files a message in its session and tells whether it is new. A repeat with the
// same id is counted, not filed again; with other content it breaks the protocol.
func (c *Channel) take(d messageData) bool {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if m := c.messages[d.ID]; m != nil {
		m.Posts++
		if m.Text != d.Text || m.Chat != d.Chat || len(m.Files) != len(d.Files) {
			c.p.rec.Violation("message %q was repeated with other content", d.ID)
		}
		return false
	}
	s := c.open[d.Chat]
	if s == nil {
		s = &session{chat: d.Chat, state: SessionWaiting}
		c.sessions = append(c.sessions, s)
		c.open[d.Chat] = s
	}
	s.name = d.ChatName
	m := &Message{ID: d.ID, Chat: d.Chat, User: d.User, Text: d.Text, Files: d.received(), Posts: 1}
	s.messages = append(s.messages, m)
	c.messages[d.ID], c.users[d.User] = m, true
	return true
}

// assign gives the open session of a chat to an operator.
func (c *Channel) assign(chat string) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if s := c.open[chat]; s != nil {
		s.state = SessionOperator
	}
}

// knows tells whether somebody has written on the channel.
func (c *Channel) knows(user string) bool {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	return c.users[user]
}
