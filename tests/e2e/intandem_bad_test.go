package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/intandem/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// canary stands in everything that must not be kept.
const canary = "c4n4ry-of-a-stranger"

// probe is a request that nobody should have sent, and what it is answered.
type probe struct {
	name, method, path, kind, body string
	status                         int
}

// requested makes a request to an address of the host's.
func (h *host) requested(method, url, kind string, body io.Reader, fields ...string) (int, http.Header) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(within(h.t), method, url, body)
	if err != nil {
		h.t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	c := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := c.Do(r)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, url, err)
	}
	defer func() { _ = answer.Body.Close() }() // whatever is left of it
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		h.t.Fatalf("%s %s: %v", method, url, err)
	}
	return answer.StatusCode, answer.Header
}

// TestInTandemBadInput sends what inTandem never would to each inbound route: it is refused as
// the protocol has it, audited, and nothing of it is kept anywhere.
func TestInTandemBadInput(t *testing.T) {
	p := newParlour(t, "--health.interval", "1h")
	mine, theirs := p.open(nil), p.as(p.tenant("Rival", "intandem")).open(nil)
	for i, s := range []*salon{mine, theirs} {
		id := s.write("chat", "hello")
		s.took(id)
		s.says(emulator.Say{External: "chat", Text: fmt.Sprint("good ", i), UID: fmt.Sprint("good-", i)})
		s.inbound(s.connection.ID, fmt.Sprint("good ", i))
		s.await("delivered", stage.Status(id, contract.MessageDelivered))
		s.poll("everything to come to rest", func() (bool, error) {
			return len(s.commands(client.CommandFilter{Connection: s.connection.ID, Export: contract.ExportSendMessage, State: domain.JobQueued})) == 0, nil
		})
	}
	if err := p.platform.Settle(within(t)); err != nil {
		t.Fatal(err)
	}
	t.Run("malformed", func(t *testing.T) { p.in(t).malformed(mine.in2(t), theirs.in2(t)) })
	t.Run("another tenant's", func(t *testing.T) { p.in(t).crossed(mine.in2(t), theirs.in2(t)) })
	t.Run("of nobody's", func(t *testing.T) { p.in(t).unknownUIDs(mine.in2(t)) })
	t.Run("repeated", func(t *testing.T) { p.in(t).repeated(mine.in2(t)) })
	t.Run("consents", func(t *testing.T) { p.in(t).forgedConsents() })
	for _, s := range []*salon{mine, theirs} {
		if names := s.kept(s.connection.ID, canary); len(names) < 5 {
			t.Errorf("%s keeps only %q", s.connection.ID, names)
		}
	}
	p.kept(p.app.ID, canary)
}

// in2 is the salon for a test within a test.
func (s *salon) in2(t *testing.T) *salon {
	inner := *s
	inner.parlour = s.parlour.in(t)
	return &inner
}

