package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/uchat/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// bot is one workspace of a UChat with its connection.
type bot struct {
	*theatre
	platform   *emulator.Platform
	ws         *emulator.Workspace
	settings   map[string]string
	signature  emulator.Signature
	connection client.Connection
	customer   emulator.Incoming // what they wrote last
}

// in is the bot for a test within a test.
func (b *bot) in(t *testing.T) *bot {
	inner := *b
	inner.theatre = b.theatre.in(t)
	return &inner
}

// uchats are the UChats of a theatre: each has names of its own, and is undocumented in its
// own way.
func uchats() (names []string, options map[string]emulator.Options, settings map[string]map[string]string) {
	named := func(name string, o emulator.Options) emulator.Options {
		o.PartnerHost, o.BotHost, o.ResellerHost = "www."+name+".example", "bot."+name+".example", "api."+name+".example"
		return o
	}
	options = map[string]emulator.Options{
		"a form":               {Family: "chatwoot"},
		"dots and old paths":   named("dots", emulator.Options{Handshake: "dots", Paths: "v1", Family: "messenger", Echo: "both", Signature: emulator.Signature{Header: "X-Hub-Signature", SHA1: true}}),
		"JSON signed as PHP":   named("json", emulator.Options{Handshake: "json", Paths: "both", NoIDs: true, Echo: "number", Signature: emulator.Signature{Header: "X-Signature", PHP: true, Base64: true, NoPrefix: true}}),
		"a reseller's query":   named("query", emulator.Options{Handshake: "query", Family: "messenger", Signature: emulator.Signature{Header: "X-Reseller-Hmac", Key: "flow_key"}}),
		"set by hand with GET": named("hand", emulator.Options{Handshake: "get", Signature: emulator.Signature{Header: "X-Uchat-Signature", NoPrefix: true}}),
	}
	settings = map[string]map[string]string{
		"a reseller's query":   {"partner_api_style": "nicochat", "reseller_email": "owner@example.test"},
		"set by hand with GET": {"partner_api_style": "manual", "media_style": "text_link"},
	}
	return []string{"a form", "dots and old paths", "JSON signed as PHP", "a reseller's query", "set by hand with GET"}, options, settings
}

// newBots opens a theatre with every UChat.
func newBots(t *testing.T, flags ...string) (names []string, bots map[string]*bot) {
	t.Helper()
	names, options, settings := uchats()
	bots = map[string]*bot{}
	var platforms []stage.Platform
	for _, name := range names {
		o := options[name]
		p, err := emulator.Start(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if broken := p.Violations(); len(broken) > 0 {
				t.Errorf("%s: the connector broke the protocol: %q", name, broken)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
		partner, host := p.Names()[0], p.Names()[1]
		b := &bot{platform: p, ws: p.Workspace(""), signature: o.Signature}
		b.settings = map[string]string{"workspace_id": b.ws.ID(), "partner_url": "https://" + partner, "bot_hosts": host, "media_hosts": host}
		maps.Copy(b.settings, settings[name])
		switch b.settings["partner_api_style"] {
		case "nicochat":
			b.settings["reseller_url"] = p.ResellerURL()
		case "manual":
			b.settings["bot_url"] = b.ws.BotURL()
		}
		platforms, bots[name] = append(platforms, p), b
	}
	h := play(t, platforms, []string{"uchat"}, flags...)
	for _, b := range bots {
		b.theatre = h
	}
	return names, bots
}

// TestUChat has one host with five UChats: making a host takes longer than most of what is
// tried on it.
func TestUChat(t *testing.T) {
	names, bots := newBots(t, "--health.interval", "1h")
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			b := bots[name].in(t)
			b.connect()
			b.learn()
			b.enforced()
			b.kinds()
			b.presses()
			b.files()
			bots[name].connection, bots[name].customer = b.connection, b.customer
		})
	}
	for _, test := range []struct {
		name string
		run  func(*bot)
	}{
		{"a lost answer", (*bot).lostAnswer},
		{"a bot that moves and a key that is refused", (*bot).refusals},
		{"a new verification key", (*bot).rotation},
		{"many bad signatures", (*bot).strikes},
		{"a webhook of somebody else's", (*bot).taken},
		{"two tenants", (*bot).tenants},
		{"the end", (*bot).end},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(bots["a form"].in(t)) })
	}
}

// save saves the settings again, which sets the webhook anew.
func (b *bot) save(extra ...string) {
	b.t.Helper()
	settings := maps.Clone(b.settings)
	for i := 0; i+1 < len(extra); i += 2 {
		settings[extra[i]] = extra[i+1]
	}
	if _, err := b.people.Tenant.UpdateConnection(within(b.t), b.theatre.workspace.ID, b.connection.ID, client.ConnectionPatch{Settings: settings}); err != nil {
		b.t.Fatal(err)
	}
}

