package main

import (
	"cmp"
	"strconv"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/parts"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// SendMessage posts a customer's message. What was posted before a failure is not posted
// again by the next attempt.
func (connector) SendMessage(h pdk.Host, in *contract.SendMessageInput) (*contract.CommandOutput, error) {
	l, failure, err := dial(h, &in.Connection)
	if err != nil {
		return nil, err
	}
	if failure != nil {
		return l.failed(failure), nil
	}
	s, failure, err := l.compose(in)
	if err == nil && failure == nil {
		failure, err = introduce(h, &in.Message)
	}
	switch {
	case err != nil:
		return nil, err
	case failure != nil:
		return l.failed(failure), nil
	}
	return s.send()
}

// sending is one message on its way.
type sending struct {
	l        *link
	message  contract.PlatformMessageID
	at       int64 // the command's acceptance, Unix nanoseconds: the order within the chat
	posts    []post
	urls     []string // of the last post's files
	outcomes parts.Outcomes
}

// compose turns the message into posts.
func (l *link) compose(in *contract.SendMessageInput) (*sending, *contract.Failure, error) {
	f := flatten(in.Message.Parts)
	urls, err := links(l.h, f.files)
	if err != nil {
		return nil, nil, err
	}
	urls = f.dropGone(urls)
	if failure := f.outcomes.Strict(in.Message.Parts); in.Strict && failure != nil {
		return nil, failure, nil
	}
	if f.text == "" && len(f.files) == 0 {
		return nil, f.outcomes.Rejected("nothing_to_send", "No part of the message can be sent."), nil
	}
	texts := plain.Split(f.text, l.set.maxText(), maxPieces)
	if texts == nil {
		return nil, permanent("text_too_long", "The text would become more than "+strconv.Itoa(maxPieces)+" messages."), nil
	}
	s := &sending{
		l: l, message: contract.PlatformMessageID(in.Message.ID), at: in.Command.CreatedAt.UnixNano(),
		urls: urls, outcomes: f.outcomes,
	}
	if failure := s.cut(&in.Message, texts, f.files); failure != nil {
		return nil, failure, nil
	}
	return s, nil, nil
}

// dropGone leaves out the files that the host has no more, and says so.
func (f *flat) dropGone(urls []string) []string {
	kept, links := f.files[:0], urls[:0]
	for i, file := range f.files {
		if urls[i] != "" {
			kept, links = append(kept, file), append(links, urls[i])
			continue
		}
		o := &f.outcomes[file.part]
		if o.Fate == contract.PartNative {
			o.Fate = contract.PartDropped
		}
		o.Note = "The host has no such attachment any more."
	}
	f.files = kept
	return links
}

// cut makes a post of each piece of text.
func (s *sending) cut(m *contract.Message, texts []string, files []file) *contract.Failure {
	id, chat := string(m.ID), string(m.Conversation.ID)
	user := cmp.Or(string(m.Author.Contact.ID), chat)
	if !fits(id+"/32") || !fits(chat) || !fits(user) {
		return permanent("id_too_long", "The ids of message, conversation and person must have 1 to "+
			strconv.Itoa(maxIDBytes)+" bytes.")
	}
	title := cmp.Or(m.Conversation.Title, m.Author.Contact.Name, chat)
	for i, text := range texts {
		p := post{id: pieceID(id, i), chat: chat, title: title, user: user, text: text}
		if i == len(texts)-1 {
			p.files = files
		}
		if _, err := p.stored(); err != nil {
			return permanent("too_large", "The message is too large: use fewer attachments or a smaller max_text.")
		}
		s.posts = append(s.posts, p)
	}
	return nil
}

// pieceID is the platform's name for a piece of a message.
func pieceID(message string, index int) string {
	if index == 0 {
		return message
	}
	return message + "/" + strconv.Itoa(index+1)
}

// send makes the posts in order, each once the one before was accepted.
func (s *sending) send() (*contract.CommandOutput, error) {
	for i := range s.posts {
		failure, err := s.sendPiece(i)
		if err != nil {
			return nil, err
		}
		if failure != nil {
			return s.l.failed(failure), nil
		}
	}
	out := &contract.CommandOutput{
		Events: s.l.events,
		Sent:   &contract.Sent{PlatformID: s.message, Status: contract.MessageSent, Parts: s.outcomes},
	}
	return out, s.await(out)
}

// await looks for outcomes that came before the calls returned, and asks to be called
// when others are late.
func (s *sending) await(out *contract.CommandOutput) error {
	confirmed := 0
	for i := range s.posts {
		ok, next, err := s.l.await(s.posts[i].id, 1)
		if err != nil {
			return err
		}
		if ok {
			confirmed++
		}
		if next != nil {
			out.Commands = append(out.Commands, *next)
		}
	}
	if confirmed < len(s.posts) {
		return nil
	}
	out.Sent.Status = contract.MessageDelivered
	record := s.record(0)
	record.told = true
	return s.l.note(s.posts[0].id, record)
}

// record is what is noted of a piece that was accepted.
func (s *sending) record(index int) *posted {
	return &posted{
		message: string(s.message), piece: int64(index + 1), pieces: int64(len(s.posts)),
		chat: s.posts[index].chat, at: s.at, tries: 1,
	}
}

// sendPiece makes one post, unless an earlier attempt did.
func (s *sending) sendPiece(index int) (*contract.Failure, error) {
	p := &s.posts[index]
	if _, found, err := loadPosted(s.l.h, p.id); err != nil || found {
		return nil, err
	}
	var urls []string
	if len(p.files) > 0 {
		urls = s.urls
	}
	failure, err := s.l.deliver(p.body(urls, s.l.set.fileURLKey()))
	if err != nil || failure != nil {
		return failure, err
	}
	return nil, s.l.keep(p, s.record(index))
}

// note notes that a post was accepted.
func (l *link) note(id string, record *posted) error {
	return l.h.KVPut(contract.KVPut{Key: prefixPosted + id, Value: record.encode(), TTLSeconds: ttlPosted})
}

// keep notes that a post was accepted, and keeps it to be repeated as long as that may
// be asked for.
func (l *link) keep(p *post, record *posted) error {
	if err := l.note(p.id, record); err != nil || l.set.outcomePolicy() == outcomesIgnored {
		return err
	}
	value, err := p.stored()
	if err != nil {
		return err
	}
	return l.h.KVPut(contract.KVPut{Key: prefixAgain + p.id, Value: value, TTLSeconds: l.set.ttlOutcome()})
}

// introduce keeps what userInfo will be asked for, and the chat that replies will name.
// ELMA365 may ask while it takes the first message, when nothing of this invocation is
// committed yet; so a new chat or person is committed first, and the message goes out
// with the next attempt, at once.
func introduce(h pdk.Host, m *contract.Message) (*contract.Failure, error) {
	chat := string(m.Conversation.ID)
	person := m.Author.Contact
	person.Attributes = nil
	person.ID = contract.ContactID(cmp.Or(string(person.ID), chat))
	record := chatRecord{title: cmp.Or(m.Conversation.Title, person.Name, chat), user: string(person.ID)}
	fresh := false
	for _, entry := range []struct{ key, value string }{
		{prefixChat + chat, record.encode()},
		{prefixContact + string(person.ID), string(contract.Marshal(&person))},
		{prefixUser + string(person.ID), chat},
	} {
		old, _, found, err := h.KVGet(entry.key)
		if err != nil {
			return nil, err
		}
		fresh = fresh || !found
		if found && old == entry.value {
			continue
		}
		if err := h.KVPut(contract.KVPut{Key: entry.key, Value: entry.value}); err != nil {
			return nil, err
		}
	}
	if !fresh {
		return nil, nil
	}
	return &contract.Failure{
		Class: contract.FailureRetryAfter, Code: "introduced", RetryAfterMillis: 1,
		Message: "The person's details are kept first, because ELMA365 may ask for them; the message follows at once.",
	}, nil
}
