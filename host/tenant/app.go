package tenant

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/failpoint"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// Apps is what the service keeps apps in.
type Apps interface {
	Connections(ctx context.Context, ws contract.WorkspaceID, p domain.Page) (items []domain.Connection, next string, err error)
	ConnectionsOfApp(ctx context.Context, app contract.ConnectionID, p domain.Page) (items []domain.Connection, next string, err error)
	ParkedKeys(ctx context.Context, app contract.ConnectionID, p domain.Page) (items []domain.ParkedKey, next string, err error)
	// AssignRoute registers a key for a connection of the app, and queues what waited for it.
	AssignRoute(ctx context.Context, app contract.ConnectionID, key string, c contract.ConnectionID, at time.Time) ([]domain.Job, error)
	DiscardParked(ctx context.Context, app contract.ConnectionID, key string) ([]domain.Parked, error)
	HeldRoutes(ctx context.Context, app contract.ConnectionID, p domain.Page) (items []domain.HeldRoute, next string, err error)
	ReleaseRoute(ctx context.Context, app contract.ConnectionID, key string, at time.Time) (domain.HeldRoute, error)
}

// NewApp is an app to make: the operator's account with a platform.
type NewApp struct {
	Plugin, Name string
	// Settings and Secrets are those that the manifest declares for apps.
	Settings, Secrets map[string]string
}

// CreateApp makes an app and asks the plugin to set it up.
func (s *Service) CreateApp(ctx context.Context, by domain.Actor, n NewApp) (domain.Connection, error) {
	if err := s.prepareHost(ctx, n.Plugin); err != nil {
		return domain.Connection{}, err
	}
	version, release, err := s.enabled(ctx, domain.HostWorkspace, n.Plugin)
	if err != nil {
		return domain.Connection{}, err
	}
	defer release()
	if !version.Manifest.HasApps() {
		return domain.Connection{}, invalid("plugin", n.Plugin, "it has no apps: nothing of it is shared by several accounts",
			"make a connection: patchbay connection create")
	}
	return s.make(ctx, by, version, domain.HostWorkspace, newThing{
		NewConnection: NewConnection{Plugin: n.Plugin, Name: n.Name, Settings: n.Settings, Secrets: n.Secrets}, isApp: true})
}

