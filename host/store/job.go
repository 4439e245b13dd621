package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// jobStates are the states in the order in which the index numbers them, from 1.
var jobStates = []domain.JobState{domain.JobQueued, domain.JobDone, domain.JobParked, domain.JobCancelled}

func jobState(s domain.JobState) byte {
	for i, known := range jobStates {
		if s == known {
			return byte(i + 1)
		}
	}
	return 0
}

// addJob queues a new job at the end of its lane.
func (t *tx) addJob(job domain.Job) domain.Job {
	job.Seq, job.State, job.UpdatedAt = t.next(bucketJobs), domain.JobQueued, job.CreatedAt
	if job.NotBefore.After(job.CreatedAt) {
		job.Since = job.NotBefore
	}
	t.put(bucketJobIDs, key(job.ID), packNumber(job.Seq))
	t.putJob(nil, job)
	return job
}

// addRequest queues a plugin's request to be called again.
func (t *tx) addRequest(from source, r contract.CommandRequest) domain.Job {
	id := t.ids.next("cmd")
	lane := ownLane(from.connection, id)
	if r.Lane != "" {
		lane = domain.PluginLane(from.connection, r.Lane)
	}
	return t.addJob(domain.Job{
		ID: id, Kind: domain.JobCommand, Workspace: from.ws, Connection: from.connection, Lane: lane,
		NotBefore: from.at.Add(time.Duration(r.AfterMillis) * time.Millisecond), CreatedAt: from.at,
		Command: &domain.Command{ID: contract.CommandID(id), Export: contract.ExportReconcile, By: "plugin", Payload: r.Payload},
	})
}

// ownLane is the lane of a command that waits for no other.
func ownLane(c contract.ConnectionID, id string) string {
	return "command/" + string(c) + "/own/" + id
}

// putJob replaces a job; before is nil for a new one.
func (t *tx) putJob(before *domain.Job, after domain.Job) {
	var old []entry
	if before != nil {
		old = jobIndex(*before)
	}
	t.reindex(old, jobIndex(after))
	t.putJSON(bucketJobs, newKey().number(after.Seq), after)
	if after.State == domain.JobQueued {
		t.noteQueued(after, before != nil && before.State == domain.JobQueued)
	}
}

// noteQueued remembers a job that came into the queue. One that was in it already is known,
// but for its time if it came in this very transaction.
func (t *tx) noteQueued(job domain.Job, already bool) {
	if !already {
		t.queued = append(t.queued, job)
		return
	}
	for i := range t.queued {
		if t.queued[i].Seq == job.Seq {
			t.queued[i] = job
		}
	}
}

func jobIndex(job domain.Job) []entry {
	index := stateIndex(bucketJobListing, job.Workspace, contract.ConnectionID(job.Group()), jobState(job.State), packNumber(job.Seq))
	if job.State == domain.JobQueued {
		index = append(index, entry{bucketQueue, newKey().number(job.Seq), packTicket(job.Ticket())},
			entry{bucketLanes, laneKey(job.Lane).number(job.Seq), present})
	}
	return index
}

func laneKey(lane string) key { return newKey().text(lane) }

// laneHead returns the Seq of the first queued job of a lane; 0 if there is none.
func (t *tx) laneHead(lane string) uint64 {
	for position := range t.scan(bucketLanes, laneKey(lane), nil) {
		return unpackNumber(position)
	}
	return 0
}

func (t *tx) laneBusy(lane string) bool { return t.laneHead(lane) > 0 }

func (t *tx) jobAt(position []byte) (domain.Job, error) {
	return load[domain.Job](t, bucketJobs, position)
}

func (t *tx) job(id string) (domain.Job, error) {
	seq := t.get(bucketJobIDs, key(id))
	if seq == nil {
		return domain.Job{}, fmt.Errorf("job %q: %w", id, domain.ErrNotFound)
	}
	return t.jobAt(seq)
}

// queuedJob returns a job that has not ended; ErrConflict if it has.
func (t *tx) queuedJob(id string) (domain.Job, error) {
	job, err := t.job(id)
	if err == nil && job.State != domain.JobQueued {
		return job, fmt.Errorf("job %q is %s, not queued: %w", id, job.State, domain.ErrConflict)
	}
	return job, err
}

