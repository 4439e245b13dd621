package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// The app's credentials, as Uspacy's support hands them out.
const (
	uspacyClientID     = "app-1"
	uspacyClientSecret = "uspacy-client-secret"
	uspacyPortal       = "acme.uspacy.ua"
)

// uspacy is the act in which a portal installs the operator's app, and a customer talks with the
// people of that portal.
type uspacy struct {
	*play
	platform   *emulator.Platform
	app        client.Connection
	connection client.Connection
	chat       string // the portal's name for the conversation
}

func (p *uspacy) portal() *emulator.Portal { return p.platform.Portal(uspacyPortal) }

func (p *uspacy) scenes() []scene {
	return []scene{
		{"The reviewer lets the Uspacy plugin in", func(ctx context.Context) error { return p.admit(ctx, "uspacy") }},
		{"The operator sets the Uspacy app up", p.register},
		{"Amazon SNS asks to be confirmed, and waits for the operator", p.subscribe},
		{"A portal installs the app, and the operator says whose it is", p.install},
		{"A customer writes to the portal", p.customerWrites},
		{"Somebody in the portal answers", p.operatorAnswers},
		{"A token is renewed in the middle of it", p.renew},
	}
}

func (p *uspacy) register(ctx context.Context) (err error) {
	p.app, err = p.people.Operator.CreateApp(ctx, client.NewApp{Plugin: "uspacy", Name: "Marketplace app",
		Settings: map[string]string{"client_id": uspacyClientID}, Secrets: map[string]string{"client_secret": uspacyClientSecret}})
	if err != nil {
		return err
	}
	targets, err := stage.Target(p.platform)
	if err != nil {
		return err
	}
	if _, err := p.people.Operator.AllowPrivateTargets(ctx, domain.HostWorkspace, p.app.ID, targets); err != nil {
		return err
	}
	p.platform.Register(p.app.ReceiveURL, p.app.ReceiveURL+"/sns")
	p.out.line("operator", "creates app %s and gives its addresses to Uspacy's support", p.app.ID)
	return nil
}

func (p *uspacy) subscribe(ctx context.Context) error {
	answer, err := p.platform.Subscribe(ctx)
	if err != nil || answer.Status != 200 {
		return fmt.Errorf("the subscription's confirmation was answered %d %s (%v)", answer.Status, answer.Body, err)
	}
	p.out.line("SNS", "asks the app to confirm %s", p.platform.TopicARN())
	began := time.Now()
	err = stage.Poll(ctx, "the app to name the topic", func() (bool, error) {
		app, err := p.people.Operator.App(ctx, p.app.ID)
		return app.State == contract.StateNeedsAction, err
	})
	if err != nil {
		return err
	}
	p.out.seen("operator", time.Since(began), "the app needs an action: a topic waits for approval; nothing was confirmed")
	if p.platform.Subscribed() {
		return fmt.Errorf("an unknown topic was confirmed")
	}
	began = time.Now()
	_, err = p.people.Operator.UpdateApp(ctx, p.app.ID, client.ConnectionPatch{Settings: map[string]string{"sns_topic_arns": p.platform.TopicARN()}})
	if err != nil {
		return err
	}
	p.out.line("operator", "allows the topic")
	if err := p.platform.WaitSubscribed(ctx); err != nil {
		return err
	}
	p.out.seen("SNS", time.Since(began), "the subscription is confirmed")
	return nil
}

