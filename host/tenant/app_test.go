package tenant_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/tenant"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

var operator = domain.Actor{Subject: "olga", Role: "operator"}

// withApps gives the plugin of the world an app's part.
func withApps(w *world) {
	m := &w.plugins.version.Manifest
	m.Abilities = append(m.Abilities, contract.ExportRoute)
	m.Settings["region"] = manifest.Setting{Type: manifest.TypeEnum, Title: "Region", Values: []string{"eu", "us"}, Scope: manifest.ScopeApp}
	m.Secrets["client_secret"] = manifest.Secret{Purpose: "Signs installs.", Scope: manifest.ScopeApp}
	m.Secrets["app_token"] = manifest.Secret{Purpose: "Test.", GenerateBytes: 16, Scope: manifest.ScopeApp}
}

func (w *world) app(t *testing.T, name string) domain.Connection {
	t.Helper()
	app, err := w.CreateApp(t.Context(), operator, tenant.NewApp{Plugin: "acme", Name: name,
		Settings: map[string]string{"region": "eu"}, Secrets: map[string]string{"client_secret": "cs"}})
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// connect makes a connection with what a tenant brings.
func (w *world) connect(t *testing.T, ws contract.WorkspaceID, app contract.ConnectionID) (domain.Connection, error) {
	t.Helper()
	return w.CreateConnection(t.Context(), boss, ws, tenant.NewConnection{Plugin: "acme", Name: "Support", App: app,
		Settings: map[string]string{"base": "https://acme.test"}, Secrets: map[string]string{"brought": "b"}})
}

func (w *world) secretNames(t *testing.T, c contract.ConnectionID) string {
	t.Helper()
	secrets, err := w.store.Secrets(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range secrets {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func TestAnAppIsAConnectionOfTheHost(t *testing.T) {
	w := newWorld(t)
	withApps(w)
	app := w.app(t, "Ours")
	if !app.IsApp || app.Workspace != domain.HostWorkspace || !strings.HasPrefix(string(app.ID), "app_") || app.Endpoint == "" {
		t.Errorf("app %+v", app)
	}
	if got := w.secretNames(t, app.ID); got != "app_token client_secret" {
		t.Errorf("the app has the secrets %s", got)
	}
	c, err := w.connect(t, w.workspace.ID, "")
	if err != nil || c.App != app.ID || c.IsApp {
		t.Fatalf("connection %+v, %v", c, err)
	}
	if got := w.secretNames(t, c.ID); got != "brought token" {
		t.Errorf("the connection has the secrets %s", got)
	}
	jobs, _, err := w.store.Jobs(t.Context(), domain.JobFilter{Connection: app.ID}, domain.Page{})
	if err != nil || len(jobs) != 1 || jobs[0].Command.Export != contract.ExportSetupConnection {
		t.Errorf("jobs of the app: %+v, %v", jobs, err)
	}
	again := w.app(t, "Another")
	if again.ID == app.ID {
		t.Error("the second app is the first")
	}
}

func TestWhatAnAppIsRefused(t *testing.T) {
	w := newWorld(t)
	refused := func(what string, err error, fields ...string) {
		t.Helper()
		var invalid *domain.Invalid
		if !errors.As(err, &invalid) {
			t.Errorf("%s: %v", what, err)
			return
		}
		var got []string
		for _, p := range invalid.Problems {
			got = append(got, p.Field)
		}
		if !slices.Equal(got, fields) {
			t.Errorf("%s: blamed %q, want %q: %v", what, got, fields, err)
		}
	}
	_, err := w.CreateApp(t.Context(), operator, tenant.NewApp{Plugin: "acme", Name: "x"})
	refused("a plugin without apps", err, "plugin")
	_, err = w.connect(t, w.workspace.ID, "app_1")
	refused("a connection with an app that its plugin has not", err, "app")
	withApps(w)
	_, err = w.connect(t, w.workspace.ID, "")
	refused("a connection before there is an app", err, "app")
	_, err = w.CreateApp(t.Context(), operator, tenant.NewApp{Plugin: "acme", Settings: map[string]string{"base": "https://x.test", "region": "mars", "unknown": "1"},
		Secrets: map[string]string{"brought": "x"}})
	refused("what is not an app's", err, "name", "settings.base", "secrets.brought", "settings.region", "settings.unknown", "secrets.client_secret")
	app := w.app(t, "Ours")
	_, err = w.CreateConnection(t.Context(), boss, w.workspace.ID, tenant.NewConnection{Plugin: "acme", Name: "x",
		Settings: map[string]string{"base": "https://x.test", "region": "eu"}, Secrets: map[string]string{"brought": "x", "client_secret": "mine"}})
	refused("what is the app's", err, "settings.region", "secrets.client_secret")
	_, err = w.connect(t, domain.HostWorkspace, "")
	refused("a connection in the host's workspace", err, "workspace")
	_, _, err = w.Send(t.Context(), operator, domain.HostWorkspace, app.ID, tenant.Send{Message: contract.Message{Conversation: contract.Conversation{ID: "1"}}})
	refused("a message to an app", err, "connection")
	c, err := w.connect(t, w.workspace.ID, app.ID)
	if err != nil {
		t.Fatal(err)
	}
	refused("an app's secret at a connection", w.RotateSecret(t.Context(), boss, w.workspace.ID, c.ID, "client_secret", "mine", 0), "secrets.client_secret")
	refused("a connection's secret at an app", w.RotateSecret(t.Context(), operator, domain.HostWorkspace, app.ID, "brought", "x", 0), "secrets.brought")
	if err := w.RotateSecret(t.Context(), operator, domain.HostWorkspace, app.ID, "client_secret", "new", time.Hour); err != nil {
		t.Error(err)
	}
	_, err = w.UpdateConnection(t.Context(), boss, w.workspace.ID, c.ID, tenant.ConnectionPatch{Settings: map[string]string{"region": "us"}})
	refused("an app's setting at a connection", err, "settings.region")
	if after, err := w.UpdateApp(t.Context(), operator, app.ID, tenant.ConnectionPatch{Settings: map[string]string{"region": "us"}}); err != nil || after.Settings["region"] != "us" {
		t.Errorf("UpdateApp = %+v, %v", after, err)
	}
	_, err = w.RemoveApp(t.Context(), operator, app.ID)
	refused("the removal of an app in use", err, "app")
	_, err = w.RemoveConnection(t.Context(), operator, domain.HostWorkspace, app.ID)
	refused("the same by another way", err, "app")
	if _, err := w.RemoveApp(t.Context(), operator, c.ID); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("a connection taken for an app: %v", err)
	}
	w.app(t, "Second")
	_, err = w.connect(t, w.workspace.ID, "")
	refused("a connection that does not say of which app", err, "app")
	if c, err := w.connect(t, w.workspace.ID, app.ID); err != nil || c.App != app.ID {
		t.Errorf("with its app named: %+v, %v", c, err)
	}
}

// TestAnOperatorSaysWhoseAnInstallIs: and nobody can be given what is another's.
func TestAnOperatorSaysWhoseAnInstallIs(t *testing.T) {
	w := newWorld(t)
	withApps(w)
	app := w.app(t, "Ours")
	other := w.app(t, "Other")
	if _, err := w.EnablePlugin(t.Context(), boss, w.rival.ID, "acme"); err != nil {
		t.Fatal(err)
	}
	mine, err := w.connect(t, w.workspace.ID, app.ID)
	if err != nil {
		t.Fatal(err)
	}
	rivals, err := w.connect(t, w.rival.ID, app.ID)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := w.connect(t, w.workspace.ID, other.ID)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, key := range []string{"portal:acme", "portal:junk"} {
		kept := domain.Delivery{Delivery: contract.Delivery{ID: contract.DeliveryID(w.store.NewID("dlv")), ReceivedAt: now}, Routed: &domain.Routed{App: app.ID, Key: key}}
		if _, err := w.store.ParkDelivery(t.Context(), domain.NewParked{Kept: kept,
			Parked: domain.Parked{Delivery: kept.ID, App: app.ID, Key: key, Install: true, At: now, ExpiresAt: now.Add(time.Hour)}}); err != nil {
			t.Fatal(err)
		}
	}
	if waits, _, err := w.Unclaimed(t.Context(), app.ID, domain.Page{}); err != nil || len(waits) != 2 {
		t.Fatalf("Unclaimed = %+v, %v", waits, err)
	}
	for what, try := range map[string]func() (int, error){
		"a connection of another workspace": func() (int, error) {
			return w.Assign(t.Context(), operator, app.ID, "portal:acme", w.workspace.ID, rivals.ID)
		},
		"a connection of another app": func() (int, error) {
			return w.Assign(t.Context(), operator, app.ID, "portal:acme", w.workspace.ID, elsewhere.ID)
		},
		"no key": func() (int, error) { return w.Assign(t.Context(), operator, app.ID, "", w.workspace.ID, mine.ID) },
	} {
		var invalid *domain.Invalid
		if _, err := try(); !errors.As(err, &invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n, err := w.Assign(t.Context(), operator, app.ID, "portal:acme", w.workspace.ID, mine.ID); err != nil || n != 1 {
		t.Errorf("Assign = %d, %v", n, err)
	}
	var invalid *domain.Invalid
	if _, err := w.Assign(t.Context(), operator, app.ID, "portal:acme", w.rival.ID, rivals.ID); !errors.As(err, &invalid) {
		t.Errorf("a key that is taken: %v", err)
	}
	held := domain.HeldRoute{Key: "portal:acme", Workspace: w.workspace.ID, Connection: mine.ID}
	if keys, _, err := w.AppKeys(t.Context(), app.ID, domain.Page{}); err != nil || len(keys) != 1 || keys[0] != held {
		t.Errorf("AppKeys = %+v, %v, want %+v", keys, err, held)
	}
	if got, err := w.ReleaseKey(t.Context(), operator, app.ID, "portal:acme"); err != nil || got != held {
		t.Errorf("ReleaseKey = %+v, %v, want %+v", got, err, held)
	}
	if _, err := w.ReleaseKey(t.Context(), operator, app.ID, "portal:acme"); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("ReleaseKey again: %v", err)
	}
	if _, err := w.ReleaseKey(t.Context(), operator, mine.ID, "portal:acme"); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("ReleaseKey of what is no app: %v", err)
	}
	if n, err := w.Discard(t.Context(), operator, app.ID, "portal:junk"); err != nil || n != 1 {
		t.Errorf("Discard = %d, %v", n, err)
	}
	if _, err := w.Discard(t.Context(), operator, app.ID, "portal:junk"); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("Discard again: %v", err)
	}
	for _, action := range []string{"app.created", "app.key_assigned", "app.key_released", "app.discarded"} {
		if entries, _, err := w.store.AuditEntries(t.Context(), domain.AuditFilter{Action: action}, domain.Page{}); err != nil || len(entries) == 0 || entries[0].Actor != "olga" {
			t.Errorf("audit of %s: %+v, %v", action, entries, err)
		}
	}
}
