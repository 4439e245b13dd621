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
	"github.com/seed75a60ee1/patchbay/host/limits"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// NewConnection is a connection to make.
type NewConnection struct {
	Plugin, Name string
	Settings     map[string]string
	// Secrets holds what the tenant brings; those that the manifest generates may be left
	// out.
	Secrets map[string]string
	// App is the app that it belongs to, for a plugin that has apps. Without it, it is the
	// plugin's only one.
	App contract.ConnectionID
}

// newThing is a connection or an app to make.
type newThing struct {
	NewConnection
	isApp bool
}

func (n newThing) idPrefix() string {
	if n.isApp {
		return "app"
	}
	return "con"
}

// ConnectionPatch is a change of a connection. A setting with an empty value goes back to
// its default.
type ConnectionPatch struct {
	Name     *string
	Settings map[string]string
}

// endpointBytes is how many random bytes name an endpoint.
const endpointBytes = 32

// maxSecretBytes bounds a secret's value.
const maxSecretBytes = 16 << 10

// CreateConnection makes a connection and asks the plugin to set it up.
func (s *Service) CreateConnection(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, n NewConnection) (domain.Connection, error) {
	if ws == domain.HostWorkspace {
		return domain.Connection{}, invalid("workspace", string(ws), "it is the host's own, for apps", "make the connection in a tenant's workspace")
	}
	version, release, err := s.enabled(ctx, ws, n.Plugin)
	if err != nil {
		return domain.Connection{}, err
	}
	defer release()
	app, err := s.appFor(ctx, version, n.App)
	if err != nil {
		return domain.Connection{}, err
	}
	n.App = app
	return s.make(ctx, by, version, ws, newThing{NewConnection: n})
}

// make makes a connection or an app, once if the request has a name.
func (s *Service) make(ctx context.Context, by domain.Actor, version *registry.Version, ws contract.WorkspaceID, n newThing) (domain.Connection, error) {
	if err := check(version, n); err != nil {
		return domain.Connection{}, err
	}
	claimed, settled, err := s.claim(ctx, ws, n.idPrefix())
	if err != nil {
		return domain.Connection{}, err
	}
	id := contract.ConnectionID(claimed)
	connection, err := s.connection(ctx, ws, id)
	switch {
	case err == nil && settled:
		return connection, nil
	case errors.Is(err, domain.ErrNotFound) && settled:
		return domain.Connection{}, errRemoved(claimed)
	case errors.Is(err, domain.ErrNotFound):
		connection, err = s.makeConnection(ctx, by, version, ws, id, n)
	}
	if err != nil {
		return domain.Connection{}, err
	}
	if err := s.setUp(setUpOnce(ctx, id), by, version, connection); err != nil {
		return connection, err
	}
	return connection, s.settle(ctx, ws)
}

// makeConnection makes a connection with that id, unless a repeat of the same request does
// so at the same time: then it returns that one.
func (s *Service) makeConnection(ctx context.Context, by domain.Actor, v *registry.Version, ws contract.WorkspaceID, id contract.ConnectionID, n newThing) (domain.Connection, error) {
	connection, secrets, err := s.prepare(v, ws, id, n)
	if err != nil {
		return domain.Connection{}, err
	}
	err = s.opts.Limits.Within(ctx, ws, limits.Connections,
		func(ctx context.Context) (int64, error) { return s.opts.Store.CountConnections(ctx, ws) },
		func(ctx context.Context) error { return s.opts.Store.CreateConnection(ctx, connection, secrets) })
	if err != nil {
		if first, missing := s.connection(ctx, ws, id); missing == nil {
			return first, nil
		}
		return domain.Connection{}, fmt.Errorf("create connection: %w", err)
	}
	action := "connection.created"
	if n.isApp {
		action = "app.created"
	}
	s.audit(ctx, by, action, ws, connection.ID, string(connection.ID), n.Plugin+" "+n.Name)
	return connection, nil
}

// enabled returns the plugin's version if the workspace may connect with it.
func (s *Service) enabled(ctx context.Context, ws contract.WorkspaceID, plugin string) (*registry.Version, func(), error) {
	workspace, err := s.opts.Store.Workspace(ctx, ws)
	if err != nil {
		return nil, nil, fmt.Errorf("workspace: %w", err)
	}
	if !slices.Contains(workspace.Enabled, plugin) {
		return nil, nil, &domain.Invalid{Problems: []domain.Problem{{Field: "plugin", Value: plugin,
			Why: "this workspace has not enabled it", Fix: "enable it first: patchbay workspace enable"}}}
	}
	version, release, err := s.opts.Plugins.Acquire(plugin)
	if err != nil {
		return nil, nil, &domain.Invalid{Problems: []domain.Problem{{Field: "plugin", Value: plugin,
			Why: err.Error(), Fix: "ask a reviewer to approve a version of it"}}}
	}
	return version, release, nil
}

