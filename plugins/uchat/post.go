package main

import (
	"cmp"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
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
		email: plain.Clip(oneLine(c.Email), 254), phone: plain.Clip(oneLine(c.Phone), 64),
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
	sender := payload.New().Words("id", who.id).Words("name", who.name).Words("email", who.email).
		Words("phone_number", who.phone).Text("type", "contact").End()
	o := payload.New().Words("content", content).Text("message_type", "incoming").Raw("sender", sender).
		Number("conversation_id", number).Text("event", event)
	if p.press != nil {
		value := payload.New().Words("title", p.press.title).Words("payload", p.press.payload).End()
		o.Raw("submitted_values", "["+value+"]")
	}
	if p.file != nil && !asLink {
		o.Raw("attachments", "["+payload.New().Text("file_type", p.file.kind).Words("data_url", p.url).End()+"]")
	}
	return o.End()
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
