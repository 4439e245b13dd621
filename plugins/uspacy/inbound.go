package main

import (
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/origin"
	"github.com/seed75a60ee1/patchbay/pdk/parts"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// message is an operator's message; nil if it says nothing.
func (t *taker) message(id string, chat chatRecord, m payload.Object) (*contract.Message, error) {
	parts := t.parts(m)
	if len(parts) == 0 {
		t.h.Log(pdk.LogInfo, "a message without text and files was left at that", "chat", chat.chat)
		return nil, nil
	}
	if len(parts) > contract.MaxParts {
		t.h.Log(pdk.LogWarn, "a message has more parts than can be taken; the last ones are left out", "message", id)
		parts = parts[:contract.MaxParts]
	}
	message := &contract.Message{
		PlatformID:   contract.PlatformMessageID(id),
		Conversation: contract.Conversation{ID: contract.ConversationID(chat.conversation), Title: chat.title},
		Author:       contract.Author{Role: contract.RoleAgent, Contact: contract.Contact{ID: contract.ContactID(plain.Clip(textOf(m, "authorId"), maxIDBytes))}},
		Parts:        parts,
	}
	if kind := textOf(m, "type"); kind == typeSystem || kind == typeForm {
		message.Author = contract.Author{Role: contract.RoleSystem}
	}
	if at := millisOf(m, "timestamp"); at > 0 {
		message.SentAt = time.UnixMilli(at).UTC()
	}
	var err error
	message.ReplyTo, err = t.quoted(textOf(objectOf(m, "parentMessage"), "id"))
	return message, err
}

// quoted is the message that is answered: a piece of one of ours stands for the whole.
func (t *taker) quoted(parent string) (contract.PlatformMessageID, error) {
	if !fits(parent) {
		return "", nil
	}
	mine, found, err := loadMine(t.h, parent)
	if err != nil {
		return "", err
	}
	if found {
		parent = mine.name
	}
	return contract.PlatformMessageID(parent), nil
}

// parts is what a message says: its text, in pieces if it is very long, its form, its files.
func (t *taker) parts(m payload.Object) []contract.Part {
	var parts []contract.Part
	for text := textOf(m, "message"); text != ""; {
		piece := plain.Clip(text, contract.MaxTextBytes)
		text = text[len(piece):]
		parts = append(parts, textPart(piece))
	}
	if form := formText(m); form != "" {
		parts = append(parts, textPart(plain.Clip(form, contract.MaxTextBytes)))
	}
	for _, f := range objectsOf(m, "attachedFiles") {
		parts = append(parts, contract.Part{Kind: contract.PartMedia, Media: t.media(f, textOf(m, "type"))})
	}
	return parts
}

// textPart is Markdown with its plain form.
func textPart(markdown string) contract.Part {
	text := &contract.Text{Markdown: markdown, Plain: plain.Markdown(markdown)}
	switch text.Plain {
	case "":
		text.Plain = markdown // nothing but marks: that is what was written
	case markdown:
		text.Markdown = ""
	}
	return contract.Part{Kind: contract.PartText, Text: text}
}

// formText writes the fields of a form, a line each.
func formText(m payload.Object) string {
	var lines []string
	for _, field := range objectsOf(m, "formData") {
		if label, value := textOf(field, "label"), textOf(field, "value"); label != "" || value != "" {
			lines = append(lines, plain.Escape(label+": "+value))
		}
	}
	return strings.Join(lines, "\n\n")
}

// media is one file. The host fetches it: from the portal's own host with the token, and from
// the hosts of the setting without. A link to elsewhere is told and not followed.
func (t *taker) media(f payload.Object, kind string) *contract.Media {
	name := parts.FileName(textOf(f, "originalFilename"))
	m := &contract.Media{Kind: mediaKind(name, kind), Name: name, SizeBytes: max(numberOf(f, "size"), 0)}
	url := textOf(f, "url")
	if strings.HasPrefix(url, "/") && !strings.HasPrefix(url, "//") {
		url = "https://" + t.domain + url
	}
	host, ok := origin.Host(url)
	switch {
	case !ok:
		m.Missing = "Its link is no plain https link."
	case host == t.domain:
		m.SourceURL = url
		if t.set.bearerForFiles() {
			m.SourceHeaders = []contract.Header{{Name: "Authorization", Value: "Bearer " + pdk.Credential(contract.CredentialAccessToken)}}
		}
	case allowedHost(host, t.set.list("file_hosts")):
		m.SourceURL = url
	default:
		m.Missing = "Its link is on the host " + host + "; file_hosts allows further hosts."
	}
	return m
}

func allowedHost(host string, allowed []string) bool {
	for _, name := range allowed {
		if strings.EqualFold(host, name) {
			return true
		}
	}
	return false
}

// mediaKind is how a file is meant to be shown: as the type of its message says, or its name.
func mediaKind(name, messageType string) contract.MediaKind {
	switch messageType {
	case typeVoice:
		return contract.MediaVoice
	case typeAudio:
		return contract.MediaAudio
	case typeVideo:
		return contract.MediaVideo
	case typeGIF:
		return contract.MediaImage
	}
	return parts.MediaKind(name)
}
