package main

import (
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/parts"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// The types of a message.
const (
	typeMessage = "MESSAGE"
	typeAudio   = "AUDIO"
	typeVoice   = "VOICE"
	typeVideo   = "VIDEO"
	typeGIF     = "GIF"
	typeForm    = "FORM_SUBMISSION"
	typeSystem  = "SYSTEM"
)

// piece is one message in the portal's terms. A message becomes several where its text is long,
// or where it holds sound or films, which are messages of their own.
type piece struct {
	kind  string // the type
	text  string // Markdown
	files []file
}

// file is an attachment by the host's handle.
type file struct {
	part   int // the part it belongs to
	name   string
	handle contract.MediaHandle
	size   int64
	kind   string // the type of message that it makes
}

// draft is a message being turned into pieces. outcomes says what becomes of each part.
type draft struct {
	set      settings
	text     string
	files    []file
	outcomes parts.Outcomes
}

// compose takes a message apart.
func compose(list []contract.Part, set settings) *draft {
	d := &draft{set: set}
	d.outcomes = parts.Take(list, d.add)
	return d
}

// add takes one part and says what becomes of it.
func (d *draft) add(index int, p *contract.Part) (contract.PartFate, string) {
	switch {
	case p.Kind == contract.PartText && p.Text != nil:
		return d.addText(p.Text)
	case p.Kind == contract.PartMedia && p.Media != nil:
		return d.addMedia(index, p.Media)
	}
	for _, picture := range parts.Pictures(p) {
		d.addMedia(index, picture)
	}
	text := parts.Words(p)
	if text == "" {
		return contract.PartDropped, "Uspacy has nothing like it, and it has no fallback text."
	}
	d.line(d.marked(text))
	return contract.PartConverted, "Sent as text."
}

func (d *draft) addText(t *contract.Text) (contract.PartFate, string) {
	switch {
	case d.set.plainText() && t.Markdown != "" && t.Markdown != t.Plain:
		d.line(t.Plain)
		return contract.PartConverted, "Sent without formatting, as markdown_profile says."
	case t.Markdown != "":
		d.line(t.Markdown)
	default:
		d.line(d.marked(t.Plain))
	}
	return contract.PartNative, ""
}

// marked writes plain text so that the portal shows it as it is.
func (d *draft) marked(text string) string {
	if d.set.plainText() {
		return text
	}
	return plain.Escape(text)
}

// line adds Markdown in a paragraph of its own.
func (d *draft) line(text string) {
	switch {
	case text == "":
		return
	case d.text != "":
		d.text += "\n\n"
	}
	d.text += text
}

func (d *draft) addMedia(index int, m *contract.Media) (contract.PartFate, string) {
	if m.Handle == "" {
		return contract.PartDropped, parts.Gone(m)
	}
	f := file{part: index, name: m.Name, handle: m.Handle, size: m.SizeBytes, kind: d.messageType(m)}
	if f.name == "" {
		f.name = "file"
	}
	if limit := d.set.maxFileBytes(); f.size > limit {
		d.tooLarge(f)
		return contract.PartConverted, "It is larger than " + strconv.FormatInt(limit, 10) + " bytes, so a note says that it was left out."
	}
	d.files = append(d.files, f)
	return contract.PartNative, ""
}

// tooLarge writes a note in place of a file.
func (d *draft) tooLarge(f file) {
	d.line(d.marked("[" + f.name + ": too large to be passed on]"))
}

// messageType is the type of the message that an attachment makes (protocol section 6).
func (d *draft) messageType(m *contract.Media) string {
	switch {
	case d.set.onlyMessages():
		return typeMessage
	case m.Kind == contract.MediaVoice:
		return typeVoice
	case m.Kind == contract.MediaAudio:
		return typeAudio
	case m.Kind == contract.MediaVideo:
		return typeVideo
	case m.MIME == "image/gif" || m.MIME == "" && strings.HasSuffix(strings.ToLower(m.Name), ".gif"):
		return typeGIF
	}
	return typeMessage
}

// maxPieces bounds how many messages one message may become.
const maxPieces = 32

// pieces cuts the draft: text first, with the files that need no message of their own at its
// end, then the others. The failure says why it cannot be sent.
func (d *draft) pieces() ([]piece, *contract.Failure) {
	if d.text == "" && len(d.files) == 0 {
		return nil, d.outcomes.Rejected("nothing_to_send", "No part of the message can be sent.")
	}
	texts := plain.Split(d.text, d.set.maxText(), maxPieces)
	if texts == nil {
		return nil, tooLong()
	}
	list := make([]piece, 0, len(texts))
	for _, text := range texts {
		list = append(list, piece{kind: typeMessage, text: text})
	}
	var own []piece
	for _, f := range d.files {
		if f.kind != typeMessage {
			own = append(own, piece{kind: f.kind, files: []file{f}})
			continue
		}
		last := &list[len(list)-1]
		last.files = append(last.files, f)
	}
	if d.text == "" && len(list[0].files) == 0 {
		list = list[1:]
	}
	if list = append(list, own...); len(list) > maxPieces {
		return nil, tooLong()
	}
	return list, nil
}

func tooLong() *contract.Failure {
	return permanent("text_too_long", "It would become more than "+strconv.Itoa(maxPieces)+" messages.")
}
