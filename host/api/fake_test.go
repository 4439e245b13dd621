package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/host/lifecycle"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/host/tenant"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

var now = time.Date(2026, 11, 22, 10, 30, 0, 0, time.UTC)

// The tokens of the tests are the names of who holds them.
var principals = map[string]identity.Principal{
	"operator": {Subject: "olga", Role: identity.Operator, TokenID: "tok_operator"},
	"reviewer": {Subject: "rita", Role: identity.Reviewer, TokenID: "tok_reviewer"},
	"admin":    {Subject: "anna", Role: identity.WorkspaceAdmin, Workspace: "wsp_1", TokenID: "tok_admin"},
	"member":   {Subject: "max", Role: identity.WorkspaceMember, Workspace: "wsp_1", TokenID: "tok_member"},
	"reader":   {Subject: "rosa", Role: identity.WorkspaceReader, Workspace: "wsp_1", TokenID: "tok_reader"},
	"stranger": {Subject: "sam", Role: identity.WorkspaceAdmin, Workspace: "wsp_2", TokenID: "tok_stranger"},
}

// fake stands in for every room behind the API. Workspace wsp_1 has the things whose ids
// end in 1, and wsp_2 those that end in 2.
type fake struct {
	mu      sync.Mutex
	calls   []string        // what was asked, in one line each
	err     error           // what everything that changes something answers, if not nil
	revoked map[string]bool // token → revoked
	down    bool            // tokens cannot be verified
	pages   []domain.Page   // what listings were asked for
	send    tenant.Send     // the last message sent
	upload  int64           // bytes of the last upload
	limits  domain.Limits   // of every workspace
	once    domain.Once     // the name of the last connection's making
	busy    bool            // retention is under way, and backups break off
	events  []domain.Event  // of wsp_1
	news    chan struct{}   // of wsp_1
	ticks   chan time.Time  // heartbeats
	streams chan string     // "open" and "closed"
}

func newFake() *fake {
	return &fake{revoked: map[string]bool{}, news: make(chan struct{}, 1), ticks: make(chan time.Time),
		streams: make(chan string, 100)}
}

// did notes a change and answers what it comes to.
func (f *fake) did(format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
	return f.err
}

func (f *fake) called() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

func (f *fake) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// owner is the workspace that a thing belongs to, by its name.
func owner[S ~string](id S) contract.WorkspaceID {
	return contract.WorkspaceID("wsp_" + string(id[len(id)-1:]))
}

func missing(what string) error { return fmt.Errorf("read %s: %w", what, domain.ErrNotFound) }

// Identity.

func (f *fake) Verify(_ context.Context, token string) (identity.Principal, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return identity.Principal{}, errors.New("look up revocation: the store is closed")
	}
	p, ok := principals[token]
	switch {
	case strings.HasPrefix(token, "issued"):
		return identity.Principal{ExpiresAt: now.Add(time.Hour)}, nil
	case !ok:
		return identity.Principal{}, fmt.Errorf("%w: unknown", identity.ErrBadToken)
	case f.revoked[token]:
		return identity.Principal{}, identity.ErrRevoked
	}
	return p, nil
}

func (f *fake) revoke(token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revoked[token] = true
}

func (f *fake) Issue(_ context.Context, g identity.Grant) (string, string, error) {
	return "issued token", "tok_new", f.did("issue %s %s %s %v", g.Subject, g.Role, g.Workspace, g.TTL)
}

func (f *fake) JWKS() []byte { return []byte(`{"keys":[]}`) }

// Store.

func (f *fake) Workspace(_ context.Context, id contract.WorkspaceID) (domain.Workspace, error) {
	if id != "wsp_1" && id != "wsp_2" {
		return domain.Workspace{}, missing("workspace")
	}
	return domain.Workspace{ID: id, Name: "Workspace " + string(id), CreatedAt: now, Enabled: []string{"elma365"}}, nil
}

func (f *fake) paged(p domain.Page) (next string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pages = append(f.pages, p)
	if p.After == "" {
		return "cursor"
	}
	return ""
}

func (f *fake) Workspaces(_ context.Context, p domain.Page) ([]domain.Workspace, string, error) {
	return []domain.Workspace{{ID: "wsp_1"}, {ID: "wsp_2"}}, f.paged(p), nil
}

