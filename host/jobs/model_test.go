package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// The model: jobs in lanes, in the order of Seq, each in a state. A run may begin only for
// the first queued job of its lane, at its time, while no other of the lane runs. Whatever
// happens to the jobs and to the scheduler, in the end nothing is queued.

// durable is where the jobs of a model are kept: what a crash leaves.
type durable interface {
	Queue
	accept(workspace, connection, lane string, at time.Time) domain.Job
	commit(job domain.Job, state domain.JobState, at time.Time) (domain.Job, error)
	requeue(id string) (domain.Job, error)
	cancel(id string) (domain.Job, error)
	all() []domain.Job
}

// model drives a scheduler over durable jobs with random steps, and checks every run.
type model struct {
	t       testing.TB
	draw    func(label string, n int) int // a number in [0, n)
	jobs    durable
	sched   *Scheduler
	dead    []*Scheduler // those of before a crash
	workers int

	mu     sync.Mutex
	life   int             // counts crashes
	busy   map[string]bool // lanes with a run under way, of this life
	broken []string
	runs   int
}

func (m *model) fault(format string, args ...any) {
	m.broken = append(m.broken, fmt.Sprintf(format, args...))
}

// boot starts a scheduler, as the process does.
func (m *model) boot() {
	m.busy = map[string]bool{}
	life := m.life
	m.sched = New(Options{Queue: m.jobs, Runner: runnerOf(func(ctx context.Context, job domain.Job) (domain.Job, []domain.Job, error) {
		return m.run(ctx, life, job)
	}), Workers: m.workers, Log: slog.New(slog.DiscardHandler)})
	if err := m.sched.Start(context.Background()); err != nil {
		m.t.Fatal(err)
	}
}

type runnerOf func(ctx context.Context, job domain.Job) (domain.Job, []domain.Job, error)

func (f runnerOf) Run(ctx context.Context, job domain.Job) (domain.Job, []domain.Job, error) {
	return f(ctx, job)
}

var errCrashed = errors.New("the process is gone")

// run is one run of a job: it takes its time, and ends in one of many ways.
func (m *model) run(_ context.Context, life int, job domain.Job) (domain.Job, []domain.Job, error) {
	took, end, err := m.begin(life, job)
	if err != nil {
		return job, nil, err
	}
	time.Sleep(took) // virtual: the test runs in a synctest bubble
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.life != life {
		return job, nil, errCrashed
	}
	m.busy[job.Lane] = false
	switch end {
	case 0:
		return job, nil, errors.New("disk full")
	case 1:
		panic("the runner is broken")
	case 2, 3:
		if job.Attempts < 5 {
			after, err := m.jobs.commit(job, domain.JobQueued, time.Now().Add(took*2))
			return after, nil, err
		}
	case 4:
		after, err := m.jobs.commit(job, domain.JobParked, time.Time{})
		return after, nil, err
	case 5: // the commit happened, and nobody was told
		_, err := m.jobs.commit(job, domain.JobDone, time.Time{})
		return job, nil, errors.Join(err, errors.New("timed out"))
	}
	after, err := m.jobs.commit(job, domain.JobDone, time.Time{})
	if m.draw("spawns", 4) > 0 || err != nil {
		return after, nil, err
	}
	return after, []domain.Job{m.accept()}, nil
}

// begin checks that the run may begin, and draws how it goes.
func (m *model) begin(life int, job domain.Job) (took time.Duration, end int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.life != life {
		return 0, 0, errCrashed
	}
	m.runs++
	if m.busy[job.Lane] {
		m.fault("%s began while another of lane %s ran", job.ID, job.Lane)
	}
	m.busy[job.Lane] = true
	if job.NotBefore.After(time.Now()) {
		m.fault("%s began %v too early", job.ID, time.Until(job.NotBefore))
	}
	for _, other := range m.jobs.all() {
		if other.Lane == job.Lane && other.State == domain.JobQueued && other.Seq < job.Seq {
			m.fault("%s (%d) began before %s (%d) of lane %s", job.ID, job.Seq, other.ID, other.Seq, job.Lane)
		}
	}
	return time.Duration(m.draw("took", 20)) * time.Second, m.draw("end", 12), nil
}

func (m *model) accept() domain.Job {
	workspace := fmt.Sprint("wsp_", m.draw("workspace", 2))
	connection := fmt.Sprint("con_", workspace[4:], m.draw("connection", 2))
	lane := fmt.Sprint("command/", connection, "/", m.draw("lane", 3))
	return m.jobs.accept(workspace, connection, lane, time.Now().Add(time.Duration(m.draw("delay", 3))*20*time.Second))
}

