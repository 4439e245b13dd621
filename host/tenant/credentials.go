package tenant

import (
	"context"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Tokens keeps the token sets of connections and apps.
type Tokens interface {
	Status(ctx context.Context, owner contract.ConnectionID) (domain.TokenStatus, error)
	// Ask queues a refresh, or answers the one that is queued. A domain.Invalid says why there is
	// nothing to renew.
	Ask(ctx context.Context, owner contract.ConnectionID, by string) (domain.Job, error)
}

// Credentials says how the token set of a connection stands. It shows no token.
func (s *Service) Credentials(ctx context.Context, ws contract.WorkspaceID, id contract.ConnectionID) (domain.TokenStatus, error) {
	c, err := s.connection(ctx, ws, id)
	if err != nil {
		return domain.TokenStatus{}, err
	}
	return s.opts.Tokens.Status(ctx, c.ID)
}

// RefreshCredentials has the token set of a connection renewed now, also if that was refused
// before. There is one such command at a time: while it has not ended, it is the answer.
func (s *Service) RefreshCredentials(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, id contract.ConnectionID) (domain.Job, error) {
	c, err := s.connection(ctx, ws, id)
	if err != nil {
		return domain.Job{}, err
	}
	if err := s.admit(ws, 0); err != nil {
		return domain.Job{}, err
	}
	job, err := s.opts.Tokens.Ask(ctx, c.ID, by.Subject)
	if err != nil {
		return domain.Job{}, err
	}
	s.audit(ctx, by, "credentials.refresh", ws, id, job.ID, "")
	return job, nil
}
