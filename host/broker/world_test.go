package broker_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/credentials"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/jobs"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/sandbox"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// guest is a plugin's code as a Go function.
type guest func(ctx context.Context, g *call) ([]byte, error)

// call is what a guest can reach.
type call struct {
	sandbox.Invocation
	ctx context.Context
}

// ask calls a host function.
func ask[R any, P interface {
	*R
	contract.Decodable
}](g *call, name contract.HostFunction, args contract.Appendable) *R {
	answer, err := g.Host[string(name)](g.ctx, contract.Marshal(args))
	if err != nil {
		panic(&sandbox.HostFault{Function: string(name), Err: err}) // the sandbox ends the guest there
	}
	var out R
	if err := contract.Unmarshal(answer, P(&out)); err != nil {
		panic(err)
	}
	return &out
}

func (g guest) Call(ctx context.Context, inv sandbox.Invocation) (*sandbox.Result, error) {
	out, err := g.untilFault(ctx, &call{Invocation: inv, ctx: ctx})
	if err != nil {
		return &sandbox.Result{}, err
	}
	return &sandbox.Result{Output: out}, nil
}

func (g guest) untilFault(ctx context.Context, c *call) (out []byte, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *sandbox.HostFault:
			err = p
		default:
			panic(p)
		}
	}()
	return g(ctx, c)
}

// Record is Call with a recording of it.
func (g guest) Record(ctx context.Context, inv sandbox.Invocation) (*recording.Recording, *sandbox.Result, error) {
	rec := recording.NewRecorder(recording.Recording{Digest: "sha256:test", Export: inv.Export, Input: inv.Input, Now: inv.Now, Seed: inv.Seed})
	inv.Host = recording.Wrap(rec, inv.Host)
	result, err := g.Call(ctx, inv)
	outcome := recording.Outcome{Output: result.Output}
	if err != nil {
		outcome = recording.Outcome{Failure: &recording.Failure{Kind: recording.KindTrap, Message: err.Error()}}
	}
	return rec.End(outcome, result.Fuel, 0, 0), result, err
}

func (guest) Close(context.Context) error { return nil }

// plugins lends one version.
type plugins struct {
	mu      sync.Mutex
	version *registry.Version
	err     error
}

func (p *plugins) Acquire(string) (*registry.Version, func(), error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.version, func() {}, p.err
}

func (p *plugins) set(g guest, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	version := *p.version
	version.Code = g
	p.version, p.err = &version, err
}

// outside answers requests.
type outside struct {
	mu    sync.Mutex
	sent  []contract.HTTPRequest
	send  func(p domain.EgressPolicy, reveal secret.Reveal, r contract.HTTPRequest) *contract.HTTPResult
	fetch func(url string) (string, error)
	// reveal, if set, is called at the beginning of a download.
	reveal func(secret.Reveal) error
}

func (o *outside) Send(_ context.Context, p domain.EgressPolicy, reveal secret.Reveal, r contract.HTTPRequest) *contract.HTTPResult {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent = append(o.sent, r)
	return o.send(p, reveal, r)
}

func (o *outside) Download(ctx context.Context, _ domain.EgressPolicy, reveal secret.Reveal, url string, headers []contract.Header,
	_ int64, w io.Writer) (domain.Fetched, error) {
	if o.reveal != nil {
		if err := o.reveal(reveal); err != nil {
			return domain.Fetched{}, err
		}
	}
	for _, h := range headers {
		name := strings.TrimSuffix(strings.TrimPrefix(h.Value, "{{secret:"), "}}")
		value, err := reveal(ctx, name)
		if err != nil {
			return domain.Fetched{}, err
		}
		url += " " + h.Name + "=" + value.Reveal()
	}
	text, err := o.fetch(url)
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	return domain.Fetched{SizeBytes: int64(len(text)), ContentType: "text/plain", Name: "platform.txt"}, err
}

func (o *outside) CachedGet(_ context.Context, p domain.EgressPolicy, url string) *contract.HTTPResult {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.send(p, nil, contract.HTTPRequest{Method: "CACHED", URL: url})
}

func (o *outside) Upload(_ context.Context, p domain.EgressPolicy, reveal secret.Reveal, m contract.MediaPut, a domain.Attachment) *contract.HTTPResult {
	content, err := io.ReadAll(a.Body)
	if err = errors.Join(err, a.Body.Close()); err != nil {
		return &contract.HTTPResult{Error: &contract.HostError{Code: contract.HostUnavailable}}
	}
	m.Request.Body = a.Name + " " + a.MIME + " " + strconv.FormatInt(a.SizeBytes, 10) + " " + string(content)
	return o.send(p, reveal, m.Request)
}

// vault holds secrets in the clear.
type vault map[string]string