// step does one thing that somebody may do.
func (m *model) step() {
	m.mu.Lock()
	defer m.mu.Unlock()
	pick := func(states ...domain.JobState) *domain.Job {
		candidates := slices.DeleteFunc(m.jobs.all(), func(j domain.Job) bool { return !slices.Contains(states, j.State) })
		if len(candidates) == 0 {
			return nil
		}
		return &candidates[m.draw("which", len(candidates))]
	}
	switch m.draw("step", 9) {
	case 0, 1, 2, 3:
		job := m.accept()
		m.sched.Add(job)
		if m.draw("twice", 4) == 0 {
			m.sched.Add(job, job)
		}
	case 4:
		if job := pick(domain.JobParked); job != nil {
			m.told(m.jobs.requeue(job.ID))
		}
	case 5:
		if job := pick(domain.JobQueued, domain.JobParked); job != nil {
			if cancelled, err := m.jobs.cancel(job.ID); err == nil {
				m.sched.Forget(cancelled)
			}
		}
	case 6: // a batch of the dead letter
		for _, job := range m.jobs.all() {
			if job.State == domain.JobParked {
				m.told(m.jobs.requeue(job.ID))
			}
		}
	case 7: // old news
		if job := pick(domain.JobDone, domain.JobParked, domain.JobCancelled); job != nil {
			stale := *job
			stale.State = domain.JobQueued
			m.sched.Add(stale)
			m.sched.Forget(*job)
		}
	case 8:
		m.crash()
	}
}

func (m *model) told(job domain.Job, err error) {
	if err == nil {
		m.sched.Add(job)
	}
}

// crash throws the scheduler away and starts one anew, on what was durable. What ran was
// not committed.
func (m *model) crash() {
	m.life++
	m.sched.stop()
	m.dead = append(m.dead, m.sched)
	m.boot()
}

// play takes steps, then lets everything come to its end, and says what was wrong.
func (m *model) play(steps int) []string {
	m.mu.Lock()
	m.boot()
	m.mu.Unlock()
	for range steps {
		m.step()
		time.Sleep(time.Duration(m.draw("pause", 15)) * time.Second)
		synctest.Wait()
	}
	time.Sleep(24 * time.Hour)
	synctest.Wait()
	for _, job := range m.jobs.all() {
		if job.State == domain.JobQueued {
			m.fault("%s of lane %s is stuck after a day", job.ID, job.Lane)
		}
	}
	for kind, b := range m.sched.Backlog() {
		if b != (domain.Backlog{}) {
			m.fault("the backlog of %s is %+v in the end", kind, b)
		}
	}
	if n := len(m.sched.lanes) + len(m.sched.known) + len(m.sched.ready.byName) + m.sched.ready.busy; n > 0 {
		m.fault("the scheduler holds %d things of lanes that are empty", n)
	}
	for _, s := range append(m.dead, m.sched) {
		if err := s.Stop(context.Background()); err != nil {
			m.fault("%v", err)
		}
	}
	return m.broken
}

// remembered is durable jobs in memory.
type remembered struct {
	mu   sync.Mutex
	jobs []domain.Job // by Seq, from 1
}

func (r *remembered) QueuedTickets(_ context.Context, visit func(domain.Ticket) error) error {
	for _, job := range r.all() {
		if job.State == domain.JobQueued {
			if err := visit(job.Ticket()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *remembered) find(id string) (*domain.Job, error) {
	for i := range r.jobs {
		if r.jobs[i].ID == id {
			return &r.jobs[i], nil
		}
	}
	return nil, domain.ErrNotFound
}

func (r *remembered) Job(_ context.Context, id string) (domain.Job, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	job, err := r.find(id)
	if err != nil {
		return domain.Job{}, err
	}
	return *job, nil
}

func (r *remembered) accept(workspace, connection, lane string, at time.Time) domain.Job {
	r.mu.Lock()
	defer r.mu.Unlock()
	seq := uint64(len(r.jobs) + 1)
	job := domain.Job{ID: fmt.Sprint("cmd_", seq), Kind: domain.JobCommand, Seq: seq, Lane: lane, Workspace: contract.WorkspaceID(workspace),
		Connection: contract.ConnectionID(connection), State: domain.JobQueued, NotBefore: at, CreatedAt: time.Now()}
	r.jobs = append(r.jobs, job)
	return job
}

// change moves a job from one of some states to another.
func (r *remembered) change(id string, to domain.JobState, at time.Time, from ...domain.JobState) (domain.Job, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	job, err := r.find(id)
	if err != nil || !slices.Contains(from, job.State) {
		return domain.Job{}, domain.ErrConflict
	}
	job.State, job.NotBefore = to, at
	return *job, nil
}

func (r *remembered) commit(job domain.Job, state domain.JobState, at time.Time) (domain.Job, error) {
	after, err := r.change(job.ID, state, at, domain.JobQueued)
	if err != nil {
		return after, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	kept, err := r.find(job.ID)
	kept.Attempts++
	return *kept, err
}

func (r *remembered) requeue(id string) (domain.Job, error) {
	return r.change(id, domain.JobQueued, time.Now(), domain.JobParked)
}

func (r *remembered) cancel(id string) (domain.Job, error) {
	return r.change(id, domain.JobCancelled, time.Time{}, domain.JobQueued, domain.JobParked)
}

func (r *remembered) all() []domain.Job {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.jobs)
}

func TestTheSchedulerAgainstAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		workers, steps := rapid.IntRange(1, 6).Draw(rt, "workers"), rapid.IntRange(1, 60).Draw(rt, "steps")
		// Runs draw on goroutines of their own, in whatever order: from a seed.
		source := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		var mu sync.Mutex
		synctest.Test(t, func(t *testing.T) {
			m := &model{t: t, jobs: &remembered{}, workers: workers, draw: func(_ string, n int) int {
				mu.Lock()
				defer mu.Unlock()
				return source.IntN(n)
			}}
			for _, broken := range m.play(steps) {
				rt.Error(broken)
			}
		})
	})
}

