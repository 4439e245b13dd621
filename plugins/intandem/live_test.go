package main

import (
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/intandem/emulator"
)

func TestAConversation(t *testing.T) {
	l := goLive(t, emulator.Options{})
	ch := l.connect()
	out := l.say("msg_1", "Can I move it to Friday?")
	if out.Sent == nil || out.Sent.PlatformID != "msg_1" {
		t.Fatalf("the send came to %+v", out.Failure)
	}
	l.pass(4 * time.Second) // the status may come before the message is noted
	l.do(func(w *world) { w.wantEvents("message.status msg_1 delivered") })
	m, _ := ch.Message("msg_1")
	data, _ := m.ContactData.(map[string]any)
	if m.Text != "Can I move it to Friday?" || m.External != "tg-553201" || m.Direction != "client_to_business" || data["phone"] != "+37060012345" {
		t.Errorf("the platform took %+v", m)
	}
	clients := l.b.Clients()
	if len(clients) != 1 || clients[0].FirstName != "Dana Petrova" || clients[0].Status != "lead" || clients[0].ID != m.Contact {
		t.Errorf("the clients are %+v", clients)
	}
	uid, answer, err := ch.Say(l.ctx(), emulator.Say{External: "tg-553201", Text: "<div><strong>Hello</strong> Dana &amp; co,<br>10:30 is fine.</div>"})
	if err != nil || !answer.OK() {
		t.Fatalf("the reply was answered %d, %v", answer.Status, err)
	}
	l.do(func(w *world) {
		got := w.events[0].Message
		if got.Parts[0].Text.Plain != "Hello Dana & co,\n10:30 is fine." || got.Author.Role != contract.RoleAgent || got.PlatformID != contract.PlatformMessageID(uid) {
			t.Errorf("the reply became %+v", got)
		}
		w.wantEvents("message.created")
	})
	l.receipt(uid, contract.MessageDelivered)
	if m, _ := ch.Message(uid); m.Status != "received" {
		t.Errorf("the platform was told %q of its message", m.Status)
	}
	for _, on := range []bool{true, false} {
		if answer, err := ch.Session("tg-553201").Type(l.ctx(), on); err != nil || !answer.OK() {
			t.Errorf("typing was answered %d, %v", answer.Status, err)
		}
	}
	if answer, err := ch.Report(l.ctx(), "msg_1", "read"); err != nil || !answer.OK() {
		t.Errorf("a status was answered %d, %v", answer.Status, err)
	}
	l.do(func(w *world) { w.wantEvents("typing true", "typing false", "message.status msg_1 read") })
	if again := l.say("msg_2", "Thanks!"); again.Sent == nil || len(l.p.Of(emulator.OpCreateSession)) != 1 {
		t.Errorf("the second message came to %+v with %d sessions", again.Failure, len(l.p.Of(emulator.OpCreateSession)))
	}
}

func TestASessionChangesWhileItIsLookedFor(t *testing.T) {
	l := goLive(t, emulator.Options{})
	ch := l.connect()
	l.p.Script(emulator.Step{Op: emulator.OpCreateSession, NoCallback: true})
	var in contract.SendMessageInput
	l.do(func(w *world) {
		in = contract.SendMessageInput{Message: dana("msg_1", text("one")), Command: w.command()}
		w.attempt(in)
	})
	l.pass(11 * time.Minute) // nothing was heard; the next message has the session looked for
	hold := make(chan struct{})
	l.p.Script(emulator.Step{Op: emulator.OpListSessions, Hold: hold})
	answered := make(chan *contract.CommandOutput)
	go func() {
		var out *contract.CommandOutput
		l.do(func(w *world) {
			out = w.attempt(contract.SendMessageInput{Message: dana("msg_2", text("two")), Command: w.command()})
		})
		answered <- out
	}()
	if err := l.p.WaitUntil(l.ctx(), "the list was asked for", func() bool { return l.p.Unplayed() == 0 }); err != nil {
		t.Fatal(err)
	}
	if answer, err := ch.Session("tg-553201").SetState(l.ctx(), "active"); err != nil || !answer.OK() {
		t.Errorf("the callback was answered %d, %v", answer.Status, err)
	}
	close(hold)
	if out := <-answered; out.Failure == nil || out.Failure.Code != "changed_meanwhile" {
		t.Errorf("the attempt came to %+v", out)
	}
	if out := l.say("msg_2", "two"); out.Sent == nil {
		t.Errorf("the next attempt came to %+v", out.Failure)
	}
}

