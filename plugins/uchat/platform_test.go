package main

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
	"github.com/seed75a60ee1/patchbay/plugins/uchat/emulator"
)

// live is a world whose platform is the emulator, over HTTPS.
type live struct {
	*world
	mu      sync.Mutex // held by whoever runs an invocation, but not during its calls
	p       *emulator.Platform
	ws      *emulator.Workspace
	client  *http.Client
	receive string
}

// goLive starts a platform; nothing is set up yet.
func goLive(t *testing.T, opts emulator.Options, extra ...string) *live {
	t.Helper()
	p, err := emulator.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	l := &live{world: newWorld(t, extra...), p: p, ws: p.Workspace("")}
	l.secrets["partner_key"], l.secrets["flow_key"], l.secrets["reseller_key"] = "pk_emulator", "fk_emulator", "ck_emulator"
	server := httptest.NewServer(l)
	l.receive, l.mediaBase = server.URL+"/in/s3cr3t-endpoint", server.URL+"/media/"
	l.answer = l.call
	l.client = emulate.Trusting(p.CAPEM(), p.Addr(), p.Names()...)
	t.Cleanup(func() {
		l.client.CloseIdleConnections()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
		if v := p.Violations(); len(v) > 0 {
			t.Errorf("against the protocol: %q", v)
		}
	})
	return l
}

func (l *live) ctx() context.Context {
	ctx, cancel := context.WithTimeout(l.t.Context(), 20*time.Second)
	l.t.Cleanup(cancel)
	return ctx
}

// ServeHTTP is the host's ingress.
func (l *live) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if handle, ok := strings.CutPrefix(r.URL.Path, "/media/"); ok {
		_, _ = w.Write([]byte("the bytes of " + handle))
		return
	}
	d := contract.Delivery{Method: r.Method, Query: r.URL.RawQuery}
	for name, values := range r.Header {
		for _, value := range values {
			d.Headers = append(d.Headers, contract.Header{Name: name, Value: value})
		}
	}
	body, _ := io.ReadAll(r.Body)
	l.mu.Lock()
	out := l.request(d, string(body))
	l.mu.Unlock()
	for _, h := range out.Response.Headers {
		w.Header().Set(h.Name, h.Value)
	}
	w.WriteHeader(int(out.Response.Status))
	_, _ = w.Write([]byte(out.Response.Body))
}

