package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/limits"
)

func TestAnExceededLimitIsNamedInTheCode(t *testing.T) {
	h := open(t)
	h.fail(fmt.Errorf("send: %w", &limits.Exceeded{Workspace: "wsp_1", Limit: limits.CommandsPerSecond, Most: 2, RetryAfter: 2100 * time.Millisecond}))
	got := h.do("admin", "POST", "/v1/workspaces/wsp_1/connections/con_1/check", "")
	got.problem(t, 429)
	if got.header.Get("Retry-After") != "3" || !strings.Contains(got.body, `"code":"limit_commands_per_second"`) {
		t.Errorf("Retry-After %q, %s", got.header.Get("Retry-After"), got.body)
	}
	h.fail(&limits.Exceeded{Workspace: "wsp_1", Limit: limits.Connections, Most: 2})
	got = h.do("admin", "POST", "/v1/workspaces/wsp_1/connections/con_1/check", "")
	got.problem(t, 429)
	if got.header.Get("Retry-After") != "" {
		t.Error("waiting does not help, and is advised")
	}
}

func TestLimitsAreSetWhole(t *testing.T) {
	h := open(t)
	got := h.do("operator", "PUT", "/v1/workspaces/wsp_1/limits", `{"deliveries_per_second":0.5,"connections":-1}`)
	if want := (domain.Limits{DeliveriesPerSecond: 0.5, Connections: domain.Unlimited}); got.status != 200 || h.limits != want {
		t.Errorf("got %d, set %+v", got.status, h.limits)
	}
	if got := h.do("reader", "GET", "/v1/workspaces/wsp_1/limits", ""); strings.TrimSpace(got.body) !=
		`{"set":{"deliveries_per_second":0.5,"connections":-1},"effective":{"connections":20}}` {
		t.Errorf("shown as %s", got.body)
	}
	for _, body := range []string{`{"bridges":-2}`, `{"bridges":1.5}`, `{"deliveries":1}`, `{"bytes_per_second":1e13}`} {
		h.do("operator", "PUT", "/v1/workspaces/wsp_1/limits", body).problem(t, 422)
	}
}

// The fake notes what it was asked under, so that only routes that say so take a name.
func TestANamedRequestReachesTheRoomWithItsName(t *testing.T) {
	h := open(t)
	const path, body = "/v1/workspaces/wsp_1/connections", `{"plugin":"elma365","name":"A"}`
	h.do("admin", "POST", path, body, "Idempotency-Key", "k1")
	first := h.once
	h.do("admin", "POST", path, `{ "name": "A", "plugin": "elma365" }`, "Idempotency-Key", "k1")
	if first.Key != "k1" || first.RequestHash == "" || h.once != first {
		t.Errorf("got %+v, and spelled otherwise %+v", first, h.once)
	}
	h.do("admin", "POST", path, `{"plugin":"elma365","name":"B"}`, "Idempotency-Key", "k1")
	if h.once.RequestHash == first.RequestHash {
		t.Error("another request has the same hash")
	}
	h.do("admin", "POST", path, body)
	if h.once != (domain.Once{}) {
		t.Errorf("without a key: %+v", h.once)
	}
	h.do("admin", "POST", path, body, "Idempotency-Key", strings.Repeat("x", 256)).problem(t, 422)
}

// A name that would be ignored in silence would have a repeat make a second workspace.
func TestARequestThatCannotBeRepeatedByNameIsRefusedWithOne(t *testing.T) {
	for path, body := range map[string]string{
		"/v1/workspaces": `{"name":"Acme"}`,
		"/v1/tokens":     `{"subject":"ann","role":"operator"}`,
	} {
		h := open(t)
		p := h.do("operator", "POST", path, body, "Idempotency-Key", "k1").problem(t, 422)
		if len(p.Errors) != 1 || p.Errors[0].Location != "header.Idempotency-Key" {
			t.Errorf("%s with a name: %+v", path, p)
		}
		h.do("operator", "POST", path, body).expect(t, 201)
	}
}
