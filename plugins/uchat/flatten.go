package main

import (
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// flat is a message in the platform's terms: one text, files, and a button that is pressed.
// outcomes says what became of each part.
type flat struct {
	set      settings
	text     string
	files    []file
	press    *button
	outcomes []contract.PartOutcome
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
	pictures := f.addPictures(index, p)
	words := p.Fallback
	if words == "" {
		words = plain.Describe(p)
	}
	switch {
	case words != "":
		f.line(words)
		return contract.PartConverted, "Sent as text."
	case pictures:
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
		return contract.PartDropped, clipTo(strings.TrimSpace("There are no bytes to send. "+m.Missing), contract.MaxNameBytes)
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

// addPictures takes the pictures of cards, and tells whether there was one.
func (f *flat) addPictures(index int, p *contract.Part) bool {
	var cards []contract.Card
	switch {
	case p.Kind == contract.PartCard && p.Card != nil:
		cards = []contract.Card{*p.Card}
	case p.Kind == contract.PartCarousel && p.Carousel != nil:
		cards = p.Carousel.Cards
	}
	before := len(f.files)
	for _, c := range cards {
		if c.Image != nil {
			f.addMedia(index, c.Image)
		}
	}
	return len(f.files) > before
}

// line adds text on a line of its own.
func (f *flat) line(words string) { f.text = joinLines(f.text, words) }

// refusal is the failure of a message that was not to be degraded; nil if no part was.
func (f *flat) refusal() *contract.Failure {
	var failure *contract.Failure
	parts := make([]contract.PartOutcome, len(f.outcomes))
	for i, o := range f.outcomes {
		parts[i] = o
		if o.Fate == contract.PartNative {
			continue
		}
		parts[i].Fate = contract.PartRejected
		if failure == nil {
			failure = permanent("part_refused", "A part cannot be sent as it is. "+o.Note)
		}
	}
	if failure != nil {
		failure.Parts = parts
	}
	return failure
}
