package main

import (
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/parts"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// flat is a message in the platform's terms: one text, files, and a button that is pressed.
// outcomes says what became of each part.
type flat struct {
	set      settings
	text     string
	files    []file
	press    *button
	outcomes parts.Outcomes
}

// file is an attachment by the host's handle.
type file struct {
	kind   string // the platform's word
	handle contract.MediaHandle
	part   int // the part it belongs to
}

// add takes one part and says what became of it.
func (f *flat) add(index int, p *contract.Part) (contract.PartFate, string) {
	switch {
	case p.Kind == contract.PartText && p.Text != nil:
		return f.addText(p.Text)
	case p.Kind == contract.PartMedia && p.Media != nil:
		return f.addMedia(index, p.Media)
	}
	before := len(f.files)
	for _, picture := range parts.Pictures(p) {
		f.addMedia(index, picture)
	}
	words := parts.Words(p)
	switch {
	case words != "":
		f.line(words)
		return contract.PartConverted, "Sent as text."
	case len(f.files) > before:
		return contract.PartConverted, "Only the picture was sent."
	}
	return contract.PartDropped, "The platform has nothing like it, and it has no fallback text."
}

func (f *flat) addText(t *contract.Text) (contract.PartFate, string) {
	switch {
	case t.Plain == "":
		f.line(plain.Markdown(t.Markdown))
	case t.Markdown == "" || t.Markdown == t.Plain || plain.Escape(t.Plain) == t.Markdown:
		f.line(t.Plain)
		return contract.PartNative, ""
	default:
		f.line(t.Plain)
	}
	return contract.PartConverted, "The platform carries no formatting."
}

// fileKinds is the platform's words for files.
var fileKinds = map[contract.MediaKind]string{
	contract.MediaImage: "image", contract.MediaAudio: "audio", contract.MediaVoice: "audio", contract.MediaVideo: "video",
}

func (f *flat) addMedia(index int, m *contract.Media) (contract.PartFate, string) {
	if m.Handle == "" {
		return contract.PartDropped, parts.Gone(m)
	}
	kind := fileKinds[m.Kind]
	if kind == "" {
		kind = "file"
	}
	f.files = append(f.files, file{kind: kind, handle: m.Handle, part: index})
	switch {
	case f.set.mediaAsLink():
		return contract.PartConverted, "Sent as a link."
	case m.Kind == contract.MediaVoice:
		return contract.PartConverted, "Sent as an audio file."
	}
	return contract.PartNative, ""
}

// line adds text on a line of its own.
func (f *flat) line(words string) { f.text = joinLines(f.text, words) }