// call is the host's egress: it fills placeholders in, and puts them back in the answer.
func (l *live) call(r contract.HTTPRequest) (*contract.HTTPResult, error) {
	l.mu.Unlock()
	defer l.mu.Lock()
	pairs := []string{"{{credential:receive_url}}", l.receive}
	for name, value := range l.secrets {
		pairs = append(pairs, "{{secret:"+name+"}}", value)
	}
	fill := strings.NewReplacer(pairs...)
	req, err := http.NewRequestWithContext(l.ctx(), r.Method, r.URL, strings.NewReader(fill.Replace(r.Body)))
	if err != nil {
		return nil, &contract.HostError{Code: contract.HostInvalid, Certain: true}
	}
	spelled := r.Body
	for _, h := range r.Headers {
		req.Header.Set(h.Name, fill.Replace(h.Value))
		spelled += h.Value
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, &contract.HostError{Code: contract.HostUnreachable}
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	text := string(answer)
	for i := 0; i < len(pairs); i += 2 {
		if strings.Contains(spelled, pairs[i]) {
			text = strings.ReplaceAll(text, pairs[i+1], pairs[i])
		}
	}
	result := &contract.HTTPResult{Status: int64(resp.StatusCode), Body: text}
	for name := range resp.Header {
		result.Headers = append(result.Headers, contract.Header{Name: name, Value: resp.Header.Get(name)})
	}
	return result, nil
}

// do runs f as the only invocation.
func (l *live) do(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// connect sets the connection up and compares the state it comes to.
func (l *live) connect(want string) {
	l.t.Helper()
	l.do(func() {
		l.world.setup()
		l.wantState(want)
	})
}

// says has the bot say something to whoever wrote, and returns the events of it.
func (l *live) says(to emulator.Incoming, m emulator.Message) []contract.Event {
	l.t.Helper()
	answer, err := l.ws.Say(l.ctx(), to, m)
	if err != nil || !answer.OK() {
		l.t.Fatalf("%+v was answered %d %s, %v", m, answer.Status, answer.Body, err)
	}
	var events []contract.Event
	l.do(func() { events, l.events = l.events, nil })
	return events
}

// writes sends a message of Dana's and returns what the platform took.
func (l *live) writes(id string, parts ...contract.Part) emulator.Incoming {
	l.t.Helper()
	before := len(l.ws.Received())
	l.do(func() {
		if out := l.write(id, parts...); out.Sent == nil {
			l.t.Fatalf("%s was not sent: %+v", id, out.Failure)
		}
	})
	if got := l.ws.Received(); len(got) > before {
		return got[len(got)-1]
	}
	l.t.Fatalf("%s did not arrive", id)
	return emulator.Incoming{}
}

func TestAConversation(t *testing.T) {
	for _, family := range []string{"chatwoot", "messenger"} {
		t.Run(family, func(t *testing.T) {
			l := goLive(t, emulator.Options{Family: family})
			l.connect("connecting learning")
			got := l.writes("msg_1", text1("Where is my parcel?"))
			if got.Content != "Where is my parcel?" || got.Sender.ID != "tg-553201" || got.Sender.Phone != "+37060012345" {
				t.Errorf("the platform took %+v", got)
			}
			events := l.says(got, emulator.Message{Text: "It is packed."})
			if len(events) != 2 || events[0].State == nil || events[1].Message.Conversation.ID != "tg-chat-1" {
				t.Fatalf("the first reply came to %+v, want what was learned and the message", events)
			}
			events = l.says(got, emulator.Message{Text: "Deliver today?", Buttons: []emulator.Button{{Title: "Yes", Payload: "f12|yes"}, {Title: "No", Payload: "f12|no"}}})
			if choice := events[0].Message.Parts[0].Choice; choice == nil || choice.Options[1].Label != "No" {
				t.Errorf("the template came to %+v", events[0].Message.Parts)
			}
			press := l.writes("msg_2", text1("2"))
			if press.Event != "message_postback" || press.Submitted[0] != (emulator.Submitted{Title: "No", Payload: "f12|no"}) {
				t.Errorf("the press arrived as %+v", press)
			}
			file := l.writes("msg_3", text1("This one"), contract.Part{Kind: "media", Media: &contract.Media{Kind: "image", Handle: "med_1", Name: "label.jpg"}})
			if file.Content != "This one" || len(file.Attachments) != 1 || string(file.Attachments[0].Bytes) != "the bytes of med_1" {
				t.Errorf("the file arrived as %+v", file)
			}
			events = l.says(got, emulator.Message{Agent: "Ann", File: &emulator.File{Kind: "image", Name: "route.png", Content: []byte("a route")}})
			m := events[0].Message
			if m.Author.Role != contract.RoleAgent || m.Parts[0].Media.Name != "route.png" || !strings.HasPrefix(m.Parts[0].Media.SourceURL, "https://bot.dfktv2.com/files/") {
				t.Errorf("the agent's file came to %+v", m)
			}
			l.do(func() {
				l.run(contract.ExportTeardownConnection, &contract.TeardownConnectionInput{Command: l.command(), Connection: l.connection()})
				l.wantState("disconnected torn_down")
			})
			if hook := l.ws.Webhook(); hook.URL != "" {
				t.Errorf("after teardown the webhook is %+v", hook)
			}
		})
	}
}

func TestEachWayToSetTheWebhook(t *testing.T) {
	for _, tt := range []struct {
		name  string
		opts  emulator.Options
		extra []string
		want  string
	}{
		{"a form", emulator.Options{Handshake: "form"}, nil, "connecting learning"},
		{"a form with dots", emulator.Options{Handshake: "dots"}, nil, "connecting learning"},
		{"JSON", emulator.Options{Handshake: "json"}, nil, "connecting learning"},
		{"a query", emulator.Options{Handshake: "query"}, nil, "connecting learning"},
		{"a query by GET", emulator.Options{Handshake: "get"}, nil, "connecting learning"},
		{"version 1 of the paths", emulator.Options{Paths: "v1"}, nil, "connecting learning"},
		{"version 1 by setting", emulator.Options{Paths: "v1"}, []string{"partner_paths", "v1"}, "connecting learning"},
		{"current paths alone, of a platform without", emulator.Options{Paths: "v1"}, []string{"partner_paths", "current"}, "needs_action platform_refused"},
		{"a reseller", emulator.Options{}, []string{"partner_api_style", "nicochat", "reseller_url", "https://api.nicochat.example/api/webhook", "reseller_email", "me@shop.example"}, "connecting learning"},
		{"no handshake", emulator.Options{NoHandshake: true}, nil, "needs_action handshake_failed"},
		{"another workspace", emulator.Options{Workspace: "1"}, nil, "needs_action platform_refused"},
		{"a wrong key", emulator.Options{PartnerKey: "pk_other"}, nil, "needs_action token_refused"},
		{"enforced signatures", emulator.Options{}, []string{"signature_mode", "enforce"}, "connected verified"},
		{"no signatures", emulator.Options{}, []string{"signature_mode", "secret_path_only"}, "connected secret_path_only"},
		{"a bot on a host that is not allowed", emulator.Options{}, []string{"bot_hosts", "bot.example"}, "needs_action bot_host_refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := goLive(t, tt.opts, tt.extra...)
			l.connect(tt.want)
			if hook := l.ws; strings.HasPrefix(tt.want, "connect") && (hook == nil || hook.Webhook().Status != "verified" || hook.Webhook().URL != l.receive) {
				t.Errorf("the webhook is %+v", hook.Webhook())
			}
			l.connect(tt.want) // once more, as a change of settings does
			for _, r := range l.sent {
				if r.Method == "GET" && r.Body != "" {
					t.Errorf("a GET with a body: %+v", r)
				}
			}
		})
	}
}

func TestAWebhookOfSomebodyElseIsLeftAlone(t *testing.T) {
	l := goLive(t, emulator.Options{})
	other := emulator.Webhook{URL: "https://other.example/hook", Key: "theirs", Status: "verified"}
	l.ws.Put(other)
	l.connect("needs_action webhook_taken")
	if hook := l.ws.Webhook(); hook != other {
		t.Errorf("the webhook is now %+v", hook)
	}
	l.set("replace_webhook", "true")
	l.connect("connecting learning")
	l.ws.Put(other)
	l.do(func() {
		l.run(contract.ExportTeardownConnection, &contract.TeardownConnectionInput{Command: l.command(), Connection: l.connection()})
	})
	if hook := l.ws.Webhook(); hook != other {
		t.Errorf("teardown took somebody else's webhook away: %+v", hook)
	}
}

func TestManualStyle(t *testing.T) {
	l := goLive(t, emulator.Options{}, "partner_api_style", "manual")
	l.set("bot_url", l.ws.BotURL(), "workspace_id", "")
	l.connect("connecting verifying")
	if hook := l.ws.SetWebhook(l.ctx(), l.receive, l.secrets["verification_key"]); hook.Status != "verified" {
		t.Fatalf("the webhook is %+v", hook)
	}
	l.do(func() { l.wantState("connecting learning") })
	got := l.writes("msg_1", text1("hello"))
	if events := l.says(got, emulator.Message{Text: "hi"}); len(events) != 2 {
		t.Errorf("the reply came to %+v", events)
	}
	l.connect("connected verified") // a change of settings needs no new handshake
	if n := len(l.sent); n != 1 {
		t.Errorf("%d calls were made, want the one message", n)
	}
}

func TestSignaturesOverTheWire(t *testing.T) {
	for _, s := range []emulator.Signature{
		{}, {Header: "X-Signature", SHA1: true}, {Base64: true, NoPrefix: true}, {Key: "flow_key"}, {Key: "partner_key"},
		{PHP: true, Header: "X-Acme-Hmac"},
	} {
		l := goLive(t, emulator.Options{Signature: s})
		l.connect("connecting learning")
		got := l.writes("msg_1", text1("hello"))
		if events := l.says(got, emulator.Message{Text: "é / ok"}); len(events) != 2 || events[0].State.Code != "verified" {
			t.Errorf("%+v: the reply came to %+v", s, events)
		}
		forged, err := l.ws.Send(l.ctx(), []byte(`{"conversation_id":1,"content":"x"}`), http.Header{cmp.Or(s.Header, meta.header): {"sha256=00"}})
		if err != nil || forged.Status != 401 {
			t.Errorf("%+v: a forged message was answered %d, %v", s, forged.Status, err)
		}
	}
}

func TestABotThatAnswersBeforeTheCallReturns(t *testing.T) {
	l := goLive(t, emulator.Options{BotFirst: true, Bot: func(m emulator.Incoming) []emulator.Message {
		return []emulator.Message{{Text: "You said " + m.Content}}
	}})
	l.connect("connecting learning")
	l.writes("msg_1", text1("hello"))
	var said []string
	for _, e := range l.events {
		if e.Message != nil {
			said = append(said, string(e.Message.Conversation.ID)+": "+e.Message.Parts[0].Text.Plain)
		}
	}
	if want := []string{"tg-chat-1: You said hello"}; !slices.Equal(said, want) {
		t.Errorf("the bot said %q, want %q", said, want)
	}
}

func TestAnAwkwardBot(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []emulator.Step
		extra []string
		// classes is what the attempts come to, and received how often the bot got it.
		classes  string
		received int
	}{
		{"answers 500, then takes it", []emulator.Step{{Status: 500}}, nil, "retry sent", 1},
		{"answers 429 with a wait", []emulator.Step{{Status: 429, Header: http.Header{"Retry-After": {"7"}}}}, nil, "retry_after sent", 1},
		{"takes it and hangs up, once", []emulator.Step{{HangUp: true, Process: true}}, nil, "retry sent", 2},
		{"hangs up twice", []emulator.Step{{HangUp: true, Times: 2}}, nil, "retry uncertain", 0},
		{"hangs up, and may not be repeated", []emulator.Step{{HangUp: true, Process: true}}, []string{"ambiguous_retry", "never"}, "uncertain", 1},
		{"refuses the words", []emulator.Step{{Status: 422, Body: `{"message":"content too long"}`}}, nil, "permanent", 0},
		{"refuses the size", []emulator.Step{{Status: 413}}, nil, "permanent", 0},
		{"refuses the key, then takes it", []emulator.Step{{Status: 401}}, nil, "reauthorise sent", 1},
		{"redirects", []emulator.Step{{Status: 302, Header: http.Header{"Location": {"https://evil.example"}}}}, nil, "permanent", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := goLive(t, emulator.Options{}, tt.extra...)
			l.connect("connecting learning")
			for i := range tt.steps {
				tt.steps[i].Type = emulator.OpMessage
			}
			l.p.Script(tt.steps...)
			var got []string
			l.do(func() {
				for range len(strings.Fields(tt.classes)) {
					if out := l.write("msg_1", text1("hello")); out.Failure != nil {
						got = append(got, string(out.Failure.Class))
					} else {
						got = append(got, "sent")
					}
				}
			})
			if strings.Join(got, " ") != tt.classes || len(l.ws.Received()) != tt.received {
				t.Errorf("the attempts came to %q and the bot got it %d times, want %q and %d", got, len(l.ws.Received()), tt.classes, tt.received)
			}
		})
	}
}

