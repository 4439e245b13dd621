package hostile

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
)

// TestABurglarInTheHouse has one host for all that it tries: to start one takes longer than
// all the rest.
func TestABurglarInTheHouse(t *testing.T) {
	h := settle(t)
	t.Run("keys of others", h.in(testKeysOfOthers))
	t.Run("secrets", h.in(testSecrets))
	t.Run("private addresses", h.in(testPrivateAddresses))
	t.Run("traps in the middle", h.in(testTrapsInTheMiddle))
	t.Run("too much", h.in(testTooMuch))
	t.Run("a conversation goes on", h.in(testAConversationGoesOn))
	if peak := h.memory(); peak > 1200*mib {
		t.Errorf("the host came to %d MiB", peak/mib)
	} else {
		t.Logf("the host came to %d MiB", peak/mib)
	}
}

// in runs a part of the test, which fails by itself.
func (h *house) in(f func(h *house)) func(t *testing.T) {
	return func(t *testing.T) {
		part := *h
		part.t = t
		f(&part)
	}
}

func testKeysOfOthers(h *house) {
	const mine = "the victim's"
	h.told(h.victims, "put", "secret/plan", mine)
	h.told(h.theirs, "put", "own", "the thief's")
	ids := []string{string(h.victim.ID), string(h.victims.ID), string(h.connection.ID)}
	keys := []string{"secret/plan", "", "/", "..", "../secret/plan", "../../" + ids[1] + "/secret/plan", "secret/plan\x00", "\x00secret/plan",
		"secret", "%2e%2e/secret/plan", "secret\\plan", "\u202esecret/plan", strings.Repeat("../", 80) + "plan", strings.Repeat("k", 256), strings.Repeat("k", 257),
		strings.Repeat("k", 900_000), "\xff\xfe", "secret/plan\n", "loot/", "{{secret:token}}"}
	for _, id := range ids {
		for _, between := range []string{"/", "\x00", ":", "\x1f", "\xff", ""} {
			keys = append(keys, id+between+"secret/plan", between+id+between+"secret/plan")
		}
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimLeft(id, "abcdefghijklmnopqrstuvwxyz_"))
		if err == nil {
			keys = append(keys, string(raw)+"secret/plan")
		}
	}
	for _, key := range keys {
		if got := h.told(h.theirs, "get", key); strings.Contains(got, mine) {
			h.t.Errorf("get %.60q: %s", key, got)
		}
		for _, verb := range []string{"list", "put"} {
			status, got := h.tell(h.theirs, verb, key, "overwritten")
			if status != 200 || strings.Contains(got, mine) {
				h.t.Errorf("%s %.60q: %d %.200s", verb, key, status, got)
			}
		}
		if got := h.told(h.theirs, "list", "", key); strings.Contains(got, mine) {
			h.t.Errorf("list after %.60q: %s", key, got)
		}
	}
	if got := h.told(h.victims, "list", ""); strings.Count(got, `"key"`) != 1 || !strings.Contains(got, mine) {
		h.t.Errorf("the victim has %s", got)
	}
}

