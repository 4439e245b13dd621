package api_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/tenant"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func anApp(id contract.ConnectionID) domain.Connection {
	app := aConnection(id)
	app.Workspace, app.IsApp, app.Name = domain.HostWorkspace, true, "Our app"
	return app
}

func (f *fake) CreateApp(_ context.Context, by domain.Actor, n tenant.NewApp) (domain.Connection, error) {
	return anApp("app_1"), f.did("create app %s %s %v by %s", n.Plugin, n.Name, n.Settings, by.Subject)
}

func (f *fake) Apps(_ context.Context, p domain.Page) ([]domain.Connection, string, error) {
	return []domain.Connection{anApp("app_1")}, f.paged(p), nil
}

func (f *fake) App(_ context.Context, id contract.ConnectionID) (domain.Connection, error) {
	if id != "app_1" {
		return domain.Connection{}, missing("app")
	}
	return anApp(id), nil
}

func (f *fake) UpdateApp(_ context.Context, _ domain.Actor, id contract.ConnectionID, p tenant.ConnectionPatch) (domain.Connection, error) {
	return anApp(id), f.did("update %s %v", id, p.Settings)
}

func (f *fake) RemoveApp(_ context.Context, _ domain.Actor, id contract.ConnectionID) (domain.Job, error) {
	return domain.Job{}, f.did("remove %s", id)
}

func (f *fake) AppConnections(_ context.Context, app contract.ConnectionID, p domain.Page) ([]domain.Connection, string, error) {
	c := aConnection("con_1")
	c.App = app
	return []domain.Connection{c}, f.paged(p), nil
}

func (f *fake) Unclaimed(_ context.Context, _ contract.ConnectionID, p domain.Page) ([]domain.ParkedKey, string, error) {
	return []domain.ParkedKey{{Key: "portal:acme", Title: "acme", Install: true, Deliveries: 2, Bytes: 3, OldestAt: now, ExpiresAt: now.Add(time.Hour)}}, f.paged(p), nil
}

func (f *fake) Assign(_ context.Context, by domain.Actor, app contract.ConnectionID, key string, ws contract.WorkspaceID, c contract.ConnectionID) (int, error) {
	return 2, f.did("assign %s of %s to %s of %s by %s", key, app, c, ws, by.Subject)
}

func (f *fake) Discard(_ context.Context, _ domain.Actor, app contract.ConnectionID, key string) (int, error) {
	return 2, f.did("discard %s of %s", key, app)
}

func (f *fake) AppKeys(_ context.Context, _ contract.ConnectionID, p domain.Page) ([]domain.HeldRoute, string, error) {
	return []domain.HeldRoute{{Key: "portal:acme", Workspace: "wsp_1", Connection: "con_1"}}, f.paged(p), nil
}

func (f *fake) ReleaseKey(_ context.Context, by domain.Actor, app contract.ConnectionID, key string) (domain.HeldRoute, error) {
	return domain.HeldRoute{Key: key, Workspace: "wsp_1", Connection: "con_1"}, f.did("release %s of %s by %s", key, app, by.Subject)
}

func TestApps(t *testing.T) {
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		answer, did              string
	}{
		{"one is made", "POST", "/v1/apps", `{"plugin":"uspacy","name":"Our app","settings":{"a":"b"}}`, 201,
			`"receive_url":"https://in.test/in/secret-endpoint"`, "create app uspacy Our app map[a:b] by olga"},
		{"one without a plugin", "POST", "/v1/apps", `{"name":"x"}`, 422, `"location":"body.plugin"`, ""},
		{"they are listed", "GET", "/v1/apps", "", 200, `"id":"app_1"`, ""},
		{"one is read", "GET", "/v1/apps/app_1", "", 200, `"workspace":"wsp_host"`, ""},
		{"one that is not there", "GET", "/v1/apps/app_9", "", 404, `"code":"not_found"`, ""},
		{"one is changed", "PATCH", "/v1/apps/app_1", `{"settings":{"a":""}}`, 200, `"id":"app_1"`, "update app_1 map[a:]"},
		{"one is removed", "DELETE", "/v1/apps/app_1", "", 204, "", "remove app_1"},
		{"its setup", "GET", "/v1/apps/app_1/setup", "", 200, `"steps":[`, ""},
		{"a secret", "POST", "/v1/apps/app_1/secrets/client_secret/rotate", `{"overlap_seconds":60}`, 204, "", `rotate wsp_host app_1 client_secret 1m0s`},
		{"its connections", "GET", "/v1/apps/app_1/connections", "", 200, `"app":"app_1"`, ""},
		{"what waits", "GET", "/v1/apps/app_1/unclaimed", "", 200,
			`{"key":"portal:acme","title":"acme","install":true,"deliveries":2,"bytes":3,"oldest_at":"2026-11-22T10:30:00Z","expires_at":"2026-11-22T11:30:00Z"}`, ""},
		{"it is assigned", "POST", "/v1/apps/app_1/unclaimed/assign", `{"key":"portal:acme","workspace":"wsp_1","connection":"con_1"}`, 200,
			`{"queued":2}`, "assign portal:acme of app_1 to con_1 of wsp_1 by olga"},
		{"it is assigned to nobody", "POST", "/v1/apps/app_1/unclaimed/assign", `{"key":"portal:acme","workspace":"wsp_1"}`, 422, `"location":"body.connection"`, ""},
		{"it is discarded", "DELETE", "/v1/apps/app_1/unclaimed/portal%3Aa%2Fb", "", 200, `{"discarded":2}`, "discard portal:a/b of app_1"},
		{"who has which account", "GET", "/v1/apps/app_1/keys", "", 200, `{"key":"portal:acme","workspace":"wsp_1","connection":"con_1"}`, ""},
		{"one is taken back", "DELETE", "/v1/apps/app_1/keys/portal%3Aa%2Fb", "", 200, `{"key":"portal:a/b","workspace":"wsp_1","connection":"con_1"}`,
			"release portal:a/b of app_1 by olga"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t)
			got := h.do("operator", tt.method, tt.path, tt.body)
			if got.status != tt.status || !strings.Contains(got.body, tt.answer) {
				t.Errorf("answered %d %s, want %d with %s", got.status, got.body, tt.status, tt.answer)
			}
			calls := slices.DeleteFunc(h.called(), func(call string) bool { return strings.HasPrefix(call, "setup") })
			if tt.did == "" && len(calls) > 0 || tt.did != "" && (len(calls) != 1 || !strings.HasPrefix(calls[0], strings.Split(tt.did, " 1m0s")[0])) {
				t.Errorf("did %q, want %q", calls, tt.did)
			}
			for _, who := range []string{"admin", "reviewer", "member"} {
				if got := open(t).do(who, tt.method, tt.path, tt.body); got.status != http.StatusForbidden {
					t.Errorf("as %s: %d", who, got.status)
				}
			}
		})
	}
}

func TestTheHostsWorkspaceIsNobodyElses(t *testing.T) {
	h := open(t)
	for _, who := range []string{"reviewer", "admin", "stranger"} {
		for _, below := range []string{"", "/connections", "/deliveries", "/events", "/messages"} {
			if got := h.do(who, "GET", fmt.Sprint("/v1/workspaces/", domain.HostWorkspace, below), ""); got.status != http.StatusNotFound && got.status != http.StatusForbidden {
				t.Errorf("%s reads %q of it: %d", who, below, got.status)
			}
		}
	}
}
