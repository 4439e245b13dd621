package main

import (
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// flat is a message in the platform's terms: one text and any number of files. outcomes
// says what became of each part.
type flat struct {
	text     string
	files    []file
	outcomes []contract.PartOutcome
}

// file is an attachment by the host's handle.
type file struct {
	name   string
	handle contract.MediaHandle
	part   int // the part it belongs to
}

// flatten turns parts into text and files. The platform has nothing else: no markup, no
// buttons, no places.
func flatten(parts []contract.Part) flat {
	var f flat
	for i := range parts {
		fate, note := f.add(i, &parts[i])
		f.outcomes = append(f.outcomes, contract.PartOutcome{Index: int64(i), Fate: fate, Note: note})
	}
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
	f.addPictures(index, p)
	text := p.Fallback
	if text == "" {
		text = plain.Describe(p)
	}
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
		return contract.PartDropped, clipTo(strings.TrimSpace("There are no bytes to send. "+m.Missing), contract.MaxNameBytes)
	}
	name := m.Name
	if name == "" {
		name = "file"
	}
	f.files = append(f.files, file{name: name, handle: m.Handle, part: index})
	return contract.PartNative, ""
}

// addPictures takes the pictures of cards.
func (f *flat) addPictures(index int, p *contract.Part) {
	var cards []contract.Card
	switch {
	case p.Kind == contract.PartCard && p.Card != nil:
		cards = []contract.Card{*p.Card}
	case p.Kind == contract.PartCarousel && p.Carousel != nil:
		cards = p.Carousel.Cards
	}
	for _, c := range cards {
		if c.Image != nil {
			f.addMedia(index, c.Image)
		}
	}
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

// degraded returns the first part that is not sent as it is, or nil.
func (f *flat) degraded() *contract.PartOutcome {
	for i := range f.outcomes {
		if f.outcomes[i].Fate != contract.PartNative {
			return &f.outcomes[i]
		}
	}
	return nil
}

// maxPieces bounds how many posts one message may become.
const maxPieces = 32
