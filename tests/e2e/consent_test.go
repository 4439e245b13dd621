package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// authority is a platform with a consent page: it sends every browser straight back with a
// code, and takes the code once, with the verifier that belongs to it.
type authority struct {
	*httptest.Server
	mu        sync.Mutex
	challenge map[string]string // by code
	status    int               // of /me
	deny      bool
}

const (
	theCode   = "c0de-that-nobody-may-keep"
	theToken  = "t0ken-that-nobody-may-see"
	theSecret = "s3cret-of-the-client"
)

func newAuthority(t *testing.T) *authority {
	a := &authority{challenge: map[string]string{}, status: http.StatusOK}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /authorize", a.authorize)
	mux.HandleFunc("POST /token", a.token)
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer "+theToken {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.WriteHeader(a.status)
	})
	a.Server = httptest.NewTLSServer(mux)
	t.Cleanup(a.Close)
	return a
}

func (a *authority) authorize(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := r.URL.Query()
	back := url.Values{"state": {q.Get("state")}}
	if a.deny {
		back.Set("error", "access_denied")
	} else {
		a.challenge[theCode] = q.Get("code_challenge")
		back.Set("code", theCode)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (a *authority) token(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Code, Secret string
		Verifier     string `json:"code_verifier"`
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	err := json.NewDecoder(r.Body).Decode(&in)
	sum := sha256.Sum256([]byte(in.Verifier))
	want, known := a.challenge[in.Code]
	delete(a.challenge, in.Code)
	if err != nil || !known || in.Secret != theSecret || base64.RawURLEncoding.EncodeToString(sum[:]) != want {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	_, _ = io.WriteString(w, `{"access_token":"`+theToken+`"}`)
}

func (a *authority) answers(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status = status
}

func (a *authority) denies(deny bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.deny = deny
}

// CAPEM is what the host has to trust.
func (a *authority) CAPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})
}

// consented is a host with one connection to an authority, and whoever is needed.
type consented struct {
	*host
	platform   *authority
	people     *stage.People
	workspace  domain.Workspace
	connection client.Connection
}

func newConsented(t *testing.T) *consented {
	t.Helper()
	a := newAuthority(t)
	folders, err := stage.MakeFolders(t.TempDir(), a)
	if err == nil {
		err = os.Symlink(built.cache, filepath.Join(folders.Data, "cache"))
	}
	if err != nil {
		t.Fatal(err)
	}
	wasm, err := packed(built.dir, "testdata/consenter")
	if err != nil {
		t.Fatal(err)
	}
	s := &consented{platform: a, host: serve(t, folders, "--health.interval", "400ms")}
	if s.people, err = stage.Hire(s.at, folders.Data); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.people.Close() })
	ctx := within(t)
	if s.workspace, err = s.people.Open(ctx, s.at, folders.Data, "Acme"); err != nil {
		t.Fatal(err)
	}
	if _, err = s.people.Admit(ctx, folders, wasm, "consenter"); err != nil {
		t.Fatal(err)
	}
	if err = s.people.Tenant.EnablePlugin(ctx, s.workspace.ID, "consenter"); err != nil {
		t.Fatal(err)
	}
	if s.connection, err = s.people.Tenant.CreateConnection(ctx, s.workspace.ID, client.NewConnection{Plugin: "consenter", Name: "Shop",
		Settings: map[string]string{"site": a.URL}, Secrets: map[string]string{"client_secret": theSecret}}); err != nil {
		t.Fatal(err)
	}
	target := a.Listener.Addr().String()
	if _, err = s.people.Operator.AllowPrivateTargets(ctx, s.workspace.ID, s.connection.ID, []string{target}); err != nil {
		t.Fatal(err)
	}
	return s
}

// browser is somebody's, with cookies; it trusts the platform and follows redirects.
func (s *consented) browser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	transport := s.platform.Client().Transport.(*http.Transport).Clone()
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport}
}

