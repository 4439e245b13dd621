package e2e

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/intandem/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// parlour is a theatre with an app of inTandem's.
type parlour struct {
	*theatre
	platform   *emulator.Platform
	registered *emulator.App
	app        client.Connection
	ahead      *atomic.Int64 // of the platform's clock, in nanoseconds
}

// newParlour opens a theatre whose operator has set the app up.
func newParlour(t *testing.T, flags ...string) *parlour {
	t.Helper()
	p := &parlour{ahead: new(atomic.Int64)}
	var err error
	p.platform, err = emulator.Start(emulator.Options{
		Now:           func() time.Time { return time.Now().Add(time.Duration(p.ahead.Load())) },
		RefreshTokens: true, TypingV1: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if broken := p.platform.Violations(); len(broken) > 0 {
			t.Errorf("the connector broke the protocol: %q", broken)
		}
		if err := p.platform.Close(); err != nil {
			t.Error(err)
		}
	})
	p.theatre = play(t, []stage.Platform{p.platform}, []string{"intandem"}, flags...)
	p.registered = p.platform.AddApp(emulator.AppOptions{})
	p.app, err = p.people.Operator.CreateApp(within(t), client.NewApp{Plugin: "intandem", Name: "Communication",
		Settings: map[string]string{"client_id": p.registered.ClientID, "file_hosts": emulator.APIHost},
		Secrets:  map[string]string{"client_secret": p.registered.Secret}})
	if err != nil {
		t.Fatal(err)
	}
	targets, err := stage.Target(p.platform)
	if err == nil {
		_, err = p.people.Operator.AllowPrivateTargets(within(t), domain.HostWorkspace, p.app.ID, targets)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.registered.Register(p.app.ReceiveURL)
	return p
}

// in is the parlour for a test within a test.
func (p *parlour) in(t *testing.T) *parlour {
	inner := *p
	inner.theatre = p.theatre.in(t)
	return &inner
}

// as is the parlour of another tenant.
func (p *parlour) as(h *theatre) *parlour {
	other := *p
	other.theatre = h
	return &other
}

// salon is a business with its connection.
type salon struct {
	*parlour
	business   *emulator.Business
	connection client.Connection
	channel    *emulator.Channel
}

// found makes a connection for a new business, which has not allowed the app yet.
func (p *parlour) found(settings map[string]string) *salon {
	p.t.Helper()
	s := &salon{parlour: p, business: p.platform.AddBusiness("")}
	all := map[string]string{"business_uid": s.business.UID}
	maps.Copy(all, settings)
	s.connection = p.join(client.NewConnection{Plugin: "intandem", Name: "Salon", App: p.app.ID, Settings: all}, p.platform)
	s.stands(s.connection.ID, contract.StateNeedsAction, "consent_missing")
	return s
}

// open makes a connection that works.
func (p *parlour) open(settings map[string]string) *salon {
	p.t.Helper()
	s := p.found(settings)
	s.allow()
	s.arrive()
	return s
}

// begin returns a link by which the business may allow the app.
func (s *salon) begin() string {
	s.t.Helper()
	link, err := s.people.Tenant.AuthorizeConnection(within(s.t), s.workspace.ID, s.connection.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	return link.URL
}

// browser is a person's. The test's end closes it.
func (p *parlour) browser() *stage.Browser {
	p.t.Helper()
	b, err := stage.NewBrowser(p.platform)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(b.Close)
	return b
}

// shown opens a page, follows it to its end, and expects what that shows.
func (p *parlour) shown(b *stage.Browser, url string, status int, words string) {
	p.t.Helper()
	got, at, page, err := b.Open(within(p.t), url)
	if err != nil || got != status || !strings.Contains(page, words) {
		p.t.Errorf("the browser was shown %d %s at %s (%v), want %d %q", got, page, at, err, status, words)
	}
}

// hop opens a page and returns where it leads.
func (p *parlour) hop(b *stage.Browser, url string) string {
	p.t.Helper()
	status, to, err := b.Hop(within(p.t), url)
	if err != nil || status != http.StatusSeeOther && status != http.StatusFound {
		p.t.Fatalf("%s led nowhere: %d (%v)", url, status, err)
	}
	return to
}

// allow has a person of the business allow the app.
func (s *salon) allow() {
	s.t.Helper()
	s.business.SignIn()
	s.shown(s.browser(), s.begin(), http.StatusOK, "The connection is authorised")
}

// arrive waits until the business has its channel.
func (s *salon) arrive() {
	s.t.Helper()
	s.stands(s.connection.ID, contract.StateConnected, "channel_active")
	var err error
	if s.channel, err = s.business.WaitChannel(within(s.t), s.registered); err != nil {
		s.t.Fatal(err)
	}
}

// write sends a customer's message.
func (s *salon) write(chat, text string, parts ...contract.Part) contract.MessageID {
	s.t.Helper()
	m := message(chat, text)
	m.Author.Contact.Phone = phoneOf(chat)
	m.Parts = append(m.Parts, parts...)
	return s.send(s.connection.ID, m)
}

// phoneOf is a number of a conversation's own: one client has one session.
func phoneOf(chat string) string {
	sum := 0
	for _, r := range chat {
		sum = sum*31 + int(r)
	}
	digits := make([]byte, 8)
	for i := range digits {
		digits[i], sum = byte('0'+uint(sum)%10), int(uint(sum)/10)
	}
	return "+370" + string(digits)
}

// took waits until the business has a message.
func (s *salon) took(id contract.MessageID) emulator.Message {
	s.t.Helper()
	m, err := s.channel.WaitMessage(within(s.t), func(m emulator.Message) bool { return m.UID == string(id) })
	if err != nil {
		s.t.Fatalf("message %s: %v; commands %+v", id, err, s.commands(client.CommandFilter{Connection: s.connection.ID}))
	}
	return m
}

// says has the staff say something, and expects that it is taken.
func (s *salon) says(say emulator.Say) string {
	s.t.Helper()
	uid, answer, err := s.channel.Say(within(s.t), say)
	if err != nil || !answer.OK() {
		s.t.Fatalf("%q was answered %d (%v)", say.Text, answer.Status, err)
	}
	return uid
}

// told expects that the app took a callback.
func (p *parlour) told(answer emulator.Answer, err error) {
	p.t.Helper()
	if err != nil || !answer.OK() {
		p.t.Errorf("the callback was answered %d %s (%v)", answer.Status, answer.Body, err)
	}
}

// until waits for the platform.
func (p *parlour) until(what string, holds func() bool) {
	p.t.Helper()
	if err := p.platform.WaitUntil(within(p.t), what, holds); err != nil {
		p.t.Fatal(err)
	}
}

// played expects that every step of the script was taken.
func (p *parlour) played() {
	p.t.Helper()
	if n := p.platform.Unplayed(); n != 0 {
		p.t.Errorf("%d steps were never played", n)
		p.platform.Unscript()
	}
}

// TestInTandem has one host with many businesses: making a host takes longer than most of
// what is tried on it.
func TestInTandem(t *testing.T) {
	p := newParlour(t, "--health.interval", "1h")
	for _, test := range []struct {
		name string
		run  func(*parlour)
	}{
		{"a consent that does not come about", (*parlour).consents},
		{"the app's page in inTandem", (*parlour).landing},
		{"a conversation", (*parlour).conversation},
		{"callbacks before answers", (*parlour).hasty},
		{"a session that is refused, or there already", (*parlour).sessions},
		{"a channel that stops and goes on", (*parlour).channels},
		{"a channel of which nobody knows", (*parlour).unclear},
		{"the rates hold", (*parlour).rates},
		{"tokens end in the middle", (*parlour).tokens},
		{"two tenants share the app", (*parlour).tenants},
		{"a channel moves, a connection ends", (*parlour).ends},
		{"a secret that is refused", (*parlour).refused},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(p.in(t))
			p.in(t).played()
		})
	}
	p.killed()
}