// connect makes the connection, and waits until UChat has verified the webhook.
func (b *bot) connect() {
	b.t.Helper()
	b.connection = b.join(client.NewConnection{Plugin: "uchat", Name: "Bot", Settings: b.settings,
		Secrets: map[string]string{"partner_key": "pk_emulator", "flow_key": "fk_emulator", "reseller_key": "ck_emulator"}}, b.platform)
	if b.settings["partner_api_style"] == "manual" {
		b.setByHand()
	} else {
		b.save() // the first setup may have come before the platform's address was allowed
	}
	if err := b.ws.WaitVerified(within(b.t)); err != nil {
		b.t.Fatal(err)
	}
	b.stands(b.connection.ID, contract.StateConnecting, "learning")
	b.shookHands()
}

// setByHand does what the setup steps say.
func (b *bot) setByHand() {
	b.t.Helper()
	var url, key string
	b.poll("the setup steps", func() (bool, error) {
		steps, err := b.people.Tenant.Setup(within(b.t), b.theatre.workspace.ID, b.connection.ID)
		for _, step := range steps {
			switch step.Label {
			case "webhook_url":
				url = step.Value
			case "webhook_verification_key":
				key = step.Value
			}
		}
		return url != "" && key != "", err
	})
	b.stands(b.connection.ID, contract.StateConnecting, "verifying")
	if hook := b.ws.SetWebhook(within(b.t), url, key); hook.Status != "verified" {
		b.t.Errorf("by hand the webhook became %+v", hook)
	}
}

// shookHands expects that the handshake was answered while the call to set the webhook was
// open.
func (b *bot) shookHands() {
	b.t.Helper()
	var sets, hands []emulator.Exchange
	for _, e := range b.platform.Exchanges() {
		switch e.Type {
		case emulator.OpSet:
			sets = append(sets, e)
		case emulator.OpHandshake:
			hands = append(hands, e)
		}
	}
	if len(hands) == 0 || hands[len(hands)-1].Status != http.StatusOK {
		b.t.Fatalf("the handshakes are %+v", hands)
	}
	if b.settings["partner_api_style"] == "manual" {
		return
	}
	set, hand := sets[len(sets)-1], hands[len(hands)-1]
	if hand.Began.Before(set.Began) || hand.Began.Add(hand.Took).After(set.Began.Add(set.Took)) {
		b.t.Errorf("the handshake took from %v for %v, the call from %v for %v", hand.Began, hand.Took, set.Began, set.Took)
	}
}

// writes sends a customer's message, and waits until the bot has it.
func (b *bot) writes(chat, text string, parts ...contract.Part) contract.MessageID {
	b.t.Helper()
	m := message(chat, text)
	m.Parts = append(m.Parts, parts...)
	id := b.send(b.connection.ID, m)
	got, err := b.ws.WaitMessage(within(b.t), func(m emulator.Incoming) bool {
		return strings.HasPrefix(m.Content, text) || len(m.Submitted) == 1 && m.Submitted[0].Title == text
	})
	if err != nil {
		b.t.Fatalf("%v; commands %+v", err, b.commands(client.CommandFilter{Connection: b.connection.ID}))
	}
	b.customer = got
	return id
}

// created lists the messages that came in.
func (b *bot) created() (events []client.Event) {
	for _, e := range b.inbox.Events() {
		if e.Connection == b.connection.ID && e.Data.Kind == contract.EventMessageCreated && e.Data.Message.Author.Role != contract.RoleCustomer {
			events = append(events, e)
		}
	}
	return events
}

// says has the bot say something, and waits for the event.
func (b *bot) says(m emulator.Message) client.Event {
	b.t.Helper()
	n := len(b.created())
	answer, err := b.ws.Say(within(b.t), b.customer, m)
	if err != nil || !answer.OK() || len(answer.Body) != 0 {
		b.t.Fatalf("%+v was answered %d %s (%v)", m, answer.Status, answer.Body, err)
	}
	var got client.Event
	b.poll("the event of "+m.Text, func() (bool, error) {
		if events := b.created(); len(events) > n {
			got = events[n]
		}
		return got.Data.Message != nil, nil
	})
	return got
}