// open opens a page and returns what it shows.
func (s *consented) open(b *http.Client, link string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(within(s.t), http.MethodGet, link, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := b.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close() // read to its end
	if err != nil {
		s.t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func (s *consented) begin() string {
	s.t.Helper()
	begun, err := s.people.Tenant.AuthorizeConnection(within(s.t), s.workspace.ID, s.connection.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	return begun.URL
}

// awaitState waits until the connection is in a state, and returns what is known of it then.
func (s *consented) awaitState(want contract.ConnectionState) client.ConnectionHealth {
	s.t.Helper()
	var h client.ConnectionHealth
	err := stage.Poll(within(s.t), "the state "+string(want), func() (bool, error) {
		var err error
		h, err = s.people.Tenant.ConnectionHealth(within(s.t), s.workspace.ID, s.connection.ID)
		return h.State == want, err
	})
	if err != nil {
		s.t.Fatalf("%v; it is %+v", err, h)
	}
	return h
}

// TestAConnectionIsAuthorisedInABrowserAndItsHealthIsWatched goes from the link that an
// administrator asks for to a connection that works, fails, and is mended.
func TestAConnectionIsAuthorisedInABrowserAndItsHealthIsWatched(t *testing.T) {
	s := newConsented(t)
	s.awaitState(contract.StateConnecting)

	s.platform.denies(true)
	if status, page := s.open(s.browser(), s.begin()); status != 200 || !strings.Contains(page, "The authorisation was declined") {
		t.Errorf("declined, the browser was shown %d %s", status, page)
	}
	s.platform.denies(false)
	if status, page := s.open(s.browser(), s.begin()); status != 200 || !strings.Contains(page, "The connection is authorised") {
		t.Fatalf("the browser was shown %d %s", status, page)
	}
	h := s.awaitState(contract.StateConnected)
	if h.Credentials == nil || !h.Credentials.Valid || h.Credentials.RefreshedAt.IsZero() {
		t.Errorf("its tokens: %+v", h.Credentials)
	}

	s.platform.answers(http.StatusServiceUnavailable)
	if h = s.awaitState(contract.StateDegraded); h.Code != "platform_unavailable" || h.Probe == nil || h.Probe.Failures < 3 {
		t.Errorf("while the platform is out of order: %+v, %+v", h, h.Probe)
	}
	s.platform.answers(http.StatusOK)
	s.awaitState(contract.StateConnected)
	s.platform.answers(http.StatusUnauthorized)
	if h = s.awaitState(contract.StateNeedsAction); h.Action == "" {
		t.Errorf("while the token is refused: %+v", h)
	}
	s.noticed()
	s.keptNoCode()
}

// noticed wants the operator told that somebody has to act, and the steps audited.
func (s *consented) noticed() {
	s.t.Helper()
	notices, err := s.people.Operator.Notices(within(s.t), s.workspace.ID, client.NoticeFilter{Kind: domain.NoticeNeedsAction})
	if err != nil || len(notices.Items) != 1 || notices.Items[0].Connection != s.connection.ID {
		s.t.Errorf("notices %+v, %v", notices.Items, err)
	}
	for _, action := range []string{"oauth.begun", "oauth.started", "oauth.declined", "oauth.returned"} {
		entries, err := s.people.Operator.Audit(within(s.t), client.AuditFilter{Workspace: s.workspace.ID, Action: action})
		if err != nil || len(entries.Items) == 0 {
			s.t.Errorf("%s was not audited: %v", action, err)
		}
	}
}

// keptNoCode wants neither the code nor the token anywhere on the disk in the clear.
func (s *consented) keptNoCode() {
	s.t.Helper()
	s.stop()
	err := filepath.WalkDir(s.folders.Data, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		for _, kept := range []string{theCode, theToken} {
			if bytes.Contains(content, []byte(kept)) {
				s.t.Errorf("%s holds %q in the clear", path, kept)
			}
		}
		return err
	})
	if err != nil {
		s.t.Error(err)
	}
	if strings.Contains(s.log.String(), theCode) || strings.Contains(s.log.String(), theToken) {
		s.t.Error("the log holds the code or the token")
	}
}

func TestAnotherBrowserCannotFinishAConsent(t *testing.T) {
	s := newConsented(t)
	victim, attacker := s.browser(), s.browser()
	attacker.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/oauth/callback" {
			return http.ErrUseLastResponse // he keeps the address with his code to himself
		}
		return nil
	}
	r, err := http.NewRequestWithContext(within(t), http.MethodGet, s.begin(), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := attacker.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close() // only where it leads matters
	status, page := s.open(victim, answer.Header.Get("Location"))
	if status != http.StatusForbidden || !strings.Contains(page, "another browser") {
		t.Errorf("the victim's browser was shown %d %s", status, page)
	}
	h, err := s.people.Tenant.ConnectionHealth(within(t), s.workspace.ID, s.connection.ID)
	if err != nil || h.Credentials != nil {
		t.Errorf("the connection has tokens: %+v, %v", h.Credentials, err)
	}
}
