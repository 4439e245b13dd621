package main

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type connectionCommand struct {
	Create         connectionCreate         `cmd:"" help:"Connect an account on a platform."`
	List           connectionList           `cmd:"" help:"List the connections of a workspace."`
	Show           connectionShow           `cmd:"" help:"Show one connection."`
	Setup          connectionSetup          `cmd:"" help:"Show what to enter on the platform, secrets included."`
	Update         connectionUpdate         `cmd:"" help:"Change the name or the settings."`
	Remove         connectionRemove         `cmd:"" help:"End a connection."`
	RotateSecret   connectionRotateSecret   `cmd:"" help:"Give a secret a new value."`
	Health         connectionHealth         `cmd:"" help:"Tell how well a connection works, and what to do about it."`
	Credentials    connectionCredentials    `cmd:"" help:"Look after the tokens of a connection."`
	Authorize      connectionAuthorize      `cmd:"" help:"Begin to authorise a connection in a browser; prints the link to open."`
	Check          connectionCheck          `cmd:"" help:"Ask the platform whether the connection works."`
	Lookup         connectionLookup         `cmd:"" help:"Ask the platform about a person; the answer comes as an event."`
	Conversations  connectionConversations  `cmd:"" help:"List the conversations of a connection."`
	PrivateTargets connectionPrivateTargets `cmd:"" help:"Set which private addresses a connection may reach."`
}

// oneConnection names a connection of a workspace.
type oneConnection struct {
	inWorkspace
	ID contract.ConnectionID `arg:"" help:"The connection."`
}

type connectionCreate struct {
	inWorkspace
	onceFlag
	Plugin string                `required:"" help:"The plugin's name."`
	Name   string                `required:"" help:"What people call the connection."`
	App    contract.ConnectionID `placeholder:"APP" help:"The app that it belongs to, if the plugin has several."`
	Set    map[string]string     `mapsep:"none" placeholder:"SETTING=VALUE" help:"Give a setting; repeat for more."`
	Secret map[string]string     `mapsep:"none" placeholder:"SECRET=VALUE" help:"Give a secret; repeat for more. @FILE as the value reads it from a file, which keeps it out of the list of processes."`
}

func (c *connectionCreate) Run(ctx context.Context, s *session) error {
	secrets, err := s.secretValues(c.Secret)
	if err != nil {
		return err
	}
	made, err := s.connect().CreateConnection(c.named(ctx), c.Workspace, client.NewConnection{
		Plugin: c.Plugin, Name: c.Name, App: c.App, Settings: c.Set, Secrets: secrets,
	})
	if err != nil {
		return err
	}
	return s.show(made, func() {
		showConnection(s, made)
		fmt.Fprintf(s.stderr, "what to enter on the platform: patchbay connection setup %s\n", clean(string(made.ID)))
	})
}

type connectionList struct {
	inWorkspace
	pageFlags
}

func (c *connectionList) Run(ctx context.Context, s *session) error {
	page, err := s.connect().Connections(ctx, c.Workspace, c.page())
	if err != nil {
		return err
	}
	return listing(s, page,
		column[client.Connection]{"id", func(c client.Connection) string { return string(c.ID) }},
		column[client.Connection]{"plugin", func(c client.Connection) string { return c.Plugin }},
		column[client.Connection]{"name", func(c client.Connection) string { return c.Name }},
		column[client.Connection]{"state", func(c client.Connection) string { return string(c.State) }},
		column[client.Connection]{"last inbound", func(c client.Connection) string { return when(c.LastInboundAt) }},
		column[client.Connection]{"last outbound", func(c client.Connection) string { return when(c.LastOutboundAt) }},
		column[client.Connection]{"to do", func(c client.Connection) string { return c.StateAction }},
	)
}

type connectionShow struct{ oneConnection }

func (c *connectionShow) Run(ctx context.Context, s *session) error {
	found, err := s.connect().Connection(ctx, c.Workspace, c.ID)
	if err != nil {
		return err
	}
	return s.show(found, func() { showConnection(s, found) })
}

