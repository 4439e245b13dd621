//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// Plan says how a world is set up.
type Plan struct {
	// Tenants is how many workspaces there are, with one connection each; Chats how many
	// conversations each has.
	Tenants, Chats int
	// Root is the folder to live in; Cache, of compiled plugins, is shared between worlds.
	Root, Cache string
	Wasm        []byte
	// Fields are added to the host's configuration.
	Fields map[string]any
}

// World is a host with the real plugin, the emulator of its platform, and tenants whose
// conversations have begun, so that the platform's webhooks mean something. Close it.
type World struct {
	Host    *Host
	Tenants []*Tenant

	plan     Plan
	platform *emulator.Platform
	folders  stage.Folders
	people   *stage.People
}

// Tenant is a workspace with its connection.
type Tenant struct {
	Workspace  contract.WorkspaceID
	Connection contract.ConnectionID
	Client     *client.Client

	messenger emulator.Messenger
	channel   *emulator.Channel
	path      string // of the webhook
	chats     []contract.ConversationID
}

// Make makes a world. What it returns must be closed, with an error too.
func Make(ctx context.Context, plan Plan) (w *World, err error) {
	w = &World{plan: plan}
	if w.platform, err = emulator.Start(emulator.Options{}); err != nil {
		return w, err
	}
	if w.folders, err = stage.MakeFolders(plan.Root, w.platform); err != nil {
		return w, err
	}
	if err := errors.Join(os.MkdirAll(plan.Cache, 0o700), os.Symlink(plan.Cache, filepath.Join(w.folders.Data, "cache"))); err != nil {
		return w, err
	}
	if err := w.Start(ctx, false); err != nil {
		return w, err
	}
	if err := w.admit(ctx); err != nil {
		return w, fmt.Errorf("admit the plugin: %w", err)
	}
	for i := range plan.Tenants {
		if err := w.settle(ctx, i); err != nil {
			return w, fmt.Errorf("settle tenant %d: %w", i, err)
		}
	}
	return w, w.converse(ctx)
}

// Start starts the host, or the bare one, on the folder as it is.
func (w *World) Start(ctx context.Context, bare bool) (err error) {
	fields := map[string]any{
		"data": w.folders.Data, "plugins.dir": w.folders.Plugins, "egress.ca_file": w.folders.CAFile,
		"ingress.listen": "127.0.0.1:0", "management.listen": "127.0.0.1:0", "plugins.poll_interval": "200ms",
	}
	for name, value := range w.plan.Fields {
		fields[name] = value
	}
	if w.Host != nil { // the platform knows where to deliver
		fields["ingress.listen"] = w.Host.Address()
	}
	w.Host, err = StartHost(ctx, Role{Bare: bare, Fields: fields, LogTo: filepath.Join(w.plan.Root, "host.log")})
	if err != nil || bare {
		return err
	}
	w.hire()
	return nil
}

// hire points everybody's client at the host, whose port changes from start to start.
func (w *World) hire() {
	if w.people != nil {
		w.people.Close()
	}
	if people, err := stage.Hire(w.Host.At, w.folders.Data); err == nil {
		w.people = people
	}
	for _, t := range w.Tenants {
		if token, err := stage.Token(w.folders.Data, "workspace-admin", t.Workspace); err == nil {
			t.Client.Close()
			t.Client = client.New(w.Host.At.Management, token)
		}
	}
}

// Stop stops the host; the world stays.
func (w *World) Stop() error {
	if w.Host == nil {
		return nil // it never started
	}
	return w.Host.Close()
}

// Store is the path of the host's store.
func (w *World) Store() string { return filepath.Join(w.folders.Data, "patchbay.db") }

// Close ends everything and leaves the folder.
func (w *World) Close() error {
	err := w.Stop()
	for _, t := range w.Tenants {
		t.Client.Close()
	}
	if w.people != nil {
		w.people.Close()
	}
	if w.platform != nil {
		err = errors.Join(err, w.platform.Close())
	}
	return err
}

// admit drops the plugin in and has the reviewer grant it what it asks for.
func (w *World) admit(ctx context.Context) error {
	if err := w.folders.Drop(w.plan.Wasm, "elma365.wasm"); err != nil {
		return err
	}
	plugin, err := w.people.AwaitPlugin(ctx, "elma365")
	if err != nil {
		return err
	}
	_, err = w.people.Reviewer.ApprovePlugin(ctx, plugin.Digest, client.Approval{All: true, Note: "load"})
	return err
}

