package emulator

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Channel is one app at one business.
type Channel struct {
	p *Platform
	// UID is channel_uid, 36 characters.
	UID      string
	Business *Business
	app      *App
	state    string
	kind     string
	name     string
	open     bool
	messages map[string]*Message // by message_uid
}

// Session is one channel with one client.
type Session struct {
	p *Platform
	// UID is session_uid.
	UID               string
	Channel           *Channel
	Contact, External string
	state             string
}

// Message is one message, of a customer or of the business.
type Message struct {
	// UID is message_uid: the app's own for a customer's message.
	UID, External, Contact, Text, Direction, CreatedAt string
	// Status is how far it got.
	Status string
	// Attachments and ContactData are as the app sent them.
	Attachments, ContactData any
}

// mine returns a channel of the calling app, or a refusal.
func (c *call) mine(uid string) (*Channel, *reply) {
	ch := c.p.channels[uid]
	if ch == nil || ch.app != c.who.app || ch.state == "deleted" {
		wrong := refuse(404, "invalid", "no such channel")
		return nil, &wrong
	}
	if c.who.business != nil && c.who.business != ch.Business {
		wrong := refuse(401, "unauthorized", "Unauthorized")
		return nil, &wrong
	}
	return ch, nil
}

func (ch *Channel) callback(status string) callback {
	return callback{CallbackChannel, "PUT", ch.app.url("channels/" + ch.UID), map[string]any{"status": status}}
}

// enter has a channel enter a state, and the app told of it. mu is held.
func (c *call) channelEnters(ch *Channel, state string) {
	ch.state = cmp.Or(c.step.Outcome, state)
	c.after = append(c.after, ch.callback(ch.state))
}

func (c *call) createChannel() reply {
	if wrong := c.missing("business_uid", "type"); wrong != nil {
		return *wrong
	}
	b := c.p.businesses[c.text("business_uid")]
	if b == nil || c.who.business != nil && c.who.business != b {
		return refuse(401, "unauthorized", "Unauthorized")
	}
	if kind := c.text("type"); kind != "transactional" && kind != "promotional" {
		return refuse(422, "invalid", "type is invalid")
	}
	ch := &Channel{
		p: c.p, UID: c.p.uuid(), Business: b, app: c.who.app, kind: c.text("type"), name: c.text("display_name"),
		open: c.who.app.open, messages: map[string]*Message{},
	}
	c.p.channels[ch.UID] = ch
	c.channelEnters(ch, "active")
	return good(201, map[string]any{"channel": map[string]any{"uid": ch.UID, "status": "pending", "display_name": ch.name}})
}

func (c *call) updateChannel() reply {
	ch, wrong := c.mine(c.r.PathValue("uid"))
	if wrong != nil {
		return *wrong
	}
	if open, ok := c.body["open_channel"].(bool); ok {
		ch.open = open
	}
	if to := c.text("app_uid"); to != "" {
		return c.move(ch, to)
	}
	if state := c.text("status"); state != "" {
		c.channelEnters(ch, state)
	}
	return good(200, map[string]any{})
}

// move gives a channel to another app.
func (c *call) move(ch *Channel, codeName string) reply {
	for _, app := range c.p.apps {
		if app.CodeName == codeName {
			ch.app = app
			return good(200, map[string]any{})
		}
	}
	return refuse(422, "invalid", "no such app")
}

func (c *call) deleteChannel() reply {
	ch, wrong := c.mine(c.r.PathValue("uid"))
	if wrong != nil {
		return *wrong
	}
	ch.state = "deleted"
	for _, s := range c.p.sessions {
		if s.Channel == ch {
			s.state = "deleted"
		}
	}
	return good(200, map[string]any{})
}

func (s *Session) callback(status string) callback {
	return callback{CallbackSession, "PUT", s.Channel.app.url("sessions/" + s.UID), map[string]any{"status": status}}
}

func (s *Session) document() map[string]any {
	return map[string]any{
		"uid": s.UID, "status": s.state, "ai_status": "none", "channel_uid": s.Channel.UID, "contact_uid": s.Contact, "external_uid": s.External,
	}
}

func (c *call) createSession() reply {
	if wrong := c.missing("business_uid", "channel_uid", "contact_uid", "external_uid"); wrong != nil {
		return *wrong
	}
	ch, wrong := c.mine(c.text("channel_uid"))
	if wrong != nil {
		return *wrong
	}
	if ch.state != "active" {
		return refuse(422, "invalid", "Channel is not active")
	}
	if ch.Business.UID != c.text("business_uid") || ch.Business.client(c.text("contact_uid")) == nil {
		return refuse(422, "invalid", "contact does not belong to the business")
	}
	for _, s := range c.p.sessions {
		if s.Channel == ch && s.state != "deleted" && (s.Contact == c.text("contact_uid") || s.External == c.text("external_uid")) {
			return refuse(422, "invalid", "Session already exists for this contact")
		}
	}
	s := &Session{p: c.p, UID: c.p.uuid(), Channel: ch, Contact: c.text("contact_uid"), External: c.text("external_uid"), state: "pending"}
	c.p.sessions[s.UID] = s
	answer := good(201, map[string]any{"session": s.document()})
	s.state = cmp.Or(c.step.Outcome, "inactive")
	c.after = append(c.after, s.callback(s.state))
	return answer
}

// filter reads a parameter of the list of sessions, in either form.
func (c *call) filter(q url.Values, name string) string {
	if c.p.opts.PlainFilters {
		return q.Get(name)
	}
	return cmp.Or(q.Get("filter["+name+"]"), q.Get(name))
}

