package main

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
	"github.com/seed75a60ee1/patchbay/plugins/internal/agenda"
)

const (
	partnerURL = "https://www.uchat.com.au"
	botURL     = "https://bot.dfktv2.com/api/apichat/0b7f"
)

// world is a host in memory around the connector: what an invocation writes is committed
// when it returns, and what it asks for runs when advance reaches its time.
type world struct {
	t        testing.TB
	settings map[string]string
	secrets  map[string]string
	kv       map[string]entry
	now      time.Time
	due      []dueWork
	events   []contract.Event
	sent     []contract.HTTPRequest
	logs     []string
	count    int
	// answer is the platform; it must be set where the connector calls.
	answer func(contract.HTTPRequest) (*contract.HTTPResult, error)
	// gone is the attachments that the host has no more.
	gone      map[contract.MediaHandle]bool
	mediaBase string
	// told is the connection's state, as invocations are told.
	told contract.ConnectionState
}

type entry struct {
	value   string
	version int64
	expires time.Time
}

type dueWork struct {
	at      time.Time
	payload string
}

// newWorld makes a world whose connection has the manifest's defaults and extra settings,
// name and value in turn.
func newWorld(t testing.TB, extra ...string) *world {
	t.Helper()
	w := &world{
		t: t, kv: map[string]entry{}, now: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC),
		gone: map[contract.MediaHandle]bool{}, mediaBase: "https://host.example/media/",
		settings: loadManifest(t).WithDefaults(map[string]string{"workspace_id": "4711"}),
		secrets: map[string]string{
			"verification_key": "vk_5hJ0123456789", "flow_key": "fk_9aB0123456789", "partner_key": "pk_1cD0123456789",
		},
	}
	w.set(extra...)
	return w
}

func (w *world) set(extra ...string) {
	for i := 0; i < len(extra); i += 2 {
		w.settings[extra[i]] = extra[i+1]
	}
}

// readManifest reads plugin.yaml once: fuzz targets need it often.
var readManifest = sync.OnceValues(func() (*manifest.Manifest, error) {
	text, err := os.ReadFile("plugin.yaml")
	if err != nil {
		return nil, err
	}
	return manifest.ParseYAML(text)
})

