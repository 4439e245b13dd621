package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
)

// installed opens a market whose portal has installed the app and was given to the connection.
func openInstalled(t *testing.T, opts emulator.Options, extra ...string) *market {
	t.Helper()
	m := openMarket(t, opts, extra...)
	if a, err := m.o.Install(m.ctx(), emulator.Lifecycle{}); err != nil || a.Status != 200 {
		t.Fatalf("the install was answered %d, %v", a.Status, err)
	}
	m.assign()
	m.work()
	m.wantStates("installed line_ready")
	return m
}

func TestFromInstallToUninstall(t *testing.T) {
	m := openMarket(t, emulator.Options{})
	a, err := m.o.Install(m.ctx(), emulator.Lifecycle{})
	if err != nil || a.Status != 200 || string(a.Body) != `{"status":true,"message":"success"}` {
		t.Fatalf("the install was answered %d %s, %v", a.Status, a.Body, err)
	}
	m.wantStates("") // nobody said whose it is
	m.assign()
	m.work()
	m.wantStates("installed line_ready")
	if out := m.health(); out.Health == nil || !out.Health.CredentialsValid {
		t.Errorf("health came to %+v", out)
	}
	if a, err := m.o.Install(m.ctx(), emulator.Lifecycle{Again: true}); err != nil || a.Status != 200 {
		t.Errorf("a repeat was answered %d, %v", a.Status, err)
	}
	if a, err := m.o.Uninstall(m.ctx(), emulator.Lifecycle{Issued: time.Now().Add(-5 * time.Minute)}); err != nil || a.Status != 403 {
		t.Errorf("an uninstall with an older token was answered %d, %v", a.Status, err)
	}
	a, err = m.o.Uninstall(m.ctx(), emulator.Lifecycle{Path: "/portals/uinstall", Method: "POST"})
	if err != nil || a.Status != 204 || len(a.Body) > 0 {
		t.Errorf("the uninstall was answered %d %s, %v", a.Status, a.Body, err)
	}
	m.wantStates("uninstalled")
	if got := class(m.refresh(false)); got != "permanent uninstalled" {
		t.Errorf("after it, a refresh came to %s", got)
	}
	calls := len(m.p.Exchanges())
	m.health()
	if len(m.p.Exchanges()) != calls {
		t.Error("after it, the portal was called")
	}
	if a, err := m.o.Install(m.ctx(), emulator.Lifecycle{}); err != nil || a.Status != 200 {
		t.Errorf("a new install was answered %d, %v", a.Status, err)
	}
	m.work()
	m.wantStates("installed line_ready")
	if n := m.p.Count(emulator.OpLineCreate); n != 1 {
		t.Errorf("the line was made %d times", n)
	}
}

