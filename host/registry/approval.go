package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// Approval is what a reviewer grants. All grants whatever the manifest asks for; the
// lists then must be empty, but Hosts may still narrow.
type Approval struct {
	All    bool
	Egress []string
	Hosts  map[string][]string
	// Secrets names secrets, and credentials as "credential:NAME".
	Secrets       []string
	HostFunctions []string
	Note          string
}

// Approve grants the plugin with that digest what a says and makes it the version that
// runs. It answers domain.ErrNotFound or *domain.Invalid.
func (r *Registry) Approve(ctx context.Context, by domain.Actor, digest string, a Approval) (domain.Plugin, error) {
	p, err := r.opts.Store.Plugin(ctx, digest)
	if err != nil {
		return domain.Plugin{}, fmt.Errorf("approve %s: %w", digest, err)
	}
	grant, err := grantOf(p, a)
	if err != nil {
		return domain.Plugin{}, err
	}
	grant.GrantedBy, grant.GrantedAt = by.Subject, r.opts.Now()
	p.State, p.Grant = domain.PluginApproved, &grant
	if err := r.run(ctx, p); err != nil {
		return domain.Plugin{}, fmt.Errorf("approve %s: %w", digest, err)
	}
	return r.keepApproval(ctx, by, p)
}

func (r *Registry) keepApproval(ctx context.Context, by domain.Actor, p domain.Plugin) (domain.Plugin, error) {
	kept, err := r.opts.Store.UpdatePlugin(ctx, p.Digest, func(q *domain.Plugin) error {
		q.State, q.Grant = p.State, p.Grant
		return nil
	})
	if err == nil {
		err = r.opts.Store.ActivatePlugin(ctx, p.Manifest.Name, p.Digest)
	}
	if err != nil {
		return domain.Plugin{}, fmt.Errorf("keep approval of %s: %w", p.Digest, err)
	}
	kept.Active = true
	r.audit(ctx, by.Subject, "plugin.approved", p.Digest, describe(p))
	r.opts.Log.Info("plugin approved", "plugin", p.Manifest.Name, "version", p.Manifest.Version,
		"digest", p.Digest, "by", by.Subject)
	r.count(ctx)
	return kept, nil
}

// Revoke takes the grant of a digest back: the next call is not made.
func (r *Registry) Revoke(ctx context.Context, by domain.Actor, digest, note string) (domain.Plugin, error) {
	p, err := r.opts.Store.UpdatePlugin(ctx, digest, func(p *domain.Plugin) error {
		p.State = domain.PluginRevoked
		return nil
	})
	if err != nil {
		return domain.Plugin{}, fmt.Errorf("revoke %s: %w", digest, err)
	}
	r.stop(p)
	r.audit(ctx, by.Subject, "plugin.revoked", digest, note)
	r.opts.Log.Warn("plugin revoked", "plugin", p.Manifest.Name, "digest", digest, "by", by.Subject, "note", note)
	r.count(ctx)
	return p, nil
}

// stop retires the version if it is the one that runs.
func (r *Registry) stop(p domain.Plugin) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := r.active[p.Manifest.Name]; v != nil && v.Digest == p.Digest {
		r.retire(p.Manifest.Name)
		r.revoked[p.Manifest.Name] = true
	}
}

func (r *Registry) audit(ctx context.Context, actor, action, target, detail string) {
	err := r.opts.Store.Audit(ctx, domain.AuditEntry{
		At: r.opts.Now(), Actor: actor, Action: action, Target: target, Detail: detail,
	})
	if err != nil {
		r.opts.Log.Error("an audit entry was not kept", "action", action, "target", target, "error", err)
	}
}

// grantOf turns an approval into a grant, which never holds more than the manifest and
// the binary ask for.
func grantOf(p domain.Plugin, a Approval) (domain.Grant, error) {
	egress := slices.Sorted(maps.Keys(p.Manifest.Egress))
	secrets := sendable(&p.Manifest)
	if a.All {
		if problems := withAll(a); len(problems) > 0 {
			return domain.Grant{}, &domain.Invalid{Problems: problems}
		}
		a.Egress, a.Secrets, a.HostFunctions = egress, secrets, p.HostFunctions
	}
	problems := slices.Concat(
		strangers("egress", a.Egress, egress),
		strangers("secrets", a.Secrets, secrets),
		strangers("host_functions", a.HostFunctions, p.HostFunctions),
		strangers("hosts", slices.Sorted(maps.Keys(a.Hosts)), a.Egress),
		badPatterns(a.Hosts),
	)
	if len(problems) > 0 {
		return domain.Grant{}, &domain.Invalid{Problems: problems}
	}
	return domain.Grant{Digest: p.Digest, Egress: a.Egress, Hosts: a.Hosts, Secrets: a.Secrets,
		HostFunctions: a.HostFunctions, Note: a.Note}, nil
}

// sendable names what a manifest asks for by name: its secrets, and then its credentials as
// "credential:NAME", which are granted as secrets are.
func sendable(m *manifest.Manifest) []string {
	names := slices.Sorted(maps.Keys(m.Secrets))
	for _, name := range slices.Sorted(maps.Keys(m.Credentials)) {
		names = append(names, "credential:"+name)
	}
	return names
}

func withAll(a Approval) (problems []domain.Problem) {
	if len(a.Egress)+len(a.Secrets)+len(a.HostFunctions) > 0 {
		problems = append(problems, domain.Problem{Field: "all", Value: "true",
			Why: "it stands beside lists of what to grant", Fix: "give either all or the lists"})
	}
	return problems
}

// strangers blames each name that is not among the known ones.
func strangers(field string, names, known []string) (problems []domain.Problem) {
	for i, name := range names {
		if !slices.Contains(known, name) {
			problems = append(problems, domain.Problem{Field: fmt.Sprintf("%s[%d]", field, i), Value: name,
				Why: "the plugin does not ask for it", Fix: "grant only: " + list(known)})
		}
	}
	return problems
}

func badPatterns(hosts map[string][]string) (problems []domain.Problem) {
	for _, rule := range slices.Sorted(maps.Keys(hosts)) {
		if len(hosts[rule]) == 0 {
			problems = append(problems, domain.Problem{Field: "hosts." + rule, Value: "[]",
				Why: "it narrows the rule to nothing", Fix: "leave the rule out of egress, or name its hosts"})
		}
		for i, pattern := range hosts[rule] {
			if !manifest.ValidHost(strings.TrimPrefix(pattern, "*.")) {
				problems = append(problems, domain.Problem{Field: fmt.Sprintf("hosts.%s[%d]", rule, i), Value: pattern,
					Why: "it is not a host name", Fix: `write "api.acme.test", or "*.acme.test" for every host below`})
			}
		}
	}
	return problems
}

func list(names []string) string {
	if len(names) == 0 {
		return "(nothing)"
	}
	return strings.Join(names, ", ")
}

// describe says in one line what was granted.
func describe(p domain.Plugin) string {
	g := p.Grant
	return fmt.Sprintf("%s %s: egress %s; secrets %s; host functions %s",
		p.Manifest.Name, p.Manifest.Version, list(g.Egress), list(g.Secrets), list(g.HostFunctions))
}
