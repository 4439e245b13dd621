package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// CreateConnection keeps a new connection with its secrets. ErrExists if the id or the
// endpoint is taken, ErrNotFound if there is no such workspace.
func (s *Store) CreateConnection(ctx context.Context, c domain.Connection, secrets []domain.Secret) error {
	return s.update(ctx, "create connection", func(t *tx) error {
		if !t.has(bucketWorkspaces, key(c.Workspace)) {
			return fmt.Errorf("workspace %q: %w", c.Workspace, domain.ErrNotFound)
		}
		if t.has(bucketConnections, key(c.ID)) {
			return fmt.Errorf("connection %q: %w", c.ID, domain.ErrExists)
		}
		if err := errors.Join(t.endpointFree(c), t.appThere(c)); err != nil {
			return err
		}
		t.putConnection(nil, c)
		for _, secret := range secrets {
			secret.Connection = c.ID
			t.putSecret(secret)
		}
		return nil
	})
}

func (t *tx) endpointFree(c domain.Connection) error {
	holder := t.get(bucketByEndpoint, key(c.Endpoint))
	if holder != nil && contract.ConnectionID(holder) != c.ID {
		return fmt.Errorf("endpoint of connection %q: %w", c.ID, domain.ErrExists)
	}
	return nil
}

// putConnection replaces a connection; before is nil for a new one.
func (t *tx) putConnection(before *domain.Connection, after domain.Connection) {
	var old []entry
	if before != nil {
		old = connectionIndex(*before)
	}
	if before == nil || !before.LastInboundAt.Equal(after.LastInboundAt) || !before.LastOutboundAt.Equal(after.LastOutboundAt) {
		t.putTraffic(after.ID, after.LastInboundAt, after.LastOutboundAt)
	}
	t.reindex(old, connectionIndex(after))
	after.LastInboundAt, after.LastOutboundAt = time.Time{}, time.Time{}
	t.putJSON(bucketConnections, key(after.ID), after)
}

func connectionIndex(c domain.Connection) []entry {
	index := []entry{{bucketByWorkspace, workspaceKey(c.Workspace).rest(string(c.ID)), present}}
	if c.Endpoint != "" {
		index = append(index, entry{bucketByEndpoint, key(c.Endpoint), []byte(c.ID)})
	}
	return append(index, appIndex(c)...)
}

func workspaceKey(ws contract.WorkspaceID) key { return newKey().text(string(ws)) }

func connectionKey(c contract.ConnectionID) key { return newKey().text(string(c)) }

// putTraffic keeps the times that every delivery changes apart from the rest.
func (t *tx) putTraffic(c contract.ConnectionID, inbound, outbound time.Time) {
	t.put(bucketTraffic, key(c), append(packTime(inbound), packTime(outbound)...))
	delete(t.late.traffic, c)
}

func (t *tx) traffic(c contract.ConnectionID) (inbound, outbound time.Time) {
	if seen, ok := t.late.traffic[c]; ok {
		return seen.inbound, seen.outbound
	}
	v := t.get(bucketTraffic, key(c))
	if len(v) != 16 {
		return time.Time{}, time.Time{}
	}
	return unpackTime(v[:8]), unpackTime(v[8:])
}

// sawTraffic moves the times of the last traffic on; a zero time stands for no news. That
// the times before cannot be read is no reason to refuse what came.
func (t *tx) sawTraffic(c contract.ConnectionID, inbound, outbound time.Time) {
	damage := t.damage
	in, out := t.traffic(c)
	t.damage = damage
	if inbound.After(in) {
		in = inbound
	}
	if outbound.After(out) {
		out = outbound
	}
	t.writes++
	t.late.traffic[c] = traffic{in.UTC(), out.UTC()}
}

// Connection returns a connection; ErrNotFound if there is none.
func (s *Store) Connection(ctx context.Context, id contract.ConnectionID) (domain.Connection, error) {
	return view(ctx, s, "read connection", func(t *tx) (domain.Connection, error) {
		return s.known(t, id)
	})
}

// known is connection with a memory.
func (s *Store) known(t *tx, id contract.ConnectionID) (domain.Connection, error) {
	c, err := s.memos.connections.load(t, bucketConnections, key(id))
	if err != nil {
		return c, fmt.Errorf("connection %q: %w", id, err)
	}
	c = ownConnection(c)
	c.LastInboundAt, c.LastOutboundAt = t.traffic(id)
	return c, nil
}

func (t *tx) connection(id contract.ConnectionID) (domain.Connection, error) {
	c, err := load[domain.Connection](t, bucketConnections, key(id))
	if err != nil {
		return c, fmt.Errorf("connection %q: %w", id, err)
	}
	c.LastInboundAt, c.LastOutboundAt = t.traffic(id)
	return c, nil
}

// owns returns ErrNotFound unless the connection is one of the workspace's.
func (t *tx) owns(ws contract.WorkspaceID, c contract.ConnectionID) error {
	if !t.has(bucketByWorkspace, workspaceKey(ws).rest(string(c))) {
		return fmt.Errorf("connection %q of workspace %q: %w", c, ws, domain.ErrNotFound)
	}
	return nil
}

