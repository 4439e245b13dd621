package main

import (
	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/record"
)

// channel is the connection's channel. The zero channel is none.
type channel struct {
	uid   string
	state string // one of the channel... constants
	tries int64  // how often it was asked to be active without becoming so
	// version is the entry's, for commands to check.
	version int64
}

func loadChannel(h pdk.Host) (channel, error) {
	r, version, found, err := record.Read(h, keyChannel)
	if err != nil || !found {
		return channel{version: version}, err
	}
	c := channel{uid: r.String("uid"), state: r.String("state"), tries: r.Int("tries"), version: version}
	return c, record.Check(r)
}

func (c channel) encode() string {
	return payload.New().Text("uid", c.uid).Text("state", c.state).Number("tries", c.tries).End()
}

// save writes the channel, unless somebody else did since it was read.
func (c channel) save(h pdk.Host) error {
	return h.KVPut(contract.KVPut{Key: keyChannel, Value: c.encode(), CheckVersion: true, ExpectedVersion: c.version})
}

// keep writes a channel that was just made or moved, whatever is there: to forget it would
// mean to do so again.
func (c channel) keep(h pdk.Host) error {
	return h.KVPut(contract.KVPut{Key: keyChannel, Value: c.encode()})
}

// person is a customer: the client that the business knows, and the session. The zero
// person is not known.
type person struct {
	chat   string // the conversation, which is the external_uid
	client string // contact_uid
	uid    string // of the session
	state  string // one of the session... constants
	tries  int64  // activations that were refused
	// waits is since when messages wait for the session, and ended when it failed or was
	// refused for good; Unix milliseconds, 0 if not.
	waits, ended int64
	version      int64
}

func loadPerson(h pdk.Host, chat string) (person, error) {
	if !fits(chat) {
		return person{chat: chat}, nil
	}
	r, version, found, err := record.Read(h, prefixPerson+chat)
	if err != nil || !found {
		return person{chat: chat, version: version}, err
	}
	p := person{
		chat: chat, client: r.String("client"), uid: r.String("session"), state: r.String("state"),
		tries: r.Int("tries"), waits: r.Int("waits"), ended: r.Int("ended"), version: version,
	}
	return p, record.Check(r)
}

// save writes the person, unless somebody else did since it was read.
func (p person) save(h pdk.Host) error {
	value := payload.New().Text("client", p.client).Text("session", p.uid).Text("state", p.state).
		Number("tries", p.tries).Number("waits", p.waits).Number("ended", p.ended).End()
	return h.KVPut(contract.KVPut{Key: prefixPerson + p.chat, Value: value, CheckVersion: true, ExpectedVersion: p.version})
}

// sent is what is noted of a message that we posted.
type sent struct {
	message string // the message that it is a piece of
	piece   int64  // from 1
	pieces  int64
	chat    string
}

func (s sent) save(h pdk.Host, uid string) error {
	value := payload.New().Text("message", s.message).Number("piece", s.piece).Number("pieces", s.pieces).Text("chat", s.chat).End()
	return h.KVPut(contract.KVPut{Key: prefixSent + uid, Value: value, TTLSeconds: ttlMessage})
}

func loadSent(h pdk.Host, uid string) (sent, bool, error) {
	if !fits(uid) {
		return sent{}, false, nil
	}
	r, _, found, err := record.Read(h, prefixSent+uid)
	if err != nil || !found {
		return sent{}, false, err
	}
	s := sent{message: r.String("message"), piece: r.Int("piece"), pieces: r.Int("pieces"), chat: r.String("chat")}
	return s, true, record.Check(r)
}

// staffMessage is what is noted of a business's message.
type staffMessage struct {
	chat   string
	status string // the last that we reported; empty if none
}

func (m staffMessage) save(h pdk.Host, uid string) error {
	value := payload.New().Text("chat", m.chat).Text("status", m.status).End()
	return h.KVPut(contract.KVPut{Key: prefixStaff + uid, Value: value, TTLSeconds: ttlMessage})
}

func loadStaffMessage(h pdk.Host, uid string) (staffMessage, bool, error) {
	if !fits(uid) {
		return staffMessage{}, false, nil
	}
	r, _, found, err := record.Read(h, prefixStaff+uid)
	if err != nil || !found {
		return staffMessage{}, false, err
	}
	return staffMessage{chat: r.String("chat"), status: r.String("status")}, true, record.Check(r)
}

// loadText reads an entry that is a text; "" if there is none. An id that is too long for
// a key has none.
func loadText(h pdk.Host, prefix, id string) (string, error) {
	if !fits(id) {
		return "", nil
	}
	value, _, _, err := h.KVGet(prefix + id)
	return value, err
}

// saveText writes an entry that is a text, if it is not there already.
func saveText(h pdk.Host, key, value string) error {
	old, _, found, err := h.KVGet(key)
	if err != nil || found && old == value {
		return err
	}
	return h.KVPut(contract.KVPut{Key: key, Value: value})
}
