package subscribers_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/host/cloudevents"
	"github.com/seed75a60ee1/patchbay/host/credentials"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/egress"
	"github.com/seed75a60ee1/patchbay/host/jobs"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/host/subscribers"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var by = domain.Actor{Subject: "anna"}

// inBubble runs a test in which time passes only while everybody waits.
func inBubble(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		test(t, w)
	})
}

// world is a room over a real store and a real scheduler, and a receiver at the other end
// of a wire that nobody has to lay.
type world struct {
	t         failer
	store     *store.Store
	vault     *credentials.Vault
	scheduler *jobs.Scheduler
	room      *subscribers.Room
	to        *receiver
	// through stands between the room and the store, to make commits fail.
	through func(subscribers.Store) subscribers.Store
	within  func(ctx context.Context, ws contract.WorkspaceID, count func(context.Context) (int64, error), create func(context.Context) error) error
	n       int
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
	TempDir() string
}

func newWorld(t *testing.T) *world { return newWorldIn(t, t.TempDir()) }

func newWorldIn(t failer, dir string) *world {
	w := &world{t: t, to: &receiver{}, through: func(s subscribers.Store) subscribers.Store { return s }}
	var err error
	if w.store, err = store.Open(filepath.Join(dir, "patchbay.db"), store.Options{}); err != nil {
		t.Fatalf("%v", err)
	}
	if w.vault, err = credentials.OpenVault(dir, time.Now); err != nil {
		t.Fatalf("%v", err)
	}
	w.ok(w.store.CreateWorkspace(w.ctx(), domain.Workspace{ID: "wsp_1"}))
	for i := 1; i <= 2; i++ {
		id := contract.ConnectionID(fmt.Sprintf("con_%d", i))
		w.ok(w.store.CreateConnection(w.ctx(), domain.Connection{ID: id, Workspace: "wsp_1", Endpoint: string(id)}, nil))
	}
	w.open()
	return w
}

func (w *world) ctx() context.Context { return context.Background() }

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%v", err)
	}
}

// open starts a room and a scheduler on what is in the store.
func (w *world) open() {
	w.room = subscribers.New(subscribers.Options{
		Store: w.through(w.store), Vault: w.vault, Egress: w.to, Jobs: lateJobs{w}, Metrics: noMetrics{}, ParseURL: egress.ParseURL,
		Within: w.within, Now: time.Now, Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
	})
	w.scheduler = jobs.New(jobs.Options{Queue: w.store, Runner: w.room, Workers: 8, Log: slog.New(slog.DiscardHandler)})
	w.ok(w.scheduler.Start(w.ctx()))
	w.ok(w.room.Start(w.ctx()))
}

// shut stops both, giving up whatever is under way, as near to a crash as it comes while the
// process lives.
func (w *world) shut() {
	hurry, cancel := context.WithCancel(w.ctx())
	cancel()
	_ = w.room.Stop(hurry) // it says what it gave up
	w.ok(w.scheduler.Stop(w.ctx()))
}

func (w *world) close() {
	w.t.Helper()
	w.ok(w.room.Stop(w.ctx()))
	w.ok(w.scheduler.Stop(w.ctx()))
	for _, problem := range w.store.Check(w.ctx()) {
		w.t.Errorf("the store: %s", problem)
	}
	w.ok(w.store.Close())
}

// lateJobs reaches a scheduler that is made after the room.
type lateJobs struct{ w *world }

func (l lateJobs) Add(committed ...domain.Job) { l.w.scheduler.Add(committed...) }
func (l lateJobs) Forget(job domain.Job)       { l.w.scheduler.Forget(job) }
func (l lateJobs) Move(moved ...domain.Job)    { l.w.scheduler.Move(moved...) }

type noMetrics struct{}

func (noMetrics) Job(domain.JobKind, string)                        {}
func (noMetrics) Notification(string, time.Duration, time.Duration) {}

const target = "https://receiver.test/hooks"

// subscribe makes a subscriber that gets what comes from now on.
func (w *world) subscribe(change ...func(*subscribers.NewSubscriber)) domain.SubscriberStatus {
	w.t.Helper()
	n := subscribers.NewSubscriber{Name: "CRM", URL: target}
	for _, f := range change {
		f(&n)
	}
	s, value, err := w.room.CreateSubscriber(w.ctx(), by, "wsp_1", n)
	w.ok(err)
	w.to.trust(value)
	return s
}

// say commits one event in a conversation, and returns its number in it: each conversation
// counts from 1 by itself in what it says.
func (w *world) say(conversation contract.ConversationID, words ...string) {
	w.t.Helper()
	for _, word := range words {
		w.sayIn("con_1", conversation, contract.EventPostback, word)
	}
}

