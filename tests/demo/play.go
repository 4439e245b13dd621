package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/server"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// play is one performance: what every act shares.
type play struct {
	out     *transcript
	folders stage.Folders
	at      server.Addresses
	wasm    map[string][]byte // by plugin
	once    bool

	people    *stage.People
	workspace domain.Workspace
	inbox     *stage.Inbox
}

// scene is a part of the play that works or does not.
type scene struct {
	title string
	play  func(context.Context) error
}

// patience is how long a scene may take until it is seen on the other side.
const patience = 30 * time.Second

// perform plays every scene. One that was not seen on the other side ends the play.
func (p *play) perform(ctx context.Context, scenes []scene) error {
	defer p.close()
	for _, s := range append([]scene{{"The operator opens a workspace", p.open}}, scenes...) {
		p.out.title(s.title)
		scenic, cancel := context.WithTimeout(ctx, patience)
		err := s.play(scenic)
		cancel()
		if err != nil {
			return fmt.Errorf("scene %q: %w", s.title, err)
		}
	}
	p.out.plain("\nEvery step was seen on the other side.")
	return nil
}

func (p *play) close() {
	if p.inbox != nil {
		p.inbox.Close()
	}
	if p.people != nil {
		p.people.Close()
	}
}

func (p *play) open(ctx context.Context) (err error) {
	if p.people, err = stage.Hire(p.at, p.folders.Data); err != nil {
		return err
	}
	if p.workspace, err = p.people.Open(ctx, p.at, p.folders.Data, "Parcel Express"); err != nil {
		return err
	}
	p.out.line("operator", "opens workspace %q (%s)", p.workspace.Name, p.workspace.ID)
	p.inbox = stage.Listen(context.WithoutCancel(ctx), p.people.Tenant, p.workspace.ID, "0")
	return nil
}

// admit has the vendor drop a plugin and the reviewer let it in.
func (p *play) admit(ctx context.Context, name string) error {
	began := time.Now()
	if err := p.folders.Drop(p.wasm[name], name+".wasm"); err != nil {
		return err
	}
	p.out.line("vendor", "drops %s.wasm into the plugin folder", name)
	plugin, err := p.people.AwaitPlugin(ctx, name)
	if err != nil {
		return err
	}
	p.out.seen("host", time.Since(began), "%s %s is %s; it can call: %s", plugin.Manifest.Name, plugin.Manifest.Version,
		plugin.State, strings.Join(plugin.HostFunctions, ", "))
	began = time.Now()
	approved, err := p.people.Reviewer.ApprovePlugin(ctx, plugin.Digest, client.Approval{All: true, Note: "demo"})
	if err != nil {
		return err
	}
	p.out.line("reviewer", "grants %s: egress %s; secrets %s", short(plugin.Digest),
		strings.Join(approved.Grant.Egress, ", "), strings.Join(approved.Grant.Secrets, ", "))
	p.out.seen("host", time.Since(began), "the plugin is %s", approved.State)
	return nil
}

// chat is the conversation, and the person in it.
var (
	chat   = contract.Conversation{ID: "tg-553201", Title: "Dana Petrova"}
	person = contract.Author{Role: contract.RoleCustomer,
		Contact: contract.Contact{ID: "tg-user-553201", Name: "Dana Petrova", Phone: "+37060012345"}}
)

// buttons is a choice that the customer is offered.
var buttons = contract.Part{Kind: contract.PartChoice, Fallback: "Deliver today? Yes or No", Choice: &contract.Choice{
	Style: contract.ChoiceButtons, Prompt: "Deliver today?",
	Options: []contract.Option{{ActionID: "f12|yes", Label: "Yes"}, {ActionID: "f12|no", Label: "No"}}}}

func words(text string) contract.Part {
	return contract.Part{Kind: contract.PartText, Text: &contract.Text{Plain: text}}
}

// compare holds the attachment of an event against what was sent.
func (p *play) compare(ctx context.Context, event client.Event, want []byte) error {
	attachment := stage.Attachment(event.Data.Message)
	if attachment == nil || attachment.Handle == "" {
		return fmt.Errorf("the event has no attachment that the host keeps: %+v", attachment)
	}
	download, err := p.people.Tenant.Download(ctx, p.workspace.ID, attachment.Handle)
	if err != nil {
		return err
	}
	defer func() { _ = download.Body.Close() }() // it was read to its end
	got, err := io.ReadAll(download.Body)
	if err != nil || !bytes.Equal(got, want) {
		return fmt.Errorf("the tenant downloaded %q (%v) instead of %q", got, err, want)
	}
	p.out.plain("%21s the tenant downloaded the same %d bytes by handle %s (%s)", "", len(got), attachment.Handle, attachment.MIME)
	return nil
}

// short is a digest as people read it.
func short(digest string) string { return digest[:min(len(digest), 19)] + "…" }
