package main

import (
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// EditMessage changes the text of a customer's message; attachments stay as they are. What the
// portal does not change is followed by a message that says it.
func (connector) EditMessage(h pdk.Host, in *contract.EditMessageInput) (*contract.CommandOutput, error) {
	p, failure, err := dial(h, &in.Connection)
	if err != nil {
		return nil, err
	}
	if failure != nil {
		return p.failed(failure), nil
	}
	name := string(in.Message.PlatformID)
	mine, found, err := loadMine(h, name)
	if err != nil {
		return nil, err
	}
	if !found || mine.name != name {
		return p.failed(permanent("message_unknown", "This connection sent no such message, or too long ago.")), nil
	}
	d := compose(in.Message.Parts, p.set)
	d.dropFiles()
	if failure := d.outcomes.Strict(in.Message.Parts); in.Strict && failure != nil {
		return p.failed(failure), nil
	}
	if d.text == "" {
		return p.failed(d.outcomes.Rejected("nothing_to_send", "Nothing of the message can be changed: it has no text.")), nil
	}
	if failure, err = p.edit(in, mine, d.text); err != nil {
		return nil, err
	}
	if failure != nil {
		return p.ended(nil, failure)
	}
	return p.ended(&contract.CommandOutput{Sent: &contract.Sent{
		PlatformID: in.Message.PlatformID, Status: contract.MessageSent, Parts: d.outcomes,
	}}, nil)
}

// dropFiles leaves out what an edit cannot change.
func (d *draft) dropFiles() {
	for _, f := range d.files {
		o := &d.outcomes[f.part]
		o.Fate, o.Note = contract.PartDropped, "An edit changes the text alone; attachments stay as they were."
	}
	d.files = nil
}

// edit changes the message's pieces, if the new text takes as many as the old one.
func (p *portal) edit(in *contract.EditMessageInput, mine mineRecord, text string) (*contract.Failure, error) {
	texts, ids := plain.Split(text, p.set.maxText(), maxPieces), mine.texts()
	if texts == nil {
		return tooLong(), nil
	}
	if len(ids) != len(texts) {
		return p.note(in.Connection, mine, p.ours()+string(in.Command.ID), p.set.editNote()+text, in.Command)
	}
	for i, id := range ids {
		body := payload.New().Words("id", id).Words("message", texts[i]).End()
		result, failure := p.call("PATCH", pathMessages, body, true)
		switch {
		case failure != nil:
			return failure, nil
		case succeeded(result):
			continue
		}
		failure = refused(result)
		if failure.Class != contract.FailurePermanent {
			return failure, nil
		}
		p.h.Log(pdk.LogInfo, "the portal does not change the message; a new one says it", "code", failure.Code)
		return p.note(in.Connection, mine, p.ours()+string(in.Command.ID), p.set.editNote()+text, in.Command)
	}
	return nil, stir(p.h, mine.chat)
}

// texts is the portal's names of the pieces that are text; nil if one of them is not known.
func (m mineRecord) texts() []string {
	kinds := strings.Split(m.kind, ",")
	var ids []string
	for i, id := range m.ids {
		if i >= len(kinds) || kinds[i] != "text" {
			continue
		}
		if id == "" {
			return nil
		}
		ids = append(ids, id)
	}
	return ids
}

// note writes a message about another one, in its chat, as the customer.
func (p *portal) note(c contract.Connection, mine mineRecord, externalID, text string, info contract.CommandInfo) (*contract.Failure, error) {
	line, failure, err := p.currentLine()
	if err != nil || failure != nil {
		return failure, err
	}
	chat, found, err := loadChat(p.h, prefixChat, mine.chat)
	if err != nil {
		return nil, err
	}
	if !found || chat.line != line.id {
		return permanent("chat_unknown", "The message's chat is not there any more."), nil
	}
	texts := plain.Split(text, p.set.maxText(), maxPieces)
	if texts == nil {
		return tooLong(), nil
	}
	for i, piece := range texts {
		m := outgoing{
			chat: chat.chat, line: line.id, user: chat.user, kind: typeMessage, text: piece,
			externalID: numbered(externalID, i), at: info.CreatedAt.UnixMilli() + int64(i),
		}
		if i == 0 {
			m.parent = mine.first()
		}
		id, failure, err := p.post(&m)
		if err != nil || failure != nil {
			return failure, err
		}
		if id != "" {
			if err := keep(p.h, prefixMine+id, mineRecord{name: mine.name, chat: chat.chat}.encode(), ttlMine); err != nil {
				return nil, err
			}
		}
	}
	return nil, stir(p.h, chat.chat)
}

// first is the portal's name of the message's first piece; "" if it is not known.
func (m mineRecord) first() string {
	for _, id := range m.ids {
		if id != skipped {
			return id
		}
	}
	return ""
}

// DeleteMessage notes in the chat that a customer deleted a message, or deletes it there, as the
// settings say.
func (connector) DeleteMessage(h pdk.Host, in *contract.DeleteMessageInput) (*contract.CommandOutput, error) {
	p, failure, err := dial(h, &in.Connection)
	if err != nil {
		return nil, err
	}
	if failure != nil {
		return p.failed(failure), nil
	}
	name := string(in.PlatformID)
	mine, found, err := loadMine(h, name)
	if err != nil {
		return nil, err
	}
	if !found || mine.name != name {
		return p.failed(permanent("message_unknown", "This connection sent no such message, or too long ago.")), nil
	}
	if p.set.deletes() {
		failure = p.remove(mine)
	} else {
		failure, err = p.note(in.Connection, mine, p.ours()+plain.Clip(name, maxIDBytes)+"/deleted", p.set.deleteNote(), in.Command)
	}
	if err != nil {
		return nil, err
	}
	return p.ended(nil, failure)
}

// remove deletes every piece of a message. One that is not there is deleted already.
func (p *portal) remove(m mineRecord) *contract.Failure {
	for _, id := range m.ids {
		if id == skipped {
			continue
		}
		if id == "" {
			return permanent("message_unknown", "The portal did not say how it calls the message, so it cannot be deleted there.")
		}
		result, failure := p.call("DELETE", pathMessages+"/"+escaped(id), "", true)
		switch {
		case failure != nil:
			return failure
		case !succeeded(result) && result.Status != 404:
			return refused(result)
		}
	}
	return nil
}