// noTokens expects that a connection waits for its consent and has nothing.
func (s *salon) noTokens() {
	s.t.Helper()
	if h := s.stands(s.connection.ID, contract.StateNeedsAction, ""); h.Credentials != nil && h.Credentials.Valid {
		s.t.Errorf("it has tokens: %+v", h.Credentials)
	}
}

func (p *parlour) consents() {
	s := p.found(nil)
	_, before := p.registered.Tokens()
	s.business.SignIn()
	p.platform.Script(emulator.Step{Op: emulator.OpConsent, Outcome: "access_denied"})
	p.shown(p.browser(), s.begin(), http.StatusOK, "The authorisation was declined")
	s.noTokens()

	stranger := p.platform.AddBusiness("")
	stranger.SignIn()
	p.shown(p.browser(), s.begin(), http.StatusBadGateway, "Not authorised")
	s.noTokens()
	if _, now := p.registered.Tokens(); now != before {
		p.t.Errorf("inTandem has %d tokens of businesses, had %d: the stranger's was not revoked", now, before)
	}

	s.business.SignIn()
	theirs, other := p.browser(), p.browser()
	p.shown(other, p.hop(theirs, p.hop(theirs, s.begin())), http.StatusForbidden, "another browser")
	s.noTokens()

	late := p.browser()
	back := p.hop(late, p.hop(late, s.begin()))
	p.ahead.Add(int64(emulator.CodeLife + time.Second))
	p.shown(late, back, http.StatusBadGateway, "Not authorised")
	s.noTokens()

	good := p.browser()
	back = p.hop(good, p.hop(good, s.begin()))
	p.shown(good, back, http.StatusOK, "The connection is authorised")
	p.shown(good, back, http.StatusGone, "does not work any more")
	s.arrive()
	if channels := len(p.channelsOf(s.business)); channels != 1 {
		p.t.Errorf("the business has %d channels", channels)
	}
}