func (f *fake) Connection(_ context.Context, id contract.ConnectionID) (domain.Connection, error) {
	if id != "con_1" && id != "con_2" {
		return domain.Connection{}, missing("connection")
	}
	return aConnection(id), nil
}

func aConnection(id contract.ConnectionID) domain.Connection {
	return domain.Connection{ID: id, Workspace: owner(id), Plugin: "elma365", Name: "Support", State: contract.StateConnected,
		Endpoint: "secret-endpoint", Settings: map[string]string{"company_url": "https://acme.test"},
		PrivateTargets: []string{"10.0.0.5:443"}, CreatedAt: now, UpdatedAt: now,
		Setup: []contract.SetupStep{{Label: "URL", Value: "{{receive_url}}"}}}
}

func (f *fake) Connections(_ context.Context, ws contract.WorkspaceID, p domain.Page) ([]domain.Connection, string, error) {
	return []domain.Connection{aConnection(contract.ConnectionID("con_" + ws[4:]))}, f.paged(p), nil
}

// aMessage has an attachment in each place where one can be.
func aMessage() contract.Message {
	media := &contract.Media{Kind: contract.MediaImage, Handle: "med_1", SourceURL: "https://cdn.test/?token=source-secret"}
	card := contract.Card{Title: "A", Image: media}
	return contract.Message{ID: "msg_1", Conversation: contract.Conversation{ID: "chat-17"}, Author: contract.Author{Role: contract.RoleCustomer},
		Parts: []contract.Part{{Kind: contract.PartMedia, Media: media}, {Kind: contract.PartCard, Card: &card},
			{Kind: contract.PartCarousel, Carousel: &contract.Carousel{Cards: []contract.Card{card}}}}}
}

func (f *fake) Message(_ context.Context, ws contract.WorkspaceID, id contract.MessageID) (domain.Message, error) {
	if owner(id) != ws {
		return domain.Message{}, missing("message")
	}
	return domain.Message{Message: aMessage(), Workspace: ws, Connection: "con_1", Direction: domain.Inbound, CreatedAt: now, UpdatedAt: now}, nil
}

func (f *fake) Messages(_ context.Context, ws contract.WorkspaceID, filter domain.MessageFilter, p domain.Page) ([]domain.Message, string, error) {
	_ = f.did("messages %s %s", filter.Connection, filter.Conversation)
	return []domain.Message{{Message: aMessage(), Workspace: ws}}, f.paged(p), nil
}

func (f *fake) Conversations(_ context.Context, ws contract.WorkspaceID, c contract.ConnectionID, p domain.Page) ([]domain.ConversationSummary, string, error) {
	return []domain.ConversationSummary{{Conversation: contract.Conversation{ID: "chat-17"}, Workspace: ws, Connection: c}}, f.paged(p), nil
}

func (f *fake) Job(_ context.Context, id string) (domain.Job, error) {
	if id == "evt_1" {
		return domain.Job{ID: id, Kind: domain.JobEvent, Workspace: "wsp_1"}, nil
	}
	return aJob(id), nil
}

func aJob(id string) domain.Job {
	message := aMessage()
	return domain.Job{ID: id, Kind: domain.JobCommand, Workspace: owner(id), Connection: "con_1", State: domain.JobQueued, CreatedAt: now, UpdatedAt: now,
		Command: &domain.Command{ID: contract.CommandID(id), Export: contract.ExportSendMessage, Message: &message, Payload: "the plugin's own"}}
}

func (f *fake) Jobs(_ context.Context, filter domain.JobFilter, p domain.Page) ([]domain.Job, string, error) {
	_ = f.did("jobs %s %s %s %s", filter.Workspace, filter.Connection, filter.State, filter.Kind)
	return []domain.Job{aJob("cmd_1")}, f.paged(p), nil
}

func aDelivery(id contract.DeliveryID) domain.Delivery {
	return domain.Delivery{Delivery: contract.Delivery{ID: id, Method: "POST", Query: "sig=query-secret",
		Headers: []contract.Header{{Name: "X-Token", Value: "header-secret"}}}, Workspace: owner(id), State: domain.DeliveryFailed,
		Body: []byte("body-secret"), Sealed: strings.HasPrefix(string(id), "sealed"), ReplayedAt: now}
}

func (f *fake) Delivery(_ context.Context, id contract.DeliveryID) (domain.Delivery, error) {
	return aDelivery(id), nil
}

