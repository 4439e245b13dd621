package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// The tests of this file are the list of what an audit found in a system of the field in
// 2026: see "copy this list" in the research on gateways, section 2.2. Two of the list are
// about the limiter itself, and stand beside it: TestDeliveriesPassWhenTheLimiterIsBroken
// and TestTwoLimitersNeverShareABucket in host/limits.

// tenancy is one tenant's things, by the name that paths have for them.
type tenancy struct {
	id    contract.WorkspaceID
	admin string // a token
	ids   map[string]string
}

// furnish makes one of everything for a tenant that has a connection.
func (s *scene) furnish(ws contract.WorkspaceID, connection string) tenancy {
	s.t.Helper()
	admin := s.token(identity.WorkspaceAdmin, ws)
	root := "/v1/workspaces/" + string(ws)
	other := s.made(admin, root+"/connections", `{"plugin":"elma365","name":"Other","settings":{"company_url":"`+s.platform.URL()+`"}}`)
	ids := map[string]string{
		"workspace": string(ws), "connection": connection,
		"message":    s.made(admin, root+"/connections/"+connection+"/messages", `{"conversation":{"id":"chat-walk"},"author":{"role":"customer","contact":{"id":"user-walk"}},"parts":[{"kind":"text","text":{"plain":"private words"}}]}`),
		"command":    s.made(admin, root+"/connections/"+other+"/check", ""),
		"handle":     s.made(admin, root+"/media?name=private.txt", "bytes"),
		"bridge":     s.made(admin, root+"/bridges", `{"name":"Private bridge","customers":"`+connection+`","agents":"`+other+`"}`),
		"subscriber": s.made(admin, root+"/subscribers", `{"name":"Private subscriber","url":"https://private.example/hook"}`),
		"token":      s.made(admin, "/v1/tokens", `{"subject":"private","role":"workspace-reader","workspace":"`+string(ws)+`"}`),
	}
	page, err := s.people.Operator.Deliveries(within(s.t), ws, client.DeliveryFilter{})
	if err != nil {
		s.t.Fatal(err)
	}
	if len(page.Items) > 0 {
		ids["delivery"] = string(page.Items[0].ID)
	}
	return tenancy{id: ws, admin: admin, ids: ids}
}

// twoTenants is a host with two tenants that have one of everything each, but that only
// the first has deliveries.
func twoTenants(t *testing.T, flags ...string) (s *scene, victim, rival tenancy) {
	t.Helper()
	s = set(t, emulate(t, emulator.Options{}), nil, flags...)
	s.arrived(s.send("chat-1", "hi"))
	s.reply("chat-1", "hello", 200)
	victim = s.furnish(s.workspace.ID, string(s.connection.ID))
	w, err := s.people.Operator.CreateWorkspace(within(t), "Rival")
	if err == nil {
		err = s.people.Operator.EnablePlugin(within(t), w.ID, "elma365")
	}
	if err != nil {
		t.Fatal(err)
	}
	connection := s.made(s.token(identity.WorkspaceAdmin, w.ID), "/v1/workspaces/"+string(w.ID)+"/connections",
		`{"plugin":"elma365","name":"Rival's","settings":{"company_url":"`+s.platform.URL()+`"}}`)
	rival = s.furnish(w.ID, connection)
	rival.ids["delivery"] = "dlv_none"
	return s, victim, rival
}

// common fills in what belongs to nobody.
func common(ids map[string]string) map[string]string {
	all := map[string]string{"contact": "user-walk", "run": "1", "name": "token", "plugin": "elma365", "digest": "sha256:0",
		"app": "app_none", "key": "portal:none"}
	maps.Copy(all, ids)
	return all
}

// absent are ids like those given that nobody has.
func absent(ids map[string]string) map[string]string {
	none := map[string]string{}
	for kind, id := range ids {
		none[kind] = id[:len(id)-4] + "0000"
	}
	return none
}

// masked takes the ids of a request out of its answer.
func masked(body string, ids map[string]string) string {
	for _, id := range ids {
		body = strings.ReplaceAll(body, id, "ID")
	}
	return body
}

