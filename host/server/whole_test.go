package server_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/host/config"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/server"
	"github.com/seed75a60ee1/patchbay/host/store"
)

// TestMain finds goroutines that are left, but for those that fasthttp never ends or ends
// ten seconds late.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// start starts a host on a data folder and stops it as soon as it is ready.
func start(t *testing.T, data string) error {
	t.Helper()
	cfg, err := config.Load(config.Options{Env: []string{}, Flags: map[string]any{
		"data": data, "plugins.dir": "", "ingress.listen": "127.0.0.1:0", "management.listen": "127.0.0.1:0",
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	return server.Run(ctx, cfg, slog.New(slog.DiscardHandler), func(server.Addresses) { stop() })
}

// keepSecret puts a secret into the store of a data folder.
func keepSecret(t *testing.T, data string) {
	t.Helper()
	s, err := store.Open(filepath.Join(data, "patchbay.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for _, do := range []func() error{
		func() error { return s.CreateWorkspace(ctx, domain.Workspace{ID: "wsp_1"}) },
		func() error {
			return s.CreateConnection(ctx, domain.Connection{ID: "con_1", Workspace: "wsp_1", Endpoint: "e"}, nil)
		},
		func() error { return s.PutSecret(ctx, domain.Secret{Connection: "con_1", Name: "token"}) },
		s.Close,
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAHostDoesNotBeginAnewBesideWhatIsLeft(t *testing.T) {
	const store, key = "patchbay.db", "keys/secrets.json"
	for _, tt := range []struct {
		name    string
		secrets bool
		harm    func(path string) error
		file    string
		says    string // empty if it starts
	}{
		{"the store is gone", true, os.Remove, store, "patchbay.db is missing or empty"},
		{"the store is empty", true, func(path string) error { return os.Truncate(path, 0) }, store, "patchbay.db is missing or empty"},
		{"the key is gone", true, os.Remove, key, "secrets.json is missing or empty"},
		{"the key is gone, and nothing was sealed with it", false, os.Remove, key, ""},
		{"the key of links is gone, which anybody can do without", true, os.Remove, "keys/media-links.key", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			if err := start(t, data); err != nil {
				t.Fatal(err)
			}
			if tt.secrets {
				keepSecret(t, data)
			}
			if err := start(t, data); err != nil {
				t.Fatalf("before anything was harmed: %v", err)
			}
			path := filepath.Join(data, tt.file)
			if err := tt.harm(path); err != nil {
				t.Fatal(err)
			}
			err := start(t, data)
			if tt.says == "" && err != nil {
				t.Errorf("it refused to start: %v", err)
			}
			if tt.says == "" {
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("starting = %v", err)
			}
			if info, err := os.Stat(path); err == nil && info.Size() > 0 {
				t.Errorf("it made %s anew", tt.file)
			}
		})
	}
}
