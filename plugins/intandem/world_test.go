package main

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
	"github.com/seed75a60ee1/patchbay/plugins/internal/agenda"
)

const (
	business     = "k3v9d0w5n1x8q2rt"
	clientID     = "c11e47"
	clientSecret = "s3cr3t-of-the-app"
)

// world is a host in memory around the connector: one app and one connection. What an
// invocation writes is committed when it returns, what it asks for runs when advance
// reaches its time, and a callback for a uid that nobody registered waits.
type world struct {
	t        testing.TB
	settings map[string]string
	app      map[string]string
	kv       map[string]entry
	routes   map[string]bool
	parked   []parkedDelivery
	clock    *atomic.Int64 // Unix nanoseconds; read by the platform, too
	due      []dueWork
	events   []contract.Event
	sent     []contract.HTTPRequest
	logs     []string
	commands int
	tokens   map[string]string // by credential
	// answer is the platform; nil answers 200 with an empty object.
	answer func(contract.HTTPRequest) (*contract.HTTPResult, error)
	// gone is the attachments that the host has no more.
	gone map[contract.MediaHandle]bool
	// broken makes every call of the host function fail.
	broken contract.HostFunction
	// taken is the keys that another connection of the app has.
	taken map[string]bool
}

type entry struct {
	value   string
	version int64
}

type dueWork struct {
	at      time.Time
	payload string
	lane    string
}

// queue has work done later. In a lane nothing overtakes what was queued before.
func (w *world) queue(job dueWork) {
	for _, earlier := range w.due {
		if job.lane != "" && earlier.lane == job.lane && earlier.at.After(job.at) {
			job.at = earlier.at
		}
	}
	w.due = append(w.due, job)
}

type parkedDelivery struct {
	key      string
	delivery contract.Delivery
	body     string
}

// newWorld makes a world whose connection has the manifest's defaults and extra settings,
// name and value in turn.
func newWorld(t testing.TB, extra ...string) *world {
	t.Helper()
	m := pdktest.LoadManifest(t, "plugin.yaml")
	w := &world{
		t: t, kv: map[string]entry{}, routes: map[string]bool{}, clock: new(atomic.Int64), gone: map[contract.MediaHandle]bool{},
		tokens: map[string]string{}, taken: map[string]bool{},
	}
	w.clock.Store(time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC).UnixNano())
	set := map[string]string{"client_id": clientID, "business_uid": business}
	for i := 0; i < len(extra); i += 2 {
		set[extra[i]] = extra[i+1]
	}
	w.settings, w.app = m.In(manifest.ScopeConnection).WithDefaults(set), m.In(manifest.ScopeApp).WithDefaults(set)
	old := now
	now = w.now
	t.Cleanup(func() { now = old })
	return w
}

func (w *world) now() time.Time { return time.Unix(0, w.clock.Load()).UTC() }

func (w *world) connection() contract.Connection {
	return contract.Connection{
		ID: "con_1", Workspace: "wsp_1", Name: "studio", Settings: maps.Clone(w.settings),
		App: &contract.App{ID: "app_1", Settings: maps.Clone(w.app)},
	}
}

func (w *world) appConnection() contract.Connection {
	return contract.Connection{ID: "app_1", Workspace: "wsp_host", Settings: maps.Clone(w.app), IsApp: true}
}

func (w *world) command() contract.CommandInfo {
	w.commands++
	w.clock.Add(int64(time.Millisecond))
	return contract.CommandInfo{ID: contract.CommandID("cmd_" + strconv.Itoa(w.commands)), Attempt: 1, CreatedAt: w.now()}
}

// deliver brings one callback to the app's address, and returns what the platform is
// answered.
func (w *world) deliver(method, path, body string) contract.Response {
	w.t.Helper()
	d := contract.Delivery{ID: "dlv_1", ReceivedAt: w.now(), Method: method, BodyBytes: int64(len(body))}
	d.Path, d.Query, _ = strings.Cut(path, "?")
	if body != "" {
		d.Headers = []contract.Header{{Name: "Content-Type", Value: "application/json"}}
	}
	return w.request(d, body)
}

// request brings one request to the app's address.
func (w *world) request(d contract.Delivery, body string) contract.Response {
	w.t.Helper()
	out := new(contract.RouteOutput)
	w.invoke(w.begin(body), contract.ExportRoute, &contract.RouteInput{Delivery: d, Settings: w.app, App: "app_1"}, out)
	switch {
	case out.Rejected != nil || out.Answered:
		return out.Response
	case !w.routes[out.Key] && out.Park != nil:
		w.parked = append(w.parked, parkedDelivery{out.Key, d, body})
		return out.Response
	case !w.routes[out.Key]:
		if out.Response.Status == 0 {
			out.Response.Status = 404
		}
		return out.Response
	case out.Authorize:
		return contract.Response{Status: 303}
	}
	return w.receive(d, body, &contract.Routed{Key: out.Key}).Response
}