func TestEventsOverSNS(t *testing.T) {
	for _, version := range []string{"1", "2"} {
		t.Run("version "+version, func(t *testing.T) {
			m := openInstalled(t, emulator.Options{SNS: emulator.SNSOptions{SignatureVersion: version, Twice: true}})
			if a, err := m.p.Subscribe(m.ctx()); err != nil || a.Status != 200 {
				t.Fatalf("the confirmation was answered %d, %v", a.Status, err)
			}
			m.work()
			m.wantStates("subscribed")
			if err := m.p.WaitSubscribed(m.ctx()); err != nil {
				t.Fatal(err)
			}
			line := strings.TrimPrefix(m.con.Routes()[0], routeLine)
			m.con.SetKV(prefixChat+"c-1", chatRecord{chat: "c-1", conversation: "tg:1", line: line}.encode())
			const event = `{"action":"create","payload":{"id":"m-%d","chatId":"c-1","authorId":18,"message":"On the way %d","type":"MESSAGE","externalLine":{"id":"%s"}}}`
			for n := range 3 {
				m.o.Publish(fmt.Sprintf(event, n, n, line))
			}
			m.o.Publish(fmt.Sprintf(event, 9, 9, "another-line"))
			if _, err := m.p.WaitCount(m.ctx(), 1+8, emulator.Of(emulator.OpSNS)); err != nil {
				t.Fatal(err)
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			if got := strings.Join(m.messages, "; "); got != "On the way 0; On the way 1; On the way 2" {
				t.Errorf("the messages were %q", got)
			}
		})
	}
}

func TestSNSTriesAgainAfterAnOutage(t *testing.T) {
	m := openInstalled(t, emulator.Options{SNS: emulator.SNSOptions{RetryDelay: time.Millisecond}})
	m.p.Script(emulator.Step{Op: emulator.OpSNSCertificate, Status: 200, Body: "<html>maintenance</html>"})
	if a, err := m.p.Subscribe(m.ctx()); err != nil || a.Status != 403 {
		t.Errorf("with something else for a certificate, it was answered %d, %v", a.Status, err)
	}
	if a, err := m.p.Subscribe(m.ctx()); err != nil || a.Status != 200 {
		t.Errorf("it was answered %d, %v", a.Status, err)
	}
	m.p.Script(emulator.Step{Op: emulator.OpSNSConfirm, Status: 200, Process: true, Body: "<html>"})
	m.work()
	m.wantStates("topic_lapsed")
	if a, err := m.p.Unsubscribe(m.ctx()); err != nil || a.Status != 200 {
		t.Errorf("the end was answered %d, %v", a.Status, err)
	}
	m.wantStates("sns_unsubscribed")
}

func TestForgeriesOverTheWire(t *testing.T) {
	m := openInstalled(t, emulator.Options{})
	stranger, err := emulator.NewSigner(emulator.SignerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f := m.p.SNSMessage("Notification", reply)
	stranger.Sign(f)
	if a, err := m.p.PostSNS(m.ctx(), f, nil); err != nil || a.Status != 403 {
		t.Errorf("a stranger's notification was answered %d, %v", a.Status, err)
	}
	raw := http.Header{"X-Amz-Sns-Rawdelivery": {"true"}}
	if a, err := m.p.PostSNS(m.ctx(), m.p.SNSMessage("Notification", reply), raw); err != nil || a.Status != 403 {
		t.Errorf("a raw delivery was answered %d, %v", a.Status, err)
	}
	for _, l := range []emulator.Lifecycle{
		{Bearer: "e30.e30.AA"}, {Bearer: "x"}, {Issued: time.Now().Add(-2 * time.Hour)}, {Issued: time.Now().Add(2 * time.Minute)},
	} {
		if a, err := m.o.Install(m.ctx(), l); err != nil || a.Status != 401 {
			t.Errorf("an install with %+v was answered %d, %v", l, a.Status, err)
		}
	}
	m.wantStates("")
}

func TestRefreshingAgainstThePortal(t *testing.T) {
	for _, life := range []string{"", "expiresInSeconds", "text", "none"} {
		m := openInstalled(t, emulator.Options{Auth: emulator.AuthOptions{Life: life}})
		before := m.tokens
		if got := class(m.refresh(false)); got != "renewed" || m.tokens.RefreshToken == before.RefreshToken || m.tokens.RefreshToken != m.o.Tokens().Refresh {
			t.Errorf("with %q, it came to %s, %+v", life, got, m.tokens)
		}
		if off := m.tokens.ExpiresAt.Sub(m.o.Tokens().Expires).Abs(); off > 2*time.Second {
			t.Errorf("with %q, the expiry is %v off", life, off)
		}
		if out := m.health(); out.Failure != nil {
			t.Errorf("with %q, the new token came to %+v", life, out.Failure)
		}
	}
}

// The portal renewed the pair, and the answer was lost: the old refresh token is dead, and the
// app's own credentials get a new pair.
func TestALostAnswerToARefresh(t *testing.T) {
	m := openInstalled(t, emulator.Options{})
	m.p.Script(emulator.Step{Op: emulator.OpRefresh, HangUp: true, Process: true})
	if got := class(m.refresh(false)); got != "uncertain refresh_uncertain" {
		t.Fatalf("it came to %s", got)
	}
	if got := class(m.refresh(true)); got != "renewed" || m.p.Count(emulator.OpSignIn) != 1 {
		t.Errorf("the second came to %s after %d sign-ins", got, m.p.Count(emulator.OpSignIn))
	}
	if out := m.health(); out.Failure != nil {
		t.Errorf("the new token came to %+v", out.Failure)
	}
	closed := openInstalled(t, emulator.Options{Auth: emulator.AuthOptions{NoSignIn: true}})
	closed.o.RevokeRefresh()
	if got := class(closed.refresh(false)); got != "reauthorise token_refused" {
		t.Errorf("without sign-in it came to %s", got)
	}
}
