package main

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// SendMessage brings a customer's message into the chat. How far it got is kept, so that an
// attempt goes on where the one before ended.
func (connector) SendMessage(h pdk.Host, in *contract.SendMessageInput) (*contract.CommandOutput, error) {
	p, failure, err := dial(h, &in.Connection)
	if err != nil {
		return nil, err
	}
	if failure != nil {
		return p.failed(failure), nil
	}
	s, failure, err := p.prepare(in)
	if err == nil && failure == nil {
		failure, err = s.send()
	}
	if err != nil {
		return nil, err
	}
	if failure != nil {
		return p.ended(nil, failure)
	}
	return p.ended(&contract.CommandOutput{Sent: s.result()}, nil)
}

// sending is one message on its way.
type sending struct {
	p       *portal
	message string // the host's name of it
	line    lineRecord
	chat    chatRecord
	user    string
	at      int64 // when it was written, milliseconds
	parent  string
	draft   *draft
	pieces  []piece
	sent    *sentRecord
	strict  bool
	parts   []contract.Part
}

// prepare composes the message and finds its chat.
func (p *portal) prepare(in *contract.SendMessageInput) (*sending, *contract.Failure, error) {
	s := &sending{p: p, message: string(in.Message.ID), strict: in.Strict, parts: in.Message.Parts}
	if !fits(s.message) {
		return nil, permanent("id_too_long", "The message's id must have 1 to "+strconv.Itoa(maxIDBytes)+" bytes."), nil
	}
	c, failure := customerOf(&in.Message)
	if failure != nil {
		return nil, failure, nil
	}
	s.user, s.at = c.user, in.Message.SentAt.UnixMilli()
	if in.Message.SentAt.IsZero() {
		s.at = in.Command.CreatedAt.UnixMilli()
	}
	if failure = s.compose(p.set); failure != nil {
		return nil, failure, nil
	}
	var err error
	if s.line, failure, err = p.currentLine(); err != nil || failure != nil {
		return nil, failure, err
	}
	if s.chat, failure, err = p.chatFor(c, s.line, in.Command); err != nil || failure != nil {
		return nil, failure, err
	}
	if s.sent, err = loadSent(p.h, s.message); err != nil {
		return nil, nil, err
	}
	return s, nil, s.quote(string(in.Message.ReplyTo))
}

// compose turns the parts into pieces.
func (s *sending) compose(set settings) (failure *contract.Failure) {
	s.draft = compose(s.parts, set)
	if s.strict {
		if failure := s.draft.outcomes.Strict(s.parts); failure != nil {
			return failure
		}
	}
	s.pieces, failure = s.draft.pieces()
	return failure
}

// quote finds the message that is answered. One that this connection does not know, or knows no
// more, is quoted without its words.
func (s *sending) quote(name string) error {
	if name == "" {
		return nil
	}
	_, ours, err := loadMine(s.p.h, name)
	if err != nil {
		return err
	}
	_, _, theirs, err := loadSeen(s.p.h, name)
	if err != nil {
		return err
	}
	if ours || theirs {
		s.parent = name
		return nil
	}
	if first := &s.pieces[0]; first.kind == typeMessage {
		first.text = strings.TrimRight("> …\n\n"+first.text, "\n")
	}
	return nil
}

// send posts the pieces in order, each once the one before was taken. Where nothing may be
// degraded, every file is uploaded before anything is posted.
func (s *sending) send() (*contract.Failure, error) {
	for i := range s.pieces {
		if !s.strict || i < len(s.sent.ids) {
			continue
		}
		if _, failure, err := s.upload(&s.pieces[i]); err != nil || failure != nil {
			return failure, err
		}
	}
	for i := len(s.sent.ids); i < len(s.pieces); i++ {
		failure, err := s.sendPiece(i)
		if err != nil {
			return nil, err
		}
		if failure != nil {
			return failure, s.save()
		}
	}
	if err := s.save(); err != nil {
		return nil, err
	}
	if s.first() < 0 {
		return s.draft.outcomes.Rejected("nothing_to_send", "No part of the message could be sent."), nil
	}
	if err := s.claim(); err != nil {
		return nil, err
	}
	if err := s.p.h.KVDelete(contract.KVDelete{Key: prefixUpload + s.message}); err != nil {
		return nil, err
	}
	return nil, stir(s.p.h, s.chat.chat)
}

