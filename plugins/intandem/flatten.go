package main

import (
	"cmp"
	"strings"
	"unicode"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/parts"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// linkTTLSeconds is how long the link to a file works, in seconds.
const linkTTLSeconds = 24 * 3600

// flat is a message in the platform's terms: one text. outcomes says what became of each
// part.
type flat struct {
	text     string
	files    []file
	outcomes parts.Outcomes
}

// file is an attachment.
type file struct {
	media contract.Media
	part  int
	alone bool // it is all there is of the part
	url   string
}

// flatten turns parts into text and files. The platform documents nothing but text.
func flatten(list []contract.Part) *flat {
	f := new(flat)
	f.outcomes = parts.Take(list, f.add)
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
	text := parts.Words(p)
	pictures := f.addPictures(index, p)
	if text == "" && !pictures {
		return contract.PartDropped, "The platform has nothing like it, and it has no fallback text."
	}
	f.line(text)
	return contract.PartConverted, "Sent as text."
}

func (f *flat) addMedia(index int, m *contract.Media) (contract.PartFate, string) {
	if m.Handle == "" {
		return contract.PartDropped, parts.Gone(m)
	}
	f.files = append(f.files, file{media: *m, part: index, alone: true})
	return contract.PartConverted, "Sent as a link that works for 24 hours."
}

// addPictures takes the pictures of cards, and tells whether there are any.
func (f *flat) addPictures(index int, p *contract.Part) bool {
	before := len(f.files)
	for _, picture := range parts.Pictures(p) {
		if picture.Handle != "" {
			f.files = append(f.files, file{media: *picture, part: index})
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
		b.WriteString(payload.New().Words("url", f.url).Words("name", cmp.Or(f.media.Name, "file")).
			Words("content_type", f.media.MIME).Number("size", f.media.SizeBytes).End())
	}
	return "[" + b.String() + "]"
}

// oneLine is a text without line breaks and other control characters, at most 200 bytes.
func oneLine(s string) string {
	return plain.Clip(strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)), 200)
}