func TestAKeyThatIsRefusedAndMended(t *testing.T) {
	l := goLive(t, emulator.Options{})
	l.connect("connecting learning")
	l.secrets["flow_key"] = "fk_old"
	l.do(func() {
		l.write("msg_1", text1("hello"))
		l.wantState("needs_action token_refused")
		l.write("msg_1", text1("hello"))
		l.wantState("") // told once
	})
	l.secrets["flow_key"] = "fk_emulator"
	l.do(func() {
		l.write("msg_1", text1("hello"))
		l.wantState("connecting learning")
	})
}

func TestABotURLThatMoved(t *testing.T) {
	l := goLive(t, emulator.Options{})
	l.connect("connecting learning")
	l.ws.MoveBot()
	if got := l.writes("msg_1", text1("hello")); got.Content != "hello" {
		t.Errorf("the message arrived as %+v", got)
	}
	l.ws.Put(emulator.Webhook{URL: "https://other.example/hook", Status: "verified"})
	l.ws.MoveBot()
	l.do(func() {
		if out := l.write("msg_2", text1("hello")); out.Failure == nil || out.Failure.Code != "disconnected" {
			t.Errorf("without our webhook a message came to %+v", out)
		}
		l.wantState("disconnected webhook_replaced")
	})
}

func TestHealth(t *testing.T) {
	l := goLive(t, emulator.Options{})
	check := func() *contract.CommandOutput {
		var out *contract.CommandOutput
		l.do(func() {
			out = l.run(contract.ExportCheckHealth, &contract.CheckHealthInput{Command: l.command(), Connection: l.connection()})
		})
		return out
	}
	if out := check(); out.Health == nil || out.Health.CredentialsValid {
		t.Errorf("before setup the health is %+v", out.Health)
	}
	l.connect("connecting learning")
	if out := check(); out.Health == nil || !out.Health.CredentialsValid || out.Health.CheckedAt.IsZero() {
		t.Errorf("the health is %+v", out)
	}
	l.ws.MoveBot()
	check()
	if l.writes("msg_1", text1("hello")); l.sent[len(l.sent)-1].URL != l.ws.BotURL() {
		t.Error("a check does not learn where the bot moved")
	}
	l.p.Script(emulator.Step{Type: emulator.OpGet, Status: 401}, emulator.Step{Type: emulator.OpGet, Status: 503})
	for _, want := range []contract.FailureClass{contract.FailureReauthorise, contract.FailureRetry} {
		if out := check(); out.Failure == nil || out.Failure.Class != want {
			t.Errorf("the check came to %+v, want %s", out, want)
		}
	}
	hook := l.ws.Webhook()
	l.ws.Put(emulator.Webhook{URL: hook.URL, Key: hook.Key, Status: "disabled"})
	check()
	l.do(func() { l.wantState("needs_action webhook_unverified") })
	l.connect("connecting learning")
	l.ws.Put(emulator.Webhook{})
	check()
	l.do(func() { l.wantState("disconnected webhook_replaced") })
}

func TestSecretsStayWithTheHost(t *testing.T) {
	l := goLive(t, emulator.Options{})
	l.connect("connecting learning")
	l.connect("connecting learning")
	for key, e := range l.kv {
		for name, value := range l.secrets {
			if strings.Contains(e.value, value) || strings.Contains(e.value, "s3cr3t-endpoint") {
				t.Errorf("%s holds the secret %s or the webhook's URL: %s", key, name, e.value)
			}
		}
	}
}
