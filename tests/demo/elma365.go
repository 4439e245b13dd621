package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// elma365 is the act in which a customer talks with the operator of an ELMA365 live chat.
type elma365 struct {
	*play
	platform   *emulator.Platform
	connection client.Connection
	channel    *emulator.Channel
	first      contract.MessageID // the customer's first message
}

func (p *elma365) scenes() []scene {
	scenes := []scene{
		{"The reviewer lets the ELMA365 plugin in", func(ctx context.Context) error { return p.admit(ctx, "elma365") }},
		{"The tenant connects ELMA365", p.connect},
		{"A customer writes", p.customerWrites},
		{"An operator answers", p.operatorAnswers},
		{"Files, both ways", p.files},
		{"The platform asks who that is", p.whoIsThat},
		{"The operator reads", p.operatorReads},
		{"A forged webhook", p.forged},
	}
	return scenes
}

func (p *elma365) connect(ctx context.Context) (err error) {
	if err = p.people.Tenant.EnablePlugin(ctx, p.workspace.ID, "elma365"); err != nil {
		return err
	}
	if p.connection, err = p.people.Connect(ctx, p.workspace.ID, p.platform, map[string]string{"unknown_chat": "accept"}); err != nil {
		return err
	}
	p.out.line("tenant", "enables elma365 and makes connection %s", p.connection.ID)
	began := time.Now()
	if p.channel, err = p.people.EnterSetup(ctx, p.workspace.ID, p.connection.ID, p.platform); err != nil {
		return err
	}
	p.out.line("ELMA365", "its administrator enters webhook and confirmation code; it sends connect")
	if _, err = p.inbox.Wait(ctx, "the connection's new state", stage.State(p.connection.ID, contract.StateConnected)); err != nil {
		return err
	}
	p.out.seen("tenant", time.Since(began), "event connection.state: connected")
	return nil
}

// say sends a customer's message and waits until the operator has it and says so.
func (p *elma365) say(ctx context.Context, parts ...contract.Part) (contract.MessageID, emulator.Message, error) {
	began := time.Now()
	sent, err := p.people.Tenant.Send(ctx, p.workspace.ID, p.connection.ID, client.NewMessage{Conversation: chat, Author: person, Parts: parts})
	if err != nil {
		return "", emulator.Message{}, err
	}
	id := sent.Message.ID
	got, err := p.channel.WaitMessage(ctx, func(m emulator.Message) bool { return m.ID == string(id) })
	if err != nil {
		return "", emulator.Message{}, err
	}
	p.out.seen("operator", time.Since(began), "sees %q", got.Text)
	if _, err := p.inbox.Wait(ctx, "the message's delivery", stage.Status(id, contract.MessageDelivered)); err != nil {
		return "", emulator.Message{}, err
	}
	p.out.seen("tenant", time.Since(began), "event message.status: delivered")
	return id, got, nil
}

func (p *elma365) customerWrites(ctx context.Context) (err error) {
	p.out.line("customer", "%q", "Where is my parcel?")
	p.first, _, err = p.say(ctx, words("Where is my parcel?"))
	return err
}

// answer sends an operator's reply and waits until the tenant has it.
func (p *elma365) answer(ctx context.Context, text string, files ...emulator.File) (client.Event, error) {
	began := time.Now()
	answer, err := p.channel.Reply(ctx, emulator.Reply{Chat: string(chat.ID), Text: text, Files: files})
	if err != nil {
		return client.Event{}, err
	}
	if !answer.OK() {
		return client.Event{}, fmt.Errorf("the reply was answered %d %s", answer.Status, answer.Body)
	}
	p.out.seen("ELMA365", answer.Took, "the host answered %d: the message is durable", answer.Status)
	event, err := p.inbox.Wait(ctx, "the reply", stage.Said(text))
	if err != nil {
		return client.Event{}, err
	}
	p.out.seen("tenant", time.Since(began), "event message.created from an %s", event.Data.Message.Author.Role)
	return event, nil
}

func (p *elma365) operatorAnswers(ctx context.Context) error {
	p.out.line("operator", "%q", "The courier is on the way.")
	_, err := p.answer(ctx, "The courier is on the way.")
	return err
}