// receipt reports how far a business's message got.
func (l *live) receipt(uid string, status contract.MessageStatus) *contract.CommandOutput {
	l.t.Helper()
	var out *contract.CommandOutput
	l.do(func(w *world) {
		out = w.run(contract.ExportSendReceipt, &contract.SendReceiptInput{
			Command: w.command(), Connection: w.connection(), Conversation: contract.Conversation{ID: "tg-553201"},
			Status: contract.StatusReport{PlatformID: contract.PlatformMessageID(uid), Status: status},
		})
	})
	return out
}

func TestAnAwkwardSession(t *testing.T) {
	refused := emulator.Step{Op: emulator.OpUpdateSession, Outcome: "inactive"}
	for _, tt := range []struct {
		name  string
		steps []emulator.Step
		opts  emulator.Options
		prior string        // the state of a session that is there already
		code  string        // why the message fails; empty if it is sent
		took  time.Duration // at least, before it is
		puts  int           // how often the session is asked to be active
	}{
		{name: "plays by the rules", puts: 1},
		{name: "calls back before the session is answered", steps: []emulator.Step{{Op: emulator.OpCreateSession, CallbackFirst: true}}, puts: 1},
		{name: "confirms before it answers", steps: []emulator.Step{{Op: emulator.OpUpdateSession, CallbackFirst: true}}, puts: 1},
		{name: "confirms twice", steps: []emulator.Step{{Op: emulator.OpUpdateSession, Repeats: 1}}, puts: 1},
		{name: "refuses once", steps: []emulator.Step{refused}, took: 5 * time.Second, puts: 2},
		{name: "refuses before it answers", steps: []emulator.Step{{Op: emulator.OpUpdateSession, Outcome: "inactive", CallbackFirst: true}}, took: 5 * time.Second, puts: 2},
		{name: "refuses three times", steps: []emulator.Step{refused, refused, refused}, took: 155 * time.Second, puts: 4},
		{name: "refuses for good", steps: []emulator.Step{refused, refused, refused, refused}, took: 155 * time.Second, puts: 4, code: "session_refused"},
		{name: "forgets to confirm", steps: []emulator.Step{{Op: emulator.OpUpdateSession, NoCallback: true}}, took: time.Minute, puts: 2},
		{name: "never validates", steps: []emulator.Step{{Op: emulator.OpCreateSession, NoCallback: true}}, took: 10 * time.Minute, code: "session_timeout"},
		{name: "cannot establish it", steps: []emulator.Step{{Op: emulator.OpCreateSession, Outcome: "failed"}}, code: "session_failed"},
		{name: "makes it and hangs up", steps: []emulator.Step{{Op: emulator.OpCreateSession, HangUp: true, Process: true}}, puts: 1},
		{name: "has one that is over", prior: "inactive", puts: 1},
		{name: "has one that is active", prior: "active", puts: 0},
		{name: "has one, and takes plain filters only", prior: "inactive", opts: emulator.Options{PlainFilters: true}, puts: 1},
		{name: "answers 500 to the activation", steps: []emulator.Step{{Op: emulator.OpUpdateSession, Status: 500}}, puts: 2},
		{name: "answers 422 to the activation", steps: []emulator.Step{{Op: emulator.OpUpdateSession, Status: 422}}, took: 5 * time.Second, puts: 2},
		{name: "validates twice", steps: []emulator.Step{{Op: emulator.OpCreateSession, Repeats: 1}}, puts: 1},
		{name: "allows three calls a second", opts: emulator.Options{RequestsPerSecond: 3}, puts: 1},
		{name: "answers 500 to the message, having taken it", steps: []emulator.Step{{Op: emulator.OpCreateMessage, Status: 500, Process: true}}, puts: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := goLive(t, tt.opts)
			ch := l.connect()
			if tt.prior != "" {
				l.do(func(w *world) { w.put(prefixPerson+"tg-553201", `{"client":"cl1"}`) })
				l.b.AddClient(emulator.Client{ID: "cl1"})
				ch.AddSession("cl1", "tg-553201", tt.prior)
			}
			l.p.Script(tt.steps...)
			began := l.now()
			out := l.say("msg_1", "hello")
			switch {
			case tt.code == "" && out.Sent == nil:
				t.Errorf("the message came to %+v", out.Failure)
			case tt.code != "" && (out.Failure == nil || out.Failure.Code != tt.code || out.Failure.Class != contract.FailurePermanent):
				t.Errorf("the message came to %+v, want %s", out, tt.code)
			}
			if took := l.now().Sub(began); took < tt.took || took > tt.took+30*time.Second {
				t.Errorf("it took %v, want about %v", took, tt.took)
			}
			if got := len(l.p.Of(emulator.OpUpdateSession)); got != tt.puts {
				t.Errorf("the session was asked to be active %d times, want %d", got, tt.puts)
			}
			if n := len(ch.Messages(nil)); n > 1 || tt.code == "" && n != 1 {
				t.Errorf("the platform has %d messages", n)
			}
		})
	}
}