func (w *world) sayIn(c contract.ConnectionID, conversation contract.ConversationID, kind contract.EventKind, word string) {
	w.t.Helper()
	w.n++
	now := time.Now()
	e := contract.Event{Kind: kind, At: now, Conversation: &contract.Conversation{ID: conversation}}
	switch kind {
	case contract.EventPostback:
		e.Postback = &contract.Postback{ActionID: word}
	case contract.EventTyping:
		e.Typing = &contract.Typing{On: true}
	}
	_, err := w.store.CommitDelivery(w.ctx(), domain.DeliveryEffects{
		Effects:  domain.Effects{Workspace: "wsp_1", Connection: c, Events: []contract.Event{e}, At: now},
		Delivery: domain.Delivery{Delivery: contract.Delivery{ID: contract.DeliveryID(fmt.Sprintf("dlv_%d", w.n))}, Workspace: "wsp_1", Connection: c, State: domain.DeliveryAccepted},
	})
	w.ok(err)
}

func (w *world) status(id domain.SubscriberID) domain.SubscriberStatus {
	w.t.Helper()
	s, err := w.store.SubscriberStatus(w.ctx(), "wsp_1", id)
	w.ok(err)
	return s
}

// notices returns the kinds of the notices there are, oldest first.
func (w *world) notices() (kinds []domain.NoticeKind) {
	w.t.Helper()
	found, _, err := w.store.Notices(w.ctx(), domain.NoticeFilter{}, domain.Page{})
	w.ok(err)
	for _, n := range slices.Backward(found) {
		kinds = append(kinds, n.Kind)
	}
	return kinds
}

// sent is one request that the receiver got.
type sent struct {
	request contract.HTTPRequest
	policy  domain.EgressPolicy
	event   cloudevents.CloudEvent
	at      time.Time
}

// word is what the event says.
func (s sent) word() string {
	if s.event.Data.Postback == nil {
		return string(s.event.Data.Kind)
	}
	return s.event.Subject + ":" + s.event.Data.Postback.ActionID
}

func (s sent) header() http.Header {
	h := http.Header{}
	for _, f := range s.request.Headers {
		h.Add(f.Name, f.Value)
	}
	return h
}

// receiver is who the subscribers are, and the wire to them. Unless told otherwise it takes
// everything.
type receiver struct {
	mu      sync.Mutex
	got     []sent
	secrets []string
	answer  func(n int, s sent) *contract.HTTPResult
	block   chan struct{} // attempts wait until it is closed, or they are given up
}

func (r *receiver) trust(value secret.Text) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets = append(r.secrets, value.Reveal())
}

func (r *receiver) answers(f func(n int, s sent) *contract.HTTPResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// Send takes a request. Its n counts requests from 1.
func (r *receiver) Send(ctx context.Context, p domain.EgressPolicy, _ secret.Reveal, request contract.HTTPRequest) *contract.HTTPResult {
	got := sent{request: request, policy: p, at: time.Now()}
	if err := json.Unmarshal([]byte(request.Body), &got.event); err != nil {
		panic(err)
	}
	r.mu.Lock()
	r.got = append(r.got, got)
	n, answer, block := len(r.got), r.answer, r.block
	r.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return &contract.HTTPResult{Error: &contract.HostError{Code: contract.HostUnavailable, Message: "given up"}}
		}
	}
	if answer == nil {
		return status(200)
	}
	return answer(n, got)
}

// signed holds a request against the official library, as if it came now.
func signed(value string, s sent) bool {
	w, err := standardwebhooks.NewWebhook(value)
	return err == nil && w.VerifyIgnoringTimestamp([]byte(s.request.Body), s.header()) == nil
}

func status(code int64, headers ...string) *contract.HTTPResult {
	result := &contract.HTTPResult{Status: code}
	for i := 0; i+1 < len(headers); i += 2 {
		result.Headers = append(result.Headers, contract.Header{Name: headers[i], Value: headers[i+1]})
	}
	return result
}

func unreachable() *contract.HTTPResult {
	return &contract.HTTPResult{Error: &contract.HostError{Code: contract.HostUnreachable, Message: "no connection could be made", Certain: true}}
}

func (r *receiver) requests() []sent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// words returns what was received, in order, repeats included.
func (r *receiver) words() (words []string) {
	for _, s := range r.requests() {
		words = append(words, s.word())
	}
	return words
}

// wantGenuine checks that every request is signed, with a secret that was handed out, and
// says when it was sent.
func (r *receiver) wantGenuine(t failer) {
	t.Helper()
	for _, s := range r.requests() {
		known := slices.ContainsFunc(r.secrets, func(value string) bool { return signed(value, s) })
		if !known || s.header().Get(standardwebhooks.HeaderWebhookTimestamp) != strconv.FormatInt(s.at.Unix(), 10) {
			t.Errorf("the official library does not verify %q", s.word())
		}
	}
}
