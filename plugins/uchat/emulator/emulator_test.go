package emulator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// channel is the other side: it answers handshakes and takes messages.
type channel struct {
	t      *testing.T
	p      *Platform
	w      *Workspace
	server *httptest.Server
	client *http.Client

	mu       sync.Mutex
	messages [][]byte
	headers  []http.Header
	token    string // that a handshake had
}

// play starts a platform and a channel.
func play(t *testing.T, opts Options) *channel {
	t.Helper()
	p, err := Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	c := &channel{t: t, p: p, w: p.Workspace("")}
	c.server = httptest.NewServer(c)
	c.client = emulate.Trusting(p.CAPEM(), p.Addr(), p.Names()...)
	t.Cleanup(func() {
		c.client.CloseIdleConnections()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		c.server.Close()
	})
	return c
}

func ctxOf(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func (c *channel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if challenge, token := challengeOf(r, body); challenge != "" {
		c.mu.Lock()
		c.token = token
		c.mu.Unlock()
		_, _ = io.WriteString(w, challenge)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.messages, c.headers = append(c.messages, body), append(c.headers, r.Header)
}

func challengeOf(r *http.Request, body []byte) (challenge, token string) {
	var fields map[string]string
	values := r.URL.Query()
	if json.Unmarshal(body, &fields) == nil {
		return fields["hub_challenge"], fields["hub_verify_token"]
	}
	if form, err := url.ParseQuery(string(body)); err == nil && len(body) > 0 {
		values = form
	}
	return values.Get("hub_challenge") + values.Get("hub.challenge"), values.Get("hub_verify_token") + values.Get("hub.verify_token")
}

// ask makes one request with a key and returns the status and the answer; 0 if there was none.
func (c *channel) ask(method, url, key, body string) (int, string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	resp, err := c.client.Do(r)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer)
}

const api = "https://www.uchat.com.au/api/partner/workspace/4711"

// set sets the webhook through the partner API.
func (c *channel) set() string {
	c.t.Helper()
	status, answer := c.ask("POST", api+"/set-apichat-webhook", "pk_emulator", `{"webhook_url":"`+c.server.URL+`/in","webhook_verification_key":"vk"}`)
	if status != 200 {
		c.t.Fatalf("set was answered %d %s", status, answer)
	}
	return answer
}

func TestSetVerifiesTheWebhookWhileItIsOpen(t *testing.T) {
	for _, encoding := range []string{"form", "dots", "json", "query", "get"} {
		c := play(t, Options{Handshake: encoding})
		answer := c.set()
		if !strings.Contains(answer, `"webhook_status":"verified"`) || !strings.Contains(answer, c.w.BotURL()) || c.token != "vk" {
			t.Errorf("%s: set was answered %s, with a handshake for %q", encoding, answer, c.token)
		}
		order := []string{}
		for _, e := range c.p.Exchanges() {
			order = append(order, e.Type)
		}
		if want := []string{OpHandshake, OpSet}; !slices.Equal(order, want) {
			t.Errorf("%s: the exchanges ended as %q, want %q", encoding, order, want)
		}
	}
}

func TestThePartnerAPI(t *testing.T) {
	const set = `{"webhook_url":"http://127.0.0.1:1/x","webhook_verification_key":"vk"}`
	for _, tt := range []struct {
		name, paths, method, url, key, body string
		status                              int
		says                                string
	}{
		{"get", "", "GET", api + "/apichat-webhook", "pk_emulator", "", 200, `"webhook_url":null`},
		{"a wrong key", "", "GET", api + "/apichat-webhook", "fk_emulator", "", 401, "Unauthenticated"},
		{"another workspace", "", "GET", strings.Replace(api, "4711", "1", 1) + "/apichat-webhook", "pk_emulator", "", 404, ""},
		{"set without fields", "", "POST", api + "/set-apichat-webhook", "pk_emulator", "{}", 422, "invalid"},
		{"set to where nobody answers", "", "POST", api + "/set-apichat-webhook", "pk_emulator", set, 200, `"unverified"`},
		{"remove", "", "DELETE", api + "/remove-apichat-webhook", "pk_emulator", "", 200, "ok"},
		{"version 1 of set, which is not there", "", "POST", api + "/apichat-webhook", "pk_emulator", set, 405, ""},
		{"version 1 of set", "v1", "POST", api + "/apichat-webhook", "pk_emulator", set, 200, ""},
		{"version 1 of remove", "both", "DELETE", api + "/apichat-webhook", "pk_emulator", "", 200, ""},
		{"set, on a platform of version 1", "v1", "POST", api + "/set-apichat-webhook", "pk_emulator", set, 405, ""},
		{"what is not there", "", "GET", "https://www.uchat.com.au/other", "pk_emulator", "", 404, ""},
		{"a reseller's get", "", "POST", "https://api.nicochat.example/api/webhook?action=get-webhook", "pk_emulator", `{"workspace":"4711","email":"a@b","ChaveApi":"ck_emulator"}`, 200, "bot_url"},
		{"a reseller's get with another key", "", "POST", "https://api.nicochat.example/api/webhook?action=get-webhook", "pk_emulator", `{"workspace":"4711","email":"a@b","ChaveApi":"x"}`, 403, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := play(t, Options{Paths: tt.paths})
			if status, answer := c.ask(tt.method, tt.url, tt.key, tt.body); status != tt.status || !strings.Contains(answer, tt.says) {
				t.Errorf("answered %d %s, want %d %s", status, answer, tt.status, tt.says)
			}
		})
	}
}

