package emulator

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Chat is one conversation of the messenger.
type Chat struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Type       string     `json:"type"`
	PictureURL string     `json:"pictureUrl"`
	Members    []int64    `json:"members"`
	Lines      []Line     `json:"externalLines"`
	Meta       []ChatMeta `json:"meta"`
	Timestamp  int64      `json:"timestamp"`
	Active     bool       `json:"active"`
	Assigned   bool       `json:"assigned"`
	CreatedAt  string     `json:"createdAt"`

	lineIDs []string
}

// ChatMeta is something known of the customer.
type ChatMeta struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

func (q *request) createChat() (int, any) {
	var in struct {
		Members       *[]int64
		Type          string
		Name          string
		PictureURL    string
		ExternalLines []string
		Meta          []ChatMeta
		GroupID       int64
		OwnerID       int64
	}
	if why := q.into(&in); why != "" {
		return http.StatusBadRequest, nestError(400, why)
	}
	if in.Members == nil || in.Type != "EXTERNAL" || in.Name == "" || len(in.ExternalLines) == 0 {
		q.o.p.rec.Violation("a chat lacks members, name or lines, or is not EXTERNAL: %s", q.body)
		return http.StatusBadRequest, nestError(400, "members, name, type and externalLines are needed")
	}
	if q.o.p.opts.Chat.NeedMembers && len(*in.Members) == 0 {
		return http.StatusBadRequest, nestError(400, "members should not be empty")
	}
	q.o.p.mu.Lock()
	defer q.o.p.mu.Unlock()
	now := q.o.p.now()
	chat := &Chat{
		ID: q.o.p.newID(), Name: in.Name, Type: in.Type, PictureURL: in.PictureURL, Members: *in.Members, Meta: in.Meta,
		Timestamp: millis(now), Active: true, CreatedAt: now.UTC().Format(time.RFC3339), lineIDs: in.ExternalLines,
	}
	for _, id := range in.ExternalLines {
		if q.o.line(id) == nil {
			return http.StatusNotFound, nestError(404, "External line not found")
		}
	}
	q.o.chats = append(q.o.chats, chat)
	return http.StatusCreated, q.o.shown(chat)
}

// shown is a chat as it is answered. The caller holds mu.
func (o *Portal) shown(c *Chat) Chat {
	shown := *c
	shown.Lines = []Line{}
	for _, id := range c.lineIDs {
		if line := o.line(id); line != nil {
			shown.Lines = append(shown.Lines, *line)
		}
	}
	return shown
}

// listChats answers the chats of the lines and the name that the query asks for, page by page.
func (q *request) listChats() (int, any) {
	query := q.r.URL.Query()
	if query.Get("type") != "EXTERNAL" {
		q.o.p.rec.Violation("chats were listed with type %q", query.Get("type"))
	}
	lines := query["externalLineIds"]
	from, _ := strconv.ParseInt(query.Get("createdAtFrom"), 10, 64)
	q.o.p.mu.Lock()
	defer q.o.p.mu.Unlock()
	list := []Chat{}
	for _, c := range slices.Backward(q.o.chats) {
		onLine := len(lines) == 0 || slices.ContainsFunc(lines, func(id string) bool { return slices.Contains(c.lineIDs, id) })
		if onLine && (query.Get("name") == "" || c.Name == query.Get("name")) && c.Timestamp >= from {
			list = append(list, q.o.shown(c))
		}
	}
	return http.StatusOK, list
}

// Chats returns the portal's chats, oldest first.
func (o *Portal) Chats() []Chat {
	o.p.mu.Lock()
	defer o.p.mu.Unlock()
	list := make([]Chat, 0, len(o.chats))
	for _, c := range o.chats {
		list = append(list, o.shown(c))
	}
	return list
}

// chat finds a chat. The caller holds mu.
func (o *Portal) chat(id string) *Chat {
	if i := slices.IndexFunc(o.chats, func(c *Chat) bool { return c.ID == id }); i >= 0 {
		return o.chats[i]
	}
	return nil
}

// RemoveChat removes a chat and what was written in it.
func (o *Portal) RemoveChat(id string) {
	o.p.mu.Lock()
	defer o.p.mu.Unlock()
	o.chats = slices.DeleteFunc(o.chats, func(c *Chat) bool { return c.ID == id })
	o.messages = slices.DeleteFunc(o.messages, func(m *Message) bool { return m.ChatID == id })
}