func (v vault) Reveal(_ context.Context, _ contract.ConnectionID, name string) (secret.Text, error) {
	if value, ok := v[name]; ok {
		return secret.New(value), nil
	}
	return secret.Text{}, domain.ErrNotFound
}

func (v vault) Values(ctx context.Context, c contract.ConnectionID, name string) ([]secret.Text, error) {
	newest, err := v.Reveal(ctx, c, name)
	if old, ok := v[name+" before"]; ok && err == nil {
		return []secret.Text{newest, secret.New(old)}, nil
	}
	return []secret.Text{newest}, err
}

func (v vault) Equal(ctx context.Context, c contract.ConnectionID, name, candidate string) (bool, error) {
	value, err := v.Reveal(ctx, c, name)
	return value.Equal(candidate), err
}

func (v vault) HMACVerify(ctx context.Context, c contract.ConnectionID, name, algorithm string, message, mac []byte) (bool, error) {
	want, err := v.HMACSign(ctx, c, name, algorithm, message)
	return bytes.Equal(want, mac), err
}

func (v vault) HMACSign(_ context.Context, _ contract.ConnectionID, name, algorithm string, message []byte) ([]byte, error) {
	if _, ok := v[name]; !ok {
		return nil, domain.ErrNotFound
	}
	return []byte(algorithm + "/" + v[name] + "/" + string(message)), nil
}

// files keeps bytes by themselves.
type files struct{}

func (files) Put(_ context.Context, r io.Reader, _ int64) (string, int64, string, error) {
	data, err := io.ReadAll(r)
	return base64.StdEncoding.EncodeToString(data), int64(len(data)), "text/plain", err
}

func (files) Link(h contract.MediaHandle, expires time.Time) string {
	return "https://host.test/media/" + string(h) + "?exp=" + expires.UTC().Format(time.RFC3339)
}

func (files) Open(sum string) (io.ReadSeekCloser, error) {
	data, err := base64.StdEncoding.DecodeString(sum)
	return opened{bytes.NewReader(data)}, err
}

// opened is bytes that can be closed.
type opened struct{ *bytes.Reader }

func (opened) Close() error { return nil }

func (files) Thumbnail(sum string) (string, error) { return "small-" + sum, nil }

// counts remembers what the broker counted.
type counts struct {
	mu         sync.Mutex
	deliveries map[string]int
	failures   map[string]int
}

func (c *counts) Delivery(_, outcome string, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deliveries[outcome]++
}

func (c *counts) Invocation(_ string, _ contract.Export, _ time.Duration, _ int64, failure string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures[failure]++
}
func (c *counts) HostCall(string, contract.HostFunction) {}
func (c *counts) Job(domain.JobKind, string)             {}

// limits lets everything pass, unless a test says otherwise.
type limits struct {
	full error
	debt time.Duration
	fuel atomic.Int64
	open atomic.Int64
}

func (l *limits) AdmitDelivery(contract.WorkspaceID, int64) (func(), error) {
	if l.full != nil {
		return nil, l.full
	}
	l.open.Add(1)
	return func() { l.open.Add(-1) }, nil
}

func (l *limits) ChargeFuel(_ contract.WorkspaceID, fuel int64) { l.fuel.Add(fuel) }

func (l *limits) Debt(contract.WorkspaceID) time.Duration { return l.debt }

// world is a broker over a real store, with everything else played.
type world struct {
	*broker.Broker
	limits     limits
	opts       broker.Options
	store      *store.Store
	plugins    *plugins
	outside    *outside
	vault      vault
	tokens     *credentials.Tokens
	counts     *counts
	now        atomic.Int64 // Unix seconds
	workspace  domain.Workspace
	connection domain.Connection
	closed     bool // the test closed the store itself
}

const endpoint = "end-point"

