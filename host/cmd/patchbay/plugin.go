package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
)

type pluginCommand struct {
	Build   pluginBuild   `cmd:"" help:"Make one plugin file of a connector's folder."`
	Inspect pluginInspect `cmd:"" help:"Report what a plugin file is and the most it can do."`
	Call    pluginCall    `cmd:"" help:"Run one export of a plugin file, and record it."`
	Replay  pluginReplay  `cmd:"" help:"Run recordings again and report where they part."`
	Compare pluginCompare `cmd:"" help:"Replay the recordings inside a plugin file under two engines."`
	List    pluginList    `cmd:"" help:"List the plugins of the host, and the files it refused."`
	Show    pluginShow    `cmd:"" help:"Show one plugin of the host, what it was granted, and what it wants to be told."`
	Approve pluginApprove `cmd:"" help:"Grant a plugin what it may do, and run it."`
	Revoke  pluginRevoke  `cmd:"" help:"Take a plugin's grant back."`
}

type pluginList struct{}

func (c *pluginList) Run(ctx context.Context, s *session) error {
	known, err := s.connect().Plugins(ctx)
	if err != nil {
		return err
	}
	return s.show(known, func() {
		if len(known.Items)+len(known.Refusals) == 0 {
			fmt.Fprintln(s.stderr, "no plugins; drop one into the host's plugin folder")
		}
		if len(known.Items) > 0 {
			printPlugins(s, known.Items)
		}
		if len(known.Refusals) > 0 {
			fmt.Fprintln(s.stdout, "\nrefused")
			printTable(s.stdout, known.Refusals,
				column[domain.Refusal]{"file", func(r domain.Refusal) string { return r.File }},
				column[domain.Refusal]{"at", func(r domain.Refusal) string { return when(r.At) }},
				column[domain.Refusal]{"reason", func(r domain.Refusal) string { return r.Reason }},
			)
		}
	})
}

func printPlugins(s *session, plugins []domain.Plugin) {
	printTable(s.stdout, plugins,
		column[domain.Plugin]{"plugin", func(p domain.Plugin) string { return p.Manifest.Name }},
		column[domain.Plugin]{"version", func(p domain.Plugin) string { return p.Manifest.Version }},
		column[domain.Plugin]{"state", pluginState},
		column[domain.Plugin]{"vendor", func(p domain.Plugin) string { return p.Manifest.Vendor.Name }},
		column[domain.Plugin]{"submitted", func(p domain.Plugin) string { return when(p.SubmittedAt) }},
		column[domain.Plugin]{"digest", func(p domain.Plugin) string { return p.Digest }},
	)
}

// pluginState is the state with a word on whether this version is the one that runs.
func pluginState(p domain.Plugin) string {
	if p.Active {
		return string(p.State) + ", active"
	}
	return string(p.State)
}

type pluginShow struct {
	Plugin string `arg:"" help:"The plugin's name, NAME@VERSION, or digest."`
}

func (c *pluginShow) Run(ctx context.Context, s *session) error {
	p, err := s.plugin(ctx, c.Plugin)
	if err != nil {
		return err
	}
	return s.show(p, func() {
		showPlugin(s, p)
		showWants(s, &p.Manifest)
	})
}

// showPlugin prints what a plugin asks for beside what it was granted.
func showPlugin(s *session, p domain.Plugin) {
	grant := cmp.Or(p.Grant, &domain.Grant{})
	printFields(s.stdout,
		field{"plugin", p.Manifest.Name + " " + p.Manifest.Version}, field{"digest", p.Digest},
		field{"vendor", p.Manifest.Vendor.Name}, field{"state", pluginState(p)}, field{"file", p.File},
		field{"bytes", strconv.FormatInt(p.SizeBytes, 10)}, field{"abilities", strings.Join(p.Exports, ", ")},
		field{"submitted", when(p.SubmittedAt)}, field{"granted by", grant.GrantedBy},
		field{"granted at", when(grant.GrantedAt)}, field{"note", grant.Note},
	)
	fmt.Fprintln(s.stdout)
	printTable(s.stdout, asks(p, grant),
		column[ask]{"asks for", func(a ask) string { return a.kind }},
		column[ask]{"name", func(a ask) string { return a.name }},
		column[ask]{"granted", func(a ask) string { return yes(a.granted) }},
		column[ask]{"narrowed to", func(a ask) string { return strings.Join(a.narrowed, ", ") }},
		column[ask]{"purpose", func(a ask) string { return a.purpose }},
	)
}

