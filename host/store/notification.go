package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const listNotifications listing = 'o'

// notificationID names the job of one event for one subscriber in one round. That it is
// made of these makes a second job for the same impossible, whatever is killed when.
func notificationID(id domain.SubscriberID, round, seq uint64) string {
	return "ntf_" + strings.TrimPrefix(string(id), "sub_") + "_" + strconv.FormatUint(round, 36) + "_" + strconv.FormatUint(seq, 10)
}

func notifyLane(id domain.SubscriberID, e domain.Event) string {
	return domain.NotifyLane(id, e.Connection, e.ConversationID())
}

// NotificationLane tells how an event stands with a subscriber: whether it has a job
// already, in this round, and whether others of its lane wait.
func (s *Store) NotificationLane(ctx context.Context, id domain.SubscriberID, round uint64, e domain.Event) (known, busy bool, err error) {
	type answer struct{ known, busy bool }
	a, err := view(ctx, s, "read notifications", func(t *tx) (answer, error) {
		return answer{t.has(bucketJobIDs, key(notificationID(id, round, e.Seq))), t.laneBusy(notifyLane(id, e))}, nil
	})
	return a.known, a.busy, err
}

// DeferNotifications queues events for a subscriber, and keeps why the first of them was
// not taken. ErrNotFound if the subscriber is gone.
func (s *Store) DeferNotifications(ctx context.Context, ws contract.WorkspaceID, d domain.Deferral) (domain.Deferred, error) {
	return change(ctx, s, "queue notifications", func(t *tx) (domain.Deferred, error) {
		return t.deferNotifications(ws, d)
	})
}

func (t *tx) deferNotifications(ws contract.WorkspaceID, d domain.Deferral) (domain.Deferred, error) {
	var done domain.Deferred
	if _, err := t.subscriber(ws, d.Subscriber); err != nil {
		return done, err
	}
	p, err := t.subscriberProgress(d.Subscriber)
	if err != nil {
		return done, err
	}
	for i, e := range d.Events {
		id, lane := notificationID(d.Subscriber, p.Round, e.Seq), notifyLane(d.Subscriber, e)
		switch {
		case t.has(bucketJobIDs, key(id)):
			continue
		case d.OnlyBehind && !t.laneBusy(lane):
			done.Free = append(done.Free, e.Seq)
			continue
		}
		job := domain.Job{ID: id, Kind: domain.JobNotify, Workspace: ws, Lane: lane, NotBefore: d.At, CreatedAt: d.At,
			Notify: &domain.Notification{Subscriber: d.Subscriber, Event: e.Seq}}
		if i == 0 && d.Failure != nil {
			job.Attempts, job.Failure, job.NotBefore = 1, d.Failure, d.NotBefore
		}
		done.Jobs = append(done.Jobs, t.addJob(job))
	}
	done.Progress = p
	if d.Failure != nil {
		done.Progress, err = t.reportSubscriber(d.Subscriber, domain.SubscriberReport{Failure: d.Failure, FailedAt: d.At})
	}
	return done, err
}

// CommitNotification keeps what came of one run of a notification. ErrConflict if the job
// has ended meanwhile.
func (s *Store) CommitNotification(ctx context.Context, r domain.NotificationRun) (domain.Job, domain.SubscriberProgress, error) {
	type answer struct {
		job      domain.Job
		progress domain.SubscriberProgress
	}
	a, err := change(ctx, s, "commit notification", func(t *tx) (a answer, err error) {
		a.job, a.progress, err = t.commitNotification(r)
		return a, err
	})
	return a.job, a.progress, err
}

func (t *tx) commitNotification(r domain.NotificationRun) (domain.Job, domain.SubscriberProgress, error) {
	var p domain.SubscriberProgress
	before, err := t.queuedJob(r.JobID)
	if err != nil {
		return before, p, err
	}
	if before.Notify == nil || jobState(r.State) == 0 {
		return before, p, fmt.Errorf("job %q is no notification: %w", r.JobID, domain.ErrNotFound)
	}
	after := before
	after.State, after.UpdatedAt = r.State, r.At
	if r.Tried || r.Failure != nil {
		after.Failure = r.Failure
	}
	if r.State == domain.JobQueued {
		after.NotBefore = r.NotBefore
	}
	report := domain.SubscriberReport{Failure: r.Failure, FailedAt: r.At}
	if r.Tried {
		if after.Attempts++; r.Failure == nil {
			report.TakenAt = r.At
		}
	}
	t.putJob(&before, after)
	if after.State == domain.JobParked && after.Failure != nil {
		t.notice(domain.Notice{At: r.At, Kind: domain.NoticeJobParked, Workspace: after.Workspace, Target: after.ID,
			Detail: fmt.Sprintf("Event %d was not taken by subscriber %s after %d attempts (%s): %s",
				after.Notify.Event, after.Notify.Subscriber, after.Attempts, after.Failure.Code, after.Failure.Message)})
	}
	if !r.Tried || !t.has(bucketSubscriberProgress, key(before.Notify.Subscriber)) {
		return after, p, nil
	}
	p, err = t.reportSubscriber(before.Notify.Subscriber, report)
	return after, p, err
}