func TestAFailedSessionIsTriedAgainForTheNextMessage(t *testing.T) {
	l := goLive(t, emulator.Options{})
	ch := l.connect()
	for range 4 {
		l.p.Script(emulator.Step{Op: emulator.OpUpdateSession, Outcome: "inactive"})
	}
	if out := l.say("msg_1", "one"); out.Failure == nil || out.Failure.Code != "session_refused" {
		t.Fatalf("the first message came to %+v", out)
	}
	if out := l.say("msg_2", "two"); out.Sent == nil {
		t.Errorf("the second message came to %+v", out.Failure)
	}
	if n := len(l.p.Of(emulator.OpCreateSession)); n != 1 {
		t.Errorf("%d sessions were made, want the old one to be used again", n)
	}
	if _, ok := ch.Message("msg_1"); ok {
		t.Error("the failed message arrived")
	}
}

func TestASessionThatEndedIsUsedAgain(t *testing.T) {
	for _, state := range []string{"inactive", "deleted"} {
		t.Run(state, func(t *testing.T) {
			l := goLive(t, emulator.Options{})
			ch := l.connect()
			l.say("msg_1", "one")
			if answer, err := ch.Session("tg-553201").SetState(l.ctx(), state); err != nil || !answer.OK() {
				t.Fatalf("the end was answered %d, %v", answer.Status, err)
			}
			if out := l.say("msg_2", "two"); out.Sent == nil {
				t.Errorf("the second message came to %+v", out.Failure)
			}
			want := map[string]int{"inactive": 1, "deleted": 2}[state]
			if n := len(l.p.Of(emulator.OpCreateSession)); n != want {
				t.Errorf("%d sessions were made, want %d", n, want)
			}
		})
	}
}

func TestConsentIsOfTheBusiness(t *testing.T) {
	l := goLive(t, emulator.Options{})
	other := l.p.AddBusiness("somebodyelse0001")
	other.SignIn()
	out := l.exchange(l.consent())
	if out.Failure == nil || out.Failure.Code != "business_mismatch" || len(l.tokens) != 0 {
		t.Errorf("another business's code came to %+v with tokens %v", out.Failure, l.tokens)
	}
	if _, n := l.a.Tokens(); n != 0 {
		t.Errorf("%d tokens of the other business are left", n)
	}
	l.do(func(w *world) {
		if out := w.attempt(contract.SendMessageInput{Message: dana("msg_1", text("x"))}); out.Failure == nil || out.Failure.Code != "consent_missing" {
			t.Errorf("a message without consent came to %+v", out)
		}
		if got := w.deliver("GET", "/?business_uid="+business, ""); got.Status != 200 || len(w.routes) != 0 {
			t.Errorf("the landing page of a business that proved nothing was answered %+v, parked %v", got, w.parked)
		}
	})
}

