package main

import (
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/parts"
)

// flat is a message in the platform's terms: one text and any number of files. outcomes
// says what became of each part.
type flat struct {
	text     string
	files    []file
	outcomes parts.Outcomes
}

// file is an attachment by the host's handle.
type file struct {
	name   string
	handle contract.MediaHandle
	part   int // the part it belongs to
}

// flatten turns parts into text and files. The platform has nothing else: no markup, no
// buttons, no places.
func flatten(list []contract.Part) flat {
	var f flat
	f.outcomes = parts.Take(list, f.add)
	return f
}

// add takes one part and says what became of it.
func (f *flat) add(index int, p *contract.Part) (contract.PartFate, string) {
	switch {
	case p.Kind == contract.PartText && p.Text != nil:
		return f.addText(p.Text)
	case p.Kind == contract.PartMedia && p.Media != nil:
		return f.addMedia(index, p.Media)
	}
	for _, picture := range parts.Pictures(p) {
		f.addMedia(index, picture)
	}
	text := parts.Words(p)
	if text == "" {
		return contract.PartDropped, "The platform has nothing like it, and it has no fallback text."
	}
	f.line(text)
	return contract.PartConverted, "Sent as text."
}

func (f *flat) addText(t *contract.Text) (contract.PartFate, string) {
	switch {
	case t.Plain == "":
		f.line(t.Markdown)
		return contract.PartNative, ""
	case t.Markdown == "" || t.Markdown == t.Plain:
		f.line(t.Plain)
		return contract.PartNative, ""
	}
	f.line(t.Plain)
	return contract.PartConverted, "The platform carries no formatting."
}

func (f *flat) addMedia(index int, m *contract.Media) (contract.PartFate, string) {
	if m.Handle == "" {
		return contract.PartDropped, parts.Gone(m)
	}
	name := m.Name
	if name == "" {
		name = "file"
	}
	f.files = append(f.files, file{name: name, handle: m.Handle, part: index})
	return contract.PartNative, ""
}

// line adds text on a line of its own.
func (f *flat) line(text string) {
	if text == "" {
		return
	}
	if f.text != "" {
		f.text += "\n"
	}
	f.text += text
}

// maxPieces bounds how many posts one message may become.
const maxPieces = 32