func (f *fake) Deliveries(_ context.Context, filter domain.DeliveryFilter, p domain.Page) ([]domain.Delivery, string, error) {
	_ = f.did("deliveries %s %s %s", filter.Workspace, filter.Connection, filter.State)
	return []domain.Delivery{aDelivery("dlv_1")}, f.paged(p), nil
}

func (f *fake) Notices(_ context.Context, filter domain.NoticeFilter, p domain.Page) ([]domain.Notice, string, error) {
	_ = f.did("notices %s %s", filter.Workspace, filter.Kind)
	return []domain.Notice{{Seq: 1, At: now, Kind: domain.NoticeJobParked, Workspace: "wsp_1", Target: "cmd_1", Detail: "it failed"}}, f.paged(p), nil
}

func (f *fake) Recordings(_ context.Context, ws contract.WorkspaceID, id string) ([]int, error) {
	if owner(id) != ws {
		return nil, missing("recordings")
	}
	return []int{1, 3}, f.did("recordings of %s", id)
}

func (f *fake) Recording(_ context.Context, ws contract.WorkspaceID, id string, run int) ([]byte, error) {
	if owner(id) != ws {
		return nil, missing("recording")
	}
	return []byte(`{"export":"receive"}`), f.did("recording %d of %s", run, id)
}

func aPlugin(digest string) domain.Plugin {
	p := domain.Plugin{Digest: digest, State: domain.PluginApproved, Active: true, File: "/srv/plugins/a.wasm", Grant: &domain.Grant{Note: "reviewer's note"}}
	if digest == "sha256:2" {
		p.State, p.Active = domain.PluginSubmitted, false
	}
	return p
}

func (f *fake) Plugin(_ context.Context, digest string) (domain.Plugin, error) {
	return aPlugin(digest), nil
}

func (f *fake) Plugins(context.Context) ([]domain.Plugin, error) {
	return []domain.Plugin{aPlugin("sha256:1"), aPlugin("sha256:2")}, nil
}

func (f *fake) Refusals(context.Context) ([]domain.Refusal, error) {
	return []domain.Refusal{{File: "/srv/plugins/bad.wasm", Reason: "it is no WebAssembly"}}, nil
}

func (f *fake) AuditEntries(_ context.Context, filter domain.AuditFilter, p domain.Page) ([]domain.AuditEntry, string, error) {
	_ = f.did("audit of %s %s", filter.Workspace, filter.Action)
	return []domain.AuditEntry{{Seq: 1, Actor: "olga"}}, f.paged(p), nil
}

func (f *fake) RevokeToken(_ context.Context, id string, until time.Time) error {
	return f.did("revoke token %s until %s", id, until.Format(time.DateOnly))
}

func (f *fake) Audit(_ context.Context, e domain.AuditEntry) error {
	_ = f.did("audited %s %s %s", e.Actor, e.Action, e.Target)
	return nil
}

// Tenant, Reviewer and Replayer.

func (f *fake) CreateWorkspace(_ context.Context, by domain.Actor, name string) (domain.Workspace, error) {
	return domain.Workspace{ID: "wsp_3", Name: name}, f.did("create workspace %s by %s", name, by.Subject)
}

func (f *fake) EnablePlugin(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, plugin string) (domain.Workspace, error) {
	return domain.Workspace{ID: ws}, f.did("enable %s %s", ws, plugin)
}

func (f *fake) DisablePlugin(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, plugin string) (domain.Workspace, error) {
	return domain.Workspace{ID: ws}, f.did("disable %s %s", ws, plugin)
}

func (f *fake) CreateConnection(ctx context.Context, _ domain.Actor, ws contract.WorkspaceID, n tenant.NewConnection) (domain.Connection, error) {
	f.mu.Lock()
	f.once = domain.OnceOf(ctx)
	f.mu.Unlock()
	return aConnection("con_1"), f.did("create connection %s %s %s %v", ws, n.Plugin, n.Name, n.Secrets)
}

func (f *fake) UpdateConnection(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID, p tenant.ConnectionPatch) (domain.Connection, error) {
	return aConnection("con_1"), f.did("update %s %s %v %v", ws, id, p.Name != nil, p.Settings)
}

