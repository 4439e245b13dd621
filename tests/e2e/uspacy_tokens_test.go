package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// actBriefTokens: the portal's access tokens live for four seconds, and every refresh token works
// once. A conversation of two lives goes on as if nothing happened: no request is refused.
func actBriefTokens(t *testing.T, m *uspacyMarket) {
	for i, portal := range []string{"signin.uspacy.ua", "dead.uspacy.ua"} { // the next acts: a token that has just been got is not renewed at once
		m.open(m.tenants[i], m.platforms[0], portal).say("chat-1", "Before")
	}
	p := m.platforms[1]
	s := m.open(m.tenants[1], p, "brief.uspacy.com")
	tick := time.NewTicker(400 * time.Millisecond)
	defer tick.Stop()
	chat, before := "", p.Count(emulator.OpRefresh)
	n := 0
	for ; p.Count(emulator.OpRefresh) < before+3; n++ {
		text := fmt.Sprint("message ", n)
		s.post("chat-1", uspacyText(text))
		if chat == "" {
			chat = s.arrived(text).ChatID
		}
		s.reply(emulator.Reply{Chat: chat, Text: fmt.Sprint("reply ", n)})
		select {
		case <-tick.C:
		case <-within(t).Done():
			t.Fatal("the tokens were not renewed")
		}
	}
	s.arrived(fmt.Sprint("message ", n-1))
	s.heard(fmt.Sprint("reply ", n-1))
	for i := range n {
		if got := s.count(stage.Said(fmt.Sprint("reply ", i))); got != 1 {
			t.Errorf("reply %d was reported %d times", i, got)
		}
	}
	var want []string
	for i := range n {
		want = append(want, fmt.Sprint("message ", i))
	}
	var got []string
	for _, m := range s.o.Messages(chat) {
		if m.ExternalAuthorID != "" {
			got = append(got, m.Text)
		}
	}
	if strings.Join(got, ";") != strings.Join(want, ";") {
		t.Errorf("the portal has %q", got)
	}
	for _, e := range p.Exchanges() {
		if e.Status == 401 {
			t.Errorf("a request was refused: %s %s", e.Op, e.URI)
		}
	}
}

// actSignIn: the portal's tokens die, and the answer to the refresh is lost, so that the refresh
// token is gone as well. The app signs in by itself; the message that was on its way arrives
// once, and nobody had to act.
func actSignIn(t *testing.T, m *uspacyMarket) {
	p := m.platforms[0]
	s := m.opened(m.tenants[0], "signin.uspacy.ua")
	refreshes, signIns := p.Count(emulator.OpRefresh), p.Count(emulator.OpSignIn)
	p.Script(emulator.Step{Op: emulator.OpRefresh, HangUp: true, Process: true})
	s.o.ExpireAccess()
	id := s.post("chat-1", uspacyText("In the middle"))
	s.arrived("In the middle")
	if kept := s.message(id, contract.MessageSent); kept.Failure != nil {
		t.Errorf("the message failed: %+v", kept.Failure)
	}
	if r, n := p.Count(emulator.OpRefresh)-refreshes, p.Count(emulator.OpSignIn)-signIns; r != 2 || n != 1 {
		t.Errorf("there were %d refreshes and %d sign-ins", r, n)
	}
	s.wantState(contract.StateConnected, "")
	if n := len(s.needing()); n > 0 {
		t.Errorf("somebody was asked to act %d times", n)
	}
}

// needing is the notices that this connection needs somebody to act.
func (s *uspacyShop) needing() []domain.Notice {
	s.m.t.Helper()
	page, err := s.of.admin.Notices(within(s.m.t), s.of.workspace.ID, client.NoticeFilter{Kind: domain.NoticeNeedsAction})
	if err != nil {
		s.m.t.Fatal(err)
	}
	var mine []domain.Notice
	for _, n := range page.Items {
		if n.Connection == s.connection.ID {
			mine = append(mine, n)
		}
	}
	return mine
}