// check finds every problem of a new connection at once.
func check(v *registry.Version, n newThing) error {
	m := part(v, n.isApp)
	elsewhere, settings, secrets := misplaced(v, n.isApp, n.Settings, n.Secrets)
	problems := slices.Concat(
		checkName("name", n.Name), elsewhere,
		settingProblems(m.CheckSettings(settings)),
		secretProblems(m.Secrets, secrets),
	)
	if len(problems) > 0 {
		return &domain.Invalid{Problems: problems}
	}
	return nil
}

func settingProblems(found []manifest.Problem) []domain.Problem {
	problems := make([]domain.Problem, len(found))
	for i, p := range found {
		problems[i] = domain.Problem{Field: p.Field, Value: p.Value, Why: p.Why, Fix: p.Fix}
	}
	return problems
}

func secretProblems(declared map[string]manifest.Secret, brought map[string]string) (problems []domain.Problem) {
	for _, name := range slices.Sorted(maps.Keys(brought)) {
		if _, ok := declared[name]; !ok {
			problems = append(problems, domain.Problem{Field: "secrets." + name, Value: "[redacted]",
				Why: "the plugin has no such secret", Fix: "leave it out"})
		} else if value := brought[name]; value == "" || len(value) > maxSecretBytes {
			problems = append(problems, domain.Problem{Field: "secrets." + name, Value: "[redacted]",
				Why: "it has not 1 to 16384 bytes", Fix: "give a value, or leave it out"})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		d := declared[name]
		if _, ok := brought[name]; !ok && !d.Optional && d.GenerateBytes == 0 {
			problems = append(problems, domain.Problem{Field: "secrets." + name,
				Why: "it is required: " + strings.TrimRight(strings.TrimSpace(d.Purpose), "."), Fix: "give its value"})
		}
	}
	return problems
}

func (s *Service) prepare(v *registry.Version, ws contract.WorkspaceID, id contract.ConnectionID, n newThing) (domain.Connection, []domain.Secret, error) {
	endpoint, err := secret.Generate(s.opts.Random, endpointBytes)
	if err != nil {
		return domain.Connection{}, nil, fmt.Errorf("make an endpoint: %w", err)
	}
	now := s.opts.Now()
	c := domain.Connection{
		ID: id, Workspace: ws, Plugin: n.Plugin, Name: n.Name, App: n.App, IsApp: n.isApp,
		State: contract.StatePending, Endpoint: endpoint.Reveal(), Settings: n.Settings, CreatedAt: now, UpdatedAt: now,
		Capabilities: v.Manifest.Capabilities,
	}
	secrets, err := s.seal(part(v, n.isApp).Secrets, c.ID, n.Secrets)
	return c, secrets, err
}

// seal encrypts the secrets that were brought and generates the missing ones.
func (s *Service) seal(declared map[string]manifest.Secret, c contract.ConnectionID, brought map[string]string) ([]domain.Secret, error) {
	var secrets []domain.Secret
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		value := secret.New(brought[name])
		if _, ok := brought[name]; !ok {
			bytes := declared[name].GenerateBytes
			if bytes == 0 {
				continue // optional, and not brought
			}
			var err error
			if value, err = secret.Generate(s.opts.Random, int(bytes)); err != nil {
				return nil, fmt.Errorf("generate secret %q: %w", name, err)
			}
		}
		sealed, err := s.opts.Secrets.Seal(c, name, value)
		if err != nil {
			return nil, fmt.Errorf("seal secret %q: %w", name, err)
		}
		secrets = append(secrets, domain.Secret{Connection: c, Name: name, Values: []domain.SecretValue{sealed}})
	}
	return secrets, nil
}

// setUp asks the plugin to set a connection up, if it can.
func (s *Service) setUp(ctx context.Context, by domain.Actor, v *registry.Version, c domain.Connection) error {
	if !slices.Contains(v.Manifest.Abilities, contract.ExportSetupConnection) {
		return nil
	}
	_, err := s.accept(ctx, by, c, domain.Command{Export: contract.ExportSetupConnection}, domain.ConnectionLane(c.ID))
	return err
}

// connection returns a connection of the workspace; one of another workspace does not
// exist.
func (s *Service) connection(ctx context.Context, ws contract.WorkspaceID, id contract.ConnectionID) (domain.Connection, error) {
	c, err := s.opts.Store.Connection(ctx, id)
	if err == nil && c.Workspace != ws {
		err = domain.ErrNotFound
	}
	if err != nil {
		return domain.Connection{}, fmt.Errorf("connection %s: %w", id, err)
	}
	return c, nil
}

