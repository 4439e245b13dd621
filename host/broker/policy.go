package broker

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// policy is everything that this invocation may send: what the manifest asks for, as far
// as the reviewer granted it, with the connection's own hosts filled in.
func (inv *invocation) policy() domain.EgressPolicy {
	return policyOf(inv.version.Plugin, inv.connection)
}

func policyOf(p domain.Plugin, c domain.Connection) domain.EgressPolicy {
	policy := domain.EgressPolicy{Plugin: p.Manifest.Name, Sender: string(c.ID), PrivateTargets: c.PrivateTargets}
	if p.Grant == nil {
		return policy
	}
	settings := p.Manifest.WithDefaults(c.Settings)
	for _, name := range p.Grant.Egress {
		asked, ok := p.Manifest.Egress[name]
		if !ok {
			continue // a grant never holds more than the manifest; make sure
		}
		if rule, ok := resolve(name, asked, settings); ok {
			rule.Hosts, rule.Secrets = p.Grant.Hosts[name], sendable(p, name)
			policy.Rules = append(policy.Rules, rule)
		}
	}
	return policy
}

// resolve answers a manifest's rule for one connection; false if the setting that it
// hangs on is not set.
func resolve(name string, asked manifest.EgressRule, settings map[string]string) (domain.EgressRule, bool) {
	rule := domain.EgressRule{Name: name, Scheme: "https", Host: strings.ToLower(asked.Host), Port: int(asked.Port),
		Methods: asked.Methods, Paths: asked.Paths}
	if asked.Setting != "" {
		base, err := url.Parse(settings[asked.Setting])
		if err != nil || base.Hostname() == "" {
			return domain.EgressRule{}, false
		}
		rule.Scheme, rule.Host = base.Scheme, strings.ToLower(base.Hostname())
		rule.Port, _ = strconv.Atoi(base.Port()) // empty means the scheme's
	}
	if rule.Port == 0 {
		rule.Port = 443
	}
	return rule, true
}

// sendable lists the secrets that may be filled in toward a rule, in a stable order.
func sendable(p domain.Plugin, rule string) (names []string) {
	for _, name := range p.Grant.Secrets {
		if slices.Contains(p.Manifest.Secrets[name].SendTo, rule) {
			names = append(names, name)
		}
	}
	return names
}
