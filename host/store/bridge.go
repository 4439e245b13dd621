package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// bridge_links holds four kinds of entry, told apart by the first byte of the key.
const (
	linkRecords  = 'l' // bridge, customers' conversation → link
	linkByAgents = 'a' // bridge, agents' conversation → customers' conversation
	linkStopped  = 'x' // bridge, customers' conversation of a link that is stopped
	linkForwards = 'm' // source message, bridge → forward
	linkTargets  = 'r' // target message → source message and bridge
)

func bridgeKey(ws contract.WorkspaceID, id domain.BridgeID) key {
	return workspaceKey(ws).rest(string(id))
}

func linkKey(kind byte, id domain.BridgeID, c contract.ConversationID) key {
	return newKey().byte(kind).text(string(id)).text(string(c))
}

func forwardKey(source contract.MessageID, id domain.BridgeID) key {
	return newKey().byte(linkForwards).text(string(source)).text(string(id))
}

func targetKey(target contract.MessageID) key { return newKey().byte(linkTargets).text(string(target)) }

// forwardOf is what a target message leads to.
type forwardOf struct {
	Source contract.MessageID `json:"source"`
	Bridge domain.BridgeID    `json:"bridge"`
}

// CreateBridge keeps a new bridge, which begins after the newest event. ErrExists if the
// id is taken, ErrNotFound if a connection is not the workspace's, and [*domain.Invalid]
// if the bridge would close a circle of bridges.
func (s *Store) CreateBridge(ctx context.Context, b domain.Bridge) error {
	return s.update(ctx, "create bridge", func(t *tx) error {
		for _, c := range []contract.ConnectionID{b.Customers, b.Agents} {
			if err := t.owns(b.Workspace, c); err != nil {
				return err
			}
		}
		if t.has(bucketBridgeProgress, key(b.ID)) {
			return fmt.Errorf("bridge %q: %w", b.ID, domain.ErrExists)
		}
		others, err := t.bridgesOf(b.Workspace)
		if err != nil {
			return err
		}
		if path := bridgePath(others, b.Customers, b.Agents); path != nil || b.Customers == b.Agents {
			return circle(b, path)
		}
		b.Revision = 1
		t.putJSON(bucketBridges, bridgeKey(b.Workspace, b.ID), b)
		t.putJSON(bucketBridgeProgress, key(b.ID), domain.BridgeProgress{Cursor: t.lastSeq(b.Workspace)})
		return nil
	})
}

// bridgePath finds bridges that lead from one connection to another; nil if none do.
// There is at most one way, because circles are refused.
func bridgePath(bridges []domain.Bridge, from, to contract.ConnectionID) []domain.Bridge {
	type stop struct {
		at  contract.ConnectionID
		via []domain.Bridge
	}
	seen := map[contract.ConnectionID]bool{from: true}
	for queue := []stop{{at: from}}; len(queue) > 0; queue = queue[1:] {
		here := queue[0]
		for _, b := range bridges {
			side, ok := b.Side(here.at)
			next := b.Connection(side.Other())
			if !ok || seen[next] {
				continue
			}
			via := append(append([]domain.Bridge{}, here.via...), b)
			if next == to {
				return via
			}
			seen[next] = true
			queue = append(queue, stop{next, via})
		}
	}
	return nil
}

func circle(b domain.Bridge, path []domain.Bridge) error {
	p := domain.Problem{Field: "agents", Value: string(b.Agents), Why: "it is the connection of the customers' side, too", Fix: "name two connections"}
	if len(path) > 0 {
		names := make([]string, len(path))
		for i, other := range path {
			names[i] = string(other.ID)
		}
		p.Why = "it is connected with " + string(b.Customers) + " already, by " + strings.Join(names, ", ") + ", so messages would go round in a circle"
		p.Fix = "delete one of these bridges first, or choose another connection"
	}
	return &domain.Invalid{Problems: []domain.Problem{p}}
}

// bridgesOf returns the bridges of a workspace, oldest first.
func (t *tx) bridgesOf(ws contract.WorkspaceID) ([]domain.Bridge, error) {
	var bridges []domain.Bridge
	for _, doc := range t.scan(bucketBridges, workspaceKey(ws), nil) {
		b, err := decode[domain.Bridge](bucketBridges, doc)
		if err != nil {
			return nil, err
		}
		bridges = append(bridges, b)
	}
	return bridges, nil
}

func (t *tx) bridge(ws contract.WorkspaceID, id domain.BridgeID) (domain.Bridge, error) {
	b, err := load[domain.Bridge](t, bucketBridges, bridgeKey(ws, id))
	if err != nil {
		return b, fmt.Errorf("bridge %q of workspace %q: %w", id, ws, err)
	}
	return b, nil
}

// bridgeStatus adds how far the bridge has come.
func (t *tx) bridgeStatus(b domain.Bridge) (domain.BridgeStatus, error) {
	p, err := load[domain.BridgeProgress](t, bucketBridgeProgress, key(b.ID))
	if err != nil {
		return domain.BridgeStatus{}, fmt.Errorf("progress of bridge %q: %w", b.ID, err)
	}
	if last := t.lastSeq(b.Workspace); last > p.Cursor {
		p.Behind = last - p.Cursor
	}
	return domain.BridgeStatus{Bridge: b, Progress: p}, nil
}

// Bridge returns a bridge; ErrNotFound if the workspace has none with that id.
func (s *Store) Bridge(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID) (domain.BridgeStatus, error) {
	return view(ctx, s, "read bridge", func(t *tx) (domain.BridgeStatus, error) {
		b, err := t.bridge(ws, id)
		if err != nil {
			return domain.BridgeStatus{}, err
		}
		return t.bridgeStatus(b)
	})
}