// ConnectionByEndpoint returns the connection whose endpoint it is; ErrNotFound if it is
// nobody's.
func (s *Store) ConnectionByEndpoint(ctx context.Context, endpoint string) (domain.Connection, error) {
	return view(ctx, s, "find connection", func(t *tx) (domain.Connection, error) {
		id := t.get(bucketByEndpoint, key(endpoint))
		if id == nil { // the text of the error must not carry a guess into a log
			return domain.Connection{}, fmt.Errorf("endpoint: %w", domain.ErrNotFound)
		}
		return s.known(t, contract.ConnectionID(id))
	})
}

// Connections lists the connections of a workspace, oldest first, with the cursor of the
// next page.
func (s *Store) Connections(ctx context.Context, ws contract.WorkspaceID, p domain.Page) ([]domain.Connection, string, error) {
	return paged(ctx, s, "list connections", func(t *tx) ([]domain.Connection, string, error) {
		after, err := listConnections.position(p.After)
		if err != nil {
			return nil, "", err
		}
		return collect(ctx, listConnections, p.Size(), t.scan(bucketByWorkspace, workspaceKey(ws), after),
			func(id, _ []byte) (domain.Connection, bool, error) {
				c, err := t.connection(contract.ConnectionID(id))
				return c, true, err
			})
	})
}

// UpdateConnection changes a connection. Its ID, Workspace, App and CreatedAt and the times of
// its traffic stay as they are. ErrExists if the new endpoint is taken; an error of
// modify is returned and nothing is changed.
func (s *Store) UpdateConnection(ctx context.Context, id contract.ConnectionID, modify func(*domain.Connection) error) (domain.Connection, error) {
	return change(ctx, s, "update connection", func(t *tx) (domain.Connection, error) {
		after, err := t.connection(id)
		if err != nil {
			return after, err
		}
		before, err := t.connection(id) // its own copy: modify may change maps and slices
		if err != nil {
			return after, err
		}
		if err := modify(&after); err != nil {
			return after, err
		}
		after.ID, after.Workspace, after.CreatedAt = before.ID, before.Workspace, before.CreatedAt
		after.App, after.IsApp = before.App, before.IsApp
		after.LastInboundAt, after.LastOutboundAt = before.LastInboundAt, before.LastOutboundAt
		if err := t.endpointFree(after); err != nil {
			return after, err
		}
		t.putConnection(&before, after)
		return after, nil
	})
}

// DeleteConnection removes a connection with its endpoint, secrets and key-value entries,
// and cancels its queued commands. Events that wait go out without what was not fetched. Its
// bridges are paused, and the keys by which its app's deliveries found it are free again.
// Deliveries, messages and events stay; those that were claimed and have not run have failed.
// ErrNotFound if there is none, ErrConflict if it is an app that has connections.
func (s *Store) DeleteConnection(ctx context.Context, id contract.ConnectionID) error {
	now := s.opts.Now()
	return s.update(ctx, "delete connection", func(t *tx) error { return t.deleteConnection(id, now) })
}

// endWithConnection ends a queued job of a connection that goes. An event was acknowledged
// to its platform, so it goes out, without what cannot be fetched any more.
func (t *tx) endWithConnection(job domain.Job, now time.Time) error {
	if job.Kind == domain.JobEvent && job.Event != nil {
		return t.releaseUnfetched(job, "The connection was removed before the attachment was fetched.", now)
	}
	if job.Kind == domain.JobClaim && job.Claim != nil {
		if err := t.failClaimed(job); err != nil {
			return err
		}
	}
	_, err := t.cancel(job, "connection_deleted", "The connection was removed.", now)
	return err
}

func (t *tx) deleteConnection(id contract.ConnectionID, now time.Time) error {
	c, err := t.connection(id)
	if err != nil {
		return err
	}
	if err := t.appUnused(c); err != nil {
		return err
	}
	queued, err := t.jobsOf(id, domain.JobQueued)
	if err != nil {
		return err
	}
	for _, job := range slices.Backward(queued) { // oldest first: events keep their order
		if err := t.endWithConnection(job, now); err != nil {
			return err
		}
	}
	if err := t.stopBridges(c, now); err != nil {
		return err
	}
	t.dropRoutes(c)
	if err := t.discardAll(id); err != nil {
		return err
	}
	t.reindex(connectionIndex(c), nil)
	t.clear(bucketSecrets, connectionKey(id))
	t.delete(bucketTokens, key(id))
	t.clear(bucketKV, connectionKey(id))
	t.clear(bucketKVExpiry, connectionKey(id))
	t.delete(bucketKVUsage, key(id))
	t.delete(bucketTraffic, key(id))
	delete(t.late.traffic, id)
	t.delete(bucketConnections, key(id))
	return nil
}

// clear deletes every entry whose key begins with prefix.
func (t *tx) clear(bucket []byte, prefix key) {
	var doomed []key
	for position := range t.scan(bucket, prefix, nil) {
		doomed = append(doomed, prefix.with(position))
	}
	for _, k := range doomed {
		t.delete(bucket, k)
	}
}
