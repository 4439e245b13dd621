package main

import (
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/origin"
	"github.com/seed75a60ee1/patchbay/pdk/parts"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// What one message of a business's may hold.
const (
	maxAttachments = 50
	maxRawBytes    = 16 << 10 // of an attachment that nobody can read
)

// message is what somebody of the business wrote to a customer.
func (d *delivery) message() (*contract.ReceiveOutput, error) {
	external, uid := d.doc.String("external_uid"), d.doc.String("message_uid")
	text, channel := d.doc.String("message"), d.doc.String("channel_uid")
	d.doc.String("status")
	attached := d.doc.Objects("attachments")
	switch err := d.doc.Err(); {
	case err != nil:
		return rejected(malformed(err.Error())), nil
	case !fits(external):
		return rejected(malformed("The body has no external_uid, or one that is too long.")), nil
	case !fits(uid):
		return rejected(malformed("The body has no message_uid, or one that is too long.")), nil
	case len(attached) > maxAttachments:
		return rejected(malformed("The message has more than 50 attachments.")), nil
	}
	if refused, err := d.ownChannel(); refused != nil || err != nil {
		return refused, err
	}
	if ours, err := d.ours(uid); ours || err != nil {
		return accepted(), err // an echo of what we posted
	}
	_, known, err := loadStaffMessage(d.h, uid)
	if err != nil || known {
		return accepted(), err // a repeat, after the host forgot the delivery
	}
	out := accepted()
	out.DedupeKey = messageKey(channel, uid)
	parts := d.parts(text, attached)
	if len(parts) == 0 {
		d.h.Log(pdk.LogInfo, "a message without text and attachments was left at that", "message", plain.Clip(uid, 64))
		return out, nil
	}
	out.Events = []contract.Event{agentMessage(external, uid, parts)}
	return out, staffMessage{chat: external}.save(d.h, uid)
}

// ours tells whether a message is one that we posted.
func (d *delivery) ours(uid string) (bool, error) {
	_, found, err := loadSent(d.h, uid)
	return found, err
}

// agentMessage is the event of a message of the business's, which does not say who wrote.
func agentMessage(chat, uid string, parts []contract.Part) contract.Event {
	m := &contract.Message{
		PlatformID: contract.PlatformMessageID(uid), Conversation: contract.Conversation{ID: contract.ConversationID(chat)},
		Author: contract.Author{Role: contract.RoleAgent}, Parts: parts,
	}
	return contract.Event{Kind: contract.EventMessageCreated, Conversation: &m.Conversation, Message: m}
}

// parts is what a message says: its text, in pieces if it is very long, then its files.
func (d *delivery) parts(text string, attached []payload.Object) []contract.Part {
	if d.set.htmlToText() && plain.HasTags(text) {
		text = plain.HTML(text)
	}
	var parts []contract.Part
	for strings.TrimSpace(text) != "" {
		piece := plain.Clip(text, contract.MaxTextBytes)
		parts = append(parts, contract.Part{Kind: contract.PartText, Text: &contract.Text{Plain: piece}})
		text = text[len(piece):]
	}
	for _, a := range attached {
		parts = append(parts, d.attachment(a))
	}
	return parts
}

// The names under which an attachment's link and name are looked for (protocol section 6).
var (
	linkNames = []string{"url", "file_url", "data_url", "link", "src"}
	fileNames = []string{"name", "file_name", "filename", "title"}
)

// attachment is one file; one without a link that can be read is passed on as it came.
func (d *delivery) attachment(a payload.Object) contract.Part {
	link, name := firstText(a, linkNames), parts.FileName(firstText(a, fileNames))
	if !strings.HasPrefix(link, "https://") && !strings.HasPrefix(link, "http://") || len(link) > contract.MaxURLBytes {
		return contract.Part{Kind: contract.PartRaw, Fallback: "[Attachment]", Raw: &contract.Raw{Kind: "attachment", JSON: rawOf(a)}}
	}
	m := &contract.Media{Kind: parts.MediaKind(name), Name: name, SourceURL: link}
	if host, ok := origin.Host(link); !ok || !slices.Contains(d.set.fileHosts(), host) {
		m.SourceURL, m.Missing = "", "Its link is not on a host that the app's setting file_hosts lists."
	}
	return contract.Part{Kind: contract.PartMedia, Fallback: "[Attachment] " + name, Media: m}
}

// firstText returns the first text found under names.
func firstText(a payload.Object, names []string) string {
	for _, name := range names {
		if strings.HasPrefix(string(a.Raw(name)), `"`) {
			if text := a.String(name); text != "" {
				return text
			}
		}
	}
	return ""
}

// rawOf writes an object anew, as far as it is small.
func rawOf(a payload.Object) contract.RawJSON {
	o := payload.New()
	for _, name := range a.Names() {
		if raw := a.Raw(name); raw != nil && o.Len()+len(raw) < maxRawBytes {
			o.Raw(name, string(raw))
		}
	}
	return contract.RawJSON(o.End())
}