func loadManifest(t testing.TB) *manifest.Manifest {
	t.Helper()
	m, err := readManifest()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (w *world) connector() connector { return connector{now: func() time.Time { return w.now }} }

func (w *world) connection() contract.Connection {
	return contract.Connection{ID: "con_1", Workspace: "ws_1", Name: "bot", State: w.told, Settings: maps.Clone(w.settings)}
}

func (w *world) command() contract.CommandInfo {
	w.count++
	w.now = w.now.Add(time.Millisecond)
	return contract.CommandInfo{ID: contract.CommandID("cmd_" + strconv.Itoa(w.count)), Attempt: 1, CreatedAt: w.now}
}

// request brings one request to the connector and commits what came of it.
func (w *world) request(d contract.Delivery, body string) *contract.ReceiveOutput {
	w.t.Helper()
	w.count++
	d.ID, d.ReceivedAt, d.BodyBytes = contract.DeliveryID("dlv_"+strconv.Itoa(w.count)), w.now, int64(len(body))
	if d.Method == "" {
		d.Method = "POST"
	}
	out := new(contract.ReceiveOutput)
	tx := w.begin(body)
	w.invoke(tx, contract.ExportReceive, &contract.ReceiveInput{Delivery: d, Connection: w.connection()}, out)
	if out.Rejected != nil {
		if len(out.Events)+len(out.Commands) > 0 || out.Response.Status < 400 || out.Response.Body != "" {
			w.t.Errorf("a rejected delivery has effects or an odd answer: %+v", out)
		}
		return out
	}
	w.commit(tx, out.Events, out.Commands)
	return out
}

// deliver brings one message, signed as header says; an empty header signs nothing.
func (w *world) deliver(body string, s scheme) *contract.ReceiveOutput {
	w.t.Helper()
	d := contract.Delivery{Headers: []contract.Header{{Name: "Content-Type", Value: "application/json"}}}
	if s.header != "" {
		d.Headers = append(d.Headers, contract.Header{Name: s.header, Value: w.sign(body, s)})
	}
	return w.request(d, body)
}

// sign makes the value of a signature's header field.
func (w *world) sign(body string, s scheme) string {
	if s.signed == signedPHP {
		body, _ = phpJSON(body)
	}
	mac := macOver(s.algorithm, w.secrets[s.key], body)
	if s.encoding == encodingBase64 {
		return base64Of(mac)
	}
	return s.algorithm + "=" + hex.EncodeToString(mac)
}

func macOver(algorithm, key, body string) []byte {
	digest := map[string]func() hash.Hash{"sha256": sha256.New, "sha1": sha1.New}[algorithm]
	code := hmac.New(digest, []byte(key))
	code.Write([]byte(body))
	return code.Sum(nil)
}

// meta is the scheme that is the default everywhere.
var meta = scheme{header: "X-Hub-Signature-256", algorithm: "sha256", key: "verification_key", signed: "raw", encoding: "hex"}

// say brings one genuine message.
func (w *world) say(body string) *contract.ReceiveOutput {
	w.t.Helper()
	return w.deliver(body, meta)
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
	pdktest.Invoke(w.t, w.connector(), h, export, in, out)
}

func (w *world) commit(tx *invocation, events []contract.Event, commands []contract.CommandRequest) {
	for key, put := range tx.writes {
		if put == nil {
			delete(w.kv, key)
			continue
		}
		e := entry{value: put.Value, version: w.kv[key].version + 1}
		if put.TTLSeconds > 0 {
			e.expires = w.now.Add(time.Duration(put.TTLSeconds) * time.Second)
		}
		w.kv[key] = e
	}
	w.events = append(w.events, events...)
	for _, c := range commands {
		w.due = append(w.due, dueWork{w.now.Add(time.Duration(c.AfterMillis) * time.Millisecond), c.Payload})
	}
}

// advance lets time pass and runs what comes due, in order; it returns what the last one
// came to.
func (w *world) advance(d time.Duration) *contract.CommandOutput {
	w.t.Helper()
	end := w.now.Add(d)
	out := new(contract.CommandOutput)
	for {
		job, ok := agenda.Next(&w.due, func(j dueWork) time.Time { return j.at }, end)
		if !ok {
			break
		}
		if job.at.After(w.now) {
			w.now = job.at
		}
		out = w.run(contract.ExportReconcile, &contract.ReconcileInput{Command: w.command(), Connection: w.connection(), Payload: job.payload})
	}
	if end.After(w.now) {
		w.now = end
	}
	return out
}

// setup begins to set the webhook, and carries it out.
func (w *world) setup() *contract.CommandOutput {
	w.t.Helper()
	out := w.run(contract.ExportSetupConnection, &contract.SetupConnectionInput{Command: w.command(), Connection: w.connection()})
	if out.Failure != nil {
		return out
	}
	return w.advance(0)
}

// live makes the connection active and acquainted with Dana, without a look at how.
func (w *world) live() *world {
	w.t.Helper()
	w.kv[keyChannel] = entry{value: channel{state: channelReady, botURL: botURL}.encode(), version: 1}
	w.kv[keyPin] = entry{value: meta.encode(), version: 1}
	w.kv[prefixNumber+"4210077"] = entry{value: "tg-chat-1", version: 1}
	w.kv[prefixUser+"tg-553201"] = entry{value: "tg-chat-1", version: 1}
	w.kv[prefixChat+"tg-chat-1"] = entry{value: chatRecord{number: 4210077, sender: "tg-553201"}.encode(), version: 1}
	if w.answer == nil {
		w.answer = func(contract.HTTPRequest) (*contract.HTTPResult, error) {
			return &contract.HTTPResult{Status: 200, Body: "{}"}, nil
		}
	}
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

func text1(words string) contract.Part {
	return contract.Part{Kind: "text", Text: &contract.Text{Plain: words}}
}

// write sends a message of Dana's with these parts.
func (w *world) write(id string, parts ...contract.Part) *contract.CommandOutput {
	w.t.Helper()
	return w.send(contract.SendMessageInput{Message: dana(id, parts...)})
}

func dana(id string, parts ...contract.Part) contract.Message {
	return contract.Message{
		ID: contract.MessageID(id), Conversation: contract.Conversation{ID: "tg-chat-1", Title: "Dana Petrova"},
		Author: contract.Author{Role: contract.RoleCustomer, Contact: contract.Contact{
			ID: "tg-553201", Name: "Dana Petrova", Phone: "+37060012345",
		}},
		Parts: parts,
	}
}

// state is the last state that was told, as "state code"; it forgets the events.
func (w *world) state() string {
	told := ""
	for _, e := range w.events {
		if e.State != nil {
			told = string(e.State.State) + " " + e.State.Code
		}
	}
	w.events = nil
	return told
}

// wantState compares the last state that was told.
func (w *world) wantState(want string) {
	w.t.Helper()
	if got := w.state(); got != want {
		w.t.Errorf("the connection is told to be %q, want %q", got, want)
	}
}

// bodies lists what was sent so far, as "METHOD path body", and forgets it.
func (w *world) bodies() []string {
	var list []string
	for _, r := range w.sent {
		list = append(list, strings.TrimSpace(r.Method+" "+strings.TrimPrefix(strings.TrimPrefix(r.URL, partnerURL), botURL)+" "+r.Body))
	}
	w.sent = nil
	return list
}

// invocation is one invocation's host. What the connector has no use for is not there.
type invocation struct {
	pdk.Host
	w      *world
	body   string
	writes map[string]*contract.KVPut
}

func (w *world) begin(body string) *invocation {
	return &invocation{w: w, body: body, writes: map[string]*contract.KVPut{}}
}

func (i *invocation) DeliveryBody() ([]byte, error) { return []byte(i.body), nil }

func (i *invocation) HTTPSend(r contract.HTTPRequest) (*contract.HTTPResult, error) {
	i.w.sent = append(i.w.sent, r)
	return i.w.answer(r)
}

func (i *invocation) committed(key string) (entry, bool) {
	e, found := i.w.kv[key]
	if found && !e.expires.IsZero() && !i.w.now.Before(e.expires) {
		return entry{}, false
	}
	return e, found
}

func (i *invocation) KVGet(key string) (string, int64, bool, error) {
	if len(key) == 0 || len(key) > 256 {
		i.w.t.Errorf("the key %q has %d bytes", key, len(key))
	}
	e, found := i.committed(key)
	if put, written := i.writes[key]; written {
		found = put != nil
		if found {
			e.value = put.Value
		}
	}
	return e.value, e.version, found, nil
}

func (i *invocation) KVPut(p contract.KVPut) error {
	if len(p.Value) > 64<<10 {
		i.w.t.Errorf("the entry %q has %d bytes", p.Key, len(p.Value))
	}
	if e, _ := i.committed(p.Key); p.CheckVersion && p.ExpectedVersion != e.version {
		return &contract.HostError{Code: contract.HostConflict, Certain: true}
	}
	i.writes[p.Key] = &p
	return nil
}

func (i *invocation) KVDelete(d contract.KVDelete) error {
	i.writes[d.Key] = nil
	return nil
}

func (i *invocation) KVList(q contract.KVList) (*contract.KVListResult, error) {
	result := new(contract.KVListResult)
	for _, key := range slices.Sorted(maps.Keys(i.w.kv)) {
		if value, version, found, _ := i.KVGet(key); found && strings.HasPrefix(key, q.Prefix) {
			result.Entries = append(result.Entries, contract.KVEntry{Key: key, Value: value, Version: version})
		}
	}
	return result, nil
}

func (i *invocation) SecretEqual(name, value string) (bool, error) {
	return value != "" && i.w.secrets[name] == value, nil
}

func (i *invocation) HMACVerify(q contract.HMACVerify) (bool, error) {
	key := i.w.secrets[q.Name]
	if key == "" {
		return false, &contract.HostError{Code: contract.HostNotFound, Certain: true}
	}
	message := string(q.Message)
	if q.OverBody {
		message = i.body
	}
	return hmac.Equal(macOver(q.Algorithm, key, message), q.MAC), nil
}

func (i *invocation) MediaLink(m contract.MediaLink) (*contract.MediaLinkResult, error) {
	if i.w.gone[m.Handle] {
		return nil, &contract.HostError{Code: contract.HostNotFound, Certain: true}
	}
	if m.TTLSeconds != 24*3600 {
		i.w.t.Errorf("a link works for %d s, want a day", m.TTLSeconds)
	}
	return &contract.MediaLinkResult{URL: i.w.mediaBase + string(m.Handle)}, nil
}

func (i *invocation) Log(_ pdk.LogLevel, message string, fields ...string) {
	line := message + " " + strings.Join(fields, " ")
	for name, value := range i.w.secrets {
		if strings.Contains(line, value) {
			i.w.t.Errorf("the secret %s was logged: %q", name, line)
		}
	}
	i.w.logs = append(i.w.logs, line)
}
