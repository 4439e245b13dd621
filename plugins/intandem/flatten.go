package main

import (
	"cmp"
	"strconv"
	"strings"
	"unicode"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// linkTTLSeconds is how long the link to a file works, in seconds.
const linkTTLSeconds = 24 * 3600

// flat is a message in the platform's terms: one text. outcomes says what became of each
// part.
type flat struct {
	text     string
	files    []file
	outcomes []contract.PartOutcome
}

// file is an attachment.
type file struct {
	media contract.Media
	part  int
	alone bool // it is all there is of the part
	url   string
}

// flatten turns parts into text and files. The platform documents nothing but text.
func flatten(parts []contract.Part) *flat {
	f := new(flat)
	for i := range parts {
		fate, note := f.add(i, &parts[i])
		f.outcomes = append(f.outcomes, contract.PartOutcome{Index: int64(i), Fate: fate, Note: note})
	}
	return f
}

// add takes one part and says what became of it.
func (f *flat) add(index int, p *contract.Part) (contract.PartFate, string) {
	switch {
	case p.Text != nil && (p.Text.Markdown == "" || p.Text.Markdown == p.Text.Plain):
		f.line(p.Text.Plain)
		return contract.PartNative, ""
	case p.Text != nil:
		f.line(p.Text.Plain)
		return contract.PartConverted, "The platform carries no formatting."
	case p.Media != nil:
		return f.addMedia(index, p.Media)
	}
	text := cmp.Or(p.Fallback, plain.Describe(p))
	pictures := f.addPictures(index, p)
	if text == "" && !pictures {
		return contract.PartDropped, "The platform has nothing like it, and it has no fallback text."
	}
	f.line(text)
	return contract.PartConverted, "Sent as text."
}

func (f *flat) addMedia(index int, m *contract.Media) (contract.PartFate, string) {
	if m.Handle == "" {
		return contract.PartDropped, clipTo(strings.TrimSpace("There are no bytes to send. "+m.Missing), contract.MaxNameBytes)
	}
	f.files = append(f.files, file{media: *m, part: index, alone: true})
	return contract.PartConverted, "Sent as a link that works for 24 hours."
}

// addPictures takes the pictures of cards, and tells whether there are any.
func (f *flat) addPictures(index int, p *contract.Part) bool {
	var cards []contract.Card
	switch {
	case p.Card != nil:
		cards = []contract.Card{*p.Card}
	case p.Carousel != nil:
		cards = p.Carousel.Cards
	}
	before := len(f.files)
	for _, c := range cards {
		if c.Image != nil && c.Image.Handle != "" {
			f.files = append(f.files, file{media: *c.Image, part: index})
		}
	}
	return len(f.files) > before
}

// line adds text on a line of its own.
func (f *flat) line(text string) {
	if f.text != "" && text != "" {
		f.text += "\n"
	}
	f.text += text
}

// strict is the refusal of a message of which a part would not be sent as it is; nil if
// every part would.
func (f *flat) strict() *contract.Failure {
	for i, o := range f.outcomes {
		if o.Fate != contract.PartNative {
			return f.refused("part_refused", clipTo("Part "+strconv.Itoa(i)+" cannot be sent as it is. "+o.Note, contract.MaxNameBytes))
		}
	}
	return nil
}

// refused is the failure of a message that is not sent because of its parts: those that are
// not as they should be are at fault.
func (f *flat) refused(code, message string) *contract.Failure {
	failure := permanent(code, message)
	for _, o := range f.outcomes {
		if o.Fate != contract.PartNative {
			o.Fate = contract.PartRejected
		}
		failure.Parts = append(failure.Parts, o)
	}
	return failure
}

// link asks the host for a link to each file, and adds it to the text. A file that the
// host has no more is left out.
func (f *flat) link(h pdk.Host) error {
	kept := f.files[:0]
	for _, file := range f.files {
		link, err := h.MediaLink(contract.MediaLink{Handle: file.media.Handle, TTLSeconds: linkTTLSeconds})
		switch code := contract.HostErrorCode(err); {
		case err == nil:
			file.url = link.URL
			kept = append(kept, file)
			f.line(oneLine(cmp.Or(file.media.Name, "file")) + ": " + link.URL)
		case code == contract.HostNotFound || code == contract.HostDenied || code == contract.HostInvalid:
			o := &f.outcomes[file.part]
			o.Note = "The host has no such attachment any more."
			if file.alone {
				o.Fate = contract.PartDropped
			}
		default:
			return err
		}
	}
	f.files = kept
	return nil
}

// attachments describes files as objects, in the form that is guessed (protocol section 6).
func attachments(files []file) string {
	var b strings.Builder
	for i, f := range files {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(newObject().words("url", f.url).words("name", cmp.Or(f.media.Name, "file")).
			words("content_type", f.media.MIME).number("size", f.media.SizeBytes).end())
	}
	return "[" + b.String() + "]"
}

// oneLine is a text without line breaks and other control characters, at most 200 bytes.
func oneLine(s string) string {
	return clipTo(strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)), 200)
}
