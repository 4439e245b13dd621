package storetest

import (
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// What is known of a connection in these claims.
var (
	refused = contract.StateChange{State: contract.StateNeedsAction, Code: "token_refused", Reason: "The platform refused the token.", Action: "Authorise it again."}
	unwell  = contract.StateChange{State: contract.StateDegraded, Code: "probe_failed", Reason: "The platform does not answer."}
)

// learn keeps what cause knows; nil clears it.
func (f *fixture) learn(cause domain.HealthCause, change *contract.StateChange) {
	f.t.Helper()
	f.ok(f.SetHealth(f.t.Context(), conA, cause, change, f.at))
}

// say has the plugin report a state of the connection.
func (f *fixture) say(change contract.StateChange) domain.DeliveryCommitted {
	f.t.Helper()
	return f.receive(contract.Event{Kind: contract.EventConnectionState, State: &change})
}

// states returns what the tenant was told of the connection's state, in order.
func (f *fixture) states() (states []contract.StateChange) {
	f.t.Helper()
	for _, e := range f.events(wsA) {
		if e.Data.State != nil && e.Connection == conA {
			states = append(states, *e.Data.State)
		}
	}
	return states
}

// actions returns how often the operator was told that somebody has to act.
func (f *fixture) actions() int {
	f.t.Helper()
	list, _, err := f.Notices(f.t.Context(), domain.NoticeFilter{Workspace: wsA, Kind: domain.NoticeNeedsAction}, domain.Page{})
	f.ok(err)
	return len(list)
}

// isIn reports a connection that is in another state than it should be.
func (f *fixture) isIn(want contract.StateChange) {
	f.t.Helper()
	c, err := f.Connection(f.t.Context(), conA)
	f.ok(err)
	if got := c.StateChange(); got != want {
		f.t.Errorf("the connection is in %+v, want %+v", got, want)
	}
}

var healthClaims = []claim{
	{"nobody has to act on what time may mend", func(t *testing.T, f *fixture) {
		f.learn(domain.CauseProbe, &unwell)
		if n := f.actions(); n != 0 {
			t.Errorf("the operator was told %d times to act", n)
		}
	}},
	{"a probe may find other capabilities, or say nothing of them", func(t *testing.T, f *fixture) {
		e := domain.Effects{Workspace: wsA, Connection: conA, At: f.at}
		found := []contract.Capability{{Feature: "text", Support: contract.SupportFull}}
		for _, said := range [][]contract.Capability{found, nil} {
			f.ok(f.CommitProbe(t.Context(), e, said))
			c, err := f.Connection(t.Context(), conA)
			if f.ok(err); len(c.Capabilities) != 1 || c.Capabilities[0].Feature != "text" {
				t.Errorf("after it said %+v they are %+v", said, c.Capabilities)
			}
		}
		e.Connection = unknownConnection
		f.fails("of an unknown connection", f.CommitProbe(t.Context(), e, found), domain.ErrNotFound)
	}},
	{"the worst that is known is the state, and goes when it is cleared", func(_ *testing.T, f *fixture) {
		connected := contract.StateChange{State: contract.StateConnected}
		f.say(connected)
		f.learn(domain.CauseProbe, &unwell)
		f.isIn(unwell)
		f.learn(domain.CauseCredentials, &refused)
		f.isIn(refused)
		f.learn(domain.CauseProbe, nil)
		f.isIn(refused)
		f.learn(domain.CauseCredentials, nil)
		f.isIn(connected)
	}},
	{"each change of state is one event, and what changes nothing is none", func(t *testing.T, f *fixture) {
		f.say(contract.StateChange{State: contract.StateConnected})
		f.learn(domain.CauseProbe, nil)
		for range 3 {
			f.learn(domain.CauseCredentials, &refused)
		}
		f.learn(domain.CauseProbe, &unwell) // hidden behind the credentials
		f.learn(domain.CauseCredentials, nil)
		f.learn(domain.CauseProbe, nil)
		want := []contract.StateChange{{State: contract.StateConnected}, refused, unwell, {State: contract.StateConnected}}
		if got := f.states(); !equal(got, want) {
			t.Errorf("the tenant was told %+v, want %+v", got, want)
		}
	}},
	{"what the plugin says is kept while something worse is known", func(t *testing.T, f *fixture) {
		f.learn(domain.CauseCredentials, &refused)
		if c := f.say(contract.StateChange{State: contract.StateConnected}); len(c.Events) != 0 {
			t.Errorf("it came to %+v, want no event", c.Events)
		}
		f.isIn(refused)
		f.learn(domain.CauseCredentials, nil)
		f.isIn(contract.StateChange{State: contract.StateConnected})
	}},
	{"the operator is told once that somebody has to act", func(t *testing.T, f *fixture) {
		f.learn(domain.CauseCredentials, &refused)
		f.learn(domain.CauseCredentials, &refused)
		f.say(contract.StateChange{State: contract.StateNeedsAction, Code: "no_line", Action: "Make a line."})
		if got := f.actions(); got != 1 {
			t.Errorf("%d notices, want 1", got)
		}
		f.learn(domain.CauseCredentials, nil)
		f.say(contract.StateChange{State: contract.StateConnected})
		f.say(contract.StateChange{State: contract.StateNeedsAction, Code: "no_line", Action: "Make a line."})
		if got := f.actions(); got != 2 {
			t.Errorf("%d notices, want 2: it had been well meanwhile", got)
		}
	}},
	{"its traffic is not touched", func(t *testing.T, f *fixture) {
		f.receive(f.text(chat, "m1", "hello"))
		seen := f.at
		f.tick(time.Hour)
		f.learn(domain.CauseProbe, &unwell)
		c, err := f.Connection(t.Context(), conA)
		f.ok(err)
		if !c.LastInboundAt.Equal(seen) || !c.UpdatedAt.Equal(f.at) {
			t.Errorf("last inbound %v and updated %v, want %v and %v", c.LastInboundAt, c.UpdatedAt, seen, f.at)
		}
	}},
	{"a cause that nobody has, and a plugin that says nothing, are refused", func(t *testing.T, f *fixture) {
		f.invalid("an unknown cause", f.SetHealth(t.Context(), conA, "rumour", &unwell, f.at))
		f.invalid("nothing said", f.SetHealth(t.Context(), conA, domain.CausePlugin, nil, f.at))
		f.fails("an unknown connection", f.SetHealth(t.Context(), unknownConnection, domain.CauseProbe, &unwell, f.at), domain.ErrNotFound)
	}},
}