func (p *parlour) malformed(mine, theirs *salon) {
	channel, session := mine.channel.UID, mine.channel.Session("chat").UID
	message := `{"external_uid":"chat","message":"` + canary + `","message_uid":"` + canary + `","channel_uid":"` + channel + `"`
	big := message + `,"x":"` + strings.Repeat("x", 256<<10) + `"}`
	long := strings.Repeat("x", 300)
	const kind, form = "application/json", "application/x-www-form-urlencoded"
	probes := []probe{
		{"a path that is none", "POST", "/nowhere", kind, `{}`, 404},
		{"a path too deep", "PUT", "/channels/" + channel + "/x", kind, `{"status":"deleted"}`, 404},
		{"a path with dots", "PUT", "/channels/%2e%2e/messages", kind, message + `}`, 404},
		{"a uid that is none", "PUT", "/channels/a%20b", kind, `{"status":"deleted"}`, 404},
		{"a uid too long", "PUT", "/sessions/" + long, kind, `{"status":"deleted"}`, 404},
		{"another method for a channel", "POST", "/channels/" + channel, kind, `{"status":"deleted"}`, 405},
		{"another method for a session", "DELETE", "/sessions/" + session, kind, ``, 405},
		{"another method for a message", "PUT", "/messages", kind, message + `}`, 405},
		{"another method for typing", "DELETE", "/" + session + "/typing", kind, `{"typing":true}`, 405},
		{"a body to the landing page", "POST", "", kind, message + `}`, 405},
		{"a form", "POST", "/messages", form, "message=" + canary, 415},
		{"a text", "PUT", "/channels/" + channel, "text/plain", `{"status":"deleted"}`, 415},
		{"a body too large", "POST", "/messages", kind, big, 413},
		{"no body", "POST", "/messages", kind, "", 400},
		{"a body cut short", "POST", "/messages", kind, message, 400},
		{"two documents", "POST", "/messages", kind, message + `}{}`, 400},
		{"a list", "PUT", "/channels/" + channel, kind, `[{"status":"deleted"}]`, 400},
		{"no JSON", "PUT", "/channels/" + channel, kind, canary, 400},
		{"bytes that are no text", "POST", "/messages", kind, message + ",\"x\":\"\xff\xfe\"}", 400},
		{"a deep document", "POST", "/messages", kind, message + `,"x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, 400},
		{"a name twice", "PUT", "/channels/" + channel, kind, `{"status":"active","status":"deleted"}`, 400},
		{"a channel twice", "POST", "/messages", kind, message + `,"channel_uid":"` + theirs.channel.UID + `"}`, 400},
		{"a status of another type", "PUT", "/channels/" + channel, kind, `{"status":7}`, 400},
		{"a session's status of another type", "PUT", "/sessions/" + session, kind, `{"status":{}}`, 400},
		{"a status that is null in a message", "PUT", "/messages/" + canary, kind, `{"status":[],"channel_uid":"` + channel + `"}`, 400},
		{"typing of another type", "POST", "/" + session + "/typing", kind, `{"typing":"yes"}`, 400},
		{"a message without channel", "POST", "/messages", kind, `{"external_uid":"chat","message":"` + canary + `","message_uid":"z"}`, 400},
		{"a message without person", "POST", "/messages", kind, `{"message":"` + canary + `","message_uid":"z","channel_uid":"` + channel + `"}`, 400},
		{"a message without uid", "POST", "/messages", kind, `{"external_uid":"chat","message":"` + canary + `","channel_uid":"` + channel + `"}`, 400},
		{"a message for a person with a long name", "POST", "/messages", kind, strings.Replace(message, `"chat"`, `"`+long+`"`, 1) + `}`, 400},
		{"a message as an object", "POST", "/messages", kind, strings.Replace(message, `"message":"`+canary+`"`, `"message":{"a":"`+canary+`"}`, 1) + `}`, 400},
		{"a message's state without channel", "PUT", "/messages/" + canary, kind, `{"status":"read"}`, 400},
		{"a channel as a number", "POST", "/messages", kind, `{"external_uid":"chat","message":"y","message_uid":"z","channel_uid":7}`, 400},
		{"attachments that are no list", "POST", "/messages", kind, message + `,"attachments":"` + canary + `"}`, 400},
		{"too many attachments", "POST", "/messages", kind, message + `,"attachments":[` + strings.TrimSuffix(strings.Repeat(`{},`, 51), ",") + `]}`, 400},
	}
	p.refuses(probes, mine, theirs)
	for name, url := range map[string]string{
		"an endpoint that is none":        strings.Replace(p.app.ReceiveURL, p.app.ReceiveURL[len(p.app.ReceiveURL)-6:], "aaaaaa", 1),
		"another tenant's own endpoint":   theirs.connection.ReceiveURL,
		"what begins like the app's path": p.app.ReceiveURL[:len(p.app.ReceiveURL)-1],
	} {
		if status, _ := p.requested("PUT", url+"/channels/"+channel, kind, strings.NewReader(`{"status":"deleted"}`)); status != http.StatusNotFound {
			p.t.Errorf("%s was answered %d", name, status)
		}
	}
}

// refuses makes each probe and expects its status, one more entry in the audit log, and that
// nothing else has changed for anybody.
func (p *parlour) refuses(probes []probe, both ...*salon) {
	p.t.Helper()
	var before []string
	for _, s := range both {
		before = append(before, s.footprint(s.connection.ID))
	}
	for _, tt := range probes {
		audited := p.audited(both)
		status, header := p.requested(tt.method, p.app.ReceiveURL+tt.path, tt.kind, strings.NewReader(tt.body))
		if status != tt.status {
			p.t.Errorf("%s: answered %d, want %d", tt.name, status, tt.status)
		}
		if status == http.StatusMethodNotAllowed && header.Get("Allow") == "" {
			p.t.Errorf("%s: it is not said which methods are allowed", tt.name)
		}
		if now := p.audited(both); now != audited+1 {
			p.t.Errorf("%s: %d entries in the audit log, were %d", tt.name, now, audited)
		}
	}
	for i, s := range both {
		if now := s.footprint(s.connection.ID); now != before[i] {
			p.t.Errorf("tenant %d: it was\n%s\nand is\n%s", i, before[i], now)
		}
	}
	p.bodiless(both)
}

// audited counts the refusals of the app's deliveries and of everybody's.
func (p *parlour) audited(both []*salon) int {
	p.t.Helper()
	n := len(p.rejections(domain.HostWorkspace))
	for _, s := range both {
		n += len(p.rejections(s.workspace.ID))
	}
	return n
}

// bodiless expects that of a refused delivery no body is kept.
func (p *parlour) bodiless(both []*salon) {
	p.t.Helper()
	places := []contract.WorkspaceID{domain.HostWorkspace}
	for _, s := range both {
		places = append(places, s.workspace.ID)
	}
	for _, ws := range places {
		page, err := p.people.Operator.Deliveries(within(p.t), ws, client.DeliveryFilter{State: domain.DeliveryRejected, Page: domain.Page{Limit: 1000}})
		if err != nil {
			p.t.Fatal(err)
		}
		for _, d := range page.Items {
			whole, err := p.people.Operator.Delivery(within(p.t), ws, d.ID)
			if err != nil || len(whole.Body) != 0 || whole.Code == "" {
				p.t.Errorf("of the refused delivery %s %s is kept %q (%v)", d.ID, whole.Code, whole.Body, err)
			}
		}
	}
}

// crossed mixes two tenants' uids: the channel says whose a callback is, and nothing of
// another's is found there.
func (p *parlour) crossed(mine, theirs *salon) {
	const kind = "application/json"
	p.refuses([]probe{
		{"my session with a channel of theirs in the body", "PUT", "/sessions/" + mine.channel.Session("chat").UID + "/" + theirs.channel.UID, kind, `{"status":"deleted"}`, 404},
		{"typing in a session that is a channel", "POST", "/" + theirs.channel.UID + "/typing", kind, `{"typing":true}`, 404},
	}[:1], mine, theirs)
	before := mine.footprint(mine.connection.ID)
	sent := ""
	for _, m := range mine.channel.Messages(func(m emulator.Message) bool { return m.Direction == "client_to_business" }) {
		sent = m.UID
	}
	// The state of my message, said of their channel: they never sent such a one.
	status, _ := p.requested("PUT", p.app.ReceiveURL+"/messages/"+sent, kind, strings.NewReader(`{"status":"error","channel_uid":"`+theirs.channel.UID+`"}`))
	if status != http.StatusNoContent {
		p.t.Errorf("a status was answered %d", status)
	}
	// A message with the uid of one of mine: it is theirs, and new to them.
	status, _ = p.requested("POST", p.app.ReceiveURL+"/messages", kind,
		strings.NewReader(`{"external_uid":"chat","message":"to the rival","message_uid":"good-0","channel_uid":"`+theirs.channel.UID+`"}`))
	if status != http.StatusNoContent {
		p.t.Errorf("a message was answered %d", status)
	}
	theirs.inbound(theirs.connection.ID, "to the rival")
	if now := mine.footprint(mine.connection.ID); now != before {
		p.t.Errorf("mine was\n%s\nand is\n%s", before, now)
	}
}

// unknownUIDs names what nobody has: it waits with the app, for a while, and for nobody.
func (p *parlour) unknownUIDs(mine *salon) {
	const kind, nobody = "application/json", "00000000-0000-4000-8000-00000000dead"
	before := mine.footprint(mine.connection.ID)
	for _, tt := range []probe{
		{"a channel", "PUT", "/channels/" + nobody, kind, `{"status":"active"}`, 204},
		{"a session", "PUT", "/sessions/" + nobody, kind, `{"status":"active"}`, 204},
		{"a message", "POST", "/messages", kind, `{"external_uid":"chat","message":"` + canary + `","message_uid":"z","channel_uid":"` + nobody + `"}`, 204},
		{"a message's state", "PUT", "/messages/z", kind, `{"status":"read","channel_uid":"` + nobody + `"}`, 204},
		{"typing", "POST", "/" + nobody + "/typing", kind, `{"typing":true}`, 404},
		{"a landing", "GET", "?business_uid=nobody00", "", ``, 200},
	} {
		status, _ := p.requested(tt.method, p.app.ReceiveURL+tt.path, tt.kind, strings.NewReader(tt.body))
		if status != tt.status {
			p.t.Errorf("%s: answered %d, want %d", tt.name, status, tt.status)
		}
	}
	waiting, err := p.people.Operator.Unclaimed(within(p.t), p.app.ID, domain.Page{})
	if err != nil || len(waiting.Items) != 2 {
		p.t.Fatalf("%+v waits (%v)", waiting.Items, err)
	}
	for _, u := range waiting.Items {
		want := map[string]int64{"channel:" + nobody: 3, "session:" + nobody: 1}[u.Key]
		if n, err := p.people.Operator.Discard(within(p.t), p.app.ID, u.Key); err != nil || int64(n) != want || u.Deliveries != want {
			p.t.Errorf("of %+v, %d were discarded (%v), want %d", u, n, err, want)
		}
	}
	if now := mine.footprint(mine.connection.ID); now != before {
		p.t.Errorf("it was\n%s\nand is\n%s", before, now)
	}
}

// repeated sends genuine callbacks again, and out of order.
func (p *parlour) repeated(mine *salon) {
	const kind = "application/json"
	again := []byte(`{"external_uid":"chat","message":"once","message_uid":"once-1","channel_uid":"` + mine.channel.UID + `","status":"pending"}`)
	for range 5 {
		if status, _ := p.requested("POST", p.app.ReceiveURL+"/messages", kind, bytes.NewReader(again)); status != http.StatusNoContent {
			p.t.Errorf("a repeat was answered %d", status)
		}
	}
	mine.inbound(mine.connection.ID, "once")
	id := mine.write("chat", "how far?")
	mine.took(id)
	for _, status := range []string{"read", "received", "sent", "pending", "error", "read", "unheard-of", ""} {
		p.told(mine.channel.Report(within(p.t), string(id), status))
	}
	mine.poll("it to be read", func() (bool, error) {
		m, err := p.people.Tenant.Message(within(p.t), mine.workspace.ID, id)
		return m.Status == contract.MessageRead, err
	})
	mine.says(emulator.Say{External: "chat", Text: "the end"})
	mine.inbound(mine.connection.ID, "the end")
	if heard := mine.heard(mine.connection.ID); !slices.Equal(heard, []string{"good 0", "once", "the end"}) {
		p.t.Errorf("the tenant heard %q", heard)
	}
	var statuses []contract.MessageStatus
	for _, e := range mine.inbox.Events() {
		if e.Data.Status != nil && e.Data.Status.MessageID == id {
			statuses = append(statuses, e.Data.Status.Status)
		}
	}
	if i := slices.Index(statuses, contract.MessageRead); i < 0 || slices.ContainsFunc(statuses[i+1:], func(s contract.MessageStatus) bool { return s != contract.MessageRead }) {
		p.t.Errorf("the tenant heard of the statuses %q", statuses)
	}
}

// forgedConsents brings codes that nobody asked for.
func (p *parlour) forgedConsents() {
	s := p.found(nil)
	s.business.SignIn()
	_, tokens := p.registered.Tokens()
	for name, query := range map[string]string{
		"a state that is none":    "?code=" + canary + "&state=pbo_" + strings.Repeat("a", 43),
		"a state that is short":   "?code=" + canary + "&state=pbo_",
		"an error and a code":     "?code=" + canary + "&error=x&state=pbo_" + strings.Repeat("a", 43),
		"a code that is endless":  "?code=" + strings.Repeat("c", 8000) + "&state=pbo_" + strings.Repeat("a", 43),
		"a business, and markup":  "?business_uid=%3Cscript%3E&brand_host=evil.example",
		"another tenant's wishes": "?business_uid=" + s.business.UID + "&business_uid=x",
	} {
		status, header := p.requested("GET", p.app.ReceiveURL+query, "", nil)
		if status >= 500 || status/100 == 3 || header.Get("Location") != "" {
			p.t.Errorf("%s was answered %d %v", name, status, header)
		}
	}
	s.noTokens()
	if _, now := p.registered.Tokens(); now != tokens {
		p.t.Errorf("%d tokens, were %d", now, tokens)
	}
}