const incoming = `{"content":"hello","message_type":"incoming","sender":{"id":"tg-1","name":"Dana","email":"","phone_number":"","type":"contact"},"conversation_id":77,"event":"message_created"}`

func TestTheBotURL(t *testing.T) {
	c := play(t, Options{})
	for _, tt := range []struct {
		name, key, body string
		status          int
		violations      int
	}{
		{"a text", "fk_emulator", incoming, 200, 0},
		{"a wrong key", "x", incoming, 401, 0},
		{"no JSON", "fk_emulator", "hello", 422, 0},
		{"a null", "fk_emulator", strings.Replace(incoming, `"email":""`, `"email":null`, 1), 422, 1},
		{"a number that is a text", "fk_emulator", strings.Replace(incoming, "77", `"x"`, 1), 422, 0},
		{"a number that is none", "fk_emulator", strings.Replace(incoming, "77", "0", 1), 422, 1},
		{"an odd sender", "fk_emulator", strings.Replace(incoming, "tg-1", "tg 1", 1), 422, 1},
		{"a press without values", "fk_emulator", strings.Replace(incoming, "message_created", "message_postback", 1), 422, 1},
		{"a press of nothing", "fk_emulator", strings.Replace(incoming, `"message_created"`, `"message_postback","submitted_values":[{"title":"x","payload":"x"}]`, 1), 200, 1},
		{"another person in the conversation", "fk_emulator", strings.Replace(incoming, "tg-1", "tg-2", 1), 200, 1},
	} {
		before := len(c.p.Violations())
		status, answer := c.ask("POST", c.w.BotURL(), tt.key, tt.body)
		if got := len(c.p.Violations()) - before; status != tt.status || (got > 0) != (tt.violations > 0) {
			t.Errorf("%s: answered %d %s with %d violations %q", tt.name, status, answer, got, c.p.Violations())
		}
	}
	old := c.w.BotURL()
	c.w.MoveBot()
	if status, _ := c.ask("POST", old, "fk_emulator", incoming); status != 404 {
		t.Errorf("a bot URL that moved answers %d", status)
	}
}

func TestSteps(t *testing.T) {
	c := play(t, Options{})
	hold := make(chan struct{})
	c.p.Script(Step{Type: OpMessage, Status: 429, Header: http.Header{"Retry-After": {"3"}}}, Step{Type: OpMessage, HangUp: true, Process: true},
		Step{Type: OpGet, Hold: hold, Body: "{}"})
	if status, _ := c.ask("POST", c.w.BotURL(), "fk_emulator", incoming); status != 429 || len(c.w.Received()) != 0 {
		t.Errorf("a step answered %d, and %d messages were taken", status, len(c.w.Received()))
	}
	if status, _ := c.ask("POST", c.w.BotURL(), "fk_emulator", incoming); status != 0 || len(c.w.Received()) != 1 {
		t.Errorf("a platform that hangs up answered %d, and took %d messages", status, len(c.w.Received()))
	}
	close(hold)
	if status, answer := c.ask("GET", api+"/apichat-webhook", "pk_emulator", ""); status != 200 || answer != "{}" || c.p.Unplayed() != 0 {
		t.Errorf("a held answer was %d %s, with %d steps left", status, answer, c.p.Unplayed())
	}
}

