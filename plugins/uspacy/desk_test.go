package main

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
	"github.com/seed75a60ee1/patchbay/plugins/internal/agenda"
	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
	"github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is one connection of a host in memory, whose portal is the emulator over HTTPS. An
// invocation commits when it returns; what it asks for runs when advance reaches its time.
type desk struct {
	t        *testing.T
	p        *emulator.Platform
	o        *emulator.Portal
	client   *http.Client
	settings map[string]string

	mu     sync.Mutex // held by whoever runs an invocation, but not during its calls
	kv     map[string]deskEntry
	routes map[string]bool
	taken  map[string]bool // routes that another connection holds
	media  map[contract.MediaHandle]string
	now    time.Time
	due    []deskWork
	events []contract.Event
	logs   []string
	token  string
	serial int
	// pending are the message events that were published and not delivered yet.
	pendingMu sync.Mutex
	pending   []string
}

type deskEntry struct {
	value   string
	version int64
	expires time.Time
}

type deskWork struct {
	at      time.Time
	payload string
}

// newDesk makes a desk with an installed portal and no line yet.
func newDesk(t *testing.T, opts emulator.Options, extra ...string) *desk {
	t.Helper()
	p, err := emulator.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{
		t: t, p: p, o: p.Portal(acme), kv: map[string]deskEntry{}, routes: map[string]bool{}, taken: map[string]bool{},
		media: map[contract.MediaHandle]string{}, now: time.Now(),
		settings: readManifest(t).In(manifest.ScopeConnection).WithDefaults(map[string]string{"portal_url": "https://" + acme}),
	}
	for i := 0; i < len(extra); i += 2 {
		d.settings[extra[i]] = extra[i+1]
	}
	d.connectTo(p)
	p.OnEvent(func(event string) {
		d.pendingMu.Lock()
		defer d.pendingMu.Unlock()
		d.pending = append(d.pending, event)
	})
	d.token = d.o.Preinstall().Access
	d.kv[keyInstallation] = deskEntry{value: installation{domain: acme, state: installActive}.encode(), version: 1}
	return d
}

// connectTo trusts the platform and finds it by any name.
func (d *desk) connectTo(p *emulator.Platform) {
	d.client = emulate.Trusting(p.CAPEM(), p.Addr(), p.Names()...)
	d.t.Cleanup(func() {
		d.client.CloseIdleConnections()
		if err := p.Close(); err != nil {
			d.t.Error(err)
		}
		if v := p.Violations(); len(v) > 0 {
			d.t.Errorf("against the protocol: %q", v)
		}
	})
}

// ready makes a desk whose line is there.
func ready(t *testing.T, opts emulator.Options, extra ...string) *desk {
	t.Helper()
	d := newDesk(t, opts, extra...)
	if out := d.reconcile(lineWork().Payload); out.Failure != nil {
		t.Fatalf("the line came to %+v", out.Failure)
	}
	d.wantEvents("connection.state connected")
	return d
}

func (d *desk) connection() contract.Connection {
	return contract.Connection{ID: "con_7Y2K", Workspace: "ws_1", Name: "Shop bot", State: contract.StateConnected,
		Settings: maps.Clone(d.settings), App: &contract.App{ID: "app_1"}}
}

func (d *desk) command(attempt int64) contract.CommandInfo {
	d.serial++
	return contract.CommandInfo{ID: contract.CommandID("cmd_" + strconv.Itoa(d.serial)), Attempt: attempt, CreatedAt: time.Now()}
}

// run carries out a command and commits what came of it.
func (d *desk) run(export contract.Export, in contract.Appendable) *contract.CommandOutput {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for range 5 {
		out, tx := new(contract.CommandOutput), d.begin("")
		d.invoke(tx, export, in, out)
		if d.commit(tx, out.Events, out.Commands) {
			return out
		}
	}
	d.t.Fatalf("%s was refused its commit again and again", export)
	return nil
}