func showConnection(s *session, c client.Connection) {
	fields := []field{
		{"id", string(c.ID)}, {"workspace", string(c.Workspace)}, {"plugin", c.Plugin}, {"app", string(c.App)}, {"name", c.Name},
		{"state", string(c.State)}, {"reason", c.StateReason}, {"to do", c.StateAction}, {"receive URL", receiveURL(c)},
	}
	for _, name := range slices.Sorted(maps.Keys(c.Settings)) {
		fields = append(fields, field{"setting " + clean(name), c.Settings[name]})
	}
	fields = append(fields, field{"private targets", strings.Join(c.PrivateTargets, ", ")},
		field{"last inbound", when(c.LastInboundAt)}, field{"last outbound", when(c.LastOutboundAt)},
		field{"created", when(c.CreatedAt)}, field{"updated", when(c.UpdatedAt)})
	printFields(s.stdout, fields...)
	if len(c.Capabilities) > 0 && c.Workspace != domain.HostWorkspace { // an app carries no messages itself
		fmt.Fprintln(s.stdout)
		printTable(s.stdout, c.Capabilities,
			column[contract.Capability]{"carries", func(c contract.Capability) string { return c.Feature }},
			column[contract.Capability]{"support", func(c contract.Capability) string { return string(c.Support) }},
			column[contract.Capability]{"limits", capabilityLimits},
			column[contract.Capability]{"note", func(c contract.Capability) string { return c.Note }},
		)
	}
}

// receiveURL is where the platform sends to. The platform of a connection that belongs to an
// app knows the app's URL and no other.
func receiveURL(c client.Connection) string {
	if c.App != "" {
		return ""
	}
	return c.ReceiveURL
}

// capabilityLimits tells the limits of one feature in a few words.
func capabilityLimits(c contract.Capability) string {
	var limits []string
	for _, limit := range []struct {
		n    int64
		unit string
	}{{c.MaxChars, "characters"}, {c.MaxBytes, "bytes"}, {c.MaxCount, "per message"}} {
		if limit.n > 0 {
			limits = append(limits, fmt.Sprintf("%d %s", limit.n, limit.unit))
		}
	}
	return strings.Join(append(limits, c.MIMETypes...), ", ")
}

type connectionSetup struct{ oneConnection }

func (c *connectionSetup) Run(ctx context.Context, s *session) error {
	steps, err := s.connect().Setup(ctx, c.Workspace, c.ID)
	if err != nil {
		return err
	}
	return s.showSteps(steps, "patchbay connection show "+clean(string(c.ID)))
}

// showSteps shows what to enter on a platform. see says where to look if that is nothing.
func (s *session) showSteps(steps []contract.SetupStep, see string) error {
	return s.show(map[string]any{"steps": steps}, func() {
		if len(steps) == 0 {
			fmt.Fprintln(s.stderr, "there is nothing to enter, or setup has not run yet; see: "+see)
			return
		}
		printTable(s.stdout, steps,
			column[contract.SetupStep]{"field", func(step contract.SetupStep) string { return step.Label }},
			column[contract.SetupStep]{"value", func(step contract.SetupStep) string { return step.Value }},
			column[contract.SetupStep]{"where", func(step contract.SetupStep) string { return step.Help }},
		)
	})
}

type connectionUpdate struct {
	oneConnection
	Name *string           `help:"A new name."`
	Set  map[string]string `mapsep:"none" placeholder:"SETTING=VALUE" help:"Change a setting, or with nothing after the = go back to its default; repeat for more."`
}

func (c *connectionUpdate) Run(ctx context.Context, s *session) error {
	if c.Name == nil && len(c.Set) == 0 {
		return &usageError{"there is nothing to change", "give --name, --set, or both"}
	}
	changed, err := s.connect().UpdateConnection(ctx, c.Workspace, c.ID, client.ConnectionPatch{Name: c.Name, Settings: c.Set})
	if err != nil {
		return err
	}
	return s.show(changed, func() { showConnection(s, changed) })
}

type connectionRemove struct{ oneConnection }

