package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
)

// neverStored stands in every request that is to be refused: no file of the host's may have it.
const neverStored = "never-to-be-stored"

// badRequest is a request that the app must refuse.
type badRequest struct {
	name   string
	method string // "" is POST
	path   string // below the app's address
	header http.Header
	body   []byte
	status int
	// code is the rejection's; "" means that no plugin saw the request, and nothing is kept.
	code string
	// at is the workspace whose delivery it is; "" is the app's own.
	at contract.WorkspaceID
}

// TestUspacyRefusesWhatItMust sends each inbound route what nobody but Uspacy or Amazon SNS may
// send, and what neither would.
func TestUspacyRefusesWhatItMust(t *testing.T) {
	p := emulateUspacy(t, emulator.Options{SNS: retried("", ""), Portals: []string{"acme.uspacy.ua", "beta.uspacy.ua"}})
	m := openUspacy(t, []*emulator.Platform{p}, map[string]string{"sns_max_body_bytes": "65536"})
	m.subscribe()
	shops := []*uspacyShop{m.open(m.tenants[0], p, "acme.uspacy.ua"), m.open(m.tenants[1], p, "beta.uspacy.ua")}
	chats := []string{shops[0].say("chat-a", "hello").ChatID, shops[1].say("chat-b", "hello").ChatID}
	m.settle(shops, chats)
	before := m.shelves(shops)
	t.Run("refused", func(t *testing.T) {
		m.t = t
		defer func() { m.t = m.whole }()
		refused := 0
		for _, r := range slices.Concat(badInstalls(shops[0]), badUninstalls(shops[0]), badSNS(p, before.line(shops[0]), chats[0])) {
			m.wantRefused(t, r)
			if r.code != "" {
				refused++
			}
		}
		page, err := m.people.Operator.Audit(within(t), client.AuditFilter{Action: "delivery.rejected", Page: domain.Page{Limit: 1000}})
		if err != nil || len(page.Items) != refused || refused < 150 {
			t.Errorf("%d refusals have %d entries in the audit, %v", refused, len(page.Items), err)
		}
	})
	if after := m.shelves(shops); !maps.EqualFunc(before.entries, after.entries, maps.Equal) || after.counts != before.counts {
		t.Errorf("what was refused changed something, from\n%+v\nto\n%+v", before, after)
	}
	m.wantNowhere(neverStored)
	m.perform(uspacyAct{"answered and dropped", func(t *testing.T, m *uspacyMarket) { actDropped(t, m, shops, chats, before) }})
}

// settle waits until nothing is under way: what each side said last has come to the other.
func (m *uspacyMarket) settle(shops []*uspacyShop, chats []string) {
	m.t.Helper()
	for i, s := range shops {
		s.reply(emulator.Reply{Chat: chats[i], Text: "settled"})
		s.heard("settled")
		m.poll("the events of SNS to be answered", func() (bool, error) {
			answered := 0
			for _, e := range s.p.Exchanges() {
				if e.Op == emulator.OpSNS && e.Status == 200 {
					answered++
				}
			}
			return answered >= 1+len(shops)+i+1, nil // the subscription, the customers' words, and the replies so far
		})
	}
}

// shelves is what is kept of the app and of each connection.
type shelves struct {
	entries map[contract.ConnectionID]map[string]string // the plugin's, by key
	counts  string                                      // of deliveries that were not refused, and events
}

// line is the external line of a shop.
func (s shelves) line(of *uspacyShop) string {
	var record struct{ ID string }
	_ = json.Unmarshal([]byte(s.entries[of.connection.ID]["line"]), &record) // an empty id shows
	return record.ID
}

