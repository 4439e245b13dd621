package emulator

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestConnectTellsTheCallbackURL(t *testing.T) {
	p, m, c := play(t, Options{Prefix: "/portal"})
	var got struct {
		Token, ChannelID string
		Data             struct{ Webhook string }
	}
	if err := json.Unmarshal(m.got("connect")[0], &got); err != nil {
		t.Fatal(err)
	}
	want := p.URL() + "/portal/api/messengers/external/other/webhook/" + c.ID()
	if got.Token != code || got.ChannelID != c.ID() || got.Data.Webhook != want {
		t.Errorf("connect said %+v, want token %q, channel %q, webhook %q", got, code, c.ID(), want)
	}
	if c.State() != ChannelActive {
		t.Errorf("the channel is %s after a connect answered 200", c.State())
	}
}

func TestConnectRefused(t *testing.T) {
	p, m, _ := play(t, Options{})
	m.answer("connect", http.StatusUnauthorized)
	if c, err := p.Connect(ctxOf(t), Messenger{Webhook: m.server.URL, Code: code}); err == nil {
		t.Errorf("Connect made the channel %s although the messenger answered 401", c.ID())
	}
}

func TestCallbackStatuses(t *testing.T) {
	p, m, c := play(t, Options{Users: map[string]User{"u-1": {FullName: "Oleg Operator"}}})
	for _, tt := range []struct {
		name, url, body string
		want            int
	}{
		{"a genuine message", c.CallbackURL(), message("m-1", "hello", ""), 200},
		{"another token", c.CallbackURL(), strings.Replace(message("m-2", "x", ""), code, "forged", 1), 401},
		{"an unknown channel", strings.Replace(c.CallbackURL(), c.ID(), "nobody", 1), message("m-3", "x", ""), 404},
		{"an unknown messenger code", strings.Replace(c.CallbackURL(), "/other/", "/test/", 1), message("m-4", "x", ""), 404},
		{"an unknown type", c.CallbackURL(), `{"type":"typing","token":"` + code + `"}`, 500},
		{"no JSON", c.CallbackURL(), `hello`, 500},
		{"an empty message id", c.CallbackURL(), message("", "x", ""), 500},
		{"userInfo of a known user", c.CallbackURL(), `{"type":"userInfo","token":"` + code + `","data":{"userId":"u-1"}}`, 200},
		{"userInfo of an unknown user", c.CallbackURL(), `{"type":"userInfo","token":"` + code + `","data":{"userId":"u-2"}}`, 500},
		{"disconnect", c.CallbackURL(), `{"type":"disconnect","token":"` + code + `"}`, 200},
		{"a message after disconnect", c.CallbackURL(), message("m-5", "x", ""), 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := m.post(tt.url, tt.body); got != tt.want {
				t.Errorf("%s was answered %d, want %d", tt.body, got, tt.want)
			}
		})
	}
	if c.State() != ChannelDisconnected {
		t.Errorf("the channel is %s after disconnect", c.State())
	}
	if n := len(p.Exchanges()); n < 11 {
		t.Errorf("%d exchanges were recorded, want at least 11", n)
	}
}

func TestMessageIsFiledDownloadedAndReported(t *testing.T) {
	p, m, c := play(t, Options{})
	file := `{"name":"label.jpg","URL":"` + m.server.URL + `/f/label.jpg"}`
	m.post(c.CallbackURL(), message("m-1", "Where is my parcel?", file))
	ctx := ctxOf(t)
	got, err := c.WaitMessage(ctx, func(m Message) bool { return m.ID == "m-1" })
	if err != nil {
		t.Fatal(err)
	}
	if got.Text != "Where is my parcel?" || len(got.Files) != 1 || string(got.Files[0].Content) != "a label" {
		t.Errorf("the platform took %+v", got)
	}
	if _, err := p.Wait(ctx, Of(ToMessenger, "messageOutcome")); err != nil {
		t.Fatal(err)
	}
	if got := string(m.got("messageOutcome")[0]); !strings.Contains(got, `"success":true`) || strings.Contains(got, "channelId") {
		t.Errorf("the outcome was %s, want success and no channelId, as in the sample", got)
	}
	if s, _ := c.Session("tg-1"); s.Name != "Dana Petrova" || s.State != SessionWaiting {
		t.Errorf("the session is %+v", s)
	}
	if v := p.Violations(); len(v) != 0 {
		t.Errorf("violations: %q", v)
	}
}

