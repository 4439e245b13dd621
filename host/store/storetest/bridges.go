package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const (
	conA3  = contract.ConnectionID("con_a3")
	patch1 = domain.BridgeID("brg_1")
	patch2 = domain.BridgeID("brg_2")
)

// bridge patches two connections of workspace a together.
func (f *fixture) bridge(id domain.BridgeID, customers, agents contract.ConnectionID) error {
	f.t.Helper()
	return f.CreateBridge(f.t.Context(), domain.Bridge{ID: id, Workspace: wsA, Name: string(id), Customers: customers, Agents: agents,
		State: domain.BridgeActive, CreatedAt: f.at, UpdatedAt: f.at})
}

func (f *fixture) readBridge(id domain.BridgeID) domain.BridgeStatus {
	f.t.Helper()
	b, err := f.Bridge(f.t.Context(), wsA, id)
	f.ok(err)
	return b
}

// step is a step of the bridge as it stands, which forwards one message of connection a to
// its second one.
func (f *fixture) step(id domain.BridgeID, words string) domain.BridgeStep {
	f.t.Helper()
	b := f.readBridge(id)
	source := f.receive(f.text(chat, f.name("in"), words)).Events[0]
	send := f.sending(chat, words)
	send.Connection, send.Lane, send.Message.ID = conA2, domain.ConversationLane(conA2, chat), contract.MessageID(f.NewID("msg"))
	return domain.BridgeStep{
		Workspace: wsA, Bridge: id, Revision: b.Revision, After: b.Progress.Cursor, Cursor: source.Seq,
		Commands: []domain.BridgeCommand{{NewCommand: send}},
		Links:    []domain.BridgeLink{{Bridge: id, Customers: chat, Agents: otherChat, State: domain.LinkActive, CreatedAt: f.at}},
		Forwards: []domain.BridgeForward{{Bridge: id, Source: source.Data.Message.ID, Target: send.Message.ID, From: domain.CustomersSide}},
		Counts:   domain.BridgeCounts{Forwarded: 1},
		Notices:  []domain.Notice{{At: f.at, Kind: domain.NoticeBridgeSkipped, Workspace: wsA, Target: string(id)}},
	}
}

// carry commits a step.
func (f *fixture) carry(s domain.BridgeStep) []domain.Job {
	f.t.Helper()
	jobs, err := f.StepBridge(f.t.Context(), s)
	f.ok(err)
	return jobs
}