func testSecrets(h *house) {
	send := func(header, query, body string) string {
		return h.ask(h.robber, h.thief, h.theirs, contract.HTTPRequest{
			Method: "POST", URL: h.shop.open.URL + "/echo" + query, Body: body,
			Headers: []contract.Header{{Name: "X-Secret", Value: header}, {Name: "Content-Type", Value: "application/json"}},
		})
	}
	// The company is sent the value, and the plugin gets it back from nowhere.
	loot := send("{{secret:token}}", "", "{}")
	saw := h.shopSaw()
	if len(saw) == 0 {
		h.t.Fatalf("the shop was sent nothing; the burglar got %s", loot)
	}
	value, _, _ := strings.Cut(saw[len(saw)-1], "|")
	if len(value) < 20 || strings.Contains(value, "{{") {
		h.t.Fatalf("the shop was sent %q, so that nothing is tested here; the burglar got %s", value, loot)
	}
	loot += send("", "?q={{secret:token}}", "{}") + send("", "", `{"t":"{{secret:token}}"}`) + send("{{secret:token}}", "?q={{secret:token}}", `{"t":"{{secret:token}}"}`)
	if saw := strings.Join(h.shopSaw(), "\n"); strings.Count(saw, value) < 3 {
		h.t.Errorf("the shop was sent the secret by one way only: %s", strings.ReplaceAll(saw, value, "<<SECRET>>"))
	}
	for name, form := range map[string]string{
		"itself": value, "in base64": base64.StdEncoding.EncodeToString([]byte(value)),
		"escaped": url.QueryEscape(value), "its first half": value[:len(value)/2], "its second half": value[len(value)/2:],
	} {
		if strings.Contains(loot, form) {
			h.t.Errorf("the secret came back %s: %s", name, strings.ReplaceAll(loot, value, "<<SECRET>>"))
		}
	}
	if strings.Contains(strings.ToLower(loot), strings.ToLower(fieldName(value))) { // HTTP does not keep the case of names
		h.t.Errorf("the secret came back as a field's name: %s", loot)
	}
	for _, where := range []string{h.log.String(), h.told(h.theirs, "list", "")} {
		if strings.Contains(where, value) {
			h.t.Error("the secret is in the log or in the plugin's state")
		}
	}
	// What was not granted, by whatever name, is not sent.
	for _, name := range []string{
		"{{secret:outbound_token}}", "{{secret:OTHER}}", "{{secret:../" + string(h.victim.ID) + "/token}}", "{{secret:" + string(h.connection.ID) + "/token}}",
		"{{credential:access_token}}", "{{secret:}}", "{{secret:token\x00}}", "{{media_base64:med_1}}", "{{receive_url}}", "{{secret:tok{{secret:token}}en}}",
	} {
		before := h.shopSaw()
		loot := send(name, "", "")
		for _, saw := range h.shopSaw()[len(before):] {
			first, _, _ := strings.Cut(saw, "|")
			if first != name && first != "" && !strings.Contains(first, "{{") {
				h.t.Errorf("for %q the shop was sent %q; the burglar got %.200s", name, first, loot)
			}
		}
	}
	for _, verb := range []string{"secret", "sign"} {
		for _, name := range []string{"outbound_token", "OTHER", "", string(h.connection.ID) + "/token"} {
			if got := h.told(h.theirs, verb, name, value); !strings.HasPrefix(got, "refused") {
				h.t.Errorf("%s %q: %s", verb, name, got)
			}
		}
	}
	// Of its own secret it is told whether a guess is right, and each connection has another.
	if a, b := h.told(h.theirs, "secret", "token", value), h.told(h.victims, "secret", "token", value); a != "true" || b != "false" {
		h.t.Errorf("the thief's secret is its own: %s; the victim's: %s", a, b)
	}
}

func (h *house) shopSaw() []string {
	h.shop.mu.Lock()
	defer h.shop.mu.Unlock()
	return slices.Clone(h.shop.seen)
}

