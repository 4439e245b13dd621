package tenant

import (
	"context"
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// bulkBatch is how many jobs are changed by one transaction.
const bulkBatch = 256

// RetryParked queues the parked jobs that the filter selects again, oldest first, each in
// its old place, one page of them; the filter's workspace and state do not count. What it
// answers names the next page.
func (s *Service) RetryParked(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, f domain.JobFilter, p domain.Page) (domain.Bulk, error) {
	return s.bulk(ctx, by, ws, f, p, "jobs.retried", func(ids []string) ([]domain.Job, []domain.Skipped, error) {
		done, skipped, err := s.opts.Store.RequeueJobs(ctx, ids, s.opts.Now())
		s.opts.Jobs.Add(done...)
		return done, skipped, err
	})
}

// CancelParked gives the parked jobs that the filter selects up, as RetryParked queues them
// again.
func (s *Service) CancelParked(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, f domain.JobFilter, p domain.Page) (domain.Bulk, error) {
	return s.bulk(ctx, by, ws, f, p, "jobs.cancelled", func(ids []string) ([]domain.Job, []domain.Skipped, error) {
		done, skipped, err := s.opts.Store.CancelJobs(ctx, ids)
		for _, job := range done {
			s.opts.Jobs.Forget(job)
		}
		return done, skipped, err
	})
}

// bulk changes one page of parked jobs, batch by batch, and says so in the audit log.
func (s *Service) bulk(ctx context.Context, by domain.Actor, ws contract.WorkspaceID, f domain.JobFilter, p domain.Page, action string,
	change func(ids []string) ([]domain.Job, []domain.Skipped, error)) (domain.Bulk, error) {
	if _, err := s.opts.Store.Workspace(ctx, ws); err != nil {
		return domain.Bulk{}, fmt.Errorf("workspace: %w", err)
	}
	f.Workspace, f.State = ws, domain.JobParked
	found, next, err := s.opts.Store.OldestJobs(ctx, f, p)
	if err != nil {
		return domain.Bulk{}, fmt.Errorf("search the dead letter: %w", err)
	}
	done := domain.Bulk{Matched: len(found), Skipped: []domain.Skipped{}, Next: next}
	for len(found) > 0 && err == nil {
		batch := found[:min(len(found), bulkBatch)]
		found = found[len(batch):]
		err = s.changeBatch(&done, batch, change)
	}
	if done.Done > 0 {
		s.audit(ctx, by, action, ws, f.Connection, string(f.Subscriber), fmt.Sprintf("%d of %d", done.Done, done.Matched))
	}
	return done, err
}

func (s *Service) changeBatch(sum *domain.Bulk, batch []domain.Job, change func([]string) ([]domain.Job, []domain.Skipped, error)) error {
	ids := make([]string, len(batch))
	for i, job := range batch {
		ids[i] = job.ID
	}
	done, skipped, err := change(ids)
	if err != nil {
		return fmt.Errorf("after %d jobs: %w", sum.Done, err)
	}
	sum.Done += len(done)
	sum.Skipped = append(sum.Skipped, skipped...)
	return nil
}
