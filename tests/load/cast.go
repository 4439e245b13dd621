//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	intandem "github.com/seed75a60ee1/patchbay/plugins/intandem/emulator"
	uspacy "github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// The portal that installs the app, and what the app signs in with.
const (
	portalDomain = "acme.uspacy.ua"
	uspacyID     = "app-1"
	uspacySecret = "uspacy-client-secret"
)

// uspacyCast is a portal whose operators' answers come by way of Amazon SNS, signed.
type uspacyCast struct {
	*uspacy.Platform
	path string // of the app's address for SNS
	said []saying
}

// saying is the event of an operator's message in one of the chats; id is that message's name.
type saying struct{ event, id string }

func newUspacy() (cast, error) {
	p, err := uspacy.Start(uspacy.Options{Portals: []string{portalDomain}, Auth: uspacy.AuthOptions{ClientID: uspacyID, ClientSecret: uspacySecret}})
	return &uspacyCast{Platform: p}, err
}

func (c *uspacyCast) enter(ctx context.Context, w *World) error {
	app, err := w.people.Operator.CreateApp(ctx, client.NewApp{Plugin: "uspacy", Name: "App", Secrets: map[string]string{"client_secret": uspacySecret},
		Settings: map[string]string{"client_id": uspacyID, "sns_topic_arns": c.TopicARN()}})
	if err == nil {
		err = w.allow(ctx, app.ID, c)
	}
	if err != nil {
		return err
	}
	c.Register(app.ReceiveURL, app.ReceiveURL+"/sns")
	u, err := url.Parse(app.ReceiveURL + "/sns")
	if err != nil {
		return err
	}
	c.path = u.Path
	if err := c.install(ctx, w, app.ID); err != nil {
		return err
	}
	return c.converse(ctx, w)
}

// install has the portal install the app, and the operator assign it.
func (c *uspacyCast) install(ctx context.Context, w *World, app contract.ConnectionID) error {
	if answer, err := c.Portal(portalDomain).Install(ctx, uspacy.Lifecycle{}); err != nil || !answer.OK() {
		return fmt.Errorf("the install was answered %d (%w)", answer.Status, err)
	}
	waiting, err := w.people.Operator.Unclaimed(ctx, app, domain.Page{})
	if err != nil || len(waiting.Items) != 1 {
		return fmt.Errorf("%d installs wait (%w)", len(waiting.Items), err)
	}
	t := w.Tenants[0]
	made, err := w.people.Join(ctx, t.Workspace, client.NewConnection{Plugin: "uspacy", Name: "Portal", App: app,
		Settings: map[string]string{"portal_url": "https://" + portalDomain}}, c)
	if err != nil {
		return err
	}
	t.Connection = made.ID
	if _, err := w.people.Operator.Assign(ctx, app, client.Assignment{Key: waiting.Items[0].Key, Workspace: t.Workspace, Connection: made.ID}); err != nil {
		return err
	}
	return w.reaches(ctx, contract.StateConnected)
}

// converse has customers write and an operator answer each; the events of those answers are
// the models of all.
func (c *uspacyCast) converse(ctx context.Context, w *World) error {
	portal, chats, event := c.Portal(portalDomain), map[string]bool{}, ""
	c.OnEvent(func(published string) { event = published })
	for i := range w.plan.Chats {
		if err := w.greet(ctx, i); err != nil {
			return err
		}
		got, err := portal.WaitMessage(ctx, func(m uspacy.Message) bool { return m.ExternalAuthorID != "" && !chats[m.ChatID] })
		if err != nil {
			return err
		}
		chats[got.ChatID] = true
		said, err := portal.Reply(uspacy.Reply{Chat: got.ChatID, Text: text})
		if err != nil {
			return err
		}
		if !strings.Contains(event, said.ID) {
			return errors.New("the portal published no event of its operator's message")
		}
		c.said = append(c.said, saying{event, said.ID})
	}
	return nil
}

