// Package stage sets up a play: the ELMA365 emulator, a host with the real plugin, and
// the three people who must agree before a message flows. The demo and the end-to-end
// tests perform on it.
package stage

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/host/server"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
)

// Folders is where a host of the stage keeps things, all below one root.
type Folders struct {
	Data, Plugins, CAFile string
}

// Drop puts a plugin file into the drop-in folder in one step, as a careful person does.
func (f Folders) Drop(wasm []byte, name string) error {
	tmp := filepath.Join(f.Plugins, name+".part")
	if err := os.WriteFile(tmp, wasm, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(f.Plugins, name))
}

// People is one client of the management API for each person.
type People struct {
	Operator, Reviewer *client.Client
	// Tenant is the workspace's administrator; nil until there is a workspace.
	Tenant *client.Client
}

// Close closes the clients.
func (p *People) Close() {
	for _, c := range []*client.Client{p.Operator, p.Reviewer, p.Tenant} {
		if c != nil {
			c.Close()
		}
	}
}

// tokenLife is how long the stage's tokens work.
const tokenLife = 24 * time.Hour

// Token issues a token with the keys of a data folder, as "patchbay token issue" does.
func Token(dataDir string, role identity.Role, ws contract.WorkspaceID) (string, error) {
	authority, err := identity.Open(identity.Options{DataDir: dataDir})
	if err != nil {
		return "", err
	}
	token, _, err := authority.Issue(context.Background(), identity.Grant{Subject: "stage-" + string(role), Role: role, Workspace: ws, TTL: tokenLife})
	return token, err
}

// Hire makes the clients of the operator and the reviewer.
func Hire(at server.Addresses, dataDir string) (*People, error) {
	operator, err := Token(dataDir, identity.Operator, "")
	if err != nil {
		return nil, err
	}
	reviewer, err := Token(dataDir, identity.Reviewer, "")
	if err != nil {
		return nil, err
	}
	return &People{Operator: client.New(at.Management, operator), Reviewer: client.New(at.Management, reviewer)}, nil
}

// AwaitPlugin waits until the host knows a version of the plugin and returns it.
func (p *People) AwaitPlugin(ctx context.Context, name string) (domain.Plugin, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		known, err := p.Reviewer.Plugins(ctx)
		if err != nil {
			return domain.Plugin{}, err
		}
		for _, plugin := range known.Items {
			if plugin.Manifest.Name == name {
				return plugin, nil
			}
		}
		select {
		case <-ctx.Done():
			return domain.Plugin{}, fmt.Errorf("the host never listed plugin %q (refusals: %+v): %w", name, known.Refusals, ctx.Err())
		case <-tick.C:
		}
	}
}

// Open has the operator open a workspace and hand the tenant its token.
func (p *People) Open(ctx context.Context, at server.Addresses, dataDir, name string) (domain.Workspace, error) {
	workspace, err := p.Operator.CreateWorkspace(ctx, name)
	if err != nil {
		return domain.Workspace{}, err
	}
	token, err := Token(dataDir, identity.WorkspaceAdmin, workspace.ID)
	if err != nil {
		return domain.Workspace{}, err
	}
	p.Tenant = client.New(at.Management, token)
	return workspace, nil
}

// Connect has the tenant make a connection to the platform, and the operator allow the
// platform's address, which is a loopback one here.
func (p *People) Connect(ctx context.Context, ws contract.WorkspaceID, platform *emulator.Platform, settings map[string]string) (client.Connection, error) {
	settings["company_url"] = platform.URL()
	connection, err := p.Tenant.CreateConnection(ctx, ws, client.NewConnection{Plugin: "elma365", Name: "Support", Settings: settings})
	if err != nil {
		return client.Connection{}, err
	}
	target, err := privateTarget(platform)
	if err != nil {
		return client.Connection{}, err
	}
	return p.Operator.AllowPrivateTargets(ctx, ws, connection.ID, []string{target})
}

func privateTarget(platform *emulator.Platform) (string, error) {
	u, err := url.Parse(platform.URL())
	if err != nil {
		return "", err
	}
	target, err := netip.ParseAddrPort(u.Host)
	return target.String(), err
}

// EnterSetup does what the platform's administrator does: it reads the setup steps of the
// connection and enters them, upon which the platform connects.
func (p *People) EnterSetup(ctx context.Context, ws contract.WorkspaceID, id contract.ConnectionID, platform *emulator.Platform) (*emulator.Channel, error) {
	messenger, err := p.Messenger(ctx, ws, id)
	if err != nil {
		return nil, err
	}
	return platform.Connect(ctx, messenger)
}

// Messenger waits for the connection's setup steps and turns them into what ELMA365 asks
// its administrator for.
func (p *People) Messenger(ctx context.Context, ws contract.WorkspaceID, id contract.ConnectionID) (emulator.Messenger, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		steps, err := p.Tenant.Setup(ctx, ws, id)
		if err != nil {
			return emulator.Messenger{}, err
		}
		var m emulator.Messenger
		for _, step := range steps {
			switch step.Label {
			case "Webhook":
				m.Webhook = step.Value
			case "Confirmation code":
				m.Code = step.Value
			}
		}
		if m.Webhook != "" && m.Code != "" {
			return m, nil
		}
		select {
		case <-ctx.Done():
			return emulator.Messenger{}, fmt.Errorf("connection %s never told its setup steps: %w", id, ctx.Err())
		case <-tick.C:
		}
	}
}
