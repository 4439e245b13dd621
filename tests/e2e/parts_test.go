package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// partsCase is one platform's way with the parts of a message.
type partsCase struct {
	connection client.Connection
	received   func(t *testing.T) received
	// fates is what is to become of a text without formatting, a text with some, a picture, a
	// voice note, a choice, a card, a carousel, a place, a person and something else.
	fates string
	// bold is how a customer's "**so**" is to look.
	bold string
}

func (s *stands) parts(t *testing.T) {
	const rest = " converted converted converted converted converted converted"
	for name, c := range map[string]partsCase{
		"elma365":  {s.elma.connection, s.elma.received, "native converted native native" + rest, "so"},
		"uspacy":   {s.uspacy.connection, s.uspacy.received, "native native native native" + rest, "**so**"},
		"intandem": {s.intandem.connection, s.intandem.received, "native converted converted converted" + rest, "so"},
		"uchat":    {s.uchat.connection, s.uchat.received, "native converted native converted" + rest, "so"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &partsPlay{stands: s, partsCase: c, t: t}
			p.play()
		})
	}
}

// partsPlay sends messages on one connection, all in one conversation, whose lane keeps them in
// order.
type partsPlay struct {
	*stands
	partsCase
	t    *testing.T
	sent []partsMessage
}

// partsMessage is a message and what is to become of it.
type partsMessage struct {
	id    contract.MessageID
	mark  string
	name  string
	which []int // of the sample's parts
	parts []contract.Part
	fates []contract.PartFate
	// refused tells that the platform may not see any of it.
	refused bool
}

// kinds is how many parts a sample has.
const kinds = 10

// sample is one part of every kind, in which everything that can be seen holds mark.
func (p *partsPlay) sample(mark string) []contract.Part {
	p.t.Helper()
	upload := func(name, mime string) contract.MediaHandle {
		media, err := p.people.Tenant.Upload(within(p.t), p.workspace.ID, mark+name, mime, strings.NewReader("GIF89a "+mark))
		if err != nil {
			p.t.Fatal(err)
		}
		return media.Handle
	}
	picture := &contract.Media{Kind: contract.MediaImage, Handle: upload("a.gif", "image/gif"), Name: mark + "a.gif"}
	voice := &contract.Media{Kind: contract.MediaVoice, Handle: upload("b.ogg", "audio/ogg"), Name: mark + "b.ogg"}
	options := []contract.Option{{ActionID: "yes", Label: "Yes"}, {Label: "More", URL: "https://www.example.com/more"}}
	card := contract.Card{Title: "Chair", Image: picture, Options: options}
	return []contract.Part{
		{Kind: contract.PartText, Text: &contract.Text{Plain: mark + " plain"}},
		{Kind: contract.PartText, Text: &contract.Text{Plain: mark + " is so", Markdown: mark + " is **so**"}},
		{Kind: contract.PartMedia, Media: picture},
		{Kind: contract.PartMedia, Media: voice},
		{Kind: contract.PartChoice, Fallback: mark + " choice", Choice: &contract.Choice{Style: contract.ChoiceButtons, Prompt: "Well", Options: options}},
		{Kind: contract.PartCard, Fallback: mark + " card", Card: &card},
		{Kind: contract.PartCarousel, Fallback: mark + " carousel", Carousel: &contract.Carousel{Cards: []contract.Card{card, card}}},
		{Kind: contract.PartLocation, Fallback: mark + " place", Location: &contract.Location{LatitudeE7: 525_200_000, LongitudeE7: 134_050_000}},
		{Kind: contract.PartContact, Fallback: mark + " person", Contact: &contract.Contact{Name: "Ann", Phone: "+15550100"}},
		{Kind: contract.PartRaw, Fallback: mark + " else", Raw: &contract.Raw{Kind: "e2e", JSON: contract.RawJSON(`{"a":1}`)}},
	}
}

// visible is what a platform is to have of each part of a sample, words and the number of files.
func (p *partsPlay) visible(i int) (words string, files int) {
	return []string{"plain", "is " + p.bold, "", "", "choice", "card", "carousel", "place", "person", "else"}[i],
		[]int{2: 1, 3: 1, 5: 1, 6: 2, 9: 0}[i]
}

func (p *partsPlay) play() {
	fates := strings.Fields(p.fates)
	if len(fates) != kinds {
		p.t.Fatalf("%d fates are listed, want %d", len(fates), kinds)
	}
	p.send("every kind of part", seq(0, kinds), false)
	p.send("every kind of part, strict", seq(0, kinds), true)
	for i := range kinds {
		p.send(fmt.Sprint("part ", i, " alone"), []int{i}, false)
		p.send(fmt.Sprint("part ", i, " alone, strict"), []int{i}, true)
	}
	p.send("the last", []int{0}, true) // what it overtook will not come any more
	last := p.sent[len(p.sent)-1]
	if _, err := p.inbox.Wait(within(p.t), "the last message", stage.Status(last.id, contract.MessageSent)); err != nil {
		p.t.Fatal(err)
	}
	got := p.received(p.t)
	for _, m := range p.sent {
		p.t.Run(m.name, func(t *testing.T) {
			p.wantOutcomes(t, m)
			p.wantSeen(t, m, got)
		})
	}
}

