package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// MaxRoutes is the most keys by which the deliveries of an app find one connection.
const MaxRoutes = 100_000

func routeKey(app contract.ConnectionID, k string) key { return connectionKey(app).text(k) }

// appIndex is where a connection stands among those of its app.
func appIndex(c domain.Connection) []entry {
	if c.App == "" {
		return nil
	}
	return []entry{{bucketByApp, connectionKey(c.App).rest(string(c.ID)), present}}
}

// appThere refuses a connection whose app is not there, or is another plugin's.
func (t *tx) appThere(c domain.Connection) error {
	if c.App == "" {
		return nil
	}
	app, err := t.connection(c.App)
	if err == nil && (!app.IsApp || app.Plugin != c.Plugin) {
		err = domain.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("app %q of connection %q: %w", c.App, c.ID, err)
	}
	return nil
}

// appUnused refuses to remove an app that has connections.
func (t *tx) appUnused(c domain.Connection) error {
	if !c.IsApp {
		return nil
	}
	for id := range t.scan(bucketByApp, connectionKey(c.ID), nil) {
		return fmt.Errorf("app %q has connections, such as %q: %w", c.ID, id, domain.ErrConflict)
	}
	return nil
}

// RouteOf returns the connection that registered a key of an app, and whether deliveries that
// waited for it are still to run: then a new one has to wait behind them. ErrNotFound if nobody
// has registered the key.
func (s *Store) RouteOf(ctx context.Context, app contract.ConnectionID, k string) (c contract.ConnectionID, behind bool, err error) {
	type found struct {
		connection contract.ConnectionID
		behind     bool
	}
	f, err := view(ctx, s, "find route", func(t *tx) (found, error) {
		holder := t.routeHolder(app, k)
		if holder == "" {
			return found{}, fmt.Errorf("key of app %q: %w", app, domain.ErrNotFound)
		}
		return found{holder, t.laneBusy(domain.ClaimLane(holder, k))}, nil
	})
	return f.connection, f.behind, err
}

func (t *tx) routeHolder(app contract.ConnectionID, k string) contract.ConnectionID {
	return contract.ConnectionID(t.get(bucketRoutes, routeKey(app, k)))
}

// ConnectionsOfApp lists the connections of an app, oldest first, with the cursor of the next
// page.
func (s *Store) ConnectionsOfApp(ctx context.Context, app contract.ConnectionID, p domain.Page) ([]domain.Connection, string, error) {
	return paged(ctx, s, "list connections of app", func(t *tx) ([]domain.Connection, string, error) {
		after, err := listAppConnections.position(p.After)
		if err != nil {
			return nil, "", err
		}
		return collect(ctx, listAppConnections, p.Size(), t.scan(bucketByApp, connectionKey(app), after),
			func(id, _ []byte) (domain.Connection, bool, error) {
				c, err := t.connection(contract.ConnectionID(id))
				return c, true, err
			})
	})
}

// AssignRoute registers a key for a connection, as somebody other than its plugin decides, and
// queues what waits for it. ErrConflict if another connection of the app has the key,
// ErrNotFound if the connection is not one of the app's.
func (s *Store) AssignRoute(ctx context.Context, app contract.ConnectionID, k string, c contract.ConnectionID, at time.Time) ([]domain.Job, error) {
	return change(ctx, s, "assign route", func(t *tx) ([]domain.Job, error) {
		connection, err := t.connection(c)
		if err == nil && (connection.App != app || app == "") {
			err = fmt.Errorf("connection %q of app %q: %w", c, app, domain.ErrNotFound)
		}
		if err != nil {
			return nil, err
		}
		e := domain.Effects{Workspace: connection.Workspace, Connection: c, Routes: []domain.RouteWrite{{Key: k}}, At: at}
		if err := t.checkRoutes(&e); err != nil {
			return nil, err
		}
		return t.applyRoutes(&e)
	})
}