// learn has the first messages come while nobody knows how this UChat signs.
func (b *bot) learn() {
	b.t.Helper()
	b.writes("chat", "Where is my parcel?")
	if b.customer.Sender.Name != "Dana Petrova" || b.customer.Event != "message_created" {
		b.t.Errorf("the bot got %+v", b.customer)
	}
	b.platform.Sign(emulator.Signature{None: true})
	if answer, err := b.ws.Say(within(b.t), b.customer, emulator.Message{Text: "unsigned and never heard"}); err != nil || !answer.OK() {
		b.t.Errorf("an unsigned message was answered %d (%v)", answer.Status, err)
	}
	b.platform.Sign(b.signature)
	body := []byte(fmt.Sprintf(`{"message_type":"outgoing","content":"twice signed","conversation_id":%d,"id":"held-1"}`, b.customer.Conversation))
	standard := b.signature == emulator.Signature{}
	if standard { // two fields that fit teach nothing; but the message is genuine
		answer, err := b.ws.Send(within(b.t), body, http.Header{"X-Other-Signature": {signed(body, b.ws.Webhook().Key)}})
		if err != nil || !answer.OK() {
			b.t.Errorf("a message that is signed twice was answered %d (%v)", answer.Status, err)
		}
	}
	b.stands(b.connection.ID, contract.StateConnecting, "learning")
	if heard := b.created(); len(heard) != 0 {
		b.t.Errorf("before anything was learned, the tenant heard %+v", heard)
	}
	first := b.says(emulator.Message{Text: "Grüß Gott / hello"})
	want := []string{"Grüß Gott / hello"}
	if standard {
		want = []string{"twice signed", "Grüß Gott / hello"} // what was held goes first
		b.inbound(b.connection.ID, want[1])
	}
	b.stands(b.connection.ID, contract.StateConnected, "verified")
	if heard := b.heard(b.connection.ID); !slices.Equal(heard, want) {
		b.t.Errorf("the tenant heard %q, want %q", heard, want)
	}
	if first.Data.Message.Author.Role != contract.RoleBot || first.Data.Message.Conversation.ID != "chat" {
		b.t.Errorf("the first message is %+v", first.Data.Message)
	}
}

// signed is the signature that the protocol takes for the likeliest.
func signed(body []byte, key string) string {
	code := hmac.New(sha256.New, []byte(key))
	code.Write(body)
	return "sha256=" + hex.EncodeToString(code.Sum(nil))
}

// enforced expects that nothing else is believed once it was learned.
func (b *bot) enforced() {
	b.t.Helper()
	body := []byte(fmt.Sprintf(`{"message_type":"outgoing","content":"forged","conversation_id":%d}`, b.customer.Conversation))
	before := len(b.rejections(b.theatre.workspace.ID))
	name := b.signature.Header
	if name == "" {
		name = "X-Hub-Signature-256"
	}
	for what, header := range map[string]http.Header{
		"no signature":               {name: nil},
		"an empty one":               {name: {""}},
		"another one":                {name: {signed(body, "another key")}},
		"another field with the key": {name: nil, "X-Webhook-Signature": {signed(body, b.ws.Webhook().Key)}},
		"the field twice":            {name: {signed(body, b.ws.Webhook().Key), signed(body, b.ws.Webhook().Key)}},
	} {
		answer, err := b.ws.Send(within(b.t), body, header)
		if err != nil || answer.Status != http.StatusUnauthorized {
			b.t.Errorf("%s was answered %d (%v)", what, answer.Status, err)
		}
	}
	if n := len(b.rejections(b.theatre.workspace.ID)) - before; n != 5 {
		b.t.Errorf("%d of 5 forged messages were audited", n)
	}
	b.says(emulator.Message{Text: "and a good one"})
	if heard := b.heard(b.connection.ID); slices.Contains(heard, "forged") {
		b.t.Errorf("the tenant heard %q", heard)
	}
}