func TestACodeIsGoodOnceAndForHalfAMinute(t *testing.T) {
	l := goLive(t, emulator.Options{})
	l.serviceToken()
	late := l.consent()
	l.pass(31 * time.Second)
	if out := l.exchange(late); out.Failure == nil || out.Failure.Class != contract.FailureReauthorise {
		t.Errorf("a late code came to %+v", out)
	}
	code := l.consent()
	if out := l.exchange(code); out.Failure != nil {
		t.Fatalf("a code came to %+v", out.Failure)
	}
	if out := l.exchange(code); out.Failure == nil || out.Failure.Code != "code_refused" {
		t.Errorf("a used code came to %+v", out)
	}
	l.settle()
	l.do(func(w *world) {
		if got := w.deliver("GET", "/?brand_host=app.vcita.com&business_uid="+business, ""); got.Status != 303 {
			t.Errorf("the landing page of a proven business was answered %+v", got)
		}
	})
}

func TestAnAwkwardChannel(t *testing.T) {
	for _, tt := range []struct {
		name   string
		steps  []emulator.Step
		let    time.Duration
		events []string // after connecting
		state  string
	}{
		{"calls back before it answers", []emulator.Step{{Op: emulator.OpCreateChannel, CallbackFirst: true}}, 0, []string{"connected channel_active"}, "active"},
		{"is in error, then forced", []emulator.Step{{Op: emulator.OpCreateChannel, Outcome: "error"}}, 31 * time.Second, []string{"connected channel_active"}, "active"},
		{"says nothing, then forced", []emulator.Step{{Op: emulator.OpCreateChannel, NoCallback: true}}, 31 * time.Second, []string{"connected channel_active"}, "active"},
		{"stays in error", []emulator.Step{{Op: emulator.OpCreateChannel, Outcome: "error"}, {Op: emulator.OpUpdateChannel, Outcome: "error", Times: 9}}, time.Hour, []string{"needs_action channel_stuck"}, "error"},
		{"is blocked", []emulator.Step{{Op: emulator.OpCreateChannel, Outcome: "blocked"}}, 0, []string{"needs_action channel_blocked"}, "blocked"},
		{"is refused for now", []emulator.Step{{Op: emulator.OpCreateChannel, Status: 429}}, time.Minute, []string{"connected channel_active"}, "active"},
		{"is refused", []emulator.Step{{Op: emulator.OpCreateChannel, Status: 422}}, time.Minute, nil, ""},
		{"may have been made", []emulator.Step{{Op: emulator.OpCreateChannel, HangUp: true}}, time.Hour, []string{"needs_action channel_unclear"}, channelUnclear},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := goLive(t, emulator.Options{})
			l.serviceToken()
			l.p.Script(tt.steps...)
			l.exchange(l.consent())
			l.pass(tt.let)
			l.do(func(w *world) {
				want := []string{"connection.state connecting channel_pending"}
				for _, e := range tt.events {
					want = append(want, "connection.state "+e)
				}
				if tt.name == "stays in error" { // told again at each report
					w.events = w.events[:min(len(w.events), 2)]
				}
				w.wantEvents(want...)
				if got := w.channel(); got.state != tt.state {
					t.Errorf("the channel is %+v, want %q", got, tt.state)
				}
			})
		})
	}
}

