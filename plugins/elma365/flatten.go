package main

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
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
		text = describe(p)
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

// describe writes a structured part as text, where it has no fallback of its own.
func describe(p *contract.Part) string {
	var b strings.Builder
	switch {
	case p.Choice != nil:
		b.WriteString(p.Choice.Prompt)
		describeOptions(&b, p.Choice.Options)
	case p.Card != nil:
		describeCard(&b, p.Card)
	case p.Carousel != nil:
		for i := range p.Carousel.Cards {
			describeCard(&b, &p.Carousel.Cards[i])
		}
	case p.Location != nil:
		describeLocation(&b, p.Location)
	case p.Contact != nil:
		b.WriteString("[Contact]")
		for _, s := range []string{p.Contact.Name, p.Contact.Phone, p.Contact.Email} {
			if s != "" {
				b.WriteString(" " + s)
			}
		}
	}
	return strings.TrimSpace(b.String())
}

func describeCard(b *strings.Builder, c *contract.Card) {
	b.WriteString("\n" + c.Title)
	if c.Body != "" {
		b.WriteString("\n" + c.Body)
	}
	describeOptions(b, c.Options)
}

func describeOptions(b *strings.Builder, options []contract.Option) {
	for i, o := range options {
		b.WriteString("\n" + strconv.Itoa(i+1) + ". " + o.Label)
		for _, s := range []string{o.Description, o.URL} {
			if s != "" {
				b.WriteString(" – " + s)
			}
		}
	}
}

func describeLocation(b *strings.Builder, l *contract.Location) {
	latitude, longitude := degrees(l.LatitudeE7), degrees(l.LongitudeE7)
	b.WriteString("[Location] " + latitude + "," + longitude)
	for _, s := range []string{l.Name, l.Address} {
		if s != "" {
			b.WriteString(" " + s)
		}
	}
	b.WriteString(" https://www.openstreetmap.org/?mlat=" + latitude + "&mlon=" + longitude)
}

// degrees writes an angle in 1e-7 degrees as a decimal number without trailing zeros.
func degrees(e7 int64) string {
	sign := ""
	if e7 < 0 {
		sign, e7 = "-", -e7
	}
	fraction := strconv.FormatInt(1e7+e7%1e7, 10)[1:]
	fraction = strings.TrimRight(fraction, "0")
	if fraction != "" {
		fraction = "." + fraction
	}
	return sign + strconv.FormatInt(e7/1e7, 10) + fraction
}

// maxPieces bounds how many posts one message may become.
const maxPieces = 32

// split cuts a text into pieces of at most limit code points, after white space where
// there is some in the last quarter. The pieces together are the text. There is at least
// one; nil means that there would be more than maxPieces.
func split(text string, limit int) []string {
	pieces := make([]string, 0, 1)
	for {
		end := cut(text, limit)
		pieces = append(pieces, text[:end])
		text = text[end:]
		if text == "" {
			return pieces
		}
		if len(pieces) == maxPieces {
			return nil
		}
	}
}

// cut returns how many bytes of text the first piece takes.
func cut(text string, limit int) int {
	if len(text) <= limit {
		return len(text)
	}
	end, atSpace := 0, 0
	for count := 0; count < limit; count++ {
		r, size := utf8.DecodeRuneInString(text[end:])
		if size == 0 {
			return len(text)
		}
		end += size
		if unicode.IsSpace(r) && count >= limit*3/4 {
			atSpace = end
		}
	}
	if atSpace > 0 && end < len(text) {
		return atSpace
	}
	return end
}
