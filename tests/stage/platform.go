package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Authority is a platform whose certificates the host has to trust.
type Authority interface{ CAPEM() []byte }

// Platform is an emulator that answers to the platform's real names on one loopback address.
type Platform interface {
	Authority
	// Addr is where it listens, "ip:port".
	Addr() string
	// Names are the host names that it has certificates for.
	Names() []string
}

// MakeFolders makes the folders below root and writes the platforms' certificate
// authorities there.
func MakeFolders[P Authority](root string, platforms ...P) (Folders, error) {
	f := Folders{Data: filepath.Join(root, "data"), Plugins: filepath.Join(root, "plugins"), CAFile: filepath.Join(root, "platform-ca.pem")}
	var trusted bytes.Buffer
	for _, p := range platforms {
		trusted.Write(bytes.TrimSpace(p.CAPEM()))
		trusted.WriteByte('\n')
	}
	err := errors.Join(os.MkdirAll(f.Data, 0o700), os.MkdirAll(f.Plugins, 0o700), os.WriteFile(f.CAFile, trusted.Bytes(), 0o600))
	if err != nil {
		return Folders{}, fmt.Errorf("make the stage's folders: %w", err)
	}
	return f, nil
}

// Resolve is the host's setting egress.resolve by which the platforms' names lead to them.
func Resolve(platforms ...Platform) string {
	var pairs []string
	for _, p := range platforms {
		for _, name := range p.Names() {
			pairs = append(pairs, net.JoinHostPort(name, "443")+"="+p.Addr())
		}
	}
	return strings.Join(pairs, ",")
}

// Target is a platform's address, for those whom an operator allows to send there.
func Target(p Platform) ([]string, error) {
	target, err := netip.ParseAddrPort(p.Addr())
	if err != nil {
		return nil, fmt.Errorf("the platform's address %q: %w", p.Addr(), err)
	}
	return []string{target.String()}, nil
}

// Admit drops a plugin file into the folder, and has the reviewer grant all it asks for.
func (p *People) Admit(ctx context.Context, f Folders, wasm []byte, name string) (domain.Plugin, error) {
	if err := f.Drop(wasm, name+".wasm"); err != nil {
		return domain.Plugin{}, err
	}
	plugin, err := p.AwaitPlugin(ctx, name)
	if err != nil {
		return domain.Plugin{}, err
	}
	return p.Reviewer.ApprovePlugin(ctx, plugin.Digest, client.Approval{All: true, Note: "stage"})
}

// Join has the tenant make a connection, and the operator allow it the platform's address.
func (p *People) Join(ctx context.Context, ws contract.WorkspaceID, n client.NewConnection, platform Platform) (client.Connection, error) {
	connection, err := p.Tenant.CreateConnection(ctx, ws, n)
	if err != nil {
		return client.Connection{}, err
	}
	targets, err := Target(platform)
	if err != nil {
		return client.Connection{}, err
	}
	return p.Operator.AllowPrivateTargets(ctx, ws, connection.ID, targets)
}

// Poll asks again and again until done says so, or ctx ends; for what the host has no event
// for.
func Poll(ctx context.Context, what string, done func() (bool, error)) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %s: %w", what, ctx.Err())
		}
	}
}