// UpdateConnection changes a connection's name and settings and asks the plugin to set it
// up anew.
func (s *Service) UpdateConnection(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID, patch ConnectionPatch) (domain.Connection, error) {
	c, err := s.connection(ctx, ws, id)
	if err != nil {
		return domain.Connection{}, err
	}
	version, release, err := s.enabled(ctx, ws, c.Plugin)
	if err != nil {
		return domain.Connection{}, err
	}
	defer release()
	c, err = s.opts.Store.UpdateConnection(ctx, id, func(c *domain.Connection) error {
		return s.apply(version, c, patch)
	})
	if err != nil {
		return domain.Connection{}, fmt.Errorf("update connection: %w", err)
	}
	s.audit(ctx, by, "connection.updated", ws, id, string(id), strings.Join(slices.Sorted(maps.Keys(patch.Settings)), ", "))
	return c, s.setUp(ctx, by, version, c)
}

func (s *Service) apply(v *registry.Version, c *domain.Connection, patch ConnectionPatch) error {
	if patch.Name != nil {
		c.Name = *patch.Name
	}
	settings := maps.Clone(c.Settings)
	if settings == nil {
		settings = map[string]string{}
	}
	for name, value := range patch.Settings {
		if value == "" {
			delete(settings, name)
		} else {
			settings[name] = value
		}
	}
	elsewhere, own, _ := misplaced(v, c.IsApp, settings, nil)
	problems := slices.Concat(checkName("name", c.Name), elsewhere, settingProblems(part(v, c.IsApp).CheckSettings(own)))
	if len(problems) > 0 {
		return &domain.Invalid{Problems: problems}
	}
	c.Settings, c.UpdatedAt = settings, s.opts.Now()
	return nil
}

// RemoveConnection asks the plugin to tear a connection down; it is removed when that has
// ended. One that is disconnected, or whose plugin cannot tear down, is removed at once,
// and the job is then empty.
func (s *Service) RemoveConnection(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID) (domain.Job, error) {
	c, err := s.connection(ctx, ws, id)
	if err != nil {
		return domain.Job{}, err
	}
	if err := s.unused(ctx, c); err != nil {
		return domain.Job{}, err
	}
	s.audit(ctx, by, "connection.removal_asked", ws, id, string(id), c.Name)
	if c.State != contract.StateDisconnected && s.can(c.Plugin, contract.ExportTeardownConnection) {
		return s.accept(ctx, by, c, domain.Command{Export: contract.ExportTeardownConnection}, domain.ConnectionLane(id))
	}
	if err := s.opts.Store.DeleteConnection(ctx, id); err != nil {
		return domain.Job{}, fmt.Errorf("remove connection: %w", err)
	}
	s.audit(ctx, by, "connection.removed", ws, id, string(id), c.Name)
	return domain.Job{}, nil
}

// can tells whether the version of the plugin that runs now has the ability.
func (s *Service) can(plugin string, ability contract.Export) bool {
	version, release, err := s.opts.Plugins.Acquire(plugin)
	if err != nil {
		return false
	}
	defer release()
	return slices.Contains(version.Manifest.Abilities, ability)
}

// AllowPrivateTargets lists the private "ip:port" targets that a connection may send to.
// Only an operator may say so. The plugin is asked to set the connection up anew, since it may
// not have reached its platform before.
func (s *Service) AllowPrivateTargets(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID, targets []string) (domain.Connection, error) {
	if _, err := s.connection(ctx, ws, id); err != nil {
		return domain.Connection{}, err
	}
	if problems := targetProblems(targets); len(problems) > 0 {
		return domain.Connection{}, &domain.Invalid{Problems: problems}
	}
	c, err := s.opts.Store.UpdateConnection(ctx, id, func(c *domain.Connection) error {
		c.PrivateTargets, c.UpdatedAt = targets, s.opts.Now()
		return nil
	})
	if err != nil {
		return domain.Connection{}, fmt.Errorf("allow private targets: %w", err)
	}
	s.audit(ctx, by, "connection.private_targets", ws, id, string(id), strings.Join(targets, ", "))
	return c, s.setUpAnew(ctx, by, c)
}

func targetProblems(targets []string) (problems []domain.Problem) {
	for i, target := range targets {
		if _, err := domain.ParsePrivateTarget(target); err != nil {
			problems = append(problems, domain.Problem{Field: fmt.Sprintf("targets[%d]", i), Value: target,
				Why: err.Error(), Fix: `write "10.0.0.5:443" or "[fd00::5]:443"`})
		}
	}
	return problems
}

