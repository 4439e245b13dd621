package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/uchat/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// uchat is the act in which a customer talks with the bot of a UChat workspace.
type uchat struct {
	*play
	platform   *emulator.Platform
	connection client.Connection
	last       emulator.Incoming // what the customer wrote last
}

// The keys of the UChat workspace.
const (
	uchatWorkspace  = "4711"
	uchatPartnerKey = "pk_demo"
	uchatFlowKey    = "fk_demo"
)

func (p *uchat) bot() *emulator.Workspace { return p.platform.Workspace(uchatWorkspace) }

func (p *uchat) scenes() []scene {
	return []scene{
		{"The reviewer lets the UChat plugin in", func(ctx context.Context) error { return p.admit(ctx, "uchat") }},
		{"The tenant connects UChat", p.connect},
		{"A customer writes to the bot", p.customerWrites},
		{"The bot's first message shows how this UChat signs", p.learn},
		{"The bot offers buttons, and the customer presses one", p.press},
		{"The bot sends a picture", p.picture},
	}
}

func (p *uchat) connect(ctx context.Context) (err error) {
	if err := p.people.Tenant.EnablePlugin(ctx, p.workspace.ID, "uchat"); err != nil {
		return err
	}
	began := time.Now()
	p.connection, err = p.people.Join(ctx, p.workspace.ID, client.NewConnection{Plugin: "uchat", Name: "Shop bot",
		Settings: map[string]string{"workspace_id": uchatWorkspace},
		Secrets:  map[string]string{"partner_key": uchatPartnerKey, "flow_key": uchatFlowKey}}, p.platform)
	if err != nil {
		return err
	}
	p.out.line("tenant", "makes connection %s with the workspace's keys", p.connection.ID)
	if err := p.bot().WaitVerified(ctx); err != nil {
		return err
	}
	p.out.seen("UChat", time.Since(began), "verified the webhook by a handshake, while our own call to set it was open")
	return nil
}

// say sends a customer's message and waits until the bot has it.
func (p *uchat) say(ctx context.Context, conversation contract.Conversation, text string, parts ...contract.Part) (emulator.Incoming, error) {
	p.out.line("customer", "%q", text)
	began := time.Now()
	_, err := p.people.Tenant.Send(ctx, p.workspace.ID, p.connection.ID, client.NewMessage{Conversation: conversation, Author: person,
		Parts: append([]contract.Part{words(text)}, parts...)})
	if err != nil {
		return emulator.Incoming{}, err
	}
	got, err := p.bot().WaitMessage(ctx, func(m emulator.Incoming) bool { return m.Content == text })
	if err == nil {
		p.out.seen("bot", time.Since(began), "has it in conversation %d", got.Conversation)
	}
	return got, err
}

func (p *uchat) customerWrites(ctx context.Context) (err error) {
	mug := []byte("GIF89a a broken mug")
	media, err := p.people.Tenant.Upload(ctx, p.workspace.ID, "mug.gif", "image/gif", bytes.NewReader(mug))
	if err != nil {
		return err
	}
	p.last, err = p.say(ctx, chat, "My mug is broken", contract.Part{Kind: contract.PartMedia,
		Media: &contract.Media{Kind: contract.MediaImage, Handle: media.Handle, Name: "mug.gif"}})
	if err != nil {
		return err
	}
	got, err := p.bot().WaitMessage(ctx, func(m emulator.Incoming) bool { return len(m.Attachments) == 1 })
	if err != nil || !bytes.Equal(got.Attachments[0].Bytes, mug) {
		return fmt.Errorf("UChat downloaded %+v (%v)", got.Attachments, err)
	}
	p.out.plain("%21s and downloaded the same %d bytes by a signed link", "", len(mug))
	return nil
}

// answer has the bot say something and the tenant hear it.
func (p *uchat) answer(ctx context.Context, m emulator.Message, match func(client.Event) bool) (client.Event, error) {
	began := time.Now()
	answer, err := p.bot().Say(ctx, p.last, m)
	if err != nil || !answer.OK() {
		return client.Event{}, fmt.Errorf("the bot's message was answered %d (%v)", answer.Status, err)
	}
	p.out.line("bot", "%q", m.Text)
	event, err := p.inbox.Wait(ctx, "the bot's message", match)
	if err == nil {
		p.out.seen("tenant", time.Since(began), "event message.created from a %s", event.Data.Message.Author.Role)
	}
	return event, err
}

func (p *uchat) learn(ctx context.Context) error {
	const text = "Hello! I am the shop's bot."
	if _, err := p.answer(ctx, emulator.Message{Text: text}, stage.Said(text)); err != nil {
		return err
	}
	_, err := p.inbox.Wait(ctx, "the connection's new state", stage.State(p.connection.ID, contract.StateConnected))
	if err == nil {
		p.out.plain("%21s the signature's scheme is pinned from now on", "")
	}
	return err
}

func (p *uchat) press(ctx context.Context) error {
	offer := emulator.Message{Text: "Send a new one?", Buttons: []emulator.Button{{Title: "Yes", Payload: "f12|yes"}, {Title: "No", Payload: "f12|no"}}}
	event, err := p.answer(ctx, offer, func(e client.Event) bool { return e.Connection == p.connection.ID && choiceOf(e) != nil })
	if err != nil {
		return err
	}
	if choice := choiceOf(event); len(choice.Options) != 2 {
		return fmt.Errorf("the event has other buttons: %+v", choice)
	}
	p.out.line("customer", "presses Yes")
	began := time.Now()
	_, err = p.people.Tenant.Send(ctx, p.workspace.ID, p.connection.ID, client.NewMessage{Conversation: chat, Author: person, Parts: []contract.Part{words("Yes")}})
	if err != nil {
		return err
	}
	got, err := p.bot().WaitMessage(ctx, func(m emulator.Incoming) bool { return len(m.Submitted) == 1 })
	if err != nil || got.Submitted[0].Payload != "f12|yes" {
		return fmt.Errorf("the bot was told %+v (%v)", got.Submitted, err)
	}
	p.out.seen("bot", time.Since(began), "is told of the press, with the payload %q", got.Submitted[0].Payload)
	return nil
}

// choiceOf is the first choice of an event's message; nil if there is none.
func choiceOf(e client.Event) *contract.Choice {
	if e.Data.Message == nil {
		return nil
	}
	for _, part := range e.Data.Message.Parts {
		if part.Choice != nil {
			return part.Choice
		}
	}
	return nil
}

func (p *uchat) picture(ctx context.Context) error {
	began := time.Now()
	mug := []byte("GIF89a a new mug")
	answer, err := p.bot().Say(ctx, p.last, emulator.Message{File: &emulator.File{Kind: "image", Name: "new.gif", MIME: "image/gif", Content: mug}})
	if err != nil || !answer.OK() {
		return fmt.Errorf("the bot's picture was answered %d (%v)", answer.Status, err)
	}
	p.out.line("bot", "sends a picture")
	event, err := p.inbox.Wait(ctx, "the picture", func(e client.Event) bool {
		return e.Connection == p.connection.ID && e.Data.Message != nil && stage.Attachment(e.Data.Message) != nil
	})
	if err != nil {
		return err
	}
	p.out.seen("tenant", time.Since(began), "event message.created with a picture")
	return p.compare(ctx, event, mug)
}