// shelves stops the host, looks, and starts it again.
func (m *uspacyMarket) shelves(shops []*uspacyShop) shelves {
	m.t.Helper()
	var counts []int
	for _, ws := range []contract.WorkspaceID{domain.HostWorkspace, m.tenants[0].workspace.ID, m.tenants[1].workspace.ID} {
		kept := slices.DeleteFunc(m.deliveries(ws, ""), func(d domain.Delivery) bool { return d.State == domain.DeliveryRejected })
		counts = append(counts, len(kept))
	}
	for _, of := range m.tenants {
		page, err := of.admin.Events(within(m.t), of.workspace.ID, domain.Page{Limit: 1000})
		if err != nil {
			m.t.Fatal(err)
		}
		counts = append(counts, len(page.Items))
	}
	counts = append(counts, len(m.waiting()))
	m.stop()
	db, err := store.OpenReadOnly(filepath.Join(m.folders.Data, "patchbay.db"), store.Options{})
	if err != nil {
		m.t.Fatal(err)
	}
	all := map[contract.ConnectionID]map[string]string{}
	for _, id := range []contract.ConnectionID{m.app.ID, shops[0].connection.ID, shops[1].connection.ID} {
		entries, more, err := db.KVScan(within(m.t), id, "", "", 1000, time.Now())
		if err != nil || more {
			m.t.Fatal(err, more)
		}
		all[id] = map[string]string{}
		for _, e := range entries {
			all[id][e.Key] = e.Value
		}
	}
	if err := db.Close(); err != nil {
		m.t.Error(err)
	}
	m.restart()
	return shelves{all, fmt.Sprint(counts)}
}

// wantRefused sends a request and holds what came of it against what must.
func (m *uspacyMarket) wantRefused(t *testing.T, r badRequest) {
	t.Helper()
	status, body := m.request(t, r)
	if status != r.status {
		t.Errorf("%s: answered %d %.200s, want %d", r.name, status, body, r.status)
	}
	if r.code == "" {
		return
	}
	if strings.Contains(body, r.code) || body != `{"status":false}` {
		t.Errorf("%s: the answer tells why: %s", r.name, body)
	}
	page, err := m.people.Operator.Deliveries(within(t), cmp.Or(r.at, domain.HostWorkspace), client.DeliveryFilter{State: domain.DeliveryRejected, Page: domain.Page{Limit: 1}})
	if err != nil || len(page.Items) != 1 || page.Items[0].Code != r.code || len(page.Items[0].Body) > 0 || page.Items[0].Attempts != 1 {
		t.Errorf("%s: the delivery is kept as %+v, %v, want the code %s", r.name, page.Items, err, r.code)
	}
}

func (m *uspacyMarket) request(t *testing.T, r badRequest) (int, string) {
	t.Helper()
	method := r.method
	if method == "" {
		method = http.MethodPost
	}
	q, err := http.NewRequestWithContext(within(t), method, m.app.ReceiveURL+r.path, bytes.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	if r.header != nil {
		q.Header = r.header.Clone()
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := c.Do(q)
	if err != nil {
		t.Fatalf("%s: %v", r.name, err)
	}
	defer answer.Body.Close()
	var text bytes.Buffer
	_, _ = text.ReadFrom(answer.Body) // of a body that was too long the rest may be cut off
	return answer.StatusCode, text.String()
}

// wantNowhere looks for a text in every file that the host keeps, but for compiled plugins.
func (m *uspacyMarket) wantNowhere(text string) {
	m.t.Helper()
	looked := 0
	err := filepath.WalkDir(m.folders.Data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(text)) {
			m.t.Errorf("%s holds %q", path, text)
		}
		looked++
		return err
	})
	if err != nil || looked < 3 {
		m.t.Errorf("%d files were looked into, %v", looked, err)
	}
	for _, log := range append(slices.Clone(m.logs), m.log) {
		if strings.Contains(log.String(), text) {
			m.t.Errorf("the log holds %q", text)
		}
	}
}

// bearerOf makes the header of a lifecycle webhook.
func bearerOf(tokens ...string) http.Header {
	h := http.Header{"Content-Type": {"application/json"}}
	for _, token := range tokens {
		h.Add("Authorization", token)
	}
	return h
}

// forged makes a token whose signature is good but for what the change makes of it.
func forged(change func(*jwt.Token), key any) string {
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix()})
	token.Header["domain"] = "acme.uspacy.ua"
	if change != nil {
		change(token)
	}
	text, err := token.SignedString(key)
	if err != nil {
		panic(err) // a test's own token
	}
	return "Bearer " + text
}

