package emulator

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// app is the other side: it takes callbacks and calls the platform.
type app struct {
	t      *testing.T
	p      *Platform
	a      *App
	b      *Business
	clock  *atomic.Int64
	client *http.Client
	mu     sync.Mutex
	got    []string // method, path and body of each callback
	token  string
}

// play starts a platform with one app and one business, and gets the service token.
func play(t *testing.T, opts Options) *app {
	t.Helper()
	x := &app{t: t, clock: new(atomic.Int64)}
	x.clock.Store(time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC).UnixNano())
	opts.Now = func() time.Time { return time.Unix(0, x.clock.Load()) }
	var err error
	if x.p, err = Start(opts); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(x)
	x.client = emulate.Trusting(x.p.CAPEM(), x.p.Addr(), x.p.Names()...)
	t.Cleanup(func() {
		x.client.CloseIdleConnections()
		if err := x.p.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	x.a = x.p.AddApp(AppOptions{Base: server.URL + "/in/app"})
	x.b = x.p.AddBusiness("k3v9d0w5n1x8q2rt", Client{ID: "cl1", Phone: "+37060012345", Email: "dana@example.test"})
	_, doc := x.do("POST", "/oauth/service/token", map[string]any{"service_id": x.a.ClientID, "service_secret": x.a.Secret})
	x.token, _ = doc["access_token"].(string)
	return x
}

func (x *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	x.mu.Lock()
	x.got = append(x.got, r.Method+" "+r.URL.Path+" "+string(body))
	x.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

func (x *app) ctx() context.Context {
	ctx, cancel := context.WithTimeout(x.t.Context(), 20*time.Second)
	x.t.Cleanup(cancel)
	return ctx
}

// do makes a call and returns its status and document; 0 if there was no answer.
func (x *app) do(method, path string, body map[string]any) (int, map[string]any) {
	x.t.Helper()
	text := []byte{}
	if body != nil {
		text, _ = json.Marshal(body)
	}
	req, err := http.NewRequestWithContext(x.ctx(), method, "https://"+APIHost+path, bytes.NewReader(text))
	if err != nil {
		x.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if x.token != "" {
		req.Header.Set("Authorization", "Bearer "+x.token)
	}
	resp, err := x.client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	var doc map[string]any
	_ = json.NewDecoder(resp.Body).Decode(&doc)
	return resp.StatusCode, doc
}

// in looks a text up in a document.
func in(doc map[string]any, path ...string) string {
	for _, name := range path[:len(path)-1] {
		doc, _ = doc[name].(map[string]any)
	}
	text, _ := doc[path[len(path)-1]].(string)
	return text
}

const ics = "/business/communication"

func (x *app) channel() *Channel {
	x.t.Helper()
	x.do("POST", ics+"/channels", map[string]any{"business_uid": x.b.UID, "type": "transactional", "display_name": "n"})
	ch, err := x.b.WaitChannel(x.ctx(), x.a)
	if err != nil {
		x.t.Fatal(err)
	}
	return ch
}

func (x *app) session(ch *Channel) (int, map[string]any) {
	return x.do("POST", ics+"/sessions", map[string]any{
		"business_uid": x.b.UID, "channel_uid": ch.UID, "contact_uid": "cl1", "external_uid": "tg-1"})
}

func TestEverythingIsPendingFirst(t *testing.T) {
	x := play(t, Options{})
	status, doc := x.do("POST", ics+"/channels", map[string]any{"business_uid": x.b.UID, "type": "transactional"})
	if status != 201 || in(doc, "data", "channel", "status") != "pending" {
		t.Errorf("a channel was answered %d %v", status, doc)
	}
	if _, err := x.p.Wait(x.ctx(), CallbackChannel, 1); err != nil {
		t.Fatal(err)
	}
	ch := x.b.Channel(x.a)
	status, doc = x.session(ch)
	uid := in(doc, "data", "session", "uid")
	if status != 201 || in(doc, "data", "session", "status") != "pending" || len(uid) != 36 {
		t.Errorf("a session was answered %d %v", status, doc)
	}
	message := map[string]any{"channel_uid": ch.UID, "external_uid": "tg-1", "message": "hi", "message_uid": "m1"}
	if status, _ := x.do("POST", ics+"/messages", message); status != 422 {
		t.Errorf("a message before the session was active was answered %d", status)
	}
	x.do("PUT", ics+"/sessions/"+uid, map[string]any{"status": "active"})
	if status, _ := x.do("POST", ics+"/messages", message); status != 201 {
		t.Errorf("a message was answered %d", status)
	}
	status, doc = x.do("POST", ics+"/messages", message)
	list, _ := doc["errors"].([]any)
	if status != 422 || len(list) != 1 || list[0].(map[string]any)["code"] != "already_exists" {
		t.Errorf("the message again was answered %d %v", status, doc)
	}
	if err := x.p.Settle(x.ctx()); err != nil {
		t.Fatal(err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, want := range []string{
		"PUT /in/app/channels/" + ch.UID + ` {"status":"active"}`, "PUT /in/app/sessions/" + uid + ` {"status":"inactive"}`,
		"PUT /in/app/sessions/" + uid + ` {"status":"active"}`, `PUT /in/app/messages/m1 {"channel_uid":"` + ch.UID + `","status":"received"}`,
	} {
		if !strings.Contains(strings.Join(x.got, "\n"), want) {
			t.Errorf("no callback %s among %q", want, x.got)
		}
	}
}

func TestOneSessionForAClient(t *testing.T) {
	x := play(t, Options{PlainFilters: true})
	ch := x.channel()
	x.session(ch)
	if status, doc := x.session(ch); status != 422 {
		t.Errorf("a second session was answered %d %v", status, doc)
	}
	filtered := url.Values{"filter[channel_uid]": {ch.UID}, "filter[business_uid]": {x.b.UID}}.Encode()
	if status, _ := x.do("GET", ics+"/sessions?"+filtered, nil); status != 400 {
		t.Errorf("filters in the form that it does not take were answered %d", status)
	}
	_, doc := x.do("GET", ics+"/sessions?channel_uid="+ch.UID+"&business_uid="+x.b.UID+"&contact_uid=cl1", nil)
	data, _ := doc["data"].(map[string]any)
	if list, _ := data["sessions"].([]any); len(list) != 1 {
		t.Errorf("the list is %v", doc)
	}
	ch.SetState(x.ctx(), "inactive")
	if status, _ := x.session(ch); status != 422 {
		t.Errorf("a session on a channel that is not active was answered %d", status)
	}
}

func TestTokens(t *testing.T) {
	x := play(t, Options{RefreshTokens: true, RequestsPerSecond: 3})
	query := url.Values{"response_type": {"code"}, "client_id": {x.a.ClientID}, "redirect_uri": {x.a.base}, "state": {"s"},
		"code_challenge": {challenge("v")}, "code_challenge_method": {"S256"}}.Encode()
	resp, err := x.client.Get("https://" + BrandHost + "/app/oauth/authorize?" + query)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	back, err := resp.Location()
	if err != nil || back.Query().Get("state") != "s" {
		t.Fatalf("the consent page sent the browser to %v, %v", back, err)
	}
	grant := map[string]any{"grant_type": "authorization_code", "client_id": x.a.ClientID, "client_secret": x.a.Secret,
		"code": back.Query().Get("code"), "redirect_uri": x.a.base, "code_verifier": "v"}
	_, doc := x.do("POST", "/oauth/token", grant)
	if status, _ := x.do("POST", "/oauth/token", grant); status != 400 {
		t.Errorf("a code was taken twice: %d", status)
	}
	refresh := map[string]any{"grant_type": "refresh_token", "client_id": x.a.ClientID, "client_secret": x.a.Secret, "refresh_token": in(doc, "refresh_token")}
	x.token = in(doc, "access_token")
	if status, info := x.do("GET", "/oauth/userinfo", nil); status != 200 || in(info, "business_uid") != x.b.UID {
		t.Errorf("userinfo was answered %d %v", status, info)
	}
	_, doc = x.do("POST", "/oauth/token", refresh)
	if status, _ := x.do("GET", "/oauth/userinfo", nil); status != 401 {
		t.Errorf("the token before the refresh was answered %d", status)
	}
	if status, _ := x.do("POST", "/oauth/token", refresh); status != 400 {
		t.Errorf("a refresh token was taken twice: %d", status)
	}
	x.token = in(doc, "access_token")
	for want := range 4 {
		if status, _ := x.do("GET", "/oauth/userinfo", nil); (status == 429) != (want == 3) {
			t.Errorf("call %d within a second was answered %d", want+1, status)
		}
	}
	x.clock.Add(int64(2 * time.Hour))
	if status, _ := x.do("GET", "/oauth/userinfo", nil); status != 401 || len(x.p.Violations()) != 1 {
		t.Errorf("a token of yesterday was answered %d, violations %q", status, x.p.Violations())
	}
}

func TestSteps(t *testing.T) {
	x := play(t, Options{})
	ch := x.channel()
	x.p.Script(
		Step{Op: OpCreateSession, Status: 503}, Step{Op: OpCreateSession, HangUp: true, Process: true},
		Step{Op: OpUpdateSession, CallbackFirst: true, Outcome: "inactive", Repeats: 1},
	)
	if status, _ := x.session(ch); status != 503 || ch.Session("tg-1") != nil {
		t.Errorf("a refused session was answered %d, and is %v", status, ch.Session("tg-1"))
	}
	if status, _ := x.session(ch); status != 0 || ch.Session("tg-1") == nil {
		t.Errorf("a session that is made without an answer was answered %d", status)
	}
	if err := x.p.Settle(x.ctx()); err != nil {
		t.Fatal(err)
	}
	before := len(x.p.Of(CallbackSession))
	x.do("PUT", ics+"/sessions/"+ch.Session("tg-1").UID, map[string]any{"status": "active"})
	if n := len(x.p.Of(CallbackSession)) - before; n != 2 || x.p.Unplayed() != 0 {
		t.Errorf("%d callbacks went before the answer, want 2; %d steps are left", n, x.p.Unplayed())
	}
}

func TestClients(t *testing.T) {
	x := play(t, Options{})
	if status, _ := x.do("GET", "/platform/v1/clients?search_by=phone&search_term=370", nil); status != 401 {
		t.Errorf("a service token saw clients: %d", status)
	}
	x.p.mu.Lock()
	x.token = x.p.issue(x.a, x.b, time.Hour).access
	x.p.mu.Unlock()
	_, doc := x.do("GET", "/platform/v1/clients?search_by=phone&search_term=37060012345", nil)
	data, _ := doc["data"].(map[string]any)
	if list, _ := data["clients"].([]any); len(list) != 1 {
		t.Errorf("the search found %v", doc)
	}
	if status, _ := x.do("POST", "/platform/v1/clients", map[string]any{"first_name": "D", "email": "DANA@example.test"}); status != 409 {
		t.Errorf("a client with a known address was answered %d", status)
	}
	status, doc := x.do("POST", "/platform/v1/clients", map[string]any{"first_name": "E"})
	if status != 201 || in(doc, "data", "token") == "" || in(doc, "data", "client", "id") == "" {
		t.Errorf("a new client was answered %d %v", status, doc)
	}
}
