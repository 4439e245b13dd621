package emulator

import (
	"context"
	"fmt"
)

// Channel returns the business's channel with an app, the newest that is not deleted; nil
// if there is none.
func (b *Business) Channel(a *App) *Channel {
	b.p.mu.Lock()
	defer b.p.mu.Unlock()
	for _, ch := range b.p.channels {
		if ch.Business == b && ch.app == a && ch.state != "deleted" {
			return ch
		}
	}
	return nil
}

// WaitChannel waits until the business has an active channel with an app.
func (b *Business) WaitChannel(ctx context.Context, a *App) (*Channel, error) {
	var found *Channel
	err := b.p.WaitUntil(ctx, "the channel is active", func() bool {
		found = b.Channel(a)
		return found != nil && found.State() == "active"
	})
	return found, err
}

// State is where the channel stands.
func (ch *Channel) State() string {
	ch.p.mu.Lock()
	defer ch.p.mu.Unlock()
	return ch.state
}

// SetState has the channel enter a state, and the app told of it.
func (ch *Channel) SetState(ctx context.Context, state string) (Answer, error) {
	ch.p.mu.Lock()
	ch.state = state
	cb := ch.callback(state)
	ch.p.mu.Unlock()
	ch.p.rec.Wake()
	return ch.p.send(ctx, cb)
}

// Session returns the session of a person, or nil.
func (ch *Channel) Session(external string) *Session {
	ch.p.mu.Lock()
	defer ch.p.mu.Unlock()
	for _, s := range ch.p.sessions {
		if s.Channel == ch && s.External == external && s.state != "deleted" {
			return s
		}
	}
	return nil
}

// AddSession makes a session that no app asked for, or that one forgot.
func (ch *Channel) AddSession(contact, external, state string) *Session {
	ch.p.mu.Lock()
	defer ch.p.mu.Unlock()
	s := &Session{p: ch.p, UID: ch.p.uuid(), Channel: ch, Contact: contact, External: external, state: state}
	ch.p.sessions[s.UID] = s
	return s
}

// State is where the session stands.
func (s *Session) State() string {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	return s.state
}

// SetState has the session enter a state, and the app told of it.
func (s *Session) SetState(ctx context.Context, state string) (Answer, error) {
	s.p.mu.Lock()
	s.state = state
	cb := s.callback(state)
	s.p.mu.Unlock()
	s.p.rec.Wake()
	return s.p.send(ctx, cb)
}

// Message returns what is known of a message.
func (ch *Channel) Message(uid string) (Message, bool) {
	ch.p.mu.Lock()
	defer ch.p.mu.Unlock()
	m := ch.messages[uid]
	if m == nil {
		return Message{}, false
	}
	return *m, true
}

// Messages lists the messages that match accepts; nil takes all.
func (ch *Channel) Messages(match func(Message) bool) []Message {
	ch.p.mu.Lock()
	defer ch.p.mu.Unlock()
	var list []Message
	for _, m := range ch.messages {
		if match == nil || match(*m) {
			list = append(list, *m)
		}
	}
	return list
}

// WaitMessage waits for a message that match accepts.
func (ch *Channel) WaitMessage(ctx context.Context, match func(Message) bool) (Message, error) {
	var found []Message
	err := ch.p.WaitUntil(ctx, "the message is there", func() bool {
		found = ch.Messages(match)
		return len(found) > 0
	})
	if err != nil {
		return Message{}, err
	}
	return found[0], nil
}

// Say is a message of the business's.
type Say struct {
	// External is the person.
	External string
	Text     string
	// UID is message_uid; empty is made up.
	UID string
	// Attachments is sent as it is; nil sends none.
	Attachments any
}

// Say has the business write to a customer, and returns the message's uid.
func (ch *Channel) Say(ctx context.Context, s Say) (string, Answer, error) {
	ch.p.mu.Lock()
	if s.UID == "" {
		s.UID = ch.p.uuid()
	}
	ch.messages[s.UID] = &Message{UID: s.UID, External: s.External, Text: s.Text, Direction: "business_to_client", Status: "pending", Attachments: s.Attachments}
	body := map[string]any{"external_uid": s.External, "message": s.Text, "message_uid": s.UID, "channel_uid": ch.UID, "status": "pending"}
	if s.Attachments != nil {
		body["attachments"] = s.Attachments
	}
	cb := callback{CallbackMessage, "POST", ch.app.url("messages"), body}
	ch.p.mu.Unlock()
	answer, err := ch.p.send(ctx, cb)
	return s.UID, answer, err
}

// Report tells the app of a status of a customer's message, such as "read".
func (ch *Channel) Report(ctx context.Context, uid, status string) (Answer, error) {
	ch.p.mu.Lock()
	if m := ch.messages[uid]; m != nil {
		m.Status = status
	}
	cb := ch.status(uid, status)
	ch.p.mu.Unlock()
	return ch.p.send(ctx, cb)
}

// Type tells the app that somebody of the business types to a person, or stopped.
func (s *Session) Type(ctx context.Context, on bool) (Answer, error) {
	s.p.mu.Lock()
	path := "sessions/" + s.UID + "/typing"
	if s.p.opts.TypingAtRoot {
		path = s.UID + "/typing"
	}
	cb := callback{CallbackTyping, "POST", s.Channel.app.url(path), map[string]any{"typing": on}}
	s.p.mu.Unlock()
	return s.p.send(ctx, cb)
}

// Landing is the address that the platform opens in its iframe for the business.
func (b *Business) Landing(a *App) string {
	b.p.mu.Lock()
	defer b.p.mu.Unlock()
	return fmt.Sprintf("%s?brand_host=%s&business_uid=%s&staff_uid=staff0000000001", a.base, BrandHost, b.UID)
}
