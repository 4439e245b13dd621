package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
)

// TestUspacyFromTheAppToTheLastUninstall is one host, one app, two tenants and two clusters of
// Uspacy, each with a topic of its own. The second one's tokens live for seconds.
func TestUspacyFromTheAppToTheLastUninstall(t *testing.T) {
	first, second := retried("eu-central-1", "1"), retried("eu-west-1", "2")
	first.Twice = true
	eu := emulateUspacy(t, emulator.Options{SNS: first, Portals: []string{"acme.uspacy.ua", "beta.uspacy.ua", "order.uspacy.ua", "race.uspacy.ua",
		"talk.uspacy.ua", "status.uspacy.ua", "lost.uspacy.ua", "signin.uspacy.ua", "dead.uspacy.ua", "crash.uspacy.ua", "lined.uspacy.ua"}})
	west := emulateUspacy(t, emulator.Options{SNS: second, Portals: []string{"brief.uspacy.com"}, Auth: emulator.AuthOptions{AccessLife: 4 * time.Second}})
	m := openUspacy(t, []*emulator.Platform{eu, west}, nil, "--credentials.cooldown", "1s")
	m.perform(
		uspacyAct{"a topic waits until the operator allows it", actTopic},
		uspacyAct{"an install waits until the operator says whose it is", actInstall},
		uspacyAct{"what waits comes before what is new", actOrder},
		uspacyAct{"everything that can be said, both ways", actTalk},
		uspacyAct{"how far a reply got is told", actStatuses},
		uspacyAct{"a reply that SNS lost is found by reading", actLost},
		uspacyAct{"tokens of seconds are renewed in the middle", actBriefTokens},
		uspacyAct{"a refused refresh has the app sign in", actSignIn},
		uspacyAct{"a portal that refuses everything needs a person", actRefused},
		uspacyAct{"the host dies between an install and its claim", actKilledBeforeClaim},
		uspacyAct{"the host dies in the middle of a send", actKilledInSend},
		uspacyAct{"the host dies while a chat is made", actKilledInChat},
		uspacyAct{"the host dies while a line is made", actKilledInLine},
		uspacyAct{"the host and then the certificate are away when a reply comes", actKilledAtReply},
		uspacyAct{"no token is kept or logged in the clear", actNoTokenInTheClear},
	)
}

// actTopic: the certificate cannot be had at first, so SNS is asked to come again; then the
// topic is shown, and confirmed once it is allowed and not before.
func actTopic(t *testing.T, m *uspacyMarket) {
	p := m.platforms[0]
	p.Script(emulator.Step{Op: emulator.OpSNSCertificate, HangUp: true})
	ask := p.SNSMessage("SubscriptionConfirmation", "You have chosen to subscribe.")
	m.wantAnswer(503)(p.PostSNS(within(t), ask, nil))
	kept := m.deliveries(domain.HostWorkspace, domain.DeliveryFailed)
	if len(kept) != 1 || kept[0].Connection != m.app.ID {
		t.Fatalf("while the certificate could not be had, %d deliveries were kept: %+v", len(kept), kept)
	}
	m.wantAnswer(200)(p.PostSNS(within(t), ask, nil))
	m.wantAnswer(200)(p.PostSNS(within(t), ask, nil)) // SNS may say everything twice
	app := m.wantApp(contract.StateNeedsAction, "topic_unapproved")
	if !strings.Contains(app.StateReason, p.TopicARN()) || app.StateAction == "" {
		t.Errorf("the operator is told %q, %q", app.StateReason, app.StateAction)
	}
	steps, err := m.people.Operator.AppSetup(within(t), m.app.ID)
	if err != nil || len(steps) < 2 || steps[0].Value != m.app.ReceiveURL || steps[1].Value != m.app.ReceiveURL+"/sns" {
		t.Errorf("the setup is %+v, %v", steps, err)
	}
	notices, err := m.people.Operator.Notices(within(t), "", client.NoticeFilter{Kind: domain.NoticeNeedsAction})
	if err != nil || len(notices.Items) != 1 || notices.Items[0].Connection != m.app.ID {
		t.Errorf("the notices are %+v, %v", notices.Items, err)
	}
	if p.Subscribed() || p.Count(emulator.OpSNSConfirm) > 0 {
		t.Error("an unknown topic was confirmed")
	}
	m.subscribe()
	if n := p.Count(emulator.OpSNSCertificate); n != 2 {
		t.Errorf("the certificate was asked for %d times", n)
	}
}

