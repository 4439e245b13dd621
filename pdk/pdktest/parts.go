package pdktest

import (
	"fmt"
	"slices"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// partSamples is one part of each kind, each as rich as its kind allows.
func partSamples() []contract.Part {
	picture := &contract.Media{Kind: contract.MediaImage, Handle: "med_pdktest", Name: "pdktest.png", MIME: "image/png", SizeBytes: 2048}
	reply, link := contract.Option{ActionID: "yes", Label: "Yes"}, contract.Option{ActionID: "more", Label: "More", URL: "https://www.example.com/more"}
	card := contract.Card{Title: "Blue chair", Body: "In stock.", Image: picture, Options: []contract.Option{reply, link}}
	return []contract.Part{
		{Kind: contract.PartText, Text: &contract.Text{Markdown: "Is *this* the one?", Plain: "Is this the one?"}},
		{Kind: contract.PartMedia, Media: picture},
		{Kind: contract.PartChoice, Fallback: "Yes / More", Choice: &contract.Choice{Style: contract.ChoiceButtons, Prompt: "Do you want it?", Options: []contract.Option{reply, link}}},
		{Kind: contract.PartCard, Fallback: "Blue chair. In stock.", Card: &card},
		{Kind: contract.PartCarousel, Fallback: "Blue chair. Blue chair.", Carousel: &contract.Carousel{Cards: []contract.Card{card, card}}},
		{Kind: contract.PartLocation, Fallback: "Our shop", Location: &contract.Location{LatitudeE7: 525_200_000, LongitudeE7: 134_050_000, Name: "Our shop"}},
		{Kind: contract.PartContact, Fallback: "Ann, +15550100", Contact: &contract.Contact{Name: "Ann", Phone: "+15550100"}},
		{Kind: contract.PartRaw, Fallback: "Something else", Raw: &contract.Raw{Kind: "pdktest", JSON: contract.RawJSON(`{"a":1}`)}},
	}
}

// more is what else a part of some kinds may be: words without formatting, and other media than
// pictures, which a platform may have no like of.
func more() (parts []contract.Part) {
	parts = append(parts, contract.Part{Kind: contract.PartText, Text: &contract.Text{Plain: "Is this the one?"}})
	for _, kind := range []contract.MediaKind{contract.MediaAudio, contract.MediaVoice, contract.MediaVideo, contract.MediaFile} {
		m := *partSamples()[1].Media
		m.Kind, m.Name, m.MIME = kind, "pdktest.bin", "application/octet-stream"
		parts = append(parts, contract.Part{Kind: contract.PartMedia, Media: &m})
	}
	return parts
}

// describe is a part as a failure names it.
func describe(p contract.Part) string {
	switch {
	case p.Media != nil:
		return string(p.Kind) + " (" + string(p.Media.Kind) + ")"
	case p.Text != nil && p.Text.Markdown == "":
		return string(p.Kind) + " (without formatting)"
	}
	return string(p.Kind)
}

// parts sends messages with every kind of part, together and alone, strict and not. What it
// answers must say what became of each part, as the manifest grades it, and strict must refuse
// what would be degraded.
func (s *suite) parts() {
	s.edits()
	base, found := s.sendable()
	if !found {
		if s.sends() {
			s.fail("send_message", "no sample comes to Sent, so that nothing can be said of parts; give one that is sent at once, and script in Prepare what the platform answers")
		}
		return
	}
	all := partSamples()
	s.tryParts(base, "every kind of part", all)
	for _, p := range append(all, more()...) {
		s.tryParts(base, "a part of kind "+describe(p)+" alone", []contract.Part{p})
	}
}

// sendable returns a sample of a message that is sent at once.
func (s *suite) sendable() (Command, bool) {
	for _, c := range s.Commands {
		if _, sends := c.Input.(*contract.SendMessageInput); !sends {
			continue
		}
		quiet := &suite{Case: s.Case, manifest: s.manifest}
		if o := quiet.carryOut(c.Name, s.world(c.Prepare), c); o.err == nil && !o.panics && o.command().Sent != nil {
			return c, true
		}
	}
	return Command{}, false
}

// edits wants of each sample of an edit that is accepted what became of its parts.
func (s *suite) edits() {
	for _, c := range s.Commands {
		edit, ok := c.Input.(*contract.EditMessageInput)
		if !ok {
			continue
		}
		quiet := &suite{Case: s.Case, manifest: s.manifest}
		o := quiet.carryOut(c.Name, s.world(c.Prepare), c)
		if out := o.command(); o.err == nil && !o.panics && out != nil && out.Sent != nil {
			s.wantOutcomes(c.Name, edit.Message.Parts, out.Sent.Parts)
		}
	}
}

// sends tells whether there is a sample of a message at all; "every ability has a sample"
// wants one of who can send.
func (s *suite) sends() bool {
	return slices.ContainsFunc(s.Commands, func(c Command) bool {
		_, sends := c.Input.(*contract.SendMessageInput)
		return sends
	})
}

// tryParts sends a message with those parts, degraded where it must be, and then strictly.
func (s *suite) tryParts(base Command, name string, parts []contract.Part) {
	out, ok := s.sendParts(base, name, parts, false)
	if !ok {
		return
	}
	outcomes := outcomesOf(out)
	s.wantOutcomes(name, parts, outcomes)
	switch {
	case out.Failure != nil && out.Failure.Class != contract.FailurePermanent:
		s.fail(name, fmt.Sprintf("it came to %s (%s); Case.Prepare scripts what the platform answers", out.Failure.Class, out.Failure.Code))
		return
	case out.Failure == nil && slices.ContainsFunc(outcomes, rejected):
		s.fail(name, "it was sent, and a part is rejected; the whole message is then refused, with a Failure")
	case out.Failure != nil && !slices.ContainsFunc(outcomes, rejected):
		s.fail(name, fmt.Sprintf("it was refused (%s), and no part of Failure.Parts is rejected", out.Failure.Code))
	}
	s.wantGrades(name, parts, outcomes)
	s.tryStrict(base, name, parts, out.Failure == nil && !slices.ContainsFunc(outcomes, degraded))
}

// tryStrict sends a message strictly; whole tells that nothing of it is degraded.
func (s *suite) tryStrict(base Command, name string, parts []contract.Part, whole bool) {
	name += ", strict"
	out, ok := s.sendParts(base, name, parts, true)
	switch {
	case !ok:
	case whole && out.Sent == nil:
		s.fail(name, "it was refused, although without strict every part is sent as it is")
	case !whole && out.Sent != nil:
		s.fail(name, "it was sent, although a part is degraded; strict refuses the message instead")
	case !whole && (out.Failure == nil || out.Failure.Class != contract.FailurePermanent || !slices.ContainsFunc(out.Failure.Parts, rejected)):
		s.fail(name, "it is not refused for good with the part at fault rejected in Failure.Parts")
	default:
		s.wantOutcomes(name, parts, outcomesOf(out))
	}
}

// sendParts sends the base's message with other parts; false if nothing came of it.
func (s *suite) sendParts(base Command, name string, parts []contract.Part, strict bool) (*contract.CommandOutput, bool) {
	sample := *base.Input.(*contract.SendMessageInput)
	sample.Message.Parts, sample.Strict = parts, strict
	h := s.world(base.Prepare)
	h.SetMedia(*partSamples()[1].Media)
	o := s.carryOut(name, h, Command{Name: name, Input: &sample, App: base.App})
	if o.err != nil && !o.panics {
		s.fail(name, fmt.Sprintf("it failed: %v", o.err))
	}
	out := o.command()
	return out, o.err == nil && !o.panics && out != nil && (out.Sent != nil || out.Failure != nil)
}

func outcomesOf(out *contract.CommandOutput) []contract.PartOutcome {
	switch {
	case out.Failure != nil:
		return out.Failure.Parts
	case out.Sent != nil:
		return out.Sent.Parts
	}
	return nil
}

func rejected(o contract.PartOutcome) bool { return o.Fate == contract.PartRejected }

func degraded(o contract.PartOutcome) bool { return o.Fate != contract.PartNative }

// wantOutcomes wants one outcome for each part, in order, with a note where something is lost.
func (s *suite) wantOutcomes(name string, parts []contract.Part, outcomes []contract.PartOutcome) {
	if len(outcomes) != len(parts) {
		s.fail(name, fmt.Sprintf("it says what became of %d parts out of %d; Sent.Parts and Failure.Parts name each once", len(outcomes), len(parts)))
		return
	}
	for i, o := range outcomes {
		if o.Index != int64(i) {
			s.fail(name, fmt.Sprintf("outcome %d is of part %d; they are in the order of the parts", i, o.Index))
		}
		if o.Note == "" && (o.Fate == contract.PartDropped || o.Fate == contract.PartRejected) {
			s.fail(name, fmt.Sprintf("a %s part is %s, and no note says why", parts[i].Kind, o.Fate))
		}
	}
}

// graded are the fates that each grade allows.
var graded = map[contract.Support][]contract.PartFate{
	contract.SupportFull:     {contract.PartNative},
	contract.SupportPartial:  {contract.PartNative, contract.PartConverted},
	contract.SupportFallback: {contract.PartConverted},
	contract.SupportDropped:  {contract.PartDropped},
	contract.SupportRejected: {contract.PartRejected},
}

// wantGrades wants of each part what the capabilities say of its kind. Of a message that is
// refused only the parts at fault tell.
func (s *suite) wantGrades(name string, parts []contract.Part, outcomes []contract.PartOutcome) {
	refused := slices.ContainsFunc(outcomes, rejected)
	for i, o := range outcomes {
		if i >= len(parts) || refused && !rejected(o) {
			continue
		}
		grade, stated := s.grade(parts[i].Kind)
		if !stated {
			s.fail(name, fmt.Sprintf("the capabilities do not say how %s is carried", parts[i].Kind))
		} else if !slices.Contains(graded[grade], o.Fate) {
			s.fail(name, fmt.Sprintf("a %s part is %s, and the capabilities grade it %s", parts[i].Kind, o.Fate, grade))
		}
	}
}

// grade is what the connection, with the case's settings, says of a kind of part.
func (s *suite) grade(kind contract.PartKind) (contract.Support, bool) {
	for _, c := range s.promised() {
		if c.Feature == string(kind) {
			return c.Support, true
		}
	}
	return "", false
}