func TestFailedDownloadIsReported(t *testing.T) {
	p, m, c := play(t, Options{})
	m.post(c.CallbackURL(), message("m-1", "", `{"name":"gone.jpg","URL":"`+m.server.URL+`/f/gone.jpg"}`))
	if _, err := p.Wait(ctxOf(t), Of(ToMessenger, "messageOutcome")); err != nil {
		t.Fatal(err)
	}
	if got := string(m.got("messageOutcome")[0]); !strings.Contains(got, `"success":false`) {
		t.Errorf("the outcome was %s although the file answered 404", got)
	}
}

func TestRepeatsAreCountedOnce(t *testing.T) {
	p, m, c := play(t, Options{})
	m.post(c.CallbackURL(), message("m-1", "hello", ""))
	m.post(c.CallbackURL(), message("m-1", "hello", ""))
	got, ok := c.Message("m-1")
	if !ok || got.Posts != 2 {
		t.Errorf("the message was posted %d times, want 2", got.Posts)
	}
	if s := c.Sessions(); len(s) != 1 || len(s[0].Messages) != 1 {
		t.Errorf("a repeat made %+v, want one message in one session", s)
	}
	m.post(c.CallbackURL(), message("m-1", "something else", ""))
	if v := p.Violations(); len(v) != 1 {
		t.Errorf("violations %q, want the repeat with another text", v)
	}
}

func TestClosedSessionIsReopenedByANewMessage(t *testing.T) {
	_, m, c := play(t, Options{})
	m.post(c.CallbackURL(), message("m-1", "hello", ""))
	c.CloseSession("tg-1")
	m.post(c.CallbackURL(), message("m-2", "again", ""))
	s := c.Sessions()
	if len(s) != 2 || s[0].State != SessionClosed || s[1].State != SessionWaiting {
		t.Errorf("sessions %+v, want a closed and a waiting one", s)
	}
}

func TestScriptedAnswers(t *testing.T) {
	p, m, c := play(t, Options{})
	p.Script(
		Step{Type: "message", Times: 2, Status: 503, Header: http.Header{"Retry-After": {"7"}}, Body: "busy"},
		Step{Type: "message", HangUp: true},
	)
	var got []int
	for range 4 {
		got = append(got, m.post(c.CallbackURL(), message("m-1", "hello", "")))
	}
	if want := []int{503, 503, 0, 200}; !slices.Equal(got, want) {
		t.Errorf("answers %v, want %v", got, want)
	}
	if filed, _ := c.Message("m-1"); filed.Posts != 1 {
		t.Errorf("the message was taken %d times; only the last answer was 200", filed.Posts)
	}
	if p.Unplayed() != 0 {
		t.Errorf("%d steps are left", p.Unplayed())
	}
}

func TestOutcomeBeforeTheAnswer(t *testing.T) {
	p, m, c := play(t, Options{})
	p.Script(Step{OutcomeFirst: true, Outcome: OutcomeFailure, OutcomeRepeats: 1})
	m.post(c.CallbackURL(), message("m-1", "hello", ""))
	var order []string
	for _, e := range p.Exchanges() {
		order = append(order, e.Type)
	}
	if want := []string{"connect", "messageOutcome", "messageOutcome", "message"}; !slices.Equal(order, want) {
		t.Errorf("exchanges ended in the order %v, want %v", order, want)
	}
}

func TestHeldAnswerAndOutcome(t *testing.T) {
	p, m, c := play(t, Options{})
	answer, outcome := make(chan struct{}), make(chan struct{})
	p.Script(Step{Hold: answer, OutcomeHold: outcome})
	done := make(chan int)
	go func() { done <- m.post(c.CallbackURL(), message("m-1", "hello", "")) }()
	ctx := ctxOf(t)
	if _, err := c.WaitMessage(ctx, func(Message) bool { return true }); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-done:
		t.Fatalf("answered %d although held back", got)
	default:
	}
	close(answer)
	if got := <-done; got != 200 {
		t.Errorf("answered %d, want 200", got)
	}
	if n := len(m.got("messageOutcome")); n != 0 {
		t.Errorf("%d outcomes were reported although held back", n)
	}
	close(outcome)
	if _, err := p.Wait(ctx, Of(ToMessenger, "messageOutcome")); err != nil {
		t.Error(err)
	}
}

