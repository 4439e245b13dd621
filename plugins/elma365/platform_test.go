package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// live is a world whose platform is the emulator, over HTTPS.
type live struct {
	*world
	mu      sync.Mutex // held by whoever runs an invocation, but not during its calls
	p       *emulator.Platform
	c       *emulator.Channel
	client  *http.Client
	receive string
}

// goLive starts a platform and connects the connector to it.
func goLive(t *testing.T, opts emulator.Options, extra ...string) *live {
	t.Helper()
	p, err := emulator.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	l := &live{world: newWorld(t, append([]string{"company_url", p.URL()}, extra...)...), p: p}
	server := httptest.NewServer(l)
	l.receive, l.mediaBase = server.URL+"/in/1", server.URL+"/media/"
	l.answer = l.call
	l.client = emulate.Trusting(p.CAPEM(), "")
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
	if l.c, err = p.Connect(l.ctx(), emulator.Messenger{Webhook: l.receive, Code: token}); err != nil {
		t.Fatal(err)
	}
	l.world.events = nil
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
	body, _ := io.ReadAll(r.Body)
	l.mu.Lock()
	out := l.request(contract.Delivery{Method: r.Method, BodyBytes: int64(len(body))}, string(body))
	l.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(out.Response.Status))
	_, _ = w.Write([]byte(out.Response.Body))
}

// call is the host's egress.
func (l *live) call(r contract.HTTPRequest) (*contract.HTTPResult, error) {
	l.mu.Unlock()
	defer l.mu.Lock()
	body := strings.Replace(r.Body, "{{secret:outbound_token}}", token, 1)
	req, err := http.NewRequestWithContext(l.ctx(), r.Method, r.URL, strings.NewReader(body))
	if err != nil {
		return nil, &contract.HostError{Code: contract.HostInvalid, Certain: true}
	}
	for _, h := range r.Headers {
		req.Header.Set(h.Name, h.Value)
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, &contract.HostError{Code: contract.HostUnreachable}
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	return &contract.HTTPResult{Status: int64(resp.StatusCode), Body: string(answer)}, nil
}

// do runs f as the only invocation.
func (l *live) do(f func(w *world)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l.world)
}

// told waits for n webhooks of a type to have been answered, and compares the events.
func (l *live) told(kind string, n int, want ...string) {
	l.t.Helper()
	if _, err := l.p.WaitCount(l.ctx(), n, emulator.Of(emulator.ToMessenger, kind)); err != nil {
		l.t.Fatal(err)
	}
	l.do(func(w *world) { w.wantEvents(want...) })
}

func (l *live) posted(id string) int {
	m, _ := l.c.Message(id)
	return m.Posts
}

func TestAConversation(t *testing.T) {
	l := goLive(t, emulator.Options{AskNewUsers: true})
	noted := make(chan struct{})
	l.p.Script(emulator.Step{OutcomeHold: noted})
	l.do(func(w *world) {
		w.send(contract.SendMessageInput{Message: dana("msg_1",
			contract.Part{Kind: "text", Text: &contract.Text{Plain: "Where is my parcel?"}},
			contract.Part{Kind: "media", Media: &contract.Media{Handle: "med_1", Name: "label.jpg"}})})
	})
	close(noted)
	l.told("messageOutcome", 1, "message.status msg_1 delivered")
	m, err := l.c.WaitMessage(l.ctx(), func(m emulator.Message) bool { return m.ID == "msg_1" })
	if err != nil {
		t.Fatal(err)
	}
	if m.Text != "Where is my parcel?" || m.User != "tg-user-553201" || len(m.Files) != 1 || string(m.Files[0].Content) != "the bytes of med_1" {
		t.Errorf("the platform took %+v", m)
	}
	asked, err := l.p.Wait(l.ctx(), emulator.Of(emulator.ToMessenger, "userInfo"))
	if err != nil || !strings.Contains(string(asked.Response), `"fullName":"Dana Petrova"`) {
		t.Errorf("userInfo was answered %s, %v", asked.Response, err)
	}
	file := emulator.File{Name: "route.pdf", Content: []byte("a route"), ClaimedSize: 48211}
	if answer, err := l.c.Reply(l.ctx(), emulator.Reply{Chat: m.Chat, Text: "On the way.", Files: []emulator.File{file}}); err != nil || !answer.OK() {
		t.Errorf("the reply was answered %d, %v", answer.Status, err)
	}
	l.do(func(w *world) {
		media := w.events[0].Message.Parts[1].Media
		if !strings.HasPrefix(media.SourceURL, l.p.URL()) || media.SizeBytes != 48211 {
			t.Errorf("the reply's file is %+v", media)
		}
	})
	l.told("message", 1, "message.created")
	if _, err := l.c.MarkRead(l.ctx(), "msg_1"); err != nil {
		t.Fatal(err)
	}
	l.told("markAsRead", 1, "message.status msg_1 read")
	if _, err := l.c.Disconnect(l.ctx()); err != nil {
		t.Fatal(err)
	}
	l.told("disconnect", 1, "connection.state disconnected")
}

