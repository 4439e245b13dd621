package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// packed is the recording of the invocation as the store keeps it; nil if there is none.
// The raw body is left out of it: the store has that already, unless its tokens were taken.
func (inv *invocation) packed() []byte {
	if inv.recording == nil {
		return nil
	}
	for i := range inv.recording.Calls {
		c := &inv.recording.Calls[i]
		if c.Function == string(contract.HostDeliveryBody) && !inv.handed && inv.body != nil && bytes.Equal(c.Answer, inv.body) {
			c.Answer = nil
		}
	}
	maskTokens(inv.recording, append(inv.bearers, inv.brings...))
	return inv.recording.Pack()
}

// Recording returns the recording of one run of a delivery or a command of the workspace,
// as a file that "patchbay plugin replay" takes. No secret is in it: see mask. domain.ErrNotFound if none is kept, or
// not any more.
func (b *Broker) Recording(ctx context.Context, ws contract.WorkspaceID, owner string, run int) ([]byte, error) {
	d, err := b.recorded(ctx, ws, owner)
	guarded := encrypted(d)
	if err == nil {
		d, err = b.opened(d)
	}
	if err != nil {
		return nil, err
	}
	kept, err := b.opts.Store.Recording(ctx, owner, run)
	if err != nil {
		return nil, err
	}
	r, err := recording.Unpack(kept)
	if err != nil {
		return nil, fmt.Errorf("run %d of %s: %w", run, owner, err)
	}
	for i := range r.Calls {
		c := &r.Calls[i]
		if c.Function == string(contract.HostDeliveryBody) && c.Answer == nil && c.Failure == nil {
			c.Answer = append([]byte{}, d.Body...)
		}
	}
	mask(r)
	if guarded || len(handedOver(r)) > 0 { // its body was left out when the recording was made
		maskTokens(r, tokensIn(d))
	}
	return r.Encode()
}

// Recordings lists the runs of a delivery or a command of the workspace whose recordings
// are kept, counted from 1.
func (b *Broker) Recordings(ctx context.Context, ws contract.WorkspaceID, owner string) ([]int, error) {
	if _, err := b.recorded(ctx, ws, owner); err != nil {
		return nil, err
	}
	return b.opts.Store.Recordings(ctx, owner)
}

// recorded makes sure that the workspace owns a delivery or a command, and returns the
// delivery, if it is one.
func (b *Broker) recorded(ctx context.Context, ws contract.WorkspaceID, owner string) (domain.Delivery, error) {
	d, err := b.opts.Store.Delivery(ctx, contract.DeliveryID(owner))
	if err == nil && d.Workspace == ws {
		return d, nil
	}
	if err != nil && !errors.Is(err, domain.ErrNotFound) {
		return domain.Delivery{}, err
	}
	job, err := b.opts.Store.Job(ctx, owner)
	if err == nil && job.Workspace != ws {
		err = fmt.Errorf("%q: %w", owner, domain.ErrNotFound)
	}
	return domain.Delivery{}, err
}
