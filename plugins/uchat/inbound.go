package main

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// take turns a message that is believed into events. delivery is its name if it has no id.
func (d *delivery) take(e *envelope, delivery string) error {
	switch {
	case e.incoming:
		return nil // an echo of what we sent
	case e.private:
		d.h.Log(pdk.LogInfo, "a note among agents was left at that", "delivery", delivery)
		return nil
	}
	chat, found, err := d.findChat(e)
	if err != nil {
		return err
	}
	if !found {
		d.h.Log(pdk.LogWarn, "a message for nobody known to this connection was kept as undeliverable", "delivery", delivery)
		d.keepRaw("undeliverable", nil)
		return nil
	}
	id := e.id
	if id == "" {
		id = delivery
	}
	r := &reading{set: d.set, menu: menuName(string(chat.ID), id)}
	r.read(e)
	if r.overflow {
		d.h.Log(pdk.LogWarn, "a message had more than the unified model carries; the rest was left out", "delivery", delivery)
	}
	if len(r.parts) == 0 {
		d.keepRaw("unreadable", &chat)
		return nil
	}
	if err := d.keepButtons(chat.ID, r); err != nil {
		return err
	}
	d.said(e, chat, id, r.parts)
	return nil
}

// said adds the event of a message.
func (d *delivery) said(e *envelope, chat contract.Conversation, id string, parts []contract.Part) {
	m := &contract.Message{Conversation: chat, Author: e.author, Parts: parts, PlatformID: contract.PlatformMessageID(plain.Clip(id, contract.MaxIDBytes))}
	kind := contract.EventMessageCreated
	if e.event == "message_updated" && e.id != "" {
		kind = contract.EventMessageUpdated
	}
	d.event(contract.Event{Kind: kind, Conversation: &m.Conversation, Message: m})
}

// keepRaw adds the whole delivery as an event, since no more can be made of it.
func (d *delivery) keepRaw(kind string, chat *contract.Conversation) {
	raw := &contract.Raw{Kind: kind}
	if len(d.body) <= contract.MaxRawBytes {
		raw.JSON = contract.RawJSON(d.body)
	}
	d.event(contract.Event{Kind: contract.EventRaw, Conversation: chat, Raw: raw})
}

// findChat finds the conversation that a message is for. Where number and recipient name
// different ones, the recipient wins: the number may be one that UChat gave.
func (d *delivery) findChat(e *envelope) (contract.Conversation, bool, error) {
	chat, _, byNumber, err := d.lookUp(prefixNumber, e.number)
	if err != nil {
		return contract.Conversation{}, false, err
	}
	for _, id := range e.recipients {
		other, _, found, err := d.lookUp(prefixUser, id)
		if err != nil {
			return contract.Conversation{}, false, err
		}
		if !found {
			continue
		}
		if same, err := d.isIn(chat, id); err != nil || same && byNumber {
			return contract.Conversation{ID: contract.ConversationID(chat)}, err == nil, err
		}
		return contract.Conversation{ID: contract.ConversationID(other)}, true, nil
	}
	return contract.Conversation{ID: contract.ConversationID(chat)}, byNumber, nil
}

func (d *delivery) lookUp(prefix, id string) (chat string, version int64, found bool, err error) {
	if !fits(id) {
		return "", 0, false, nil
	}
	return d.h.KVGet(prefix + id)
}

// isIn tells whether a person is the customer of a conversation.
func (d *delivery) isIn(chat, sender string) (bool, error) {
	if chat == "" {
		return false, nil
	}
	record, found, err := loadChat(d.h, chat)
	return found && record.sender == sender, err
}

// menuName is the name of a message's template: short, the same if the delivery is run again,
// and nothing that a customer could guess another's from.
func menuName(chat, message string) string {
	sum := sha256.Sum256([]byte(chat + "\x00" + message))
	return hex.EncodeToString(sum[:8])
}

// keepButtons keeps what can be pressed, and that this is the newest template.
func (d *delivery) keepButtons(chat contract.ConversationID, r *reading) error {
	if len(r.buttons) == 0 {
		return nil
	}
	if err := d.h.KVPut(contract.KVPut{Key: prefixButtons + r.menu, Value: encodeButtons(r.buttons), TTLSeconds: ttlButtons}); err != nil {
		return err
	}
	return d.h.KVPut(contract.KVPut{Key: prefixMenu + string(chat), Value: r.menu, TTLSeconds: ttlMenu})
}
