package store

import (
	"context"
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// claimBefore returns the job that runs a claimed delivery; nil if id is empty. ErrConflict if
// it has ended.
func (t *tx) claimBefore(id string, c contract.ConnectionID, d contract.DeliveryID) (*domain.Job, error) {
	if id == "" {
		return nil, nil
	}
	job, err := t.queuedJob(id)
	if err != nil {
		return nil, err
	}
	if job.Kind != domain.JobClaim || job.Claim == nil || job.Connection != c || job.Claim.Delivery != d {
		return nil, fmt.Errorf("job %q runs no delivery %q of connection %q: %w", id, d, c, domain.ErrNotFound)
	}
	return &job, nil
}

func (t *tx) endClaim(before domain.Job, state domain.JobState, at time.Time) domain.Job {
	after := before
	after.State, after.UpdatedAt, after.Failure = state, at, nil
	after.Attempts++
	t.putJob(&before, after)
	return after
}

// endRepeatedClaim ends the job of a delivery that turned out to repeat one that was taken.
func (t *tx) endRepeatedClaim(job domain.Job, before domain.Delivery, at time.Time) {
	after := before
	after.State, after.Attempts = domain.DeliverySuperseded, before.Attempts+1
	t.putDelivery(&before, after)
	t.endClaim(job, domain.JobDone, at)
}

// failClaimed has a claimed delivery fail whose connection goes.
func (t *tx) failClaimed(job domain.Job) error {
	before, err := t.delivery(job.Claim.Delivery)
	if err != nil {
		return err
	}
	if before.State != domain.DeliveryParked {
		return nil
	}
	after := before
	after.State, after.Code, after.Reason = domain.DeliveryFailed, "connection_deleted", "its connection was removed before it ran"
	t.putDelivery(&before, after)
	return nil
}

// SettleClaim commits a run of a claimed delivery that had no effects: it was not believed, or
// it failed. ErrConflict if the job has ended, or the delivery was accepted.
func (s *Store) SettleClaim(ctx context.Context, e domain.ClaimEnd) (domain.Job, error) {
	return change(ctx, s, "settle claimed delivery", func(t *tx) (domain.Job, error) {
		before, err := t.queuedJob(e.JobID)
		if err == nil && (before.Kind != domain.JobClaim || before.Claim == nil || jobState(e.State) == 0) {
			err = fmt.Errorf("job %q runs no claimed delivery, or cannot become %q: %w", e.JobID, e.State, domain.ErrNotFound)
		}
		if err != nil {
			return before, err
		}
		after := before
		after.State, after.Failure, after.UpdatedAt = e.State, e.Failure, e.At
		if !e.Unbegun {
			after.Attempts++
		}
		if e.State == domain.JobQueued {
			after.NotBefore = e.NotBefore
		}
		t.putJob(&before, after)
		if e.Delivery == nil {
			return after, nil
		}
		kept, err := t.delivery(e.Delivery.ID)
		if err != nil {
			return after, err
		}
		if kept.State == domain.DeliveryAccepted {
			return after, fmt.Errorf("delivery %q has been accepted: %w", kept.ID, domain.ErrConflict)
		}
		next := *e.Delivery
		next.Answered = kept.Answered
		t.putDelivery(&kept, next)
		t.putRecording(next.Workspace, string(next.ID), next.Attempts, e.Recording)
		return after, nil
	})
}
