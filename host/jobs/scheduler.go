// Package jobs runs durable jobs in their lanes.
//
// The store keeps the jobs; the [Scheduler] keeps, in memory, only their tickets, read once
// at the start. The jobs of one lane run one at a time in the order in which they were
// committed, so a failing job makes its own lane wait and no other. Workspaces take turns,
// and within one its connections and subscribers do, so that a million jobs of one do not
// delay another's first, and none of them can hold every worker.
//
// [Policy] says when a failed job runs again, and when it is left for a person to decide.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/failpoint"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Queue is where the jobs are kept.
type Queue interface {
	// QueuedTickets calls visit with the ticket of every queued job, in the order of Seq.
	QueuedTickets(ctx context.Context, visit func(domain.Ticket) error) error
	Job(ctx context.Context, id string) (domain.Job, error)
}

// Runner runs one job and commits what came of it. It returns the job as it stands now
// and the jobs that the run brought forth. An error means that nothing was committed: the
// job is run again. So does a panic.
type Runner interface {
	Run(ctx context.Context, job domain.Job) (after domain.Job, spawned []domain.Job, err error)
}

// Options says how a scheduler works.
type Options struct {
	Queue  Queue
	Runner Runner
	// Workers is how many jobs run at the same time; 0 means 16.
	Workers int
	// Again and MaxAgain bound the wait after a run that could not be committed; it doubles
	// from one to the other, less a random half. 0 means 1 s and 1 min.
	Again, MaxAgain time.Duration
	// MaxWait is the longest wait that anybody may have asked for. A job whose time is
	// further away was queued before the clock was set back, and runs at once; 0 means 8 days,
	// one more than a plugin may ask for.
	MaxWait time.Duration
	// Now is the clock on the wall; nil means time.Now.
	Now func() time.Time
	// Random returns a number in [0, n); nil means math/rand/v2.
	Random func(n int64) int64
	Log    *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Workers == 0 {
		o.Workers = 16
	}
	if o.Again == 0 {
		o.Again = time.Second
	}
	if o.MaxAgain == 0 {
		o.MaxAgain = time.Minute
	}
	if o.MaxWait == 0 {
		o.MaxWait = 8 * 24 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Int64N
	}
	return o
}

// Scheduler runs jobs. It is safe for concurrent use.
type Scheduler struct {
	opts Options
	wake chan struct{} // capacity 1: something changed

	mu    sync.Mutex
	clock *clock
	lanes map[string]*lane
	// known is the jobs in lanes by Seq, the running ones included.
	known map[uint64]struct{}
	ready turns // lanes whose head is due
	// overdue is the lanes in ready by kind, the longest due first.
	overdue map[domain.JobKind]*laneHeap
	// later is the lanes whose head is not due, or is held; held are those that would be due
	// if their last run had been committed.
	later laneHeap
	held  map[*lane]struct{}
	// queued counts known by kind.
	queued map[domain.JobKind]int

	stop    context.CancelFunc
	running sync.WaitGroup
}

// New makes a scheduler; Start starts it.
func New(opts Options) *Scheduler {
	opts = opts.withDefaults()
	s := &Scheduler{opts: opts, wake: make(chan struct{}, 1), clock: newClock(opts.Now), lanes: map[string]*lane{},
		known: map[uint64]struct{}{}, ready: newTurns(opts.Workers), overdue: map[domain.JobKind]*laneHeap{},
		held: map[*lane]struct{}{}, queued: map[domain.JobKind]int{}}
	for _, kind := range kinds {
		s.overdue[kind] = &laneHeap{}
	}
	return s
}

// kinds lists the kinds of job, for a backlog that names each.
var kinds = []domain.JobKind{domain.JobCommand, domain.JobEvent, domain.JobNotify, domain.JobClaim}

