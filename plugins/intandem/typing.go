package main

import (
	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/record"
)

// typingMillis is the shortest time between two typing signals of a session.
const typingMillis = 3_000

// The paths of the typing call: the API definition's, and the guide's.
const (
	typingPath   = "/business/communication/sessions/typing"
	typingPathV1 = "/business/communication/v1/sessions/typing"
)

// workTypingEnd tells that typing ended, when that may be told.
const workTypingEnd = "typing_end"

// SendTyping shows that a customer types, or stopped. Signals that come too fast are left
// out; that the customer stopped is told later then.
func (connector) SendTyping(h pdk.Host, in *contract.SendTypingInput) (*contract.CommandOutput, error) {
	if in.Typing.Author.Role != contract.RoleCustomer {
		return nil, nil // the platform shows its own staff's
	}
	c := &api{h: h, set: settingsOf(&in.Connection)}
	p, err := loadPerson(h, string(in.Conversation.ID))
	if err != nil || p.state != sessionActive {
		return nil, err // without a session there is nowhere to show it
	}
	since, err := c.sinceTyping(p.chat)
	if err != nil {
		return nil, err
	}
	if since >= typingMillis {
		return c.showTyping(p, in.Typing.On)
	}
	if in.Typing.On {
		return nil, nil
	}
	return &contract.CommandOutput{Commands: []contract.CommandRequest{{
		Lane: "typing/" + p.chat, AfterMillis: typingMillis - since, Payload: workTypingEnd + " 0 " + p.chat,
	}}}, nil
}

// sinceTyping is the time since the last signal, in milliseconds.
func (c *api) sinceTyping(chat string) (int64, error) {
	r, _, found, err := record.Read(c.h, prefixTyping+chat)
	if err != nil || !found {
		return typingMillis, err
	}
	return max(millis()-r.Int("at"), 0), record.Check(r)
}

// endTyping tells that typing ended, unless it was told, or began again, meanwhile.
func (c *api) endTyping(chat string) (*contract.CommandOutput, error) {
	p, err := loadPerson(c.h, chat)
	if err != nil || p.state != sessionActive {
		return nil, err
	}
	r, _, found, err := record.Read(c.h, prefixTyping+chat)
	if err != nil || !found || !r.Bool("on") || millis()-r.Int("at") < typingMillis {
		return nil, err
	}
	return c.showTyping(p, false)
}

// showTyping makes the call, by the path that the platform turned out to have. A signal is
// worth nothing later, so one that fails is given up, unless it never went out.
func (c *api) showTyping(p person, on bool) (*contract.CommandOutput, error) {
	path, _, found, err := c.h.KVGet(keyTypingPath)
	if err != nil {
		return nil, err
	}
	if !found {
		path = typingPath
	}
	r := request{method: "POST", path: path, body: payload.New().Text("session_uid", p.uid).Flag("typing", on).End(), bearer: c.set.token(), repeatable: true}
	a, f := c.call(r)
	if a.status == 404 && path == typingPath {
		r.path = typingPathV1
		if _, f = c.call(r); f == nil {
			if err := c.h.KVPut(contract.KVPut{Key: keyTypingPath, Value: typingPathV1}); err != nil {
				return nil, err
			}
		}
	}
	if f != nil && f.Class != contract.FailureReauthorise && f.Code != "host_unavailable" {
		f = permanent(f.Code, f.Message)
	}
	value := payload.New().Number("at", millis()).Flag("on", on).End()
	return failed(f), c.h.KVPut(contract.KVPut{Key: prefixTyping + p.chat, Value: value, TTLSeconds: ttlTyping})
}
