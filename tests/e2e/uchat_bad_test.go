package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/uchat/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// TestUChatBadInput sends what UChat never would to the webhook's URL, signed where a
// signature is what else would keep it out: it is refused as the protocol has it, audited, and
// nothing of it is kept anywhere.
func TestUChatBadInput(t *testing.T) {
	_, bots := newBots(t, "--health.interval", "1h")
	b := bots["a form"]
	b.connect()
	rival := &bot{theatre: b.tenant("Rival", "uchat"), platform: b.platform, ws: b.platform.AddWorkspace("4712"), settings: map[string]string{"workspace_id": "4712"}}
	rival.connect()
	b.await("sent", stage.Status(b.writes("chat", "hello"), contract.MessageSent))
	rival.await("sent", stage.Status(rival.writes("chat", "hello, too"), contract.MessageSent))
	t.Run("while it is learned", func(t *testing.T) { b.in(t).unlearned(rival.in(t)) })
	b.says(emulator.Message{Text: "now it is known"})
	rival.says(emulator.Message{Text: "here as well"})
	for _, one := range []*bot{b, rival} {
		one.stands(one.connection.ID, contract.StateConnected, "verified")
	}
	t.Run("malformed", func(t *testing.T) { b.in(t).malformed(rival.in(t)) })
	t.Run("handshakes", func(t *testing.T) { b.in(t).handshakes(rival.in(t)) })
	t.Run("for nobody", func(t *testing.T) { b.in(t).undeliverable() })
	t.Run("repeated", func(t *testing.T) { b.in(t).repeated() })
	t.Run("too many handshakes", func(t *testing.T) { b.in(t).manyHandshakes() })
	for _, one := range []*bot{b, rival} {
		if names := one.kept(one.connection.ID, canary); len(names) < 5 {
			t.Errorf("%s keeps only %q", one.connection.ID, names)
		}
	}
}

// refuses makes a request and expects its status, an entry in the audit log with a reason of
// that kind, and that nothing else has changed for anybody.
func (b *bot) refuses(name string, status int, code, method, url, kind, body string, rival *bot, fields ...string) {
	b.t.Helper()
	before, theirs := b.footprint(b.connection.ID), rival.footprint(rival.connection.ID)
	audited := len(b.rejections(b.theatre.workspace.ID))
	got, _ := b.requested(method, url, kind, strings.NewReader(body), fields...)
	if got != status {
		b.t.Errorf("%s: answered %d, want %d", name, got, status)
	}
	entries := b.rejections(b.theatre.workspace.ID)
	if len(entries) != audited+1 {
		b.t.Errorf("%s: %d entries in the audit log, were %d", name, len(entries), audited)
	}
	found := false
	for _, e := range entries {
		found = found || strings.HasPrefix(e.Detail, code+":")
	}
	if !found {
		b.t.Errorf("%s: no entry says %s: %+v", name, code, entries)
	}
	if now := b.footprint(b.connection.ID); now != before {
		b.t.Errorf("%s: it was\n%s\nand is\n%s", name, before, now)
	}
	if now := rival.footprint(rival.connection.ID); now != theirs {
		b.t.Errorf("%s: the rival's was\n%s\nand is\n%s", name, theirs, now)
	}
}

// unlearned sends what is not even held while nobody knows how this UChat signs.
func (b *bot) unlearned(rival *bot) {
	hook, key := b.connection.ReceiveURL, b.ws.Webhook().Key
	const kind = "application/json"
	for _, tt := range []struct{ name, body string }{{"no JSON", canary}, {"a list", `["` + canary + `"]`}, {"nothing", ""}, {"half", `{"content":"` + canary}} {
		b.refuses(tt.name, http.StatusBadRequest, "malformed", http.MethodPost, hook, kind, tt.body, rival, "X-Hub-Signature-256", signed([]byte(tt.body), key))
	}
	large := `{"content":"` + canary + strings.Repeat("x", 49<<10) + `"}`
	b.refuses("too large to hold", http.StatusRequestEntityTooLarge, "too_large_to_hold", http.MethodPost, hook, kind, large, rival)
	if h := b.stands(b.connection.ID, contract.StateConnecting, "learning"); h.Code != "learning" {
		b.t.Errorf("it is %+v", h)
	}
}