func (c *call) listSessions() reply {
	q := c.r.URL.Query()
	if c.p.opts.PlainFilters && strings.Contains(c.r.URL.RawQuery, "filter%5B") {
		return refuse(400, "invalid", "unknown parameter filter")
	}
	ch, wrong := c.mine(c.filter(q, "channel_uid"))
	if wrong != nil {
		return *wrong
	}
	if c.filter(q, "business_uid") != ch.Business.UID {
		return refuse(400, "missing", "business_uid is missing")
	}
	list := []any{}
	for _, s := range c.p.sessions {
		if s.Channel == ch && s.state != "deleted" && (c.filter(q, "contact_uid") == "" || c.filter(q, "contact_uid") == s.Contact) {
			list = append(list, s.document())
		}
	}
	return good(200, map[string]any{"sessions": list})
}

// session returns a session of the calling app, or a refusal.
func (c *call) session(uid string) (*Session, *reply) {
	s := c.p.sessions[uid]
	if s == nil || s.state == "deleted" {
		wrong := refuse(404, "invalid", "no such session")
		return nil, &wrong
	}
	if _, wrong := c.mine(s.Channel.UID); wrong != nil {
		return nil, wrong
	}
	return s, nil
}

// updateSession asks a session to enter a state; the callback confirms or refuses it. The
// answer says that it has, which is provisional.
func (c *call) updateSession() reply {
	s, wrong := c.session(c.r.PathValue("uid"))
	if wrong != nil {
		return *wrong
	}
	state := c.text("status")
	if !slices.Contains([]string{"active", "inactive", "deleted"}, state) {
		return refuse(422, "invalid", "status is invalid")
	}
	s.state = cmp.Or(c.step.Outcome, state)
	c.after = append(c.after, s.callback(s.state))
	answer := s.document()
	answer["status"] = state
	return good(200, map[string]any{"session": answer})
}

func (c *call) deleteSession() reply {
	s, wrong := c.session(c.r.PathValue("uid"))
	if wrong != nil {
		return *wrong
	}
	s.state = "deleted"
	return good(200, map[string]any{})
}

func (ch *Channel) status(uid, status string) callback {
	return callback{CallbackStatus, "PUT", ch.app.url("messages/" + url.PathEscape(uid)), map[string]any{"status": status, "channel_uid": ch.UID}}
}

// createMessage takes a customer's message, and reports what became of it.
func (c *call) createMessage() reply {
	if wrong := c.missing("channel_uid", "external_uid", "message", "message_uid"); wrong != nil {
		return *wrong
	}
	ch, wrong := c.mine(c.text("channel_uid"))
	if wrong != nil {
		return *wrong
	}
	m := &Message{
		UID: c.text("message_uid"), External: c.text("external_uid"), Contact: c.text("contact_uid"), Text: c.text("message"),
		Direction: c.text("direction"), CreatedAt: c.text("created_at"), Attachments: c.body["attachments"], ContactData: c.body["contact_data"],
	}
	c.checkMessage(m)
	if ch.messages[m.UID] != nil {
		return refuse(422, "already_exists", "message_uid has been taken")
	}
	if !ch.open && !ch.talks(m.External) || ch.state != "active" {
		return refuse(422, "invalid", "there is no active session")
	}
	m.Status = cmp.Or(c.step.Outcome, "received")
	ch.messages[m.UID] = m
	c.after = append(c.after, ch.status(m.UID, m.Status))
	return good(201, map[string]any{"message": map[string]any{"uid": c.p.uuid(), "status": "pending"}})
}

// checkMessage notes what of a message is against the protocol.
func (c *call) checkMessage(m *Message) {
	if len(m.UID) > 255 {
		c.p.rec.Violation("message_uid has %d bytes", len(m.UID))
	}
	if m.Direction != "client_to_business" && m.Direction != "business_to_client" && m.Direction != "" {
		c.p.rec.Violation("direction is %q", m.Direction)
	}
	if _, err := time.Parse("2006-01-02 15:04:05", m.CreatedAt); err != nil && m.CreatedAt != "" {
		c.p.rec.Violation("created_at is %q", m.CreatedAt)
	}
	data, _ := m.ContactData.(map[string]any)
	for name, value := range data {
		if _, ok := value.(string); !ok {
			c.p.rec.Violation("contact_data.%s is no text", name)
		}
	}
}

// talks tells whether a person has an active session.
func (ch *Channel) talks(external string) bool {
	for _, s := range ch.p.sessions {
		if s.Channel == ch && s.External == external && s.state == "active" {
			return true
		}
	}
	return false
}

var statuses = []string{"pending", "channel_pending", "sent", "received", "read", "error", "unavailable"}

// updateMessage is told how far a business's message got.
func (c *call) updateMessage() reply {
	if wrong := c.missing("status", "channel_uid"); wrong != nil {
		return *wrong
	}
	ch, wrong := c.mine(c.text("channel_uid"))
	if wrong != nil {
		return *wrong
	}
	m := ch.messages[c.r.PathValue("uid")]
	if m == nil {
		return refuse(404, "invalid", "no such message")
	}
	if !slices.Contains(statuses, c.text("status")) {
		return refuse(422, "invalid", "status is invalid")
	}
	m.Status = c.text("status")
	return good(200, map[string]any{})
}

func (c *call) typing() reply {
	if wrong := c.missing("session_uid"); wrong != nil {
		return *wrong
	}
	if _, wrong := c.session(c.text("session_uid")); wrong != nil {
		return *wrong
	}
	if _, ok := c.body["typing"].(bool); !ok {
		c.p.rec.Violation("typing is neither true nor false")
	}
	return good(200, map[string]any{})
}