func TestNegativeCrossTenantIDsOnEveryRoute(t *testing.T) {
	s, victim, rival := twoTenants(t)
	operator := s.token(identity.Operator, "")
	before := s.snapshot(operator, victim)
	foreign := maps.Clone(victim.ids)
	delete(foreign, "workspace")
	tried := 0
	for _, op := range s.operations() {
		kinds := op.names(victim.ids)
		body := retarget(op.example(), victim.ids)
		if slices.Contains(kinds, "workspace") { // the victim's own paths
			tried++
			s.sameAsAbsent(op, rival.admin, victim.ids, absent(victim.ids), body)
		}
		if len(op.names(foreign)) > 0 { // the victim's things below the rival's workspace
			for _, token := range []string{rival.admin, operator} {
				tried++
				mixed, none := maps.Clone(foreign), absent(foreign)
				mixed["workspace"], none["workspace"] = rival.ids["workspace"], rival.ids["workspace"]
				if !slices.Contains(kinds, "workspace") && token == operator {
					continue // the operator's own business
				}
				s.sameAsAbsent(op, token, mixed, none, op.example())
			}
		}
		for _, p := range op.Parameters { // the victim's things in queries
			if p.In == "query" && foreign[p.Name] != "" {
				tried++
				s.sameQuery(op, rival, p.Name, foreign[p.Name])
			}
		}
	}
	s.foreignBodies(victim, rival)
	if tried < 60 {
		t.Errorf("only %d requests were tried", tried)
	}
	if after := s.snapshot(operator, victim); after != before {
		t.Errorf("the victim's things changed from\n%s\nto\n%s", before, after)
	}
}

// retarget puts the victim's ids into an example.
func retarget(example string, ids map[string]string) string {
	for prefix, kind := range map[string]string{"wsp": "workspace", "con": "connection", "msg": "message", "cmd": "command", "dlv": "delivery",
		"med": "handle", "brg": "bridge", "sub": "subscriber", "tok": "token"} {
		example = regexp.MustCompile(`"`+prefix+`_[0-9A-Z]+"`).ReplaceAllString(example, `"`+ids[kind]+`"`)
	}
	return example
}

// sameAsAbsent checks that what belongs to somebody else is answered as what does not
// exist is.
func (s *scene) sameAsAbsent(op operation, token string, there, nowhere map[string]string, body string) {
	s.t.Helper()
	got := s.ask(token, op.method, op.target(s.t, common(there)), body)
	want := s.ask(token, op.method, op.target(s.t, common(nowhere)), body)
	if got.status < 400 || got.status >= 500 || got.status != want.status || masked(got.body, there) != masked(want.body, nowhere) {
		s.t.Errorf("%s with another tenant's ids gave %d %.300s\nand with those of nobody %d %.300s", op.ID, got.status, got.body, want.status, want.body)
	}
}

// sameQuery checks that naming another's thing in a query selects nothing.
func (s *scene) sameQuery(op operation, rival tenancy, name, id string) {
	s.t.Helper()
	ids := common(rival.ids)
	none := id[:len(id)-4] + "0000"
	got := s.ask(rival.admin, op.method, op.target(s.t, ids)+"?"+name+"="+id, op.example())
	want := s.ask(rival.admin, op.method, op.target(s.t, ids)+"?"+name+"="+none, op.example())
	if got.status != want.status || strings.ReplaceAll(got.body, id, "ID") != strings.ReplaceAll(want.body, none, "ID") || strings.Contains(got.body, `"items":[{`) {
		s.t.Errorf("%s?%s= with another tenant's gave %d %.300s\nand with nobody's %d %.300s", op.ID, name, got.status, got.body, want.status, want.body)
	}
}

// foreignBodies names the victim's things in bodies.
func (s *scene) foreignBodies(victim, rival tenancy) {
	s.t.Helper()
	root, own := "/v1/workspaces/"+string(rival.id), rival.ids["connection"]
	for _, tt := range []struct{ name, target, body, id string }{
		{"an attachment of another tenant", root + "/connections/" + own + "/messages",
			`{"conversation":{"id":"c"},"author":{"role":"customer"},"parts":[{"kind":"media","media":{"kind":"file","handle":"%s"}}]}`, victim.ids["handle"]},
		{"a bridge to another tenant's connection", root + "/bridges", `{"name":"x","customers":"` + own + `","agents":"%s"}`, victim.ids["connection"]},
		{"a bridge from another tenant's connection", root + "/bridges", `{"name":"x","agents":"` + own + `","customers":"%s"}`, victim.ids["connection"]},
		{"a subscriber to another tenant's connection", root + "/subscribers", `{"name":"x","url":"https://x.example/","connections":["%s"]}`, victim.ids["connection"]},
		{"a token for another tenant", "/v1/tokens", `{"subject":"x","role":"workspace-reader","workspace":"%s"}`, victim.ids["workspace"]},
	} {
		none := tt.id[:len(tt.id)-4] + "0000"
		got := s.ask(rival.admin, http.MethodPost, tt.target, fmt.Sprintf(tt.body, tt.id))
		want := s.ask(rival.admin, http.MethodPost, tt.target, fmt.Sprintf(tt.body, none))
		if got.status < 400 || got.status >= 500 || got.status != want.status || strings.ReplaceAll(got.body, tt.id, "ID") != strings.ReplaceAll(want.body, none, "ID") {
			s.t.Errorf("%s gave %d %.300s\nand of nobody %d %.300s", tt.name, got.status, got.body, want.status, want.body)
		}
	}
	for _, target := range []string{"/commands/retry", "/commands/cancel", "/deliveries/replay"} {
		got := s.ask(rival.admin, http.MethodPost, root+target, `{"connection":"`+victim.ids["connection"]+`"}`)
		if got.status < 300 && !strings.Contains(got.body, `"matched":0`) || got.status >= 500 {
			s.t.Errorf("%s with another tenant's connection gave %d %s", target, got.status, got.body)
		}
	}
}

