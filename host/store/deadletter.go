package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// What failed for good is listed oldest first, unlike anything else: whoever queues it again
// must begin with the first of each lane.

// maxSearched is how many records one page of a dead letter reads at most. A filter that
// selects few of a million answers pages that are not full, or empty.
const maxSearched = 5000

// OldestJobs lists jobs in one state, oldest first, with the cursor of the next page. The
// filter has a state and at least one of workspace, connection and subscriber. A page may
// hold fewer jobs than its limit, or none, with others behind it.
func (s *Store) OldestJobs(ctx context.Context, f domain.JobFilter, p domain.Page) ([]domain.Job, string, error) {
	return paged(ctx, s, "list jobs, oldest first", func(t *tx) ([]domain.Job, string, error) {
		after, err := listOldestJobs.position(p.After)
		if err != nil {
			return nil, "", err
		}
		runs := jobRuns(f)
		if f.State == "" || len(runs) != 1 {
			return nil, "", errBroad
		}
		search := search[domain.Job]{listing: listOldestJobs, size: p.Size()}
		for position := range t.scan(bucketJobListing, runs[0], after) {
			job, err := t.jobAt(position)
			if err != nil {
				return nil, "", err
			}
			if !search.take(position, job, selectsJob(f, job)) {
				break
			}
		}
		return search.found, search.next, ctx.Err()
	})
}

// OldestDeliveries lists the deliveries of a workspace in one state, without their bodies:
// connection by connection, oldest first. Pages are like those of OldestJobs.
func (s *Store) OldestDeliveries(ctx context.Context, f domain.DeliveryFilter, p domain.Page) ([]domain.Delivery, string, error) {
	return paged(ctx, s, "list deliveries, oldest first", func(t *tx) ([]domain.Delivery, string, error) {
		after, err := listOldestDeliveries.position(p.After)
		if err != nil {
			return nil, "", err
		}
		if f.State == "" || f.Workspace == "" {
			return nil, "", errBroad
		}
		search := search[domain.Delivery]{listing: listOldestDeliveries, size: p.Size()}
		for _, run := range t.deliveryRuns(f) {
			rest, within := bytes.CutPrefix(after, run)
			if !within && bytes.Compare(run, after) < 0 {
				continue // an earlier page had it
			}
			if !within {
				rest = nil
			}
			for id := range t.scan(bucketDeliveryListing, run, rest) {
				d, err := t.delivery(contract.DeliveryID(id))
				if err != nil {
					return nil, "", err
				}
				if !search.take(run.with(id), d, selectsDelivery(f, d)) {
					return search.found, search.next, ctx.Err()
				}
			}
		}
		return search.found, search.next, ctx.Err()
	})
}

var errBroad = errors.New("BUG: a listing from the oldest on is about one state of one workspace, connection or subscriber")

// search collects one page of a listing that reads a bounded number of records.
type search[T any] struct {
	listing  listing
	size     int
	searched int
	last     []byte
	found    []T
	next     string
}

// take adds a record if it was selected. It returns false, and sets next, if the record
// belongs to the next page.
func (s *search[T]) take(position []byte, record T, selected bool) bool {
	if s.searched == maxSearched || selected && len(s.found) == s.size {
		s.next = s.listing.cursor(s.last)
		return false
	}
	s.searched++
	s.last = bytes.Clone(position)
	if selected {
		s.found = append(s.found, record)
	}
	return true
}

// RequeueJobs does as RequeueJob for several jobs, in one transaction. It returns those that
// it queued, and why it skipped the others.
func (s *Store) RequeueJobs(ctx context.Context, ids []string, at time.Time) ([]domain.Job, []domain.Skipped, error) {
	return s.eachJob(ctx, "requeue jobs", ids, func(t *tx, id string) (domain.Job, error) { return t.requeue(id, at) })
}

// CancelJobs does as CancelJob for several jobs, in one transaction. It returns those that
// it cancelled, and why it skipped the others.
func (s *Store) CancelJobs(ctx context.Context, ids []string) ([]domain.Job, []domain.Skipped, error) {
	now := s.opts.Now()
	return s.eachJob(ctx, "cancel jobs", ids, func(t *tx, id string) (domain.Job, error) { return t.cancelWaiting(id, now) })
}

// eachJob changes several jobs. change leaves everything as it is if it answers that a job
// has changed or is gone.
func (s *Store) eachJob(ctx context.Context, what string, ids []string, one func(*tx, string) (domain.Job, error)) ([]domain.Job, []domain.Skipped, error) {
	type outcome struct {
		done    []domain.Job
		skipped []domain.Skipped
	}
	all, err := change(ctx, s, what, func(t *tx) (o outcome, err error) {
		for _, id := range ids {
			job, err := one(t, id)
			switch {
			case errors.Is(err, domain.ErrConflict), errors.Is(err, domain.ErrNotFound):
				o.skipped = append(o.skipped, domain.Skipped{ID: id, Why: err.Error()})
			case err != nil:
				return o, err
			default:
				o.done = append(o.done, job)
			}
		}
		return o, nil
	})
	return all.done, all.skipped, err
}

// requeue queues a parked job again. It changes nothing if it fails.
func (t *tx) requeue(id string, at time.Time) (domain.Job, error) {
	before, err := t.job(id)
	if err != nil {
		return before, err
	}
	if before.State != domain.JobParked {
		return before, fmt.Errorf("job %q: %w", id, &domain.WrongState{State: before.State, Wanted: "parked"})
	}
	if before.Connection != "" { // a notification outlives its connection
		if err := t.owns(before.Workspace, before.Connection); err != nil {
			return before, err
		}
	}
	m, err := t.messageOf(before)
	if err != nil {
		return before, err
	}
	if m != nil && m.Status == contract.MessageFailed {
		waiting := *m
		waiting.Status, waiting.Failure, waiting.UpdatedAt = contract.MessageQueued, nil, at
		t.putMessage(m, waiting)
	}
	after := before
	after.State, after.Failure, after.NotBefore, after.UpdatedAt = domain.JobQueued, nil, at, at
	after.Since, after.Before = at, before.Attempts
	t.putJob(&before, after)
	return after, nil
}

// cancelWaiting ends a queued or parked job. It changes nothing if it fails.
func (t *tx) cancelWaiting(id string, now time.Time) (domain.Job, error) {
	job, err := t.job(id)
	if err != nil {
		return job, err
	}
	if job.State != domain.JobQueued && job.State != domain.JobParked {
		return job, fmt.Errorf("job %q: %w", id, &domain.WrongState{State: job.State, Wanted: "queued or parked"})
	}
	return t.cancel(job, "cancelled", "The command was cancelled.", now)
}