// save keeps how far the message got.
func (s *sending) save() error {
	return keep(s.p.h, prefixSent+s.message, s.sent.encode(), ttlSent)
}

// externalID is our name of a piece, by which the portal knows a repeat.
func (s *sending) externalID(index int) string { return s.p.externalID(s.message, index) }

// ours begins every name that a connection gives to its messages.
func (p *portal) ours() string { return "patchbay:" + string(p.connection) + ":" }

func (p *portal) externalID(message string, index int) string {
	return numbered(p.ours()+message, index)
}

// numbered is the name of a piece after that of the first one.
func numbered(name string, index int) string {
	if index == 0 {
		return name
	}
	return name + "/" + strconv.Itoa(index+1)
}

// skipped stands for the name of a piece that was not posted, since its file is gone.
const skipped = "-"

// first is the first piece that was posted, or -1.
func (s *sending) first() int {
	return slices.IndexFunc(s.sent.ids, func(id string) bool { return id != skipped })
}

// platformID is the message's name from now on: that of its first piece, or our own of it where
// the portal did not say.
func (s *sending) platformID() string {
	first := s.first()
	return cmp.Or(s.sent.ids[first], s.externalID(first))
}

// claim notes the pieces as ours: they are no news when they come back, they can be quoted, and
// they can be changed.
func (s *sending) claim() error {
	name, kinds := s.platformID(), make([]string, len(s.pieces))
	for i, piece := range s.pieces {
		kinds[i] = "text"
		if piece.text == "" {
			kinds[i] = "file"
		}
	}
	for i, id := range s.sent.ids {
		m := mineRecord{name: name, chat: s.chat.chat}
		if i == s.first() {
			id, m.ids, m.kind = name, s.sent.ids, strings.Join(kinds, ",")
		}
		if id == skipped || !fits(id) {
			continue
		}
		if err := keep(s.p.h, prefixMine+id, m.encode(), ttlMine); err != nil {
			return err
		}
	}
	return nil
}

func (s *sending) result() *contract.Sent {
	return &contract.Sent{
		PlatformID: contract.PlatformMessageID(s.platformID()), Status: contract.MessageSent, Parts: s.draft.outcomes,
	}
}

// sendPiece uploads a piece's files and posts it.
func (s *sending) sendPiece(index int) (*contract.Failure, error) {
	piece := &s.pieces[index]
	files, failure, err := s.upload(piece)
	if err != nil || failure != nil {
		return failure, err
	}
	if piece.text == "" && len(files) == 0 { // its file is gone
		s.sent.ids = append(s.sent.ids, skipped)
		return nil, nil
	}
	m := outgoing{
		chat: s.chat.chat, line: s.line.id, user: s.user, kind: piece.kind, text: piece.text, files: files,
		externalID: s.externalID(index), at: s.at + int64(index),
	}
	if index == 0 {
		m.parent = s.parent
	}
	if len(piece.files) > 0 {
		m.fileName = piece.files[0].name
	}
	id, failure, err := s.p.post(&m)
	if err != nil {
		return nil, err
	}
	if failure != nil {
		return s.stale(failure)
	}
	s.sent.ids = append(s.sent.ids, id)
	return nil, nil
}

// stale makes line or chat anew if the portal has it no more, once for a message.
func (s *sending) stale(f *contract.Failure) (*contract.Failure, error) {
	if f.Code != "not_found" || s.sent.renewed {
		return f, nil
	}
	_, found, failure := s.p.getLine(s.line.id)
	if failure != nil {
		return failure, nil
	}
	s.sent.renewed = true
	if !found {
		return s.p.lineGone(s.line)
	}
	if err := forgetChat(s.p.h, s.chat); err != nil {
		return nil, err
	}
	return again("chat_gone", "The portal has the chat no more; a new one is made.", 1), nil
}
