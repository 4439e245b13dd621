package main

import (
	"errors"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

// errDamaged is a key-value entry that does not read as it was written.
var errDamaged = errors.New("an entry of the connection's state is damaged")

// The states of a channel (protocol section 7). Learning and active are both "ready": which
// it is depends on whether there is a pin.
const (
	channelVerifying  = "verifying"
	channelUnverified = "unverified"
	channelReady      = "ready"
	channelError      = "error"
	channelRemoved    = "removed"
)

// channel is the platform's side of the connection.
type channel struct {
	state  string
	botURL string
	paths  string // "v1" once the current paths turned out not to be there
	began  int64  // when verifying began, Unix milliseconds
	fault  string // which side of UChat put the channel into error: "partner" or "bot"
}

// The sides of UChat, each with a key of its own.
const (
	faultPartner = "partner"
	faultBot     = "bot"
)

func (c channel) encode() string {
	return newObject().text("state", c.state).text("bot_url", c.botURL).text("paths", c.paths).number("began", c.began).
		text("fault", c.fault).end()
}

// loadChannel reads the channel, with the version that a command checks.
func loadChannel(h pdk.Host) (c channel, version int64, found bool, err error) {
	r, version, found, err := read(h, keyChannel)
	if err != nil || !found {
		return channel{}, 0, false, err
	}
	c = channel{state: r.String("state"), botURL: r.String("bot_url"), paths: r.String("paths"), began: r.Int("began"), fault: r.String("fault")}
	return c, version, true, damaged(r)
}

// learning is the window in which a delivery may pin how UChat signs.
type learning struct {
	until int64  // Unix milliseconds
	names string // the header fields of deliveries that taught nothing, joined by commas
}

func (l learning) encode() string {
	return newObject().number("until", l.until).text("names", l.names).end()
}

func loadLearning(h pdk.Host) (l learning, found bool, err error) {
	r, _, found, err := read(h, keyLearning)
	if err != nil || !found {
		return learning{}, false, err
	}
	l = learning{until: r.Int("until"), names: r.String("names")}
	return l, true, damaged(r)
}

// chatRecord is what UChat is told of a conversation.
type chatRecord struct {
	number int64  // conversation_id
	sender string // the customer's sender.id
}

func (c chatRecord) encode() string {
	return newObject().number("number", c.number).text("sender", c.sender).end()
}

func loadChat(h pdk.Host, id string) (c chatRecord, found bool, err error) {
	r, _, found, err := read(h, prefixChat+id)
	if err != nil || !found {
		return chatRecord{}, false, err
	}
	c = chatRecord{number: r.Int("number"), sender: r.String("sender")}
	return c, true, damaged(r)
}

// button is one thing that can be pressed on a template. A link cannot, and keeps its number.
type button struct {
	title, payload string
	link           bool
}

func encodeButtons(list []button) string {
	items := make([]string, len(list))
	for i, b := range list {
		items[i] = newObject().text("title", b.title).text("payload", b.payload).flag("link", b.link).end()
	}
	return newObject().raw("buttons", "["+strings.Join(items, ",")+"]").end()
}

// loadButtons reads the buttons of a menu; none if it is not known any more.
func loadButtons(h pdk.Host, menu string) ([]button, error) {
	if !fits(menu) {
		return nil, nil
	}
	r, _, found, err := read(h, prefixButtons+menu)
	if err != nil || !found {
		return nil, err
	}
	var list []button
	for _, item := range r.Objects("buttons") {
		list = append(list, button{title: item.String("title"), payload: item.String("payload"), link: item.Bool("link")})
	}
	return list, damaged(r)
}

// progress is how far the posts of a message got.
type progress struct {
	done   int64 // how many were accepted
	unsure int64 // which one, from 1, was sent without an answer; 0 for none
	// press is what a text was found to press at the first attempt, or pressNothing: a newer
	// template must not change what a repeat says. Empty if nobody has looked yet.
	press string
}

func (p progress) save(h pdk.Host, message contract.MessageID) error {
	return h.KVPut(contract.KVPut{
		Key: prefixSent + string(message), TTLSeconds: ttlSent,
		Value: newObject().number("done", p.done).number("unsure", p.unsure).text("press", p.press).end(),
	})
}

func loadProgress(h pdk.Host, message contract.MessageID) (p progress, err error) {
	r, _, found, err := read(h, prefixSent+string(message))
	if err != nil || !found {
		return progress{}, err
	}
	p = progress{done: r.Int("done"), unsure: r.Int("unsure"), press: r.String("press")}
	return p, damaged(r)
}

// read reads a record.
func read(h pdk.Host, key string) (r payload.Object, version int64, found bool, err error) {
	value, version, found, err := h.KVGet(key)
	if err != nil || !found {
		return payload.Object{}, 0, false, err
	}
	r, err = payload.Parse([]byte(value), payload.Limits{})
	if err != nil {
		return r, 0, false, errDamaged
	}
	return r, version, true, nil
}

// damaged tells whether a record did not read as it was written.
func damaged(r payload.Object) error {
	if r.Err() != nil {
		return errDamaged
	}
	return nil
}
