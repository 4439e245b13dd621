package main

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
	"github.com/seed75a60ee1/patchbay/plugins/internal/agenda"
)

const (
	company = "https://acme.elma365.example"
	hook    = company + "/api/messengers/external/other/webhook/ch-1"
	token   = "c0nf-9tQ"
)

// world is a host in memory around the connector: what an invocation writes is committed
// when it returns, and what it asks for runs when advance reaches its time.
type world struct {
	t        testing.TB
	settings map[string]string
	kv       map[string]entry
	now      time.Time
	due      []dueWork
	events   []contract.Event
	sent     []contract.HTTPRequest
	logs     []string
	commands int
	// answer is the platform; nil answers 200.
	answer func(contract.HTTPRequest) (*contract.HTTPResult, error)
	// gone is the attachments that the host has no more.
	gone map[contract.MediaHandle]bool
	// mediaBase stands before the handle in a link.
	mediaBase string
	// broken makes every call of the host function fail.
	broken contract.HostFunction
}

type entry struct {
	value   string
	version int64
}

type dueWork struct {
	at      time.Time
	payload string
}

// newWorld makes a world whose connection has the manifest's defaults and extra settings,
// name and value in turn.
func newWorld(t *testing.T, extra ...string) *world {
	t.Helper()
	w := &world{
		t: t, kv: map[string]entry{}, now: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC),
		gone: map[contract.MediaHandle]bool{}, mediaBase: "https://host.example/media/",
		settings: defaults(t, map[string]string{"company_url": company}),
	}
	for i := 0; i < len(extra); i += 2 {
		w.settings[extra[i]] = extra[i+1]
	}
	return w
}

func defaults(t testing.TB, set map[string]string) map[string]string {
	return pdktest.LoadManifest(t, "plugin.yaml").WithDefaults(set)
}

func (w *world) connection() contract.Connection {
	return contract.Connection{ID: "con_1", Workspace: "ws_1", Name: "live chat", Settings: maps.Clone(w.settings)}
}

func (w *world) command() contract.CommandInfo {
	w.commands++
	w.now = w.now.Add(time.Millisecond)
	return contract.CommandInfo{ID: contract.CommandID("cmd_" + strconv.Itoa(w.commands)), Attempt: 1, CreatedAt: w.now}
}

// deliver brings one POST to the connector.
func (w *world) deliver(body string) *contract.ReceiveOutput {
	w.t.Helper()
	return w.request(contract.Delivery{Method: "POST", BodyBytes: int64(len(body))}, body)
}

// request brings one request to the connector and commits what came of it.
func (w *world) request(d contract.Delivery, body string) *contract.ReceiveOutput {
	w.t.Helper()
	d.ID, d.ReceivedAt = "dlv_1", w.now
	out := new(contract.ReceiveOutput)
	tx := w.begin(body)
	w.invoke(tx, contract.ExportReceive, &contract.ReceiveInput{Delivery: d, Connection: w.connection()}, out)
	if out.Rejected != nil {
		if len(out.Events)+len(out.Commands)+len(tx.writes) > 0 {
			w.t.Errorf("a rejected delivery has effects: %+v, writes %v", out, tx.writes)
		}
		return out
	}
	w.commit(tx, out.Events, out.Commands)
	return out
}

// run carries out a command and commits what came of it.
func (w *world) run(export contract.Export, in contract.Appendable) *contract.CommandOutput {
	w.t.Helper()
	out := new(contract.CommandOutput)
	tx := w.begin("")
	w.invoke(tx, export, in, out)
	w.commit(tx, out.Events, out.Commands)
	return out
}

// invoke calls the connector as the guest's export does.
func (w *world) invoke(h pdk.Host, export contract.Export, in contract.Appendable, out pdktest.Output) {
	w.t.Helper()
	pdktest.Invoke(w.t, connector{}, h, export, in, out)
}

func (w *world) commit(tx *invocation, events []contract.Event, commands []contract.CommandRequest) {
	for key, value := range tx.writes {
		if value == nil {
			delete(w.kv, key)
			continue
		}
		w.kv[key] = entry{*value, w.kv[key].version + 1}
	}
	w.events = append(w.events, events...)
	for _, c := range commands {
		w.due = append(w.due, dueWork{w.now.Add(time.Duration(c.AfterMillis) * time.Millisecond), c.Payload})
	}
}