// kept is durable jobs in a store.
type kept struct {
	*store.Store
	t testing.TB
}

func (k kept) accept(workspace, connection, lane string, at time.Time) domain.Job {
	job, _, err := k.AcceptCommand(context.Background(), domain.NewCommand{Workspace: contract.WorkspaceID(workspace),
		Connection: contract.ConnectionID(connection), Lane: lane, At: at, Command: domain.Command{Export: contract.ExportReconcile, By: "host"}})
	if err != nil {
		k.t.Error(err)
	}
	return job
}

func (k kept) commit(job domain.Job, state domain.JobState, at time.Time) (domain.Job, error) {
	failure := &contract.Failure{Class: contract.FailureRetry, Code: "model"}
	if state == domain.JobDone {
		failure = nil
	}
	c, err := k.CommitCommand(context.Background(), domain.CommandEffects{Effects: domain.Effects{Workspace: job.Workspace, Connection: job.Connection,
		At: time.Now()}, JobID: job.ID, State: state, NotBefore: at, Failure: failure, CountAttempt: true})
	return c.Job, err
}

func (k kept) requeue(id string) (domain.Job, error) {
	done, _, err := k.RequeueJobs(context.Background(), []string{id}, time.Now())
	if err != nil || len(done) == 0 {
		return domain.Job{}, errors.Join(err, domain.ErrConflict)
	}
	return done[0], nil
}

func (k kept) cancel(id string) (domain.Job, error) { return k.CancelJob(context.Background(), id) }

func (k kept) all() []domain.Job {
	jobs, _, err := k.Jobs(context.Background(), domain.JobFilter{}, domain.Page{Limit: 1000})
	if err != nil {
		k.t.Error(err)
	}
	slices.Reverse(jobs)
	return jobs
}

func TestTheSchedulerOverAStoreAgainstTheModel(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				jobs := kept{openStore(t, dir), t}
				source := rand.New(rand.NewPCG(seed, 1))
				var mu sync.Mutex
				m := &model{t: t, jobs: jobs, workers: 4, draw: func(_ string, n int) int {
					mu.Lock()
					defer mu.Unlock()
					return source.IntN(n)
				}}
				for _, broken := range m.play(40) {
					t.Error(broken)
				}
				if m.runs < 20 {
					t.Errorf("there were only %d runs", m.runs)
				}
				if broken := jobs.Check(context.Background()); len(broken) > 0 {
					t.Error(broken)
				}
				if err := jobs.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// openStore opens a store with the workspaces and connections of a model.
func openStore(t *testing.T, dir string) *store.Store {
	s, err := store.Open(filepath.Join(dir, "jobs.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []string{"0", "1"} {
		err := s.CreateWorkspace(t.Context(), domain.Workspace{ID: contract.WorkspaceID("wsp_" + w), Name: w, CreatedAt: time.Now()})
		for _, c := range []string{"0", "1"} {
			err = errors.Join(err, s.CreateConnection(t.Context(), domain.Connection{ID: contract.ConnectionID("con_" + w + c),
				Workspace: contract.WorkspaceID("wsp_" + w), Plugin: "acme", Name: c, Endpoint: w + c, CreatedAt: time.Now()}, nil))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}