// crossed is a token with the claims of another.
func crossed(token, other string) string {
	parts := strings.Split(token, ".")
	parts[1] = strings.Split(other, ".")[1]
	return strings.Join(parts, ".")
}

// badTokens is every token that must not be believed, by name, with the status and the code.
func badTokens() []badRequest {
	secret := []byte(uspacySecret)
	claim := func(name string, value any) func(*jwt.Token) {
		return func(token *jwt.Token) {
			if token.Claims.(jwt.MapClaims)[name] = value; value == nil {
				delete(token.Claims.(jwt.MapClaims), name)
			}
		}
	}
	domain := func(value any) func(*jwt.Token) { return func(token *jwt.Token) { token.Header["domain"] = value } }
	with := func(method jwt.SigningMethod) func(*jwt.Token) {
		return func(token *jwt.Token) { token.Method, token.Header["alg"] = method, method.Alg() }
	}
	ago, ahead := time.Now().Add(-2*time.Hour).Unix(), time.Now().Add(2*time.Hour).Unix()
	list := []badRequest{
		{name: "no bearer", header: bearerOf(), status: 401, code: "bearer_missing"},
		{name: "two bearers", header: bearerOf(forged(nil, secret), forged(nil, secret)), status: 401, code: "bearer_missing"},
		{name: "another scheme", header: bearerOf("Basic " + strings.TrimPrefix(forged(nil, secret), "Bearer ")), status: 401, code: "bearer_missing"},
		{name: "two segments", header: bearerOf("Bearer e30.e30"), status: 401, code: "bearer_missing"},
		{name: "no signature", header: bearerOf(forged(with(jwt.SigningMethodNone), jwt.UnsafeAllowNoneSignatureType)), status: 401, code: "bearer_missing"},
		{name: "a long token", header: bearerOf(forged(claim("pad", strings.Repeat("x", 7000)), secret)), status: 401, code: "bearer_missing"},
	}
	for name, token := range map[string]string{
		"another key": forged(nil, []byte("another-secret")), "an empty key": forged(nil, []byte{}),
		"HS512": forged(with(jwt.SigningMethodHS512), secret), "HS384": forged(with(jwt.SigningMethodHS384), secret),
		"the claims of another": crossed(forged(nil, secret), forged(claim("exp", ahead), secret)), "expired": forged(claim("exp", ago), secret),
		"not yet valid": forged(claim("nbf", ahead), secret), "issued tomorrow": forged(claim("iat", ahead), secret),
	} {
		list = append(list, badRequest{name: name, header: bearerOf(token), status: 401, code: "token_not_genuine"})
	}
	for _, name := range []string{"exp", "nbf", "iat"} {
		list = append(list, badRequest{name: "without " + name, header: bearerOf(forged(claim(name, nil), secret)), status: 401, code: "token_incomplete"})
	}
	for _, name := range []any{"evil.example", "acme.uspacy.ua.evil.example", "uspacy.ua", ".uspacy.ua", "10.0.0.1", "acme.uspacy.ua:8443", "x@acme.uspacy.ua",
		"acme.uspacy.ua/x", "acme_.uspacy.ua", "", 7, nil, "acme.staging.uspacy.tech"} {
		list = append(list, badRequest{name: fmt.Sprintf("the portal %v", name), header: bearerOf(forged(domain(name), secret)), status: 403, code: "domain_refused"})
	}
	return append(list, badRequest{name: "two portals", header: bearerOf(forged(claim("domain", "beta.uspacy.ua"), secret)), status: 403, code: "domain_refused"})
}