// actInstall goes through installs before and after the assignment, an uninstall, a new install,
// and the install of somebody else's portal.
func actInstall(t *testing.T, m *uspacyMarket) {
	p, tenant, rival := m.platforms[0], m.tenants[0], m.tenants[1]
	acme := p.Portal("acme.uspacy.ua")
	m.wantAnswer(200)(acme.Install(within(t), emulator.Lifecycle{}))
	m.wantAnswer(200)(acme.Install(within(t), emulator.Lifecycle{Again: true}))
	u := m.waiting()["portal:acme.uspacy.ua"]
	if u.Title != "acme.uspacy.ua" || !u.Install || u.Deliveries < 1 || u.ExpiresAt.Before(time.Now().Add(20*24*time.Hour)) {
		t.Fatalf("what waits is %+v", u)
	}
	thief := m.join(rival, p, "acme.uspacy.ua") // who writes the portal's name into a setting has nothing by it
	s := m.join(tenant, p, "acme.uspacy.ua")
	s.wantState(contract.StateConnecting, "awaiting_install")
	s.assign()
	s.wantState(contract.StateConnected, "line_ready")
	thief.wantState(contract.StateConnecting, "awaiting_install")
	if len(m.waiting()) > 0 || len(acme.Lines()) != 1 || acme.Lines()[0].ExternalID == "" {
		t.Errorf("after the assignment %d keys wait, and the portal has %d lines", len(m.waiting()), len(acme.Lines()))
	}
	chat := s.say("chat-1", "Before the uninstall").ChatID

	m.wantAnswer(403)(acme.Uninstall(within(t), emulator.Lifecycle{Issued: time.Now().Add(-5 * time.Minute)}))
	s.wantState(contract.StateConnected, "")
	m.wantAnswer(204)(acme.Uninstall(within(t), emulator.Lifecycle{Path: "/portals/uinstall", Method: "POST"}))
	s.wantState(contract.StateDisconnected, "uninstalled")
	m.wantAnswer(204)(acme.Uninstall(within(t), emulator.Lifecycle{}))
	failed := s.message(s.post("chat-1", uspacyText("Is anybody there?")), contract.MessageFailed)
	if failed.Failure == nil || failed.Failure.Code != "uninstalled" {
		t.Errorf("a message after the uninstall failed with %+v", failed.Failure)
	}

	m.wantAnswer(200)(acme.Install(within(t), emulator.Lifecycle{})) // the key is the connection's: nothing waits
	s.wantState(contract.StateConnected, "line_ready")
	if got := s.say("chat-1", "After the new install"); got.ChatID != chat || len(acme.Lines()) != 1 {
		t.Errorf("after the new install the chat is %s, was %s, and there are %d lines", got.ChatID, chat, len(acme.Lines()))
	}
	actForeignInstall(t, m, s, thief)
}

