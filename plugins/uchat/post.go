package main

import (
	"cmp"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// linkTTLSeconds is how long a file's link works, in seconds (protocol section 6).
const linkTTLSeconds = 24 * 3600

// post is one message in the platform's terms.
type post struct {
	text  string
	file  *file
	url   string // of the file
	press *button
}

// person is what UChat is told of a customer.
type person struct{ id, name, email, phone string }

func personOf(m *contract.Message, sender string) person {
	c := &m.Author.Contact
	return person{
		id:    sender,
		name:  clipRunes(oneLine(cmp.Or(c.Name, m.Conversation.Title)), maxAuthorName),
		email: clipTo(oneLine(c.Email), 254), phone: clipTo(oneLine(c.Phone), 64),
	}
}

// body is what is posted (protocol section 4.2).
func (p *post) body(who person, number int64, asLink bool) string {
	event, content := "message_created", p.text
	if p.press != nil {
		event, content = "message_postback", p.press.title
	}
	if p.file != nil && asLink {
		content = joinLines(content, p.url)
	}
	sender := newObject().words("id", who.id).words("name", who.name).words("email", who.email).
		words("phone_number", who.phone).text("type", "contact").end()
	o := newObject().words("content", content).text("message_type", "incoming").raw("sender", sender).
		number("conversation_id", number).text("event", event)
	if p.press != nil {
		value := newObject().words("title", p.press.title).words("payload", p.press.payload).end()
		o.raw("submitted_values", "["+value+"]")
	}
	if p.file != nil && !asLink {
		o.raw("attachments", "["+newObject().text("file_type", p.file.kind).words("data_url", p.url).end()+"]")
	}
	return o.end()
}

// links asks the host for a link to each file. One that the host has no more is left out,
// and its part told so.
func (f *flat) links(h pdk.Host) ([]string, error) {
	var urls []string
	kept := f.files[:0]
	for _, file := range f.files {
		link, err := h.MediaLink(contract.MediaLink{Handle: file.handle, TTLSeconds: linkTTLSeconds})
		switch code := contract.HostErrorCode(err); {
		case err == nil:
			kept, urls = append(kept, file), append(urls, link.URL)
			continue
		case code != contract.HostNotFound && code != contract.HostDenied && code != contract.HostInvalid:
			return nil, err
		}
		o := &f.outcomes[file.part]
		if o.Fate == contract.PartNative || f.set.mediaAsLink() {
			o.Fate = contract.PartDropped
		}
		o.Note = "The host has no such attachment any more."
	}
	f.files = kept
	return urls, nil
}
