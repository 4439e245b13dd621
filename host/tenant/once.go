package tenant

import (
	"context"
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// claim returns the id of the thing that the request makes: of a kind that is told by the
// prefix, and the first one's if the request repeats one. settled tells that the first one
// was made.
func (s *Service) claim(ctx context.Context, ws contract.WorkspaceID, prefix string) (id string, settled bool, err error) {
	id = s.opts.Store.NewID(prefix)
	once := domain.OnceOf(ctx)
	if once.Key == "" {
		return id, false, nil
	}
	claim, err := s.opts.Store.ClaimKey(ctx, ws, once, id, s.opts.Now())
	if err != nil {
		return "", false, fmt.Errorf("make a %s once: %w", prefix, err)
	}
	return claim.ID, claim.Settled, nil
}

// settle notes that the request made what it was for.
func (s *Service) settle(ctx context.Context, ws contract.WorkspaceID) error {
	once := domain.OnceOf(ctx)
	if once.Key == "" {
		return nil
	}
	if err := s.opts.Store.SettleKey(ctx, ws, once.Key); err != nil {
		return fmt.Errorf("note that it was made once: %w", err)
	}
	return nil
}

// setUpOnce names the setup of a connection that a named request makes. No client can send
// such a name.
func setUpOnce(ctx context.Context, id contract.ConnectionID) context.Context {
	if domain.OnceOf(ctx).Key == "" {
		return ctx
	}
	return domain.WithOnce(ctx, domain.Once{Key: "\x00setup " + string(id), RequestHash: "setup"})
}

// errRemoved is the answer to a repeat of a request that made something which was removed
// since: it neither makes another one, nor says that there is one.
func errRemoved(id string) error {
	return fmt.Errorf("%s was made by this request, and removed since: %w", id, domain.ErrConflict)
}
