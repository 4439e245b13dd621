package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// owned answers what belongs to somebody else as missing.
func owned(ws contract.WorkspaceID, id contract.ConnectionID) error {
	if owner(id) != ws && !(ws == domain.HostWorkspace && id == "app_1") {
		return missing("connection")
	}
	return nil
}

func (f *fake) Credentials(_ context.Context, ws contract.WorkspaceID, id contract.ConnectionID) (domain.TokenStatus, error) {
	return domain.TokenStatus{Held: true, Valid: true, Version: 7, State: domain.TokensValid, ObtainedAt: now, ExpiresAt: now.Add(time.Hour), CanRefresh: true}, owned(ws, id)
}

func (f *fake) RefreshCredentials(_ context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID) (domain.Job, error) {
	if err := owned(ws, id); err != nil {
		return domain.Job{}, err
	}
	return aJob("cmd_1"), f.did("refresh %s by %s", id, by.Subject)
}

func TestHowTokensStandIsToldAndTheyAreRenewed(t *testing.T) {
	h := open(t)
	for _, at := range []struct{ who, path, done string }{
		{"admin", "/v1/workspaces/wsp_1/connections/con_1/credentials", "refresh con_1 by anna"},
		{"operator", "/v1/apps/app_1/credentials", "refresh app_1 by olga"},
	} {
		got := h.do(at.who, "GET", at.path, "")
		var v struct {
			State     string    `json:"state"`
			Valid     bool      `json:"valid"`
			Version   int       `json:"version"`
			ExpiresAt time.Time `json:"expires_at"`
		}
		if err := json.Unmarshal([]byte(got.body), &v); err != nil || got.status != http.StatusOK || v.State != "valid" || !v.Valid || v.Version != 7 || !v.ExpiresAt.Equal(now.Add(time.Hour)) {
			t.Errorf("%s answered %d %s", at.path, got.status, got.body)
		}
		if got := h.do(at.who, "POST", at.path+"/refresh", ""); got.status != http.StatusAccepted || !slices.Contains(h.called(), at.done) {
			t.Errorf("%s/refresh answered %d %s after %q", at.path, got.status, got.body, h.called())
		}
	}
	h.do("admin", "GET", "/v1/workspaces/wsp_1/connections/con_2/credentials", "").problem(t, http.StatusNotFound)
	h.do("admin", "POST", "/v1/workspaces/wsp_1/connections/con_2/credentials/refresh", "").problem(t, http.StatusNotFound)
	h.do("reader", "POST", "/v1/workspaces/wsp_1/connections/con_1/credentials/refresh", "").problem(t, http.StatusForbidden)
	h.do("admin", "POST", "/v1/apps/app_1/credentials/refresh", "").problem(t, http.StatusForbidden)
}