func newWorld(t *testing.T, g guest) *world {
	t.Helper()
	w := &world{vault: vault{"token": "hunter2-hunter2"}, counts: &counts{deliveries: map[string]int{}, failures: map[string]int{}},
		outside: &outside{}}
	w.now.Store(1_800_000_000)
	clock := func() time.Time { return time.Unix(w.now.Load(), 0).UTC() }
	var err error
	if w.store, err = store.Open(filepath.Join(t.TempDir(), "test.db"), store.Options{Now: clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if broken := w.store.Check(context.Background()); len(broken) > 0 && !w.closed {
			t.Errorf("the store is inconsistent: %v", broken)
		}
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.plugins = &plugins{version: &registry.Version{Plugin: testPlugin(), Code: g}}
	w.workspace = domain.Workspace{ID: "wsp_1", Name: "Acme", CreatedAt: clock(), Enabled: []string{"test"}}
	w.connection = domain.Connection{ID: "con_1", Workspace: "wsp_1", Plugin: "test", Name: "one", State: contract.StateConnected,
		Endpoint: endpoint, Settings: map[string]string{"base": "https://Acme.Test:8443"}, CreatedAt: clock(), UpdatedAt: clock()}
	if err := errors.Join(w.store.CreateWorkspace(t.Context(), w.workspace), w.store.CreateConnection(t.Context(), w.connection, nil)); err != nil {
		t.Fatal(err)
	}
	w.opts = broker.Options{
		Limits: &w.limits, Store: w.store, Plugins: w.plugins, Egress: w.outside, Secrets: w.vault, Tokens: w.newTokens(t, clock), Media: files{}, Metrics: w.counts,
		Policy:          jobs.Policy{Random: func(n int64) int64 { return n - 1 }},
		ReceiveDeadline: time.Second, CommandDeadline: time.Second, MaxRepeatWindow: time.Minute, MediaMaxBytes: 1000, MediaLinkTTL: time.Hour,
		Now: clock, Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
	}
	w.restart()
	return w
}

// newTokens is a keeper of token sets that renews none by itself.
func (w *world) newTokens(t *testing.T, clock func() time.Time) *credentials.Tokens {
	vault, err := credentials.OpenVault(t.TempDir(), clock)
	if err != nil {
		t.Fatal(err)
	}
	w.tokens = credentials.NewTokens(credentials.TokenOptions{Vault: vault, Store: w.store, Now: clock, Log: slog.New(slog.DiscardHandler),
		Manifest: func(string) (*manifest.Manifest, error) { return &w.plugins.version.Manifest, nil }})
	return w.tokens
}

// restart throws all away that is in memory only.
func (w *world) restart() { w.Broker = broker.New(w.opts) }

func testPlugin() domain.Plugin {
	return domain.Plugin{Digest: "sha256:test", State: domain.PluginApproved, HostFunctions: broker.Offered(),
		Manifest: manifest.Manifest{
			Name: "test", Title: "Test", RepeatWindowSeconds: 60,
			Abilities: []contract.Export{contract.ExportReceive, contract.ExportSendMessage, contract.ExportReconcile, contract.ExportTeardownConnection},
			Settings:  map[string]manifest.Setting{"base": {Type: manifest.TypeURL, Title: "Base"}},
			Egress: map[string]manifest.EgressRule{
				"api":   {Setting: "base", Methods: []string{"POST"}, Paths: []string{"/api"}},
				"files": {Host: "files.test", Methods: []string{"GET"}, Paths: []string{"/"}},
			},
			Secrets: map[string]manifest.Secret{"token": {SendTo: []string{"api"}}, "second": {Default: "token", SendTo: []string{"api"}}, "kept": {}},
		},
		Grant: &domain.Grant{Egress: []string{"api", "files"}, Secrets: []string{"token", "second"}, HostFunctions: broker.Offered()},
	}
}

// deliver sends a body to the endpoint.
func (w *world) deliver(t *testing.T, body string) broker.Answer {
	t.Helper()
	return w.Receive(t.Context(), broker.Request{Endpoint: endpoint, Method: "POST", Body: []byte(body)})
}

// deliverAnswered is deliver with the answer handed to the network.
func (w *world) deliverAnswered(t *testing.T, body string) broker.Answer {
	t.Helper()
	answer := w.deliver(t, body)
	answer.Answered()
	if err := w.store.Ping(t.Context()); err != nil { // the mark is queued before it
		t.Fatal(err)
	}
	return answer
}

func (w *world) events(t *testing.T) (kinds []string) {
	t.Helper()
	events, err := w.store.Events(t.Context(), w.workspace.ID, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		text := string(e.Data.Kind)
		if e.Data.Message != nil {
			text += " " + plain(*e.Data.Message)
		}
		kinds = append(kinds, text)
	}
	return kinds
}

func plain(m contract.Message) string {
	var texts []string
	for _, part := range m.Parts {
		switch {
		case part.Text != nil:
			texts = append(texts, part.Text.Plain)
		case part.Media != nil:
			texts = append(texts, "["+part.Media.MIME+part.Media.Missing+"]")
		}
	}
	return strings.Join(texts, " ")
}

// said is an output with one message in a conversation.
func said(conversation contract.ConversationID, text string) *contract.ReceiveOutput {
	return &contract.ReceiveOutput{Response: contract.Response{Status: 200, Body: "ok " + text}, Events: []contract.Event{created(conversation, text)}}
}

func created(conversation contract.ConversationID, text string) contract.Event {
	return contract.Event{Kind: contract.EventMessageCreated, Conversation: &contract.Conversation{ID: conversation},
		Message: &contract.Message{Conversation: contract.Conversation{ID: conversation}, Author: contract.Author{Role: contract.RoleAgent},
			Parts: []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: text}}}}}
}

func body(g *call) string {
	raw, err := g.Host[string(contract.HostDeliveryBody)](g.ctx, nil)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// echo says what it was sent.
func echo(_ context.Context, g *call) ([]byte, error) {
	return contract.Marshal(said("chat", body(g))), nil
}