// actRefused: neither refresh nor sign-in work. A person is told, and an install heals all; what
// could not be sent is sent when it is asked for.
func actRefused(t *testing.T, m *uspacyMarket) {
	p := m.platforms[0]
	s := m.opened(m.tenants[1], "dead.uspacy.ua")
	chat := s.o.Chats()[0].ID
	p.Script(emulator.Step{Op: emulator.OpSignIn, Status: 403})
	s.o.RevokeRefresh()
	s.o.ExpireAccess()
	id := s.post("chat-1", uspacyText("Too late"))
	c := s.wantState(contract.StateNeedsAction, "credentials_refused")
	s.await("the event", stage.State(s.connection.ID, contract.StateNeedsAction))
	if c.StateAction == "" || len(s.needing()) != 1 {
		t.Errorf("the action is %q, and there are %d notices", c.StateAction, len(s.needing()))
	}
	failed := s.message(id, contract.MessageFailed)
	if failed.Failure == nil || failed.Failure.Class != contract.FailureReauthorise {
		t.Errorf("the message failed with %+v", failed.Failure)
	}
	s.reply(emulator.Reply{Chat: chat, Text: "Why so silent?"}) // what comes in needs no token
	s.heard("Why so silent?")
	m.wantAnswer(200)(s.o.Install(within(t), emulator.Lifecycle{}))
	s.wantState(contract.StateConnected, "line_ready")
	s.say("chat-1", "After")
	if _, err := s.of.admin.RetryCommands(within(t), s.of.workspace.ID, client.ParkedCommands{Connection: s.connection.ID}); err != nil {
		t.Fatal(err)
	}
	s.arrived("Too late")
	s.message(id, contract.MessageSent)
}

// actKilledBeforeClaim: the host is killed while an install waits, and again right after it was
// given to a connection.
func actKilledBeforeClaim(t *testing.T, m *uspacyMarket) {
	s := m.join(m.tenants[0], m.platforms[0], "crash.uspacy.ua")
	m.wantAnswer(200)(s.o.Install(within(t), emulator.Lifecycle{}))
	m.kill()
	m.restart()
	if u := m.waiting()[s.key()]; u.Deliveries != 1 || !u.Install {
		t.Fatalf("after the crash this waits: %+v", u)
	}
	s.assign()
	m.kill()
	m.restart()
	s.wantState(contract.StateConnected, "line_ready")
	s.say("chat-1", "After two crashes")
	if lines := s.o.Lines(); len(lines) != 1 {
		t.Errorf("the portal has the lines %+v", lines)
	}
}

// opened is a shop of the first cluster that an act before opened.
func (m *uspacyMarket) opened(of *uspacyTenant, portal string) *uspacyShop {
	m.t.Helper()
	return &uspacyShop{m: m, p: m.platforms[0], o: m.platforms[0].Portal(portal), of: of, connection: m.connectionTo(of, portal)}
}

// killedDuring has a customer write, and kills the host once the portal has carried out a call
// for it and not answered yet.
func (s *uspacyShop) killedDuring(op, chat, text string) contract.MessageID {
	s.m.t.Helper()
	there, hold := make(chan struct{}), make(chan struct{})
	s.p.Script(emulator.Step{Op: op, Hold: hold, After: func() { close(there) }})
	id := s.post(chat, uspacyText(text))
	select {
	case <-there:
	case <-within(s.m.t).Done():
		s.m.t.Fatal("the portal was not called")
	}
	s.m.kill()
	close(hold)
	s.m.restart()
	return id
}

// times is how many messages of that text the portal has.
func (s *uspacyShop) times(chat, text string) (n int) {
	for _, m := range s.o.Messages(chat) {
		if m.Text == text {
			n++
		}
	}
	return n
}

// actKilledInSend: the portal has taken a message, and the host is killed before it hears so.
// The message is sent again under the same name, and is there once.
func actKilledInSend(t *testing.T, m *uspacyMarket) {
	s := m.opened(m.tenants[0], "crash.uspacy.ua")
	id := s.killedDuring(emulator.OpMessageCreate, "chat-1", "In the middle of a send")
	got := s.arrived("In the middle of a send")
	s.message(id, contract.MessageSent)
	s.reply(emulator.Reply{Chat: got.ChatID, Text: "Heard it"})
	s.heard("Heard it")
	if n := s.times(got.ChatID, got.Text); n != 1 {
		t.Errorf("the portal has the message %d times", n)
	}
}