func (c *connectionRemove) Run(ctx context.Context, s *session) error {
	queued, err := s.connect().RemoveConnection(ctx, c.Workspace, c.ID)
	return s.queued(queued, err)
}

type connectionCheck struct{ oneConnection }

func (c *connectionCheck) Run(ctx context.Context, s *session) error {
	queued, err := s.connect().CheckConnection(ctx, c.Workspace, c.ID)
	return s.queued(queued, err)
}

type connectionLookup struct {
	oneConnection
	Contact contract.ContactID `arg:"" help:"The person, by the platform's name."`
}

func (c *connectionLookup) Run(ctx context.Context, s *session) error {
	queued, err := s.connect().LookupContact(ctx, c.Workspace, c.ID, c.Contact)
	return s.queued(queued, err)
}

type connectionConversations struct {
	oneConnection
	pageFlags
}

func (c *connectionConversations) Run(ctx context.Context, s *session) error {
	page, err := s.connect().Conversations(ctx, c.Workspace, c.ID, c.page())
	if err != nil {
		return err
	}
	return listing(s, page,
		column[domain.ConversationSummary]{"id", func(c domain.ConversationSummary) string { return string(c.ID) }},
		column[domain.ConversationSummary]{"title", func(c domain.ConversationSummary) string { return c.Title }},
		column[domain.ConversationSummary]{"group", func(c domain.ConversationSummary) string { return yes(c.Group) }},
		column[domain.ConversationSummary]{"last message", func(c domain.ConversationSummary) string { return when(c.LastMessageAt) }},
	)
}

type connectionRotateSecret struct {
	oneConnection
	Name    string        `arg:"" help:"The secret's name."`
	Value   string        `placeholder:"VALUE" help:"The new value, or @FILE to read it from a file. The host generates one if it is not given."`
	Overlap time.Duration `default:"24h" help:"How long the old value is accepted beside the new one."`
}

func (c *connectionRotateSecret) Run(ctx context.Context, s *session) error {
	value, err := s.valueOrFile(c.Value)
	if err != nil {
		return err
	}
	if err := s.connect().RotateSecret(ctx, c.Workspace, c.ID, c.Name, value, c.Overlap); err != nil {
		return err
	}
	return s.done(map[string]any{"connection": c.ID, "secret": c.Name, "overlap_seconds": int64(c.Overlap / time.Second)},
		"secret %s has a new value; %s", c.Name, fateOfOld(c.Overlap))
}

// fateOfOld says how long the value before a new one is still good.
func fateOfOld(overlap time.Duration) string {
	if overlap <= 0 {
		return "the old one is not accepted any more"
	}
	return "the old one is accepted for " + units.ReplaceAllString(overlap.String(), "$1") + " more"
}

// units matches the zeroes at the end of a duration that is whole hours or minutes.
var units = regexp.MustCompile(`([hm])(?:0m)?0s$`)

// privateTargets is the whole list of private addresses that something may reach.
type privateTargets struct {
	Targets []string `arg:"" optional:"" placeholder:"IP:PORT" help:"Every target that is allowed from now on."`
	None    bool     `help:"Allow none."`
}

func (p *privateTargets) allow(ctx context.Context, s *session, ws contract.WorkspaceID, id contract.ConnectionID) error {
	if p.None == (len(p.Targets) > 0) {
		return &usageError{"give the targets to allow, or --none", "the list replaces the one before"}
	}
	changed, err := s.connect().AllowPrivateTargets(ctx, ws, id, p.Targets)
	if err != nil {
		return err
	}
	return s.show(changed, func() { showConnection(s, changed) })
}

type connectionPrivateTargets struct {
	oneConnection
	privateTargets
}

func (c *connectionPrivateTargets) Run(ctx context.Context, s *session) error {
	return c.allow(ctx, s, c.Workspace, c.ID)
}

type appPrivateTargets struct {
	oneApp
	privateTargets
}

func (c *appPrivateTargets) Run(ctx context.Context, s *session) error {
	return c.allow(ctx, s, domain.HostWorkspace, c.ID)
}
