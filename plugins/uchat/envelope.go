package main

import (
	"cmp"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

// envelope is what a message webhook says, in the words of either family: Chatwoot's agent
// bots or Messenger (protocol section 3.2). The payloads are not documented, so the reader
// takes whatever path has something.
type envelope struct {
	event      string
	id         string
	incoming   bool // an echo of a customer's own message
	private    bool // a note among agents
	recipients []string
	number     string // conversation_id
	text       string
	author     contract.Author
	// attachments are objects of either family; items are those of content_type.
	attachments []payload.Object
	contentType string
	items       []payload.Object
}

// readEnvelope reads a body. What is wrong with the fields that decide is left to the
// document's Err; an alternate of another type than expected is passed over.
func readEnvelope(doc payload.Object) *envelope {
	message, conversation := either(doc, "message", '{'), doc.Object("conversation")
	sender := doc.Object("sender")
	kind := doc.Identifier("message_type")
	e := &envelope{
		event:       doc.String("event"),
		incoming:    kind == "incoming" || kind == "0",
		private:     isTrue(doc, "private"),
		number:      cmp.Or(doc.Identifier("conversation_id"), identifier(conversation, "id")),
		id:          cmp.Or(identifier(doc, "message_id"), identifier(doc, "mid"), identifier(message, "mid"), identifier(doc, "id")),
		recipients:  recipients(doc, conversation, sender),
		author:      author(doc, sender, kind),
		contentType: doc.String("content_type"),
	}
	e.text = cmp.Or(text(message, "text"), doc.String("content"), text(doc, "text"), text(doc, "message"))
	e.attachments = attachments(doc, message)
	if e.contentType == "input_select" || e.contentType == "cards" {
		e.items = doc.Object("content_attributes").Objects("items")
	}
	for _, reply := range list(message, "quick_replies") {
		e.contentType, e.items = "quick_replies", append(e.items, reply)
	}
	return e
}

// recipients lists who may be meant, in the order in which they are tried.
func recipients(doc, conversation, sender payload.Object) []string {
	var ids []string
	add := func(id string) {
		if fits(id) {
			ids = append(ids, id)
		}
	}
	add(doc.Object("recipient").Identifier("id"))
	for _, name := range []string{"contact", "receiver", "user"} {
		add(identifier(either(doc, name, '{'), "id"))
	}
	add(identifier(doc, "user_id"))
	add(identifier(doc, "to"))
	if text(sender, "type") == "contact" {
		add(identifier(sender, "id"))
	}
	add(identifier(either(either(conversation, "meta", '{'), "sender", '{'), "id"))
	add(identifier(either(conversation, "contact_inbox", '{'), "source_id"))
	return ids
}

// attachments collects them from the four places where they may stand.
func attachments(doc, message payload.Object) []payload.Object {
	var found []payload.Object
	for _, at := range []payload.Object{message, doc} {
		if one := either(at, "attachment", '{'); one.Present() {
			found = append(found, one)
		}
		found = append(found, at.Objects("attachments")...)
	}
	return found
}

// maxAuthorName bounds an author's name, in characters (protocol section 8).
const maxAuthorName = 128

// author is who wrote the message: an agent where somebody says so, and else the bot.
func author(doc, sender payload.Object, kind string) contract.Author {
	a := contract.Author{Role: contract.RoleBot}
	agent := either(doc, "agent", '{')
	word := sender.String("type")
	if agent.Present() || text(doc, "agent") != "" || word == "user" || word == "agent" || kind == "agent" {
		a.Role = contract.RoleAgent
	}
	who := sender
	if agent.Present() {
		who = agent
	}
	if word == "contact" && !agent.Present() {
		return a // that is the customer
	}
	name := cmp.Or(who.String("name"), text(doc, "agent"))
	a.Contact.Name = clipRunes(oneLine(name), maxAuthorName)
	if id := who.Identifier("id"); fits(id) {
		a.Contact.ID = contract.ContactID(id)
	}
	return a
}

// either is an object if the field is one, and an empty one otherwise: some fields are texts
// in one family and objects in the other.
func either(o payload.Object, name string, kind byte) payload.Object {
	if first(o, name) != kind {
		return payload.Object{}
	}
	return o.Object(name)
}

// text is a text if the field is one.
func text(o payload.Object, name string) string {
	if first(o, name) != '"' {
		return ""
	}
	return o.String(name)
}

// identifier is a text or a whole number if the field is one.
func identifier(o payload.Object, name string) string {
	switch c := first(o, name); {
	case c == '"':
		return o.String(name)
	case c == '-' || c >= '0' && c <= '9':
		return string(o.Raw(name))
	}
	return ""
}

// list is an array of objects if the field is an array.
func list(o payload.Object, name string) []payload.Object {
	if first(o, name) != '[' {
		return nil
	}
	return o.Objects(name)
}

func isTrue(o payload.Object, name string) bool { return first(o, name) == 't' }

// first is the byte that a field's value begins with; 0 if there is none.
func first(o payload.Object, name string) byte {
	raw := o.Raw(name)
	if len(raw) == 0 {
		return 0
	}
	return raw[0]
}
