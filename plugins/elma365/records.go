package main

import (
	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/record"
)

// The states of a channel (protocol section 7); before connect there is no entry.
const (
	channelActive       = "active"
	channelError        = "error"
	channelDisconnected = "disconnected"
)

// channel is the platform's side of the connection.
type channel struct {
	id    string // channelId, or "" if connect named none
	url   string // the callback URL
	state string
}

func (c channel) encode() string {
	return payload.New().Text("id", c.id).Text("url", c.url).Text("state", c.state).End()
}

// loadChannel reads the channel, with the version that a command checks.
func loadChannel(h pdk.Host) (c channel, version int64, found bool, err error) {
	r, version, found, err := record.Read(h, keyChannel)
	if err != nil || !found {
		return channel{}, 0, false, err
	}
	c = channel{id: r.String("id"), url: r.String("url"), state: r.String("state")}
	return c, version, true, record.Check(r)
}

// posted is what is noted of a post that the platform accepted.
type posted struct {
	message string // the message that it is a piece of
	piece   int64  // from 1
	pieces  int64
	chat    string
	at      int64 // when the message was accepted here, Unix nanoseconds
	tries   int64 // how often it was posted
	quiet   bool  // a notice of our own: nobody is told of its status
	told    bool  // the delivery was reported with the answer to the send
}

func (p *posted) encode() string {
	return payload.New().Text("message", p.message).Number("piece", p.piece).Number("pieces", p.pieces).
		Text("chat", p.chat).Number("at", p.at).Number("tries", p.tries).
		Flag("quiet", p.quiet).Flag("told", p.told).End()
}

func loadPosted(h pdk.Host, id string) (*posted, bool, error) {
	r, found, err := load(h, prefixPosted, id)
	if err != nil || !found {
		return nil, false, err
	}
	p := &posted{
		message: r.String("message"), piece: r.Int("piece"), pieces: r.Int("pieces"), chat: r.String("chat"),
		at: r.Int("at"), tries: r.Int("tries"), quiet: r.Bool("quiet"), told: r.Bool("told"),
	}
	return p, true, record.Check(r)
}

// outcome is what the platform reported of a post.
type outcome struct {
	success bool
	tries   int64 // how often it had been posted then; 0 if that was not noted yet
}

func (o outcome) encode() string {
	return payload.New().Flag("success", o.success).Number("tries", o.tries).End()
}

func loadOutcome(h pdk.Host, id string) (o outcome, found bool, err error) {
	r, found, err := load(h, prefixOutcome, id)
	if err != nil || !found {
		return outcome{}, false, err
	}
	o = outcome{success: r.Bool("success"), tries: r.Int("tries")}
	return o, true, record.Check(r)
}

// chatRecord is what is known of a conversation.
type chatRecord struct {
	title string
	user  string // who wrote last
}

func (c chatRecord) encode() string {
	return payload.New().Text("title", c.title).Text("user", c.user).End()
}

func loadChat(h pdk.Host, id string) (c chatRecord, found bool, err error) {
	r, found, err := load(h, prefixChat, id)
	if err != nil || !found {
		return chatRecord{}, false, err
	}
	c = chatRecord{title: r.String("title"), user: r.String("user")}
	return c, true, record.Check(r)
}

// readMark is the newest message of a chat that an operator read.
type readMark struct {
	at      int64
	message string
}

func (m readMark) encode() string {
	return payload.New().Number("at", m.at).Text("message", m.message).End()
}

func loadRead(h pdk.Host, chat string) (m readMark, found bool, err error) {
	r, found, err := load(h, prefixRead, chat)
	if err != nil || !found {
		return readMark{}, false, err
	}
	m = readMark{at: r.Int("at"), message: r.String("message")}
	return m, true, record.Check(r)
}

// load reads a record under a prefix. An id that is too long for a key has none.
func load(h pdk.Host, prefix, id string) (payload.Object, bool, error) {
	if !fits(id) {
		return payload.Object{}, false, nil
	}
	r, _, found, err := record.Read(h, prefix+id)
	return r, found, err
}