// maxOverlap bounds how long an old secret stays valid beside the new one.
const maxOverlap = 30 * 24 * time.Hour

// RotateSecret gives a secret a new value; an empty one is generated. What was valid
// stays accepted for overlap, 0 to 30 days. The plugin is asked to set the connection up anew,
// since its platform may have to be told.
func (s *Service) RotateSecret(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID, name, value string, overlap time.Duration) error {
	c, err := s.connection(ctx, ws, id)
	if err != nil {
		return err
	}
	fresh, err := s.fresh(ctx, c, name, value, overlap)
	if err != nil {
		return err
	}
	if err := s.opts.Secrets.Rotate(ctx, id, name, fresh, overlap); err != nil {
		return fmt.Errorf("rotate secret: %w", err)
	}
	s.audit(ctx, by, "secret.rotated", ws, id, name, "overlap "+overlap.String())
	return s.setUpAnew(ctx, by, c)
}

// setUpAnew has the plugin tell its platform what changed, if the plugin runs.
func (s *Service) setUpAnew(ctx context.Context, by domain.Actor, c domain.Connection) error {
	version, release, err := s.opts.Plugins.Acquire(c.Plugin)
	if err != nil {
		return nil // the secret is rotated; the platform learns of it with the next setup
	}
	defer release()
	return s.setUp(ctx, by, version, c)
}

func (s *Service) fresh(ctx context.Context, c domain.Connection, name, value string, overlap time.Duration) (secret.Text, error) {
	version, release, err := s.enabled(ctx, c.Workspace, c.Plugin)
	if err != nil {
		return secret.Text{}, err
	}
	defer release()
	own := part(version, c.IsApp).Secrets
	declared, ok := own[name]
	problems, _, _ := misplaced(version, c.IsApp, nil, map[string]string{name: value})
	if !ok && len(problems) == 0 {
		problems = append(problems, domain.Problem{Field: "name", Value: name, Why: "the plugin has no such secret",
			Fix: "it has: " + strings.Join(slices.Sorted(maps.Keys(own)), ", ")})
	}
	if overlap < 0 || overlap > maxOverlap {
		problems = append(problems, domain.Problem{Field: "overlap_seconds", Value: fmt.Sprint(int64(overlap / time.Second)),
			Why: "it is not between 0 and 2592000 (30 days)", Fix: "86400 gives people a day to change it"})
	}
	if ok && value == "" && declared.GenerateBytes == 0 {
		problems = append(problems, domain.Problem{Field: "value", Why: "the host cannot generate this secret", Fix: "give its new value"})
	}
	if len(value) > maxSecretBytes {
		problems = append(problems, domain.Problem{Field: "value", Value: "[redacted]", Why: "it has more than 16384 bytes", Fix: "shorten it"})
	}
	if len(problems) > 0 {
		return secret.Text{}, &domain.Invalid{Problems: problems}
	}
	if value != "" {
		return secret.New(value), nil
	}
	return secret.Generate(s.opts.Random, int(declared.GenerateBytes))
}

// ReceiveURL is where the platform sends its webhooks for a connection.
func (s *Service) ReceiveURL(c domain.Connection) string {
	return s.opts.PublicURL + "/in/" + c.Endpoint
}

// Setup returns what a person must enter on the platform, secrets filled in. Every look
// is audited.
func (s *Service) Setup(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID) ([]contract.SetupStep, error) {
	c, err := s.connection(ctx, ws, id)
	if err != nil {
		return nil, err
	}
	steps := slices.Clone(c.Setup)
	for i := range steps {
		if steps[i].Value, err = s.fill(ctx, c, steps[i].Value); err != nil {
			return nil, fmt.Errorf("setup of connection %s: %w", id, err)
		}
	}
	s.audit(ctx, by, "connection.setup_seen", ws, id, string(id), "")
	return steps, nil
}

// fill puts the receive URL and secrets into a setup step's value.
func (s *Service) fill(ctx context.Context, c domain.Connection, value string) (string, error) {
	value = strings.ReplaceAll(value, "{{receive_url}}", s.ReceiveURL(c))
	before, rest, found := strings.Cut(value, "{{secret:")
	if !found {
		return value, nil
	}
	name, after, found := strings.Cut(rest, "}}")
	if !found {
		return value, nil
	}
	revealed, err := s.opts.Secrets.Reveal(ctx, c.ID, name)
	if err != nil {
		return "", fmt.Errorf("secret %q: %w", name, err)
	}
	return before + revealed.Reveal() + after, nil
}