// settle opens a workspace with a connection, which the platform connects to.
func (w *World) settle(ctx context.Context, i int) error {
	people := *w.people
	workspace, err := people.Open(ctx, w.Host.At, w.folders.Data, fmt.Sprintf("Tenant %d", i))
	if err != nil {
		return err
	}
	t := &Tenant{Workspace: workspace.ID, Client: people.Tenant}
	w.Tenants = append(w.Tenants, t)
	if err := t.Client.EnablePlugin(ctx, t.Workspace, "elma365"); err != nil {
		return err
	}
	connection, err := people.Connect(ctx, t.Workspace, w.platform, map[string]string{})
	if err != nil {
		return err
	}
	t.Connection = connection.ID
	if t.messenger, err = people.Messenger(ctx, t.Workspace, t.Connection); err != nil {
		return err
	}
	if t.channel, err = w.platform.Connect(ctx, t.messenger); err != nil {
		return err
	}
	webhook, err := url.Parse(t.messenger.Webhook)
	t.path = webhook.Path
	return err
}

// converse has a customer write in every chat: the platform answers in chats that it knows.
func (w *World) converse(ctx context.Context) error {
	last := map[*Tenant]contract.MessageID{}
	for i := range w.plan.Chats {
		for _, t := range w.Tenants {
			chat := contract.ConversationID(fmt.Sprintf("tg-%06d", i))
			t.chats = append(t.chats, chat)
			sent, err := t.Client.Send(ctx, t.Workspace, t.Connection, greeting(chat))
			if err != nil {
				return fmt.Errorf("begin a conversation: %w", err)
			}
			last[t] = sent.Message.ID
		}
	}
	for t, id := range last {
		if _, err := t.channel.WaitMessage(ctx, func(m emulator.Message) bool { return m.ID == string(id) }); err != nil {
			return err
		}
	}
	return w.await(ctx, last)
}

// await waits until each tenant's last message is noted as sent: the platform may have it
// before the host has committed that.
func (w *World) await(ctx context.Context, last map[*Tenant]contract.MessageID) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for t, id := range last {
		for {
			m, err := t.Client.Message(ctx, t.Workspace, id)
			if err != nil {
				return err
			}
			if m.Status == contract.MessageSent || m.Status == contract.MessageDelivered {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("message %s is %s: %w", id, m.Status, ctx.Err())
			case <-tick.C:
			}
		}
	}
	return nil
}

// greeting is a customer's first message in a chat.
func greeting(chat contract.ConversationID) client.NewMessage {
	return client.NewMessage{
		Conversation: contract.Conversation{ID: chat, Title: "Dana Petrova"},
		Author: contract.Author{Role: contract.RoleCustomer,
			Contact: contract.Contact{ID: contract.ContactID("user-" + chat), Name: "Dana Petrova", Phone: "+37060012345"}},
		Parts: []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: "Where is my parcel?"}}},
	}
}

// mark stands in a webhook's text where its number goes: twelve digits.
const mark = "000000000000"

// text is what an operator writes: as much as people write, with a number that makes it
// findable.
const text = "No. " + mark + ": your parcel has left the sorting centre in Kaunas and is on its way to you. The courier will " +
	"call about half an hour before he arrives; please have a document at hand. If nobody is at home, " +
	"he leaves it with the neighbours, and a note in your letter box tells you with whom."

// webhook is a request to be sent many times, each with another number.
type webhook struct {
	request []byte
	mark    int // where the number goes
}

// Webhooks prepares the platform's requests, one for each chat of each tenant, as its
// emulator makes them: an operator's message, in turn from all tenants.
func Webhooks(address string, tenants []*Tenant) (func(n int, buf []byte) []byte, error) {
	var all []webhook
	for i := range tenants[0].chats {
		for _, t := range tenants {
			prepared, err := t.webhook(address, t.chats[i])
			if err != nil {
				return nil, err
			}
			all = append(all, prepared)
		}
	}
	return func(n int, buf []byte) []byte {
		w := all[n%len(all)]
		buf = append(buf, w.request...)
		for i := w.mark + len(mark) - 1; n > 0; i-- {
			buf[i] = '0' + byte(n%10)
			n /= 10
		}
		return buf
	}, nil
}

func (t *Tenant) webhook(address string, chat contract.ConversationID) (webhook, error) {
	body, err := json.Marshal(emulator.Envelope{Type: "message", Token: t.messenger.Code, ChannelID: t.channel.ID(),
		Data: map[string]any{"targetChatId": string(chat), "text": text, "files": []any{}}})
	if err != nil {
		return webhook{}, err
	}
	request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: %d\r\n"+
		"Content-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n%s", t.path, address, len(body), body)
	return webhook{request: []byte(request), mark: strings.Index(request, mark)}, nil
}

// number reads the number out of a text; -1 if it is not one of ours.
func number(said string) int {
	n := -1
	if _, err := fmt.Sscanf(said, "No. %d:", &n); err != nil {
		return -1
	}
	return n
}
