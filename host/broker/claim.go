package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// taking is how a delivery is taken.
type taking struct {
	// forced has it take effect although the connection has seen its like.
	forced bool
	// claim is the job that runs it, if it waited for its connection; its platform was answered
	// then.
	claim string
}

// claim runs a delivery that waited until its connection registered the key. Those of one key
// run in the order in which they came: one that fails is tried again before the next.
func (b *Broker) claim(ctx context.Context, c domain.Connection, job domain.Job) (domain.Job, []domain.Job, error) {
	d, err := b.opts.Store.Delivery(ctx, job.Claim.Delivery)
	switch {
	case errors.Is(err, domain.ErrNotFound), err == nil && (d.State != domain.DeliveryParked || d.Connection != c.ID):
		return b.settleClaim(ctx, domain.ClaimEnd{JobID: job.ID, State: domain.JobDone, Unbegun: true}) // it has run, or is gone
	case err != nil:
		return job, nil, fmt.Errorf("read claimed delivery: %w", err)
	}
	if wait := b.opts.Limits.Debt(job.Workspace); wait > 0 {
		return b.settleClaim(ctx, domain.ClaimEnd{JobID: job.ID, State: domain.JobQueued, Unbegun: true,
			NotBefore: b.opts.Now().Add(wait), Failure: job.Failure})
	}
	began := time.Now()
	_, outcome, recorded, err := b.attempt(ctx, c, &d, taking{claim: job.ID})
	d.Took = time.Since(began)
	switch {
	case err == nil:
		b.opts.Metrics.Delivery(c.Plugin, outcome, d.Took)
		after, err := b.opts.Store.Job(ctx, job.ID)
		return after, nil, err
	case ctx.Err() != nil || interrupted(err):
		return job, nil, err // the host stops: the job is run again
	case errors.Is(err, domain.ErrConflict):
		if now, readErr := b.opts.Store.Job(ctx, job.ID); readErr == nil && now.State.Ended() {
			return now, nil, nil
		}
	}
	return b.claimFailed(ctx, c, job, d, recorded, err)
}

// claimFailed has a claimed delivery tried again, or fail for good: then it is like any other
// that failed, and can be replayed.
func (b *Broker) claimFailed(ctx context.Context, c domain.Connection, job domain.Job, d domain.Delivery, recorded []byte, cause error) (domain.Job, []domain.Job, error) {
	now := b.opts.Now()
	failure := contract.Failure{Class: contract.FailureRetry, Code: failureCode(cause), Message: bounded(cause.Error())}
	next := b.opts.Policy.Next
	if pluginBroke(cause) {
		next = b.opts.Policy.Fault
	}
	end := domain.ClaimEnd{JobID: job.ID, Failure: &failure}
	end.State, end.NotBefore = next(job, failure, now)
	b.opts.Log.Error("a claimed delivery failed", "delivery", d.ID, "connection", c.ID, "plugin", c.Plugin,
		"code", failure.Code, "attempt", job.Attempts+1, "again", end.State == domain.JobQueued, "cause", cause)
	if end.State != domain.JobQueued {
		end.State = domain.JobCancelled // the delivery takes over
		d.State, d.Code, d.Reason, d.Attempts = domain.DeliveryFailed, failure.Code, failure.Message, d.Attempts+1
		d.Body = bytes.Clone(d.Body)
		end.Delivery, end.Recording = &d, recorded
		b.opts.Metrics.Delivery(c.Plugin, "failed", d.Took)
	}
	return b.settleClaim(ctx, end)
}

// pluginBroke tells whether the plugin itself failed, and not the host.
func pluginBroke(err error) bool {
	return kindOf(err) != "host" && !errors.Is(err, registry.ErrNoPlugin)
}

func (b *Broker) settleClaim(ctx context.Context, e domain.ClaimEnd) (domain.Job, []domain.Job, error) {
	e.At = b.opts.Now()
	after, err := b.opts.Store.SettleClaim(ctx, e)
	if err != nil {
		return after, nil, fmt.Errorf("settle job %s: %w", e.JobID, err)
	}
	return after, nil, nil
}
