package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type bridgeCommand struct {
	Create bridgeCreate `cmd:"" help:"Patch two connections together."`
	List   bridgeList   `cmd:"" help:"List the bridges of a workspace."`
	Show   bridgeShow   `cmd:"" help:"Show one bridge, and what it has carried."`
	Links  bridgeLinks  `cmd:"" help:"List which conversation of one side is which of the other."`
	Rename bridgeRename `cmd:"" help:"Give a bridge another name."`
	Pause  bridgePause  `cmd:"" help:"Stop carrying; what comes in meanwhile waits."`
	Resume bridgeResume `cmd:"" help:"Carry on, also in conversations that were stopped as loops."`
	Delete bridgeDelete `cmd:"" help:"Remove a bridge. Its connections stay."`
}

// oneBridge names a bridge of a workspace.
type oneBridge struct {
	inWorkspace
	ID domain.BridgeID `arg:"" help:"The bridge."`
}

type bridgeCreate struct {
	inWorkspace
	onceFlag
	Name      string                `required:"" help:"What people call the bridge."`
	Customers contract.ConnectionID `required:"" placeholder:"CONNECTION" help:"The connection where customers write."`
	Agents    contract.ConnectionID `required:"" placeholder:"CONNECTION" help:"The connection where agents or bots answer."`
}

func (c *bridgeCreate) Run(ctx context.Context, s *session) error {
	made, err := s.connect().CreateBridge(c.named(ctx), c.Workspace, client.NewBridge{Name: c.Name, Customers: c.Customers, Agents: c.Agents})
	return s.bridge(made, err)
}

// bridge prints a bridge.
func (s *session) bridge(b client.Bridge, err error) error {
	if err != nil {
		return err
	}
	return s.show(b, func() {
		printFields(s.stdout,
			field{"id", string(b.ID)}, field{"workspace", string(b.Workspace)}, field{"name", b.Name},
			field{"customers", string(b.Customers)}, field{"agents", string(b.Agents)}, field{"state", string(b.State)},
			field{"reason", b.StateReason}, field{"behind", some(b.Behind)}, field{"carried", carriedOver(b.Counts)},
			field{"left out", leftOut(b.Counts)}, field{"created", when(b.CreatedAt)}, field{"updated", when(b.UpdatedAt)})
	})
}

// some prints a number; nothing for none.
func some(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// tally is how often something happened.
type tally struct {
	n    uint64
	what string
}

// tallied tells of what happened at all, in a few words.
func tallied(all ...tally) string {
	var parts []string
	for _, t := range all {
		if t.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", t.n, t.what))
		}
	}
	return strings.Join(parts, ", ")
}

func carriedOver(c domain.BridgeCounts) string {
	return tallied(tally{c.Forwarded, "messages"}, tally{c.Edited, "edits"}, tally{c.Deleted, "deletions"},
		tally{c.Receipts, "receipts"}, tally{c.Typing, "typing"})
}

func leftOut(c domain.BridgeCounts) string {
	return tallied(tally{c.Echoes, "echoes"}, tally{c.Skipped, "others"})
}

type bridgeList struct {
	inWorkspace
	pageFlags
}

func (c *bridgeList) Run(ctx context.Context, s *session) error {
	page, err := s.connect().Bridges(ctx, c.Workspace, c.page())
	if err != nil {
		return err
	}
	return listing(s, page,
		column[client.Bridge]{"id", func(b client.Bridge) string { return string(b.ID) }},
		column[client.Bridge]{"name", func(b client.Bridge) string { return b.Name }},
		column[client.Bridge]{"customers", func(b client.Bridge) string { return string(b.Customers) }},
		column[client.Bridge]{"agents", func(b client.Bridge) string { return string(b.Agents) }},
		column[client.Bridge]{"state", func(b client.Bridge) string { return string(b.State) }},
		column[client.Bridge]{"behind", func(b client.Bridge) string { return some(b.Behind) }},
		column[client.Bridge]{"carried", func(b client.Bridge) string { return carriedOver(b.Counts) }},
		column[client.Bridge]{"left out", func(b client.Bridge) string { return leftOut(b.Counts) }},
	)
}

type bridgeShow struct{ oneBridge }

func (c *bridgeShow) Run(ctx context.Context, s *session) error {
	found, err := s.connect().Bridge(ctx, c.Workspace, c.ID)
	return s.bridge(found, err)
}

type bridgeLinks struct {
	oneBridge
	pageFlags
}

func (c *bridgeLinks) Run(ctx context.Context, s *session) error {
	page, err := s.connect().BridgeLinks(ctx, c.Workspace, c.ID, c.page())
	if err != nil {
		return err
	}
	return listing(s, page,
		column[client.BridgeLink]{"customers", func(l client.BridgeLink) string { return string(l.Customers) }},
		column[client.BridgeLink]{"agents", func(l client.BridgeLink) string { return string(l.Agents) }},
		column[client.BridgeLink]{"state", func(l client.BridgeLink) string { return string(l.State) }},
		column[client.BridgeLink]{"last carried", func(l client.BridgeLink) string { return when(l.LastAt) }},
		column[client.BridgeLink]{"reason", func(l client.BridgeLink) string { return l.StateReason }},
	)
}

type bridgeRename struct {
	oneBridge
	Name string `arg:"" help:"The new name."`
}

func (c *bridgeRename) Run(ctx context.Context, s *session) error {
	changed, err := s.connect().UpdateBridge(ctx, c.Workspace, c.ID, client.BridgePatch{Name: &c.Name})
	return s.bridge(changed, err)
}

type bridgePause struct{ oneBridge }

func (c *bridgePause) Run(ctx context.Context, s *session) error {
	state := domain.BridgePaused
	changed, err := s.connect().UpdateBridge(ctx, c.Workspace, c.ID, client.BridgePatch{State: &state})
	return s.bridge(changed, err)
}

type bridgeResume struct{ oneBridge }

func (c *bridgeResume) Run(ctx context.Context, s *session) error {
	state := domain.BridgeActive
	changed, err := s.connect().UpdateBridge(ctx, c.Workspace, c.ID, client.BridgePatch{State: &state})
	return s.bridge(changed, err)
}

type bridgeDelete struct{ oneBridge }

func (c *bridgeDelete) Run(ctx context.Context, s *session) error {
	if err := s.connect().DeleteBridge(ctx, c.Workspace, c.ID); err != nil {
		return err
	}
	return s.done(map[string]any{"bridge": c.ID, "deleted": true}, "bridge %s is gone; its connections stay", c.ID)
}
