package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	elma "github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
	uchatland "github.com/seed75a60ee1/patchbay/plugins/uchat/emulator"
	uspacyland "github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

func (s *stands) health(t *testing.T) {
	t.Run("a platform that fails degrades its connection until it answers again", s.healthDegraded)
	t.Run("a key that is refused needs an action, and somebody is told", s.healthRefused)
	t.Run("a token that expired is renewed because of a check, and nobody notices", s.healthRenewed)
	t.Run("tokens that nobody renews any more need an action", s.healthLost)
	t.Run("the last traffic is told", s.healthTraffic)
}

// always is how often a step is played that ends with Unscript.
const always = 1 << 30

// healthOf is how a connection is.
func (s *stands) healthOf(t *testing.T, c client.Connection) client.ConnectionHealth {
	t.Helper()
	got, err := s.people.Tenant.ConnectionHealth(within(t), s.workspace.ID, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// awaitHealth waits until a connection's health is as it should be.
func (s *stands) awaitHealth(t *testing.T, what string, c client.Connection, is func(client.ConnectionHealth) bool) (got client.ConnectionHealth) {
	t.Helper()
	err := stage.Poll(within(t), what, func() (bool, error) {
		got = s.healthOf(t, c)
		return is(got), nil
	})
	if err != nil {
		t.Fatalf("%v; it is %+v", err, got)
	}
	return got
}

// states are the states that a connection has been in, and why.
func (s *stands) states(c client.Connection) (all []string) {
	for _, e := range s.inbox.Events() {
		if e.Connection == c.ID && e.Data.State != nil {
			all = append(all, string(e.Data.State.State)+" "+e.Data.State.Code)
		}
	}
	return all
}

// newest waits for the newest of a connection's states to be that one.
func (s *stands) newest(t *testing.T, c client.Connection, want string) {
	t.Helper()
	var all []string
	err := stage.Poll(within(t), "an event of the state", func() (bool, error) {
		all = s.states(c)
		return len(all) > 0 && strings.HasPrefix(all[len(all)-1], want), nil
	})
	if err != nil {
		t.Errorf("%v; the states were %q, want %q last", err, all, want)
	}
}

// by is what one of those who know something says.
func by(h client.ConnectionHealth, cause domain.HealthCause) client.KnownHealth {
	for _, k := range h.Known {
		if k.By == cause {
			return k
		}
	}
	return client.KnownHealth{}
}

func (s *stands) healthDegraded(t *testing.T) {
	c := s.uchat.connection
	well := s.awaitHealth(t, "a check of UChat", c, func(h client.ConnectionHealth) bool { return h.Probe != nil && !h.Probe.LastAt.IsZero() })
	if well.State != contract.StateConnected || well.Probe.Failures != 0 || well.Probe.NextAt.Before(well.Probe.LastAt) {
		t.Fatalf("at first it is %+v, %+v", well, well.Probe)
	}
	before := len(s.states(c))
	s.uchat.platform.Script(uchatland.Step{Type: uchatland.OpGet, Status: 503, Times: always})
	sick := s.awaitHealth(t, "UChat to be degraded", c, func(h client.ConnectionHealth) bool { return h.State == contract.StateDegraded })
	if probe := by(sick, domain.CauseProbe); probe.State != contract.StateDegraded || probe.Reason == "" || sick.Probe.Failures < 2 || sick.Reason != probe.Reason {
		t.Errorf("degraded, it is %+v with the probe %+v", sick, sick.Probe)
	}
	id := s.sendText(c, "still there?") // checks that fail hold nothing up
	if _, err := s.inbox.Wait(within(t), "a message while degraded", stage.Status(id, contract.MessageSent)); err != nil {
		t.Error(err)
	}
	s.uchat.platform.Unscript()
	again := s.awaitHealth(t, "UChat to be connected again", c, func(h client.ConnectionHealth) bool { return h.State == contract.StateConnected })
	if by(again, domain.CauseProbe).State != "" || again.Probe.Failures != 0 {
		t.Errorf("afterwards it is %+v with the probe %+v", again, again.Probe)
	}
	s.newest(t, c, "connected")
	if all := s.states(c)[before:]; len(all) != 2 || !strings.HasPrefix(all[0], "degraded") {
		t.Errorf("the tenant was told of the states %q, want degraded and connected once", all)
	}
}

func (s *stands) sendText(c client.Connection, text string) contract.MessageID {
	return s.send(c.ID, client.NewMessage{Parts: []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: text}}},
		Conversation: contract.Conversation{ID: "tg-health", Title: "Dana Petrova"},
		Author:       contract.Author{Role: contract.RoleCustomer, Contact: contract.Contact{ID: "tg-user-health", Name: "Dana Petrova", Phone: "+37060012345"}}})
}

// wantNotice wants a notice that a connection needs an action.
func (s *stands) wantNotice(t *testing.T, c client.Connection) {
	t.Helper()
	notices, err := s.people.Tenant.Notices(within(t), s.workspace.ID, client.NoticeFilter{Kind: domain.NoticeNeedsAction})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range notices.Items {
		if n.Connection == c.ID && n.Detail != "" {
			return
		}
	}
	t.Errorf("there is no notice of it, only %+v", notices.Items)
}

