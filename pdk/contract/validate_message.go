package contract

import "strings"

var (
	roles         = []Role{RoleCustomer, RoleAgent, RoleBot, RoleSystem}
	partKinds     = []PartKind{PartText, PartMedia, PartChoice, PartCard, PartCarousel, PartLocation, PartContact, PartRaw}
	mediaKinds    = []MediaKind{MediaImage, MediaAudio, MediaVoice, MediaVideo, MediaFile}
	choiceStyles  = []ChoiceStyle{ChoiceButtons, ChoiceQuickReplies, ChoiceList}
	messageStates = []MessageStatus{MessageQueued, MessageSent, MessageDelivered, MessageRead, MessageFailed}
	partFates     = []PartFate{PartNative, PartConverted, PartDropped, PartRejected}
)

func (m *Message) check(c *checker) {
	c.bounded("id", string(m.ID), MaxIDBytes)
	c.bounded("platform_id", string(m.PlatformID), MaxIDBytes)
	c.in("conversation", &m.Conversation)
	c.in("author", &m.Author)
	if len(m.Parts) == 0 {
		c.fail("parts", "it is empty; a message has at least one part")
	}
	each(c, "parts", m.Parts, MaxParts)
	c.bounded("reply_to", string(m.ReplyTo), MaxIDBytes)
	if m.Status != "" {
		known(c, "status", m.Status, messageStates)
	}
}

func (v *Conversation) check(c *checker) {
	c.required("id", string(v.ID), MaxIDBytes)
	c.bounded("title", v.Title, MaxNameBytes)
}

func (a *Author) check(c *checker) {
	known(c, "role", a.Role, roles)
	c.in("contact", &a.Contact)
}

func (v *Contact) check(c *checker) {
	for _, line := range [...]struct{ field, text string }{
		{"id", string(v.ID)}, {"login", v.Login}, {"phone", v.Phone}, {"email", v.Email}, {"avatar", string(v.Avatar)},
	} {
		c.bounded(line.field, line.text, MaxIDBytes)
	}
	c.bounded("name", v.Name, MaxNameBytes)
	c.attributes("attributes", v.Attributes)
}

func (p *Part) check(c *checker) {
	if !known(c, "kind", p.Kind, partKinds) {
		return
	}
	c.exactly(string(p.Kind), []member{
		{"text", p.Text, p.Text != nil}, {"media", p.Media, p.Media != nil}, {"choice", p.Choice, p.Choice != nil},
		{"card", p.Card, p.Card != nil}, {"carousel", p.Carousel, p.Carousel != nil},
		{"location", p.Location, p.Location != nil}, {"contact", p.Contact, p.Contact != nil}, {"raw", p.Raw, p.Raw != nil},
	})
	c.bounded("fallback", p.Fallback, MaxTextBytes)
	if p.Fallback == "" && p.Kind != PartText && !p.hasMediaName() {
		c.fail("fallback", "it is missing; say in plain text what is shown where the part cannot be")
	}
}

func (p *Part) hasMediaName() bool {
	return p.Kind == PartMedia && p.Media != nil && p.Media.Name != ""
}

func (t *Text) check(c *checker) {
	c.required("plain", t.Plain, MaxTextBytes)
	c.bounded("markdown", t.Markdown, MaxTextBytes)
}

func (m *Media) check(c *checker) {
	known(c, "kind", m.Kind, mediaKinds)
	c.bounded("handle", string(m.Handle), MaxIDBytes)
	c.bounded("name", m.Name, MaxNameBytes)
	if strings.ContainsAny(m.Name, "/\\\x00") {
		c.fail("name", "it must be a file name without a path")
	}
	c.bounded("mime", m.MIME, MaxIDBytes)
	c.notNegative("size_bytes", m.SizeBytes)
	c.bounded("missing", m.Missing, MaxNameBytes)
	if m.SourceURL != "" {
		c.url("source_url", m.SourceURL)
	}
	each(c, "source_headers", m.SourceHeaders, MaxHeaders)
	if m.Handle == "" && m.SourceURL == "" && m.Missing == "" {
		c.fail("handle", "it is missing, and so are source_url and missing; one must be set")
	}
}

func (v *Choice) check(c *checker) {
	known(c, "style", v.Style, choiceStyles)
	c.bounded("prompt", v.Prompt, MaxTextBytes)
	if len(v.Options) == 0 {
		c.fail("options", "it is empty; a choice has at least one option")
	}
	each(c, "options", v.Options, MaxOptions)
}

func (o *Option) check(c *checker) {
	c.required("label", o.Label, MaxNameBytes)
	c.bounded("description", o.Description, MaxTextBytes)
	c.bounded("action_id", o.ActionID, MaxIDBytes)
	if o.URL != "" {
		c.url("url", o.URL)
	}
	if o.ActionID == "" && o.URL == "" {
		c.fail("action_id", "it is missing, and so is url; one must be set")
	}
}

func (v *Card) check(c *checker) {
	c.required("title", v.Title, MaxNameBytes)
	c.bounded("body", v.Body, MaxTextBytes)
	if v.Image != nil {
		c.in("image", v.Image)
	}
	each(c, "options", v.Options, MaxOptions)
}

func (v *Carousel) check(c *checker) {
	if len(v.Cards) == 0 {
		c.fail("cards", "it is empty; a carousel has at least one card")
	}
	each(c, "cards", v.Cards, MaxCards)
}

func (l *Location) check(c *checker) {
	c.within("latitude_e7", l.LatitudeE7, -90e7, 90e7)
	c.within("longitude_e7", l.LongitudeE7, -180e7, 180e7)
	c.bounded("name", l.Name, MaxNameBytes)
	c.bounded("address", l.Address, MaxNameBytes)
}

func (r *Raw) check(c *checker) {
	c.required("kind", r.Kind, MaxIDBytes)
	c.bounded("json", string(r.JSON), MaxRawBytes)
}

func (o *PartOutcome) check(c *checker) {
	c.within("index", o.Index, 0, MaxParts-1)
	known(c, "fate", o.Fate, partFates)
	c.bounded("note", o.Note, MaxNameBytes)
}
