package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// operation is one operation of the OpenAPI document, as far as the tests look at it.
type operation struct {
	method, path string

	ID          string              `json:"operationId"`
	Summary     string              `json:"summary"`
	Description string              `json:"description"`
	Tags        []string            `json:"tags"`
	Security    []map[string]any    `json:"security"`
	Roles       []string            `json:"x-roles"`
	Responses   map[string]answered `json:"responses"`
	Body        *struct {
		Content map[string]struct {
			Example json.RawMessage `json:"example"`
		} `json:"content"`
	} `json:"requestBody"`
}

type answered struct {
	Description string                     `json:"description"`
	Content     map[string]json.RawMessage `json:"content"`
}

// operations reads the document that the host serves, sorted by path and method.
func (h *host) operations() []operation {
	h.t.Helper()
	var document struct {
		Paths map[string]map[string]operation `json:"paths"`
	}
	if err := json.Unmarshal([]byte(h.do("", "GET", "/openapi.json", "").body), &document); err != nil {
		h.t.Fatal(err)
	}
	var all []operation
	for path, methods := range document.Paths {
		for method, op := range methods {
			op.method, op.path = strings.ToUpper(method), path
			all = append(all, op)
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.path+" "+a.method, b.path+" "+b.method) })
	return all
}

// target fills a path in with things that wsp_1 has.
func (op operation) target() string {
	return strings.NewReplacer("{workspace}", "wsp_1", "{connection}", "con_1", "{plugin}", "elma365", "{digest}", "sha256:1",
		"{token}", "tok_1", "{name}", "token", "{contact}", "+15550100", "{message}", "msg_1", "{command}", "cmd_1",
		"{delivery}", "dlv_1", "{handle}", "med_1", "{bridge}", "brg_1", "{subscriber}", "sub_1", "{app}", "app_1", "{key}", "portal:acme", "{run}", "1").Replace(op.path)
}

// body is the documented example of the request's body.
func (op operation) body() string {
	if op.Body == nil {
		return ""
	}
	return string(op.Body.Content["application/json"].Example)
}

// status makes the request as who, and drops the answer, which may be endless.
func (h *host) status(who string, op operation) int {
	h.t.Helper()
	answer := h.start(who, op.method, op.target(), strings.NewReader(op.body()))
	_ = answer.Body.Close()
	return answer.StatusCode
}

// The expectation for each cell comes from the roles that the document names, and the
// whole table stands in a golden file for people to read.
func TestEveryRoleOnEveryOperation(t *testing.T) {
	h := open(t)
	var table bytes.Buffer
	fmt.Fprintf(&table, "%-24s %8s %9s %9s %6s %7s %7s %9s\n", "operation", "nobody", "operator", "reviewer", "admin", "member", "reader", "stranger")
	for _, op := range h.operations() {
		fmt.Fprintf(&table, "%-24s", op.ID)
		for i, who := range []string{"", "operator", "reviewer", "admin", "member", "reader", "stranger"} {
			got := h.status(who, op)
			if want := op.expected(who); !want(got) {
				t.Errorf("%s %s (%s) as %q gave %d", op.method, op.path, op.ID, who, got)
			}
			fmt.Fprintf(&table, " %*d", []int{8, 9, 9, 6, 7, 7, 9}[i], got)
		}
		table.WriteString("\n")
	}
	golden(t, "access.txt", table.String())
}

// expected tells which statuses are right for who.
func (op operation) expected(who string) func(int) bool {
	is := func(want int) func(int) bool { return func(got int) bool { return got == want } }
	switch {
	case len(op.Security) == 0:
		return func(got int) bool { return got == http.StatusOK }
	case who == "":
		return is(http.StatusUnauthorized)
	case who == "stranger" && strings.Contains(op.path, "{workspace}"):
		return is(http.StatusNotFound)
	case !slices.Contains(op.Roles, string(principals[who].Role)):
		return is(http.StatusForbidden)
	case op.ID == "revoke-token" && who != "operator":
		return is(http.StatusNotFound) // tok_1 is nobody's own
	case op.ID == "issue-token" && who == "stranger":
		return is(http.StatusNotFound) // the example is for wsp_1
	}
	return func(got int) bool { return got >= 200 && got < 300 }
}

func TestWhatBelongsToAnotherWorkspaceDoesNotExist(t *testing.T) {
	h := open(t)
	for _, path := range []string{
		"/v1/workspaces/wsp_1/connections/con_2", "/v1/workspaces/wsp_1/connections/con_2/messages",
		"/v1/workspaces/wsp_1/connections/con_2/conversations", "/v1/workspaces/wsp_1/messages/msg_2",
		"/v1/workspaces/wsp_1/commands/cmd_2", "/v1/workspaces/wsp_1/deliveries/dlv_2", "/v1/workspaces/wsp_1/media/med_2",
		"/v1/workspaces/wsp_1/bridges/brg_2", "/v1/workspaces/wsp_1/bridges/brg_2/links",
		"/v1/workspaces/wsp_1/commands/cmd_2/recordings", "/v1/workspaces/wsp_1/deliveries/dlv_2/recordings/1",
	} {
		for _, who := range []string{"admin", "operator"} {
			there := h.do(who, "GET", path, "")
			nowhere := h.do(who, "GET", strings.Replace(path, "_2", "_x", 1), "")
			there.problem(t, http.StatusNotFound)
			if there.body != nowhere.body {
				t.Errorf("%s as %s: what is another's is told apart from what is not:\n%s\n%s", path, who, there.body, nowhere.body)
			}
		}
	}
}