func TestOperatorsFileIsServed(t *testing.T) {
	p, m, c := play(t, Options{FileKey: "url"})
	file := File{Name: "route.pdf", Content: []byte("a route"), ClaimedSize: 9000, Uses: 1}
	answer, err := c.Reply(ctxOf(t), Reply{Chat: "tg-1", Text: "On the way.", Files: []File{file}})
	if err != nil || !answer.OK() {
		t.Fatalf("Reply: %v, %d", err, answer.Status)
	}
	var got struct {
		ChannelID string
		Data      struct {
			Files []struct {
				Name string
				Size int
				URL  string `json:"url"`
			}
		}
	}
	if err := json.Unmarshal(m.got("message")[0], &got); err != nil {
		t.Fatal(err)
	}
	if got.ChannelID != c.ID() || len(got.Data.Files) != 1 || got.Data.Files[0].Size != 9000 {
		t.Fatalf("the message was %s", m.got("message")[0])
	}
	for _, want := range []struct {
		status int
		body   string
	}{{200, "a route"}, {410, ""}} {
		resp, err := m.client.Get(got.Data.Files[0].URL)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want.status || string(body) != want.body {
			t.Errorf("the link answered %d %q, want %d %q", resp.StatusCode, body, want.status, want.body)
		}
	}
	if resp, err := m.client.Get(p.URL() + "/files/none?sig=none"); err != nil || resp.StatusCode != 404 {
		t.Errorf("an unknown link answered %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
}

func TestNewUserIsAskedBeforeTheAnswer(t *testing.T) {
	p, m, c := play(t, Options{AskNewUsers: true})
	m.post(c.CallbackURL(), message("m-1", "hello", ""))
	m.post(c.CallbackURL(), message("m-2", "hello", ""))
	if n := len(m.got("userInfo")); n != 1 {
		t.Errorf("userInfo was asked %d times, want once", n)
	}
	ex := p.Exchanges()
	if ex[1].Type != "userInfo" || string(ex[1].Response) != `{"answer":"userInfo"}` {
		t.Errorf("the second exchange was %+v, want userInfo with its answer", ex[1])
	}
}

func TestViolations(t *testing.T) {
	p, m, c := play(t, Options{})
	m.post(c.CallbackURL(), `{"type":"message","token":"`+code+`","data":{"externalMessageId":"1",
		"externalChatId":"2","externalUserId":"3","text":"","files":[{"name":"","url":"","size":1}],"more":1}}`)
	got := strings.Join(p.Violations(), "\n")
	for _, want := range []string{"lacks externalChatName", "unknown key more", "without a name", "without a URL", "3 keys"} {
		if !strings.Contains(got, want) {
			t.Errorf("violations %q do not say %q", got, want)
		}
	}
}

func TestForgedWebhookIsSentAsItIs(t *testing.T) {
	_, m, c := play(t, Options{ChannelIDEverywhere: true})
	if _, err := c.Outcome(ctxOf(t), "m-1", true); err != nil {
		t.Fatal(err)
	}
	if got := m.got("messageOutcome")[0]; !bytes.Contains(got, []byte(c.ID())) {
		t.Errorf("the outcome %s lacks channelId", got)
	}
	_, err := c.Send(ctxOf(t), Envelope{Type: "message", Token: "forged", Extra: map[string]any{"data": 7}})
	if got := m.got("message")[0]; err != nil || string(got) != `{"data":7,"token":"forged","type":"message"}` {
		t.Errorf("sent %s, %v", got, err)
	}
}

func TestClosedPlatformCallsNobody(t *testing.T) {
	p, _, c := play(t, Options{})
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.MarkRead(ctxOf(t), "m-1"); err == nil {
		t.Error("a closed platform sent a webhook")
	}
}

func TestCloseEndsWhatIsHeldBack(t *testing.T) {
	p, m, c := play(t, Options{})
	p.Script(Step{Hold: make(chan struct{}), OutcomeHold: make(chan struct{})})
	done := make(chan int)
	go func() { done <- m.post(c.CallbackURL(), message("m-1", "hello", "")) }()
	if _, err := c.WaitMessage(ctxOf(t), func(Message) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got != 0 {
		t.Errorf("a callback that was held back was answered %d", got)
	}
}
