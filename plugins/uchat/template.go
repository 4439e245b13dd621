package main

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/origin"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// reading turns an envelope into parts of the unified model, and collects what can be
// pressed.
type reading struct {
	set settings
	// menu names the message's template; options bring it back.
	menu     string
	buttons  []button
	bytes    int // of the buttons as they are kept
	parts    []contract.Part
	overflow bool // there was more than a message may have
}

// The bounds on what can be pressed on one message: it is kept as one entry.
const (
	maxButtons     = 100
	maxButtonBytes = 60 << 10
)

// read reads the whole message.
func (r *reading) read(e *envelope) {
	prompt := e.text
	if len(e.items) > 0 {
		r.items(e, prompt)
		prompt = ""
	}
	r.text(prompt)
	for _, a := range e.attachments {
		r.attachment(a)
	}
}

// items reads Chatwoot's interactive messages, and Messenger's quick replies.
func (r *reading) items(e *envelope, prompt string) {
	switch e.contentType {
	case "cards":
		r.text(prompt)
		r.cards(e.items)
	case "quick_replies":
		r.choice(contract.ChoiceQuickReplies, prompt, e.items)
	default:
		r.choice(contract.ChoiceButtons, prompt, e.items)
	}
}

// add adds a part, as long as there is room.
func (r *reading) add(p contract.Part) {
	if len(r.parts) == contract.MaxParts {
		r.overflow = true
		return
	}
	r.parts = append(r.parts, p)
}

// text adds words, in pieces if they are very long.
func (r *reading) text(words string) {
	for words != "" {
		piece := plain.Clip(words, contract.MaxTextBytes)
		r.add(contract.Part{Kind: contract.PartText, Text: &contract.Text{Plain: piece}})
		words = words[len(piece):]
	}
}

// attachment reads a template or a file.
func (r *reading) attachment(a payload.Object) {
	content := either(a, "payload", '{')
	kind := cmp.Or(text(a, "type"), text(a, "file_type"))
	template := text(content, "template_type")
	url := cmp.Or(text(content, "url"), text(a, "data_url"), text(a, "url"))
	switch {
	case template == "button" && len(list(content, "buttons")) > 0:
		r.choice(contract.ChoiceButtons, text(content, "text"), list(content, "buttons"))
	case template == "generic" && len(list(content, "elements")) > 0:
		r.cards(list(content, "elements"))
	case template == "" && kind != "template" && url != "":
		r.media(kind, url)
	default:
		r.unknown(cmp.Or(template, kind, "attachment"), a)
	}
}

// mediaKinds is how files are meant to be shown, by the platform's word.
var mediaKinds = map[string]contract.MediaKind{
	"image": contract.MediaImage, "audio": contract.MediaAudio, "voice": contract.MediaVoice, "video": contract.MediaVideo,
}

func (r *reading) media(kind, url string) {
	m, link := r.set.fetchable(url)
	m.Kind = cmp.Or(mediaKinds[kind], contract.MediaFile)
	p := contract.Part{Kind: contract.PartMedia, Media: &m}
	if link {
		p.Fallback = url // whoever cannot have the bytes has the link
	}
	r.add(p)
}

// fetchable is a file that the host shall download, or why it cannot; link tells that its
// URL can be handed on instead.
func (s settings) fetchable(url string) (m contract.Media, link bool) {
	m.Name = cmp.Or(fileName(url), "file")
	host, ok := origin.Host(url)
	switch {
	case ok && s.mediaHost(host):
		m.SourceURL = url
	case ok:
		m.Missing = plain.Clip("Its host, "+host+", is not among media_hosts; the link is handed on.", contract.MaxNameBytes)
	default:
		m.Missing = "Its link is no plain https URL."
	}
	return m, m.SourceURL == "" && isWebLink(url)
}

// choice reads a template with buttons below words.
func (r *reading) choice(style contract.ChoiceStyle, prompt string, items []payload.Object) {
	prompt = plain.Clip(prompt, contract.MaxTextBytes)
	before := len(r.buttons)
	options, lines := r.options(items)
	if len(options) == 0 {
		r.text(prompt)
	} else {
		r.add(contract.Part{
			Kind: contract.PartChoice, Fallback: plain.Clip(joinLines(prompt, numbered(options, before)), contract.MaxTextBytes),
			Choice: &contract.Choice{Style: style, Prompt: prompt, Options: options},
		})
	}
	r.lines(lines)
}

// lines adds what became text among the buttons.
func (r *reading) lines(lines []contract.Text) {
	for _, line := range lines {
		r.add(contract.Part{Kind: contract.PartText, Text: &line})
	}
}

// options reads buttons of either family. A call and whatever is unknown become lines of
// text, since the unified model opens web links only.
func (r *reading) options(items []payload.Object) (options []contract.Option, lines []contract.Text) {
	for _, item := range items {
		title := plain.Clip(oneLine(cmp.Or(text(item, "title"), text(item, "text"))), contract.MaxNameBytes)
		kind := text(item, "type")
		target := cmp.Or(text(item, "url"), text(item, "uri"))
		o := contract.Option{Label: cmp.Or(title, "…")}
		switch {
		case kind == "phone_number":
			lines = append(lines, callLine(title, value(item, "payload")))
			continue
		case (kind == "web_url" || kind == "link" || kind == "" && target != "") && isWebLink(target):
			if r.press(button{title: title, link: true}) != "" {
				o.URL = target
			}
		case kind == "postback" || kind == "reply" || kind == "" || kind == "text":
			o.ActionID = r.press(button{title: title, payload: cmp.Or(value(item, "payload"), value(item, "value"))})
		}
		if o.URL == "" && o.ActionID == "" {
			lines = append(lines, contract.Text{Plain: cmp.Or(strings.TrimSpace(title+" "+target), "…")})
			continue
		}
		options = append(options, o)
	}
	return options, lines
}