func (d *desk) reconcile(payload string) *contract.CommandOutput {
	d.t.Helper()
	return d.run(contract.ExportReconcile, &contract.ReconcileInput{Command: d.command(1), Connection: d.connection(), Payload: payload})
}

// send sends a message, in as many attempts as the connector asks for at once, and runs what is
// due in between.
func (d *desk) send(in contract.SendMessageInput) *contract.CommandOutput {
	d.t.Helper()
	in.Connection = d.connection()
	in.Command = d.command(0)
	for {
		in.Command.Attempt++
		out := d.run(contract.ExportSendMessage, &in)
		f := out.Failure
		if f == nil || f.Class != contract.FailureRetryAfter || f.RetryAfterMillis > 5000 || in.Command.Attempt > 6 {
			return out
		}
		d.advance(time.Duration(f.RetryAfterMillis) * time.Millisecond)
	}
}

// say sends a text of Olena's.
func (d *desk) say(id, text string) *contract.CommandOutput {
	d.t.Helper()
	return d.send(contract.SendMessageInput{Message: olena(id, words(text))})
}

func words(text string) contract.Part {
	return contract.Part{Kind: contract.PartText, Text: &contract.Text{Plain: text}}
}

func olena(id string, parts ...contract.Part) contract.Message {
	return contract.Message{
		ID: contract.MessageID(id), Conversation: contract.Conversation{ID: "tg:551020", Title: "Olena K."},
		Author: contract.Author{Role: contract.RoleCustomer, Contact: contract.Contact{ID: "tg-user-551020", Name: "Olena K.", Phone: "+380501112233"}},
		Parts:  parts,
	}
}

// attach keeps an attachment and makes a part of it.
func (d *desk) attach(kind contract.MediaKind, name, content string) contract.Part {
	handle := contract.MediaHandle("med_" + name)
	d.media[handle] = content
	return contract.Part{Kind: contract.PartMedia, Media: &contract.Media{Kind: kind, Handle: handle, Name: name, SizeBytes: int64(len(content))}}
}

// deliver brings every pending event to the connector, as route hands it over.
func (d *desk) deliver() {
	d.t.Helper()
	d.pendingMu.Lock()
	pending := d.pending
	d.pending = nil
	d.pendingMu.Unlock()
	for _, event := range pending {
		d.receive(event)
	}
}

// receive brings one event to the connector, if it is for a line that is registered.
func (d *desk) receive(text string) *contract.ReceiveOutput {
	d.t.Helper()
	e, ok := openEvent(text)
	if !ok {
		d.t.Fatalf("the event %q is no JSON", text)
	}
	message, ok := e.find([]string{"payload", "payload.data", "data.entity", "data", "message", "."})
	key := routeLine + lineOf(message.object)
	d.mu.Lock()
	defer d.mu.Unlock()
	if !ok || !d.routes[key] {
		return nil
	}
	in := &contract.ReceiveInput{
		Delivery: contract.Delivery{ID: "dlv_1", ReceivedAt: time.Now(), Method: "POST", Path: "/sns"}, Connection: d.connection(),
		Routed: &contract.Routed{Key: key, Payload: payload.New().Text("action", e.action()).Text("dedupe", "sns/1").Raw("message", message.text).End()},
	}
	out, tx := new(contract.ReceiveOutput), d.begin("")
	d.invoke(tx, contract.ExportReceive, in, out)
	if out.Rejected != nil || out.Response.Status != 200 || out.DedupeKey != "sns/1" {
		d.t.Errorf("a message was answered %+v", out)
	}
	if !d.commit(tx, out.Events, out.Commands) {
		d.t.Error("a delivery was refused its commit")
	}
	return out
}

// invoke calls the connector as the guest's export does.
func (d *desk) invoke(tx *transaction, export contract.Export, in contract.Appendable, out pdktest.Output) {
	d.t.Helper()
	pdktest.Invoke(d.t, connector{}, tx, export, in, out)
}