// snapshot is what an operator sees of a tenant.
func (s *scene) snapshot(operator string, of tenancy) string {
	s.t.Helper()
	var all strings.Builder
	for _, path := range []string{"", "/limits", "/retention", "/connections", "/deliveries", "/bridges", "/connections/" + of.ids["connection"] + "/conversations"} {
		fmt.Fprintf(&all, "%s %s\n", path, s.ask(operator, http.MethodGet, "/v1/workspaces/"+string(of.id)+path, "").body)
	}
	return all.String()
}

func TestNegativeARevokedTokenIsRefusedEverywhereAtOnce(t *testing.T) {
	s, victim, _ := twoTenants(t)
	ops := s.operations()
	issued, err := s.people.Operator.IssueToken(within(t), client.NewToken{Subject: "temp", Role: "workspace-admin", Workspace: victim.id})
	if err != nil {
		t.Fatal(err)
	}
	ids := common(victim.ids)
	try := func(want func(int) bool, say string) {
		for _, op := range ops {
			if op.method != http.MethodGet || len(op.Roles) == 0 {
				continue
			}
			if got := s.ask(issued.Token, op.method, op.target(t, ids), ""); !want(got.status) {
				t.Errorf("%s: %s gave %d %.200s", say, op.ID, got.status, got.body)
			}
		}
	}
	try(func(status int) bool { return status != http.StatusUnauthorized }, "a good token") // whatever cache there is, is warm now
	var all sync.WaitGroup
	var revoked atomic.Bool
	for range 16 {
		all.Go(func() {
			for range 20 {
				was := revoked.Load()
				if got := s.ask(issued.Token, http.MethodGet, "/v1/workspaces/"+string(victim.id), ""); was && got.status != http.StatusUnauthorized {
					t.Errorf("a request after the revocation gave %d", got.status)
				}
			}
		})
	}
	if err := s.people.Operator.RevokeToken(within(t), issued.ID); err != nil {
		t.Fatal(err)
	}
	revoked.Store(true)
	all.Wait()
	try(func(status int) bool { return status == http.StatusUnauthorized }, "a revoked token")
	s.stop()
	s.restart()
	try(func(status int) bool { return status == http.StatusUnauthorized }, "a revoked token, after a restart")
}

// reveals lists what each operation exists to reveal to administrators: the receive URL,
// the setup steps, and what platforms sent.
var reveals = map[string]bool{
	"get-setup": true, "get-connection": true, "list-connections": true, "get-delivery": true, "list-deliveries": true,
	"get-delivery-recording": true, "get-command-recording": true, "backup": true,
}

func TestNegativeNoSecretInAnyAnswerOrInTheLog(t *testing.T) {
	s, victim, rival := twoTenants(t, "--log.level", "debug")
	m, err := s.people.Messenger(within(t), s.workspace.ID, s.connection.ID)
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{
		"the plugin's secret": m.Code, "the endpoint": s.connection.ReceiveURL[strings.LastIndex(s.connection.ReceiveURL, "/")+1:],
		"the admin's token": victim.admin, "the rival's token": rival.admin,
		"the signing secret": s.signingSecret(victim),
	}
	s.addKeys(secrets)
	s.post([]byte(`{"type":"message","token":"`+m.Code+`","data":{}}`), nil) // a failure that is logged
	s.post([]byte(`{"token":"`+m.Code), nil)
	ids := common(victim.ids)
	for _, op := range s.operations() {
		for _, role := range identity.Roles() {
			ws := victim.id
			if role == identity.Operator || role == identity.Reviewer {
				ws = ""
			}
			trusted := role == identity.Operator || role == identity.WorkspaceAdmin || role == identity.Reviewer
			if op.method != http.MethodGet || trusted && reveals[op.ID] {
				continue
			}
			got := s.ask(s.token(role, ws), op.method, op.target(t, ids), "")
			for what, secret := range secrets {
				if strings.Contains(got.body, secret) {
					t.Errorf("%s as %s reveals %s", op.ID, role, what)
				}
			}
		}
	}
	for _, page := range []string{"/metrics", "/openapi.json", "/healthz", "/readyz"} {
		body := s.ask(nobody, http.MethodGet, page, "").body
		for what, secret := range secrets {
			if strings.Contains(body, secret) {
				t.Errorf("%s reveals %s", page, what)
			}
		}
	}
	log := s.log.String()
	for what, secret := range secrets {
		if i := strings.Index(log, secret); i >= 0 {
			t.Errorf("the log reveals %s: %q", what, log[max(0, i-200):min(len(log), i+20)])
		}
	}
}