// badInstalls is what must not install anything.
func badInstalls(s *uspacyShop) (list []badRequest) {
	expiry := time.Now().Add(24 * time.Hour).Unix()
	fine := fmt.Sprintf(`{"token":"%s.a","refresh_token":"%s.r","expiry_date":%d}`, neverStored, neverStored, expiry)
	for _, r := range badTokens() {
		r.name, r.path, r.body = "an install with "+r.name, "/portals/install", []byte(fine)
		list = append(list, r)
	}
	good := bearerOf("Bearer " + s.o.IntegrationToken(time.Now()))
	for name, body := range map[string]string{
		"nothing": "", "a cut body": fine[:len(fine)-5], "an array": "[" + fine + "]", "two bodies": fine + fine, "a text": `"` + neverStored + `"`,
		"a form":                    "token=" + neverStored + "&refresh_token=r&expiry_date=1",
		"a doubled name":            strings.Replace(fine, `"refresh_token"`, `"token":"b","refresh_token"`, 1),
		"names in capitals":         strings.ToUpper(fine),
		"no token":                  strings.Replace(fine, `"token"`, `"tokens"`, 1),
		"a number for token":        strings.Replace(fine, `"`+neverStored+`.a"`, `5`, 1),
		"a broken token":            strings.Replace(fine, neverStored+".a", neverStored+`\nX-Evil: 1`, 1),
		"a placeholder":             strings.Replace(fine, neverStored+".a", `{{secret:client_secret}}`, 1),
		"an empty refresh":          strings.Replace(fine, neverStored+".r", "", 1),
		"no expiry":                 strings.Replace(fine, "expiry_date", "expires", 1),
		"an expiry of words":        strings.Replace(fine, fmt.Sprint(expiry), `"soon"`, 1),
		"a negative expiry":         strings.Replace(fine, fmt.Sprint(expiry), "-1", 1),
		"an expiry in milliseconds": strings.Replace(fine, fmt.Sprint(expiry), fmt.Sprint(expiry*1000), 1),
	} {
		list = append(list, badRequest{name: "an install with " + name, path: "/portals/install", header: good, body: []byte(body), status: 422, code: "body_refused"})
	}
	stale := bearerOf("Bearer " + s.o.IntegrationToken(time.Now().Add(-30*time.Minute)))
	long := []byte(`{"token":"` + strings.Repeat("a", 64<<10) + `"}`)
	return append(list,
		badRequest{name: "a long install", path: "/portals/install", header: good, body: long, status: 413, code: "too_large"},
		badRequest{name: "a very long install", path: "/portals/install", header: good, body: bytes.Repeat([]byte("a"), 2<<20), status: 413},
		badRequest{name: "an install by PUT", method: "PUT", path: "/portals/install", header: good, body: []byte(fine), status: 405, code: "method_refused"},
		badRequest{name: "an install by GET", method: "GET", path: "/portals/install", header: good, status: 405, code: "method_refused"},
		badRequest{name: "an install elsewhere", path: "/portals/installs", header: good, body: []byte(fine), status: 404, code: "path_unknown"},
		badRequest{name: "an install at the root", path: "", header: good, body: []byte(fine), status: 404, code: "path_unknown"},
		badRequest{name: "an install that is older than the last one", path: "/portals/install", header: stale, body: []byte(fine), status: 403, code: "token_stale", at: s.of.workspace.ID},
	)
}

// badUninstalls is what must not uninstall anything.
func badUninstalls(s *uspacyShop) (list []badRequest) {
	for i, r := range badTokens() {
		r.name, r.method, r.path = "an uninstall with "+r.name, []string{"DELETE", "POST"}[i%2], []string{"/portals/uninstall", "/portals/uinstall"}[i%2]
		list = append(list, r)
	}
	good := bearerOf("Bearer " + s.o.IntegrationToken(time.Now()))
	stale := bearerOf("Bearer " + s.o.IntegrationToken(time.Now().Add(-30*time.Minute)))
	return append(list,
		badRequest{name: "an uninstall by GET", method: "GET", path: "/portals/uninstall", header: good, status: 405, code: "method_refused"},
		badRequest{name: "an uninstall by PUT", method: "PUT", path: "/portals/uninstall", header: good, status: 405, code: "method_refused"},
		badRequest{name: "an uninstall elsewhere", method: "DELETE", path: "/portals/uninstalls", header: good, status: 404, code: "path_unknown"},
		badRequest{name: "a long uninstall", method: "POST", path: "/portals/uninstall", header: good, body: bytes.Repeat([]byte("a"), 2<<20), status: 413},
		badRequest{name: "an uninstall that is older than the install", method: "DELETE", path: "/portals/uninstall", header: stale, status: 403, code: "token_stale", at: s.of.workspace.ID},
	)
}