// jobsOf returns the jobs of a connection in one state, newest first.
func (t *tx) jobsOf(c contract.ConnectionID, state domain.JobState) ([]domain.Job, error) {
	var jobs []domain.Job
	runs := []key{stateKey(scopeConnection, string(c), jobState(state))}
	for position := range t.newest(bucketJobListing, runs, nil) {
		job, err := t.jobAt(position)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, job)
	}
	return jobs, nil
}

// Job returns a job; ErrNotFound if there is none. A released event's job is kept without
// the event.
func (s *Store) Job(ctx context.Context, id string) (domain.Job, error) {
	return view(ctx, s, "read job", func(t *tx) (domain.Job, error) { return t.job(id) })
}

// Jobs lists jobs, newest first, with the cursor of the next page. A filter without
// workspace and connection reads every job on its way.
func (s *Store) Jobs(ctx context.Context, f domain.JobFilter, p domain.Page) ([]domain.Job, string, error) {
	return paged(ctx, s, "list jobs", func(t *tx) ([]domain.Job, string, error) {
		before, err := listJobs.position(p.After)
		if err != nil {
			return nil, "", err
		}
		rows := t.scanBack(bucketJobs, nil, before)
		if runs := jobRuns(f); runs != nil {
			rows = t.newest(bucketJobListing, runs, before)
		}
		return collect(ctx, listJobs, p.Size(), rows, func(position, _ []byte) (domain.Job, bool, error) {
			job, err := t.jobAt(position)
			return job, selectsJob(f, job), err
		})
	})
}

// jobRuns returns the runs of the index that a filter needs; nil if none fits.
func jobRuns(f domain.JobFilter) []key {
	scope, id := byte(scopeConnection), string(f.Connection)
	if id == "" {
		id = string(f.Subscriber)
	}
	if id == "" {
		scope, id = scopeWorkspace, string(f.Workspace)
	}
	if id == "" {
		return nil
	}
	if f.State != "" {
		return []key{stateKey(scope, id, jobState(f.State))}
	}
	var runs []key
	for _, s := range jobStates {
		runs = append(runs, stateKey(scope, id, jobState(s)))
	}
	return runs
}

func selectsJob(f domain.JobFilter, job domain.Job) bool {
	return (f.Workspace == "" || f.Workspace == job.Workspace) &&
		(f.Connection == "" || f.Connection == job.Connection) &&
		(f.Subscriber == "" || job.Notify != nil && f.Subscriber == job.Notify.Subscriber) &&
		(f.State == "" || f.State == job.State) && (f.Kind == "" || f.Kind == job.Kind) && selectsFailure(f, job)
}

// selectsFailure looks at what the dead letter is searched for.
func selectsFailure(f domain.JobFilter, job domain.Job) bool {
	if f.Export != "" && (job.Command == nil || job.Command.Export != f.Export) {
		return false
	}
	if (f.Code != "" || f.Class != "") && job.Failure == nil {
		return false
	}
	return (f.Code == "" || f.Code == job.Failure.Code) && (f.Class == "" || f.Class == job.Failure.Class) &&
		(f.UpdatedAfter.IsZero() || job.UpdatedAt.After(f.UpdatedAfter)) &&
		(f.UpdatedBefore.IsZero() || job.UpdatedAt.Before(f.UpdatedBefore))
}

// queueChunk is how many queued jobs are read at once.
const queueChunk = 256

// QueuedJobs calls each with every queued job, in the order of Seq, and stops at its first
// error, which it returns. Jobs are read in chunks: each may call the store, and sees a
// job that is queued meanwhile as well.
func (s *Store) QueuedJobs(ctx context.Context, each func(domain.Job) error) error {
	for after := uint64(0); after < math.MaxUint64; {
		jobs, err := view(ctx, s, "read queue", func(t *tx) ([]domain.Job, error) { return t.queueAfter(after) })
		if err != nil {
			return err
		}
		for _, job := range jobs {
			if err := each(job); err != nil {
				return err
			}
			after = job.Seq
		}
		if len(jobs) < queueChunk {
			return nil
		}
	}
	return nil
}

func (t *tx) queueAfter(after uint64) ([]domain.Job, error) {
	var jobs []domain.Job
	for position := range t.scan(bucketQueue, nil, packNumber(after)) {
		if len(jobs) == queueChunk {
			break
		}
		job, err := t.jobAt(position)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, job)
	}
	return jobs, nil
}