// ask is one thing that a plugin asks for.
type ask struct {
	kind, name, purpose string
	granted             bool
	narrowed            []string
}

func asks(p domain.Plugin, grant *domain.Grant) (all []ask) {
	for _, name := range slices.Sorted(maps.Keys(p.Manifest.Egress)) {
		all = append(all, ask{"egress", name, p.Manifest.Egress[name].Purpose, slices.Contains(grant.Egress, name), grant.Hosts[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(p.Manifest.Secrets)) {
		all = append(all, ask{"secret", name, p.Manifest.Secrets[name].Purpose, slices.Contains(grant.Secrets, name), nil})
	}
	for _, name := range slices.Sorted(maps.Keys(p.Manifest.Credentials)) {
		all = append(all, ask{"credential", name, p.Manifest.Credentials[name].Purpose, slices.Contains(grant.Secrets, "credential:"+name), nil})
	}
	for _, name := range p.HostFunctions {
		all = append(all, ask{"host function", name, "", slices.Contains(grant.HostFunctions, name), nil})
	}
	return all
}

type pluginApprove struct {
	Digest        string   `arg:"" help:"The plugin's digest."`
	All           bool     `help:"Grant all that the plugin asks for."`
	Egress        []string `placeholder:"RULE,..." help:"Grant these egress rules of the manifest."`
	Secrets       []string `placeholder:"SECRET,..." help:"Grant these secrets of the manifest, and credentials as credential:NAME."`
	HostFunctions []string `placeholder:"FUNCTION,..." help:"Grant these host functions."`
	Host          []string `sep:"none" placeholder:"RULE=PATTERN" help:"Narrow an egress rule to hosts like api.acme.test or *.acme.test; repeat for more."`
	Note          string   `help:"Why, for the audit log."`
}

func (c *pluginApprove) Run(ctx context.Context, s *session) error {
	approval, err := c.approval()
	if err != nil {
		return err
	}
	p, err := s.connect().ApprovePlugin(ctx, c.Digest, approval)
	if err != nil {
		return err
	}
	return s.show(p, func() { showPlugin(s, p) })
}

func (c *pluginApprove) approval() (client.Approval, error) {
	lists := len(c.Egress)+len(c.Secrets)+len(c.HostFunctions) > 0
	switch {
	case c.All && lists:
		return client.Approval{}, &usageError{"--all stands beside lists of what to grant", "give either --all or the lists; --host may narrow both"}
	case !c.All && !lists:
		return client.Approval{}, &usageError{"nothing would be granted",
			"give --all, or some of --egress, --secrets and --host-functions; see what it asks for: patchbay plugin show " + c.Digest}
	}
	hosts, err := narrowed(c.Host)
	return client.Approval{All: c.All, Egress: c.Egress, Secrets: c.Secrets, HostFunctions: c.HostFunctions, Hosts: hosts, Note: c.Note}, err
}

// narrowed reads RULE=PATTERN flags.
func narrowed(flags []string) (map[string][]string, error) {
	hosts := map[string][]string{}
	for _, flag := range flags {
		rule, pattern, ok := strings.Cut(flag, "=")
		if !ok || rule == "" || pattern == "" {
			return nil, &usageError{fmt.Sprintf("--host is %q", flag), "write it as RULE=PATTERN, such as --host api=*.acme.test"}
		}
		hosts[rule] = append(hosts[rule], pattern)
	}
	return hosts, nil
}

type pluginRevoke struct {
	Digest string `arg:"" help:"The plugin's digest."`
	Note   string `help:"Why, for the audit log."`
}

func (c *pluginRevoke) Run(ctx context.Context, s *session) error {
	p, err := s.connect().RevokePlugin(ctx, c.Digest, c.Note)
	if err != nil {
		return err
	}
	return s.done(p, "%s %s (%s) is revoked: its next call is not made", p.Manifest.Name, p.Manifest.Version, p.Digest)
}
