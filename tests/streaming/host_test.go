package streaming

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/config"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/host/pack"
	"github.com/seed75a60ee1/patchbay/host/server"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// patience bounds every wait of a test.
const patience = 2 * time.Minute

// carrier builds the plugin once.
var carrier = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "carrier")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "carrier.wasm")
	if _, err := pack.Build(context.Background(), pack.Options{Dir: "testdata/carrier", Output: file}); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

// host is a running host with the carrier, and one connection of it to the platform.
type host struct {
	t          *testing.T
	ctx        context.Context
	platform   *platform
	operator   *client.Client
	workspace  contract.WorkspaceID
	connection client.Connection
}

// open starts a host whose fields are set beside those that it needs.
func open(t *testing.T, p *platform, flags map[string]any) *host {
	t.Helper()
	data := t.TempDir()
	wasm, err := carrier()
	if err != nil {
		t.Fatal(err)
	}
	plugins := filepath.Join(data, "plugins")
	if err := os.MkdirAll(plugins, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(plugins, "carrier.wasm"), wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	all := map[string]any{"data": data, "mode": "development", "ingress.listen": "127.0.0.1:0", "management.listen": "127.0.0.1:0",
		"plugins.dir": plugins, "egress.ca_file": p.caFile, "egress.resolve": hostName + ":443=" + p.address(), "log.level": "error"}
	for name, value := range flags {
		all[name] = value
	}
	cfg, err := config.Load(config.Options{Flags: all})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	h := &host{t: t, ctx: ctx, platform: p}
	at := h.serve(cfg, cancel)
	h.operator = client.New(at.Management, h.token(cfg.Data))
	t.Cleanup(h.operator.Close)
	h.connect()
	return h
}

// serve runs the host until the test ends.
func (h *host) serve(cfg config.Config, stop func()) server.Addresses {
	h.t.Helper()
	ready, ended := make(chan server.Addresses, 1), make(chan error, 1)
	go func() {
		ended <- server.Run(h.ctx, cfg, slog.New(slog.DiscardHandler), func(a server.Addresses) { ready <- a })
	}()
	h.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			h.t.Errorf("the host ended with %v", err)
		}
	})
	select {
	case at := <-ready:
		return at
	case err := <-ended:
		ended <- nil
		h.t.Fatalf("the host did not start: %v", err)
	case <-h.ctx.Done():
		h.t.Fatal("the host did not start in time")
	}
	return server.Addresses{}
}

func (h *host) token(data string) string {
	h.t.Helper()
	authority, err := identity.Open(identity.Options{DataDir: data})
	if err != nil {
		h.t.Fatal(err)
	}
	token, _, err := authority.Issue(h.ctx, identity.Grant{Subject: "streaming", Role: identity.Operator, TTL: time.Hour})
	if err != nil {
		h.t.Fatal(err)
	}
	return token
}

// connect makes the connection, and lets it reach the platform's address.
func (h *host) connect() {
	h.t.Helper()
	workspace, err := h.operator.CreateWorkspace(h.ctx, "Streaming")
	if err != nil {
		h.t.Fatal(err)
	}
	h.workspace = workspace.ID
	h.poll("the plugin to run", func() (bool, error) {
		known, err := h.operator.Plugins(h.ctx)
		return err == nil && len(known.Items) == 1 && known.Items[0].Active, err
	})
	if err := h.operator.EnablePlugin(h.ctx, h.workspace, "carrier"); err != nil {
		h.t.Fatal(err)
	}
	if h.connection, err = h.operator.CreateConnection(h.ctx, h.workspace, client.NewConnection{Plugin: "carrier", Name: "one"}); err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.operator.AllowPrivateTargets(h.ctx, h.workspace, h.connection.ID, []string{h.platform.address()}); err != nil {
		h.t.Fatal(err)
	}
}

// poll asks again and again until it is so.
func (h *host) poll(what string, done func() (bool, error)) {
	h.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		switch {
		case err != nil:
			h.t.Fatalf("wait for %s: %v", what, err)
		case ok:
			return
		}
		select {
		case <-tick.C:
		case <-h.ctx.Done():
			h.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// deliver has the platform deliver an errand.
func (h *host) deliver(errand map[string]any) {
	h.t.Helper()
	body, err := json.Marshal(errand)
	if err != nil {
		h.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(h.ctx, http.MethodPost, h.connection.ReceiveURL, bytes.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	response, err := browser.Do(request)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		h.t.Fatalf("the delivery was answered %d", response.StatusCode)
	}
}

// attachment waits until there are n events, and returns the attachment of the last.
func (h *host) attachment(n int) (media contract.Media) {
	h.t.Helper()
	h.poll("the event", func() (bool, error) {
		page, err := h.operator.Events(h.ctx, h.workspace, domain.Page{Limit: 1000})
		if err != nil {
			return false, err
		}
		seen := 0
		for _, e := range page.Items {
			if e.Data.Message != nil {
				seen++
				media = *e.Data.Message.Parts[0].Media
			}
		}
		return seen >= n, nil
	})
	return media
}

// failure waits until n commands of the plugin's have ended badly, and returns the code and
// the text of the last one.
func (h *host) failure(n int) (code, message string) {
	h.t.Helper()
	h.poll("the command to end", func() (bool, error) {
		page, err := h.operator.Commands(h.ctx, h.workspace, client.CommandFilter{})
		if err != nil {
			return false, err
		}
		seen := 0
		for _, c := range page.Items {
			if c.Command != nil && c.Command.Export == contract.ExportReconcile && c.Failure != nil {
				if seen++; seen == 1 { // newest first
					code, message = c.Failure.Code, c.Failure.Message
				}
			}
		}
		return seen >= n, nil
	})
	return code, message
}