// commit keeps what an invocation wrote; false if a version it checked changed meanwhile.
func (d *desk) commit(tx *transaction, events []contract.Event, commands []contract.CommandRequest) bool {
	for key, version := range tx.checks {
		if e, ok := d.entry(key); e.version != version || !ok && version != 0 {
			return false
		}
	}
	for key, w := range tx.writes {
		if w == nil {
			delete(d.kv, key)
			continue
		}
		e := deskEntry{value: w.Value, version: d.kv[key].version + 1}
		if w.TTLSeconds > 0 {
			e.expires = d.now.Add(time.Duration(w.TTLSeconds) * time.Second)
		}
		d.kv[key] = e
	}
	maps.Copy(d.routes, tx.routes)
	d.events = append(d.events, events...)
	for _, c := range commands {
		d.due = append(d.due, deskWork{d.now.Add(time.Duration(c.AfterMillis) * time.Millisecond), c.Payload})
	}
	return true
}

func (d *desk) entry(key string) (deskEntry, bool) {
	e, ok := d.kv[key]
	if ok && !e.expires.IsZero() && !d.now.Before(e.expires) {
		return deskEntry{}, false
	}
	return e, ok
}

// advance lets time pass and runs what comes due, in order.
func (d *desk) advance(by time.Duration) {
	d.t.Helper()
	end := d.now.Add(by)
	for {
		job, ok := agenda.Next(&d.due, func(j deskWork) time.Time { return j.at }, end)
		if !ok {
			break
		}
		if job.at.After(d.now) {
			d.now = job.at
		}
		d.reconcile(job.payload)
	}
	d.now = end
}

// kinds lists the events so far as words, and forgets them.
func (d *desk) kinds() []string {
	var list []string
	for _, e := range d.events {
		word := string(e.Kind)
		if e.State != nil {
			word += " " + string(e.State.State)
		}
		if e.Message != nil {
			word += " " + e.Message.Parts[0].Fallback
			if text := e.Message.Parts[0].Text; text != nil {
				word += text.Plain
			}
		}
		list = append(list, strings.TrimSpace(word))
	}
	d.events = nil
	return list
}

func (d *desk) wantEvents(want ...string) {
	d.t.Helper()
	if got := d.kinds(); !slices.Equal(got, want) {
		d.t.Errorf("events %q, want %q", got, want)
	}
}

// chat is the only chat of the portal.
func (d *desk) chat() emulator.Chat {
	d.t.Helper()
	chats := d.o.Chats()
	if len(chats) != 1 {
		d.t.Fatalf("the portal has %d chats: %+v", len(chats), chats)
	}
	return chats[0]
}

// texts lists what stands in a chat.
func (d *desk) texts(chat string) []string {
	var list []string
	for _, m := range d.o.Messages(chat) {
		list = append(list, m.Text)
	}
	return list
}

// wantTexts compares what stands in the only chat.
func (d *desk) wantTexts(want ...string) {
	d.t.Helper()
	if got := d.texts(d.chat().ID); !slices.Equal(got, want) {
		d.t.Errorf("the chat has %q, want %q", got, want)
	}
}

// reply has an operator write, and delivers it.
func (d *desk) reply(r emulator.Reply) emulator.Message {
	d.t.Helper()
	r.Chat = cmp.Or(r.Chat, d.o.Chats()[0].ID)
	m, err := d.o.Reply(r)
	if err != nil {
		d.t.Fatal(err)
	}
	d.deliver()
	return m
}

// transaction is one invocation's host. What the connector has no use for is not there.
type transaction struct {
	pdk.Host
	d      *desk
	body   string
	writes map[string]*contract.KVPut
	checks map[string]int64
	routes map[string]bool
}

func (d *desk) begin(body string) *transaction {
	return &transaction{d: d, body: body, writes: map[string]*contract.KVPut{}, checks: map[string]int64{}, routes: map[string]bool{}}
}

func (x *transaction) DeliveryBody() ([]byte, error) { return []byte(x.body), nil }

func (x *transaction) HTTPSend(r contract.HTTPRequest) (*contract.HTTPResult, error) {
	return x.exchange(r, strings.NewReader(r.Body), "")
}