func (s *stands) healthRefused(t *testing.T) {
	c := s.uchat.connection
	s.uchat.platform.Script(uchatland.Step{Type: uchatland.OpGet, Status: 401, Times: always})
	sick := s.awaitHealth(t, "the key to be refused", c, func(h client.ConnectionHealth) bool { return h.State == contract.StateNeedsAction })
	if sick.Action == "" || sick.Reason == "" || sick.Code == "" {
		t.Errorf("it is %+v, and does not say what to do", sick)
	}
	s.wantNotice(t, c)
	s.uchat.platform.Unscript()
	s.awaitHealth(t, "the key to be taken again", c, func(h client.ConnectionHealth) bool { return h.State == contract.StateConnected })
	s.newest(t, c, "connected")
}

func (s *stands) healthRenewed(t *testing.T) {
	c := s.uspacy.connection
	s.awaitHealth(t, "a check of Uspacy", c, func(h client.ConnectionHealth) bool { return h.Probe != nil && !h.Probe.LastAt.IsZero() })
	before, renewals := len(s.states(c)), s.uspacy.platform.Count(uspacyland.OpRefresh)
	old := s.healthOf(t, c)
	s.uspacy.portal.ExpireAccess()
	now := s.awaitHealth(t, "the token to be renewed", c, func(h client.ConnectionHealth) bool {
		return h.Credentials != nil && h.Credentials.RefreshedAt.After(old.Credentials.RefreshedAt)
	})
	if !now.Credentials.Valid || !now.Credentials.ExpiresAt.After(time.Now()) {
		t.Errorf("the credentials are %+v", now.Credentials)
	}
	s.awaitHealth(t, "the next check to go well", c, func(h client.ConnectionHealth) bool {
		return h.Probe.LastAt.After(now.Credentials.RefreshedAt) && h.Probe.Failures == 0
	})
	if n := s.uspacy.platform.Count(uspacyland.OpRefresh) - renewals; n != 1 {
		t.Errorf("the token was renewed %d times", n)
	}
	if all := s.states(c)[before:]; len(all) != 0 {
		t.Errorf("the tenant was told of the states %q", all)
	}
}

func (s *stands) healthLost(t *testing.T) {
	c := s.uspacy.connection
	s.uspacy.platform.Script(uspacyland.Step{Op: uspacyland.OpSignIn, Status: 403, Times: always})
	s.uspacy.portal.RevokeRefresh()
	s.uspacy.portal.ExpireAccess()
	sick := s.awaitHealth(t, "the tokens to be given up", c, func(h client.ConnectionHealth) bool { return h.State == contract.StateNeedsAction })
	if known := by(sick, domain.CauseCredentials); known.State != contract.StateNeedsAction || known.Action == "" || sick.Action != known.Action {
		t.Errorf("it is %+v", sick)
	}
	if sick.Credentials == nil || sick.Credentials.Valid || sick.Credentials.LastFailure == nil {
		t.Errorf("the credentials are %+v", sick.Credentials)
	}
	s.wantNotice(t, c)
	s.newest(t, c, "needs_action")
	s.uspacy.platform.Unscript()
	if _, err := s.uspacy.portal.Install(within(t), uspacyland.Lifecycle{Issued: time.Now().Add(2 * time.Second)}); err != nil {
		t.Fatal(err)
	}
	s.awaitHealth(t, "another install to mend it", c, func(h client.ConnectionHealth) bool { return h.State == contract.StateConnected && h.Credentials.Valid })
}

func (s *stands) healthTraffic(t *testing.T) {
	c := s.elma.connection
	before := time.Now().Truncate(time.Millisecond)
	id := s.sendText(c, "hello")
	if _, err := s.elma.channel.WaitMessage(within(t), func(m elma.Message) bool { return m.ID == string(id) }); err != nil {
		t.Fatal(err)
	}
	s.awaitHealth(t, "the last message out", c, func(h client.ConnectionHealth) bool { return !h.Traffic.LastOutboundAt.Before(before) })
	before = time.Now().Truncate(time.Millisecond)
	if answer, err := s.elma.channel.Reply(within(t), elma.Reply{Chat: "tg-health", Text: "hello yourself"}); err != nil || !answer.OK() {
		t.Fatalf("the reply was answered %d, %v", answer.Status, err)
	}
	s.awaitHealth(t, "the last delivery in", c, func(h client.ConnectionHealth) bool { return !h.Traffic.LastInboundAt.Before(before) })

	out, err := s.cli("connection", "health", "--workspace", string(s.workspace.ID), string(c.ID), "--json")
	var told client.ConnectionHealth
	if err != nil || json.Unmarshal([]byte(out), &told) != nil || told.State != contract.StateConnected || told.Traffic.LastInboundAt.Before(before) {
		t.Errorf("the CLI says %s (%v)", out, err)
	}
}