// Start reads the queue and begins to run jobs. It returns once the queue is read.
func (s *Scheduler) Start(ctx context.Context) error {
	err := s.opts.Queue.QueuedTickets(ctx, func(t domain.Ticket) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.place(t, s.read())
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
	if len(committed) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.read()
	for _, job := range committed {
		if job.State == domain.JobQueued {
			s.place(job.Ticket(), now)
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
	if l == nil || l.running && l.current.seq == job.Seq {
		return // unknown, or it ends by itself
	}
	if s.unknow(l, job.Seq) {
		s.settle(l, s.read())
		s.nudge()
	}
}

// Queued returns how many jobs of a workspace have not ended.
func (s *Scheduler) Queued(ws contract.WorkspaceID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.ready.byName[ws]; w != nil {
		return w.queued
	}
	return 0
}

// Backlog returns, for each kind of job, how many are queued and how long the one that has
// waited longest past its time has waited. A job that runs does not wait; one whose run
// could not be committed does.
func (s *Scheduler) Backlog() map[domain.JobKind]domain.Backlog {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.read()
	s.promote(now)
	backlog := make(map[domain.JobKind]domain.Backlog, len(kinds))
	for _, kind := range kinds {
		b := domain.Backlog{Queued: s.queued[kind]}
		if l := s.overdue[kind].first(); l != nil {
			b.OldestRunnable = time.Duration(max(0, now-l.order))
		}
		backlog[kind] = b
	}
	for l := range s.held {
		b := backlog[l.kind]
		b.OldestRunnable = max(b.OldestRunnable, time.Duration(now-l.head().due))
		backlog[l.kind] = b
	}
	return backlog
}

// read returns the time. If the clock was set back, every job that waits for its time waits
// no longer than it would have. The caller holds mu.
func (s *Scheduler) read() int64 {
	now, back := s.clock.read()
	if back > 0 {
		s.opts.Log.Warn("the clock was set back; jobs run as if it had not been", "by", time.Duration(back))
		s.shift(now, back)
	}
	return now
}

// shift brings every due time forward.
func (s *Scheduler) shift(now, back int64) {
	sooner := func(due int64) int64 { return min(due, max(now, due-back)) }
	for _, l := range s.lanes {
		for i := range l.tickets {
			l.tickets[i].due = sooner(l.tickets[i].due)
		}
		l.hold = sooner(l.hold)
		s.settle(l, now)
	}
}

// due is when a job may run that the store has for the given time.
func (s *Scheduler) due(at, now int64) int64 {
	if at-now > int64(s.opts.MaxWait) {
		return now
	}
	return at
}

// place puts a job into its lane. The caller holds mu.
func (s *Scheduler) place(committed domain.Ticket, now int64) {
	at := committed.NotBefore.UnixNano()
	t := ticket{id: strings.Clone(committed.ID), seq: committed.Seq, at: at, due: s.due(at, now)}
	if _, known := s.known[t.seq]; known {
		if l := s.lanes[committed.Lane]; l != nil && l.running && l.current.seq == t.seq {
			l.again = &t // it may have ended, and been queued again, before its run came back
		}
		return
	}
	l := s.lanes[committed.Lane]
	if l == nil {
		l = &lane{name: strings.Clone(committed.Lane), kind: committed.Kind, group: s.ready.join(committed.Workspace, committed.Group)}
		s.lanes[l.name] = l
		if s.overdue[l.kind] == nil {
			s.overdue[l.kind] = &laneHeap{}
		}
	}
	s.know(l, t)
	s.settle(l, now)
}

// know adds a ticket to a lane. The caller holds mu and settles the lane.
func (s *Scheduler) know(l *lane, t ticket) {
	s.known[t.seq] = struct{}{}
	s.queued[l.kind]++
	l.group.workspace.queued++
	l.push(t)
}

// unknow makes a ticket void. It reports whether there was one. The caller holds mu and
// settles the lane.
func (s *Scheduler) unknow(l *lane, seq uint64) bool {
	if _, known := s.known[seq]; !known {
		return false
	}
	delete(s.known, seq)
	s.queued[l.kind]--
	l.group.workspace.queued--
	return true
}

// trim removes void tickets from the head of a lane.
func (s *Scheduler) trim(l *lane) {
	for len(l.tickets) > 0 {
		if _, known := s.known[l.head().seq]; known {
			return
		}
		l.pop()
	}
}

// settle puts a lane that does not run where its head belongs. The caller holds mu.
func (s *Scheduler) settle(l *lane, now int64) {
	if l.running {
		return
	}
	if s.trim(l); len(l.tickets) == 0 {
		s.withdraw(l)
		delete(s.lanes, l.name)
		s.ready.part(l.group)
		return
	}
	due := l.due()
	switch {
	case due <= now && l.place != nil && l.order == l.head().due:
		return // it keeps its place in the turn
	case due <= now && l.place != nil:
		l.leave()
		s.overdue[l.kind].put(l, l.head().due)
		return
	}
	s.withdraw(l)
	if due <= now {
		s.ready.push(l)
		s.overdue[l.kind].put(l, l.head().due)
		return
	}
	s.later.put(l, due)
	if l.head().due <= now {
		s.held[l] = struct{}{}
	}
}

// withdraw takes a lane out of wherever it waits.
func (s *Scheduler) withdraw(l *lane) {
	l.leave()
	delete(s.held, l)
	if l.place != nil {
		s.ready.drop(l)
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
	for ctx.Err() == nil {
		l, wait := s.next()
		if l != nil {
			s.running.Go(func() { s.work(ctx, l) })
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// next returns the lane whose turn it is, marked as running, or how long to wait for one.
func (s *Scheduler) next() (*lane, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.read()
	if l := s.take(now); l != nil {
		return l, 0
	}
	if l := s.later.first(); l != nil {
		return nil, min(look, time.Duration(l.order-now))
	}
	return nil, look
}

// promote lets the lanes whose time has come wait for their turn. The caller holds mu.
func (s *Scheduler) promote(now int64) {
	for l := s.later.first(); l != nil && l.order <= now; l = s.later.first() {
		s.settle(l, now)
	}
}

// take returns the lane whose turn it is, marked as running; nil if there is none or no
// worker is free. The caller holds mu.
func (s *Scheduler) take(now int64) *lane {
	s.promote(now)
	l := s.ready.take()
	if l == nil {
		return nil
	}
	l.leave()
	l.current, l.running = l.pop(), true
	return l
}

// work runs the head of a lane, and then of whichever lane is next, until there is none.
func (s *Scheduler) work(ctx context.Context, l *lane) {
	for l != nil {
		after, spawned, err := s.run(context.WithoutCancel(ctx), l.current)
		if err != nil {
			s.opts.Log.Error("a job could not be run or committed; it is tried again",
				"job", l.current.id, "lane", l.name, "error", err)
		}
		l = s.finish(ctx, l, after, spawned, err)
	}
}

// finish gives a lane back and takes the next one.
func (s *Scheduler) finish(ctx context.Context, l *lane, after domain.Job, spawned []domain.Job, err error) *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.read()
	s.giveBack(l, after, err, now)
	for _, job := range spawned {
		if job.State == domain.JobQueued {
			s.place(job.Ticket(), now)
		}
	}
	s.nudge()
	if ctx.Err() != nil {
		return nil
	}
	return s.take(now)
}

// giveBack puts a lane whose head has run back in its place. The caller holds mu.
func (s *Scheduler) giveBack(l *lane, after domain.Job, err error, now int64) {
	t, again := l.current, l.again
	s.ready.ended(l)
	l.running, l.current, l.again = false, ticket{}, nil
	if err != nil {
		l.hold = now + s.backoff(l.failures)
		l.failures++
		l.push(t)
		s.settle(l, now)
		return
	}
	l.failures, l.hold = 0, 0
	switch {
	case after.State == domain.JobQueued:
		t.at = after.NotBefore.UnixNano()
		t.due = s.due(t.at, now)
		l.push(t)
	case again != nil:
		l.push(*again)
	default:
		s.unknow(l, t.seq)
	}
	s.settle(l, now)
}

// backoff is how long to wait after a run that could not be committed, in nanoseconds. What
// stops one commit, such as a full disk, stops all: they must not come back together.
func (s *Scheduler) backoff(failures int) int64 {
	ceiling := s.opts.Again << min(failures, 30)
	if ceiling <= 0 || ceiling > s.opts.MaxAgain {
		ceiling = s.opts.MaxAgain
	}
	half := int64(ceiling) / 2
	return half + s.opts.Random(half+1)
}

// slack is how far the time in a ticket may be from that of its job: less than anybody
// means by a wait.
const slack = int64(time.Millisecond)

// run runs a job unless it left the queue meanwhile.
func (s *Scheduler) run(ctx context.Context, t ticket) (after domain.Job, spawned []domain.Job, err error) {
	job, err := s.opts.Queue.Job(ctx, t.id)
	switch {
	case errors.Is(err, domain.ErrNotFound): // it went with its connection
		return domain.Job{State: domain.JobCancelled}, nil, nil
	case err != nil:
		return domain.Job{}, nil, fmt.Errorf("read job %s: %w", t.id, err)
	case job.State.Ended():
		return job, nil, nil
	}
	if at := job.NotBefore.UnixNano(); at > t.at+slack && at > s.opts.Now().UnixNano() {
		return job, nil, nil // postponed meanwhile: it comes back at its time
	}
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("BUG: the run of job %s panicked: %v\n%s", t.id, cause, debug.Stack())
		}
	}()
	failpoint.Hit(failpoint.SchedulerBeforeRun)
	return s.opts.Runner.Run(ctx, job)
}
