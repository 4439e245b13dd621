package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	elma "github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
	uchatland "github.com/seed75a60ee1/patchbay/plugins/uchat/emulator"
)

// bridging is a conversation that goes over a bridge between UChat's bot and ELMA365's operators.
type bridging struct {
	*stands
	t      *testing.T
	bridge client.Bridge
	// first is what the customer wrote, by which the bot knows them.
	first uchatland.Incoming
	// chat is the conversation's name in ELMA365.
	chat string
}

func (s *stands) bridge(t *testing.T) {
	b := &bridging{stands: s, t: t}
	b.open()
	b.botSays(uchatland.Message{Text: "A customer asks for a human"}, "A customer asks for a human", "")
	b.operatorSays(elma.Reply{Text: "Here I am"}, func(m uchatland.Incoming) bool { return m.Content == "Here I am" })

	b.botSays(uchatland.Message{File: &uchatland.File{Kind: "image", Name: "mug.gif", MIME: "image/gif", Content: []byte("GIF89a a broken mug")}},
		"", "GIF89a a broken mug")
	b.operatorSays(elma.Reply{Text: "Like this?", Files: []elma.File{{Name: "new.gif", Content: []byte("GIF89a a new mug")}}},
		func(m uchatland.Incoming) bool {
			return len(m.Attachments) == 1 && string(m.Attachments[0].Bytes) == "GIF89a a new mug"
		})

	b.botSays(uchatland.Message{Text: "Send a new one?", Buttons: []uchatland.Button{{Title: "Yes", Payload: "f12|yes"}, {Title: "No", Payload: "f12|no"}}},
		"Send a new one?\n1. Yes\n2. No", "")
	b.operatorSays(elma.Reply{Text: "Yes"}, func(m uchatland.Incoming) bool {
		return slices.Equal(m.Submitted, []uchatland.Submitted{{Title: "Yes", Payload: "f12|yes"}})
	})
	b.wantEachOnce()
}

// open makes the bridge, and has the bot meet a customer.
func (b *bridging) open() {
	b.t.Helper()
	var err error
	b.bridge, err = b.people.Tenant.CreateBridge(within(b.t), b.workspace.ID,
		client.NewBridge{Name: "Hand-over", Customers: b.uchat.connection.ID, Agents: b.elma.connection.ID})
	if err != nil {
		b.t.Fatal(err)
	}
	const text = "I want to talk to a human"
	b.send(b.uchat.connection.ID, client.NewMessage{Parts: []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: text}}},
		Conversation: contract.Conversation{ID: "tg-bridged", Title: "Dana Petrova"},
		Author:       contract.Author{Role: contract.RoleCustomer, Contact: contract.Contact{ID: "tg-user-bridged", Name: "Dana Petrova"}}})
	if b.first, err = b.uchat.bot.WaitMessage(within(b.t), func(m uchatland.Incoming) bool { return m.Content == text }); err != nil {
		b.t.Fatal(err)
	}
}

// botSays has the bot say something and waits until the operators have it, as those words or
// that file.
func (b *bridging) botSays(m uchatland.Message, words, file string) {
	b.t.Helper()
	answer, err := b.uchat.bot.Say(within(b.t), b.first, m)
	if err != nil || !answer.OK() {
		b.t.Fatalf("%+v was answered %d, %v", m, answer.Status, err)
	}
	got, err := b.elma.channel.WaitMessage(within(b.t), func(m elma.Message) bool {
		has := slices.ContainsFunc(m.Files, func(f elma.ReceivedFile) bool { return string(f.Content) == file })
		return file != "" && has || words != "" && m.Text == words
	})
	if err != nil {
		b.t.Fatalf("the operators never saw %+v: %v, but %+v", m, err, b.elma.channel.Sessions())
	}
	if b.chat != "" && got.Chat != b.chat {
		b.t.Errorf("%+v came to chat %s, and the one before to %s", m, got.Chat, b.chat)
	}
	b.chat = got.Chat
}

// operatorSays has an operator say something and waits until the bot has it, in the conversation
// in which it all began.
func (b *bridging) operatorSays(r elma.Reply, match func(uchatland.Incoming) bool) {
	b.t.Helper()
	r.Chat = b.chat
	answer, err := b.elma.channel.Reply(within(b.t), r)
	if err != nil || !answer.OK() {
		b.t.Fatalf("%+v was answered %d, %v", r, answer.Status, err)
	}
	got, err := b.uchat.bot.WaitMessage(within(b.t), match)
	if err != nil {
		b.t.Fatalf("the bot never had %q: %v", r.Text, err)
	}
	if got.Conversation != b.first.Conversation {
		b.t.Errorf("%q came to conversation %d instead of %d", r.Text, got.Conversation, b.first.Conversation)
	}
}

// wantEachOnce waits until the bridge has looked at everything, removes it, and wants that
// nothing went twice, or round.
func (b *bridging) wantEachOnce() {
	b.t.Helper()
	var counts domain.BridgeCounts
	b.poll("the bridge to be at the end", func() (bool, error) {
		now, err := b.people.Tenant.Bridge(within(b.t), b.workspace.ID, b.bridge.ID)
		counts = now.Counts
		return now.Behind == 0, err
	})
	if counts.Receipts = 0; counts != (domain.BridgeCounts{Forwarded: 6}) {
		b.t.Errorf("the bridge counted %+v, want 6 forwarded and nothing else", counts)
	}
	var operators, bot []string
	session, _ := b.elma.channel.Session(b.chat)
	for _, m := range session.Messages {
		operators = append(operators, m.Text)
	}
	for _, m := range b.uchat.bot.Received() {
		if m.Conversation == b.first.Conversation {
			bot = append(bot, m.Content)
		}
	}
	if want := "A customer asks for a human||Send a new one?\n1. Yes\n2. No"; strings.Join(operators, "|") != want {
		b.t.Errorf("the operators have %q, want %q", operators, want)
	}
	if want := "I want to talk to a human|Here I am|Like this?|Yes"; strings.Join(bot, "|") != want {
		b.t.Errorf("the bot has %q, want %q", bot, want)
	}
	if err := b.people.Tenant.DeleteBridge(within(b.t), b.workspace.ID, b.bridge.ID); err != nil {
		b.t.Error(err)
	}
}