func seq(from, to int) (all []int) {
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return all
}

// send sends some of the parts of a sample.
func (p *partsPlay) send(name string, which []int, strict bool) {
	p.t.Helper()
	m := partsMessage{mark: fmt.Sprintf("K%02d", len(p.sent)), name: name, which: which}
	fates := strings.Fields(p.fates)
	all := p.sample(m.mark)
	for _, i := range which {
		m.parts, m.fates = append(m.parts, all[i]), append(m.fates, contract.PartFate(fates[i]))
		m.refused = m.refused || strict && fates[i] != string(contract.PartNative)
	}
	accepted, err := p.people.Tenant.Send(within(p.t), p.workspace.ID, p.connection.ID, client.NewMessage{Parts: m.parts, Strict: strict,
		Conversation: contract.Conversation{ID: "tg-parts", Title: "Dana Petrova"},
		Author:       contract.Author{Role: contract.RoleCustomer, Contact: contract.Contact{ID: "tg-user-parts", Name: "Dana Petrova", Phone: "+37060012345"}}})
	if err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
	m.id = accepted.Message.ID
	p.sent = append(p.sent, m)
}

// grades are the fates that a connection's capabilities allow.
var grades = map[contract.Support][]contract.PartFate{
	contract.SupportFull:     {contract.PartNative},
	contract.SupportPartial:  {contract.PartNative, contract.PartConverted},
	contract.SupportFallback: {contract.PartConverted},
	contract.SupportDropped:  {contract.PartDropped},
}

// wantOutcomes holds what is kept of a message against what was to become of it, and against
// what the connection promised.
func (p *partsPlay) wantOutcomes(t *testing.T, m partsMessage) {
	kept, err := p.people.Tenant.Message(within(t), p.workspace.ID, m.id)
	if err != nil {
		t.Fatal(err)
	}
	if len(kept.Outcomes) != len(m.parts) {
		t.Fatalf("%d outcomes are kept of %d parts: %+v, the message is %s (%+v)", len(kept.Outcomes), len(m.parts), kept.Outcomes, kept.Status, kept.Failure)
	}
	if p.wantStatus(t, m, kept); t.Failed() {
		return
	}
	for i, o := range kept.Outcomes {
		want := m.fates[i]
		if m.refused && want != contract.PartNative {
			want = contract.PartRejected
		}
		if o.Index != int64(i) || o.Fate != want || o.Note == "" && want != contract.PartNative {
			t.Errorf("part %d (%s) is %+v, want %s, with a note where something is lost", i, m.parts[i].Kind, o, want)
		}
		c := slices.IndexFunc(p.connection.Capabilities, func(c contract.Capability) bool { return c.Feature == string(m.parts[i].Kind) })
		if c < 0 || !slices.Contains(grades[p.connection.Capabilities[c].Support], m.fates[i]) {
			t.Errorf("a %s part is %s, and the connection promised %+v", m.parts[i].Kind, m.fates[i], p.connection.Capabilities)
		}
	}
}

func (p *partsPlay) wantStatus(t *testing.T, m partsMessage, kept domain.Message) {
	switch {
	case !m.refused && (kept.Failure != nil || kept.Status != contract.MessageSent && kept.Status != contract.MessageDelivered):
		t.Errorf("it is %s (%+v), want sent", kept.Status, kept.Failure)
	case m.refused && (kept.Failure == nil || kept.Failure.Class != contract.FailurePermanent || kept.Status != contract.MessageFailed):
		t.Errorf("it is %s (%+v), want failed for good", kept.Status, kept.Failure)
	}
}

// wantSeen holds what the platform has of a message against what it is to have.
func (p *partsPlay) wantSeen(t *testing.T, m partsMessage, got received) {
	var files int
	for i, part := range m.parts {
		words, n := p.visible(m.which[i])
		files += n
		seen := slices.ContainsFunc(got.texts, func(text string) bool { return strings.Contains(text, m.mark+" "+words) })
		if words != "" && seen == m.refused {
			t.Errorf("part %d (%s): the platform has %q: %v, want %v", i, part.Kind, m.mark+" "+words, seen, !m.refused)
		}
	}
	if m.refused {
		files = 0
	}
	var have int
	for _, f := range got.files {
		if f == "GIF89a "+m.mark {
			have++
		}
	}
	if have != files {
		t.Errorf("the platform has %d of its files, want %d", have, files)
	}
}
