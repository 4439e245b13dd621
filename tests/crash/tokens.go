package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// tokenLife is how long the ledger's access tokens last: several are renewed in each life of
// the host.
const tokenLife = 5 * time.Second

// tokenPatience is how late after its end an access token may come: the request was sent in
// time, and the machine was busy.
const tokenPatience = 3 * time.Second

// mint is the ledger's tokens, in numbered pairs for each account. Like platforms that
// forgive, it takes a refresh token again whose answer may have been lost. It does not take
// one that is older than a pair that the host has shown to have: then the host lost a token
// that it was given.
type mint struct {
	mu       sync.Mutex
	accounts map[string]*account
	wrong    []string
}

// account is one connection's.
type account struct {
	newest int
	shown  int // the newest pair that the host came with
}

// revokedPair is the one pair of each account whose access token is never taken.
const revokedPair = 4

func (m *mint) blame(format string, args ...any) {
	const most = 20
	if len(m.wrong) < most {
		m.wrong = append(m.wrong, fmt.Sprintf(format, args...))
	}
}

// of returns an account. The caller holds mu.
func (m *mint) of(name string) *account {
	if m.accounts == nil {
		m.accounts = map[string]*account{}
	}
	if m.accounts[name] == nil {
		m.accounts[name] = &account{}
	}
	return m.accounts[name]
}

// parse takes a token apart: KIND-ACCOUNT-PAIR-EXPIRY.
func parse(token, kind string) (name string, pair int, until time.Time, ok bool) {
	parts := strings.Split(token, "-")
	if len(parts) != 4 || parts[0] != kind {
		return "", 0, time.Time{}, false
	}
	pair, err := strconv.Atoi(parts[2])
	millis, err2 := strconv.ParseInt(parts[3], 10, 64)
	return parts[1], pair, time.UnixMilli(millis), err == nil && err2 == nil
}

// admit holds the access token of an effect against the clock. false refuses the effect: the
// token is not good any more.
func (m *mint) admit(header string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	name, pair, until, ok := parse(strings.TrimPrefix(header, "Bearer "), "access")
	if !ok {
		m.blame("an effect came with %q instead of a token", header)
		return false
	}
	if late := time.Since(until); late > tokenPatience {
		m.blame("an effect came with access token %d of %s, %v after it had expired", pair, name, late)
	}
	a := m.of(name)
	a.shown = max(a.shown, pair)
	return pair != revokedPair
}

// ServeHTTP answers {"account","refresh_token"}, without the second for the first pair.
func (m *mint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Account string `json:"account"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.of(asked.Account)
	name, pair, _, ok := parse(asked.Refresh, "refresh")
	switch {
	case asked.Refresh == "" && a.shown > 0:
		m.blame("a first pair was asked for, and the host has had pair %d of %s", a.shown, asked.Account)
	case asked.Refresh != "" && (!ok || name != asked.Account || pair < a.shown):
		m.blame("a refresh of %s came with %q, and the host has had pair %d", asked.Account, asked.Refresh, a.shown)
	}
	a.shown = max(a.shown, pair)
	a.newest++
	token := func(kind string) string {
		return fmt.Sprintf("%s-%s-%d-%d", kind, asked.Account, a.newest, time.Now().Add(tokenLife).UnixMilli())
	}
	_ = json.NewEncoder(w).Encode(map[string]any{ // a host that was killed meanwhile asks again
		"access_token": token("access"), "refresh_token": token("refresh"), "expires_in": int(tokenLife / time.Second),
	})
}

// told returns what was wrong.
func (m *mint) told() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wrong
}