func TestMessagesAreSigned(t *testing.T) {
	c := play(t, Options{})
	if _, err := c.w.Say(ctxOf(t), Incoming{}, Message{Text: "x"}); !errors.Is(err, ErrNoWebhook) {
		t.Errorf("without a webhook Say came to %v", err)
	}
	c.set()
	for _, tt := range []struct {
		sign   Signature
		header string
		length int
	}{
		{Signature{}, "X-Hub-Signature-256", len("sha256=") + 64}, {Signature{SHA1: true, Header: "X-Hub-Signature"}, "X-Hub-Signature", len("sha1=") + 40},
		{Signature{Base64: true, NoPrefix: true}, "X-Hub-Signature-256", 44}, {Signature{None: true}, "X-Hub-Signature-256", 0},
	} {
		c.p.Sign(tt.sign)
		if _, err := c.w.Say(ctxOf(t), Incoming{Conversation: 77}, Message{Text: "é/"}); err != nil {
			t.Fatal(err)
		}
		if got := c.headers[len(c.headers)-1].Get(tt.header); len(got) != tt.length {
			t.Errorf("%+v signs with %q", tt.sign, got)
		}
	}
	if raw, escaped := (Signature{}).over([]byte(`"é/"`), nil), (Signature{PHP: true}).over([]byte(`"é/"`), nil); raw == escaped ||
		escaped != (Signature{}).over([]byte(`"\u00e9\/"`), nil) {
		t.Error("PHP's way of writing is not what is signed")
	}
}

func TestEveryKindOfMessageInBothFamilies(t *testing.T) {
	file := &File{Kind: "image", Name: "a.png", MIME: "image/png", Content: []byte("a picture")}
	messages := []Message{
		{Text: "hello"}, {Text: "Yes?", Buttons: []Button{{Title: "Yes", Payload: "y"}, {Title: "See", URL: "https://x.example"}, {Title: "Call", Phone: "+1"}}},
		{Cards: []Card{{Title: "Mug", Image: file, Buttons: []Button{{Title: "Buy", Payload: "b"}}}}}, {File: file, Agent: "Ann"},
	}
	for _, family := range []string{"chatwoot", "messenger"} {
		c := play(t, Options{Family: family, Echo: "both"})
		c.set()
		for _, m := range messages {
			if answer, err := c.w.Say(ctxOf(t), Incoming{Conversation: 77, Sender: Sender{ID: "tg-1"}}, m); err != nil || !answer.OK() {
				t.Fatalf("%s: %+v: %d, %v", family, m, answer.Status, err)
			}
		}
		last := c.messages[len(messages)-1]
		for _, want := range []string{`"conversation_id":77`, `"recipient":{"id":"tg-1"}`, `"agent":{"id":31,"name":"Ann"}`} {
			if !bytes.Contains(last, []byte(want)) {
				t.Errorf("%s: %s lacks %s", family, last, want)
			}
		}
		_, link, _ := strings.Cut(string(last), "https://bot.dfktv2.com/files/")
		link, _, _ = strings.Cut(link, `"`)
		if status, content := c.ask("GET", "https://bot.dfktv2.com/files/"+link, "", ""); status != 200 || content != "a picture" {
			t.Errorf("%s: the file is answered %d %s", family, status, content)
		}
	}
}

func TestTheBotAnswersAndFilesAreDownloaded(t *testing.T) {
	c := play(t, Options{Bot: func(m Incoming) []Message { return []Message{{Text: "You said " + m.Content}} }})
	c.set()
	body := strings.Replace(incoming, `"event"`, `"attachments":[{"file_type":"image","data_url":"`+c.server.URL+`/f"}],"event"`, 1)
	if status, answer := c.ask("POST", c.w.BotURL(), "fk_emulator", body); status != 200 {
		t.Fatalf("answered %d %s", status, answer)
	}
	if _, err := c.p.Wait(ctxOf(t), func(e Exchange) bool { return e.Type == OpSay && bytes.Contains(e.Body, []byte("You said hello")) }); err != nil {
		t.Error(err)
	}
	m, err := c.w.WaitMessage(ctxOf(t), func(m Incoming) bool { return m.Content == "hello" })
	if err != nil || len(m.Attachments) != 1 || m.Attachments[0].Err != "" {
		t.Errorf("the message was filed as %+v, %v", m, err)
	}
}