// checkRoutes refuses keys that the connection cannot have, before anything is written.
func (t *tx) checkRoutes(e *domain.Effects) error {
	if len(e.Routes) == 0 {
		return nil
	}
	c, err := t.connection(e.Connection)
	if err != nil {
		return err
	}
	if c.App == "" {
		return fmt.Errorf("connection %q has no app, so that nothing finds it by a key: %w", c.ID, domain.ErrNotFound)
	}
	held := t.routeUse(connectionKey(c.ID)).count
	for _, w := range e.Routes {
		switch holder := t.routeHolder(c.App, w.Key); {
		case w.Key == "" || len(w.Key) > contract.MaxIDBytes:
			return &domain.Invalid{Problems: []domain.Problem{{Field: "key", Value: w.Key,
				Why: fmt.Sprintf("it has %d bytes", len(w.Key)), Fix: fmt.Sprintf("use 1 to %d", contract.MaxIDBytes)}}}
		case w.Delete:
		case holder == "":
			held++
		case holder != c.ID:
			return fmt.Errorf("key %q is another connection's: %w", w.Key, domain.ErrConflict)
		}
	}
	if held > MaxRoutes {
		return fmt.Errorf("connection %q would have %d keys of %d: %w", c.ID, held, MaxRoutes, domain.ErrQuota)
	}
	return nil
}

// applyRoutes registers and removes keys, and queues the deliveries that waited for them.
func (t *tx) applyRoutes(e *domain.Effects) ([]domain.Job, error) {
	if len(e.Routes) == 0 {
		return nil, nil
	}
	c, err := t.connection(e.Connection)
	if err != nil {
		return nil, err
	}
	var jobs []domain.Job
	for _, w := range e.Routes {
		holder := t.routeHolder(c.App, w.Key)
		switch {
		case w.Delete && holder == c.ID:
			t.dropRoute(c, w.Key)
		case w.Delete || holder != "":
		default:
			t.put(bucketRoutes, routeKey(c.App, w.Key), []byte(c.ID))
			t.put(bucketRouteListing, connectionKey(c.ID).rest(w.Key), present)
			t.useRoute(connectionKey(c.ID), 1, 0)
		}
		if w.Delete {
			continue
		}
		claimed, err := t.claimParked(c, w.Key, e.At)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, claimed...)
	}
	return jobs, nil
}

func (t *tx) dropRoute(c domain.Connection, k string) {
	t.delete(bucketRoutes, routeKey(c.App, k))
	t.delete(bucketRouteListing, connectionKey(c.ID).rest(k))
	t.useRoute(connectionKey(c.ID), -1, 0)
}

// dropRoutes removes every key of a connection.
func (t *tx) dropRoutes(c domain.Connection) {
	var keys []string
	for position := range t.scan(bucketRouteListing, connectionKey(c.ID), nil) {
		keys = append(keys, string(position))
	}
	for _, k := range keys {
		t.dropRoute(c, k)
	}
}

// routeUse is how many keys a connection has, or how much waits for an app or for one of its
// keys.
type routeUse struct{ count, bytes int64 }

func (t *tx) routeUse(of key) routeUse {
	v := t.get(bucketRouteUsage, of)
	if len(v) != 16 {
		return routeUse{}
	}
	return routeUse{int64(unpackNumber(v[:8])), int64(unpackNumber(v[8:]))}
}

// useRoute changes what is counted. What comes to nothing is not kept.
func (t *tx) useRoute(of key, count, bytes int64) {
	use := t.routeUse(of)
	use.count, use.bytes = use.count+count, use.bytes+bytes
	if use == (routeUse{}) {
		t.delete(bucketRouteUsage, of)
		return
	}
	t.put(bucketRouteUsage, of, append(packNumber(uint64(use.count)), packNumber(uint64(use.bytes))...))
}

// routedBefore returns what is kept of how a delivery was routed; nil if nothing is.
func (t *tx) routedBefore(id contract.DeliveryID) (*domain.Routed, error) {
	r, err := load[domain.Routed](t, bucketRouted, key(id))
	switch {
	case errors.Is(err, domain.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("routing of delivery %q: %w", id, err)
	}
	return &r, nil
}

// putRouted keeps how a delivery was routed as long as it may yet run.
func (t *tx) putRouted(d domain.Delivery) {
	switch d.State {
	case domain.DeliveryParked, domain.DeliveryFailed, domain.DeliverySuperseded:
	default:
		t.dropRouted(d.Workspace, d.ID)
		return
	}
	if d.Routed == nil {
		return // what is kept stays
	}
	before := len(t.get(bucketRouted, key(d.ID)))
	t.putJSON(bucketRouted, key(d.ID), d.Routed)
	t.charge(d.Workspace, len(t.get(bucketRouted, key(d.ID)))-before)
}

func (t *tx) dropRouted(ws contract.WorkspaceID, id contract.DeliveryID) int {
	kept := len(t.get(bucketRouted, key(id)))
	if kept > 0 {
		t.delete(bucketRouted, key(id))
		t.charge(ws, -kept)
	}
	return kept
}