// Notifications lists the jobs of a subscriber in one state, newest first, with the cursor
// of the next page. ErrNotFound if the workspace has no such subscriber.
func (s *Store) Notifications(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, state domain.JobState, p domain.Page) ([]domain.Job, string, error) {
	return paged(ctx, s, "list notifications", func(t *tx) ([]domain.Job, string, error) {
		if _, err := t.subscriber(ws, id); err != nil {
			return nil, "", err
		}
		before, err := listNotifications.position(p.After)
		if err != nil {
			return nil, "", err
		}
		return collect(ctx, listNotifications, p.Size(), t.newest(bucketJobListing, subscriberRuns(id, state), before),
			func(position, _ []byte) (domain.Job, bool, error) {
				job, err := t.jobAt(position)
				return job, true, err
			})
	})
}

// RetryNotifications queues the parked jobs of a subscriber again, in a new series
// of attempts. They are committed in batches; moved is told of each, and how many
// there were in all is returned. ErrNotFound if the workspace has no such subscriber.
func (s *Store) RetryNotifications(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, at time.Time, moved func([]domain.Job)) (int, error) {
	return s.moveNotifications(ctx, ws, id, domain.JobParked, moved, func(job *domain.Job) bool {
		job.State, job.NotBefore, job.Failure, job.UpdatedAt = domain.JobQueued, at, nil, at
		job.Before, job.Since = job.Attempts, at
		return true
	})
}

// HastenNotifications makes the queued jobs of a subscriber that wait for a later time due
// now. Otherwise it is like RetryNotifications.
func (s *Store) HastenNotifications(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, at time.Time, moved func([]domain.Job)) (int, error) {
	return s.moveNotifications(ctx, ws, id, domain.JobQueued, moved, func(job *domain.Job) bool {
		if !job.NotBefore.After(at) {
			return false
		}
		job.NotBefore, job.UpdatedAt = at, at
		return true
	})
}

// notificationChunk is how many jobs of a subscriber are looked at or changed at once.
const notificationChunk = 200

// moveNotifications changes the jobs of a subscriber that are in one state: those that move
// returns true for. They are looked for in reads, so that only what changes takes the
// writer's time.
func (s *Store) moveNotifications(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, state domain.JobState, told func([]domain.Job), move func(*domain.Job) bool) (int, error) {
	total := 0
	for after := []byte(nil); ; {
		jobs, err := view(ctx, s, "read notifications", func(t *tx) ([]domain.Job, error) {
			if _, err := t.subscriber(ws, id); err != nil {
				return nil, err
			}
			return t.notificationsAfter(id, state, after)
		})
		if err != nil {
			return total, err
		}
		moved, err := s.moveAll(ctx, jobs, state, move)
		if err != nil {
			return total, err
		}
		if total += len(moved); len(moved) > 0 {
			told(moved)
		}
		if len(jobs) < notificationChunk {
			return total, nil
		}
		after = packNumber(jobs[len(jobs)-1].Seq)
	}
}

func (t *tx) notificationsAfter(id domain.SubscriberID, state domain.JobState, after []byte) ([]domain.Job, error) {
	var jobs []domain.Job
	for position := range t.scan(bucketJobListing, subscriberRuns(id, state)[0], after) {
		job, err := t.jobAt(position)
		if err != nil {
			return nil, err
		}
		if jobs = append(jobs, job); len(jobs) == notificationChunk {
			break
		}
	}
	return jobs, nil
}

// moveAll changes those of the jobs that are still in the state and that move returns true
// for, in one transaction.
func (s *Store) moveAll(ctx context.Context, jobs []domain.Job, state domain.JobState, move func(*domain.Job) bool) ([]domain.Job, error) {
	jobs = slices.DeleteFunc(jobs, func(job domain.Job) bool { return !move(&job) })
	if len(jobs) == 0 {
		return nil, nil
	}
	return change(ctx, s, "move notifications", func(t *tx) ([]domain.Job, error) {
		var moved []domain.Job
		for _, job := range jobs {
			before, err := t.job(job.ID)
			if err != nil {
				return nil, err
			}
			if after := before; before.State == state && move(&after) {
				t.putJob(&before, after)
				moved = append(moved, after)
			}
		}
		return moved, nil
	})
}

// EndNotifications cancels jobs of a subscriber, queued or parked, at most limit (0 means
// all). It returns them; fewer than limit means that there are no more.
func (s *Store) EndNotifications(ctx context.Context, id domain.SubscriberID, limit int, at time.Time) ([]domain.Job, error) {
	return change(ctx, s, "end notifications", func(t *tx) ([]domain.Job, error) { return t.endNotifications(id, limit, at) })
}

func (t *tx) endNotifications(id domain.SubscriberID, limit int, at time.Time) ([]domain.Job, error) {
	var doomed []domain.Job
	runs := append(subscriberRuns(id, domain.JobQueued), subscriberRuns(id, domain.JobParked)...)
	for position := range t.newest(bucketJobListing, runs, nil) {
		job, err := t.jobAt(position)
		if err != nil {
			return nil, err
		}
		if doomed = append(doomed, job); len(doomed) == limit {
			break
		}
	}
	for i, job := range doomed {
		ended, err := t.cancel(job, "subscriber_removed", "The subscriber was removed.", at)
		if err != nil {
			return nil, err
		}
		doomed[i] = ended
	}
	return doomed, nil
}

// Event returns one event of a workspace; ErrNotFound if it is not kept (any more).
func (s *Store) Event(ctx context.Context, ws contract.WorkspaceID, seq uint64) (domain.Event, error) {
	return view(ctx, s, "read event", func(t *tx) (domain.Event, error) {
		e, err := load[domain.Event](t, bucketEvents, workspaceKey(ws).number(seq))
		if err != nil {
			return e, fmt.Errorf("event %d of workspace %q: %w", seq, ws, err)
		}
		return e, nil
	})
}
