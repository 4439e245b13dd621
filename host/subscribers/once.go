package subscribers

import (
	"context"
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// claim returns the id of the subscriber that the request makes: the first one's, if the
// request repeats one. settled tells that the first one was made.
func (r *Room) claim(ctx context.Context, ws contract.WorkspaceID) (id domain.SubscriberID, settled bool, err error) {
	fresh := r.opts.Store.NewID("sub")
	once := domain.OnceOf(ctx)
	if once.Key == "" {
		return domain.SubscriberID(fresh), false, nil
	}
	claim, err := r.opts.Store.ClaimKey(ctx, ws, once, fresh, r.opts.Now())
	if err != nil {
		return "", false, fmt.Errorf("create subscriber once: %w", err)
	}
	return domain.SubscriberID(claim.ID), claim.Settled, nil
}

// settle notes that the request made what it was for.
func (r *Room) settle(ctx context.Context, ws contract.WorkspaceID) error {
	once := domain.OnceOf(ctx)
	if once.Key == "" {
		return nil
	}
	if err := r.opts.Store.SettleKey(ctx, ws, once.Key); err != nil {
		return fmt.Errorf("note that the subscriber was created once: %w", err)
	}
	return nil
}

// repeated answers a request that repeats one which made s: with its newest secret, because
// whoever repeats it may never have seen the first answer.
func (r *Room) repeated(ctx context.Context, s domain.Subscriber) (domain.SubscriberStatus, secret.Text, error) {
	status, err := r.opts.Store.SubscriberStatus(ctx, s.Workspace, s.ID)
	if err != nil || len(s.Secrets) == 0 {
		return status, secret.Text{}, err
	}
	value, err := r.opts.Vault.Open(contract.ConnectionID(s.ID), secretName, s.Secrets[0])
	if err != nil {
		return domain.SubscriberStatus{}, secret.Text{}, fmt.Errorf("open the secret of subscriber %s: %w", s.ID, err)
	}
	return status, value, r.settle(ctx, s.Workspace)
}
