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
	"github.com/seed75a60ee1/patchbay/plugins/intandem/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// intandem is the act in which a business allows the operator's app in a browser, and a
// customer talks with its staff.
type intandem struct {
	*play
	platform   *emulator.Platform
	registered *emulator.App
	business   *emulator.Business
	app        client.Connection
	connection client.Connection
	channel    *emulator.Channel
}

func (p *intandem) scenes() []scene {
	return []scene{
		{"The reviewer lets the inTandem plugin in", func(ctx context.Context) error { return p.admit(ctx, "intandem") }},
		{"The operator sets the inTandem app up", p.register},
		{"A business allows the app in a browser", p.authorise},
		{"A customer writes to the business", p.customerWrites},
		{"The staff answers", p.staffAnswers},
		{"The app's service token is renewed in the middle of it", p.renew},
	}
}

func (p *intandem) register(ctx context.Context) (err error) {
	p.registered = p.platform.AddApp(emulator.AppOptions{})
	p.business = p.platform.AddBusiness("")
	p.app, err = p.people.Operator.CreateApp(ctx, client.NewApp{Plugin: "intandem", Name: "Communication app",
		Settings: map[string]string{"client_id": p.registered.ClientID, "file_hosts": emulator.APIHost},
		Secrets:  map[string]string{"client_secret": p.registered.Secret}})
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
	p.registered.Register(p.app.ReceiveURL)
	p.out.line("operator", "creates app %s and registers its address as redirect_uri and api_uri", p.app.ID)
	return nil
}

func (p *intandem) authorise(ctx context.Context) (err error) {
	if err := p.people.Tenant.EnablePlugin(ctx, p.workspace.ID, "intandem"); err != nil {
		return err
	}
	p.connection, err = p.people.Join(ctx, p.workspace.ID, client.NewConnection{Plugin: "intandem", Name: "Salon", App: p.app.ID,
		Settings: map[string]string{"business_uid": p.business.UID}}, p.platform)
	if err != nil {
		return err
	}
	if _, err = p.inbox.Wait(ctx, "the wish for a consent", stage.State(p.connection.ID, contract.StateNeedsAction)); err != nil {
		return err
	}
	p.out.line("tenant", "makes connection %s; it needs an action: somebody of the business has to allow the app", p.connection.ID)
	link, err := p.people.Tenant.AuthorizeConnection(ctx, p.workspace.ID, p.connection.ID)
	if err != nil {
		return err
	}
	browser, err := stage.NewBrowser(p.platform)
	if err != nil {
		return err
	}
	defer browser.Close()
	began := time.Now()
	status, _, page, err := browser.Open(ctx, link.URL)
	if err != nil || status != 200 {
		return fmt.Errorf("the browser ended at %d %s (%v)", status, page, err)
	}
	p.out.seen("browser", time.Since(began), "was sent to inTandem, allowed the app, and came back with a code that is good for 30 s")
	if p.channel, err = p.business.WaitChannel(ctx, p.registered); err != nil {
		return err
	}
	if _, err = p.inbox.Wait(ctx, "the connection's new state", stage.State(p.connection.ID, contract.StateConnected)); err != nil {
		return err
	}
	p.out.seen("tenant", time.Since(began), "event connection.state: connected; the business has a channel")
	return nil
}

// say sends a customer's message and waits until the business has it.
func (p *intandem) say(ctx context.Context, text string, parts ...contract.Part) (emulator.Message, error) {
	p.out.line("customer", "%q", text)
	began := time.Now()
	_, err := p.people.Tenant.Send(ctx, p.workspace.ID, p.connection.ID, client.NewMessage{Conversation: chat, Author: person,
		Parts: append([]contract.Part{words(text)}, parts...)})
	if err != nil {
		return emulator.Message{}, err
	}
	got, err := p.channel.WaitMessage(ctx, func(m emulator.Message) bool { return strings.HasPrefix(m.Text, text) })
	if err == nil {
		p.out.seen("business", time.Since(began), "has it, from client %s", got.Contact)
	}
	return got, err
}

func (p *intandem) customerWrites(ctx context.Context) error {
	picture := []byte("GIF89a a photograph of the hair")
	media, err := p.people.Tenant.Upload(ctx, p.workspace.ID, "hair.gif", "image/gif", bytes.NewReader(picture))
	if err != nil {
		return err
	}
	got, err := p.say(ctx, "Can I move it to Friday?", contract.Part{Kind: contract.PartMedia,
		Media: &contract.Media{Kind: contract.MediaImage, Handle: media.Handle, Name: "hair.gif"}}, buttons)
	if err != nil {
		return err
	}
	p.out.plain("%21s a client and a session were made on the way; the file is a signed link, the buttons are text:", "")
	for line := range strings.SplitSeq(got.Text, "\n") {
		p.out.plain("%23s %s", "|", line[:min(len(line), 90)])
	}
	return nil
}

func (p *intandem) staffAnswers(ctx context.Context) error {
	began := time.Now()
	_, answer, err := p.channel.Say(ctx, emulator.Say{External: string(chat.ID), Text: "<div><strong>Friday</strong> at 10:30 is fine</div>"})
	if err != nil || !answer.OK() {
		return fmt.Errorf("the callback was answered %d (%v)", answer.Status, err)
	}
	p.out.line("staff", "%q", "<div><strong>Friday</strong> at 10:30 is fine</div>")
	event, err := p.inbox.Wait(ctx, "the reply", stage.Said("Friday at 10:30 is fine"))
	if err != nil {
		return err
	}
	p.out.seen("tenant", time.Since(began), "event message.created from an %s, without the markup", event.Data.Message.Author.Role)
	return nil
}

func (p *intandem) renew(ctx context.Context) error {
	p.registered.ExpireTokens()
	p.out.line("inTandem", "takes the app's service token no more")
	began := time.Now()
	if _, err := p.say(ctx, "Thank you!"); err != nil {
		return err
	}
	p.out.seen("host", time.Since(began), "one refresh, one retry: nobody noticed")
	return nil
}
