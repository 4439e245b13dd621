package storetest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

var errRefused = errors.New("refused by the caller")

var workspaceClaims = []claim{
	{"an id is taken once", func(t *testing.T, f *fixture) {
		err := f.CreateWorkspace(t.Context(), domain.Workspace{ID: wsA, Name: "another"})
		f.fails("CreateWorkspace again", err, domain.ErrExists)
		if w, _ := f.Workspace(t.Context(), wsA); w.Name != string(wsA) {
			t.Errorf("the refused workspace took the place of the first: %+v", w)
		}
	}},
	{"one that is not there is not found", func(t *testing.T, f *fixture) {
		_, err := f.Workspace(t.Context(), unknownWorkspace)
		f.fails("Workspace", err, domain.ErrNotFound)
		_, err = f.UpdateWorkspace(t.Context(), unknownWorkspace, func(*domain.Workspace) error { return nil })
		f.fails("UpdateWorkspace", err, domain.ErrNotFound)
	}},
	{"an update keeps the id and the birthday", func(t *testing.T, f *fixture) {
		got, err := f.UpdateWorkspace(t.Context(), wsA, func(w *domain.Workspace) error {
			w.ID, w.CreatedAt, w.Enabled = "wsp_x", noon.Add(time.Hour), []string{"acme"}
			return nil
		})
		f.ok(err)
		kept, err := f.Workspace(t.Context(), wsA)
		f.ok(err)
		for _, w := range []domain.Workspace{got, kept} {
			if w.ID != wsA || !w.CreatedAt.Equal(noon) || !slices.Equal(w.Enabled, []string{"acme"}) {
				t.Errorf("after the update: %+v", w)
			}
		}
	}},
	{"an update that fails changes nothing", func(t *testing.T, f *fixture) {
		_, err := f.UpdateWorkspace(t.Context(), wsA, func(w *domain.Workspace) error {
			w.Name = "half done"
			return errRefused
		})
		f.fails("UpdateWorkspace", err, errRefused)
		if w, _ := f.Workspace(t.Context(), wsA); w.Name != string(wsA) {
			t.Errorf("the name is %q", w.Name)
		}
	}},
	{"pages hold each once, in order", func(t *testing.T, f *fixture) {
		for _, id := range []contract.WorkspaceID{"wsp_e", "wsp_c", "wsp_d"} {
			f.ok(f.CreateWorkspace(t.Context(), domain.Workspace{ID: id}))
		}
		var ids []string
		for _, w := range pages(f, func(p domain.Page) ([]domain.Workspace, string, error) { return f.Workspaces(t.Context(), p) }) {
			ids = append(ids, string(w.ID))
		}
		if got, want := strings.Join(ids, " "), "wsp_a wsp_b wsp_c wsp_d wsp_e"; got != want {
			t.Errorf("Workspaces() = %s, want %s", got, want)
		}
	}},
	{"a cursor of another listing is refused", func(t *testing.T, f *fixture) {
		_, next, err := f.Connections(t.Context(), wsA, domain.Page{Limit: 1})
		f.ok(err)
		for _, cursor := range []string{next, "nonsense", "%", strings.Repeat("A", 4096)} {
			_, _, err = f.Workspaces(t.Context(), domain.Page{After: cursor})
			f.invalid("Workspaces after "+cursor[:min(len(cursor), 20)], err)
		}
	}},
}