func (p *uspacy) install(ctx context.Context) error {
	if err := p.people.Tenant.EnablePlugin(ctx, p.workspace.ID, "uspacy"); err != nil {
		return err
	}
	answer, err := p.portal().Install(ctx, emulator.Lifecycle{})
	if err != nil || answer.Status != 200 {
		return fmt.Errorf("the install was answered %d %s (%v)", answer.Status, answer.Body, err)
	}
	p.out.line("Uspacy", "%s installs the app", uspacyPortal)
	waiting, err := p.people.Operator.Unclaimed(ctx, p.app.ID, domain.Page{})
	if err != nil || len(waiting.Items) != 1 {
		return fmt.Errorf("%d installs wait (%v)", len(waiting.Items), err)
	}
	p.out.plain("%21s it waits: %s, until %s", "", waiting.Items[0].Title, waiting.Items[0].ExpiresAt.Format(time.DateOnly))
	p.connection, err = p.people.Join(ctx, p.workspace.ID, client.NewConnection{Plugin: "uspacy", Name: "Shop bot", App: p.app.ID,
		Settings: map[string]string{"portal_url": "https://" + uspacyPortal}}, p.platform)
	if err != nil {
		return err
	}
	began := time.Now()
	queued, err := p.people.Operator.Assign(ctx, p.app.ID, client.Assignment{Key: waiting.Items[0].Key, Workspace: p.workspace.ID, Connection: p.connection.ID})
	if err != nil {
		return err
	}
	p.out.line("operator", "assigns it to connection %s of %q (%d delivery)", p.connection.ID, p.workspace.Name, queued)
	if _, err = p.inbox.Wait(ctx, "the connection's new state", stage.State(p.connection.ID, contract.StateConnected)); err != nil {
		return err
	}
	p.out.seen("tenant", time.Since(began), "event connection.state: connected; the portal has an external line")
	return nil
}

// say sends a customer's message and waits until the portal has it.
func (p *uspacy) say(ctx context.Context, text string, parts ...contract.Part) (emulator.Message, error) {
	p.out.line("customer", "%q", text)
	began := time.Now()
	_, err := p.people.Tenant.Send(ctx, p.workspace.ID, p.connection.ID, client.NewMessage{Conversation: chat, Author: person,
		Parts: append([]contract.Part{words(text)}, parts...)})
	if err != nil {
		return emulator.Message{}, err
	}
	got, err := p.portal().WaitMessage(ctx, func(m emulator.Message) bool { return strings.HasPrefix(m.Text, text) && m.ExternalAuthorID != "" })
	if err == nil {
		p.out.seen("portal", time.Since(began), "has it in chat %s, with %d files", got.ChatID, len(got.AttachedFiles))
	}
	return got, err
}

func (p *uspacy) customerWrites(ctx context.Context) error {
	label := []byte("%PDF-1.7 a label for a parcel")
	media, err := p.people.Tenant.Upload(ctx, p.workspace.ID, "label.pdf", "application/pdf", bytes.NewReader(label))
	if err != nil {
		return err
	}
	got, err := p.say(ctx, "Where is my parcel?", contract.Part{Kind: contract.PartMedia,
		Media: &contract.Media{Kind: contract.MediaFile, Handle: media.Handle, Name: "label.pdf"}}, buttons)
	if err != nil {
		return err
	}
	p.chat = got.ChatID
	files := p.portal().Files()
	if len(files) != 1 || !bytes.Equal(files[0].Content, label) {
		return fmt.Errorf("the portal has %d files, and not the label", len(files))
	}
	p.out.plain("%21s the label was uploaded, %d bytes; the buttons are lines of text there", "", len(label))
	return nil
}

func (p *uspacy) operatorAnswers(ctx context.Context) error {
	began := time.Now()
	route := []byte("GIF89a a map of the route")
	_, err := p.portal().Reply(emulator.Reply{Chat: p.chat, Text: "It **leaves today**", Files: []emulator.NewFile{{Name: "route.gif", Content: route}}})
	if err != nil {
		return err
	}
	p.out.line("portal", "%q and route.gif, by way of Amazon SNS", "It **leaves today**")
	event, err := p.inbox.Wait(ctx, "the reply", stage.Said("It leaves today"))
	if err != nil {
		return err
	}
	p.out.seen("tenant", time.Since(began), "event message.created from an %s", event.Data.Message.Author.Role)
	return p.compare(ctx, event, route)
}

func (p *uspacy) renew(ctx context.Context) error {
	before := p.portal().Tokens()
	p.portal().ExpireAccess()
	p.out.line("Uspacy", "takes the portal's access token no more")
	began := time.Now()
	if _, err := p.say(ctx, "Are you still there?"); err != nil {
		return err
	}
	if p.portal().Tokens().Refresh == before.Refresh || p.platform.Count(emulator.OpRefresh) != 1 {
		return fmt.Errorf("the token pair was renewed %d times", p.platform.Count(emulator.OpRefresh))
	}
	p.out.seen("host", time.Since(began), "one refresh, one retry: nobody noticed")
	return nil
}