// webhooks signs each with the topic's key: that takes the generator's time, not the host's.
func (c *uspacyCast) webhooks(address string, n int) (requests [][]byte, err error) {
	for i := range n {
		s := c.said[i%len(c.said)]
		m := c.SNSMessage("Notification", strings.NewReplacer(s.id, fmt.Sprintf("%024x", i), mark, fmt.Sprintf("%012d", i+1)).Replace(s.event))
		body, err := json.Marshal(m)
		if err != nil {
			return nil, err
		}
		requests = append(requests, post(address, c.path, map[string]string{
			"X-Amz-Sns-Message-Type": m["Type"], "X-Amz-Sns-Message-Id": m["MessageId"], "X-Amz-Sns-Topic-Arn": m["TopicArn"],
			"Content-Type": "text/plain; charset=UTF-8", "User-Agent": "Amazon Simple Notification Service Agent",
		}, body))
	}
	return requests, nil
}

// intandemCast is a business whose staff answers.
type intandemCast struct {
	*intandem.Platform
	path    string // of the app's address for messages
	channel *intandem.Channel
	chats   int
}

func newIntandem() (cast, error) {
	p, err := intandem.Start(intandem.Options{})
	return &intandemCast{Platform: p}, err
}

func (c *intandemCast) enter(ctx context.Context, w *World) error {
	registered, business := c.AddApp(intandem.AppOptions{}), c.AddBusiness("")
	app, err := w.people.Operator.CreateApp(ctx, client.NewApp{Plugin: "intandem", Name: "App",
		Settings: map[string]string{"client_id": registered.ClientID}, Secrets: map[string]string{"client_secret": registered.Secret}})
	if err == nil {
		err = w.allow(ctx, app.ID, c)
	}
	if err != nil {
		return err
	}
	registered.Register(app.ReceiveURL)
	u, err := url.Parse(app.ReceiveURL + "/messages")
	if err != nil {
		return err
	}
	c.path = u.Path
	t := w.Tenants[0]
	made, err := w.people.Join(ctx, t.Workspace, client.NewConnection{Plugin: "intandem", Name: "Business", App: app.ID,
		Settings: map[string]string{"business_uid": business.UID}}, c)
	if err != nil {
		return err
	}
	t.Connection = made.ID
	if err := c.consent(ctx, w); err != nil {
		return err
	}
	if c.channel, err = business.WaitChannel(ctx, registered); err != nil {
		return err
	}
	if err := w.reaches(ctx, contract.StateConnected); err != nil {
		return err
	}
	for ; c.chats < w.plan.Chats; c.chats++ {
		if err := w.greet(ctx, c.chats); err != nil {
			return err
		}
		if _, err := c.channel.WaitMessage(ctx, func(m intandem.Message) bool { return m.External == chat(c.chats) }); err != nil {
			return err
		}
	}
	return nil
}

// consent has somebody of the business allow the app, in a browser.
func (c *intandemCast) consent(ctx context.Context, w *World) error {
	if err := w.reaches(ctx, contract.StateNeedsAction); err != nil {
		return err
	}
	t := w.Tenants[0]
	link, err := t.Client.AuthorizeConnection(ctx, t.Workspace, t.Connection)
	if err != nil {
		return err
	}
	browser, err := stage.NewBrowser(c)
	if err != nil {
		return err
	}
	defer browser.Close()
	status, _, page, err := browser.Open(ctx, link.URL)
	if err != nil || status != 200 {
		return fmt.Errorf("the browser ended at %d %s (%w)", status, page, err)
	}
	return nil
}

func (c *intandemCast) webhooks(address string, n int) (requests [][]byte, err error) {
	for i := range n {
		body, err := json.Marshal(map[string]any{"external_uid": chat(i % c.chats), "message": strings.Replace(text, mark, fmt.Sprintf("%012d", i+1), 1), "channel_uid": c.channel.UID, "status": "pending",
			"message_uid": fmt.Sprintf("0f6f1d0e-2f0a-4b5e-9f0c-%012d", i)})
		if err != nil {
			return nil, err
		}
		requests = append(requests, post(address, c.path, map[string]string{"Content-Type": "application/json"}, body))
	}
	return requests, nil
}
