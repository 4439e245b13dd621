package oauth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/oauth"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const (
	public = "https://hooks.test"
	ws     = contract.WorkspaceID("wsp_a")
	con    = contract.ConnectionID("con_a")
	ofApp  = contract.ConnectionID("con_of_app")
	app    = contract.ConnectionID("app_1")
)

var (
	noon  = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	admin = domain.Actor{Subject: "ann", Role: "workspace-admin"}
)

// world is a room with everything around it, which is in memory.
type world struct {
	t    testing.TB
	room *oauth.Room
	log  bytes.Buffer

	mu          sync.Mutex
	now         time.Time
	connections map[contract.ConnectionID]domain.Connection
	audited     []domain.AuditEntry
	jobs        map[string]domain.Job
	consents    []oauth.Consent
	abilities   []contract.Export
	// consent answers the plugin's authorize_url, and run what comes of a queued exchange; nil
	// leaves it queued.
	consent func(oauth.Consent) (string, error)
	run     func(domain.Job) domain.Job
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, now: noon, jobs: map[string]domain.Job{},
		connections: map[contract.ConnectionID]domain.Connection{
			con:   {ID: con, Workspace: ws, Plugin: "acme", Endpoint: "endpoint-of-con"},
			ofApp: {ID: ofApp, Workspace: ws, Plugin: "acme", App: app, Endpoint: "endpoint-of-it"},
			app:   {ID: app, Workspace: domain.HostWorkspace, Plugin: "acme", IsApp: true, Endpoint: "endpoint-of-app"},
		},
		abilities: []contract.Export{contract.ExportReceive, contract.ExportAuthorizeURL, contract.ExportExchangeCode},
		consent: func(c oauth.Consent) (string, error) {
			return "https://login.acme.test/authorize?state=" + url.QueryEscape(c.State) + "&redirect_uri=" + url.QueryEscape(c.RedirectURL), nil
		},
		run: func(j domain.Job) domain.Job { j.State = domain.JobDone; return j },
	}
	w.room = oauth.New(oauth.Options{Store: w, Plugins: w, Sealer: w, Queued: w.queued, PublicURL: public, Now: w.clock,
		Log: slog.New(slog.NewTextHandler(&w.log, nil))})
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) tick(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) Connection(_ context.Context, id contract.ConnectionID) (domain.Connection, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok := w.connections[id]
	if !ok {
		return c, domain.ErrNotFound
	}
	return c, nil
}

func (w *world) AcceptCommand(_ context.Context, n domain.NewCommand) (domain.Job, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok := w.connections[n.Connection]
	if !ok || c.Workspace != n.Workspace {
		return domain.Job{}, false, domain.ErrNotFound
	}
	n.Command.ID = contract.CommandID(fmt.Sprintf("cmd_%d", len(w.jobs)+1))
	job := domain.Job{ID: string(n.Command.ID), Kind: domain.JobCommand, Workspace: n.Workspace, Connection: n.Connection, Lane: n.Lane,
		State: domain.JobQueued, Command: &n.Command}
	w.jobs[job.ID] = job
	return job, true, nil
}

func (w *world) Job(_ context.Context, id string) (domain.Job, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.jobs[id], nil
}

func (w *world) Audit(_ context.Context, e domain.AuditEntry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.audited = append(w.audited, e)
	return nil
}

func (w *world) AuthorizeURL(_ context.Context, _ domain.Connection, c oauth.Consent) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.consents = append(w.consents, c)
	return w.consent(c)
}

func (w *world) Abilities(plugin string) ([]contract.Export, bool) {
	return w.abilities, plugin == "acme"
}

func (w *world) SealCode(owner contract.ConnectionID, code, verifier secret.Text) ([]byte, error) {
	if code.Reveal() == "unsealable" {
		return nil, errors.New("no key")
	}
	return []byte("sealed:" + string(owner) + ":" + code.Reveal() + ":" + verifier.Reveal()), nil
}

func (w *world) queued(job domain.Job) {
	w.mu.Lock()
	run := w.run
	w.mu.Unlock()
	if run == nil {
		return
	}
	after := run(job)
	w.mu.Lock()
	w.jobs[job.ID] = after
	w.mu.Unlock()
	w.room.Ended(after)
}

// browser is somebody with cookies.
type browser struct {
	*world
	cookies map[string]string
}

func (w *world) browser() *browser { return &browser{w, map[string]string{}} }

// get asks for a page of the host, and keeps the cookie that it sets.
func (b *browser) get(address string) oauth.Page {
	b.t.Helper()
	return b.ask(http.MethodGet, address)
}

func (b *browser) ask(method, address string) oauth.Page {
	b.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		b.t.Fatal(err)
	}
	v := oauth.Visit{Method: method, Path: u.EscapedPath(), Query: u.RawQuery, Cookies: b.cookies}
	var page oauth.Page
	if strings.HasPrefix(v.Path, "/oauth/start/") {
		page = b.room.Start(b.t.Context(), v)
	} else {
		page = b.room.Callback(b.t.Context(), v)
	}
	switch {
	case page.Cookie == nil:
	case page.Cookie.MaxAge < 0:
		delete(b.cookies, page.Cookie.Name)
	default:
		b.cookies[page.Cookie.Name] = page.Cookie.Value
	}
	return page
}

// begin begins a flow of a connection.
func (w *world) begin(id contract.ConnectionID) oauth.Begun {
	w.t.Helper()
	begun, err := w.room.Begin(w.t.Context(), admin, ws, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return begun
}

// consented goes to the consent page and returns the address that the platform sends the
// browser back to, with whatever it adds.
func (b *browser) consented(link string, add url.Values) string {
	b.t.Helper()
	page := b.get(link)
	if page.Status != http.StatusSeeOther {
		b.t.Fatalf("the start answered %d: %s", page.Status, page.Body)
	}
	u, err := url.Parse(page.Location)
	if err != nil {
		b.t.Fatal(err)
	}
	add.Set("state", u.Query().Get("state"))
	return u.Query().Get("redirect_uri") + "?" + add.Encode()
}

// actions lists what was audited, by its actions.
func (w *world) actions() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var actions []string
	for _, e := range w.audited {
		actions = append(actions, e.Action)
	}
	return strings.Join(actions, " ")
}

// exchanges lists the commands that were queued.
func (w *world) exchanges() (all []domain.Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range len(w.jobs) {
		all = append(all, w.jobs[fmt.Sprintf("cmd_%d", i+1)])
	}
	return all
}

func code(c string) url.Values { return url.Values{"code": {c}} }