// press keeps a button and returns what brings it back; empty if there is no room.
func (r *reading) press(b button) string {
	size := len(encodeButtons([]button{b}))
	if len(r.buttons) == maxButtons || r.bytes+size > maxButtonBytes {
		r.overflow = true
		return ""
	}
	r.bytes += size
	r.buttons = append(r.buttons, b)
	return r.menu + "." + strconv.Itoa(len(r.buttons))
}

// callLine is a number to call.
func callLine(title, number string) contract.Text {
	number = plain.Clip(oneLine(number), 64)
	t := contract.Text{Plain: cmp.Or(joined(title, ": ", number), "…")}
	if dialled := strings.Map(digitOrPlus, number); dialled != "" {
		t.Markdown = "[" + plain.Escape(cmp.Or(title, number)) + "](tel:" + dialled + ")"
	}
	return t
}

func digitOrPlus(r rune) rune {
	if r == '+' || r >= '0' && r <= '9' {
		return r
	}
	return -1
}

// cards reads the elements of a generic template.
func (r *reading) cards(elements []payload.Object) {
	var cards []contract.Card
	var fallback string
	var lines []contract.Text
	for _, element := range elements {
		if len(cards) == contract.MaxCards {
			r.overflow = true
			break
		}
		before := len(r.buttons)
		card, more, link := r.card(element)
		lines = append(lines, more...)
		fallback = joinLines(fallback, joinLines(joinLines(joinLines(card.Title, card.Body), link), numbered(card.Options, before)))
		cards = append(cards, card)
	}
	p := contract.Part{Fallback: plain.Clip(fallback, contract.MaxTextBytes)}
	if len(cards) == 1 {
		p.Kind, p.Card = contract.PartCard, &cards[0]
	} else {
		p.Kind, p.Carousel = contract.PartCarousel, &contract.Carousel{Cards: cards}
	}
	r.add(p)
	r.lines(lines)
}

// card reads one element; link is the picture's URL where the host cannot download it.
func (r *reading) card(element payload.Object) (card contract.Card, lines []contract.Text, link string) {
	title := plain.Clip(oneLine(text(element, "title")), contract.MaxNameBytes)
	card.Body = plain.Clip(cmp.Or(text(element, "subtitle"), text(element, "description")), contract.MaxTextBytes)
	card.Title = cmp.Or(title, plain.Clip(oneLine(card.Body), contract.MaxNameBytes), "…")
	if url := cmp.Or(text(element, "image_url"), text(element, "media_url")); url != "" {
		image, handedOn := r.set.fetchable(url)
		image.Kind = contract.MediaImage
		card.Image = &image
		if handedOn {
			link = url
		}
	}
	items := list(element, "buttons")
	if len(items) == 0 {
		items = list(element, "actions")
	}
	card.Options, lines = r.options(items)
	return card, lines, link
}

// unknown keeps a copy of what is not known, with all its words as text.
func (r *reading) unknown(kind string, a payload.Object) {
	raw := a.Raw("payload")
	if len(raw) == 0 || len(raw) > contract.MaxRawBytes {
		raw = nil
	}
	words := wordsOf(raw)
	if words == "" {
		words = allWords(a)
	}
	r.add(contract.Part{
		Kind: contract.PartRaw, Fallback: cmp.Or(plain.Clip(words, contract.MaxTextBytes), "["+clip(kind)+"]"),
		Raw: &contract.Raw{Kind: plain.Clip(kind, contract.MaxIDBytes), JSON: raw},
	})
}

// allWords joins every string found in an attachment, one a line, in the order they stand.
func allWords(a payload.Object) string {
	var words string
	for _, name := range a.Names() {
		words = joinLines(words, wordsOf(a.Raw(name)))
	}
	return words
}

func wordsOf(raw contract.RawJSON) string {
	d := jsontext.NewDecoder(strings.NewReader(string(raw)))
	var words string
	for {
		token, err := d.ReadToken()
		if err != nil {
			return words // its end: the document was valid
		}
		kind, length := d.StackIndex(d.StackDepth())
		if isName := kind == '{' && length%2 == 1; token.Kind() == '"' && !isName {
			words = joinLines(words, strings.TrimSpace(token.String()))
		}
	}
}

// numbered writes options as numbered lines, for messengers without buttons. Numbers run
// through the whole message, so that each means one button.
func numbered(options []contract.Option, before int) string {
	var text string
	for i, o := range options {
		text = joinLines(text, joined(strconv.Itoa(before+i+1)+". "+o.Label, " – ", o.URL))
	}
	return text
}

func joinLines(a, b string) string { return joined(a, "\n", b) }

// joined puts a separator between two texts that are both there.
func joined(a, separator, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + separator + b
}

// value is a text as it is, or the JSON of whatever else it may be: a payload must come back
// exactly.
func value(o payload.Object, name string) string {
	if first(o, name) == '"' {
		return o.String(name)
	}
	return string(o.Raw(name))
}
