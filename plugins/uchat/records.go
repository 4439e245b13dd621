package main

import (
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/record"
)

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
	return payload.New().Text("state", c.state).Text("bot_url", c.botURL).Text("paths", c.paths).Number("began", c.began).
		Text("fault", c.fault).End()
}

// loadChannel reads the channel, with the version that a command checks.
func loadChannel(h pdk.Host) (c channel, version int64, found bool, err error) {
	r, version, found, err := record.Read(h, keyChannel)
	if err != nil || !found {
		return channel{}, 0, false, err
	}
	c = channel{state: r.String("state"), botURL: r.String("bot_url"), paths: r.String("paths"), began: r.Int("began"), fault: r.String("fault")}
	return c, version, true, record.Check(r)
}

// learning is the window in which a delivery may pin how UChat signs.
type learning struct {
	until int64  // Unix milliseconds
	names string // the header fields of deliveries that taught nothing, joined by commas
}

func (l learning) encode() string {
	return payload.New().Number("until", l.until).Text("names", l.names).End()
}

func loadLearning(h pdk.Host) (l learning, found bool, err error) {
	r, _, found, err := record.Read(h, keyLearning)
	if err != nil || !found {
		return learning{}, false, err
	}
	l = learning{until: r.Int("until"), names: r.String("names")}
	return l, true, record.Check(r)
}

// chatRecord is what UChat is told of a conversation.
type chatRecord struct {
	number int64  // conversation_id
	sender string // the customer's sender.id
}

func (c chatRecord) encode() string {
	return payload.New().Number("number", c.number).Text("sender", c.sender).End()
}

func loadChat(h pdk.Host, id string) (c chatRecord, found bool, err error) {
	r, _, found, err := record.Read(h, prefixChat+id)
	if err != nil || !found {
		return chatRecord{}, false, err
	}
	c = chatRecord{number: r.Int("number"), sender: r.String("sender")}
	return c, true, record.Check(r)
}

// button is one thing that can be pressed on a template. A link cannot, and keeps its number.
type button struct {
	title, payload string
	link           bool
}

func encodeButtons(list []button) string {
	items := make([]string, len(list))
	for i, b := range list {
		items[i] = payload.New().Text("title", b.title).Text("payload", b.payload).Flag("link", b.link).End()
	}
	return payload.New().Raw("buttons", "["+strings.Join(items, ",")+"]").End()
}

// loadButtons reads the buttons of a menu; none if it is not known any more.
func loadButtons(h pdk.Host, menu string) ([]button, error) {
	if !fits(menu) {
		return nil, nil
	}
	r, _, found, err := record.Read(h, prefixButtons+menu)
	if err != nil || !found {
		return nil, err
	}
	var list []button
	for _, item := range r.Objects("buttons") {
		list = append(list, button{title: item.String("title"), payload: item.String("payload"), link: item.Bool("link")})
	}
	return list, record.Check(r)
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
		Value: payload.New().Number("done", p.done).Number("unsure", p.unsure).Text("press", p.press).End(),
	})
}

func loadProgress(h pdk.Host, message contract.MessageID) (p progress, err error) {
	r, _, found, err := record.Read(h, prefixSent+string(message))
	if err != nil || !found {
		return progress{}, err
	}
	p = progress{done: r.Int("done"), unsure: r.Int("unsure"), press: r.String("press")}
	return p, record.Check(r)
}
