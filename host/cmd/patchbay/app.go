package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type appCommand struct {
	Create      appCreate      `cmd:"" help:"Keep the operator's own account with a platform, for many workspaces to share."`
	List        appList        `cmd:"" help:"List the apps."`
	Show        appShow        `cmd:"" help:"Show one app."`
	Setup       appSetup       `cmd:"" help:"Show what to register with the platform, secrets included."`
	Update      appUpdate      `cmd:"" help:"Change the name or the settings."`
	Rotate      appRotate      `cmd:"" help:"Give a secret a new value."`
	Connections appConnections `cmd:"" help:"List the connections of an app."`
	Unclaimed   appUnclaimed   `cmd:"" help:"List what waits for a connection to claim it, such as new installs."`
	Assign      appAssign      `cmd:"" help:"Say which connection an account belongs to."`
	Discard     appDiscard     `cmd:"" help:"Give up what waits for an account."`
	Keys        appKeys        `cmd:"" help:"List which accounts lead to which connections."`
	Release     appRelease     `cmd:"" help:"Take an account from the connection that has it, so that it can be assigned anew."`
	Health      appHealth      `cmd:"" help:"Tell how well an app works, and what to do about it."`
	Credentials appCredentials `cmd:"" help:"Look after the tokens of an app."`
	Remove      appRemove      `cmd:"" help:"End an app that has no connections."`

	PrivateTargets appPrivateTargets `cmd:"" help:"Set which private addresses an app may reach."`
}

// oneApp names an app.
type oneApp struct {
	ID contract.ConnectionID `arg:"" help:"The app."`
}

type appCreate struct {
	onceFlag
	Plugin string            `required:"" help:"The plugin's name."`
	Name   string            `required:"" help:"What people call the app."`
	Set    map[string]string `mapsep:"none" placeholder:"SETTING=VALUE" help:"Give a setting; repeat for more."`
	Secret map[string]string `mapsep:"none" placeholder:"SECRET=VALUE" help:"Give a secret; repeat for more. @FILE as the value reads it from a file, which keeps it out of the list of processes."`
}

func (c *appCreate) Run(ctx context.Context, s *session) error {
	secrets, err := s.secretValues(c.Secret)
	if err != nil {
		return err
	}
	made, err := s.connect().CreateApp(c.named(ctx), client.NewApp{Plugin: c.Plugin, Name: c.Name, Settings: c.Set, Secrets: secrets})
	if err != nil {
		return err
	}
	return s.show(made, func() {
		showConnection(s, made)
		fmt.Fprintf(s.stderr, "what to register with the platform: patchbay app setup %s\n", clean(string(made.ID)))
	})
}

// secretValues reads the values that are in files.
func (s *session) secretValues(given map[string]string) (map[string]string, error) {
	secrets := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value, err := s.valueOrFile(given[name])
		if err != nil {
			return nil, fmt.Errorf("secret %s: %w", name, err)
		}
		secrets[name] = value
	}
	return secrets, nil
}

type appList struct{ pageFlags }

func (c *appList) Run(ctx context.Context, s *session) error {
	page, err := s.connect().Apps(ctx, c.page())
	if err != nil {
		return err
	}
	return listing(s, page,
		column[client.Connection]{"id", func(c client.Connection) string { return string(c.ID) }},
		column[client.Connection]{"plugin", func(c client.Connection) string { return c.Plugin }},
		column[client.Connection]{"name", func(c client.Connection) string { return c.Name }},
		column[client.Connection]{"state", func(c client.Connection) string { return string(c.State) }},
		column[client.Connection]{"last inbound", func(c client.Connection) string { return when(c.LastInboundAt) }},
		column[client.Connection]{"to do", func(c client.Connection) string { return c.StateAction }},
	)
}

type appShow struct{ oneApp }

func (c *appShow) Run(ctx context.Context, s *session) error {
	found, err := s.connect().App(ctx, c.ID)
	if err != nil {
		return err
	}
	return s.show(found, func() { showConnection(s, found) })
}

type appSetup struct{ oneApp }

func (c *appSetup) Run(ctx context.Context, s *session) error {
	steps, err := s.connect().AppSetup(ctx, c.ID)
	if err != nil {
		return err
	}
	return s.showSteps(steps, "patchbay app show "+clean(string(c.ID)))
}

type appUpdate struct {
	oneApp
	Name *string           `help:"A new name."`
	Set  map[string]string `mapsep:"none" placeholder:"SETTING=VALUE" help:"Change a setting, or with nothing after the = go back to its default; repeat for more."`
}

func (c *appUpdate) Run(ctx context.Context, s *session) error {
	if c.Name == nil && len(c.Set) == 0 {
		return &usageError{"there is nothing to change", "give --name, --set, or both"}
	}
	changed, err := s.connect().UpdateApp(ctx, c.ID, client.ConnectionPatch{Name: c.Name, Settings: c.Set})
	if err != nil {
		return err
	}
	return s.show(changed, func() { showConnection(s, changed) })
}

