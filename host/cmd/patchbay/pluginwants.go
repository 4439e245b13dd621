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
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// plugin reads one plugin by its digest, or by NAME or NAME@VERSION, as people know it: of
// several versions the one that runs, or the newest if none does.
func (s *session) plugin(ctx context.Context, named string) (domain.Plugin, error) {
	api := s.connect()
	if strings.Contains(named, ":") {
		return api.Plugin(ctx, named)
	}
	known, err := api.Plugins(ctx)
	if err != nil {
		return domain.Plugin{}, err
	}
	return pick(known, named)
}

func pick(known client.Plugins, named string) (domain.Plugin, error) {
	name, version, exact := strings.Cut(named, "@")
	var best *domain.Plugin
	for i := range known.Items {
		p := &known.Items[i]
		switch {
		case p.Manifest.Name != name, exact && p.Manifest.Version != version:
		case best == nil, p.Active && !best.Active, p.Active == best.Active && p.SubmittedAt.After(best.SubmittedAt):
			best = p
		}
	}
	if best == nil {
		return domain.Plugin{}, &unknown{fmt.Sprintf("the host has no plugin %q", named), "see: patchbay plugin list"}
	}
	return *best, nil
}

// want is one thing that somebody enters before a plugin can work.
type want struct{ what, name, need, valid, meaning string }

// showWants prints what to give with --set and --secret: at the app, if the plugin has
// apps, and at each connection.
func showWants(s *session, m *manifest.Manifest) {
	for _, place := range []struct {
		scope   manifest.Scope
		command string
	}{{manifest.ScopeApp, "app create"}, {manifest.ScopeConnection, "connection create"}} {
		if all := wants(m, place.scope); len(all) > 0 {
			fmt.Fprintf(s.stdout, "\nfor patchbay %s --plugin %s\n", place.command, clean(m.Name))
			printTable(s.stdout, all,
				column[want]{"give", func(w want) string { return w.what + " " + w.name }},
				column[want]{"or else", func(w want) string { return w.need }},
				column[want]{"valid", func(w want) string { return w.valid }},
				column[want]{"meaning", func(w want) string { return w.meaning }},
			)
		}
	}
}

// wants lists what is entered in one scope, what is required first.
func wants(m *manifest.Manifest, scope manifest.Scope) (all []want) {
	in := func(s manifest.Scope) bool { return cmp.Or(s, manifest.ScopeConnection) == scope }
	for _, name := range slices.Sorted(maps.Keys(m.Secrets)) {
		if s := m.Secrets[name]; in(s.Scope) {
			all = append(all, want{"--secret", name, secretNeed(s), "", s.Purpose})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Settings)) {
		if s := m.Settings[name]; in(s.Scope) {
			all = append(all, want{"--set", name, settingNeed(s), settingValid(s), strings.TrimSpace(s.Title + ". " + s.Help)})
		}
	}
	slices.SortStableFunc(all, func(a, b want) int { return cmp.Compare(required(b), required(a)) })
	return all
}

const mustBeGiven = "required"

func required(w want) int {
	if w.need == mustBeGiven {
		return 1
	}
	return 0
}

// secretNeed says what becomes of a secret that nobody gives.
func secretNeed(s manifest.Secret) string {
	switch {
	case s.GenerateBytes > 0:
		return "the host makes one"
	case s.Default != "":
		return "that of " + s.Default
	case s.Optional:
		return "none"
	}
	return mustBeGiven
}

// settingNeed says what stands in for a setting that nobody gives.
func settingNeed(s manifest.Setting) string {
	switch {
	case s.Default != "":
		return s.Default
	case s.Required:
		return mustBeGiven
	}
	return "none"
}

func settingValid(s manifest.Setting) string {
	switch {
	case s.Type == manifest.TypeEnum:
		return strings.Join(s.Values, ", ")
	case s.Type == manifest.TypeBoolean:
		return "true, false"
	case s.Min != 0 || s.Max != 0:
		return strconv.FormatInt(s.Min, 10) + " to " + strconv.FormatInt(s.Max, 10)
	}
	return map[manifest.SettingType]string{manifest.TypeURL: "an https URL", manifest.TypeList: "texts joined by commas",
		manifest.TypeMap: "KEY=VALUE pairs joined by commas", manifest.TypeInteger: "a whole number"}[s.Type]
}