func TestAnOperatorAssignsTheChannelThatNobodyAnsweredFor(t *testing.T) {
	l := goLive(t, emulator.Options{})
	l.serviceToken()
	l.p.Script(emulator.Step{Op: emulator.OpCreateChannel, HangUp: true, Process: true})
	l.exchange(l.consent())
	l.settle()
	if n := len(l.p.Of(emulator.OpCreateChannel)); n != 1 {
		t.Fatalf("%d channels were made", n)
	}
	l.do(func(w *world) {
		if len(w.parked) != 1 || !strings.HasPrefix(w.parked[0].key, routeChannel) {
			t.Fatalf("parked are %v", w.parked)
		}
		p := w.parked[0]
		w.routes[p.key] = true // the operator's doing
		w.receive(p.delivery, p.body, &contract.Routed{Key: p.key, Parked: true})
		if got := w.channel(); got.state != channelActive || routeChannel+got.uid != p.key {
			t.Errorf("the channel is %+v", got)
		}
	})
	if out := l.say("msg_1", "hello"); out.Sent == nil {
		t.Errorf("a message came to %+v", out.Failure)
	}
}

func TestAnOpenChannelNeedsNoSession(t *testing.T) {
	l := goLive(t, emulator.Options{}, "open_channel", "true")
	ch := l.connect()
	if out := l.say("msg_1", "hello"); out.Sent == nil || len(l.p.Of(emulator.OpCreateSession)) != 0 {
		t.Errorf("the message came to %+v", out.Failure)
	}
	if m, _ := ch.Message("msg_1"); m.Contact == "" {
		t.Errorf("the message names no contact: %+v", m)
	}
	if puts := l.p.Of(emulator.OpUpdateChannel); len(puts) != 1 || !strings.Contains(string(puts[0].Body), `"open_channel":true`) {
		t.Errorf("the channel was told %+v", puts)
	}
}

func TestTypingFindsItsPathAndKeepsItsPace(t *testing.T) {
	l := goLive(t, emulator.Options{TypingV1: true})
	l.connect()
	l.say("msg_1", "hello")
	typing := func(on bool) {
		l.do(func(w *world) {
			w.run(contract.ExportSendTyping, &contract.SendTypingInput{
				Command: w.command(), Connection: w.connection(), Conversation: contract.Conversation{ID: "tg-553201"},
				Typing: contract.Typing{On: on, Author: contract.Author{Role: contract.RoleCustomer}},
			})
		})
	}
	typing(true)
	typing(true)
	typing(false)
	if n := len(l.p.Of(emulator.OpTyping)); n != 1 {
		t.Errorf("%d signals went out within 3 s, want 1", n)
	}
	l.pass(4 * time.Second)
	got := l.p.Of(emulator.OpTyping)
	if len(got) != 2 || !strings.Contains(string(got[1].Body), `"typing":false`) {
		t.Errorf("the end of typing was told as %+v", got)
	}
	unknown := 0
	for _, e := range l.p.Exchanges() {
		if strings.HasSuffix(e.URL, "/sessions/typing") && e.Status == 404 {
			unknown++
		}
	}
	if unknown != 1 {
		t.Errorf("the path without v1 was tried %d times, want once", unknown)
	}
}

func TestAMoveEndsTheConnection(t *testing.T) {
	l := goLive(t, emulator.Options{})
	ch := l.connect()
	l.p.AddApp(emulator.AppOptions{CodeName: "another"})
	l.do(func(w *world) {
		w.settings["move_to_app"] = "another"
		w.run(contract.ExportSetupConnection, &contract.SetupConnectionInput{Command: w.command(), Connection: w.connection()})
	})
	l.settle()
	l.do(func(w *world) {
		w.wantEvents("connection.state disconnected channel_moved")
		if w.routes[routeChannel+ch.UID] || w.channel().state != channelMoved {
			t.Errorf("the channel is still ours: %+v", w.channel())
		}
	})
}