func TestAnotherWorkspaceIsToldApartFromNone(t *testing.T) {
	h := open(t)
	for _, op := range h.operations() {
		if !strings.Contains(op.path, "{workspace}") {
			continue
		}
		var bodies [2]string
		for i, ws := range []string{"wsp_1", "wsp_nowhere"} {
			path := strings.Replace(op.target(), "wsp_1", ws, 1)
			got := h.do("stranger", op.method, path, "{not even JSON", "Content-Encoding", "gzip")
			got.problem(t, http.StatusNotFound)
			bodies[i] = got.body
		}
		if bodies[0] != bodies[1] {
			t.Errorf("%s: %s and %s", op.ID, bodies[0], bodies[1])
		}
	}
	if calls := h.called(); len(calls) > 0 {
		t.Errorf("something was done: %q", calls)
	}
}

func TestTokens(t *testing.T) {
	h := open(t)
	for _, tt := range []struct{ name, header, challenge string }{
		{"none", "", `Bearer realm="patchbay"`},
		{"another scheme", "Basic b3BlcmF0b3I6", `Bearer realm="patchbay"`},
		{"a scheme alone", "Bearer ", `Bearer realm="patchbay"`},
		{"a forged one", "Bearer forged", `Bearer realm="patchbay", error="invalid_token"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := h.do("", "GET", "/v1/plugins", "", "Authorization", tt.header)
			got.problem(t, http.StatusUnauthorized)
			if challenge := got.header.Get("WWW-Authenticate"); challenge != tt.challenge {
				t.Errorf("challenge %q, want %q", challenge, tt.challenge)
			}
		})
	}
	if got := h.do("", "GET", "/v1/plugins", "", "Authorization", "bearer  operator"); got.status != 200 {
		t.Errorf("a scheme in lower case gave %d", got.status)
	}
	h.revoke("operator")
	h.do("operator", "GET", "/v1/plugins", "").problem(t, http.StatusUnauthorized)
	if log := h.log.String(); strings.Contains(log, "forged") || strings.Contains(log, "b3BlcmF0b3I6") {
		t.Errorf("the log holds a token: %s", log)
	}
}

func TestATokenThatCannotBeVerifiedNowIsNotCalledInvalid(t *testing.T) {
	h := open(t)
	h.down = true
	got := h.do("operator", "GET", "/v1/plugins", "")
	got.problem(t, http.StatusServiceUnavailable)
	if got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestIssuingTokens(t *testing.T) {
	for _, tt := range []struct {
		name, who, body string
		status          int
		did             string
	}{
		{"an operator's", "operator", `{"subject":"x","role":"reviewer"}`, 201, "issue x reviewer  24h0m0s"},
		{"for a workspace", "operator", `{"subject":"x","role":"workspace-reader","workspace":"wsp_2","ttl_seconds":60}`, 201, "issue x workspace-reader wsp_2 1m0s"},
		{"for a workspace that does not exist", "operator", `{"subject":"x","role":"workspace-reader","workspace":"wsp_x"}`, 404, ""},
		{"an admin's for the own workspace", "admin", `{"subject":"x","role":"workspace-admin","workspace":"wsp_1"}`, 201, "issue x workspace-admin wsp_1 24h0m0s"},
		{"an admin's for another", "admin", `{"subject":"x","role":"workspace-admin","workspace":"wsp_2"}`, 404, ""},
		{"an admin's for none that exists", "admin", `{"subject":"x","role":"workspace-admin","workspace":"wsp_x"}`, 404, ""},
		{"an admin who wants to rise", "admin", `{"subject":"x","role":"operator"}`, 403, ""},
		{"a member's", "member", `{"subject":"x","role":"workspace-reader","workspace":"wsp_1"}`, 403, ""},
		{"a role that is none", "operator", `{"subject":"x","role":"root"}`, 422, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t)
			got := h.do(tt.who, "POST", "/v1/tokens", tt.body)
			did := ""
			if calls := h.called(); len(calls) > 0 {
				did = calls[0]
			}
			if got.status != tt.status || did != tt.did {
				t.Errorf("got %d %s, and did %q; want %d, %q", got.status, got.body, did, tt.status, tt.did)
			}
			if tt.status == 201 && got.body != `{"token":"issued token","id":"tok_new","expires_at":"2026-11-22T11:30:00Z"}`+"\n" {
				t.Errorf("got %s", got.body)
			}
		})
	}
}

func TestRevokingTokens(t *testing.T) {
	for _, tt := range []struct {
		name, who, id string
		status        int
	}{
		{"an operator revokes any", "operator", "tok_x", 204},
		{"everybody revokes their own", "reader", "tok_reader", 204},
		{"nobody else revokes another's", "admin", "tok_member", 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t)
			got := h.do(tt.who, "POST", "/v1/tokens/"+tt.id+"/revoke", "")
			calls := h.called()
			done := len(calls) == 2 && calls[0] == "revoke token "+tt.id+" until 2027-11-22" && strings.HasSuffix(calls[1], "token.revoked "+tt.id)
			if got.status != tt.status || done != (tt.status == 204) {
				t.Errorf("got %d, did %q", got.status, calls)
			}
		})
	}
}
