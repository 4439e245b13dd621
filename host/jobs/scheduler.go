// Package jobs runs durable jobs in their lanes.
//
// The store keeps the jobs; the [Scheduler] keeps, in memory, only their names and due
// times, read once at the start. The jobs of one lane run one at a time in the order in
// which they were committed, so a failing job makes its own lane wait and no other.
// Workspaces take turns, so that one tenant's million jobs do not delay another's first.
package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

// Queue is where the jobs are kept.
type Queue interface {
	// QueuedJobs calls visit with every queued job, in the order of Seq.
	QueuedJobs(ctx context.Context, visit func(domain.Job) error) error
	Job(ctx context.Context, id string) (domain.Job, error)
}

// Runner runs one job and commits what came of it. It returns the job as it stands now
// and the jobs that the run brought forth. An error means that nothing was committed: the
// job is run again.
type Runner interface {
	Run(ctx context.Context, job domain.Job) (after domain.Job, spawned []domain.Job, err error)
}

// Options says how a scheduler works.
type Options struct {
	Queue  Queue
	Runner Runner
	// Workers is how many jobs run at the same time; 0 means 16.
	Workers int
	// Again is how long to wait after a run that could not be committed; 0 means 1 s.
	Again time.Duration
	Log   *slog.Logger
}

// Scheduler runs jobs. It is safe for concurrent use.
type Scheduler struct {
	opts   Options
	tokens chan struct{} // one per worker that is free
	wake   chan struct{} // capacity 1: something changed

	mu    sync.Mutex
	lanes map[string]*lane
	ready turns   // lanes whose head is due
	later dueHeap // lanes whose head is not
	count int     // queued jobs, the running ones included

	stop    context.CancelFunc
	running sync.WaitGroup
}

// New makes a scheduler; Start starts it.
func New(opts Options) *Scheduler {
	if opts.Workers == 0 {
		opts.Workers = 16
	}
	if opts.Again == 0 {
		opts.Again = time.Second
	}
	return &Scheduler{opts: opts, tokens: make(chan struct{}, opts.Workers),
		wake: make(chan struct{}, 1), lanes: map[string]*lane{}}
}

// Start reads the queue and begins to run jobs. It returns once the queue is read.
func (s *Scheduler) Start(ctx context.Context) error {
	err := s.opts.Queue.QueuedJobs(ctx, func(job domain.Job) error {
		s.Add(job)
		return nil
	})
	if err != nil {
		return fmt.Errorf("start jobs: %w", err)
	}
	loop, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.running.Go(func() { s.dispatch(loop) })
	return nil
}

// Stop starts no more jobs and waits for the running ones, whose contexts it leaves
// alone, or until ctx ends. What did not run is still in the store.
func (s *Scheduler) Stop(ctx context.Context) error {
	s.stop()
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop jobs: some still run: %w", ctx.Err())
	}
}

// Add makes committed jobs known. Adding one that is known already changes nothing.
func (s *Scheduler) Add(committed ...domain.Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, job := range committed {
		if job.State == domain.JobQueued {
			s.place(job)
		}
	}
	s.nudge()
}

// Forget makes a job that left the queue by other means (cancelled, released) stop
// holding up its lane.
func (s *Scheduler) Forget(job domain.Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[job.Lane]
	if l == nil || l.running && l.head().id == job.ID {
		return // unknown, or it ends by itself
	}
	if l.remove(job.ID) {
		s.count--
		s.settle(l)
	}
	s.nudge()
}

// Backlog returns how many jobs are queued and how long the one that has waited longest
// past its time has waited.
func (s *Scheduler) Backlog(now time.Time) (queued int, oldest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lanes {
		if !l.running && len(l.tickets) > 0 {
			oldest = max(oldest, now.Sub(l.head().due))
		}
	}
	return s.count, oldest
}

// place puts a job into its lane. The caller holds mu.
func (s *Scheduler) place(job domain.Job) {
	l := s.lanes[job.Lane]
	if l == nil {
		l = &lane{name: job.Lane, workspace: string(job.Workspace), heapIndex: -1}
		s.lanes[job.Lane] = l
	}
	if !l.insert(ticket{id: job.ID, seq: job.Seq, due: job.NotBefore}) {
		return
	}
	s.count++
	s.settle(l)
}

// settle puts a lane that does not run where its head says. The caller holds mu.
func (s *Scheduler) settle(l *lane) {
	if l.running {
		return
	}
	s.later.take(l)
	if len(l.tickets) == 0 {
		if !l.ready {
			delete(s.lanes, l.name)
		}
		return
	}
	if !l.ready {
		s.later.put(l)
	}
}

func (s *Scheduler) nudge() {
	select {
	case s.wake <- struct{}{}:
	default: // a nudge is under way already
	}
}

// dispatch hands due lanes to workers until ctx ends.
func (s *Scheduler) dispatch(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select { // the worker first, then the lane: a turn taken early would be an unfair one
		case s.tokens <- struct{}{}:
		case <-ctx.Done():
			return
		}
		l := s.await(ctx, timer)
		if l == nil {
			return
		}
		s.running.Go(func() { s.work(ctx, l) })
	}
}

// await returns the next lane to run, marked as running, or nil once ctx has ended.
func (s *Scheduler) await(ctx context.Context, timer *time.Timer) *lane {
	for {
		l, wait := s.next(time.Now())
		if l != nil {
			return l
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// idle is how long the dispatcher sleeps if no job has a time; a nudge ends it earlier.
const idle = time.Hour

// next returns the lane whose turn it is, marked as running, or how long to wait.
func (s *Scheduler) next(now time.Time) (*lane, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := s.later.first(); l != nil && !l.head().due.After(now); l = s.later.first() {
		s.later.take(l)
		l.ready = true
		s.ready.push(l)
	}
	for l := s.ready.pop(); l != nil; l = s.ready.pop() {
		l.ready = false
		if len(l.tickets) > 0 && !l.head().due.After(now) {
			l.running = true
			return l, 0
		}
		s.settle(l) // its head was forgotten meanwhile
	}
	if l := s.later.first(); l != nil {
		return nil, l.head().due.Sub(now)
	}
	return nil, idle
}

// work runs the head of a lane and gives the lane back.
func (s *Scheduler) work(ctx context.Context, l *lane) {
	defer func() { <-s.tokens }()
	s.mu.Lock()
	head := l.head()
	s.mu.Unlock()
	after, spawned, err := s.run(context.WithoutCancel(ctx), head.id)

	s.mu.Lock()
	defer s.mu.Unlock()
	l.running = false
	switch {
	case err != nil:
		s.opts.Log.Error("a job could not be run or committed; it is tried again",
			"job", head.id, "lane", l.name, "error", err)
		l.delay(head.id, time.Now().Add(s.opts.Again))
	case after.State == domain.JobQueued:
		l.delay(head.id, after.NotBefore)
	case l.remove(head.id):
		s.count--
	}
	s.settle(l)
	for _, job := range spawned {
		if job.State == domain.JobQueued {
			s.place(job)
		}
	}
	s.nudge()
}

// run runs a job unless it left the queue meanwhile.
func (s *Scheduler) run(ctx context.Context, id string) (domain.Job, []domain.Job, error) {
	job, err := s.opts.Queue.Job(ctx, id)
	if err != nil {
		return domain.Job{}, nil, fmt.Errorf("read job %s: %w", id, err)
	}
	if job.State.Ended() {
		return job, nil, nil
	}
	if wait := time.Until(job.NotBefore); wait > 0 {
		return job, nil, nil // postponed meanwhile: it comes back at its time
	}
	return s.opts.Runner.Run(ctx, job)
}
