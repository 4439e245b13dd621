package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	elma "github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
	tandem "github.com/seed75a60ee1/patchbay/plugins/intandem/emulator"
	uchatland "github.com/seed75a60ee1/patchbay/plugins/uchat/emulator"
	uspacyland "github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// stands is a theatre with a working connection to each of the four platforms.
type stands struct {
	*theatre
	elma     elmaStand
	uspacy   uspacyStand
	intandem intandemStand
	uchat    uchatStand
}

type elmaStand struct {
	platform   *elma.Platform
	connection client.Connection
	channel    *elma.Channel
}

type uspacyStand struct {
	platform   *uspacyland.Platform
	connection client.Connection
	portal     *uspacyland.Portal
}

type intandemStand struct {
	platform   *tandem.Platform
	connection client.Connection
	channel    *tandem.Channel
}

type uchatStand struct {
	platform   *uchatland.Platform
	connection client.Connection
	bot        *uchatland.Workspace
}

// unnamed is a platform that is reached at its address, and under no other name.
type unnamed struct{ *elma.Platform }

func (u unnamed) Addr() string {
	at, err := url.Parse(u.URL())
	if err != nil {
		panic(err) // the emulator made it
	}
	return at.Host
}

func (unnamed) Names() []string { return nil }

// TestFourPlatforms has one host with all four plugins: making one takes longer than most of
// what is tried on it.
func TestFourPlatforms(t *testing.T) {
	s := putUp(t, "--health.interval", "2s", "--health.failures", "2")
	t.Run("every kind of part has its outcome", s.parts)
	t.Run("a bridge joins UChat and ELMA365", s.bridge)
	t.Run("health", s.health)
}

