package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/intandem/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

var mediaLinks = regexp.MustCompile(`https?://\S+/media/\S+`)

// hasty has every callback come before the answer to the call that it is about, twice.
func (p *parlour) hasty() {
	for _, op := range []string{emulator.OpCreateChannel, emulator.OpCreateSession, emulator.OpUpdateSession, emulator.OpCreateMessage} {
		p.platform.Script(emulator.Step{Op: op, CallbackFirst: true, Repeats: 1})
	}
	s := p.open(nil)
	id := s.write("hasty", "Hello?")
	s.took(id)
	s.await("delivered", stage.Status(id, contract.MessageDelivered))
	if n := len(p.channelsOf(s.business)); n != 1 || s.channel.Session("hasty").State() != "active" {
		p.t.Errorf("%d channels, and the session is %s", n, s.channel.Session("hasty").State())
	}
}

func (p *parlour) sessions() {
	s := p.open(nil)
	p.platform.Script(emulator.Step{Op: emulator.OpUpdateSession, Outcome: "inactive", CallbackFirst: true})
	began := time.Now()
	refused := s.write("refused once", "one")
	second := s.write("refused once", "two")
	s.poll("the refusal", func() (bool, error) { return p.platform.Unplayed() == 0, nil })

	known := s.business.AddClient(emulator.Client{FirstName: "Ona", Phone: phoneOf("there already")})
	s.channel.AddSession(known.ID, "there already", "inactive")
	s.took(s.write("there already", "hello"))

	p.platform.Script(emulator.Step{Op: emulator.OpCreateSession, HangUp: true, Process: true})
	s.took(s.write("lost answer", "hello"))

	p.platform.Script(emulator.Step{Op: emulator.OpCreateSession, Outcome: "failed"})
	failed := s.write("cannot be", "hello")
	e := s.await("the failure", stage.Status(failed, contract.MessageFailed))
	if f := e.Data.Status.Failure; f == nil || f.Code != "session_failed" {
		p.t.Errorf("it failed with %+v", f)
	}

	s.took(second)
	if took := time.Since(began); took < 5*time.Second || took > 20*time.Second {
		p.t.Errorf("the session was asked for again after %v, want about 5 s", took)
	}
	if m := s.took(refused); m.Text != "one" {
		p.t.Errorf("the first message is %+v", m)
	}
	s.inOrder("refused once", "one", "two")
}

// inOrder waits until inTandem took as many messages of a conversation, and expects these in
// this order.
func (s *salon) inOrder(chat string, want ...string) {
	s.t.Helper()
	var got []string
	s.until("the messages to be taken", func() bool {
		got = s.posted(chat)
		return len(got) >= len(want)
	})
	if !slices.Equal(got, want) {
		s.t.Errorf("they were posted as %q, want %q", got, want)
	}
}

// posted lists the texts of the messages of a conversation that inTandem took, in order.
func (s *salon) posted(chat string) (texts []string) {
	for _, e := range s.platform.Of(emulator.OpCreateMessage) {
		var m struct {
			Channel string `json:"channel_uid"`
			Chat    string `json:"external_uid"`
			Text    string `json:"message"`
		}
		if json.Unmarshal(e.Body, &m) == nil && m.Channel == s.channel.UID && m.Chat == chat && e.Status == http.StatusCreated {
			texts = append(texts, m.Text)
		}
	}
	return texts
}

func (p *parlour) channels() {
	s := p.open(nil)
	s.took(s.write("patient", "zero"))
	p.told(s.channel.SetState(p.ctx(), "inactive"))
	s.stands(s.connection.ID, contract.StateDegraded, "channel_inactive")
	var ids []contract.MessageID
	for _, text := range []string{"one", "two", "three"} {
		ids = append(ids, s.write("patient", text))
	}
	s.poll("the first to wait", func() (bool, error) {
		return slices.ContainsFunc(s.commands(client.CommandFilter{Connection: s.connection.ID}), func(c client.Command) bool {
			return c.Failure != nil && c.Failure.Code == "channel_inactive"
		}), nil
	})
	p.told(s.channel.SetState(p.ctx(), "active"))
	s.stands(s.connection.ID, contract.StateConnected, "channel_active")
	for _, id := range ids {
		s.took(id)
	}
	s.inOrder("patient", "zero", "one", "two", "three")
	p.told(s.channel.SetState(p.ctx(), "blocked"))
	h := s.stands(s.connection.ID, contract.StateNeedsAction, "channel_blocked")
	if !strings.Contains(h.Action, "Ask inTandem") {
		p.t.Errorf("the action is %q", h.Action)
	}
	blocked := s.write("patient", "never")
	s.await("the failure", stage.Status(blocked, contract.MessageFailed))
	p.told(s.channel.SetState(p.ctx(), "active"))
	s.stands(s.connection.ID, contract.StateConnected, "channel_active")
	s.took(s.write("patient", "again"))
}

