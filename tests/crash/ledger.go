package main

import (
	"encoding/pem"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// ledger is the platform that counts. It takes an effect as often as it comes, except one
// that is said to be repeatable, which it takes once. Now and then it is awkward: it
// refuses an effect, or takes it and hangs up.
type ledger struct {
	server *httptest.Server
	mint   mint

	mu      sync.Mutex
	rnd     *rand.Rand
	counts  map[string]int
	hungUp  map[string]bool
	effects []string // in the order in which they were first seen
}

// How often the platform is awkward, in a hundred.
const (
	refusesPercent = 2
	hangsUpPercent = 1
)

func openLedger(seed uint64) *ledger {
	l := &ledger{rnd: rand.New(rand.NewPCG(seed, 1)), counts: map[string]int{}, hungUp: map[string]bool{}}
	l.server = httptest.NewUnstartedServer(l)
	l.server.Config.ErrorLog = log.New(io.Discard, "", 0) // a host that dies in a handshake is no news
	l.server.StartTLS()
	return l
}

// certificate is the server's own certificate, in PEM.
func (l *ledger) certificate() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: l.server.Certificate().Raw})
}

// ServeHTTP counts an effect, or serves a file that deliveries link to.
func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if name, ok := strings.CutPrefix(r.URL.Path, "/files/"); ok {
		_, _ = w.Write([]byte("the file " + name)) // a host that was killed meanwhile asks again
		return
	}
	if r.URL.Path == "/token" {
		l.mint.ServeHTTP(w, r)
		return
	}
	if !l.mint.admit(r.Header.Get("Authorization")) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch l.take(r.Header.Get("Effect"), r.Header.Get("Repeatable") == "true") {
	case refused:
		w.WriteHeader(http.StatusServiceUnavailable)
	case hungUp:
		panic(http.ErrAbortHandler)
	}
}

// mood is how an effect is answered.
type mood int

const (
	taken mood = iota
	refused
	hungUp
)

func (l *ledger) take(effect string, repeatable bool) mood {
	l.mu.Lock()
	defer l.mu.Unlock()
	dice := l.rnd.IntN(100)
	if dice < refusesPercent {
		return refused
	}
	if l.counts[effect] == 0 {
		l.effects = append(l.effects, effect)
	}
	if !repeatable || l.counts[effect] == 0 {
		l.counts[effect]++
	}
	if dice < refusesPercent+hangsUpPercent {
		l.hungUp[effect] = true
		return hungUp
	}
	return taken
}

// told returns what was counted, in the order in which it first came.
func (l *ledger) told() []effect {
	l.mu.Lock()
	defer l.mu.Unlock()
	told := make([]effect, len(l.effects))
	for i, name := range l.effects {
		told[i] = effect{Name: name, Count: l.counts[name], HungUp: l.hungUp[name]}
	}
	return told
}
