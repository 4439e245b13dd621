package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// credentialPrefix is what the name of a credential begins with where it stands among
// secrets: in a grant, and in what an egress rule lets through.
const credentialPrefix = "credential:"

// policy is everything that this invocation may send: what the manifest asks for, as far
// as the reviewer granted it, with the connection's and its app's own hosts filled in.
func (inv *invocation) policy() domain.EgressPolicy {
	return policyOf(inv.version.Plugin, inv.connection, inv.app)
}

// policyOf is the policy of a connection, whose app may be nil, or of an app.
func policyOf(p domain.Plugin, c domain.Connection, app *domain.Connection) domain.EgressPolicy {
	policy := domain.EgressPolicy{Plugin: p.Manifest.Name, Sender: string(c.ID), App: string(cmp.Or(c.App, c.ID)),
		PrivateTargets: c.PrivateTargets}
	if p.Grant == nil {
		return policy
	}
	settings := settingsOf(&p.Manifest, c, app)
	for _, name := range p.Grant.Egress {
		asked, ok := p.Manifest.Egress[name]
		if !ok {
			continue // a grant never holds more than the manifest; make sure
		}
		for _, rule := range resolve(name, asked, p.Manifest.Settings[asked.Setting].Type, settings) {
			rule.Hosts, rule.Secrets = p.Grant.Hosts[name], sendable(p, name)
			policy.Rules = append(policy.Rules, rule)
		}
	}
	return policy
}

// settingsOf is every setting that counts for a connection, its app's included, or for an
// app; defaults are filled in.
func settingsOf(m *manifest.Manifest, c domain.Connection, app *domain.Connection) map[string]string {
	if c.IsApp {
		return m.WithDefaultsIn(manifest.ScopeApp, c.Settings)
	}
	settings := m.WithDefaultsIn(manifest.ScopeConnection, c.Settings)
	if app != nil {
		maps.Copy(settings, m.WithDefaultsIn(manifest.ScopeApp, app.Settings))
	}
	return settings
}

// resolve answers a manifest's rule for one connection: with no rule if the setting that
// it hangs on is not set, and with one for each host if that is a list.
func resolve(name string, asked manifest.EgressRule, hangsOn manifest.SettingType, settings map[string]string) (rules []domain.EgressRule) {
	rule := domain.EgressRule{Name: name, Scheme: "https", Host: strings.ToLower(asked.Host), Port: int(asked.Port),
		Methods: asked.Methods, Paths: asked.Paths, Cached: asked.Cached, Rates: asked.Rates, Redact: asked.Redact}
	rule.Port = cmp.Or(rule.Port, 443)
	if asked.Setting == "" {
		return append(rules, rule)
	}
	if hangsOn == manifest.TypeList {
		for _, host := range strings.Split(settings[asked.Setting], ",") {
			if rule.Host = strings.ToLower(strings.TrimSpace(host)); manifest.ValidHost(rule.Host) {
				rules = append(rules, rule)
			}
		}
		return rules
	}
	base, err := url.Parse(settings[asked.Setting])
	if err != nil || base.Hostname() == "" {
		return nil
	}
	rule.Scheme, rule.Host = base.Scheme, strings.ToLower(base.Hostname())
	port, _ := strconv.Atoi(base.Port()) // empty means the scheme's
	rule.Port = cmp.Or(port, 443)
	return append(rules, rule)
}

// sendable lists the secrets and credentials that may be filled in toward a rule, in a
// stable order.
func sendable(p domain.Plugin, rule string) (names []string) {
	for _, name := range p.Grant.Secrets {
		sendTo := p.Manifest.Secrets[name].SendTo
		if credential, ok := strings.CutPrefix(name, credentialPrefix); ok {
			sendTo = p.Manifest.Credentials[credential].SendTo
		}
		if slices.Contains(sendTo, rule) {
			names = append(names, name)
		}
	}
	return names
}

// appOf returns the app of a connection; nil if it has none.
func (b *Broker) appOf(ctx context.Context, c domain.Connection) (*domain.Connection, error) {
	if c.App == "" {
		return nil, nil
	}
	app, err := b.opts.Store.Connection(ctx, c.App)
	if err != nil {
		return nil, fmt.Errorf("read app %s: %w", c.App, err)
	}
	return &app, nil
}

// keeper says whose secret it is that a name stands for: the app's, where the manifest
// says so, or else the connection's.
func (inv *invocation) keeper(name string) contract.ConnectionID {
	if inv.version.Manifest.Secrets[name].Scope == manifest.ScopeApp {
		return cmp.Or(inv.connection.App, inv.connection.ID)
	}
	return inv.connection.ID
}

// valued calls f with the owner and the name of a secret, and where there is none, with
// those of the one that stands in for it, if that is granted, too.
func valued[T any](inv *invocation, name string, f func(owner contract.ConnectionID, name string) (T, error)) (T, error) {
	value, err := f(inv.keeper(name), name)
	if stand := inv.version.Manifest.Secrets[name].Default; errors.Is(err, domain.ErrNotFound) && inv.granted(stand) {
		return f(inv.keeper(stand), stand)
	}
	return value, err
}

// reveal returns the value of a secret or a credential on its way out. The egress rule has
// decided that it may go there.
func (inv *invocation) reveal(ctx context.Context, name string) (secret.Text, error) {
	if credential, ok := strings.CutPrefix(name, credentialPrefix); ok {
		return inv.credential(ctx, credential)
	}
	return valued(inv, name, func(owner contract.ConnectionID, name string) (secret.Text, error) {
		return inv.broker.opts.Secrets.Reveal(ctx, owner, name)
	})
}

// credential returns the value of a credential on its way out.
func (inv *invocation) credential(ctx context.Context, name string) (secret.Text, error) {
	if name == contract.CredentialReceiveURL {
		return secret.New(inv.broker.opts.PublicURL + "/in/" + inv.connection.Endpoint), nil
	}
	return inv.token(ctx, name)
}
