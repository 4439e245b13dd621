package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

func TestOnlyAdministratorsSeeHowToDeliver(t *testing.T) {
	h := open(t)
	for _, who := range []string{"operator", "admin", "member", "reader"} {
		for _, path := range []string{connectionsPath, connectionsPath + "/con_1"} {
			body := h.do(who, "GET", path, "").body
			sees := strings.Contains(body, `"receive_url":"https://in.test/in/secret-endpoint"`) && strings.Contains(body, "10.0.0.5")
			if may := who == "operator" || who == "admin"; sees != may {
				t.Errorf("%s as %s: %s", path, who, body)
			}
			if strings.Contains(strings.ReplaceAll(body, "/in/secret-endpoint", ""), "endpoint") {
				t.Errorf("%s as %s tells the endpoint: %s", path, who, body)
			}
		}
	}
}

func TestOnlyAdministratorsSeeWhatProvesADelivery(t *testing.T) {
	h := open(t)
	const path = "/v1/workspaces/wsp_1/deliveries"
	for _, who := range []string{"operator", "admin", "member", "reader"} {
		may := who == "operator" || who == "admin"
		one := h.do(who, "GET", path+"/dlv_1", "").body
		for _, secret := range []string{"header-secret", "query-secret", "Ym9keS1zZWNyZXQ="} {
			if strings.Contains(one, secret) != may {
				t.Errorf("%s as %s: %s", secret, who, one)
			}
		}
		all := h.do(who, "GET", path, "").body
		if strings.Contains(all, "Ym9keS1zZWNyZXQ=") || strings.Contains(all, "header-secret") != may {
			t.Errorf("the listing as %s: %s", who, all)
		}
	}
}

func TestNobodySeesWhereAttachmentsCameFrom(t *testing.T) {
	h := open(t)
	h.publish(1)
	for _, path := range []string{
		messagesPath, "/v1/workspaces/wsp_1/messages/msg_1", "/v1/workspaces/wsp_1/commands", "/v1/workspaces/wsp_1/commands/cmd_1",
		"/v1/workspaces/wsp_1/events",
	} {
		body := h.do("operator", "GET", path, "").body
		if strings.Contains(body, "source") && strings.Contains(body, "source-secret") || strings.Count(body, `"handle":"med_1"`) != 3 {
			t.Errorf("%s: %s", path, body)
		}
		if strings.Contains(body, "the plugin's own") {
			t.Errorf("%s tells a payload: %s", path, body)
		}
	}
}

func TestTenantsSeeOfPluginsWhatTheyCanConnectWith(t *testing.T) {
	h := open(t)
	for who, sees := range map[string]bool{"operator": true, "reviewer": true, "admin": false, "reader": false} {
		body := h.do(who, "GET", "/v1/plugins", "").body
		for _, part := range []string{"sha256:2", "reviewer's note", "/srv/plugins", "bad.wasm"} {
			if strings.Contains(body, part) != sees {
				t.Errorf("%q as %s: %s", part, who, body)
			}
		}
		if !strings.Contains(body, "sha256:1") || !strings.Contains(body, `"refusals":[`) {
			t.Errorf("as %s: %s", who, body)
		}
		if status := h.do(who, "GET", "/v1/plugins/sha256:2", "").status; (status == 200) != sees {
			t.Errorf("a version that waits, as %s: %d", who, status)
		}
	}
}

func TestListingsArePages(t *testing.T) {
	for _, path := range []string{
		"/v1/workspaces", connectionsPath, messagesPath, connectionsPath + "/con_1/conversations",
		"/v1/workspaces/wsp_1/commands", "/v1/workspaces/wsp_1/deliveries", "/v1/audit",
	} {
		t.Run(path, func(t *testing.T) {
			h := open(t)
			first := h.do("operator", "GET", path, "").body
			last := h.do("operator", "GET", path+"?after=cursor&limit=7", "").body
			if !strings.HasPrefix(first, `{"items":[{`) || !strings.HasSuffix(first, `],"next":"cursor"}`+"\n") || strings.Contains(last, `"next"`) {
				t.Errorf("got\n%s\n%s", first, last)
			}
			if want := []domain.Page{{Limit: 100}, {After: "cursor", Limit: 7}}; !slices.Equal(h.pages, want) {
				t.Errorf("asked for %v, want %v", h.pages, want)
			}
		})
	}
}

func TestFiltersReachTheStore(t *testing.T) {
	for path, want := range map[string]string{
		messagesPath + "?conversation=chat%2F17":                            "messages con_1 chat/17",
		"/v1/workspaces/wsp_1/commands?state=parked&connection=con_1":       "jobs wsp_1 con_1 parked command",
		"/v1/workspaces/wsp_1/deliveries?connection=con_1&state=superseded": "deliveries wsp_1 con_1 superseded",
		"/v1/audit?workspace=wsp_2&action=plugin.approved":                  "audit of wsp_2 plugin.approved",
	} {
		h := open(t)
		h.do("operator", "GET", path, "")
		if got := h.called(); len(got) != 1 || got[0] != want {
			t.Errorf("%s asked %q, want %q", path, got, want)
		}
	}
}

func TestListingsOfAWorkspaceThatDoesNotExist(t *testing.T) {
	h := open(t)
	for _, what := range []string{"connections", "commands", "deliveries", "events", "events/stream"} {
		h.do("operator", "GET", "/v1/workspaces/wsp_x/"+what, "").problem(t, http.StatusNotFound)
	}
}

