package main

import (
	"errors"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

// linkTTLSeconds is how long a file's link works, in seconds: a repeat may fetch late.
const linkTTLSeconds = 24 * 3600

// maxStoredBytes bounds a post that is kept to be repeated; the host keeps 64 KiB.
const maxStoredBytes = 60 << 10

// post is one message in the platform's terms. A long message becomes several, of which
// the last carries the files.
type post struct {
	// id is the externalMessageId, the same on every repeat: the host's id of the message,
	// and for the pieces after the first "id/2", "id/3", ...
	id    string
	chat  string // externalChatId
	title string // externalChatName
	user  string // externalUserId
	text  string
	files []file
}

// body is the callback's body; urls holds a link for each file, or "" for one that is
// gone.
func (p *post) body(urls []string, urlKey string) string {
	files := make([]byte, 0, 256)
	for i, f := range p.files {
		if urls[i] == "" {
			continue
		}
		if len(files) > 0 {
			files = append(files, ',')
		}
		files = append(files, payload.New().Words("name", f.name).Words(urlKey, urls[i]).End()...)
	}
	data := payload.New().
		Words("externalMessageId", p.id).
		Words("externalChatId", p.chat).
		Words("externalChatName", p.title).
		Words("externalUserId", p.user).
		Words("text", p.text).
		Raw("files", "["+string(files)+"]").End()
	return envelope("message", data)
}

// envelope is the body of a callback; empty data leaves the key out. The host puts the
// token in, where the connector never sees it.
func envelope(kind, data string) string {
	o := payload.New().Text("type", kind).Text("token", pdk.Secret("outbound_token"))
	if data != "" {
		o.Raw("data", data)
	}
	return o.End()
}

// links asks the host for a link to each file. One that the host has no more is "".
func links(h pdk.Host, files []file) ([]string, error) {
	urls := make([]string, len(files))
	for i, f := range files {
		link, err := h.MediaLink(contract.MediaLink{Handle: f.handle, TTLSeconds: linkTTLSeconds})
		switch code := contract.HostErrorCode(err); {
		case err == nil:
			urls[i] = link.URL
		case code != contract.HostNotFound && code != contract.HostDenied && code != contract.HostInvalid:
			return nil, err
		}
	}
	return urls, nil
}

// stored is the post as it is kept to be repeated: without links, which expire.
func (p *post) stored() (string, error) {
	m := contract.Message{
		PlatformID:   contract.PlatformMessageID(p.id),
		Conversation: contract.Conversation{ID: contract.ConversationID(p.chat), Title: p.title},
		Author:       contract.Author{Role: contract.RoleCustomer, Contact: contract.Contact{ID: contract.ContactID(p.user)}},
		Parts:        []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: p.text}}},
	}
	for _, f := range p.files {
		m.Parts = append(m.Parts, contract.Part{
			Kind: contract.PartMedia, Media: &contract.Media{Kind: contract.MediaFile, Handle: f.handle, Name: f.name},
		})
	}
	value := contract.Marshal(&m)
	if len(value) > maxStoredBytes {
		return "", errTooLarge
	}
	return string(value), nil
}

var errTooLarge = errors.New("the message is too large to be kept")

// loadPost reads a post that was kept.
func loadPost(h pdk.Host, id string) (*post, bool, error) {
	value, _, found, err := h.KVGet(prefixAgain + id)
	if err != nil || !found {
		return nil, false, err
	}
	var m contract.Message
	if err := contract.Unmarshal([]byte(value), &m); err != nil {
		return nil, false, err
	}
	p := &post{
		id: string(m.PlatformID), chat: string(m.Conversation.ID), title: m.Conversation.Title,
		user: string(m.Author.Contact.ID),
	}
	for i := range m.Parts {
		switch part := &m.Parts[i]; {
		case part.Text != nil:
			p.text = part.Text.Plain
		case part.Media != nil:
			p.files = append(p.files, file{name: part.Media.Name, handle: part.Media.Handle})
		}
	}
	return p, true, nil
}