var connectionClaims = []claim{
	{"an id and an endpoint are taken once", func(t *testing.T, f *fixture) {
		for _, c := range []domain.Connection{
			{ID: conA, Workspace: wsB, Endpoint: "new"},
			{ID: "con_new", Workspace: wsB, Endpoint: endpointA},
		} {
			f.fails("CreateConnection", f.CreateConnection(t.Context(), c, nil), domain.ErrExists)
		}
		if list, _, _ := f.Connections(t.Context(), wsB, domain.Page{}); len(list) != 1 {
			t.Errorf("workspace b has %d connections, want 1", len(list))
		}
	}},
	{"a workspace must be there", func(t *testing.T, f *fixture) {
		err := f.CreateConnection(t.Context(), domain.Connection{ID: "con_new", Workspace: unknownWorkspace, Endpoint: "new"}, nil)
		f.fails("CreateConnection", err, domain.ErrNotFound)
	}},
	{"an endpoint finds its connection and follows it", func(t *testing.T, f *fixture) {
		c, err := f.ConnectionByEndpoint(t.Context(), endpointA)
		f.ok(err)
		if c.ID != conA {
			t.Errorf("ConnectionByEndpoint = %q", c.ID)
		}
		_, err = f.UpdateConnection(t.Context(), conA, func(c *domain.Connection) error { c.Endpoint = "moved"; return nil })
		f.ok(err)
		_, err = f.ConnectionByEndpoint(t.Context(), endpointA)
		f.fails("the old endpoint", err, domain.ErrNotFound)
		c, err = f.ConnectionByEndpoint(t.Context(), "moved")
		if f.ok(err); c.ID != conA {
			t.Errorf("the new endpoint finds %q", c.ID)
		}
		_, err = f.UpdateConnection(t.Context(), conB, func(c *domain.Connection) error { c.Endpoint = "moved"; return nil })
		f.fails("an endpoint that is taken", err, domain.ErrExists)
	}},
	{"an update keeps whose it is", func(t *testing.T, f *fixture) {
		f.receive()
		_, err := f.UpdateConnection(t.Context(), conA, func(c *domain.Connection) error {
			c.ID, c.Workspace, c.LastInboundAt = "con_x", wsB, time.Time{}
			c.Settings = map[string]string{"a": "1"}
			return nil
		})
		f.ok(err)
		c, err := f.Connection(t.Context(), conA)
		f.ok(err)
		if c.Workspace != wsA || c.Settings["a"] != "1" || !c.LastInboundAt.Equal(noon) {
			t.Errorf("after the update: %+v", c)
		}
	}},
	{"a workspace lists its own", func(t *testing.T, f *fixture) {
		list := pages(f, func(p domain.Page) ([]domain.Connection, string, error) { return f.Connections(t.Context(), wsA, p) })
		if len(list) != 2 || list[0].ID != conA || list[1].ID != conA2 {
			t.Errorf("Connections(a) = %v", list)
		}
	}},
	{"what is read is a copy", func(t *testing.T, f *fixture) {
		_, err := f.UpdateConnection(t.Context(), conA, func(c *domain.Connection) error {
			c.Settings = map[string]string{"a": "1"}
			return nil
		})
		f.ok(err)
		c, err := f.Connection(t.Context(), conA)
		f.ok(err)
		c.Settings["a"] = "2"
		if again, _ := f.Connection(t.Context(), conA); again.Settings["a"] != "1" {
			t.Errorf("the setting is %q", again.Settings["a"])
		}
	}},
	{"secrets belong to one connection and a new one takes the old one's place", func(t *testing.T, f *fixture) {
		value := func(v string) []domain.SecretValue { return []domain.SecretValue{{Ciphertext: []byte(v)}} }
		err := f.CreateConnection(t.Context(), domain.Connection{ID: "con_c", Workspace: wsA, Endpoint: "c"},
			[]domain.Secret{{Name: "token", Values: value("1")}, {Name: "key", Values: value("2")}})
		f.ok(err)
		f.ok(f.PutSecret(t.Context(), domain.Secret{Connection: "con_c", Name: "token", Values: value("3")}))
		got, err := f.Secret(t.Context(), "con_c", "token")
		f.ok(err)
		all, err := f.Secrets(t.Context(), "con_c")
		f.ok(err)
		if string(got.Values[0].Ciphertext) != "3" || len(all) != 2 {
			t.Errorf("token is %q, and there are %d secrets", got.Values[0].Ciphertext, len(all))
		}
		_, err = f.Secret(t.Context(), conA, "token")
		f.fails("another connection's", err, domain.ErrNotFound)
		f.fails("PutSecret", f.PutSecret(t.Context(), domain.Secret{Connection: unknownConnection, Name: "x"}), domain.ErrNotFound)
	}},
	{"deleting one takes what is its own and leaves what happened", checkDelete},
	{"one that is not there is not found", func(t *testing.T, f *fixture) {
		_, err := f.Connection(t.Context(), unknownConnection)
		f.fails("Connection", err, domain.ErrNotFound)
		f.fails("DeleteConnection", f.DeleteConnection(t.Context(), unknownConnection), domain.ErrNotFound)
		e := f.delivery(conA)
		e.Connection = unknownConnection
		_, err = f.CommitDelivery(t.Context(), e)
		f.fails("CommitDelivery", err, domain.ErrNotFound)
		e = f.delivery(conA)
		e.Workspace = wsB
		_, err = f.CommitDelivery(t.Context(), e)
		f.fails("CommitDelivery for another's connection", err, domain.ErrNotFound)
	}},
}