// actForeignInstall: an operator errs, and gives a connection the install of another portal.
func actForeignInstall(t *testing.T, m *uspacyMarket, s, thief *uspacyShop) {
	p := m.platforms[0]
	beta := p.Portal("beta.uspacy.ua")
	m.wantAnswer(200)(beta.Install(within(t), emulator.Lifecycle{}))
	_, err := m.people.Operator.Assign(within(t), m.app.ID, client.Assignment{Key: s.key(), Workspace: thief.of.workspace.ID, Connection: thief.connection.ID})
	if err == nil {
		t.Error("a portal was given to a second connection")
	}
	_, err = m.people.Operator.Assign(within(t), m.app.ID, client.Assignment{Key: "portal:beta.uspacy.ua", Workspace: thief.of.workspace.ID, Connection: thief.connection.ID})
	if err != nil {
		t.Fatal(err)
	}
	thief.wantState(contract.StateNeedsAction, "portal_mismatch")
	used := func(e emulator.Exchange) bool {
		return strings.Contains(e.Header.Get("Authorization"), beta.Tokens().Access) || strings.Contains(e.Header.Get("Authorization"), beta.Tokens().Refresh)
	}
	for _, e := range p.Exchanges() {
		if used(e) {
			t.Errorf("a token of another portal was sent: %s %s%s", e.Op, e.Host, e.URI)
		}
	}
	if credentials, err := thief.of.admin.Credentials(within(t), thief.of.workspace.ID, thief.connection.ID); err != nil || credentials.State != domain.TokensNone {
		t.Errorf("the connection holds %+v, %v", credentials, err)
	}
	if n := thief.count(func(e client.Event) bool { return e.Data.State == nil }); n > 0 {
		t.Errorf("the rival has %d events", n)
	}
	s.wantState(contract.StateConnected, "")
}

// actOrder: a portal installs, uninstalls and installs again before anybody says whose it is.
// Then it uninstalls while what waited is being worked off.
func actOrder(t *testing.T, m *uspacyMarket) {
	s := m.join(m.tenants[1], m.platforms[0], "order.uspacy.ua")
	m.wantAnswer(200)(s.o.Install(within(t), emulator.Lifecycle{}))
	m.wantAnswer(204)(s.o.Uninstall(within(t), emulator.Lifecycle{}))
	m.wantAnswer(200)(s.o.Install(within(t), emulator.Lifecycle{}))
	if n := s.assign(); n != 3 {
		t.Errorf("%d deliveries were queued", n)
	}
	s.wantState(contract.StateConnected, "line_ready")
	s.say("chat-1", "With the last of three tokens")
	m.wantAnswer(204)(s.o.Uninstall(within(t), emulator.Lifecycle{}))
	s.wantState(contract.StateDisconnected, "uninstalled")

	race := m.join(m.tenants[0], m.platforms[0], "race.uspacy.ua")
	m.wantAnswer(200)(race.o.Install(within(t), emulator.Lifecycle{}))
	race.assign()
	m.wantAnswer(204)(race.o.Uninstall(within(t), emulator.Lifecycle{}))
	race.wantState(contract.StateDisconnected, "uninstalled")
	for _, d := range m.deliveries(race.of.workspace.ID, "") {
		if d.Connection == race.connection.ID && d.State != domain.DeliveryAccepted {
			t.Errorf("a delivery was %s: %s", d.State, d.Reason)
		}
	}
}

// actNoTokenInTheClear: what installs, refreshes and sign-ins brought, and what
// Uspacy proved itself with, is encrypted wherever it is
// kept, and so is the app's secret.
func actNoTokenInTheClear(t *testing.T, m *uspacyMarket) {
	m.stop()
	secrets := []string{uspacySecret}
	for _, e := range m.platforms[0].Exchanges() {
		if e.Op != emulator.OpInstall {
			continue
		}
		var pair struct {
			Token   string
			Refresh string `json:"refresh_token"`
		}
		if err := json.Unmarshal(e.Body, &pair); err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, pair.Token, pair.Refresh, strings.TrimPrefix(e.Header.Get("Authorization"), "Bearer "))
	}
	for _, p := range m.platforms {
		for _, name := range p.Names() {
			if strings.HasPrefix(name, "sns.") {
				continue
			}
			tokens := p.Portal(name).Tokens()
			secrets = append(secrets, tokens.Access, tokens.Refresh)
		}
	}
	for _, secret := range secrets {
		if secret != "" {
			m.wantNowhere(secret)
		}
	}
	if len(secrets) < 20 {
		t.Errorf("only %d secrets were looked for", len(secrets))
	}
}