func (b *bot) malformed(rival *bot) {
	hook, key := b.connection.ReceiveURL, b.ws.Webhook().Key
	const kind = "application/json"
	good := fmt.Sprintf(`{"message_type":"outgoing","content":"%s","conversation_id":%d,"id":"%s"`, canary, b.customer.Conversation, canary)
	for _, tt := range []struct {
		name, method, path, kind, body string
		status                         int
		code                           string
	}{
		{"a path below", "POST", "/messages", kind, good + "}", 404, "path_unknown"},
		{"another method", "PUT", "", kind, good + "}", 405, "method_refused"},
		{"a question without a challenge", "GET", "", "", "", 405, "method_refused"},
		{"no JSON", "POST", "", kind, canary, 400, "malformed"},
		{"a form", "POST", "", "application/x-www-form-urlencoded", "content=" + canary, 400, "malformed"},
		{"nothing", "POST", "", kind, "", 400, "malformed"},
		{"half a document", "POST", "", kind, good, 400, "malformed"},
		{"two documents", "POST", "", kind, good + "}{}", 400, "malformed"},
		{"a list", "POST", "", kind, "[" + good + "}]", 400, "malformed"},
		{"a name twice", "POST", "", kind, good + `,"content":"other"}`, 400, "malformed"},
		{"bytes that are no text", "POST", "", kind, good + ",\"x\":\"\xff\"}", 400, "malformed"},
		{"half a character", "POST", "", kind, good + `,"x":"\ud800"}`, 400, "malformed"},
		{"a deep document", "POST", "", kind, good + `,"x":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}`, 400, "malformed"},
		{"content as a number", "POST", "", kind, strings.Replace(good, `"`+canary+`"`, "7", 1) + "}", 400, "malformed"},
		{"a conversation as an object", "POST", "", kind, fmt.Sprintf(`{"content":"%s","conversation_id":{}}`, canary), 400, "malformed"},
		{"a recipient as a text", "POST", "", kind, `{"message":{"text":"` + canary + `"},"recipient":"` + canary + `"}`, 400, "malformed"},
	} {
		b.refuses(tt.name, tt.status, tt.code, tt.method, hook+tt.path, tt.kind, tt.body, rival, "X-Hub-Signature-256", signed([]byte(tt.body), key))
	}
	for name, header := range map[string][]string{
		"no signature": nil, "the rival's signature": {"X-Hub-Signature-256", signed([]byte(good+"}"), rival.ws.Webhook().Key)},
		"a signature of another body": {"X-Hub-Signature-256", signed([]byte(good+" }"), key)}, "a signature cut short": {"X-Hub-Signature-256", signed([]byte(good+"}"), key)[:40]},
	} {
		code := "signature_mismatch"
		if header == nil {
			code = "signature_missing"
		}
		b.refuses(name, http.StatusUnauthorized, code, http.MethodPost, hook, kind, good+"}", rival, header...)
	}
	if status, _ := b.requested(http.MethodPost, hook, kind, strings.NewReader(`{"x":"`+strings.Repeat("x", 1<<20)+`"}`)); status != http.StatusRequestEntityTooLarge {
		b.t.Errorf("more than 1 MiB was answered %d", status)
	}
	for what, url := range map[string]string{"an endpoint that is none": hook[:len(hook)-6] + "aaaaaa", "the end cut off": hook[:len(hook)-1]} {
		if status, _ := b.requested(http.MethodPost, url, kind, strings.NewReader(good+"}")); status != http.StatusNotFound {
			b.t.Errorf("%s was answered %d", what, status)
		}
	}
}

// handshakes asks for the echo of what nobody should get.
func (b *bot) handshakes(rival *bot) {
	hook, key := b.connection.ReceiveURL, b.ws.Webhook().Key
	const form = "application/x-www-form-urlencoded"
	ask := func(mode, token, challenge string) string {
		return url.Values{"hub_mode": {mode}, "hub_verify_token": {token}, "hub_challenge": {challenge}}.Encode()
	}
	for _, tt := range []struct{ name, query, kind, body, code string }{
		{"another's key", "", form, ask("subscribe", rival.ws.Webhook().Key, "abc"), "token_mismatch"},
		{"no key", "", form, ask("subscribe", "", "abc"), "token_mismatch"},
		{"half a key", "", form, ask("subscribe", key[:20], "abc"), "token_mismatch"},
		{"another mode", "", form, ask("unsubscribe", key, "abc"), "handshake_malformed"},
		{"markup", "", form, ask("subscribe", key, "<script>"+canary), "handshake_malformed"},
		{"a long challenge", "", form, ask("subscribe", key, strings.Repeat("a", 257)), "handshake_malformed"},
		{"an empty challenge", "", form, "hub_mode=subscribe&hub_verify_token=" + key + "&hub_challenge=", "handshake_malformed"},
		{"a key in the query", "?" + ask("subscribe", "guess", "abc"), "", "", "token_mismatch"},
		{"a key in JSON", "", "application/json", `{"hub_mode":"subscribe","hub_verify_token":"guess","hub_challenge":"abc"}`, "token_mismatch"},
	} {
		b.refuses(tt.name, http.StatusForbidden, tt.code, http.MethodPost, hook+tt.query, tt.kind, tt.body, rival)
	}
}