func (f *fake) RemoveConnection(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID) (domain.Job, error) {
	if id == "con_9" { // one without teardown
		return domain.Job{}, nil
	}
	return aJob("cmd_1"), f.did("remove %s %s", ws, id)
}

func (f *fake) CheckConnection(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID) (domain.Job, error) {
	return aJob("cmd_1"), f.did("check %s %s", ws, id)
}

func (f *fake) Settings(_ context.Context, ws contract.WorkspaceID) (lifecycle.Settings, error) {
	if ws != "wsp_1" && ws != "wsp_2" {
		return lifecycle.Settings{}, missing("workspace")
	}
	return lifecycle.Settings{Effective: domain.Retention{PayloadDays: 30}, Usage: domain.Usage{PayloadBytes: 4096}}, f.did("retention of %s", ws)
}

func (f *fake) SetRetention(_ context.Context, by domain.Actor, ws contract.WorkspaceID, r domain.Retention) (lifecycle.Settings, error) {
	return lifecycle.Settings{Own: r, Effective: r}, errors.Join(f.did("keep %s for %d %d %d %d by %s", ws, r.PayloadDays, r.EventDays, r.DedupeDays, r.MaxBytes, by.Subject), r.Check())
}

func (f *fake) RunNow(context.Context, domain.Actor) (lifecycle.Report, error) {
	if f.busy {
		return lifecycle.Report{}, lifecycle.ErrUnderWay
	}
	return lifecycle.Report{StartedAt: now, Removed: []lifecycle.Removed{{Room: "events", Removed: 3}}}, f.did("run retention")
}

func (f *fake) Doctor(_ context.Context, deep bool) (lifecycle.Diagnosis, error) {
	return lifecycle.Diagnosis{At: now, Deep: deep, Findings: []lifecycle.Finding{}}, f.did("examine, deep %v", deep)
}

func (f *fake) Backup(_ context.Context, by domain.Actor, w io.Writer, recipients []age.Recipient) error {
	if _, err := io.WriteString(w, "the backup"); err != nil {
		return err
	}
	if f.busy {
		return errors.New("the disk is gone")
	}
	return f.did("backup for %d by %s", len(recipients), by.Subject)
}

func (f *fake) Limits(_ context.Context, ws contract.WorkspaceID) (tenant.WorkspaceLimits, error) {
	return tenant.WorkspaceLimits{Set: f.limits, Effective: domain.Limits{Connections: 20}}, f.did("limits %s", ws)
}

func (f *fake) SetLimits(_ context.Context, by domain.Actor, ws contract.WorkspaceID, l domain.Limits) (tenant.WorkspaceLimits, error) {
	err := f.did("limit %s by %s", ws, by.Subject)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limits = l
	return tenant.WorkspaceLimits{Set: l, Effective: l}, err
}

func (f *fake) LookupContact(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID, who contract.ContactID) (domain.Job, error) {
	return aJob("cmd_1"), f.did("look up %s %s %s", ws, id, who)
}

func (f *fake) AllowPrivateTargets(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID, targets []string) (domain.Connection, error) {
	return aConnection("con_1"), f.did("allow %s %s %v", ws, id, targets)
}

func (f *fake) ReceiveURL(c domain.Connection) string { return "https://in.test/in/" + c.Endpoint }

func (f *fake) Setup(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID) ([]contract.SetupStep, error) {
	return []contract.SetupStep{{Label: "Token", Value: "s3cret"}}, f.did("setup %s %s", ws, id)
}

func (f *fake) RotateSecret(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID, name, value string, overlap time.Duration) error {
	return f.did("rotate %s %s %s %q %v", ws, id, name, value, overlap)
}

func (f *fake) Send(_ context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID, send tenant.Send) (domain.Job, domain.Message, error) {
	err := f.did("send %s %s by %s", ws, id, by.Subject)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.send = send
	return aJob("cmd_1"), domain.Message{Message: send.Message, Workspace: ws, Connection: id}, err
}

func (f *fake) ReportStatus(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id contract.MessageID, r tenant.StatusReport) (domain.Job, error) {
	return aJob("cmd_1"), f.did("report %s %s %s", ws, id, r.Status)
}

func (f *fake) RetryCommand(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id contract.CommandID) (domain.Job, error) {
	return aJob("cmd_1"), f.did("retry %s %s", ws, id)
}

