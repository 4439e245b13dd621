package main

import (
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

// outgoing is one message to be created in the portal.
type outgoing struct {
	chat, line, user string
	kind, text       string
	files            []string // file objects, JSON
	fileName         string   // of the first one
	externalID       string
	parent           string
	at               int64 // milliseconds
}

func (p *portal) body(m *outgoing) string {
	at := m.at
	if p.set.inSeconds() {
		at /= 1000
	}
	o := payload.New().Text("chatId", m.chat).Words("message", m.text).Text("type", m.kind).Text("externalLine", m.line).
		Words("externalAuthorId", m.user).Text("externalId", m.externalID).Number("timestamp", at)
	if m.parent != "" {
		o.Words("parentMessage", m.parent)
	}
	if len(m.files) > 0 {
		o.Raw("attachedFiles", "["+strings.Join(m.files, ",")+"]")
	}
	return o.End()
}

// post creates a message and returns the portal's name of it, "" if the portal did not say. A
// repeat carries the same externalId, upon which the portal says that it has the message.
func (p *portal) post(m *outgoing) (string, *contract.Failure, error) {
	result, failure := p.call("POST", pathMessages, p.body(m), true)
	if failure != nil {
		return "", failure, nil
	}
	if !succeeded(result) && !p.isDuplicate(result) && m.text == "" && m.fileName != "" && p.set.namesFiles() &&
		(result.Status == 400 || result.Status == 422) {
		m.text = m.fileName // the portal takes no empty text
		if result, failure = p.call("POST", pathMessages, p.body(m), true); failure != nil {
			return "", failure, nil
		}
	}
	switch {
	case succeeded(result):
		id := textOf(answerObject(result), "id")
		if !fits(id) {
			id = ""
		}
		return id, nil, nil
	case p.isDuplicate(result):
		return p.find(m), nil, nil
	}
	return "", refused(result), nil
}

// isDuplicate tells whether a refusal says that the message is there already, whatever its
// status (protocol section 4.3).
func (p *portal) isDuplicate(r *contract.HTTPResult) bool {
	return r.Status != 401 && r.Status != 403 && strings.Contains(textOf(answerObject(r), "message"), p.set.duplicateMarker())
}

// find looks for a message that is there already, by our name of it. Not finding it costs
// nothing but the portal's name.
func (p *portal) find(m *outgoing) string {
	result, failure := p.call("GET", pathMessages+"?chatId="+escaped(m.chat)+"&limit=50", "", true)
	if failure != nil || !succeeded(result) {
		return ""
	}
	list, _ := answerList(result)
	for _, o := range list {
		if id := textOf(o, "id"); textOf(o, "externalId") == m.externalID && fits(id) {
			return id
		}
	}
	return ""
}