// signingSecret makes a subscriber and returns what it is told once.
func (s *scene) signingSecret(of tenancy) string {
	s.t.Helper()
	got := s.ask(of.admin, http.MethodPost, "/v1/workspaces/"+string(of.id)+"/subscribers", `{"name":"Second","url":"https://private.example/hook"}`)
	secret := regexp.MustCompile(`whsec_[^"]+`).FindString(got.body)
	if secret == "" {
		s.t.Fatalf("the subscriber has no secret: %d %s", got.status, got.body)
	}
	return secret
}

// addKeys adds every key file of the data folder, as it is and as it might be written.
func (s *scene) addKeys(secrets map[string]string) {
	s.t.Helper()
	found := 0
	err := filepath.WalkDir(s.folders.Data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || !strings.Contains(strings.TrimPrefix(path, s.folders.Data), "key") {
			return err
		}
		key, err := os.ReadFile(path)
		secrets[path], secrets[path+" in base64"] = strings.TrimSpace(string(key)), base64.StdEncoding.EncodeToString(key)
		secrets[path+" in hex"] = hex.EncodeToString(key)
		found++
		return err
	})
	if err != nil || found < 2 {
		s.t.Fatalf("the data folder has %d keys: %v", found, err)
	}
}

func TestNegativeIdempotencyKeysAreNotCheckedAndThenInserted(t *testing.T) {
	s, victim, _ := twoTenants(t)
	root := "/v1/workspaces/" + string(victim.id)
	message := func(text string) string {
		return `{"conversation":{"id":"chat-race"},"author":{"role":"customer","contact":{"id":"user-race"}},"parts":[{"kind":"text","text":{"plain":"` + text + `"}}]}`
	}
	spares := map[int]string{}
	for i := 1; i <= 2; i++ {
		spares[i] = s.made(victim.admin, root+"/connections", `{"plugin":"elma365","name":"Spare","settings":{"company_url":"`+s.platform.URL()+`"}}`)
	}
	for _, tt := range []struct{ name, target, body, other string }{
		{"messages", root + "/connections/" + victim.ids["connection"] + "/messages", message("once"), message("twice")},
		{"connections", root + "/connections", `{"plugin":"elma365","name":"Once","settings":{"company_url":"` + s.platform.URL() + `"}}`,
			`{"plugin":"elma365","name":"Twice","settings":{"company_url":"` + s.platform.URL() + `"}}`},
		{"subscribers", root + "/subscribers", `{"name":"Once","url":"https://once.example/"}`, `{"name":"Twice","url":"https://once.example/"}`},
		{"bridges", root + "/bridges", `{"name":"Once","customers":"` + spares[1] + `","agents":"` + spares[2] + `"}`,
			`{"name":"Twice","customers":"` + spares[1] + `","agents":"` + spares[2] + `"}`},
		{"media", root + "/media?name=once.txt", "bytes", "other bytes"},
		{"checks", root + "/connections/" + victim.ids["connection"] + "/check", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var all sync.WaitGroup
			answers := make(chan answered, 64)
			for range 64 {
				all.Go(func() {
					answers <- s.ask(victim.admin, http.MethodPost, tt.target, tt.body, "Idempotency-Key", tt.name)
				})
			}
			all.Wait()
			close(answers)
			ids := map[string]bool{}
			for got := range answers {
				ids[idOf(t, got)] = true
			}
			if len(ids) != 1 {
				t.Errorf("64 repeats at once made %d: %v", len(ids), slices.Collect(maps.Keys(ids)))
			}
			if got := s.ask(victim.admin, http.MethodPost, tt.target, tt.other, "Idempotency-Key", tt.name); tt.other != "" && got.status != 409 && got.status != 422 {
				t.Errorf("another request with the key gave %d %s", got.status, got.body)
			}
		})
	}
	kept := s.ask(victim.admin, http.MethodGet, root+"/connections/"+victim.ids["connection"]+"/messages?conversation=chat-race", "").body
	if n := strings.Count(kept, `"plain":"once"`); n != 1 {
		t.Errorf("the message was kept %d times: %s", n, kept)
	}
}