// receive runs receive for the connection and commits what came of it.
func (w *world) receive(d contract.Delivery, body string, routed *contract.Routed) *contract.ReceiveOutput {
	w.t.Helper()
	out := new(contract.ReceiveOutput)
	tx := w.begin(body)
	w.invoke(tx, contract.ExportReceive, &contract.ReceiveInput{Delivery: d, Connection: w.connection(), Routed: routed}, out)
	if out.Rejected != nil {
		if len(out.Events)+len(out.Commands) > 0 || len(tx.writes) > 0 {
			w.t.Errorf("a rejected delivery has effects: %+v, writes %v", out, tx.writes)
		}
		return out
	}
	w.commit(tx, out.Events, out.Commands)
	return out
}

// run carries out a command and commits what came of it: again, with what was answered
// before, if something that it relied on changed meanwhile.
func (w *world) run(export contract.Export, in contract.Appendable) *contract.CommandOutput {
	w.t.Helper()
	var journal []exchange
	for range 10 {
		out := new(contract.CommandOutput)
		tx := w.begin("")
		tx.journal = journal
		w.invoke(tx, export, in, out)
		if w.commit(tx, out.Events, out.Commands) {
			return out
		}
		journal = tx.made
	}
	w.t.Fatalf("%s never committed", export)
	return nil
}

// invoke calls the connector as the guest's export does.
func (w *world) invoke(h pdk.Host, export contract.Export, in contract.Appendable, out pdktest.Output) {
	w.t.Helper()
	pdktest.Invoke(w.t, connector{}, h, export, in, out)
}

// commit makes an invocation's writes permanent, unless a version is not as expected. What
// waited for a key that is registered now is delivered.
func (w *world) commit(tx *invocation, events []contract.Event, commands []contract.CommandRequest) bool {
	w.t.Helper()
	for key, version := range tx.expected {
		if w.kv[key].version != version {
			return false
		}
	}
	for key, value := range tx.writes {
		if value == nil {
			delete(w.kv, key)
			continue
		}
		w.kv[key] = entry{*value, w.kv[key].version + 1}
	}
	maps.Copy(w.routes, tx.routes)
	w.events = append(w.events, events...)
	for _, c := range commands {
		w.queue(dueWork{w.now().Add(time.Duration(c.AfterMillis) * time.Millisecond), c.Payload, c.Lane})
	}
	waiting := w.parked
	w.parked = nil
	for _, p := range waiting {
		if !w.routes[p.key] {
			w.parked = append(w.parked, p)
			continue
		}
		w.receive(p.delivery, p.body, &contract.Routed{Key: p.key, Parked: true})
	}
	return true
}

// advance lets time pass and runs what comes due, in order.
func (w *world) advance(d time.Duration) {
	w.t.Helper()
	end := w.now().Add(d)
	for w.step(end) {
	}
	w.clock.Store(max(w.clock.Load(), end.UnixNano()))
}

// step runs the first piece of work that is due until a time, and tells whether there was
// one.
func (w *world) step(end time.Time) bool {
	w.t.Helper()
	job, ok := agenda.Next(&w.due, func(j dueWork) time.Time { return j.at }, end)
	if !ok {
		return false
	}
	w.clock.Store(max(w.clock.Load(), job.at.UnixNano()))
	w.reconcile(job.payload)
	return true
}

func (w *world) reconcile(payload string) *contract.CommandOutput {
	w.t.Helper()
	in := &contract.ReconcileInput{Command: w.command(), Connection: w.connection(), Payload: payload}
	out := w.run(contract.ExportReconcile, in)
	if f := out.Failure; f != nil && (f.Class == contract.FailureRetry || f.Class == contract.FailureRetryAfter) {
		w.queue(dueWork{at: w.now().Add(max(time.Duration(f.RetryAfterMillis)*time.Millisecond, time.Second)), payload: payload})
	}
	return out
}

// attempt is one attempt to send a message.
func (w *world) attempt(in contract.SendMessageInput) *contract.CommandOutput {
	w.t.Helper()
	if in.Command.ID == "" {
		in.Command = w.command()
	}
	in.Connection = w.connection()
	return w.run(contract.ExportSendMessage, &in)
}

func text(s string) contract.Part {
	return contract.Part{Kind: contract.PartText, Text: &contract.Text{Plain: s}}
}