// exchange is the host's egress.
func (x *transaction) exchange(r contract.HTTPRequest, body io.Reader, contentType string) (*contract.HTTPResult, error) {
	x.d.mu.Unlock()
	defer x.d.mu.Lock()
	if target, err := url.QueryUnescape(r.URL); err != nil || strings.Contains(r.Body+target, "{{") {
		x.d.t.Errorf("a placeholder went out: %s %s, %v", r.URL, r.Body, err)
	}
	ctx, cancel := context.WithTimeout(x.d.t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, body)
	if err != nil {
		return nil, &contract.HostError{Code: contract.HostInvalid, Message: err.Error(), Certain: true}
	}
	for _, h := range r.Headers {
		req.Header.Set(h.Name, strings.Replace(h.Value, "{{credential:access_token}}", x.d.token, 1))
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := x.d.client.Do(req)
	if err != nil {
		return nil, &contract.HostError{Code: contract.HostTimeout, Message: err.Error()}
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	result := &contract.HTTPResult{Status: int64(resp.StatusCode), Body: string(answer)}
	for name := range resp.Header {
		result.Headers = append(result.Headers, contract.Header{Name: name, Value: resp.Header.Get(name)})
	}
	return result, nil
}

func (x *transaction) MediaPut(m contract.MediaPut) (*contract.HTTPResult, error) {
	content, ok := x.d.media[m.Handle]
	if !ok {
		return nil, &contract.HostError{Code: contract.HostNotFound, Certain: true}
	}
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	for name, value := range m.Form {
		_ = w.WriteField(name, value)
	}
	part, _ := w.CreateFormFile(m.Field, strings.TrimPrefix(string(m.Handle), "med_"))
	_, _ = io.WriteString(part, content)
	_ = w.Close()
	return x.exchange(m.Request, &form, w.FormDataContentType())
}

func (x *transaction) KVGet(key string) (string, int64, bool, error) {
	if len(key) == 0 || len(key) > 256 {
		x.d.t.Errorf("the key %q has %d bytes", key, len(key))
	}
	e, found := x.d.entry(key)
	if w, written := x.writes[key]; written {
		if w == nil {
			return "", e.version, false, nil
		}
		return w.Value, e.version, true, nil
	}
	return e.value, e.version, found, nil
}

func (x *transaction) KVPut(w contract.KVPut) error {
	if len(w.Value) > 64<<10 {
		x.d.t.Errorf("the entry %q has %d bytes", w.Key, len(w.Value))
	}
	if w.CheckVersion {
		x.checks[w.Key] = w.ExpectedVersion
	}
	x.writes[w.Key] = &w
	return nil
}

func (x *transaction) KVDelete(w contract.KVDelete) error {
	x.writes[w.Key] = nil
	return nil
}

func (x *transaction) KVList(q contract.KVList) (*contract.KVListResult, error) {
	result := new(contract.KVListResult)
	for _, key := range slices.Sorted(maps.Keys(x.d.kv)) {
		e, live := x.d.entry(key)
		if !live || !strings.HasPrefix(key, q.Prefix) || key <= q.After {
			continue
		}
		if int64(len(result.Entries)) == q.Limit {
			result.More = true
			break
		}
		result.Entries = append(result.Entries, contract.KVEntry{Key: key, Value: e.value, Version: e.version})
	}
	return result, nil
}

func (x *transaction) RoutePut(key string) error {
	if x.d.taken[key] {
		return &contract.HostError{Code: contract.HostConflict, Certain: true}
	}
	x.routes[key] = true
	return nil
}

func (x *transaction) RouteDelete(key string) error {
	x.routes[key] = false
	return nil
}

func (x *transaction) Log(_ pdk.LogLevel, message string, fields ...string) {
	line := message + " " + strings.Join(fields, " ")
	if x.d.token != "" && strings.Contains(line, x.d.token) {
		x.d.t.Errorf("the token was logged: %q", line)
	}
	x.d.logs = append(x.d.logs, line)
}