var bridgeClaims = []claim{
	{"a bridge begins after the newest event", func(t *testing.T, f *fixture) {
		f.receive(f.text(chat, "1", "before"))
		f.ok(f.bridge(patch1, conA, conA2))
		f.receive(f.text(chat, "2", "after"))
		if b := f.readBridge(patch1); b.Progress.Cursor != 1 || b.Progress.Behind != 1 || b.Name != "brg_1" {
			t.Errorf("the bridge is %+v", b)
		}
		f.fails("the same id", f.bridge(patch1, conA, conA2), domain.ErrExists)
		_, err := f.Bridge(t.Context(), wsB, patch1)
		f.fails("of another workspace", err, domain.ErrNotFound)
		f.fails("a foreign connection", f.bridge(patch2, conA, conB), domain.ErrNotFound)
	}},
	{"bridges make no circle", func(t *testing.T, f *fixture) {
		f.ok(f.CreateConnection(t.Context(), domain.Connection{ID: conA3, Workspace: wsA, Endpoint: "endpoint-a3"}, nil))
		f.ok(f.bridge(patch1, conA, conA2))
		f.invalid("the other way round", f.bridge(patch2, conA2, conA))
		f.invalid("with itself", f.bridge(patch2, conA3, conA3))
		f.ok(f.bridge(patch2, conA2, conA3))
		f.invalid("a triangle", f.bridge("brg_3", conA3, conA))
		f.ok(f.DeleteBridge(t.Context(), wsA, patch1))
		f.ok(f.bridge("brg_3", conA3, conA))
		all, _, err := f.Bridges(t.Context(), wsA, domain.Page{})
		f.ok(err)
		count, err := f.CountBridges(t.Context(), wsA)
		f.ok(err)
		if len(all) != 2 || all[0].ID != patch2 || all[1].ID != "brg_3" || count != 2 {
			t.Errorf("bridges %+v, counted %d", all, count)
		}
		spaces, err := f.BridgedWorkspaces(t.Context())
		f.ok(err)
		if !slices.Equal(spaces, []contract.WorkspaceID{wsA}) {
			t.Errorf("bridged are %q", spaces)
		}
	}},
	{"a step is kept whole", func(t *testing.T, f *fixture) {
		f.ok(f.bridge(patch1, conA, conA2))
		s := f.step(patch1, "hello")
		jobs := f.carry(s)
		if len(jobs) != 1 || jobs[0].Connection != conA2 || jobs[0].Command.Message.ID != s.Forwards[0].Target {
			t.Fatalf("queued %+v", jobs)
		}
		link, err := f.BridgeLink(t.Context(), patch1, domain.AgentsSide, otherChat)
		f.ok(err)
		same, err := f.BridgeLink(t.Context(), patch1, domain.CustomersSide, chat)
		f.ok(err)
		if link.Customers != chat || same.Agents != otherChat {
			t.Errorf("links %+v, %+v", link, same)
		}
		_, err = f.BridgeLink(t.Context(), patch1, domain.AgentsSide, chat)
		f.fails("a conversation without a link", err, domain.ErrNotFound)
		forward, err := f.BridgeForward(t.Context(), patch1, s.Forwards[0].Source)
		f.ok(err)
		back, err := f.BridgeForwardOf(t.Context(), patch1, s.Forwards[0].Target)
		f.ok(err)
		if forward != s.Forwards[0] || back != forward {
			t.Errorf("forwards %+v, %+v", forward, back)
		}
		_, err = f.BridgeForwardOf(t.Context(), patch2, s.Forwards[0].Target)
		f.fails("another bridge's", err, domain.ErrNotFound)
		if b := f.readBridge(patch1); b.Progress.Cursor != s.Cursor || b.Progress.Counts.Forwarded != 1 {
			t.Errorf("progress %+v", b.Progress)
		}
	}},
	{"a step that was decided too long ago changes nothing", func(t *testing.T, f *fixture) {
		f.ok(f.bridge(patch1, conA, conA2))
		stale := f.step(patch1, "one")
		f.carry(stale)
		_, err := f.StepBridge(t.Context(), stale)
		f.fails("the same step again", err, domain.ErrConflict)
		next := f.step(patch1, "two")
		_, err = f.UpdateBridge(t.Context(), wsA, patch1, func(b *domain.Bridge) error { b.Name = "renamed"; return nil })
		f.ok(err)
		_, err = f.StepBridge(t.Context(), next)
		f.fails("after a change", err, domain.ErrConflict)
		next = f.step(patch1, "three")
		_, err = f.UpdateBridge(t.Context(), wsA, patch1, func(b *domain.Bridge) error { b.State = domain.BridgePaused; return nil })
		f.ok(err)
		_, err = f.StepBridge(t.Context(), next)
		f.fails("of a paused bridge", err, domain.ErrConflict)
		f.ok(f.DeleteBridge(t.Context(), wsA, patch1))
		_, err = f.StepBridge(t.Context(), next)
		f.fails("of a bridge that is gone", err, domain.ErrNotFound)
		jobs, _, err := f.Jobs(t.Context(), domain.JobFilter{Connection: conA2}, domain.Page{})
		f.ok(err)
		if len(jobs) != 1 {
			t.Errorf("%d commands were queued", len(jobs))
		}
	}},
	{"of two steps at once, one is kept", func(t *testing.T, f *fixture) {
		f.ok(f.bridge(patch1, conA, conA2))
		s := f.step(patch1, "hello")
		errs := make([]error, 16)
		together(len(errs), func(i int) {
			mine := s
			mine.Forwards, mine.Commands = nil, []domain.BridgeCommand{{NewCommand: f.sending(chat, fmt.Sprint(i))}}
			_, errs[i] = f.StepBridge(t.Context(), mine)
		})
		kept := 0
		for _, err := range errs {
			if err == nil {
				kept++
				continue
			}
			f.fails("a step that came second", err, domain.ErrConflict)
		}
		if got := f.readBridge(patch1).Progress.Counts.Forwarded; kept != 1 || got != 1 {
			t.Errorf("%d steps were kept, and %d counted", kept, got)
		}
	}},
	{"a command may wait, or stand back behind another", func(t *testing.T, f *fixture) {
		f.ok(f.bridge(patch1, conA, conA2))
		s := f.step(patch1, "hello")
		s.Commands[0].NotBefore = f.at.Add(time.Minute)
		typing := s.Commands[0]
		typing.Message, typing.IfIdle = nil, true
		typing.Command = domain.Command{Export: contract.ExportSendTyping}
		free := typing
		free.Lane = domain.TypingLane(conA2, chat)
		s.Commands = append(s.Commands, typing, free, free)
		jobs := f.carry(s)
		if len(jobs) != 2 || !jobs[0].NotBefore.Equal(f.at.Add(time.Minute)) || jobs[1].Lane != free.Lane {
			t.Errorf("queued %+v", jobs)
		}
	}},
	{"stopped links start again with the bridge", func(t *testing.T, f *fixture) {
		f.ok(f.bridge(patch1, conA, conA2))
		s := f.step(patch1, "hello")
		s.Links[0].State, s.Links[0].StateReason = domain.LinkStopped, "it went round"
		s.Links[0].Watch = domain.BridgeWatch{Signs: []time.Time{f.at}}
		f.carry(s)
		set := func(state domain.BridgeState) domain.BridgeLink {
			_, err := f.UpdateBridge(t.Context(), wsA, patch1, func(b *domain.Bridge) error { b.State = state; return nil })
			f.ok(err)
			links, _, err := f.BridgeLinks(t.Context(), wsA, patch1, domain.Page{})
			f.ok(err)
			return links[0]
		}
		if link := set(domain.BridgePaused); link.State != domain.LinkStopped {
			t.Errorf("after a pause the link is %+v", link)
		}
		if link := set(domain.BridgeActive); link.State != domain.LinkActive || link.StateReason != "" || len(link.Watch.Signs) > 0 {
			t.Errorf("when active again the link is %+v", link)
		}
		_, _, err := f.BridgeLinks(t.Context(), wsB, patch1, domain.Page{})
		f.fails("from another workspace", err, domain.ErrNotFound)
	}},
	{"a connection that goes pauses its bridges", func(t *testing.T, f *fixture) {
		f.ok(f.bridge(patch1, conA, conA2))
		f.carry(f.step(patch1, "hello"))
		f.ok(f.DeleteConnection(t.Context(), conA2))
		b := f.readBridge(patch1)
		if b.State != domain.BridgePaused || b.StateReason == "" {
			t.Errorf("the bridge is %+v", b.Bridge)
		}
		_, err := f.UpdateBridge(t.Context(), wsA, patch1, func(b *domain.Bridge) error { b.State = domain.BridgeActive; return nil })
		f.fails("setting it active", err, domain.ErrNotFound)
		f.ok(f.DeleteBridge(t.Context(), wsA, patch1))
		f.fails("deleting it twice", f.DeleteBridge(t.Context(), wsA, patch1), domain.ErrNotFound)
	}},
	{"messages and conversations are found by name", func(t *testing.T, f *fixture) {
		f.receive(f.text(chat, "platform-1", "hello"))
		m, err := f.MessageNamed(t.Context(), conA, "platform-1")
		f.ok(err)
		known, err := f.KnowsConversation(t.Context(), wsA, conA, chat)
		f.ok(err)
		other, err := f.KnowsConversation(t.Context(), wsA, conA2, chat)
		f.ok(err)
		if m.PlatformID != "platform-1" || !known || other {
			t.Errorf("found %+v, known %t and on the other connection %t", m, known, other)
		}
		_, err = f.MessageNamed(t.Context(), conA2, "platform-1")
		f.fails("on another connection", err, domain.ErrNotFound)
	}},
}