// undeliverable names customers that nobody knows: an event tells of it, in no conversation.
func (b *bot) undeliverable() {
	n := len(b.created())
	for _, body := range []string{
		`{"message_type":"outgoing","content":"whom?","id":"u1"}`,
		`{"message_type":"outgoing","content":"whom?","conversation_id":1,"id":"u2"}`,
		`{"message":{"text":"whom?","mid":"u3"},"recipient":{"id":"nobody"}}`,
	} {
		raw := len(b.raws())
		if answer, err := b.ws.Send(within(b.t), []byte(body), nil); err != nil || !answer.OK() {
			b.t.Errorf("%s was answered %d (%v)", body, answer.Status, err)
		}
		b.poll("the alert", func() (bool, error) { return len(b.raws()) == raw+1, nil })
	}
	for _, body := range []string{ // an echo of the customer's own, and a note among agents
		fmt.Sprintf(`{"message_type":"incoming","content":"echo","conversation_id":%d,"id":"e1"}`, b.customer.Conversation),
		fmt.Sprintf(`{"message_type":"outgoing","private":true,"content":"note","conversation_id":%d,"id":"e2"}`, b.customer.Conversation),
	} {
		if answer, err := b.ws.Send(within(b.t), []byte(body), nil); err != nil || !answer.OK() {
			b.t.Errorf("%s was answered %d (%v)", body, answer.Status, err)
		}
	}
	b.says(emulator.Message{Text: "to whom it may concern"})
	if heard := b.heard(b.connection.ID); len(heard) != n+1 {
		b.t.Errorf("the tenant heard %q", heard)
	}
}

// raws lists the events of what nobody could be found for.
func (b *bot) raws() (events []client.Event) {
	for _, e := range b.inbox.Events() {
		if e.Connection == b.connection.ID && e.Data.Kind == contract.EventRaw && e.Data.Raw.Kind == "undeliverable" && e.Data.Conversation == nil {
			events = append(events, e)
		}
	}
	return events
}

// repeated sends a genuine message again, with an id and without.
func (b *bot) repeated() {
	before := len(b.heard(b.connection.ID))
	for range 3 {
		body := fmt.Sprintf(`{"message_type":"outgoing","content":"once","conversation_id":%d,"id":"once"}`, b.customer.Conversation)
		if answer, err := b.ws.Send(within(b.t), []byte(body), nil); err != nil || !answer.OK() {
			b.t.Errorf("a repeat was answered %d (%v)", answer.Status, err)
		}
	}
	changed := fmt.Sprintf(`{"message_type":"outgoing","content":"another text with the id","conversation_id":%d,"id":"once"}`, b.customer.Conversation)
	if answer, err := b.ws.Send(within(b.t), []byte(changed), nil); err != nil || !answer.OK() {
		b.t.Errorf("it was answered %d (%v)", answer.Status, err)
	}
	b.says(emulator.Message{Text: "after the repeats"})
	if heard := b.heard(b.connection.ID)[before:]; len(heard) != 2 || heard[0] != "once" || heard[1] != "after the repeats" {
		b.t.Errorf("the tenant heard %q", heard)
	}
}

// manyHandshakes asks more often than UChat ever would, with the right key.
func (b *bot) manyHandshakes() {
	answers := map[int]int{}
	for i := range 15 {
		body := url.Values{"hub_mode": {"subscribe"}, "hub_verify_token": {b.ws.Webhook().Key}, "hub_challenge": {fmt.Sprint("abc-", i)}}.Encode()
		status, _ := b.requested(http.MethodPost, b.connection.ReceiveURL, "application/x-www-form-urlencoded", strings.NewReader(body))
		answers[status]++
	}
	if answers[http.StatusOK] > 10 || answers[http.StatusOK]+answers[http.StatusTooManyRequests] != 15 || answers[http.StatusTooManyRequests] < 5 {
		b.t.Errorf("15 handshakes were answered %v", answers)
	}
	refused, err := b.people.Operator.Deliveries(within(b.t), b.theatre.workspace.ID, client.DeliveryFilter{Connection: b.connection.ID, State: domain.DeliveryRejected, Page: domain.Page{Limit: 1000}})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, d := range refused.Items {
		whole, err := b.people.Operator.Delivery(within(b.t), b.theatre.workspace.ID, d.ID)
		if err != nil || len(whole.Body) != 0 || whole.Code == "" {
			b.t.Errorf("of the refused delivery %s %s is kept %q (%v)", d.ID, whole.Code, whole.Body, err)
		}
	}
}