type appRotate struct {
	oneApp
	Name    string        `arg:"" help:"The secret's name."`
	Value   string        `placeholder:"VALUE" help:"The new value, or @FILE to read it from a file. The host generates one if it is not given."`
	Overlap time.Duration `default:"24h" help:"How long the old value is accepted beside the new one."`
}

func (c *appRotate) Run(ctx context.Context, s *session) error {
	value, err := s.valueOrFile(c.Value)
	if err != nil {
		return err
	}
	if err := s.connect().RotateAppSecret(ctx, c.ID, c.Name, value, c.Overlap); err != nil {
		return err
	}
	return s.done(map[string]any{"app": c.ID, "secret": c.Name, "overlap_seconds": int64(c.Overlap / time.Second)},
		"secret %s has a new value; %s", c.Name, fateOfOld(c.Overlap))
}

type appConnections struct {
	oneApp
	pageFlags
}

func (c *appConnections) Run(ctx context.Context, s *session) error {
	page, err := s.connect().AppConnections(ctx, c.ID, c.page())
	if err != nil {
		return err
	}
	return listing(s, page,
		column[client.Connection]{"id", func(c client.Connection) string { return string(c.ID) }},
		column[client.Connection]{"workspace", func(c client.Connection) string { return string(c.Workspace) }},
		column[client.Connection]{"name", func(c client.Connection) string { return c.Name }},
		column[client.Connection]{"state", func(c client.Connection) string { return string(c.State) }},
		column[client.Connection]{"last inbound", func(c client.Connection) string { return when(c.LastInboundAt) }},
	)
}

type appUnclaimed struct {
	oneApp
	pageFlags
}

func (c *appUnclaimed) Run(ctx context.Context, s *session) error {
	page, err := s.connect().Unclaimed(ctx, c.ID, c.page())
	if err != nil {
		return err
	}
	return listing(s, page,
		column[client.Unclaimed]{"key", func(u client.Unclaimed) string { return u.Key }},
		column[client.Unclaimed]{"account", func(u client.Unclaimed) string { return u.Title }},
		column[client.Unclaimed]{"install", func(u client.Unclaimed) string { return yes(u.Install) }},
		column[client.Unclaimed]{"deliveries", func(u client.Unclaimed) string { return strconv.FormatInt(u.Deliveries, 10) }},
		column[client.Unclaimed]{"oldest", func(u client.Unclaimed) string { return when(u.OldestAt) }},
		column[client.Unclaimed]{"given up", func(u client.Unclaimed) string { return when(u.ExpiresAt) }},
	)
}

type appAssign struct {
	oneApp
	inWorkspace
	Key        string                `arg:"" help:"The key that waits, as unclaimed shows it."`
	Connection contract.ConnectionID `arg:"" help:"The connection of the workspace that the account belongs to."`
}

func (c *appAssign) Run(ctx context.Context, s *session) error {
	queued, err := s.connect().Assign(ctx, c.ID, client.Assignment{Key: c.Key, Workspace: c.Workspace, Connection: c.Connection})
	if err != nil {
		return err
	}
	return s.done(map[string]any{"app": c.ID, "key": c.Key, "connection": c.Connection, "queued": queued},
		"%s leads to %s now; %s", c.Key, c.Connection, queuedDeliveries(queued))
}

// queuedDeliveries says what an assignment set going. None at all may mean that the key is
// mistaken, so it is said.
func queuedDeliveries(n int) string {
	switch n {
	case 0:
		return "nothing was waiting for it. If something should have been, take it back with patchbay app release, and compare the key with patchbay app unclaimed"
	case 1:
		return "the delivery that waited runs for it"
	}
	return fmt.Sprintf("the %d deliveries that waited run for it, in their order", n)
}

type appDiscard struct {
	oneApp
	Key string `arg:"" help:"The key, as unclaimed shows it."`
}

func (c *appDiscard) Run(ctx context.Context, s *session) error {
	discarded, err := s.connect().Discard(ctx, c.ID, c.Key)
	if err != nil {
		return err
	}
	return s.done(map[string]any{"app": c.ID, "key": c.Key, "discarded": discarded}, "what waited for %s is given up: %s", c.Key, deliveries(discarded))
}

// deliveries is a number of them.
func deliveries(n int) string {
	if n == 1 {
		return "1 delivery"
	}
	return fmt.Sprintf("%d deliveries", n)
}

type appRemove struct{ oneApp }

func (c *appRemove) Run(ctx context.Context, s *session) error {
	queued, err := s.connect().RemoveApp(ctx, c.ID)
	return s.queued(queued, err)
}