// Bridges lists the bridges of a workspace, oldest first, with the cursor of the next
// page.
func (s *Store) Bridges(ctx context.Context, ws contract.WorkspaceID, p domain.Page) ([]domain.BridgeStatus, string, error) {
	return paged(ctx, s, "list bridges", func(t *tx) ([]domain.BridgeStatus, string, error) {
		after, err := listBridges.position(p.After)
		if err != nil {
			return nil, "", err
		}
		return collect(ctx, listBridges, p.Size(), t.scan(bucketBridges, workspaceKey(ws), after),
			func(_, doc []byte) (domain.BridgeStatus, bool, error) {
				b, err := decode[domain.Bridge](bucketBridges, doc)
				if err != nil {
					return domain.BridgeStatus{}, false, err
				}
				status, err := t.bridgeStatus(b)
				return status, true, err
			})
	})
}

// BridgedWorkspaces returns the workspaces that have a bridge.
func (s *Store) BridgedWorkspaces(ctx context.Context) ([]contract.WorkspaceID, error) {
	return view(ctx, s, "list bridged workspaces", func(t *tx) ([]contract.WorkspaceID, error) {
		var found []contract.WorkspaceID
		for position, doc := range t.scan(bucketBridges, nil, nil) {
			b, err := decode[domain.Bridge](bucketBridges, doc)
			if err != nil {
				return nil, fmt.Errorf("at %x: %w", position, err)
			}
			if len(found) == 0 || found[len(found)-1] != b.Workspace {
				found = append(found, b.Workspace)
			}
		}
		return found, nil
	})
}

// CountBridges returns how many bridges a workspace has.
func (s *Store) CountBridges(ctx context.Context, ws contract.WorkspaceID) (int64, error) {
	return view(ctx, s, "count bridges", func(t *tx) (count int64, _ error) {
		for range t.scan(bucketBridges, workspaceKey(ws), nil) {
			count++
		}
		return count, nil
	})
}

// UpdateBridge changes a bridge. Its ID, Workspace, connections and CreatedAt stay as they
// are. A bridge that is left active gets the links back that were stopped. ErrNotFound if
// there is none, or if it is left active and a connection of it is not there any more; an
// error of modify is returned and nothing is changed.
func (s *Store) UpdateBridge(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID, modify func(*domain.Bridge) error) (domain.BridgeStatus, error) {
	return change(ctx, s, "update bridge", func(t *tx) (domain.BridgeStatus, error) {
		before, err := t.bridge(ws, id)
		if err != nil {
			return domain.BridgeStatus{}, err
		}
		after := before
		if err := modify(&after); err != nil {
			return domain.BridgeStatus{}, err
		}
		after.ID, after.Workspace, after.CreatedAt = before.ID, before.Workspace, before.CreatedAt
		after.Customers, after.Agents, after.Revision = before.Customers, before.Agents, before.Revision+1
		if after.State == domain.BridgeActive {
			if err := t.startBridge(after); err != nil {
				return domain.BridgeStatus{}, err
			}
		}
		t.putJSON(bucketBridges, bridgeKey(ws, id), after)
		return t.bridgeStatus(after)
	})
}

// startBridge makes sure that the bridge has both ends, and starts stopped links again.
func (t *tx) startBridge(b domain.Bridge) error {
	for _, c := range []contract.ConnectionID{b.Customers, b.Agents} {
		if err := t.owns(b.Workspace, c); err != nil {
			return err
		}
	}
	var stopped []domain.BridgeLink
	for position := range t.scan(bucketBridgeLinks, newKey().byte(linkStopped).text(string(b.ID)), nil) {
		link, err := load[domain.BridgeLink](t, bucketBridgeLinks, newKey().byte(linkRecords).text(string(b.ID)).with(position))
		if err != nil {
			return fmt.Errorf("stopped link of bridge %q: %w", b.ID, err)
		}
		stopped = append(stopped, link)
	}
	for _, link := range stopped {
		after := link
		after.State, after.StateReason, after.Watch = domain.LinkActive, "", domain.BridgeWatch{}
		t.putLink(&link, after)
	}
	return nil
}

// DeleteBridge removes a bridge with its links. Commands that it queued stay. ErrNotFound
// if there is none.
func (s *Store) DeleteBridge(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID) error {
	return s.update(ctx, "delete bridge", func(t *tx) error {
		if _, err := t.bridge(ws, id); err != nil {
			return err
		}
		for _, kind := range []byte{linkRecords, linkByAgents, linkStopped} {
			t.clear(bucketBridgeLinks, newKey().byte(kind).text(string(id)))
		}
		t.delete(bucketBridgeProgress, key(id))
		t.delete(bucketBridges, bridgeKey(ws, id))
		return nil
	})
}

// stopBridges pauses the bridges of a connection that is removed, and tells of it.
func (t *tx) stopBridges(c domain.Connection, now time.Time) error {
	bridges, err := t.bridgesOf(c.Workspace)
	if err != nil {
		return err
	}
	for _, b := range bridges {
		side, ok := b.Side(c.ID)
		if !ok {
			continue
		}
		b.State, b.StateReason = domain.BridgePaused, fmt.Sprintf("the connection on the %s' side was removed", side)
		b.UpdatedAt, b.Revision = now, b.Revision+1
		t.putJSON(bucketBridges, bridgeKey(b.Workspace, b.ID), b)
		t.notice(domain.Notice{At: now, Kind: domain.NoticeBridgeStopped, Workspace: b.Workspace, Connection: c.ID, Target: string(b.ID),
			Detail: "A bridge carries nothing any more, because one of its connections was removed; delete the bridge, or make a new one."})
	}
	return nil
}