func dana(id string, parts ...contract.Part) contract.Message {
	return contract.Message{
		ID:           contract.MessageID(id),
		Conversation: contract.Conversation{ID: "tg-553201", Title: "Dana Petrova"},
		Author: contract.Author{Role: contract.RoleCustomer, Contact: contract.Contact{
			ID: "tg-user-553201", Name: "Dana Petrova", Phone: "+37060012345", Email: "dana@example.test",
		}},
		Parts: parts,
	}
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
			word += " " + string(e.State.State) + " " + e.State.Code
		case e.Typing != nil:
			word += " " + strconv.FormatBool(e.Typing.On)
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

// person is what is kept of a conversation's customer.
func (w *world) person(chat string) person {
	w.t.Helper()
	p, err := loadPerson(w.begin(""), chat)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) channel() channel {
	w.t.Helper()
	c, err := loadChannel(w.begin(""))
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// put writes an entry.
func (w *world) put(key, value string) { w.kv[key] = entry{value, w.kv[key].version + 1} }

// exchange is one call of an invocation with its answer.
type exchange struct {
	result *contract.HTTPResult
	err    error
}

// invocation is one invocation's host. What the connector has no use for is not there.
type invocation struct {
	pdk.Host
	w        *world
	body     string
	writes   map[string]*string
	expected map[string]int64
	routes   map[string]bool
	journal  []exchange // to be answered again
	made     []exchange
}

func (w *world) begin(body string) *invocation {
	return &invocation{w: w, body: body, writes: map[string]*string{}, expected: map[string]int64{}, routes: map[string]bool{}}
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
	var e exchange
	if len(i.journal) > 0 {
		e, i.journal = i.journal[0], i.journal[1:]
	} else {
		e = i.send(r)
	}
	i.made = append(i.made, e)
	return e.result, e.err
}

func (i *invocation) send(r contract.HTTPRequest) exchange {
	for _, value := range i.w.tokens {
		if value != "" && strings.Contains(r.Body+r.URL, value) {
			i.w.t.Errorf("a token of the host's stands in the body of %s %s", r.Method, r.URL)
		}
	}
	i.w.sent = append(i.w.sent, r)
	if i.w.answer == nil {
		return exchange{result: &contract.HTTPResult{Status: 200, Body: "{}"}}
	}
	result, err := i.w.answer(r)
	return exchange{result, err}
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
	if p.CheckVersion {
		if p.ExpectedVersion != i.w.kv[p.Key].version {
			return &contract.HostError{Code: contract.HostConflict, Certain: true}
		}
		i.expected[p.Key] = p.ExpectedVersion
	}
	i.writes[p.Key] = &p.Value
	return i.fails(contract.HostKVPut)
}

func (i *invocation) KVDelete(d contract.KVDelete) error {
	i.writes[d.Key] = nil
	return i.fails(contract.HostKVDelete)
}

func (i *invocation) KVList(q contract.KVList) (*contract.KVListResult, error) {
	result := new(contract.KVListResult)
	for _, key := range slices.Sorted(maps.Keys(i.w.kv)) {
		if strings.HasPrefix(key, q.Prefix) && int64(len(result.Entries)) < q.Limit {
			result.Entries = append(result.Entries, contract.KVEntry{Key: key, Value: i.w.kv[key].value, Version: i.w.kv[key].version})
		}
	}
	return result, i.fails(contract.HostKVList)
}

func (i *invocation) RoutePut(key string) error {
	if i.w.taken[key] {
		return &contract.HostError{Code: contract.HostConflict, Certain: true}
	}
	i.routes[key] = true
	return i.fails(contract.HostRoutePut)
}

func (i *invocation) RouteDelete(key string) error {
	i.routes[key] = false
	return i.fails(contract.HostRouteDelete)
}

func (i *invocation) CredentialsPut(c contract.CredentialsPut) error {
	i.w.tokens[contract.CredentialAccessToken] = c.AccessToken
	if c.RefreshToken != "" {
		i.w.tokens[contract.CredentialRefreshToken] = c.RefreshToken
	}
	return i.fails(contract.HostCredentialsPut)
}

func (i *invocation) MediaLink(m contract.MediaLink) (*contract.MediaLinkResult, error) {
	if i.w.gone[m.Handle] {
		return nil, &contract.HostError{Code: contract.HostNotFound, Certain: true}
	}
	return &contract.MediaLinkResult{URL: "https://host.example/media/" + string(m.Handle)}, i.fails(contract.HostMediaLink)
}

func (i *invocation) Log(_ pdk.LogLevel, message string, fields ...string) {
	line := message + " " + strings.Join(fields, " ")
	for _, value := range i.w.tokens {
		if value != "" && strings.Contains(line, value) {
			i.w.t.Errorf("a token was logged: %q", line)
		}
	}
	i.w.logs = append(i.w.logs, line)
}