func TestTheConnectorSaysGoodbye(t *testing.T) {
	l := goLive(t, emulator.Options{})
	l.do(func(w *world) {
		w.run(contract.ExportTeardownConnection, &contract.TeardownConnectionInput{Command: w.command(), Connection: w.connection()})
	})
	if err := l.c.WaitState(l.ctx(), emulator.ChannelDisconnected); err != nil {
		t.Error(err)
	}
}

func TestAnAwkwardPlatform(t *testing.T) {
	const delivered, failed = "message.status msg_1 delivered", "message.status msg_1 failed"
	for _, tt := range []struct {
		name  string
		step  emulator.Step // for the first post
		rest  emulator.Step // for the others
		let   time.Duration
		posts int
		// outcomes is how many are reported of the first post, and of all.
		outcomes [2]int
		events   []string
	}{
		{"reports before it answers", emulator.Step{OutcomeFirst: true}, emulator.Step{}, time.Hour, 1, [2]int{1, 1}, nil},
		{"reports twice", emulator.Step{OutcomeRepeats: 1}, emulator.Step{}, time.Hour, 1, [2]int{2, 2}, []string{delivered}},
		{"reports a failure, then succeeds", emulator.Step{Outcome: emulator.OutcomeFailure}, emulator.Step{}, 31 * time.Second, 2, [2]int{1, 2}, []string{delivered}},
		{"reports nothing, then succeeds", emulator.Step{Outcome: emulator.OutcomeNone}, emulator.Step{}, 91 * time.Second, 2, [2]int{0, 1}, []string{delivered}},
		{"reports the repeat before it answers", emulator.Step{Outcome: emulator.OutcomeNone}, emulator.Step{OutcomeFirst: true}, time.Hour, 2, [2]int{0, 1}, []string{delivered}},
		{"never reports", emulator.Step{Outcome: emulator.OutcomeNone}, emulator.Step{Outcome: emulator.OutcomeNone}, defaultDelaysTotal, 6, [2]int{0, 0}, []string{failed}},
		{"takes a message and answers 500", emulator.Step{Status: 500, Process: true, Outcome: emulator.OutcomeNone}, emulator.Step{}, 0, 2, [2]int{1, 1}, []string{delivered}},
		{"takes a message and hangs up", emulator.Step{HangUp: true, Process: true, Outcome: emulator.OutcomeNone}, emulator.Step{}, 0, 2, [2]int{1, 1}, []string{delivered}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := goLive(t, emulator.Options{ChannelIDEverywhere: true}, "outcome_policy", "require")
			noted := make(chan struct{})
			for _, step := range []*emulator.Step{&tt.step, &tt.rest} {
				if !step.OutcomeFirst {
					step.OutcomeHold = noted
				}
			}
			l.p.Script(tt.step)
			l.p.Otherwise(tt.rest)
			l.do(sayUntilSent)
			close(noted)
			l.settle(tt.outcomes[0])
			l.do(func(w *world) { w.advance(tt.let) })
			l.settle(tt.outcomes[1])
			if got := l.posted("msg_1"); got != tt.posts {
				t.Errorf("the platform was posted %d times, want %d", got, tt.posts)
			}
			l.do(func(w *world) { w.wantEvents(tt.events...) })
		})
	}
}

// sayUntilSent repeats a send as the host would.
func sayUntilSent(w *world) {
	w.t.Helper()
	for {
		out := w.say("msg_1", "hello")
		if out.Failure == nil {
			return
		}
		if out.Failure.Class != contract.FailureRetry {
			w.t.Fatalf("the send came to %+v", out.Failure)
		}
	}
}

// settle waits until n outcomes have been reported and answered.
func (l *live) settle(n int) {
	l.t.Helper()
	if _, err := l.p.WaitCount(l.ctx(), n, emulator.Of(emulator.ToMessenger, "messageOutcome")); err != nil {
		l.t.Fatal(err)
	}
}

func TestForgedDeliveriesOverTheWire(t *testing.T) {
	l := goLive(t, emulator.Options{})
	for _, tt := range []struct {
		name     string
		envelope emulator.Envelope
		want     int
	}{
		{"another token", emulator.Envelope{Type: "message", Token: "forged", Data: map[string]any{"targetChatId": "x"}}, 401},
		{"another channel", emulator.Envelope{Type: "disconnect", Token: token, ChannelID: "other"}, 404},
		{"a callback elsewhere", emulator.Envelope{Type: "connect", Token: token, Data: map[string]any{"webhook": "https://evil.example/x"}}, 404},
		{"an unknown chat", emulator.Envelope{Type: "message", Token: token, Data: map[string]any{"targetChatId": "x", "text": "y"}}, 404},
		{"an unknown type", emulator.Envelope{Type: "novelty", Token: token}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer, err := l.c.Send(l.ctx(), tt.envelope)
			if err != nil || answer.Status != tt.want || !json.Valid(answer.Body) {
				t.Errorf("answered %d %s, %v; want %d", answer.Status, answer.Body, err, tt.want)
			}
		})
	}
	l.do(func(w *world) { w.wantEvents() })
}
