package main

import (
	"context"
	"errors"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// pageFlags select a page of a listing.
type pageFlags struct {
	After string `placeholder:"CURSOR" help:"Go on after this cursor, which the page before named."`
	Limit int    `placeholder:"N" help:"How many to list; at most 1000, 100 if not given."`
}

func (f pageFlags) page() domain.Page { return domain.Page{After: f.After, Limit: f.Limit} }

// inWorkspace is the flag of every command that works in one workspace.
type inWorkspace struct {
	Workspace contract.WorkspaceID `short:"w" required:"" placeholder:"ID" env:"PATCHBAY_WORKSPACE" help:"The workspace."`
}

// Validate refuses an empty workspace, which an empty variable of the environment gives.
func (f *inWorkspace) Validate() error {
	if f.Workspace == "" {
		return errors.New("missing flags: --workspace=ID")
	}
	return nil
}

type workspaceCommand struct {
	Create  workspaceCreate  `cmd:"" help:"Make a workspace."`
	List    workspaceList    `cmd:"" help:"List the workspaces that the token may see."`
	Show    workspaceShow    `cmd:"" help:"Show one workspace."`
	Enable  workspaceEnable  `cmd:"" help:"Let a workspace connect with a plugin."`
	Disable workspaceDisable `cmd:"" help:"Take that back."`
	Limits  workspaceLimits  `cmd:"" help:"Show or set what bounds a workspace."`

	Retention workspaceRetention `cmd:"" help:"Show or set how long a workspace's data is kept."`
}

type workspaceCreate struct {
	Name string `arg:"" help:"What people call it."`
}

func (c *workspaceCreate) Run(ctx context.Context, s *session) error {
	w, err := s.connect().CreateWorkspace(ctx, c.Name)
	if err != nil {
		return err
	}
	return s.show(w, func() { showWorkspace(s, w) })
}

type workspaceList struct{ pageFlags }

func (c *workspaceList) Run(ctx context.Context, s *session) error {
	page, err := s.connect().Workspaces(ctx, c.page())
	if err != nil {
		return err
	}
	return listing(s, page,
		column[domain.Workspace]{"id", func(w domain.Workspace) string { return string(w.ID) }},
		column[domain.Workspace]{"name", func(w domain.Workspace) string { return w.Name }},
		column[domain.Workspace]{"plugins", func(w domain.Workspace) string { return strings.Join(w.Enabled, ", ") }},
		column[domain.Workspace]{"created", func(w domain.Workspace) string { return when(w.CreatedAt) }},
	)
}

type workspaceShow struct {
	ID contract.WorkspaceID `arg:"" help:"The workspace."`
}

func (c *workspaceShow) Run(ctx context.Context, s *session) error {
	w, err := s.connect().Workspace(ctx, c.ID)
	if err != nil {
		return err
	}
	return s.show(w, func() { showWorkspace(s, w) })
}

func showWorkspace(s *session, w domain.Workspace) {
	printFields(s.stdout, field{"id", string(w.ID)}, field{"name", w.Name},
		field{"plugins", strings.Join(w.Enabled, ", ")}, field{"created", when(w.CreatedAt)})
}

type workspaceEnable struct {
	ID     contract.WorkspaceID `arg:"" help:"The workspace."`
	Plugin string               `arg:"" help:"The plugin's name."`
}

func (c *workspaceEnable) Run(ctx context.Context, s *session) error {
	if err := s.connect().EnablePlugin(ctx, c.ID, c.Plugin); err != nil {
		return err
	}
	return s.done(map[string]any{"workspace": c.ID, "plugin": c.Plugin, "enabled": true},
		"workspace %s may connect with %s now", c.ID, c.Plugin)
}

type workspaceDisable struct {
	ID     contract.WorkspaceID `arg:"" help:"The workspace."`
	Plugin string               `arg:"" help:"The plugin's name."`
}

func (c *workspaceDisable) Run(ctx context.Context, s *session) error {
	if err := s.connect().DisablePlugin(ctx, c.ID, c.Plugin); err != nil {
		return err
	}
	return s.done(map[string]any{"workspace": c.ID, "plugin": c.Plugin, "enabled": false},
		"workspace %s may no longer connect with %s", c.ID, c.Plugin)
}