func (f *fake) CancelCommand(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id contract.CommandID) (domain.Job, error) {
	return aJob("cmd_1"), f.did("cancel %s %s", ws, id)
}

func (f *fake) RetryParked(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, filter domain.JobFilter, p domain.Page) (domain.Bulk, error) {
	return domain.Bulk{Matched: 2, Done: 2, Next: f.paged(p)}, f.did("retry parked of %s %s %s %q %s", ws, filter.Kind, filter.Connection, filter.Code, filter.Class)
}

func (f *fake) CancelParked(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, filter domain.JobFilter, p domain.Page) (domain.Bulk, error) {
	done := domain.Bulk{Matched: 1, Next: f.paged(p)}
	done.Skip("cmd_1", "it is queued")
	return done, f.did("cancel parked of %s %s since %s", ws, filter.Export, filter.UpdatedAfter.Format(time.DateOnly))
}

func (f *fake) ReplayDeliveries(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, filter domain.DeliveryFilter, p domain.Page) (domain.Bulk, error) {
	return domain.Bulk{Next: f.paged(p)}, f.did("replay of %s %s %q", ws, filter.Connection, filter.Code)
}

func (f *fake) Upload(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, name string, r io.Reader) (domain.Media, error) {
	n, err := io.Copy(io.Discard, r)
	if err != nil {
		return domain.Media{}, fmt.Errorf("upload: %w", err)
	}
	f.mu.Lock()
	f.upload = n
	f.mu.Unlock()
	return domain.Media{Handle: "med_1", Workspace: ws, Name: name, SizeBytes: n}, f.did("upload %s %s", ws, name)
}

func (f *fake) OpenMedia(_ context.Context, ws contract.WorkspaceID, h contract.MediaHandle) (domain.Media, io.ReadSeekCloser, error) {
	if owner(h) != ws {
		return domain.Media{}, nil, missing("media")
	}
	return domain.Media{Handle: h, Name: "a.html", MIME: "text/html", SizeBytes: 10, SHA256: "abc"},
		closer{strings.NewReader("0123456789"), f}, nil
}

// closer notes that it was closed.
type closer struct {
	io.ReadSeeker
	f *fake
}

func (c closer) Close() error { return c.f.did("closed media") }

func (f *fake) Approve(_ context.Context, by domain.Actor, digest string, a registry.Approval) (domain.Plugin, error) {
	return aPlugin(digest), f.did("approve %s %v by %s", digest, a.Egress, by.Subject)
}

func (f *fake) Revoke(_ context.Context, _ domain.Actor, digest, note string) (domain.Plugin, error) {
	return aPlugin(digest), f.did("revoke %s %s", digest, note)
}

func (f *fake) ReplayDelivery(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id contract.DeliveryID, force bool) (domain.Delivery, error) {
	return aDelivery(id), f.did("replay %s %s %v", ws, id, force)
}

// Events.

// publish adds an event to wsp_1 and tells of it.
func (f *fake) publish(seqs ...uint64) {
	f.mu.Lock()
	for _, seq := range seqs {
		message := aMessage()
		f.events = append(f.events, domain.Event{ID: contract.EventID(fmt.Sprintf("evt_%d", seq)), Seq: seq, Workspace: "wsp_1", Connection: "con_1",
			CommittedAt: now, Data: contract.Event{Kind: contract.EventMessageCreated, Message: &message, Conversation: &message.Conversation}})
	}
	f.mu.Unlock()
	select {
	case f.news <- struct{}{}:
	default:
	}
}

func (f *fake) Events(_ context.Context, ws contract.WorkspaceID, after uint64, limit int) ([]domain.Event, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var page []domain.Event
	for _, e := range f.events {
		if e.Workspace == ws && e.Seq > after && len(page) < limit {
			page = append(page, e)
		}
	}
	return page, nil
}

func (f *fake) LastEventSeq(_ context.Context, ws contract.WorkspaceID) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.events); n > 0 && ws == "wsp_1" {
		return f.events[n-1].Seq, nil
	}
	return 0, nil
}

func (f *fake) WatchEvents(contract.WorkspaceID) (<-chan struct{}, func()) {
	return f.news, func() {}
}

// Metrics.

func (f *fake) Request(string, string, int) {}

func (f *fake) Stream() func() {
	f.streams <- "open"
	return func() { f.streams <- "closed" }
}
