package bridges_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed75a60ee1/patchbay/host/bridges"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// dying is a store whose host is killed at a step: before it is kept, or after it is and
// before the room hears of it.
type dying struct {
	*store.Store
	before, after bool
}

var errKilled = errors.New("the host was killed")

func (d *dying) StepBridge(ctx context.Context, step domain.BridgeStep) ([]domain.Job, error) {
	if d.before {
		return nil, errKilled
	}
	jobs, err := d.Store.StepBridge(ctx, step)
	if d.after {
		return nil, errKilled
	}
	return jobs, err
}

// place is one conversation of one connection.
type place struct {
	connection   contract.ConnectionID
	conversation contract.ConversationID
}

// model is what must be true, however the world is treated: on the other side of each
// conversation arrives what was written, once and in order.
type model struct {
	*world
	bridge  domain.BridgeID
	written map[place][]string
	count   int
}

// other is where the messages of a place arrive. A shop's conversations have the same
// names at the desk.
func (p place) other() place {
	if p.connection == shop {
		return place{desk, p.conversation}
	}
	return place{shop, p.conversation}
}

func (m *model) write(t *rapid.T) {
	p := place{shop, rapid.SampledFrom([]contract.ConversationID{"a", "b", "c"}).Draw(t, "conversation")}
	role := contract.RoleCustomer
	if len(m.arrived()[p.other()]) > 0 && rapid.Bool().Draw(t, "answer") {
		p.connection, role = desk, contract.RoleAgent
	}
	m.count++
	line := fmt.Sprint("line ", m.count)
	m.writes(p.connection, p.conversation, role, line)
	m.written[p] = append(m.written[p], line)
}

// deliverOne runs the first job of a random lane.
func (m *model) deliverOne(t *rapid.T) {
	var heads []string
	seen := map[string]bool{}
	m.ok(m.store.QueuedTickets(m.ctx, func(ticket domain.Ticket) error {
		if !seen[ticket.Lane] && !ticket.NotBefore.After(m.clock()) {
			heads = append(heads, ticket.ID)
		}
		seen[ticket.Lane] = true
		return nil
	}))
	if len(heads) == 0 {
		t.Skip("nothing is queued")
	}
	job, err := m.store.Job(m.ctx, rapid.SampledFrom(heads).Draw(t, "job"))
	m.ok(err)
	m.ok(m.run(job))
}

// kill has the host die in the middle of a step.
func (m *model) kill(t *rapid.T) {
	after := rapid.Bool().Draw(t, "after the step was kept")
	room := bridges.New(m.options(&dying{Store: m.store, before: !after, after: after}))
	if err := room.Round(m.ctx, ws); err != nil && !errors.Is(err, errKilled) {
		t.Fatalf("%v", err)
	}
	m.restart()
}

func (m *model) setState(state domain.BridgeState) func(*rapid.T) {
	return func(*rapid.T) { m.update(m.bridge, bridges.Patch{State: &state}) }
}

// arrived sorts what arrived by place. Nothing but messages is ever sent in this world,
// for its plugins can do nothing else.
func (m *model) arrived() map[place][]string {
	got := map[place][]string{}
	for _, line := range m.said {
		where, words, _ := strings.Cut(line, ": ")
		at, _, _ := strings.Cut(where, " ")
		connection, conversation, _ := strings.Cut(at, "/")
		p := place{contract.ConnectionID("con_" + connection), contract.ConversationID(conversation)}
		got[p] = append(got[p], words)
	}
	return got
}

// check is called after every action: what arrived so far is the beginning of what was
// written.
func (m *model) check(t *rapid.T) {
	for p, lines := range m.arrived() {
		want := m.written[p.other()]
		if len(lines) > len(want) || !slices.Equal(lines, want[:len(lines)]) {
			t.Fatalf("at %v arrived %q, and written was %q", p, lines, want)
		}
	}
}

// settle lets everything come to rest, and wants that all has arrived.
func (m *model) settle(t *rapid.T) {
	m.setState(domain.BridgeActive)(t)
	m.carry()
	m.pass(time.Hour)
	m.deliver()
	m.check(t)
	got := m.arrived()
	for p, want := range m.written {
		if !slices.Equal(got[p.other()], want) {
			t.Fatalf("in the end at %v arrived %q, and written was %q", p.other(), got[p.other()], want)
		}
	}
}

func TestEveryMessageIsForwardedOnceAndInOrder(t *testing.T) {
	dir, runs := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		w := newWorldAt(rt, t.Context(), filepath.Join(dir, fmt.Sprintf("%d.db", runs)))
		defer w.close()
		for plugin := range w.exports {
			w.exports[plugin] = []contract.Export{contract.ExportSendMessage}
		}
		m := &model{world: w, bridge: w.bridge(shop, desk).ID, written: map[place][]string{}}
		write := m.write
		rt.Repeat(map[string]func(*rapid.T){
			"":            m.check,
			"write":       write,
			"write more":  write,
			"carry":       func(*rapid.T) { w.carry() },
			"deliver one": m.deliverOne,
			"restart":     func(*rapid.T) { w.restart() },
			"kill":        m.kill,
			"pause":       m.setState(domain.BridgePaused),
			"resume":      m.setState(domain.BridgeActive),
			"wait":        func(*rapid.T) { w.pass(time.Minute) },
		})
		m.settle(rt)
	})
}
