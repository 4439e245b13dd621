package tenant

import (
	"context"
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// AppKeys lists which of an app's accounts lead to which connections, by the keys that the
// plugin or an operator gave them.
func (s *Service) AppKeys(ctx context.Context, app contract.ConnectionID, p domain.Page) ([]domain.HeldRoute, string, error) {
	if _, err := s.App(ctx, app); err != nil {
		return nil, "", err
	}
	return s.opts.Store.HeldRoutes(ctx, app, p)
}

// ReleaseKey takes an account of an app from the connection that has it, so that it can be
// assigned to another. A plugin may register its keys again when its connection is set up.
func (s *Service) ReleaseKey(ctx context.Context, by domain.Actor, app contract.ConnectionID, key string) (domain.HeldRoute, error) {
	if _, err := s.App(ctx, app); err != nil {
		return domain.HeldRoute{}, err
	}
	held, err := s.opts.Store.ReleaseRoute(ctx, app, key, s.opts.Now())
	if err != nil {
		return domain.HeldRoute{}, fmt.Errorf("release: %w", err)
	}
	s.audit(ctx, by, "app.key_released", held.Workspace, held.Connection, key, fmt.Sprintf("of app %s", app))
	return held, nil
}