// advance lets time pass and runs what comes due, in order.
func (w *world) advance(d time.Duration) {
	w.t.Helper()
	end := w.now.Add(d)
	for {
		job, ok := agenda.Next(&w.due, func(j dueWork) time.Time { return j.at }, end)
		if !ok {
			break
		}
		w.now = latest(w.now, job.at)
		w.reconcile(job.payload)
	}
	w.now = latest(w.now, end)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (w *world) reconcile(payload string) *contract.CommandOutput {
	w.t.Helper()
	return w.run(contract.ExportReconcile, &contract.ReconcileInput{Command: w.command(), Connection: w.connection(), Payload: payload})
}

// connect brings the platform's connect.
func (w *world) connect() *world {
	w.t.Helper()
	if out := w.deliver(envelopeOf("connect", `"channelId":"ch-1",`, `{"webhook":"`+hook+`"}`)); out.Response.Status != 200 {
		w.t.Fatalf("connect was answered %+v", out)
	}
	w.events = nil
	return w
}

// send sends a message, in as many attempts as the connector asks for at once.
func (w *world) send(in contract.SendMessageInput) *contract.CommandOutput {
	w.t.Helper()
	in.Command, in.Connection = w.command(), w.connection()
	out := w.run(contract.ExportSendMessage, &in)
	if out.Failure != nil && out.Failure.Code == "introduced" {
		in.Command.Attempt++
		out = w.run(contract.ExportSendMessage, &in)
	}
	return out
}

// say sends a text of Dana's.
func (w *world) say(id, text string) *contract.CommandOutput {
	w.t.Helper()
	return w.send(contract.SendMessageInput{Message: dana(id, contract.Part{Kind: "text", Text: &contract.Text{Plain: text}})})
}

func dana(id string, parts ...contract.Part) contract.Message {
	return contract.Message{
		ID:           contract.MessageID(id),
		Conversation: contract.Conversation{ID: "tg-553201", Title: "Dana Petrova"},
		Author: contract.Author{Role: contract.RoleCustomer, Contact: contract.Contact{
			ID: "tg-user-553201", Name: "Dana Petrova", Phone: "+37060012345", Avatar: "med_avatar",
		}},
		Parts: parts,
	}
}

// envelopeOf is a webhook's body.
func envelopeOf(kind, more, data string) string {
	body := `{"type":"` + kind + `","token":"` + token + `",` + more
	if data != "" {
		return body + `"data":` + data + `}`
	}
	return strings.TrimSuffix(body, ",") + `}`
}

func outcomeOf(id string, success bool) string {
	return envelopeOf("messageOutcome", "", `{"success":`+map[bool]string{true: "true", false: "false"}[success]+`,"messageId":"`+id+`"}`)
}

// kinds lists the events so far as words, and forgets them.
func (w *world) kinds() []string {
	var list []string
	for _, e := range w.events {
		word := string(e.Kind)
		switch {
		case e.Status != nil:
			word += " " + string(e.Status.PlatformID) + " " + string(e.Status.Status)
		case e.State != nil:
			word += " " + string(e.State.State)
		}
		list = append(list, word)
	}
	w.events = nil
	return list
}

// wantEvents compares the events since the last look.
func (w *world) wantEvents(want ...string) {
	w.t.Helper()
	if got := w.kinds(); !slices.Equal(got, want) {
		w.t.Errorf("events %q, want %q", got, want)
	}
}

// posts lists what was posted so far, as bodies.
func (w *world) posts() []string {
	var list []string
	for _, r := range w.sent {
		list = append(list, r.Body)
	}
	return list
}

// wantPosts compares how often was posted.
func (w *world) wantPosts(want int) {
	w.t.Helper()
	if len(w.sent) != want {
		w.t.Errorf("%d posts, want %d: %q", len(w.sent), want, w.posts())
	}
}

// invocation is one invocation's host. What the connector has no use for is not there.
type invocation struct {
	pdk.Host
	w      *world
	body   string
	writes map[string]*string
}

func (w *world) begin(body string) *invocation {
	return &invocation{w: w, body: body, writes: map[string]*string{}}
}

// fails is the error of a host function that is broken.
func (i *invocation) fails(f contract.HostFunction) error {
	if i.w.broken != f {
		return nil
	}
	return &contract.HostError{Code: contract.HostUnavailable, Certain: true}
}

func (i *invocation) DeliveryBody() ([]byte, error) {
	return []byte(i.body), i.fails(contract.HostDeliveryBody)
}

func (i *invocation) HTTPSend(r contract.HTTPRequest) (*contract.HTTPResult, error) {
	i.w.sent = append(i.w.sent, r)
	if i.w.answer == nil {
		return &contract.HTTPResult{Status: 200, Body: "{}"}, nil
	}
	return i.w.answer(r)
}

func (i *invocation) KVGet(key string) (string, int64, bool, error) {
	if len(key) == 0 || len(key) > 256 {
		i.w.t.Errorf("the key %q has %d bytes", key, len(key))
	}
	e, found := i.w.kv[key]
	if value, written := i.writes[key]; written {
		found = value != nil
		if found {
			e.value = *value
		}
	}
	return e.value, e.version, found, i.fails(contract.HostKVGet)
}

func (i *invocation) KVPut(p contract.KVPut) error {
	if len(p.Value) > 64<<10 {
		i.w.t.Errorf("the entry %q has %d bytes", p.Key, len(p.Value))
	}
	if p.CheckVersion && p.ExpectedVersion != i.w.kv[p.Key].version {
		return &contract.HostError{Code: contract.HostConflict, Certain: true}
	}
	i.writes[p.Key] = &p.Value
	return i.fails(contract.HostKVPut)
}

func (i *invocation) KVDelete(d contract.KVDelete) error {
	i.writes[d.Key] = nil
	return i.fails(contract.HostKVDelete)
}

func (i *invocation) SecretEqual(name, value string) (bool, error) {
	return name == "token" && value == token, i.fails(contract.HostSecretEqual)
}

func (i *invocation) MediaLink(m contract.MediaLink) (*contract.MediaLinkResult, error) {
	if i.w.gone[m.Handle] {
		return nil, &contract.HostError{Code: contract.HostNotFound, Certain: true}
	}
	return &contract.MediaLinkResult{URL: i.w.mediaBase + string(m.Handle)}, i.fails(contract.HostMediaLink)
}

func (i *invocation) Log(_ pdk.LogLevel, message string, fields ...string) {
	line := message + " " + strings.Join(fields, " ")
	if strings.Contains(line, token) {
		i.w.t.Errorf("the token was logged: %q", line)
	}
	i.w.logs = append(i.w.logs, line)
}
