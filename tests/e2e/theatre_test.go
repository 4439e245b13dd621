package e2e

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// files makes each plugin's file once.
var files sync.Map // name → func() ([]byte, error)

// plugin returns the file of one of our plugins, as a vendor builds it.
func plugin(t *testing.T, name string) []byte {
	t.Helper()
	make, _ := files.LoadOrStore(name, sync.OnceValues(func() ([]byte, error) {
		return packed(built.dir, "../../plugins/"+name)
	}))
	wasm, err := make.(func() ([]byte, error))()
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// theatre is a host among platforms that answer to their real names, with every plugin
// admitted and one workspace that enables them all.
type theatre struct {
	*host
	people    *stage.People
	workspace domain.Workspace
	inbox     *stage.Inbox
}

// play opens a theatre. Flags are the host's.
func play(t *testing.T, platforms []stage.Platform, plugins []string, flags ...string) *theatre {
	t.Helper()
	ctx := within(t)
	folders, err := stage.MakeFolders(t.TempDir(), platforms...)
	if err == nil {
		err = os.Symlink(built.cache, filepath.Join(folders.Data, "cache"))
	}
	if err != nil {
		t.Fatal(err)
	}
	h := &theatre{host: serve(t, folders, append([]string{"--egress.resolve", stage.Resolve(platforms...)}, flags...)...)}
	if h.people, err = stage.Hire(h.at, folders.Data); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.people.Close)
	if h.workspace, err = h.people.Open(ctx, h.at, folders.Data, "Parcel Express"); err != nil {
		t.Fatal(err)
	}
	for _, name := range plugins {
		ctx := within(t) // to build and to admit one takes its time on a busy machine
		if _, err := h.people.Admit(ctx, folders, plugin(t, name), name); err != nil {
			t.Fatal(err)
		}
		if err := h.people.Tenant.EnablePlugin(ctx, h.workspace.ID, name); err != nil {
			t.Fatal(err)
		}
	}
	h.inbox = stage.Listen(context.Background(), h.people.Tenant, h.workspace.ID, "0")
	t.Cleanup(h.inbox.Close)
	return h
}

// await waits for an event of the tenant's.
func (h *theatre) await(what string, match func(client.Event) bool) client.Event {
	h.t.Helper()
	event, err := h.inbox.Wait(within(h.t), what, match)
	if err != nil {
		h.t.Fatal(err)
	}
	return event
}

// poll asks again and again; for what the host has no event for.
func (h *theatre) poll(what string, done func() (bool, error)) {
	h.t.Helper()
	if err := stage.Poll(within(h.t), what, done); err != nil {
		h.t.Fatal(err)
	}
}

// join has the tenant make a connection to a platform.
func (h *theatre) join(n client.NewConnection, platform stage.Platform) client.Connection {
	h.t.Helper()
	connection, err := h.people.Join(within(h.t), h.workspace.ID, n, platform)
	if err != nil {
		h.t.Fatal(err)
	}
	return connection
}

// send sends a customer's message on a connection.
func (h *theatre) send(c contract.ConnectionID, m client.NewMessage) contract.MessageID {
	h.t.Helper()
	sent, err := h.people.Tenant.Send(within(h.t), h.workspace.ID, c, m)
	if err != nil {
		h.t.Fatal(err)
	}
	return sent.Message.ID
}
