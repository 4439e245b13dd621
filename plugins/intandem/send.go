package main

import (
	"cmp"
	"strconv"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/parts"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// SendMessage posts a message, once its person has a client and a session. Whatever was
// reached before a failure is kept, and not done again by the next attempt.
func (connector) SendMessage(h pdk.Host, in *contract.SendMessageInput) (*contract.CommandOutput, error) {
	return unlessChanged((&api{h: h, set: settingsOf(&in.Connection)}).send(in))
}

func (c *api) send(in *contract.SendMessageInput) (*contract.CommandOutput, error) {
	s, failure, err := c.compose(in)
	if err != nil {
		return nil, err
	}
	if failure != nil {
		return failed(failure), nil
	}
	out := new(contract.CommandOutput)
	if out.Failure, err = s.ready(in.Command, out); err != nil || out.Failure != nil {
		return out, err
	}
	for i := range s.posts {
		if out.Failure, err = s.post(i); err != nil || out.Failure != nil {
			return out, err
		}
	}
	out.Sent = &contract.Sent{PlatformID: contract.PlatformMessageID(in.Message.ID), Status: contract.MessageSent, Parts: s.outcomes}
	return out, nil
}

// sending is one message on its way.
type sending struct {
	c        *api
	message  *contract.Message
	at       time.Time // when its author sent it, or it came here
	posts    []string  // the texts
	files    []file    // of the last post
	outcomes parts.Outcomes

	ch     channel
	person person
}

// maxPieces bounds how many posts one message may become.
const maxPieces = 32

// compose turns a message into posts. What it refuses was never attempted.
func (c *api) compose(in *contract.SendMessageInput) (*sending, *contract.Failure, error) {
	m := &in.Message
	if !fits(string(m.ID)+"-32") || !fits(string(m.Conversation.ID)) || !fits(cmp.Or(string(m.Author.Contact.ID), "-")) {
		return nil, permanent("id_too_long", "The ids of message, conversation and person must have at most "+strconv.Itoa(maxIDBytes)+" bytes."), nil
	}
	f := flatten(m.Parts)
	if failure := f.outcomes.Strict(m.Parts); in.Strict && failure != nil {
		return nil, failure, nil
	}
	if err := f.link(c.h); err != nil {
		return nil, nil, err
	}
	if f.text == "" {
		return nil, f.outcomes.Rejected("nothing_to_send", "No part of the message can be sent."), nil
	}
	texts := plain.Split(f.text, c.set.maxText(), maxPieces)
	if texts == nil {
		return nil, f.outcomes.Rejected("text_too_long", "The text would become more than "+strconv.Itoa(maxPieces)+" messages."), nil
	}
	s := &sending{c: c, message: m, at: m.SentAt, posts: texts, files: f.files, outcomes: f.outcomes}
	if s.at.IsZero() {
		s.at = in.Command.CreatedAt
	}
	return s, nil, nil
}

// ready says why the message cannot be posted yet.
func (s *sending) ready(command contract.CommandInfo, out *contract.CommandOutput) (f *contract.Failure, err error) {
	c := s.c
	if f, err = c.authorised(); f != nil || err != nil {
		return f, err
	}
	if s.ch, err = loadChannel(c.h); err != nil {
		return nil, err
	}
	if f := c.readyChannel(s.ch, command); f != nil {
		return f, nil
	}
	chat, who := string(s.message.Conversation.ID), s.message.Author.Contact
	if s.person, err = loadPerson(c.h, chat); err != nil {
		return nil, err
	}
	if s.message.Author.Role != contract.RoleCustomer && s.person.client == "" {
		return permanent("customer_unknown", "No customer has written in the conversation, so that nobody knows whom the message is for."), nil
	}
	if s.message.Author.Role == contract.RoleCustomer && who.ID != "" {
		if err := saveText(c.h, prefixWho+string(who.ID), chat); err != nil {
			return nil, err
		}
	}
	if f, err = c.mapClient(&s.person, &who); f != nil || err != nil || c.set.openChannel() {
		return f, err
	}
	return c.readySession(&s.person, s.ch, command, out)
}

// pieceUID is the message_uid of a piece of a message: the same at every attempt, so that
// the platform takes a repeat as one.
func pieceUID(message string, index int) string {
	if index == 0 {
		return message
	}
	return message + "-" + strconv.Itoa(index+1)
}

// post makes one post, unless an earlier attempt did.
func (s *sending) post(index int) (*contract.Failure, error) {
	uid := pieceUID(string(s.message.ID), index)
	if _, found, err := loadSent(s.c.h, uid); err != nil || found {
		return nil, err
	}
	a, f := s.c.call(request{
		method: "POST", path: "/business/communication/messages", body: s.body(index, uid), bearer: s.c.set.token(), repeatable: true,
	})
	if f != nil && !((a.status == 409 || a.status == 422) && a.repeated()) {
		return f, nil
	}
	if f == nil {
		if status := a.doc.Object("data").Object("message").String("status"); status == statusError || status == statusUnavailable {
			return permanent("message_refused", "inTandem took the message and reported at once that it could not be processed."), nil
		}
	}
	record := sent{message: string(s.message.ID), piece: int64(index + 1), pieces: int64(len(s.posts)), chat: s.person.chat}
	return nil, record.save(s.c.h, uid)
}

// createdAt is the form of created_at; that it is UTC is assumed (protocol section 9).
const createdAt = "2006-01-02 15:04:05"

// body is what is posted of one piece.
func (s *sending) body(index int, uid string) string {
	direction := "client_to_business"
	if role := s.message.Author.Role; role == contract.RoleAgent || role == contract.RoleBot {
		direction = "business_to_client"
	}
	o := payload.New().Text("channel_uid", s.ch.uid).Words("external_uid", s.person.chat).Text("contact_uid", s.person.client).
		Words("message", s.posts[index]).Text("message_uid", uid).Text("direction", direction).
		Text("created_at", s.at.UTC().Format(createdAt))
	if index == len(s.posts)-1 && s.c.set.objectMode() && len(s.files) > 0 {
		o.Raw("attachments", attachments(s.files))
	}
	if data := s.contactData(); data != "{}" && s.c.set.contactData() && direction == "client_to_business" {
		o.Raw("contact_data", data)
	}
	return o.End()
}

// contactData is who writes, for the platform's automated receptionist: facts of one line,
// nothing that a customer could make long.
func (s *sending) contactData() string {
	who, o := s.message.Author.Contact, payload.New()
	for _, fact := range []struct{ name, value string }{{"contact_name", who.Name}, {"email", who.Email}, {"phone", who.Phone}} {
		if value := oneLine(fact.value); value != "" {
			o.Words(fact.name, value)
		}
	}
	return o.End()
}
