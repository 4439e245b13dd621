package broker

import (
	"context"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// cachedGet is the host function http_cached_get. Receive and route may call it, too: what
// it gets never changes, and mostly is there already.
func (inv *invocation) cachedGet(ctx context.Context, in *contract.HTTPCachedGet) (*contract.HTTPResult, error) {
	return inv.notePause(inv.broker.opts.Egress.CachedGet(ctx, inv.policy(), in.URL)), nil
}
