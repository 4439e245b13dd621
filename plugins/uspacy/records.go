package main

import (
	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/record"
)

// load reads a record under a key. One that is too long has none.
func load(h pdk.Host, prefix, id string) (r payload.Object, version int64, found bool, err error) {
	if prefix != "" && !fits(id) {
		return payload.Object{}, 0, false, nil
	}
	return record.Read(h, prefix+id)
}

// keep writes a record; ttl is in seconds, and 0 keeps it for as long as the connection.
func keep(h pdk.Host, key, value string, ttl int64) error {
	return h.KVPut(contract.KVPut{Key: key, Value: value, TTLSeconds: ttl})
}

// lineRecord is the external line of the connection.
type lineRecord struct {
	id     string
	domain string // of the portal that it is in
	name   string
	icon   string
	gone   bool // the portal said that it has no such line
}

func (l lineRecord) encode() string {
	return payload.New().Text("id", l.id).Text("domain", l.domain).Text("name", l.name).
		Text("icon", l.icon).Flag("gone", l.gone).End()
}

func loadLine(h pdk.Host) (l lineRecord, version int64, found bool, err error) {
	r, version, found, err := load(h, "", keyLine)
	if err != nil || !found {
		return lineRecord{}, version, false, err
	}
	l = lineRecord{id: r.String("id"), domain: r.String("domain"), name: r.String("name"), icon: r.String("icon"), gone: r.Bool("gone")}
	return l, version, true, record.Check(r)
}

// chatRecord is the chat of a conversation, under both names.
type chatRecord struct {
	chat         string // the portal's name
	conversation string // ours
	line         string
	title        string
	user         string // the customer who wrote first, as the portal knows him
}

func (c chatRecord) encode() string {
	return payload.New().Text("chat", c.chat).Text("conversation", c.conversation).
		Text("line", c.line).Text("title", c.title).Text("user", c.user).End()
}

// loadChat reads a chat, under prefixChat or prefixConversation.
func loadChat(h pdk.Host, prefix, id string) (c chatRecord, found bool, err error) {
	r, _, found, err := load(h, prefix, id)
	if err != nil || !found {
		return chatRecord{}, false, err
	}
	c = chatRecord{
		chat: r.String("chat"), conversation: r.String("conversation"), line: r.String("line"), title: r.String("title"),
		user: r.String("user"),
	}
	return c, true, record.Check(r)
}

// saveChat keeps a chat under both names, and has it read.
func saveChat(h pdk.Host, c chatRecord) error {
	for _, key := range []string{prefixChat + c.chat, prefixConversation + c.conversation} {
		if err := keep(h, key, c.encode(), 0); err != nil {
			return err
		}
	}
	return stir(h, c.chat)
}

// stir notes that something happened in a chat, so that it is read for another day.
func stir(h pdk.Host, chat string) error { return keep(h, prefixActive+chat, "1", ttlActive) }

// sentRecord is how far a customer's message got.
type sentRecord struct {
	ids     []string // of the pieces that were taken; "" where the portal did not say
	renewed bool     // line or chat was made anew for it once
}

func (s *sentRecord) encode() string {
	ids := make([]byte, 0, 32*len(s.ids)+2)
	for i, id := range s.ids {
		if i > 0 {
			ids = append(ids, ',')
		}
		ids = payload.AppendQuoted(ids, id)
	}
	return payload.New().Raw("ids", "["+string(ids)+"]").Flag("renewed", s.renewed).End()
}

func loadSent(h pdk.Host, message string) (*sentRecord, error) {
	r, _, found, err := load(h, prefixSent, message)
	if err != nil || !found {
		return new(sentRecord), err
	}
	s := &sentRecord{ids: r.Strings("ids"), renewed: r.Bool("renewed")}
	return s, record.Check(r)
}

// mineRecord is a message of the portal that is ours: a piece of a customer's message.
type mineRecord struct {
	name string   // the message's name: that of its first piece
	chat string   // where it is
	ids  []string // of every piece, kept with the first one only
	kind string   // "text" or "file", of each piece
}

func (m mineRecord) encode() string {
	ids := sentRecord{ids: m.ids}
	return payload.New().Text("name", m.name).Text("chat", m.chat).Raw("pieces", ids.encode()).Text("kinds", m.kind).End()
}

func loadMine(h pdk.Host, id string) (m mineRecord, found bool, err error) {
	r, _, found, err := load(h, prefixMine, id)
	if err != nil || !found {
		return mineRecord{}, false, err
	}
	m = mineRecord{name: r.String("name"), chat: r.String("chat"), ids: r.Object("pieces").Strings("ids"), kind: r.String("kinds")}
	return m, true, record.Check(r)
}

// seenRecord is what was reported of an operator's message.
type seenRecord struct {
	updated int64 // the last change that was reported, milliseconds; 0 for none
	deleted bool
}

func (s seenRecord) encode() string {
	return payload.New().Number("updated", s.updated).Flag("deleted", s.deleted).End()
}

func loadSeen(h pdk.Host, id string) (s seenRecord, version int64, found bool, err error) {
	r, version, found, err := load(h, prefixSeen, id)
	if err != nil || !found {
		return seenRecord{}, version, false, err
	}
	s = seenRecord{updated: r.Int("updated"), deleted: r.Bool("deleted")}
	return s, version, true, record.Check(r)
}
