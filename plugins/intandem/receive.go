package main

import (
	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// delivery is one callback being carried out for the connection that its uid belongs to.
type delivery struct {
	h   pdk.Host
	set settings
	callback
	doc payload.Object
	// routed tells that route found this connection by the uid, so that only this
	// connection or an operator can have claimed it.
	routed bool
	// at is when the callback came, Unix milliseconds: it may have waited since.
	at int64
}

// Receive carries out one callback. Route found the connection by a uid, and the uid is
// compared with the connection's own here, so that one that came to another address does
// no more.
func (connector) Receive(h pdk.Host, in *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	c, refused := classify(&in.Delivery)
	if refused == nil && c.kind == landing {
		refused = &refusal{status: 404, code: "path_unknown", reason: "The landing page is the app's."}
	}
	if refused != nil {
		return rejected(refused), nil
	}
	d := &delivery{h: h, set: settingsOf(&in.Connection), callback: c, routed: in.Routed != nil, at: in.Delivery.ReceivedAt.UnixMilli()}
	doc, refused, err := body(h)
	switch {
	case err != nil:
		return nil, err
	case refused != nil:
		return rejected(refused), nil
	}
	d.doc = doc
	return d.carryOut()
}

// carryOut does what a callback of a kind asks for.
func (d *delivery) carryOut() (*contract.ReceiveOutput, error) {
	switch d.kind {
	case aboutChannel:
		return d.channelState()
	case aboutSession:
		return d.sessionState()
	case newMessage:
		return d.message()
	case aboutMessage:
		return d.messageState()
	}
	return d.typing()
}

// accepted answers 204, the platform's success.
func accepted(events ...contract.Event) *contract.ReceiveOutput {
	return &contract.ReceiveOutput{Response: contract.Response{Status: 204}, Events: events}
}

// rejected refuses a delivery that is forged or malformed; nothing comes of it.
func rejected(r *refusal) *contract.ReceiveOutput {
	return &contract.ReceiveOutput{Response: r.response(), Rejected: r.rejection()}
}

// unknown refuses a callback about something that is not this connection's.
func unknown(what string) *contract.ReceiveOutput {
	return rejected(&refusal{status: 404, code: "uid_unknown", reason: "This connection has no such " + what + "."})
}

// status reads the status of a callback. A missing one is none.
func (d *delivery) status() (string, *contract.ReceiveOutput) {
	status := d.doc.String("status")
	if err := d.doc.Err(); err != nil {
		return "", rejected(malformed(err.Error()))
	}
	return plain.Clip(status, 64), nil
}

// ownChannel refuses a callback that names another channel than the connection's.
func (d *delivery) ownChannel() (*contract.ReceiveOutput, error) {
	uid := d.doc.String("channel_uid")
	if err := d.doc.Err(); err != nil {
		return rejected(malformed(err.Error())), nil
	}
	ch, err := loadChannel(d.h)
	if err != nil {
		return nil, err
	}
	if uid == "" || uid != ch.uid {
		return unknown("channel"), nil
	}
	return nil, nil
}

// typing tells that somebody of the business types, or stopped.
func (d *delivery) typing() (*contract.ReceiveOutput, error) {
	on := d.doc.Bool("typing")
	if err := d.doc.Err(); err != nil {
		return rejected(malformed(err.Error())), nil
	}
	chat, err := loadText(d.h, prefixSession, d.uid)
	if err != nil {
		return nil, err
	}
	if chat == "" {
		return unknown("session"), nil
	}
	if !d.doc.Has("typing") {
		return accepted(), nil
	}
	return accepted(contract.Event{
		Kind: contract.EventTyping, Conversation: &contract.Conversation{ID: contract.ConversationID(chat)},
		Typing: &contract.Typing{Author: contract.Author{Role: contract.RoleAgent}, On: on},
	}), nil
}