// channelsOf lists the calls by which channels of a business were made.
func (p *parlour) channelsOf(b *emulator.Business) (calls []emulator.Exchange) {
	for _, e := range p.platform.Of(emulator.OpCreateChannel) {
		if strings.Contains(string(e.Body), b.UID) {
			calls = append(calls, e)
		}
	}
	return calls
}

func (p *parlour) landing() {
	s := p.found(nil)
	s.business.SignIn()
	p.shown(p.browser(), s.business.Landing(p.registered), http.StatusOK, "not connected yet")
	p.shown(p.browser(), p.app.ReceiveURL, http.StatusOK, "opened by inTandem")
	s.noTokens()
	s.allow()
	s.arrive()
	p.shown(p.browser(), s.business.Landing(p.registered), http.StatusOK, "The connection is authorised")
	if status, to, err := p.browser().Hop(within(p.t), s.business.Landing(p.registered)+"&brand_host=evil.example"); err != nil ||
		status != http.StatusSeeOther || strings.Contains(to, "evil") {
		p.t.Errorf("a landing with another brand led to %d %s (%v)", status, to, err)
	}
	if channels := len(p.channelsOf(s.business)); channels != 1 {
		p.t.Errorf("a second consent made %d channels", channels)
	}
}

func (p *parlour) conversation() {
	s := p.open(nil)
	picture := s.upload(contract.MediaImage, "hair.gif", "image/gif", "GIF89a a photograph of the hair")
	choice := contract.Part{Kind: contract.PartChoice, Fallback: "When? Friday", Choice: &contract.Choice{
		Style: contract.ChoiceButtons, Prompt: "When?", Options: []contract.Option{{ActionID: "a", Label: "Friday"}}}}
	id := s.write("talk", "Can I move it?", picture, choice)
	m := s.took(id)
	links := mediaLinks.FindAllString(m.Text, -1)
	if !strings.HasPrefix(m.Text, "Can I move it?") || !strings.Contains(m.Text, "Friday") || len(links) != 1 || s.fetched(links[0]) != "GIF89a a photograph of the hair" {
		p.t.Errorf("the business got %q", m.Text)
	}
	s.await("delivered", stage.Status(id, contract.MessageDelivered))
	p.told(s.channel.Report(within(p.t), string(id), "read"))
	s.await("read", stage.Status(id, contract.MessageRead))
	p.told(s.channel.Report(within(p.t), string(id), "sent"))

	link := p.platform.AddFile("plan.pdf", "application/pdf", []byte("%PDF-1.4 the plan"))
	uid := s.says(emulator.Say{External: "talk", Text: "<div><strong>Friday</strong> &amp; 10:30<br>is fine</div>", Attachments: []any{map[string]any{"url": link, "name": "plan.pdf"}}})
	e := s.inbound(s.connection.ID, "Friday & 10:30\nis fine")
	if e.Data.Message.Author.Role != contract.RoleAgent || e.Data.Message.Conversation.ID != "talk" || string(e.Data.Message.PlatformID) != uid {
		p.t.Errorf("the reply became %+v", e.Data.Message)
	}
	s.downloads(e, "%PDF-1.4 the plan")
	s.says(emulator.Say{External: "talk", Text: "again", UID: uid}) // a repeat
	for _, status := range []contract.MessageStatus{contract.MessageDelivered, contract.MessageRead} {
		if _, err := s.people.Tenant.ReportStatus(within(p.t), s.workspace.ID, e.Data.Message.ID, client.StatusReport{Status: status}); err != nil {
			p.t.Fatal(err)
		}
		p.until(string(status)+" is told", func() bool {
			m, _ := s.channel.Message(uid)
			return m.Status == map[contract.MessageStatus]string{contract.MessageDelivered: "received", contract.MessageRead: "read"}[status]
		})
	}
	for _, on := range []bool{true, false} {
		p.told(s.channel.Session("talk").Type(within(p.t), on))
		s.await("typing", func(e client.Event) bool {
			return e.Connection == s.connection.ID && e.Data.Typing != nil && e.Data.Typing.On == on && e.Data.Conversation.ID == "talk"
		})
	}
	if heard := s.heard(s.connection.ID); len(heard) != 1 {
		p.t.Errorf("the tenant heard %q", heard)
	}
}

