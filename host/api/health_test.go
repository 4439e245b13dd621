package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/health"
	"github.com/seed75a60ee1/patchbay/host/oauth"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func (f *fake) Begin(_ context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID) (oauth.Begun, error) {
	if owner(id) != ws {
		return oauth.Begun{}, missing("connection")
	}
	return oauth.Begun{URL: "https://in.test/oauth/start/t", ExpiresAt: now.Add(oauth.TTL)}, f.did("authorise %s for %s", id, by.Subject)
}

func (f *fake) Probes(id contract.ConnectionID) (health.Status, bool) {
	return health.Status{LastAt: now, NextAt: now.Add(time.Minute), Failures: 2, Detail: "It answers 503."}, owner(id) == "wsp_1"
}

func (f *fake) Status(_ context.Context, id contract.ConnectionID) (domain.TokenStatus, error) {
	return domain.TokenStatus{Held: true, State: domain.TokensFailing, ObtainedAt: now, NextRefreshAt: now.Add(time.Hour), Failures: 3,
		LastFailure: &contract.Failure{Class: contract.FailureRetry, Code: "platform_unavailable"}}, nil
}

func TestTheHealthOfAConnectionIsTold(t *testing.T) {
	h := open(t)
	got := h.do("reader", "GET", "/v1/workspaces/wsp_1/connections/con_1/health", "")
	var v struct {
		State       string `json:"state"`
		Known       []any  `json:"known"`
		Credentials struct {
			Valid       bool `json:"valid"`
			Failures    int  `json:"failures"`
			LastFailure struct {
				Code string `json:"code"`
			} `json:"last_failure"`
			RefreshedAt time.Time `json:"refreshed_at"`
		} `json:"credentials"`
		Probe   map[string]any `json:"probe"`
		Traffic map[string]any `json:"traffic"`
	}
	if err := json.Unmarshal([]byte(got.body), &v); err != nil || got.status != http.StatusOK {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	probe := map[string]any{"last_at": "2026-11-22T10:30:00Z", "next_at": "2026-11-22T10:31:00Z", "failures": 2.0, "detail": "It answers 503."}
	if v.State == "" || v.Known == nil || v.Credentials.Valid || v.Credentials.Failures != 3 || v.Credentials.LastFailure.Code != "platform_unavailable" ||
		!v.Credentials.RefreshedAt.Equal(now) || !reflect.DeepEqual(v.Probe, probe) || v.Traffic == nil {
		t.Errorf("got %s", got.body)
	}
	h.do("reader", "GET", "/v1/workspaces/wsp_1/connections/con_2/health", "").problem(t, http.StatusNotFound)
}

func TestOnlyAdministratorsBeginToAuthorise(t *testing.T) {
	h := open(t)
	const path = "/v1/workspaces/wsp_1/connections/con_1/authorize"
	got := h.do("admin", "POST", path, "")
	if want := `{"url":"https://in.test/oauth/start/t","expires_at":"2026-11-22T10:40:00Z"}`; got.status != http.StatusCreated || got.body != want+"\n" && got.body != want {
		t.Errorf("got %d %s, want %s", got.status, got.body, want)
	}
	if calls := h.called(); !slices.Equal(calls, []string{"authorise con_1 for anna"}) {
		t.Errorf("did %q", calls)
	}
	h.do("member", "POST", path, "").problem(t, http.StatusForbidden)
	h.do("admin", "POST", "/v1/workspaces/wsp_1/connections/con_2/authorize", "").problem(t, http.StatusNotFound)
	h.fail(&domain.Invalid{Problems: []domain.Problem{{Field: "connection", Why: "its platform is not authorised in a browser", Fix: "read its setup steps"}}})
	h.do("admin", "POST", path, "").problem(t, http.StatusUnprocessableEntity)
}
