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
// The raw body is left out of it: the store has that already.
func (inv *invocation) packed() []byte {
	if inv.recording == nil {
		return nil
	}
	for i := range inv.recording.Calls {
		c := &inv.recording.Calls[i]
		if c.Function == string(contract.HostDeliveryBody) && inv.body != nil && bytes.Equal(c.Answer, inv.body) {
			c.Answer = nil
		}
	}
	maskTokens(inv.recording)
	return inv.recording.Pack()
}

// Recording returns the recording of one run of a delivery or a command of the workspace,
// as a file that "patchbay plugin replay" takes. No secret is in it: see mask. domain.ErrNotFound if none is kept, or
// not any more.
func (b *Broker) Recording(ctx context.Context, ws contract.WorkspaceID, owner string, run int) ([]byte, error) {
	body, err := b.recorded(ctx, ws, owner)
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
			c.Answer = body
		}
	}
	mask(r)
	if len(handedOver(r)) > 0 {
		maskTokens(r) // the body of a delivery was left out when the recording was made
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

// recorded makes sure that the workspace owns a delivery or a command, and returns the body
// of a delivery.
func (b *Broker) recorded(ctx context.Context, ws contract.WorkspaceID, owner string) (body []byte, err error) {
	d, err := b.opts.Store.Delivery(ctx, contract.DeliveryID(owner))
	if err == nil && d.Workspace == ws {
		return append([]byte{}, d.Body...), nil
	}
	if err != nil && !errors.Is(err, domain.ErrNotFound) {
		return nil, err
	}
	job, err := b.opts.Store.Job(ctx, owner)
	if err == nil && job.Workspace != ws {
		err = fmt.Errorf("%q: %w", owner, domain.ErrNotFound)
	}
	return nil, err
}
