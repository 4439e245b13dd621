package main

import (
	"encoding/json"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// receiver is the tenant's own server, which has events sent to it. It checks every
// signature with the official library. Now and then it fails: before it has taken an event,
// or after.
type receiver struct {
	server *httptest.Server

	mu       sync.Mutex
	rnd      *rand.Rand
	verifier *standardwebhooks.Webhook
	receipts []receipt
	wrong    []string
}

// How often the receiver fails, in a hundred.
const (
	failsPercent  = 3
	forgetPercent = 2 // it has taken the event, and hangs up
)

func openReceiver(seed uint64) *receiver {
	r := &receiver{rnd: rand.New(rand.NewPCG(seed, 2)), receipts: []receipt{}}
	r.server = httptest.NewUnstartedServer(r)
	r.server.Config.ErrorLog = log.New(io.Discard, "", 0) // a host that dies meanwhile is no news
	r.server.Start()
	return r
}

// trust says what events are signed with.
func (r *receiver) trust(secret string) error {
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.verifier = verifier
	return nil
}

// ServeHTTP takes one event.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the host died while it spoke
	}
	switch r.take(req.Header, body) {
	case refused:
		w.WriteHeader(http.StatusInternalServerError)
	case hungUp:
		panic(http.ErrAbortHandler)
	}
}

func (r *receiver) take(header http.Header, body []byte) mood {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.verifier == nil {
		return refused // nobody has told the secret yet
	}
	dice := r.rnd.IntN(100)
	if dice < failsPercent {
		return refused
	}
	var e struct{ ID, Sequence, Subject, Connection string }
	id := header.Get("webhook-id")
	if err := r.verifier.Verify(body, header); err != nil {
		r.wrong = append(r.wrong, "the signature of event "+id+": "+err.Error())
	}
	if err := json.Unmarshal(body, &e); err != nil || e.ID != id {
		r.wrong = append(r.wrong, "webhook-id "+id+" came with event "+e.ID)
	}
	r.receipts = append(r.receipts, receipt{ID: id, Connection: e.Connection, Conversation: e.Subject, Seq: e.Sequence})
	if dice < failsPercent+forgetPercent {
		return hungUp
	}
	return taken
}

// told returns what was taken, in order, and what was wrong with it.
func (r *receiver) told() (receipts []receipt, wrong []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]receipt{}, r.receipts...), append([]string(nil), r.wrong...)
}
