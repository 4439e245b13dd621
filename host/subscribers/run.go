package subscribers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// asleep is how long a job waits whose subscriber is not active. Enabling it ends the wait.
const asleep = time.Hour

// heldAttempts is the most that attempts count for whose failure was about the subscriber
// as a whole: enough for the longest waits.
const heldAttempts = 20

// Run sends the event of one job and commits what came of it; see jobs.Runner.
func (r *Room) Run(ctx context.Context, job domain.Job) (after domain.Job, spawned []domain.Job, err error) {
	after, outcome, err := r.run(ctx, job)
	if err != nil {
		outcome = "uncommitted"
	}
	r.opts.Metrics.Job(domain.JobNotify, outcome)
	return after, nil, err
}

func (r *Room) run(ctx context.Context, job domain.Job) (after domain.Job, outcome string, err error) {
	if job.Notify == nil {
		return job, "", fmt.Errorf("job %s carries no notification", job.ID)
	}
	now := r.opts.Now()
	s, err := r.opts.Store.Subscriber(ctx, job.Workspace, job.Notify.Subscriber)
	switch {
	case errors.Is(err, domain.ErrNotFound):
		return r.commit(ctx, job, domain.NotificationRun{State: domain.JobCancelled, At: now})
	case err != nil:
		return job, "", fmt.Errorf("read subscriber: %w", err)
	case s.State != domain.SubscriberActive:
		return r.commit(ctx, job, domain.NotificationRun{State: domain.JobQueued, NotBefore: now.Add(asleep), At: now})
	}
	if until := r.health(s.ID).asksFor(now); !until.IsZero() {
		return r.commit(ctx, job, domain.NotificationRun{State: domain.JobQueued, NotBefore: until, At: now})
	}
	e, err := r.opts.Store.Event(ctx, job.Workspace, job.Notify.Event)
	switch {
	case errors.Is(err, domain.ErrNotFound):
		return r.commit(ctx, job, domain.NotificationRun{State: domain.JobCancelled, At: now, Failure: &contract.Failure{
			Class: contract.FailurePermanent, Code: "event_removed", Message: "The event was removed before it was taken."}})
	case err != nil:
		return job, "", fmt.Errorf("read event: %w", err)
	}
	return r.send(ctx, s, job, e)
}

// send makes one attempt for a job.
func (r *Room) send(ctx context.Context, s domain.Subscriber, job domain.Job, e domain.Event) (domain.Job, string, error) {
	o := r.attempt(ctx, s, e)
	r.opts.Metrics.Notification(o.name(), -1, o.took)
	now := r.opts.Now()
	run := domain.NotificationRun{State: domain.JobDone, Tried: true, At: now}
	switch {
	case o.cut:
		return job, "", fmt.Errorf("send event %s to subscriber %s: %w", e.ID, s.ID, context.Cause(ctx))
	case o.failure == nil:
		if r.health(s.ID).took() {
			r.hasten(s)
		}
		return r.commit(ctx, job, run)
	case o.gone:
		if err := r.disable(ctx, s, "It answered 410 Gone: "+orNothing(o.excerpt)); err != nil {
			return job, "", err
		}
		run.State, run.NotBefore, run.Failure = domain.JobQueued, now.Add(asleep), o.failure
		return r.commit(ctx, job, run)
	}
	r.health(s.ID).failed(now, o.holds, o.wait)
	aged := job
	if s.ActiveSince.After(aged.Began()) {
		aged.Since = s.ActiveSince // it could not be sent before
	}
	if o.holds { // it says nothing about the event, which therefore grows no older by it
		aged.Since, aged.Attempts = now, aged.Before+min(aged.Tries(), heldAttempts)
	}
	run.Failure = o.failure
	run.State, run.NotBefore = r.opts.Policy.Next(aged, *o.failure, now)
	after, outcome, err := r.commit(ctx, job, run)
	return after, outcome, err
}

// commit keeps what came of a run, and acts on how the subscriber is doing.
func (r *Room) commit(ctx context.Context, job domain.Job, run domain.NotificationRun) (domain.Job, string, error) {
	run.JobID = job.ID
	after, progress, err := r.opts.Store.CommitNotification(ctx, run)
	switch {
	case errors.Is(err, domain.ErrConflict): // cancelled while it ran
		job.State = domain.JobCancelled
		return job, string(domain.JobCancelled), nil
	case err != nil:
		return job, "", fmt.Errorf("commit job %s: %w", job.ID, err)
	}
	outcome := string(after.State)
	if after.State == domain.JobQueued {
		outcome = "retry"
	}
	if run.Failure == nil || !run.Tried {
		return after, outcome, nil
	}
	if s, err := r.opts.Store.Subscriber(ctx, job.Workspace, job.Notify.Subscriber); err == nil && s.State == domain.SubscriberActive {
		if _, err := r.judge(ctx, s, progress); err != nil { // the next failure is judged again
			r.opts.Log.Error("it could not be kept that a subscriber fails", "subscriber", s.ID, "error", err)
		}
	}
	return after, outcome, nil
}
