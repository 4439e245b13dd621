package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// tenant is one tenant of a theatre's: the theatre's own, or another.
func (h *theatre) tenant(name string, plugins ...string) *theatre {
	h.t.Helper()
	people, err := stage.Hire(h.at, h.folders.Data)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(people.Close)
	other := &theatre{host: h.host, people: people}
	if other.workspace, err = people.Open(within(h.t), h.at, h.folders.Data, name); err != nil {
		h.t.Fatal(err)
	}
	for _, plugin := range plugins {
		if err := people.Tenant.EnablePlugin(within(h.t), other.workspace.ID, plugin); err != nil {
			h.t.Fatal(err)
		}
	}
	other.inbox = stage.Listen(context.Background(), people.Tenant, other.workspace.ID, "0")
	h.t.Cleanup(other.inbox.Close)
	return other
}

// in is the theatre for a test within a test. It must not be killed or stopped there.
func (h *theatre) in(t *testing.T) *theatre {
	within, inner := *h, *h.host
	inner.t, within.host = t, &inner
	return &within
}

// revive starts a host again that ended, on the same ports. The tenant hears everything again
// in a new inbox.
func (h *theatre) revive() {
	h.t.Helper()
	h.flags = append(h.flags, "--ingress", strings.TrimPrefix(h.at.Ingress, "http://"), "--management", strings.TrimPrefix(h.at.Management, "http://"))
	h.start()
	h.inbox.Close()
	h.inbox = stage.Listen(context.Background(), h.people.Tenant, h.workspace.ID, "0")
	h.t.Cleanup(h.inbox.Close)
}

// stands waits until a connection of the tenant's is in a state, for a reason unless that is
// empty.
func (h *theatre) stands(c contract.ConnectionID, state contract.ConnectionState, code string) client.ConnectionHealth {
	h.t.Helper()
	var health client.ConnectionHealth
	err := stage.Poll(within(h.t), fmt.Sprintf("the state %s %s", state, code), func() (ok bool, err error) {
		health, err = h.people.Tenant.ConnectionHealth(within(h.t), h.workspace.ID, c)
		return health.State == state && (code == "" || health.Code == code), err
	})
	if err != nil {
		h.t.Fatalf("%v; it is %+v", err, health)
	}
	return health
}

// commands lists the commands of one kind.
func (h *theatre) commands(f client.CommandFilter) []client.Command {
	h.t.Helper()
	f.Limit = 1000
	page, err := h.people.Tenant.Commands(within(h.t), h.workspace.ID, f)
	if err != nil {
		h.t.Fatal(err)
	}
	return page.Items
}

// heard lists the texts of the messages that came in, in order.
func (h *theatre) heard(c contract.ConnectionID) (texts []string) {
	for _, e := range h.inbox.Events() {
		if e.Connection == c && e.Data.Kind == contract.EventMessageCreated && e.Data.Message.Author.Role != contract.RoleCustomer {
			texts = append(texts, stage.Text(e.Data.Message))
		}
	}
	return texts
}

// inbound is the event of the message that came in with that text.
func (h *theatre) inbound(c contract.ConnectionID, text string) client.Event {
	h.t.Helper()
	return h.await(fmt.Sprintf("%q", text), func(e client.Event) bool { return e.Connection == c && stage.Said(text)(e) })
}

// downloads checks that the event's attachment is what the host keeps of it.
func (h *theatre) downloads(e client.Event, want string) {
	h.t.Helper()
	m := stage.Attachment(e.Data.Message)
	if m == nil || m.Handle == "" {
		h.t.Fatalf("the event has no attachment that the host keeps: %+v", m)
	}
	got, err := h.people.Tenant.Download(within(h.t), h.workspace.ID, m.Handle)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = got.Body.Close() }() // it is read
	if content, err := io.ReadAll(got.Body); err != nil || string(content) != want {
		h.t.Errorf("the tenant downloaded %q (%v), want %q", content, err, want)
	}
}

// upload keeps an attachment, as a part.
func (h *theatre) upload(kind contract.MediaKind, name, mime, content string) contract.Part {
	h.t.Helper()
	m, err := h.people.Tenant.Upload(within(h.t), h.workspace.ID, name, mime, strings.NewReader(content))
	if err != nil {
		h.t.Fatal(err)
	}
	return contract.Part{Kind: contract.PartMedia, Media: &contract.Media{Kind: kind, Handle: m.Handle, Name: name}}
}

// rejections counts the deliveries of a workspace that were refused, by the audit log.
func (h *theatre) rejections(ws contract.WorkspaceID) []domain.AuditEntry {
	h.t.Helper()
	page, err := h.people.Operator.Audit(within(h.t), client.AuditFilter{Workspace: ws, Action: "delivery.rejected", Page: domain.Page{Limit: 1000}})
	if err != nil {
		h.t.Fatal(err)
	}
	return page.Items
}

// footprint is what anybody can see of a connection: what bad input must not change.
func (h *theatre) footprint(c contract.ConnectionID) string {
	h.t.Helper()
	var all strings.Builder
	operator, root := h.token(identity.Operator, ""), "/v1/workspaces/"+string(h.workspace.ID)
	for _, path := range []string{"/connections/" + string(c), "/connections/" + string(c) + "/messages?limit=1000", "/connections/" + string(c) + "/conversations",
		"/events?limit=1000&connection=" + string(c)} {
		got := h.ask(operator, http.MethodGet, root+path, "")
		if got.status != http.StatusOK {
			h.t.Fatalf("%s: %d %s", path, got.status, got.body)
		}
		fmt.Fprintf(&all, "%s %s\n", path, got.body)
	}
	fmt.Fprintf(&all, "%d commands\n", len(h.commands(client.CommandFilter{Connection: c}))) // of which some may just come due
	return all.String()
}

// kept stops the host, and lists the names of the key-value entries of a connection; those
// that hold one of some words are an error.
func (h *theatre) kept(c contract.ConnectionID, never ...string) (names []string) {
	h.t.Helper()
	if !h.gone {
		h.stop()
	}
	s, err := store.Open(filepath.Join(h.folders.Data, "patchbay.db"), store.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = s.Close() }() // it was only read
	entries, _, err := s.KVScan(within(h.t), c, "", "", 10_000, time.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Key)
		if slices.ContainsFunc(never, func(word string) bool { return strings.Contains(e.Key+e.Value, word) }) {
			h.t.Errorf("%s keeps %s = %q", c, e.Key, e.Value)
		}
	}
	return names
}
