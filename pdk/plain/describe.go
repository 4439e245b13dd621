package plain

import (
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Describe writes a structured part as text, where it has no fallback of its own.
func Describe(p *contract.Part) string {
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
