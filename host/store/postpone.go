package store

import (
	"context"
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// PostponeEvent keeps the job of an event that could not be made visible yet for another
// run, no earlier than until, and counts the run. ErrNotFound if there is no such job,
// ErrConflict if it has ended.
func (s *Store) PostponeEvent(ctx context.Context, jobID string, why contract.Failure, at, until time.Time) (domain.Job, error) {
	return change(ctx, s, "postpone event", func(t *tx) (domain.Job, error) {
		job, err := t.queuedJob(jobID)
		if err != nil {
			return domain.Job{}, err
		}
		if job.Kind != domain.JobEvent {
			return domain.Job{}, fmt.Errorf("job %q carries no event: %w", jobID, domain.ErrNotFound)
		}
		after := job
		after.Attempts++
		after.Failure, after.NotBefore, after.UpdatedAt = &why, until, at
		t.putJob(&job, after)
		return after, nil
	})
}
