package bridges

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// says is a hash of what a message says and on which side of the counter its author
// stands; empty if it says nothing. Attachments count by their bytes: an echo comes with
// a handle of its own. A platform may take an agent for a bot, so these are one side.
func (d *draft) says(ctx context.Context, role contract.Role, parts []contract.Part) (string, error) {
	var words, media []string
	for _, part := range parts {
		if part.Media != nil && part.Media.Handle != "" {
			sum, err := d.sum(ctx, part.Media.Handle)
			if err != nil {
				return "", err
			}
			media = append(media, sum)
		} else {
			words = append(words, plain(part))
		}
	}
	text := normal(strings.Join(words, " "))
	if text == "" && len(media) == 0 {
		return "", nil
	}
	slices.Sort(media)
	counter := "agents"
	if role == contract.RoleCustomer {
		counter = "customers"
	}
	sum := sha256.Sum256([]byte(counter + "\n" + strings.Join(media, " ") + "\n" + text))
	return hex.EncodeToString(sum[:16]), nil
}

// sum is the hash of an attachment's bytes, or its handle if it is not kept any more.
func (d *draft) sum(ctx context.Context, h contract.MediaHandle) (string, error) {
	m, err := missing(d.room.opts.Store.Media(ctx, h))
	if err != nil {
		return "", err
	}
	if m == nil || m.SHA256 == "" {
		return string(h), nil
	}
	return m.SHA256, nil
}

// normal is a text without what platforms change on its way: case, spaces, and characters
// that cannot be seen. Normalising twice changes nothing.
func normal(text string) string {
	seen := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, strings.ToValidUTF8(text, ""))
	return strings.Join(strings.Fields(seen), " ")
}

// plain is a part as plain text.
func plain(part contract.Part) string {
	switch {
	case part.Text != nil && part.Text.Plain != "":
		return part.Text.Plain
	case part.Fallback != "":
		return part.Fallback
	case part.Media != nil && part.Media.Name != "":
		return part.Media.Name
	}
	return "[" + string(part.Kind) + "]"
}

// carried is parts as they go out to a connection: what it cannot carry, and what is the
// other platform's own, as plain text. The parts themselves stay as they are.
func carried(parts []contract.Part, capabilities []contract.Capability) []contract.Part {
	out := make([]contract.Part, len(parts))
	for i, part := range parts {
		missing := part.Media != nil && part.Media.Handle == ""
		if part.Kind != contract.PartText && (missing || part.Kind == contract.PartRaw || refused(string(part.Kind), capabilities)) {
			out[i] = contract.Part{Kind: contract.PartText, Text: &contract.Text{Plain: plain(part)}}
			continue
		}
		out[i] = sourceless(part)
	}
	return out
}

// refused tells whether a connection leaves a feature out, or refuses it.
func refused(feature string, capabilities []contract.Capability) bool {
	for _, c := range capabilities {
		if c.Feature == feature {
			return c.Support == contract.SupportDropped || c.Support == contract.SupportRejected
		}
	}
	return false
}

// sourceless is a part without the links that its attachments were fetched from, and
// without pictures that could not be fetched.
func sourceless(part contract.Part) contract.Part {
	if part.Media != nil {
		media := *part.Media
		media.SourceURL, media.SourceHeaders = "", nil
		part.Media = &media
	}
	if part.Card != nil {
		card := sourcelessCard(*part.Card)
		part.Card = &card
	}
	if part.Carousel != nil {
		cards := slices.Clone(part.Carousel.Cards)
		for i, card := range cards {
			cards[i] = sourcelessCard(card)
		}
		part.Carousel = &contract.Carousel{Cards: cards}
	}
	return part
}

func sourcelessCard(c contract.Card) contract.Card {
	if c.Image == nil {
		return c
	}
	if c.Image.Handle == "" {
		c.Image = nil
		return c
	}
	image := *c.Image
	image.SourceURL, image.SourceHeaders = "", nil
	c.Image = &image
	return c
}