// putUp starts the platforms and a host, and connects it to each.
func putUp(t *testing.T, flags ...string) *stands {
	t.Helper()
	s := new(stands)
	s.start(t)
	s.theatre = play(t, []stage.Platform{unnamed{s.elma.platform}, s.uspacy.platform, s.intandem.platform, s.uchat.platform},
		[]string{"elma365", "uspacy", "intandem", "uchat"}, flags...)
	for _, err := range []error{s.joinELMA365(within(t)), s.joinUspacy(within(t)), s.joinInTandem(within(t)), s.joinUChat(within(t))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// start starts the platforms. They end after the host, and nothing may have broken their rules.
func (s *stands) start(t *testing.T) {
	var errs [4]error
	s.elma.platform, errs[0] = elma.Start(elma.Options{})
	s.uspacy.platform, errs[1] = uspacyland.Start(uspacyland.Options{})
	s.intandem.platform, errs[2] = tandem.Start(tandem.Options{})
	s.uchat.platform, errs[3] = uchatland.Start(uchatland.Options{})
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	for _, p := range []interface {
		Violations() []string
		Close() error
	}{s.elma.platform, s.uspacy.platform, s.intandem.platform, s.uchat.platform} {
		t.Cleanup(func() {
			if broken := p.Violations(); len(broken) > 0 {
				t.Errorf("a connector broke the protocol: %q", broken)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func (s *stands) joinELMA365(ctx context.Context) (err error) {
	e := &s.elma
	if e.connection, err = s.people.Connect(ctx, s.workspace.ID, e.platform, map[string]string{"unknown_chat": "accept"}); err != nil {
		return err
	}
	if e.channel, err = s.people.EnterSetup(ctx, s.workspace.ID, e.connection.ID, e.platform); err != nil {
		return err
	}
	return s.connected(ctx, &e.connection)
}

// app makes the operator's app with a platform.
func (s *stands) app(ctx context.Context, n client.NewApp, platform stage.Platform) (client.Connection, error) {
	app, err := s.people.Operator.CreateApp(ctx, n)
	if err != nil {
		return app, err
	}
	targets, err := stage.Target(platform)
	if err != nil {
		return app, err
	}
	return s.people.Operator.AllowPrivateTargets(ctx, domain.HostWorkspace, app.ID, targets)
}

func (s *stands) joinUspacy(ctx context.Context) error {
	u := &s.uspacy
	u.portal = u.platform.Portal("")
	app, err := s.app(ctx, client.NewApp{Plugin: "uspacy", Name: "Marketplace",
		Settings: map[string]string{"client_id": "app-1", "sns_topic_arns": u.platform.TopicARN()},
		Secrets:  map[string]string{"client_secret": "uspacy-client-secret"}}, u.platform)
	if err != nil {
		return err
	}
	u.platform.Register(app.ReceiveURL, app.ReceiveURL+"/sns")
	if _, err := u.platform.Subscribe(ctx); err != nil {
		return err
	}
	u.connection, err = s.people.Join(ctx, s.workspace.ID, client.NewConnection{Plugin: "uspacy", Name: "Portal", App: app.ID,
		Settings: map[string]string{"portal_url": "https://" + u.portal.Domain()}}, u.platform)
	if err != nil {
		return err
	}
	if _, err := u.portal.Install(ctx, uspacyland.Lifecycle{}); err != nil {
		return err
	}
	_, err = s.people.Operator.Assign(ctx, app.ID, client.Assignment{Key: "portal:" + u.portal.Domain(), Workspace: s.workspace.ID, Connection: u.connection.ID})
	return errors.Join(err, u.platform.WaitSubscribed(ctx), s.connected(ctx, &u.connection))
}

func (s *stands) joinInTandem(ctx context.Context) error {
	i := &s.intandem
	registered, business := i.platform.AddApp(tandem.AppOptions{}), i.platform.AddBusiness("")
	app, err := s.app(ctx, client.NewApp{Plugin: "intandem", Name: "Communication",
		Settings: map[string]string{"client_id": registered.ClientID, "file_hosts": tandem.APIHost},
		Secrets:  map[string]string{"client_secret": registered.Secret}}, i.platform)
	if err != nil {
		return err
	}
	registered.Register(app.ReceiveURL)
	i.connection, err = s.people.Join(ctx, s.workspace.ID, client.NewConnection{Plugin: "intandem", Name: "Salon", App: app.ID,
		Settings: map[string]string{"business_uid": business.UID}}, i.platform)
	if err != nil {
		return err
	}
	link, err := s.people.Tenant.AuthorizeConnection(ctx, s.workspace.ID, i.connection.ID)
	if err != nil {
		return err
	}
	browser, err := stage.NewBrowser(i.platform)
	if err != nil {
		return err
	}
	defer browser.Close()
	if _, _, _, err = browser.Open(ctx, link.URL); err != nil {
		return err
	}
	i.channel, err = business.WaitChannel(ctx, registered)
	return errors.Join(err, s.connected(ctx, &i.connection))
}

func (s *stands) joinUChat(ctx context.Context) (err error) {
	u := &s.uchat
	u.bot = u.platform.Workspace("")
	settings := map[string]string{"workspace_id": u.bot.ID(), "signature_mode": "enforce"}
	u.connection, err = s.people.Join(ctx, s.workspace.ID, client.NewConnection{Plugin: "uchat", Name: "Bot", Settings: settings,
		Secrets: map[string]string{"partner_key": "pk_emulator", "flow_key": "fk_emulator"}}, u.platform)
	if err != nil {
		return err
	}
	// The first setup may have come before the platform's address was allowed.
	if _, err = s.people.Tenant.UpdateConnection(ctx, s.workspace.ID, u.connection.ID, client.ConnectionPatch{Settings: settings}); err != nil {
		return err
	}
	return errors.Join(u.bot.WaitVerified(ctx), s.connected(ctx, &u.connection))
}

// connected waits until a connection works, and reads it again.
func (s *stands) connected(ctx context.Context, c *client.Connection) error {
	err := stage.Poll(ctx, c.Plugin+" to be connected", func() (ok bool, err error) {
		*c, err = s.people.Tenant.Connection(ctx, s.workspace.ID, c.ID)
		return c.State == contract.StateConnected, err
	})
	return err
}

// received is what a platform got from customers.
type received struct {
	texts []string // of its messages, in order
	files []string // their contents
}

func (e elmaStand) received(*testing.T) (got received) {
	for _, session := range e.channel.Sessions() {
		for _, m := range session.Messages {
			got.texts = append(got.texts, m.Text)
			for _, f := range m.Files {
				got.files = append(got.files, string(f.Content))
			}
		}
	}
	return got
}

func (u uspacyStand) received(t *testing.T) (got received) {
	contents := map[int64]string{}
	for _, f := range u.portal.Files() {
		contents[f.ID] = string(f.Content)
	}
	for _, chat := range u.portal.Chats() {
		for _, m := range u.portal.Messages(chat.ID) {
			if m.ExternalAuthorID == "" {
				continue
			}
			got.texts = append(got.texts, m.Text)
			for _, raw := range m.AttachedFiles {
				var f uspacyland.File
				if err := json.Unmarshal(raw, &f); err != nil {
					t.Fatal(err)
				}
				got.files = append(got.files, contents[f.ID])
			}
		}
	}
	return got
}

var links = regexp.MustCompile(`http\S+/media/\S+`)

func (i intandemStand) received(t *testing.T) (got received) {
	for _, m := range i.channel.Messages(func(m tandem.Message) bool { return m.Direction != "business_to_client" }) {
		got.texts = append(got.texts, m.Text)
		for _, link := range links.FindAllString(m.Text, -1) {
			got.files = append(got.files, opened(t, link))
		}
	}
	return got
}

// opened is what a link leads to.
func opened(t *testing.T, link string) string {
	r, err := http.NewRequestWithContext(within(t), http.MethodGet, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }() // it was read to its end
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func (u uchatStand) received(*testing.T) (got received) {
	for _, m := range u.bot.Received() {
		got.texts = append(got.texts, m.Content)
		for _, a := range m.Attachments {
			got.files = append(got.files, string(a.Bytes))
		}
	}
	return got
}
