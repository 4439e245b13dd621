package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// HeldRoutes lists the keys of an app and the connections that they lead to, shorter keys
// first, with the cursor of the next page.
func (s *Store) HeldRoutes(ctx context.Context, app contract.ConnectionID, p domain.Page) ([]domain.HeldRoute, string, error) {
	return paged(ctx, s, "list routes", func(t *tx) ([]domain.HeldRoute, string, error) {
		after, err := listHeldRoutes.position(p.After)
		if err != nil {
			return nil, "", err
		}
		return collect(ctx, listHeldRoutes, p.Size(), t.scan(bucketRoutes, connectionKey(app), after),
			func(part, holder []byte) (domain.HeldRoute, bool, error) {
				if partBytes(part) != len(part) {
					return domain.HeldRoute{}, false, errors.New("it is not the key of a route")
				}
				c, err := t.connection(contract.ConnectionID(holder))
				return domain.HeldRoute{Key: string(part[2:]), Workspace: c.Workspace, Connection: c.ID}, true, err
			})
	})
}

// ReleaseRoute takes a key from the connection that has it, as somebody other than its plugin
// decides: what comes for it from now on is for nobody. What was queued for the connection
// stays so. ErrNotFound if nobody has the key.
func (s *Store) ReleaseRoute(ctx context.Context, app contract.ConnectionID, k string, at time.Time) (domain.HeldRoute, error) {
	return change(ctx, s, "release route", func(t *tx) (domain.HeldRoute, error) {
		holder := t.routeHolder(app, k)
		if holder == "" {
			return domain.HeldRoute{}, fmt.Errorf("key of app %q: %w", app, domain.ErrNotFound)
		}
		c, err := t.connection(holder)
		if err != nil {
			return domain.HeldRoute{}, err
		}
		_, err = t.applyRoutes(&domain.Effects{Workspace: c.Workspace, Connection: c.ID, At: at, Routes: []domain.RouteWrite{{Key: k, Delete: true}}})
		return domain.HeldRoute{Key: k, Workspace: c.Workspace, Connection: c.ID}, err
	})
}