// kinds has the bot send each of the seven kinds, and an agent speak.
func (b *bot) kinds() {
	b.t.Helper()
	if e := b.says(emulator.Message{Text: "I am a person", Agent: "Ona"}); e.Data.Message.Author.Role != contract.RoleAgent || e.Data.Message.Author.Contact.Name != "Ona" {
		b.t.Errorf("an agent's message became %+v", e.Data.Message)
	}
	mug := &emulator.File{Kind: "image", Name: "mug.gif", MIME: "image/gif", Content: []byte("GIF89a a mug")}
	buy := []emulator.Button{{Title: "Buy", Payload: "buy:17"}, {Title: "See", URL: "https://shop.example/17"}}
	choice := b.says(emulator.Message{Text: "Deliver today?", Buttons: []emulator.Button{{Title: "Yes", Payload: "f12|yes"}, {Title: "No", Payload: "f12|no"}}})
	if c := choice.Data.Message.Parts[0].Choice; c == nil || c.Prompt != "Deliver today?" || len(c.Options) != 2 || strings.Contains(fmt.Sprint(c), "f12") {
		b.t.Errorf("buttons became %+v", choice.Data.Message.Parts)
	}
	card := b.says(emulator.Message{Cards: []emulator.Card{{Title: "Blue mug", Subtitle: "€9", Image: mug, Buttons: buy}}})
	if c := card.Data.Message.Parts[0].Card; c == nil || c.Title != "Blue mug" || c.Image == nil || len(c.Options) != 2 || c.Options[1].URL == "" {
		b.t.Errorf("a card became %+v", card.Data.Message.Parts)
	}
	carousel := b.says(emulator.Message{Cards: []emulator.Card{{Title: "Blue mug", Buttons: buy}, {Title: "Red mug", Buttons: buy}}})
	if c := carousel.Data.Message.Parts[0].Carousel; c == nil || len(c.Cards) != 2 || c.Cards[1].Title != "Red mug" {
		b.t.Errorf("a carousel became %+v", carousel.Data.Message.Parts)
	}
	for _, f := range []*emulator.File{
		mug,
		{Kind: "audio", Name: "a.mp3", MIME: "audio/mpeg", Content: []byte("ID3 a song")},
		{Kind: "video", Name: "v.mp4", MIME: "video/mp4", Content: []byte("a film")},
		{Kind: "file", Name: "terms.pdf", MIME: "application/pdf", Content: []byte("%PDF-1.4 terms")},
	} {
		e := b.says(emulator.Message{File: f})
		if m := stage.Attachment(e.Data.Message); m == nil || string(m.Kind) != f.Kind {
			b.t.Errorf("%s became %+v", f.Name, e.Data.Message.Parts)
		}
		b.downloads(e, string(f.Content))
	}
}

// presses has the customer press a button: by its name among ours, by number, and by words.
func (b *bot) presses() {
	b.t.Helper()
	offer := emulator.Message{Text: "Again?", Buttons: []emulator.Button{{Title: "Certainly", Payload: "again|yes"}, {Title: "Never", Payload: "again|no"}}}
	e := b.says(offer)
	action := e.Data.Message.Parts[0].Choice.Options[1].ActionID
	pressed := func(payload string, parts ...contract.Part) {
		b.t.Helper()
		n := len(b.ws.Received())
		m := message("chat", "")
		m.Parts = parts
		b.send(b.connection.ID, m)
		b.poll("the press", func() (bool, error) { return len(b.ws.Received()) > n, nil })
		got := b.ws.Received()[n]
		if got.Event != "message_postback" || len(got.Submitted) != 1 || got.Submitted[0].Payload != payload {
			b.t.Errorf("the bot was told %+v, want %s", got, payload)
		}
	}
	text := func(words string) contract.Part {
		return contract.Part{Kind: contract.PartText, Text: &contract.Text{Plain: words}}
	}
	pressed("again|no", contract.Part{Kind: contract.PartRaw, Fallback: "Never",
		Raw: &contract.Raw{Kind: "postback", JSON: contract.RawJSON(`{"action_id":"` + action + `"}`)}})
	pressed("again|yes", text("1"))
	pressed("again|no", text("never"))
	b.writes("other", "1") // no button was ever shown there
	if b.customer.Event != "message_created" {
		b.t.Errorf("in another conversation a number became %+v", b.customer)
	}
	b.writes("chat", "thanks, that is all")
}

// files sends a file of each kind.
func (b *bot) files() {
	b.t.Helper()
	id := b.writes("chat", "two files", b.upload(contract.MediaImage, "broken.gif", "image/gif", "GIF89a broken"), b.upload(contract.MediaFile, "bill.pdf", "application/pdf", "%PDF-1.4 bill"))
	b.await("sent", stage.Status(id, contract.MessageSent))
	var got []string
	for _, m := range b.ws.Received() {
		for _, a := range m.Attachments {
			got = append(got, a.FileType+" "+string(a.Bytes)+a.Err)
		}
		for _, link := range mediaLinks.FindAllString(m.Content, -1) {
			got = append(got, "link "+b.fetches(link))
		}
	}
	want := []string{"image GIF89a broken", "file %PDF-1.4 bill"}
	if b.settings["media_style"] == "text_link" {
		want = []string{"link GIF89a broken", "link %PDF-1.4 bill"}
	}
	if !slices.Equal(got, want) {
		b.t.Errorf("UChat got %q, want %q", got, want)
	}
}

// fetches is what a link of the host's leads to.
func (b *bot) fetches(link string) string {
	b.t.Helper()
	browser, err := stage.NewBrowser()
	if err != nil {
		b.t.Fatal(err)
	}
	defer browser.Close()
	_, _, page, err := browser.Open(within(b.t), link)
	if err != nil {
		b.t.Error(err)
	}
	return page
}