// fetched is what a link of the host's leads to.
func (p *parlour) fetched(link string) string {
	p.t.Helper()
	status, _, page, err := p.browser().Open(within(p.t), link)
	if err != nil || status != http.StatusOK {
		p.t.Errorf("the link %s gave %d (%v)", link, status, err)
	}
	return page
}

// killed ends the host while the business takes a message; nothing is lost and nothing comes
// twice.
func (p *parlour) killed() {
	s := p.open(nil)
	s.took(s.write("crash", "before"))
	gate := make(chan struct{})
	p.platform.Script(emulator.Step{Op: emulator.OpCreateMessage, Hold: gate})
	id := s.write("crash", "during")
	s.took(id) // and the host does not know
	after := s.write("crash", "after")
	p.kill()
	close(gate)
	p.revive()
	s.await("the message's end", stage.Status(id, contract.MessageSent))
	s.took(after)
	posts := 0
	for _, e := range p.platform.Of(emulator.OpCreateMessage) {
		if strings.Contains(string(e.Body), string(id)) {
			posts++
		}
	}
	said := s.channel.Messages(func(m emulator.Message) bool { return m.External == "crash" })
	if posts != 2 || len(said) != 3 {
		p.t.Errorf("it was posted %d times, and the business has %+v", posts, said)
	}
	s.says(emulator.Say{External: "crash", Text: "we are back"})
	s.inbound(s.connection.ID, "we are back")
}

// ctx bounds one call.
func (p *parlour) ctx() context.Context { return within(p.t) }