func testPrivateAddresses(h *house) {
	port := h.shop.shut.URL[strings.LastIndex(h.shop.shut.URL, ":"):]
	get := func(c client.Connection, to string) string {
		return h.ask(h.robber, h.thief, c, contract.HTTPRequest{Method: "GET", URL: to, TimeoutMillis: 2000})
	}
	// A redirect is an answer, not a way.
	for _, to := range []string{h.shop.shut.URL, "http://169.254.169.254/latest/meta-data", "https://localhost" + port, "file:///etc/passwd"} {
		if got := get(h.theirs, h.shop.open.URL+"/redirect?to="+url.QueryEscape(to)); !strings.Contains(got, "307") {
			h.t.Errorf("a redirect to %s: %s", to, got)
		}
	}
	// A grant is for a host, however its name is written.
	for _, to := range []string{
		h.shop.shut.URL, "https://127.0.0.1" + port, "https://localhost" + port, "https://[::1]" + port, "https://[::ffff:127.0.0.1]" + port, "https://0x7f000001" + port,
		"https://2130706433" + port, "https://127.1" + port, "https://0" + port, "https://[64:ff9b::7f00:1]" + port, "https://10.0.0.1", "https://169.254.169.254", "https://metadata.google.internal",
		"http://127.0.0.1" + port, "file:///etc/passwd", "gopher://127.0.0.1" + port, "https://user@127.0.0.1" + port, h.shop.open.URL + "@127.0.0.1" + port, "//127.0.0.1" + port,
		h.at.Management, h.at.Ingress, strings.Replace(h.at.Management, "http:", "https:", 1), "unix:///var/run/docker.sock", "",
	} {
		if got := get(h.theirs, to); !strings.HasPrefix(got, "refused") && !strings.Contains(got, `"error"`) {
			h.t.Errorf("a request to %q: %s", to, got)
		}
	}
	// The thief's administrator says that the company is there; no operator allowed it.
	for _, company := range []string{
		"https://127.0.0.1" + port, "https://localhost" + port, "https://[::1]" + port, "https://[::ffff:7f00:1]" + port, "https://169.254.169.254",
		"https://10.0.0.1", "https://[64:ff9b::7f00:1]" + port, "https://[fe80::1]", "https://0.0.0.0" + port, "https://100.64.0.1", "https://[fd00::1]",
	} {
		made, err := h.robber.CreateConnection(within(h.t), h.thief.ID, client.NewConnection{Plugin: "burglar", Name: "B", Settings: map[string]string{"company_url": company}})
		if err != nil {
			continue // refused at once
		}
		if got := get(made, company+"/"); !strings.HasPrefix(got, "refused") {
			h.t.Errorf("with the company at %s a request got %s", company, got)
		}
	}
	h.shop.mu.Lock()
	defer h.shop.mu.Unlock()
	if len(h.shop.intruded) > 0 {
		h.t.Errorf("the server that nobody allowed was sent %q", h.shop.intruded)
	}
}

// kept is the newest delivery in a state.
func (h *house) kept(c client.Connection, ws domain.Workspace, state domain.DeliveryState) domain.Delivery {
	h.t.Helper()
	page := must[client.Page[domain.Delivery]](h.t)(h.people.Operator.Deliveries(within(h.t), ws.ID, client.DeliveryFilter{State: state, Page: domain.Page{Limit: 1000}}))
	for _, d := range page.Items {
		if d.Connection == c.ID {
			return must[domain.Delivery](h.t)(h.people.Operator.Delivery(within(h.t), ws.ID, d.ID)) // with its body
		}
	}
	return domain.Delivery{}
}

func testTrapsInTheMiddle(h *house) {
	for verb, code := range map[string]string{"put, trap": "plugin_", "put, loop": "plugin_", "recurse": "plugin_", "loop": "plugin_"} {
		status, text := h.tell(h.theirs, verb, "half-"+verb)
		if status != 503 {
			h.t.Errorf("%s is answered %d %.100s, want 503", verb, status, text)
		}
		d := h.kept(h.theirs, h.thief, domain.DeliveryFailed)
		if !strings.HasPrefix(d.Code, code) || d.Plugin != "burglar" || d.Digest != h.burglar || d.Workspace != h.thief.ID || !strings.Contains(string(d.Body), verb) || d.Reason == "" {
			h.t.Errorf("%s was kept as %+v", verb, d)
		}
		if got := h.told(h.theirs, "get", "half-"+verb); got != "false " {
			h.t.Errorf("%s left %q behind", verb, got)
		}
		if !strings.Contains(h.log.String(), string(d.ID)) {
			h.t.Errorf("the log does not name delivery %s", d.ID)
		}
		h.t.Logf("%-10s %s: %s, in %v", verb, d.Code, d.Reason, d.Took.Round(time.Millisecond))
	}
}