// actKilledInChat: nothing makes it safe to repeat the making of a chat, so the command waits for
// a person; who has it tried again gets the chat that is there, and no second one.
func actKilledInChat(t *testing.T, m *uspacyMarket) {
	s := m.opened(m.tenants[0], "crash.uspacy.ua")
	chats := len(s.o.Chats())
	id := s.killedDuring(emulator.OpChatCreate, "chat-new", "In the middle of a chat")
	failed := s.message(id, contract.MessageFailed)
	if failed.Failure == nil || failed.Failure.Class != contract.FailureUncertain {
		t.Errorf("the message failed with %+v", failed.Failure)
	}
	notices, err := s.of.admin.Notices(within(t), s.of.workspace.ID, client.NoticeFilter{Kind: domain.NoticeJobUncertain})
	if err != nil || len(notices.Items) != 1 || notices.Items[0].Connection != s.connection.ID {
		t.Errorf("the notices are %+v, %v", notices.Items, err)
	}
	if _, err := s.of.admin.RetryCommand(within(t), s.of.workspace.ID, notices.Items[0].Target); err != nil {
		t.Fatal(err)
	}
	got := s.arrived("In the middle of a chat")
	s.message(id, contract.MessageSent)
	if n := len(s.o.Chats()); n != chats+1 || s.times(got.ChatID, got.Text) != 1 {
		t.Errorf("the portal has %d chats, had %d", n, chats)
	}
}

// actKilledInLine: nothing makes it safe to repeat the making of a line either. The command waits
// for a person, or for a check of the connection, which finds the line that is there.
func actKilledInLine(t *testing.T, m *uspacyMarket) {
	p := m.platforms[0]
	s := m.join(m.tenants[1], p, "lined.uspacy.ua")
	m.wantAnswer(200)(s.o.Install(within(t), emulator.Lifecycle{}))
	there, hold := make(chan struct{}), make(chan struct{})
	p.Script(emulator.Step{Op: emulator.OpLineCreate, Hold: hold, After: func() { close(there) }})
	s.assign()
	select {
	case <-there:
	case <-within(t).Done():
		t.Fatal("the portal was not called")
	}
	m.kill()
	close(hold)
	m.restart()
	m.poll("the notice", func() (bool, error) {
		page, err := s.of.admin.Notices(within(t), s.of.workspace.ID, client.NoticeFilter{Kind: domain.NoticeJobUncertain})
		return len(page.Items) == 1, err
	})
	s.wantState(contract.StateConnecting, "installed")
	if _, err := s.of.admin.CheckConnection(within(t), s.of.workspace.ID, s.connection.ID); err != nil {
		t.Fatal(err)
	}
	s.wantState(contract.StateConnected, "line_ready")
	s.say("chat-1", "By the line that was there")
	if n := len(s.o.Lines()); n != 1 {
		t.Errorf("the portal has %d lines", n)
	}
}

// connectionTo finds a tenant's connection to a portal.
func (m *uspacyMarket) connectionTo(of *uspacyTenant, portal string) client.Connection {
	m.t.Helper()
	page, err := of.admin.Connections(within(m.t), of.workspace.ID, domain.Page{})
	for _, c := range page.Items {
		if c.Settings["portal_url"] == "https://"+portal {
			return c
		}
	}
	m.t.Fatalf("there is no connection to %s (%v)", portal, err)
	return client.Connection{}
}

// actKilledAtReply: an operator answers while the host is away, and when it is back, the
// certificate cannot be had. SNS comes again until both are there.
func actKilledAtReply(t *testing.T, m *uspacyMarket) {
	s, p := m.opened(m.tenants[0], "crash.uspacy.ua"), m.platforms[0]
	chat, before, posts := s.o.Chats()[0].ID, p.Count(emulator.OpSNSCertificate), p.Count(emulator.OpSNS)
	m.kill()
	p.Script(emulator.Step{Op: emulator.OpSNSCertificate, HangUp: true, Times: 2})
	s.reply(emulator.Reply{Chat: chat, Text: "Anybody there?"})
	if _, err := p.WaitCount(within(t), posts+2, emulator.Of(emulator.OpSNS)); err != nil {
		t.Fatal(err)
	}
	m.restart()
	s.heard("Anybody there?")
	s.wantOnce(chat, "Anybody there?")
	if n := p.Count(emulator.OpSNSCertificate) - before; n != 3 {
		t.Errorf("the certificate was asked for %d times", n)
	}
	refused := 0
	for _, e := range p.Exchanges() {
		if e.Op == emulator.OpSNS && e.Status == 503 {
			refused++
		}
	}
	if refused < 2 {
		t.Errorf("SNS was answered 503 %d times", refused)
	}
	for _, d := range m.deliveries(domain.HostWorkspace, domain.DeliveryFailed) {
		if _, err := m.people.Operator.ReplayDelivery(within(t), domain.HostWorkspace, d.ID, false); err != nil {
			t.Logf("replay of %s: %v", d.ID, err)
		}
	}
	s.wantOnce(chat, "Anybody there?")
}