func TestTeardownDeletesAndRevokes(t *testing.T) {
	l := goLive(t, emulator.Options{})
	ch := l.connect()
	l.say("msg_1", "hello")
	l.do(func(w *world) {
		w.events = nil
		w.run(contract.ExportTeardownConnection, &contract.TeardownConnectionInput{Command: w.command(), Connection: w.connection()})
		w.wantEvents("connection.state disconnected torn_down")
	})
	if _, n := l.a.Tokens(); ch.State() != "deleted" || n != 0 || len(l.p.Of(emulator.OpDeleteSession)) != 1 {
		t.Errorf("the channel is %s, %d tokens are left, %d sessions were deleted", ch.State(), n, len(l.p.Of(emulator.OpDeleteSession)))
	}
}

func TestHealthAsksThePlatform(t *testing.T) {
	l := goLive(t, emulator.Options{})
	l.connect()
	check := func() (out *contract.CommandOutput) {
		l.do(func(w *world) {
			out = w.run(contract.ExportCheckHealth, &contract.CheckHealthInput{Command: w.command(), Connection: w.connection()})
		})
		return out
	}
	if out := check(); out.Health == nil || !out.Health.CredentialsValid || len(out.Capabilities) == 0 {
		t.Errorf("a good connection's health is %+v", out)
	}
	l.a.ExpireTokens()
	if out := check(); out.Failure == nil || out.Failure.Class != contract.FailureReauthorise || out.Failure.Code != "token_refused" {
		t.Errorf("the health of one with dead tokens is %+v", out)
	}
}

func TestTokensAreRenewed(t *testing.T) {
	l := goLive(t, emulator.Options{RefreshTokens: true})
	l.connect()
	refresh := func() (out *contract.CommandOutput) {
		l.do(func(w *world) {
			out = w.run(contract.ExportRefreshCredentials, &contract.RefreshCredentialsInput{
				Command: w.command(), Connection: w.connection(), Reason: contract.RefreshDue,
			})
		})
		return out
	}
	before := l.tokens[contract.CredentialAccessToken]
	if out := refresh(); out.Failure != nil || l.tokens[contract.CredentialAccessToken] == before {
		t.Errorf("a refresh came to %+v", out.Failure)
	}
	l.p.Script(emulator.Step{Op: emulator.OpToken, HangUp: true, Process: true})
	if out := refresh(); out.Failure == nil || out.Failure.Class != contract.FailureUncertain {
		t.Errorf("a refresh without answer came to %+v", out.Failure)
	}
	if out := refresh(); out.Failure == nil || out.Failure.Class != contract.FailureReauthorise {
		t.Errorf("a refresh token that is used up came to %+v", out.Failure)
	}
	l.p.Script(emulator.Step{Op: emulator.OpServiceToken, Status: 503})
	if out := l.serviceToken(); out.Failure == nil || out.Failure.Class != contract.FailureRetry {
		t.Errorf("an outage came to %+v", out.Failure)
	}
	l.app["client_id"] = "another"
	if out := l.serviceToken(); out.Failure == nil || out.Failure.Code != "client_refused" {
		t.Errorf("another client came to %+v", out.Failure)
	}
}

func TestAHiccupOfTheTokensRepeatsNothing(t *testing.T) {
	l := goLive(t, emulator.Options{})
	ch := l.connect()
	l.p.Script(emulator.Step{Op: emulator.OpCreateMessage}, emulator.Step{
		Op: emulator.OpCreateMessage, Status: 401, Body: `{"message":"401 Unauthorized","status":"Failure"}`,
	})
	in := contract.SendMessageInput{Message: dana("msg_1", text(strings.Repeat("word ", 900)))}
	out := l.send(in)
	if out.Failure == nil || out.Failure.Code != "token_refused" {
		t.Fatalf("a 401 came to %+v", out)
	}
	l.a.ExpireTokens()
	l.serviceToken()
	if out := l.send(in); out.Sent == nil {
		t.Fatalf("the second run came to %+v", out.Failure)
	}
	if n := len(ch.Messages(nil)); n != 2 || len(l.p.Of(emulator.OpCreateClient)) != 1 {
		t.Errorf("%d messages and %d clients, want 2 and 1", n, len(l.p.Of(emulator.OpCreateClient)))
	}
}
