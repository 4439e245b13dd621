package main

import (
	"errors"
	"strconv"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

// errDamaged is a key-value entry that does not read as it was written.
var errDamaged = errors.New("an entry of the connection's state is damaged")

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
	return newObject().text("id", c.id).text("url", c.url).text("state", c.state).end()
}

// loadChannel reads the channel, with the version that a command checks.
func loadChannel(h pdk.Host) (c channel, version int64, found bool, err error) {
	value, version, found, err := h.KVGet(keyChannel)
	if err != nil || !found {
		return channel{}, 0, false, err
	}
	r, err := parseRecord(value)
	c = channel{id: r.String("id"), url: r.String("url"), state: r.String("state")}
	return c, version, true, damaged(r, err)
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
	return newObject().text("message", p.message).number("piece", p.piece).number("pieces", p.pieces).
		text("chat", p.chat).number("at", p.at).number("tries", p.tries).
		flag("quiet", p.quiet).flag("told", p.told).end()
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
	return p, true, damaged(r, nil)
}

// outcome is what the platform reported of a post.
type outcome struct {
	success bool
	tries   int64 // how often it had been posted then; 0 if that was not noted yet
}

func (o outcome) encode() string {
	return newObject().flag("success", o.success).number("tries", o.tries).end()
}

func loadOutcome(h pdk.Host, id string) (o outcome, found bool, err error) {
	r, found, err := load(h, prefixOutcome, id)
	if err != nil || !found {
		return outcome{}, false, err
	}
	o = outcome{success: r.Bool("success"), tries: r.Int("tries")}
	return o, true, damaged(r, nil)
}

// chatRecord is what is known of a conversation.
type chatRecord struct {
	title string
	user  string // who wrote last
}

func (c chatRecord) encode() string {
	return newObject().text("title", c.title).text("user", c.user).end()
}

func loadChat(h pdk.Host, id string) (c chatRecord, found bool, err error) {
	r, found, err := load(h, prefixChat, id)
	if err != nil || !found {
		return chatRecord{}, false, err
	}
	c = chatRecord{title: r.String("title"), user: r.String("user")}
	return c, true, damaged(r, nil)
}

// readMark is the newest message of a chat that an operator read.
type readMark struct {
	at      int64
	message string
}

func (m readMark) encode() string {
	return newObject().number("at", m.at).text("message", m.message).end()
}

func loadRead(h pdk.Host, chat string) (m readMark, found bool, err error) {
	r, found, err := load(h, prefixRead, chat)
	if err != nil || !found {
		return readMark{}, false, err
	}
	m = readMark{at: r.Int("at"), message: r.String("message")}
	return m, true, damaged(r, nil)
}

// loadFaults reads how many answers 5xx came in a row.
func loadFaults(h pdk.Host) (int64, error) {
	value, _, found, err := h.KVGet(keyFaults)
	if err != nil || !found {
		return 0, err
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0, errDamaged
	}
	return n, nil
}

// load reads a record under a prefix. An id that is too long for a key has none.
func load(h pdk.Host, prefix, id string) (payload.Object, bool, error) {
	if !fits(id) {
		return payload.Object{}, false, nil
	}
	value, _, found, err := h.KVGet(prefix + id)
	if err != nil || !found {
		return payload.Object{}, false, err
	}
	r, err := parseRecord(value)
	return r, true, err
}

func parseRecord(value string) (payload.Object, error) {
	r, err := payload.Parse([]byte(value), payload.Limits{})
	if err != nil {
		return r, errDamaged
	}
	return r, nil
}

// damaged tells whether a record did not read as it was written.
func damaged(r payload.Object, err error) error {
	if err == nil && r.Err() != nil {
		return errDamaged
	}
	return err
}