// idOf is the id of what a POST answered with.
func idOf(t *testing.T, got answered) string {
	t.Helper()
	var thing struct {
		ID, Handle string
		Command    struct{ ID string }
		Subscriber struct{ ID string }
	}
	if err := json.Unmarshal([]byte(got.body), &thing); err != nil || got.status >= 300 {
		t.Errorf("gave %d %s", got.status, got.body)
	}
	for _, id := range []string{thing.Command.ID, thing.Subscriber.ID, thing.ID, thing.Handle} {
		if strings.Contains(id, "_") {
			return id
		}
	}
	return got.body
}

func TestNegativeNoDocumentMakesTheHostFetchAnything(t *testing.T) {
	var hits atomic.Int64
	canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer canary.Close()
	s, victim, _ := twoTenants(t)
	document := s.ask(nobody, http.MethodGet, "/openapi.json", "").body
	for _, ref := range regexp.MustCompile(`"\$ref":\s*"([^"]*)"`).FindAllStringSubmatch(document, -1) {
		if !strings.HasPrefix(ref[1], "#/") {
			t.Errorf("the OpenAPI document refers to %q", ref[1])
		}
	}
	operator := s.token(identity.Operator, "")
	for _, op := range s.operations() {
		example := op.example()
		if !strings.HasPrefix(example, "{") || op.ID == "run-retention" {
			continue
		}
		for _, member := range []string{"$ref", "$schema", "$id", "schema", "source_url"} {
			extra := fmt.Sprintf(`{"%s":%q`, member, canary.URL+"/x.json")
			if example != "{}" {
				extra += ","
			}
			got := s.ask(operator, op.method, op.target(t, common(absent(victim.ids))), extra+example[1:])
			if got.status < 400 && member != "$schema" {
				t.Errorf("%s took a member %s: %d", op.ID, member, got.status)
			}
		}
	}
	body := `{"conversation":{"id":"c"},"author":{"role":"customer"},"parts":[{"kind":"media","media":{"kind":"file","source_url":"` + canary.URL + `/f","name":"f","mime":"text/plain"}}]}`
	if got := s.ask(victim.admin, http.MethodPost, "/v1/workspaces/"+string(victim.id)+"/connections/"+victim.ids["connection"]+"/messages", body); got.status != 422 {
		t.Errorf("a message with a link for an attachment gave %d %s", got.status, got.body)
	}
	if hits.Load() != 0 {
		t.Errorf("the host fetched something %d times", hits.Load())
	}
}

func TestALimitIsTheTenantsOwnAndNamedAndLosesNothing(t *testing.T) {
	s, victim, rival := twoTenants(t)
	if out, err := s.cli("workspace", "limits", string(victim.id), "--commands-per-second", "0.001", "--deliveries-per-second", "0.5"); err != nil || !strings.Contains(out, "0.001") {
		t.Fatalf("got %q, %v", out, err)
	}
	check := func(of tenancy) answered {
		return s.ask(of.admin, http.MethodPost, "/v1/workspaces/"+string(of.id)+"/connections/"+of.ids["connection"]+"/check", "")
	}
	for check(victim).status == http.StatusAccepted { // what may come at once
	}
	if got := check(victim); got.status != http.StatusTooManyRequests || !strings.Contains(got.body, `"code":"limit_commands_per_second"`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := check(rival); got.status != http.StatusAccepted {
		t.Errorf("another tenant: %d %s", got.status, got.body)
	}
	refused := 0
	for i := range 4 {
		answer, err := s.channel.Reply(within(t), emulator.Reply{Chat: "chat-1", Text: fmt.Sprint("reply ", i)})
		if err != nil {
			t.Fatal(err)
		}
		if answer.Status == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 || refused == 4 {
		t.Errorf("%d of 4 deliveries were refused, want some", refused)
	}
	if _, err := s.people.Operator.SetLimits(within(t), victim.id, domain.Limits{}); err != nil {
		t.Fatal(err)
	}
	s.reply("chat-1", "after the limit", 200)
	s.await("the reply after the limit", stage.Said("after the limit"))
	if got := check(victim); got.status != http.StatusAccepted {
		t.Errorf("after the limit was lifted: %d %s", got.status, got.body)
	}
}