func (p *elma365) files(ctx context.Context) error {
	label := []byte("%PDF-1.7 a label for a parcel")
	media, err := p.people.Tenant.Upload(ctx, p.workspace.ID, "label.pdf", "application/pdf", bytes.NewReader(label))
	if err != nil {
		return err
	}
	p.out.line("customer", "sends label.pdf (%s, %s)", media.MIME, media.Handle)
	_, got, err := p.say(ctx, words("Here is the label"), contract.Part{Kind: contract.PartMedia,
		Media: &contract.Media{Kind: contract.MediaFile, Handle: media.Handle, Name: "label.pdf"}})
	if err != nil {
		return err
	}
	if len(got.Files) != 1 || !bytes.Equal(got.Files[0].Content, label) {
		return fmt.Errorf("the platform downloaded %+v instead of the label", got.Files)
	}
	p.out.plain("%21s the platform downloaded the same %d bytes by a signed link", "", len(label))

	route := []byte("GIF89a a map of the route")
	p.out.line("operator", "sends route.gif")
	event, err := p.answer(ctx, "This is the route", emulator.File{Name: "route.gif", Content: route})
	if err != nil {
		return err
	}
	return p.compare(ctx, event, route)
}

func (p *elma365) whoIsThat(ctx context.Context) error {
	answer, err := p.channel.AskUserInfo(ctx, string(person.Contact.ID))
	if err != nil {
		return err
	}
	var details map[string]string
	if err := json.Unmarshal(answer.Body, &details); err != nil || details["phone"] != person.Contact.Phone {
		return fmt.Errorf("the host answered %d %s (%v)", answer.Status, answer.Body, err)
	}
	p.out.line("ELMA365", "asks for %s", person.Contact.ID)
	p.out.seen("ELMA365", answer.Took, "is told: %s, %s", details["fullName"], details["phone"])
	return nil
}

func (p *elma365) operatorReads(ctx context.Context) error {
	began := time.Now()
	if _, err := p.channel.MarkRead(ctx, string(p.first)); err != nil {
		return err
	}
	p.out.line("operator", "reads the first message")
	if _, err := p.inbox.Wait(ctx, "the read mark", stage.Status(p.first, contract.MessageRead)); err != nil {
		return err
	}
	p.out.seen("tenant", time.Since(began), "event message.status: read")
	return nil
}

func (p *elma365) forged(ctx context.Context) error {
	before := len(p.inbox.Events())
	answer, err := p.channel.Send(ctx, emulator.Envelope{Type: "message", Token: "guessed",
		Data: map[string]any{"targetChatId": string(chat.ID), "text": "send me your password", "files": []any{}}})
	if err != nil {
		return err
	}
	if answer.Status != 401 {
		return fmt.Errorf("a forged webhook was answered %d %s", answer.Status, answer.Body)
	}
	p.out.line("stranger", "sends a message with a guessed token")
	p.out.seen("stranger", answer.Took, "is answered %d", answer.Status)
	rejected, err := p.people.Operator.Deliveries(ctx, p.workspace.ID, client.DeliveryFilter{State: domain.DeliveryRejected})
	if err != nil || len(rejected.Items) != 1 || len(p.inbox.Events()) != before {
		return fmt.Errorf("the forgery was not kept apart: %d rejected deliveries, %d new events, %v",
			len(rejected.Items), len(p.inbox.Events())-before, err)
	}
	p.out.plain("%21s it is counted and audited (%s), and is no event", "", rejected.Items[0].Code)
	return nil
}

func (p *elma365) leave(ctx context.Context) error {
	began := time.Now()
	if _, err := p.people.Tenant.RemoveConnection(ctx, p.workspace.ID, p.connection.ID); err != nil {
		return err
	}
	p.out.line("tenant", "removes the connection")
	if err := p.channel.WaitState(ctx, emulator.ChannelDisconnected); err != nil {
		return err
	}
	p.out.seen("ELMA365", time.Since(began), "was told disconnect")
	if _, err := p.inbox.Wait(ctx, "the end of the connection", stage.State(p.connection.ID, contract.StateDisconnected)); err != nil {
		return err
	}
	p.out.seen("tenant", time.Since(began), "event connection.state: disconnected")
	return nil
}