// unclear loses the answer to the creation of a channel: what comes for it waits until an
// operator says whose it is, and comes then in order.
func (p *parlour) unclear() {
	s := p.found(nil)
	p.platform.Script(emulator.Step{Op: emulator.OpCreateChannel, HangUp: true, Process: true})
	s.allow()
	s.stands(s.connection.ID, contract.StateNeedsAction, "channel_unclear")
	p.until("the channel is there", func() bool { return s.business.Channel(p.registered) != nil })
	s.channel = s.business.Channel(p.registered)
	var said []string
	for i := range 3 {
		said = append(said, fmt.Sprint("while nobody knew ", i))
		s.says(emulator.Say{External: "early", Text: said[i]})
	}
	key := "channel:" + s.channel.UID
	s.poll("all to be parked", func() (bool, error) {
		waiting, err := p.people.Operator.Unclaimed(p.ctx(), p.app.ID, domain.Page{})
		i := slices.IndexFunc(waiting.Items, func(u client.Unclaimed) bool { return u.Key == key })
		return i >= 0 && waiting.Items[i].Deliveries == 4, err
	})
	mine := client.Assignment{Key: key, Workspace: s.workspace.ID, Connection: s.connection.ID}
	if _, err := p.people.Tenant.Assign(p.ctx(), p.app.ID, mine); err == nil {
		p.t.Error("a tenant assigned a channel to himself")
	}
	if n, err := p.people.Operator.Assign(p.ctx(), p.app.ID, mine); err != nil || n != 4 {
		p.t.Errorf("%d deliveries were handed over (%v)", n, err)
	}
	s.stands(s.connection.ID, contract.StateConnected, "channel_active")
	s.says(emulator.Say{External: "early", Text: "and after"})
	s.inbound(s.connection.ID, "and after")
	if heard := s.heard(s.connection.ID); !slices.Equal(heard, append(said, "and after")) {
		p.t.Errorf("the tenant heard %q", heard)
	}
	if n := len(p.channelsOf(s.business)); n != 1 {
		p.t.Errorf("%d channels were made", n)
	}
}

// rates sends more than inTandem takes, in two connections at once.
func (p *parlour) rates() {
	two := []*salon{p.open(nil), p.open(nil)}
	for _, s := range two {
		for chat := range 2 {
			s.took(s.write(fmt.Sprint("rate", chat), "first"))
		}
	}
	seen := len(p.platform.Exchanges())
	var ids [2][]contract.MessageID
	for i := range 20 {
		s := two[i%2]
		ids[i%2] = append(ids[i%2], s.write(fmt.Sprint("rate", i/2%2), fmt.Sprint("number ", i)))
	}
	for i, s := range two {
		for _, id := range ids[i] {
			s.took(id)
		}
	}
	var all []time.Time
	each := map[string][]time.Time{}
	for _, e := range p.platform.Exchanges()[seen:] {
		if !strings.HasPrefix(e.Op, "callback") {
			all = append(all, e.At)
		}
		for _, s := range two {
			if e.Op == emulator.OpCreateMessage && strings.Contains(string(e.Body), s.channel.UID) {
				each[s.channel.UID] = append(each[s.channel.UID], e.At)
			}
		}
	}
	if n := busiest(all); n > 8 {
		p.t.Errorf("%d requests of the app within a second", n)
	}
	for uid, times := range each {
		if n := busiest(times); n > 5 || len(times) != 10 {
			p.t.Errorf("channel %s: %d messages, %d within a second", uid, len(times), n)
		}
	}
}

// busiest is how many of some times fall within nearly one second: on a busy machine requests
// close up on their way.
func busiest(times []time.Time) (most int) {
	slices.SortFunc(times, time.Time.Compare)
	for i := range times {
		j := i
		for j < len(times) && times[j].Sub(times[i]) < 800*time.Millisecond {
			j++
		}
		most = max(most, j-i)
	}
	return most
}

// tokens ends every token while messages go out on two connections: each is renewed once.
func (p *parlour) tokens() {
	two := []*salon{p.open(nil), p.open(nil)}
	for _, s := range two {
		s.took(s.write("talk", "before"))
	}
	service, renewals := len(p.platform.Of(emulator.OpServiceToken)), len(p.platform.Of(emulator.OpToken))
	p.registered.ExpireTokens()
	for _, s := range two {
		for i := range 3 {
			s.took(s.write("talk", fmt.Sprint("after ", i)))
		}
		s.took(s.write("somebody new", "hello")) // the search for the client takes the business's token
	}
	for _, s := range two {
		s.inOrder("talk", "before", "after 0", "after 1", "after 2")
		s.stands(s.connection.ID, contract.StateConnected, "")
	}
	if n := len(p.platform.Of(emulator.OpServiceToken)) - service; n != 1 {
		p.t.Errorf("the service token was renewed %d times", n)
	}
	if n := len(p.platform.Of(emulator.OpToken)) - renewals; n != 2 {
		p.t.Errorf("two businesses' tokens were renewed %d times", n)
	}
}

