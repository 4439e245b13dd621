package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/egress"
	"github.com/seed75a60ee1/patchbay/host/jobs"
	"github.com/seed75a60ee1/patchbay/host/limits"
	"github.com/seed75a60ee1/patchbay/host/subscribers"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// newSubscribers makes the room that sends events to tenants. The limits must be there.
func (h *host) newSubscribers() *subscribers.Room {
	c := h.cfg.Subscribers
	return subscribers.New(subscribers.Options{
		Store: h.store, Vault: h.keeper, Egress: h.egress, Jobs: lateScheduler{h}, Metrics: h.metrics, ParseURL: egress.ParseURL,
		Policy: jobs.Policy{MaxAge: c.MaxAge, BaseDelay: c.BaseDelay, MaxDelay: c.MaxDelay},
		Window: c.Window, Timeout: c.Timeout, DisableAfter: c.DisableAfter,
		Within: func(ctx context.Context, ws contract.WorkspaceID, count func(context.Context) (int64, error), create func(context.Context) error) error {
			return h.limits.Within(ctx, ws, limits.Subscribers, count, create)
		},
		Now: time.Now, Random: rand.Reader, Log: h.log,
	})
}

// lateScheduler is the host's scheduler, for those who are made before it.
type lateScheduler struct{ h *host }

func (l lateScheduler) Add(committed ...domain.Job) { l.h.scheduler.Add(committed...) }
func (l lateScheduler) Forget(job domain.Job)       { l.h.scheduler.Forget(job) }
func (l lateScheduler) Move(moved ...domain.Job)    { l.h.scheduler.Move(moved...) }

// runners hands each job to the room that runs its kind.
type runners map[domain.JobKind]jobs.Runner

// Run runs a job; see jobs.Runner.
func (r runners) Run(ctx context.Context, job domain.Job) (domain.Job, []domain.Job, error) {
	runner := r[job.Kind]
	if runner == nil {
		return job, nil, fmt.Errorf("job %s is of the kind %q, which this version does not know; use the version that made it", job.ID, job.Kind)
	}
	return runner.Run(ctx, job)
}

// startSubscribers begins to send. What is under way is waited for when the host stops.
func (h *host) startSubscribers(ctx context.Context) error {
	if err := h.subscribers.Start(ctx); err != nil {
		return err
	}
	h.onClose(func() error {
		grace, cancel := h.grace()
		defer cancel()
		return h.subscribers.Stop(grace)
	})
	return nil
}
