package main

import (
	"strconv"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/origin"
	"github.com/seed75a60ee1/patchbay/pdk/parts"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// connect notes where to call back, once the URL passed the checks of the protocol's
// section 8.
func (d *delivery) connect() (*contract.ReceiveOutput, error) {
	url := d.data.String("webhook")
	if err := d.data.Err(); err != nil {
		return malformed(err), nil
	}
	if url == "" {
		return missing("webhook"), nil
	}
	if err := origin.Check(url, d.set.companyURL()); err != nil {
		return rejected(404, "callback_refused", "The callback URL "+err.Error()+
			"; company_url must name the company's scheme, host and port."), nil
	}
	moves := d.known && d.ch.state != channelDisconnected && origin.Check(url, d.ch.url) != nil
	if moves && !d.set.allowHostChange() {
		return rejected(404, "host_change", "The connection is active on another host; allow_host_change lets it move."), nil
	}
	ch := channel{id: d.channelID, url: url, state: channelActive}
	if err := d.h.KVPut(contract.KVPut{Key: keyChannel, Value: ch.encode()}); err != nil {
		return nil, err
	}
	if err := d.h.KVDelete(contract.KVDelete{Key: keyFaults}); err != nil {
		return nil, err
	}
	return stateChanged(contract.StateChange{
		State: contract.StateConnected, Code: "connect", Reason: "ELMA365 connected the channel.",
	}), nil
}

// disconnect notes that the channel was removed on the platform's side.
func (d *delivery) disconnect() (*contract.ReceiveOutput, error) {
	if !d.known || d.ch.state == channelDisconnected {
		d.h.Log(pdk.LogInfo, "disconnect came for a channel that is not connected")
		return accepted(), nil
	}
	d.ch.state = channelDisconnected
	if err := d.h.KVPut(contract.KVPut{Key: keyChannel, Value: d.ch.encode()}); err != nil {
		return nil, err
	}
	return stateChanged(contract.StateChange{
		State: contract.StateDisconnected, Code: "disconnect",
		Reason: "The channel was removed in ELMA365. It cannot be activated again there: add the messenger anew.",
	}), nil
}

// stateChanged accepts the delivery with one connection.state event.
func stateChanged(change contract.StateChange) *contract.ReceiveOutput {
	out := accepted()
	out.Events = []contract.Event{{Kind: contract.EventConnectionState, State: &change}}
	return out
}

// What one message of the platform's may hold.
const (
	maxFiles     = 1000
	maxNameBytes = 255 // of a file's name
)

// message is an operator's message to a customer. It carries no id.
func (d *delivery) message() (*contract.ReceiveOutput, error) {
	target, text, files := d.data.String("targetChatId"), d.data.String("text"), d.data.Objects("files")
	parts := d.parts(text, files)
	switch err := d.data.Err(); {
	case err != nil:
		return malformed(err), nil
	case target == "":
		return missing("targetChatId"), nil
	case len(files) > maxFiles:
		return rejected(400, "too_many_files", "The message has more than 1000 files."), nil
	}
	chat, found, err := d.findChat(target)
	if err != nil {
		return nil, err
	}
	if !found {
		d.h.Log(pdk.LogWarn, "a message for a chat that this connection does not have was refused", "chat", clip(target))
		return rejected(404, "chat_unknown", "The targetChatId is no chat and no person of this connection."), nil
	}
	if len(parts) == 0 {
		d.h.Log(pdk.LogInfo, "a message without text and files was left at that", "chat", clip(target))
	}
	out := accepted()
	for len(parts) > 0 {
		n := min(len(parts), contract.MaxParts)
		out.Events = append(out.Events, agentMessage(chat, parts[:n:n]))
		parts = parts[n:]
	}
	return out, nil
}

// agentMessage is the event of an operator's message. The platform does not say who the
// operator is.
func agentMessage(chat contract.Conversation, parts []contract.Part) contract.Event {
	m := &contract.Message{Conversation: chat, Author: contract.Author{Role: contract.RoleAgent}, Parts: parts}
	return contract.Event{Kind: contract.EventMessageCreated, Conversation: &m.Conversation, Message: m}
}

// findChat finds the conversation that a message is for: a chat of this connection, or
// the last chat of a person of this connection.
func (d *delivery) findChat(target string) (contract.Conversation, bool, error) {
	policy := d.set.unknownChat()
	if policy == unknownChatAccepted {
		return contract.Conversation{ID: contract.ConversationID(target)}, fits(target), nil
	}
	_, found, err := loadChat(d.h, target)
	if err != nil || found || policy == unknownChatRefused || !fits(target) {
		return contract.Conversation{ID: contract.ConversationID(target)}, found, err
	}
	chat, _, found, err := d.h.KVGet(prefixUser + target)
	return contract.Conversation{ID: contract.ConversationID(chat)}, found, err
}

// parts is what a message says: its text, in pieces if it is very long, then its files.
func (d *delivery) parts(text string, files []payload.Object) []contract.Part {
	if d.set.htmlToText() && plain.HasTags(text) {
		text = plain.HTML(text)
	}
	var parts []contract.Part
	for text != "" {
		piece := plain.Clip(text, contract.MaxTextBytes)
		parts = append(parts, contract.Part{Kind: contract.PartText, Text: &contract.Text{Plain: piece}})
		text = text[len(piece):]
	}
	for _, f := range files {
		parts = append(parts, contract.Part{Kind: contract.PartMedia, Media: d.media(f.Fold())})
	}
	return parts
}

// media is one file. The host fetches it; a link to elsewhere is told and not followed.
// The size is a claim, so one that is no number is none and no reason to lose a message.
func (d *delivery) media(f payload.Object) *contract.Media {
	url, name := f.String("URL"), parts.FileName(f.String("name"))
	size, _ := strconv.ParseInt(string(f.Raw("size")), 10, 64)
	m := &contract.Media{Kind: parts.MediaKind(name), Name: name, SizeBytes: max(size, 0), SourceURL: url}
	if origin.Check(url, d.set.companyURL()) != nil && origin.Check(url, d.set.filesURL()) != nil {
		m.SourceURL = ""
		m.Missing = "Its link is not on the company's host; files_url allows one more host."
	}
	return m
}
