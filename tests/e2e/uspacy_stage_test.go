package e2e

import (
	"cmp"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

const uspacySecret = "uspacy-client-secret" // as the emulator's default is

// uspacyMarket is a host with the operator's marketplace app, Uspacy around it, and two
// tenants who share the app.
type uspacyMarket struct {
	*theatre
	whole     *testing.T // theatre's own is that of the act that is on
	platforms []*emulator.Platform
	app       client.Connection
	tenants   []*uspacyTenant
	logs      []*logbook // of the runs before
}

// uspacyTenant is a workspace with its administrator.
type uspacyTenant struct {
	workspace domain.Workspace
	admin     *client.Client
	inbox     *stage.Inbox
}

// uspacyShop is a portal with the connection that it was given to.
type uspacyShop struct {
	m          *uspacyMarket
	p          *emulator.Platform
	o          *emulator.Portal
	of         *uspacyTenant
	connection client.Connection
}

// emulateUspacy starts a platform. The test fails if the connector broke the protocol.
func emulateUspacy(t *testing.T, opts emulator.Options) *emulator.Platform {
	t.Helper()
	p, err := emulator.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if violations := p.Violations(); len(violations) > 0 {
			t.Errorf("the connector broke the protocol: %q", violations)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// openUspacy opens a host, makes the app, and tells Uspacy its addresses.
func openUspacy(t *testing.T, platforms []*emulator.Platform, settings map[string]string, flags ...string) *uspacyMarket {
	t.Helper()
	var staged []stage.Platform
	var targets []string
	for _, p := range platforms {
		staged = append(staged, p)
		targets = append(targets, p.Addr())
	}
	m := &uspacyMarket{theatre: play(t, staged, []string{"uspacy"}, flags...), whole: t, platforms: platforms}
	m.tenants = []*uspacyTenant{{workspace: m.workspace, admin: m.people.Tenant, inbox: m.inbox}, m.newTenant("Florist")}
	own := map[string]string{"client_id": "app-1"}
	for name, value := range settings {
		own[name] = value
	}
	var err error
	m.app, err = m.people.Operator.CreateApp(within(t), client.NewApp{Plugin: "uspacy", Name: "Marketplace app",
		Settings: own, Secrets: map[string]string{"client_secret": uspacySecret}})
	if err == nil {
		_, err = m.people.Operator.AllowPrivateTargets(within(t), domain.HostWorkspace, m.app.ID, targets)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range platforms {
		p.Register(m.app.ReceiveURL, m.app.ReceiveURL+"/sns")
	}
	return m
}

// newTenant has the operator open a further workspace.
func (m *uspacyMarket) newTenant(name string) *uspacyTenant {
	m.t.Helper()
	w, err := m.people.Operator.CreateWorkspace(within(m.t), name)
	if err == nil {
		err = m.people.Operator.EnablePlugin(within(m.t), w.ID, "uspacy")
	}
	if err != nil {
		m.t.Fatal(err)
	}
	of := &uspacyTenant{workspace: w}
	m.admit(of)
	return of
}

// admit makes a tenant's client and opens its inbox, from the first event on.
func (m *uspacyMarket) admit(of *uspacyTenant) {
	m.t.Helper()
	token, err := stage.Token(m.folders.Data, identity.WorkspaceAdmin, of.workspace.ID)
	if err != nil {
		m.t.Fatal(err)
	}
	of.admin = client.New(m.at.Management, token)
	of.inbox = stage.Listen(context.Background(), of.admin, of.workspace.ID, "0")
	m.whole.Cleanup(of.inbox.Close)
	m.whole.Cleanup(of.admin.Close)
}

// restart starts the host again after it ended, on the same ingress port, and has everybody
// come back.
func (m *uspacyMarket) restart() {
	m.t.Helper()
	m.logs = append(m.logs, m.log)
	m.flags = append(slices.Clone(m.flags), "--ingress", strings.TrimPrefix(m.at.Ingress, "http://"))
	m.start()
	people, err := stage.Hire(m.at, m.folders.Data)
	if err != nil {
		m.t.Fatal(err)
	}
	m.people = people
	m.whole.Cleanup(people.Close)
	for _, of := range m.tenants {
		m.admit(of)
	}
	m.poll("the app to answer", func() (bool, error) {
		_, err := m.people.Operator.App(within(m.t), m.app.ID)
		return err == nil, nil
	})
}

// uspacyAct is a part of a test that shares its host with others.
type uspacyAct struct {
	name string
	play func(*testing.T, *uspacyMarket)
}

// perform plays acts one after the other, in one host.
func (m *uspacyMarket) perform(acts ...uspacyAct) {
	for _, act := range acts {
		m.whole.Run(act.name, func(t *testing.T) {
			m.t = t
			defer func() { m.t = m.whole }()
			act.play(t, m)
		})
	}
}

// subscribe has SNS ask for a subscription, and the operator allow the topics.
func (m *uspacyMarket) subscribe() {
	m.t.Helper()
	var topics []string
	for _, p := range m.platforms {
		topics = append(topics, p.TopicARN())
	}
	if _, err := m.people.Operator.UpdateApp(within(m.t), m.app.ID, client.ConnectionPatch{Settings: map[string]string{"sns_topic_arns": strings.Join(topics, ",")}}); err != nil {
		m.t.Fatal(err)
	}
	for _, p := range m.platforms {
		if !p.Subscribed() {
			m.wantAnswer(200)(p.Subscribe(within(m.t)))
		}
		if err := p.WaitSubscribed(within(m.t)); err != nil {
			m.t.Fatal(err)
		}
	}
	m.wantApp(contract.StateConnected, "subscribed")
}

// wantAnswer checks what the app answered.
func (m *uspacyMarket) wantAnswer(status int) func(emulator.Answer, error) {
	m.t.Helper()
	return func(a emulator.Answer, err error) {
		m.t.Helper()
		if err != nil || a.Status != status {
			m.t.Fatalf("answered %d %s (%v), want %d", a.Status, a.Body, err, status)
		}
	}
}

// wantApp waits until the app is in a state.
func (m *uspacyMarket) wantApp(state contract.ConnectionState, code string) client.Connection {
	m.t.Helper()
	var app client.Connection
	err := stage.Poll(within(m.t), "the app's state", func() (done bool, err error) {
		app, err = m.people.Operator.App(within(m.t), m.app.ID)
		return app.State == state && app.StateCode == code, err
	})
	if err != nil {
		m.t.Fatalf("%v; it is %s %s: %s", err, app.State, app.StateCode, app.StateReason)
	}
	return app
}

// waiting is what waits at the app, by key.
func (m *uspacyMarket) waiting() map[string]client.Unclaimed {
	m.t.Helper()
	page, err := m.people.Operator.Unclaimed(within(m.t), m.app.ID, domain.Page{})
	if err != nil {
		m.t.Fatal(err)
	}
	all := map[string]client.Unclaimed{}
	for _, u := range page.Items {
		all[u.Key] = u
	}
	return all
}

// join has a tenant make a connection to a portal.
func (m *uspacyMarket) join(of *uspacyTenant, p *emulator.Platform, portal string, settings ...string) *uspacyShop {
	m.t.Helper()
	s := &uspacyShop{m: m, p: p, o: p.Portal(portal), of: of}
	own := map[string]string{"portal_url": "https://" + s.o.Domain()}
	for i := 0; i < len(settings); i += 2 {
		own[settings[i]] = settings[i+1]
	}
	var err error
	s.connection, err = of.admin.CreateConnection(within(m.t), of.workspace.ID, client.NewConnection{Plugin: "uspacy", Name: "Line of " + portal, App: m.app.ID, Settings: own})
	if err == nil {
		_, err = m.people.Operator.AllowPrivateTargets(within(m.t), of.workspace.ID, s.connection.ID, []string{p.Addr()})
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return s
}

// open is join, an install, and its assignment: a portal with a line.
func (m *uspacyMarket) open(of *uspacyTenant, p *emulator.Platform, portal string, settings ...string) *uspacyShop {
	m.t.Helper()
	s := m.join(of, p, portal, settings...)
	m.wantAnswer(200)(s.o.Install(within(m.t), emulator.Lifecycle{}))
	s.assign()
	s.wantState(contract.StateConnected, "line_ready")
	return s
}

// key is what installs of the portal wait under.
func (s *uspacyShop) key() string { return "portal:" + s.o.Domain() }

// assign has the operator give the portal to the connection.
func (s *uspacyShop) assign() int {
	s.m.t.Helper()
	queued, err := s.m.people.Operator.Assign(within(s.m.t), s.m.app.ID, client.Assignment{Key: s.key(), Workspace: s.of.workspace.ID, Connection: s.connection.ID})
	if err != nil {
		s.m.t.Fatal(err)
	}
	return queued
}

// wantState waits until the connection is in a state.
func (s *uspacyShop) wantState(state contract.ConnectionState, code string) client.Connection {
	s.m.t.Helper()
	var c client.Connection
	err := stage.Poll(within(s.m.t), "the connection's state", func() (done bool, err error) {
		c, err = s.of.admin.Connection(within(s.m.t), s.of.workspace.ID, s.connection.ID)
		return c.State == state && (code == "" || c.StateCode == code), err
	})
	if err != nil {
		s.m.t.Fatalf("%v, which is to be %s %s; it is %s %s: %s", err, state, code, c.State, c.StateCode, c.StateReason)
	}
	return c
}

// post has a customer write, and returns the host's name of the message.
func (s *uspacyShop) post(chat string, parts ...contract.Part) contract.MessageID {
	s.m.t.Helper()
	sent, err := s.of.admin.Send(within(s.m.t), s.of.workspace.ID, s.connection.ID, client.NewMessage{
		Conversation: contract.Conversation{ID: contract.ConversationID(chat), Title: "Dana " + chat},
		Author: contract.Author{Role: contract.RoleCustomer,
			Contact: contract.Contact{ID: contract.ContactID("user-" + chat), Name: "Dana Petrova", Phone: "+37060012345"}},
		Parts: parts,
	})
	if err != nil {
		s.m.t.Fatal(err)
	}
	return sent.Message.ID
}

// say has a customer write a text, and returns what the portal has of it.
func (s *uspacyShop) say(chat, text string) emulator.Message {
	s.m.t.Helper()
	s.post(chat, uspacyText(text))
	return s.arrived(text)
}

func uspacyText(text string) contract.Part {
	return contract.Part{Kind: contract.PartText, Text: &contract.Text{Plain: text}}
}

// arrived waits until the portal has a customer's message of that text.
func (s *uspacyShop) arrived(text string) emulator.Message {
	s.m.t.Helper()
	got, err := s.o.WaitMessage(within(s.m.t), func(m emulator.Message) bool { return m.Text == text && m.ExternalAuthorID != "" })
	if err != nil {
		s.m.t.Fatalf("%q: %v", text, err)
	}
	return got
}

// reply has an operator of the portal write.
func (s *uspacyShop) reply(r emulator.Reply) emulator.Message {
	s.m.t.Helper()
	m, err := s.o.Reply(r)
	if err != nil {
		s.m.t.Fatal(err)
	}
	return m
}

// await waits for an event of the tenant's about this connection.
func (s *uspacyShop) await(what string, match func(client.Event) bool) client.Event {
	s.m.t.Helper()
	e, err := s.of.inbox.Wait(within(s.m.t), what, func(e client.Event) bool { return e.Connection == s.connection.ID && match(e) })
	if err != nil {
		s.m.t.Fatal(err)
	}
	return e
}

// heard waits for an operator's message of that text.
func (s *uspacyShop) heard(text string) client.Event {
	s.m.t.Helper()
	return s.await("the reply "+text, stage.Said(text))
}

// count is how many of the events that came match.
func (s *uspacyShop) count(match func(client.Event) bool) (n int) {
	for _, e := range s.of.inbox.Events() {
		if e.Connection == s.connection.ID && match(e) {
			n++
		}
	}
	return n
}

// wantOnce checks that a reply was reported exactly once, after a later one was: whatever came
// twice has come by then.
func (s *uspacyShop) wantOnce(chat, text string) {
	s.m.t.Helper()
	last := "after " + text
	s.reply(emulator.Reply{Chat: chat, Text: last})
	s.heard(last)
	if n := s.count(stage.Said(text)); n != 1 {
		s.m.t.Errorf("the reply %q was reported %d times", text, n)
	}
}

// download reads an attachment of an event.
func (s *uspacyShop) download(m *contract.Media) []byte {
	s.m.t.Helper()
	d, err := s.of.admin.Download(within(s.m.t), s.of.workspace.ID, m.Handle)
	if err != nil {
		s.m.t.Fatal(err)
	}
	defer d.Body.Close()
	got, err := io.ReadAll(d.Body)
	if err != nil {
		s.m.t.Fatal(err)
	}
	return got
}

// message reads one of the tenant's messages, once it has a status.
func (s *uspacyShop) message(id contract.MessageID, status contract.MessageStatus) domain.Message {
	s.m.t.Helper()
	var m domain.Message
	err := stage.Poll(within(s.m.t), "the message's status", func() (done bool, err error) {
		m, err = s.of.admin.Message(within(s.m.t), s.of.workspace.ID, id)
		return m.Status == status, err
	})
	if err != nil {
		s.m.t.Fatalf("%v, which is to be %s; it is %s %+v", err, status, m.Status, m.Failure)
	}
	return m
}

// deliveries lists what came for a workspace, in a state or, if that is empty, in any.
func (m *uspacyMarket) deliveries(ws contract.WorkspaceID, state domain.DeliveryState) []domain.Delivery {
	m.t.Helper()
	page, err := m.people.Operator.Deliveries(within(m.t), ws, client.DeliveryFilter{State: state, Page: domain.Page{Limit: 1000}})
	if err != nil {
		m.t.Fatal(err)
	}
	return page.Items
}

// retried is how SNS behaves in these tests: it comes again soon, and for long enough to
// outlive a restart of the host.
func retried(region, version string) emulator.SNSOptions {
	return emulator.SNSOptions{Region: cmp.Or(region, "eu-central-1"), SignatureVersion: version, Retries: 400, RetryDelay: 100 * time.Millisecond}
}