func checkDelete(t *testing.T, f *fixture) {
	f.ok(f.PutSecret(t.Context(), domain.Secret{Connection: conA, Name: "token"}))
	f.put(domain.KVWrite{Key: "k", Value: "v", ExpiresAt: noon.Add(time.Hour)})
	f.receive(f.text(chat, "in", "hello"), f.photo(chat, "waits"), f.text(chat, "after", "behind it"))
	queued, parked := f.send(chat, "one"), f.send(otherChat, "two")
	f.park(parked)
	f.ok(f.DeleteConnection(t.Context(), conA))

	_, err := f.Connection(t.Context(), conA)
	f.fails("Connection", err, domain.ErrNotFound)
	_, err = f.ConnectionByEndpoint(t.Context(), endpointA)
	f.fails("ConnectionByEndpoint", err, domain.ErrNotFound)
	secrets, err := f.Secrets(t.Context(), conA)
	if f.ok(err); len(secrets) != 0 {
		t.Errorf("%d secrets are left", len(secrets))
	}
	if _, _, found, _ := f.KVGet(t.Context(), conA, "k", f.at); found {
		t.Error("a key-value entry is left")
	}
	f.ok(f.QueuedJobs(t.Context(), func(job domain.Job) error {
		t.Errorf("%s is still queued", job.ID)
		return nil
	}))
	if m := f.message(queued.Command.Message.ID); m.Status != contract.MessageFailed || m.Failure.Code != "connection_deleted" {
		t.Errorf("the message that waited is %q, failure %v", m.Status, m.Failure)
	}
	// The platform was told that its events were taken, so they go out, in order.
	var texts []string
	for _, e := range f.events(wsA) {
		switch m := e.Data.Message; {
		case m == nil:
			texts = append(texts, string(e.Data.Status.Status))
		case m.Parts[len(m.Parts)-1].Media != nil:
			texts = append(texts, m.Parts[len(m.Parts)-1].Media.Missing)
		default:
			texts = append(texts, m.Parts[0].Text.Plain)
		}
	}
	want := []string{"hello", "failed", "The connection was removed before the attachment was fetched.", "behind it", "failed"}
	if !slices.Equal(texts, want) {
		t.Errorf("events %q, want %q", texts, want)
	}
	if list, _, _ := f.Messages(t.Context(), wsA, domain.MessageFilter{Connection: conA}, domain.Page{}); len(list) != 5 {
		t.Errorf("%d messages, want 5", len(list))
	}
	_, err = f.RequeueJob(t.Context(), parked.ID, f.at)
	f.fails("RequeueJob", err, domain.ErrNotFound)
	f.ok(f.CreateConnection(t.Context(), domain.Connection{ID: conA, Workspace: wsA, Endpoint: endpointA}, nil))
}