// prepareHost makes the host's own workspace, if there is none yet, and lets it use the plugin.
func (s *Service) prepareHost(ctx context.Context, plugin string) error {
	_, release, err := s.opts.Plugins.Acquire(plugin)
	if err != nil {
		return invalid("plugin", plugin, err.Error(), "a reviewer approves it first: patchbay plugin list")
	}
	release()
	w, err := s.opts.Store.Workspace(ctx, domain.HostWorkspace)
	if errors.Is(err, domain.ErrNotFound) {
		w = domain.Workspace{ID: domain.HostWorkspace, Name: "The host's apps", CreatedAt: s.opts.Now()}
		if err = s.opts.Store.CreateWorkspace(ctx, w); errors.Is(err, domain.ErrExists) {
			err = nil // somebody else was faster
		}
	}
	if err == nil && !slices.Contains(w.Enabled, plugin) {
		_, err = s.opts.Store.UpdateWorkspace(ctx, domain.HostWorkspace, func(w *domain.Workspace) error {
			if !slices.Contains(w.Enabled, plugin) {
				w.Enabled = append(w.Enabled, plugin)
				slices.Sort(w.Enabled)
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("prepare the host's workspace: %w", err)
	}
	return nil
}

// Apps lists the apps, oldest first, with the cursor of the next page.
func (s *Service) Apps(ctx context.Context, p domain.Page) ([]domain.Connection, string, error) {
	return s.opts.Store.Connections(ctx, domain.HostWorkspace, p)
}

// App returns an app; domain.ErrNotFound if there is none.
func (s *Service) App(ctx context.Context, id contract.ConnectionID) (domain.Connection, error) {
	c, err := s.connection(ctx, domain.HostWorkspace, id)
	if err == nil && !c.IsApp {
		err = fmt.Errorf("app %s: %w", id, domain.ErrNotFound)
	}
	return c, err
}

// UpdateApp changes an app's name and settings and asks the plugin to set it up anew. Its
// connections go by the new settings from their next invocation on.
func (s *Service) UpdateApp(ctx context.Context, by domain.Actor, id contract.ConnectionID, patch ConnectionPatch) (domain.Connection, error) {
	return s.UpdateConnection(ctx, by, domain.HostWorkspace, id, patch)
}

// RemoveApp asks the plugin to tear an app down that has no connections any more, and removes
// it like a connection. What waits there is given up.
func (s *Service) RemoveApp(ctx context.Context, by domain.Actor, id contract.ConnectionID) (domain.Job, error) {
	if _, err := s.App(ctx, id); err != nil {
		return domain.Job{}, err
	}
	return s.RemoveConnection(ctx, by, domain.HostWorkspace, id)
}

// unused refuses to remove an app that has connections.
func (s *Service) unused(ctx context.Context, c domain.Connection) error {
	if !c.IsApp {
		return nil
	}
	of, _, err := s.opts.Store.ConnectionsOfApp(ctx, c.ID, domain.Page{Limit: 1})
	switch {
	case err != nil:
		return fmt.Errorf("connections of app %s: %w", c.ID, err)
	case len(of) > 0:
		return invalid("app", string(c.ID), fmt.Sprintf("it has connections, such as %s of workspace %s", of[0].ID, of[0].Workspace),
			"remove them first: patchbay app connections "+string(c.ID))
	}
	return nil
}

// AppConnections lists the connections of an app, of whatever workspace, oldest first.
func (s *Service) AppConnections(ctx context.Context, app contract.ConnectionID, p domain.Page) ([]domain.Connection, string, error) {
	if _, err := s.App(ctx, app); err != nil {
		return nil, "", err
	}
	return s.opts.Store.ConnectionsOfApp(ctx, app, p)
}

// Unclaimed lists what waits at an app for connections to claim it, key by key.
func (s *Service) Unclaimed(ctx context.Context, app contract.ConnectionID, p domain.Page) ([]domain.ParkedKey, string, error) {
	if _, err := s.App(ctx, app); err != nil {
		return nil, "", err
	}
	return s.opts.Store.ParkedKeys(ctx, app, p)
}

// Assign says which connection of the app a key leads to from now on. What waited for it is
// queued for that connection; Assign returns how much that is.
func (s *Service) Assign(ctx context.Context, by domain.Actor, app contract.ConnectionID, key string, ws contract.WorkspaceID, id contract.ConnectionID) (int, error) {
	if _, err := s.App(ctx, app); err != nil {
		return 0, err
	}
	c, err := s.connection(ctx, ws, id)
	switch {
	case errors.Is(err, domain.ErrNotFound):
		return 0, invalid("connection", string(id), "the workspace has no such connection", "see patchbay app connections "+string(app))
	case err != nil:
		return 0, err
	case c.App != app:
		return 0, invalid("connection", string(id), "it is not a connection of this app", "see patchbay app connections "+string(app))
	case key == "" || len(key) > contract.MaxIDBytes:
		return 0, invalid("key", key, fmt.Sprintf("it has %d bytes", len(key)), fmt.Sprintf("use 1 to %d", contract.MaxIDBytes))
	}
	jobs, err := s.opts.Store.AssignRoute(ctx, app, key, id, s.opts.Now())
	switch {
	case errors.Is(err, domain.ErrConflict):
		return 0, invalid("key", key, "another connection has it", "see which: patchbay app keys "+string(app)+"; remove that connection, or take the key from it: patchbay app release")
	case err != nil:
		return 0, fmt.Errorf("assign: %w", err)
	}
	failpoint.Hit(failpoint.RouteAfterAssign)
	s.audit(ctx, by, "app.key_assigned", ws, id, key, fmt.Sprintf("of app %s; deliveries that waited: %d", app, len(jobs)))
	return len(jobs), nil
}

// Discard gives up what waits at an app for a key, and returns how much that was.
func (s *Service) Discard(ctx context.Context, by domain.Actor, app contract.ConnectionID, key string) (int, error) {
	if _, err := s.App(ctx, app); err != nil {
		return 0, err
	}
	gone, err := s.opts.Store.DiscardParked(ctx, app, key)
	if err != nil {
		return 0, fmt.Errorf("discard: %w", err)
	}
	s.audit(ctx, by, "app.discarded", domain.HostWorkspace, app, key, fmt.Sprintf("%d deliveries", len(gone)))
	return len(gone), nil
}

// appFor returns the app of a new connection: the one that was named, or the only one of the
// plugin; empty if the plugin has no apps.
func (s *Service) appFor(ctx context.Context, v *registry.Version, named contract.ConnectionID) (contract.ConnectionID, error) {
	plugin := v.Manifest.Name
	if !v.Manifest.HasApps() {
		if named != "" {
			return "", invalid("app", string(named), "the plugin has no apps", "leave it out")
		}
		return "", nil
	}
	if named != "" {
		app, err := s.App(ctx, named)
		if err == nil && app.Plugin != plugin {
			err = domain.ErrNotFound
		}
		if errors.Is(err, domain.ErrNotFound) {
			return "", invalid("app", string(named), "the plugin has no such app", "leave it out, or ask the operator for its id")
		}
		return named, err
	}
	return s.onlyApp(ctx, plugin)
}

func (s *Service) onlyApp(ctx context.Context, plugin string) (found contract.ConnectionID, err error) {
	for page := (domain.Page{Limit: 1000}); ; {
		apps, next, err := s.Apps(ctx, page)
		if err != nil {
			return "", fmt.Errorf("apps: %w", err)
		}
		for _, app := range apps {
			switch {
			case app.Plugin != plugin || !app.IsApp:
			case found != "":
				return "", invalid("app", "", "the plugin has several apps", "name one; the operator knows which")
			default:
				found = app.ID
			}
		}
		if page.After = next; next == "" {
			break
		}
	}
	if found == "" {
		return "", invalid("app", "", "the plugin works through an app, and the operator has not made one",
			"ask the operator: patchbay app create --plugin "+plugin)
	}
	return found, nil
}

// part is what the manifest declares for the thing: for an app, or for a connection.
func part(v *registry.Version, isApp bool) *manifest.Manifest {
	if isApp {
		return v.Manifest.In(manifest.ScopeApp)
	}
	return v.Manifest.In(manifest.ScopeConnection)
}

// misplaced finds the settings and secrets that are given here and belong to the other scope,
// and returns them with what is left.
func misplaced(v *registry.Version, isApp bool, settings, secrets map[string]string) (problems []domain.Problem, restSettings, restSecrets map[string]string) {
	other, why, fix := part(v, !isApp), "it is the app's, and works for all its connections", "leave it out; the operator sets it: patchbay app update"
	if isApp {
		why, fix = "it is each connection's own", "leave it out; it is given with a connection: patchbay connection create"
	}
	restSettings, restSecrets = maps.Clone(settings), maps.Clone(secrets)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if _, elsewhere := other.Settings[name]; elsewhere {
			problems = append(problems, domain.Problem{Field: "settings." + name, Value: settings[name], Why: why, Fix: fix})
			delete(restSettings, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		if _, elsewhere := other.Secrets[name]; elsewhere {
			problems = append(problems, domain.Problem{Field: "secrets." + name, Value: "[redacted]", Why: why, Fix: strings.Replace(fix, "app update", "app rotate", 1)})
			delete(restSecrets, name)
		}
	}
	return problems, restSettings, restSecrets
}

func invalid(field, value, why, fix string) error {
	return &domain.Invalid{Problems: []domain.Problem{{Field: field, Value: value, Why: why, Fix: fix}}}
}