func TestTenantsListTheirOwnWorkspaceOnly(t *testing.T) {
	h := open(t)
	got := h.do("reader", "GET", "/v1/workspaces", "").body
	if strings.Count(got, `"id"`) != 1 || !strings.Contains(got, `"id":"wsp_1"`) || strings.Contains(got, "next") {
		t.Errorf("got %s", got)
	}
}

// TestASealedBodyIsShownToNobody: it is ciphertext, and what it holds are tokens.
func TestASealedBodyIsShownToNobody(t *testing.T) {
	h := open(t)
	got := h.do("admin", "GET", "/v1/workspaces/wsp_1/deliveries/sealed_1", "")
	if got.status != http.StatusOK || !strings.Contains(got.body, `"sealed":true`) || strings.Contains(got.body, "Ym9keS1zZWNyZXQ=") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestRequestsReachTheRooms(t *testing.T) {
	for _, tt := range []struct{ who, method, path, body, did string }{
		{"admin", "POST", connectionsPath, `{"plugin":"p","name":"n","secrets":{"token":"x"}}`, "create connection wsp_1 p n map[token:x]"},
		{"admin", "PATCH", connectionsPath + "/con_1", `{"settings":{"a":""}}`, "update wsp_1 con_1 false map[a:]"},
		{"admin", "PATCH", connectionsPath + "/con_1", `{"name":"New"}`, "update wsp_1 con_1 true map[]"},
		{"admin", "DELETE", connectionsPath + "/con_1", "", "remove wsp_1 con_1"},
		{"member", "POST", connectionsPath + "/con_1/contacts/%2B49%2F30%25/lookup", "", "look up wsp_1 con_1 +49/30%"},
		{"operator", "PUT", connectionsPath + "/con_1/private-targets", `{"targets":[]}`, "allow wsp_1 con_1 []"},
		{"admin", "POST", rotatePath, `{"value":"new","overlap_seconds":60}`, `rotate wsp_1 con_1 token "new" 1m0s`},
		{"admin", "GET", connectionsPath + "/con_1/setup", "", "setup wsp_1 con_1"},
		{"member", "POST", "/v1/workspaces/wsp_1/messages/msg_1/status", `{"status":"read"}`, "report wsp_1 msg_1 read"},
		{"admin", "POST", "/v1/workspaces/wsp_1/deliveries/dlv_1/replay", `{"force":true}`, "replay wsp_1 dlv_1 true"},
		{"admin", "POST", "/v1/workspaces/wsp_1/deliveries/dlv_1/replay", "", "replay wsp_1 dlv_1 false"},
		{"reviewer", "POST", "/v1/plugins/sha256%3A1/approve", `{"egress":["api"]}`, "approve sha256:1 [api] by rita"},
		{"reviewer", "POST", "/v1/plugins/sha256:1/revoke", `{"note":"bad"}`, "revoke sha256:1 bad"},
	} {
		t.Run(tt.did, func(t *testing.T) {
			h := open(t)
			got := h.do(tt.who, tt.method, tt.path, tt.body)
			if calls := h.called(); got.status >= 300 || len(calls) != 1 || calls[0] != tt.did {
				t.Errorf("got %d %s, did %q, want %q", got.status, got.body, calls, tt.did)
			}
		})
	}
}

func TestACommandThatIsNoneIsNotShown(t *testing.T) {
	h := open(t)
	h.do("admin", "GET", "/v1/workspaces/wsp_1/commands/evt_1", "").problem(t, http.StatusNotFound)
}

func TestAConnectionThatIsGoneAtOnceHasNoCommand(t *testing.T) {
	h := open(t)
	if got := h.do("admin", "DELETE", connectionsPath+"/con_9", ""); got.status != http.StatusNoContent || got.body != "" {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestRequestHashes(t *testing.T) {
	h := open(t)
	hash := func(connection, body string) string {
		h.do("member", "POST", fmt.Sprintf("/v1/workspaces/wsp_1/connections/%s/messages", connection), body, "Idempotency-Key", "key-1").expect(t, 202)
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.send.IdempotencyKey != "key-1" || len(h.send.RequestHash) != 64 {
			t.Errorf("sent %+v", h.send)
		}
		return h.send.RequestHash
	}
	const body = `{"conversation":{"id":"c"},"author":{"role":"agent"},"parts":[{"kind":"text","text":{"plain":"héllo"}}]}`
	first := hash("con_1", body)
	if hash("con_1", "\n"+`{"parts":[{"text":{"plain":"h\u00e9llo"},"kind":"text"}], "author":{"role":"agent"},"conversation":{"id":"c"}}`) != first {
		t.Error("the same document in another spelling counts as another")
	}
	if hash("con_1", strings.Replace(body, "héllo", "hello", 1)) == first {
		t.Error("another document counts as the same")
	}
	if hash("con_2", body) == first {
		t.Error("another connection counts as the same")
	}
	h.do("member", "POST", messagesPath, body).expect(t, 202)
	if h.send.IdempotencyKey != "" || h.send.RequestHash != "" {
		t.Errorf("without a key: %+v", h.send)
	}
}

func (r response) expect(t *testing.T, status int) {
	t.Helper()
	if r.status != status {
		t.Fatalf("got %d %s, want %d", r.status, r.body, status)
	}
}
