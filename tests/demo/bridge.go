package main

import (
	"context"
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	elma "github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
	uchatland "github.com/seed75a60ee1/patchbay/plugins/uchat/emulator"
)

// bridge is the act in which UChat's bot and ELMA365's operators are patched together.
type bridge struct {
	*play
	elma  *elma365
	uchat *uchat
	last  uchatland.Incoming
	chat  string // the conversation's name in ELMA365
}

// patched is the conversation that goes over the bridge.
var patched = contract.Conversation{ID: "tg-778899", Title: "Dana Petrova"}

func (p *bridge) scenes() []scene {
	return []scene{
		{"The tenant patches UChat and ELMA365 together", p.patch},
		{"What the bot says, an operator reads", p.there},
		{"What the operator answers, the bot reads", p.back},
	}
}

func (p *bridge) patch(ctx context.Context) error {
	made, err := p.people.Tenant.CreateBridge(ctx, p.workspace.ID, client.NewBridge{Name: "Hand-over", Customers: p.uchat.connection.ID, Agents: p.elma.connection.ID})
	if err != nil {
		return err
	}
	p.out.line("tenant", "makes bridge %s", made.ID)
	p.last, err = p.uchat.say(ctx, patched, "I want to talk to a human")
	return err
}

func (p *bridge) there(ctx context.Context) error {
	const text = "A customer asks for a human"
	began := time.Now()
	answer, err := p.uchat.bot().Say(ctx, p.last, uchatland.Message{Text: text})
	if err != nil || !answer.OK() {
		return fmt.Errorf("the bot's message was answered %d (%v)", answer.Status, err)
	}
	p.out.line("bot", "%q", text)
	got, err := p.elma.channel.WaitMessage(ctx, func(m elma.Message) bool { return m.Text == text })
	if err != nil {
		return err
	}
	p.chat = got.Chat
	p.out.seen("operator", time.Since(began), "sees it in chat %s of ELMA365", got.Chat)
	return nil
}

func (p *bridge) back(ctx context.Context) error {
	const text = "Here I am"
	began := time.Now()
	answer, err := p.elma.channel.Reply(ctx, elma.Reply{Chat: p.chat, Text: text})
	if err != nil || !answer.OK() {
		return fmt.Errorf("the reply was answered %d %s (%v)", answer.Status, answer.Body, err)
	}
	p.out.line("operator", "%q", text)
	got, err := p.uchat.bot().WaitMessage(ctx, func(m uchatland.Incoming) bool { return m.Content == text })
	if err != nil {
		return err
	}
	if got.Conversation != p.last.Conversation {
		return fmt.Errorf("it came to conversation %d instead of %d", got.Conversation, p.last.Conversation)
	}
	p.out.seen("bot", time.Since(began), "has it in conversation %d, where it began", got.Conversation)
	return nil
}
