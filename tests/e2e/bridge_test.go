package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// patched is a scene with a second connection, and a bridge from the first to it.
type patched struct {
	*scene
	other   client.Connection
	channel *emulator.Channel // of the other connection
	bridge  client.Bridge
}

func patch(t *testing.T) *patched {
	t.Helper()
	p := &patched{scene: set(t, emulate(t, emulator.Options{}), map[string]string{"unknown_chat": "accept"})}
	var err error
	if p.other, err = p.people.Connect(within(t), p.workspace.ID, p.platform, map[string]string{"unknown_chat": "accept"}); err != nil {
		t.Fatal(err)
	}
	if p.channel, err = p.people.EnterSetup(within(t), p.workspace.ID, p.other.ID, p.platform); err != nil {
		t.Fatal(err)
	}
	p.await("the other connection to be connected", stage.State(p.other.ID, contract.StateConnected))
	p.bridge, err = p.people.Tenant.CreateBridge(within(t), p.workspace.ID, client.NewBridge{Name: "patch", Customers: p.connection.ID, Agents: p.other.ID})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// says has somebody say something on a channel of the platform.
func (p *patched) says(c *emulator.Channel, text string) {
	p.t.Helper()
	answer, err := c.Reply(within(p.t), emulator.Reply{Chat: "chat-1", Text: text})
	if err != nil || !answer.OK() {
		p.t.Fatalf("%q was answered %d, %v", text, answer.Status, err)
	}
}

// hears waits until a channel has a message, and checks that it has it once.
func (p *patched) hears(c *emulator.Channel, text string) {
	p.t.Helper()
	if _, err := c.WaitMessage(within(p.t), func(m emulator.Message) bool { return m.Text == text }); err != nil {
		p.t.Fatalf("%q never arrived: %v", text, err)
	}
}

func TestABridgeCarriesAConversationThroughRestarts(t *testing.T) {
	p := patch(t)
	first, second := p.scene.channel, p.channel
	for i := range 3 {
		p.says(first, fmt.Sprint("question ", i))
		p.hears(second, fmt.Sprint("question ", i))
		p.says(second, fmt.Sprint("answer ", i))
		p.hears(first, fmt.Sprint("answer ", i))
		p.kill()
		p.restart()
	}
	p.wantCounts(domain.BridgeCounts{Forwarded: 6})
	links, err := p.people.Tenant.BridgeLinks(within(t), p.workspace.ID, p.bridge.ID, domain.Page{})
	if err != nil || len(links.Items) != 1 || links.Items[0].Customers != "chat-1" || links.Items[0].Agents != "chat-1" {
		t.Errorf("the links are %+v, %v", links.Items, err)
	}
	for _, of := range []struct {
		channel *emulator.Channel
		word    string
	}{{first, "answer"}, {second, "question"}} {
		session, _ := of.channel.Session("chat-1")
		var got []string
		for _, m := range session.Messages {
			got = append(got, m.Text)
		}
		if want := []string{of.word + " 0", of.word + " 1", of.word + " 2"}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("arrived %q, want %q", got, want)
		}
	}
	if out, err := p.cli("bridge", "delete", "--workspace", string(p.workspace.ID), string(p.bridge.ID)); err != nil {
		t.Errorf("%s%v", out, err)
	}
}

// wantCounts waits until the bridge has come to the newest event, and compares the
// messages it has forwarded and left out.
func (p *patched) wantCounts(want domain.BridgeCounts) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx := within(p.t); ; {
		got, err := p.people.Tenant.Bridge(ctx, p.workspace.ID, p.bridge.ID)
		if err != nil {
			p.t.Fatal(err)
		}
		if got.Behind == 0 {
			got.Counts.Receipts = 0 // as many as the platform reported statuses
			if got.Counts != want {
				p.t.Errorf("the bridge counted %+v, want %+v", got.Counts, want)
			}
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			p.t.Fatalf("the bridge stays %d events behind", got.Behind)
		}
	}
}