// tenants has two tenants use the app with the same names for everything.
func (p *parlour) tenants() {
	mine, theirs := p.open(nil), p.as(p.tenant("Rival", "intandem")).open(nil)
	for i, s := range []*salon{mine, theirs} {
		id := s.write("same", fmt.Sprint("from tenant ", i))
		s.took(id)
		s.says(emulator.Say{External: "same", Text: fmt.Sprint("to tenant ", i), UID: "same-uid"})
		s.inbound(s.connection.ID, fmt.Sprint("to tenant ", i))
		s.await("delivered", stage.Status(id, contract.MessageDelivered))
	}
	for i, s := range []*salon{mine, theirs} {
		if heard := s.heard(s.connection.ID); !slices.Equal(heard, []string{fmt.Sprint("to tenant ", i)}) {
			p.t.Errorf("tenant %d heard %q", i, heard)
		}
		s.inOrder("same", fmt.Sprint("from tenant ", i))
	}
	if _, err := theirs.people.Tenant.Connection(p.ctx(), theirs.workspace.ID, mine.connection.ID); err == nil {
		p.t.Error("the rival sees the connection")
	}
	thief := theirs.join(client.NewConnection{Plugin: "intandem", Name: "Theft", App: p.app.ID, Settings: map[string]string{"business_uid": mine.business.UID}}, p.platform)
	stolen := &salon{parlour: theirs.parlour, business: theirs.business, connection: thief}
	theirs.business.SignIn()
	p.shown(p.browser(), stolen.begin(), http.StatusBadGateway, "Not authorised")
	stolen.noTokens()
	mine.stands(mine.connection.ID, contract.StateConnected, "")
}

// ends moves a channel to another app, and removes a connection.
func (p *parlour) ends() {
	moved, removed := p.open(nil), p.open(nil)
	other := p.platform.AddApp(emulator.AppOptions{Base: p.app.ReceiveURL + "/nowhere"})
	settings := map[string]string{"business_uid": moved.business.UID, "move_to_app": other.CodeName}
	if _, err := p.people.Tenant.UpdateConnection(p.ctx(), p.workspace.ID, moved.connection.ID, client.ConnectionPatch{Settings: settings}); err != nil {
		p.t.Fatal(err)
	}
	moved.stands(moved.connection.ID, contract.StateDisconnected, "channel_moved")
	if moved.business.Channel(other) == nil || moved.business.Channel(p.registered) != nil {
		p.t.Error("inTandem did not move the channel")
	}
	late := moved.write("late", "too late")
	moved.await("the failure", stage.Status(late, contract.MessageFailed))

	removed.took(removed.write("bye", "bye"))
	_, before := p.registered.Tokens()
	if _, err := p.people.Tenant.RemoveConnection(p.ctx(), p.workspace.ID, removed.connection.ID); err != nil {
		p.t.Fatal(err)
	}
	p.until("channel and token to be gone", func() bool {
		_, now := p.registered.Tokens()
		return removed.channel.State() == "deleted" && now == before-1
	})
	removed.poll("the connection to be gone", func() (bool, error) {
		_, err := p.people.Tenant.Connection(p.ctx(), p.workspace.ID, removed.connection.ID)
		return err != nil, nil
	})
}

// refused has inTandem refuse the app's secret: the operator is told, and mends it.
func (p *parlour) refused() {
	s := p.open(nil)
	s.took(s.write("talk", "before"))
	rotate := func(secret string) {
		if err := p.people.Operator.RotateAppSecret(p.ctx(), p.app.ID, "client_secret", secret, 0); err != nil {
			p.t.Fatal(err)
		}
	}
	rotate("not-the-secret")
	p.registered.ExpireTokens()
	id := s.write("talk", "while it is refused")
	s.poll("the app to need an action", func() (bool, error) {
		app, err := p.people.Operator.App(p.ctx(), p.app.ID)
		return app.State == contract.StateNeedsAction, err
	})
	notices, err := p.people.Operator.Notices(p.ctx(), domain.HostWorkspace, client.NoticeFilter{Kind: domain.NoticeNeedsAction})
	if err != nil || !slices.ContainsFunc(notices.Items, func(n domain.Notice) bool { return n.Connection == p.app.ID }) {
		p.t.Errorf("the operator has the notices %+v (%v)", notices.Items, err)
	}
	if asked := len(p.platform.Of(emulator.OpServiceToken)); asked > 40 {
		p.t.Errorf("the token was asked for %d times", asked)
	}
	rotate(p.registered.Secret)
	if _, err := p.people.Operator.RefreshAppCredentials(p.ctx(), p.app.ID); err != nil {
		p.t.Fatal(err)
	}
	s.poll("the app to be mended", func() (bool, error) {
		app, err := p.people.Operator.App(p.ctx(), p.app.ID)
		return app.State == contract.StateConnected, err
	})
	if _, err := p.people.Tenant.RetryCommands(p.ctx(), p.workspace.ID, client.ParkedCommands{Connection: s.connection.ID}); err != nil {
		p.t.Error(err)
	}
	s.took(id)
	s.took(s.write("talk", "after"))
	s.inOrder("talk", "before", "while it is refused", "after")
}