func testTooMuch(h *house) {
	for _, tt := range []struct{ verb, n string }{
		{"large answer", "100000000"}, {"large answer", "3000000"}, {"large answer", "1100000"}, {"many events", "100000"}, {"many events", "5000"},
		{"many commands", "100000"}, {"many commands", "2000"}, {"many headers", "100000"}, {"many headers", "500"}, {"many keys", "100"}, {"many keys", "1500"}, {"many lines", "100000"},
	} {
		before := len(h.log.String())
		began := time.Now()
		status, text := h.tell(h.theirs, tt.verb, tt.n)
		took := time.Since(began)
		if status != 200 && status != 503 || took > patience*time.Second {
			h.t.Errorf("%s, %s: %d %.100s after %v", tt.verb, tt.n, status, text, took)
		}
		logged := len(h.log.String()) - before
		if logged > mib {
			h.t.Errorf("%s, %s: the log grew by %d bytes", tt.verb, tt.n, logged)
		}
		d := h.kept(h.theirs, h.thief, domain.DeliveryFailed)
		if status == 503 && (d.Plugin != "burglar" || d.Reason == "" || !strings.Contains(string(d.Body), tt.verb)) {
			h.t.Errorf("%s, %s was kept as %+v", tt.verb, tt.n, d)
		}
		if status == 200 {
			d.Reason = ""
		}
		h.t.Logf("%-13s %9s: %d of %d bytes in %v, %d bytes logged; %.90s", tt.verb, tt.n, status, len(text), took.Round(time.Millisecond), logged, d.Reason)
	}
	for _, header := range [][2]string{
		{"X-A", "a\r\nX-B: b"}, {"X-A\r\nX-B", "b"}, {"", "x"}, {"Content-Length", "99999"}, {"Transfer-Encoding", "chunked"}, {"Connection", "upgrade"},
		{"Set-Cookie", "patchbay=1"}, {"X-A", strings.Repeat("x", 500_000)}, {"X\x00", "v"}, {"Trailer", "X-B"},
	} {
		status, text := h.tell(h.theirs, "header", header[0], header[1])
		if status != 200 && status != 503 || status == 200 && text != "done" {
			h.t.Errorf("the header field %.40q: %.40q: %d %.100s", header[0], header[1], status, text)
		}
	}
	if got := h.told(h.theirs, "get", "own"); !strings.HasPrefix(got, "true") {
		h.t.Errorf("afterwards the burglar answers %s", got)
	}
}

// talk has so many replies come in, one after another, and returns how long each took to be
// answered, in order of length.
func (h *house) talk(replies int) []time.Duration {
	var took []time.Duration
	for i := range replies {
		began := time.Now()
		answer, err := h.channel.Reply(within(h.t), emulator.Reply{Chat: "chat-1", Text: fmt.Sprint("reply ", i)})
		took = append(took, time.Since(began))
		if err != nil || answer.Status != 200 {
			h.t.Errorf("reply %d was answered %d %s, %v", i, answer.Status, answer.Body, err)
		}
	}
	slices.Sort(took)
	return took
}

// beside has the burglar told the same by two platforms, without end, while f runs.
func (h *house) beside(f func(), words ...string) {
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					h.tell(h.theirs, words...)
				}
			}
		})
	}
	f()
	close(stop)
	all.Wait()
}

func testAConversationGoesOn(h *house) {
	sent := must[client.Accepted](h.t)(h.people.Tenant.Send(within(h.t), h.victim.ID, h.connection.ID, message("chat-1", "Where is my parcel?")))
	if _, err := h.channel.WaitMessage(within(h.t), func(m emulator.Message) bool { return m.ID == string(sent.Message.ID) }); err != nil {
		h.t.Fatal(err)
	}
	const replies = 100
	for attempt := 1; ; attempt++ {
		var alone, benign, hostile []time.Duration
		alone = h.talk(replies)
		h.beside(func() { benign = h.talk(replies) }, "much work", "15000000")
		h.beside(func() { hostile = h.talk(replies) }, "loop")
		h.t.Logf("a reply is answered within %v, %v for 99%%, alone; %v, %v beside a plugin that works; %v, %v beside one that loops",
			at(alone, 50), at(alone, 99), at(benign, 50), at(benign, 99), at(hostile, 50), at(hostile, 99))
		if at(hostile, 99) <= 2*max(at(benign, 99), 20*time.Millisecond) {
			return
		}
		if attempt == 3 {
			h.t.Errorf("the 99th percentile is %v, beside a benign plugin %v", at(hostile, 99), at(benign, 99))
			return
		}
	}
}
