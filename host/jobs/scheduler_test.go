package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// world is a queue and a runner in memory. Each run of a job takes what script says, and
// ends as script says.
type world struct {
	mu      sync.Mutex
	jobs    map[string]domain.Job
	seq     uint64
	ran     []string // "id@elapsed", in the order in which runs began
	running map[string]bool
	broken  []string // what a lane must never do
	began   time.Time
	script  func(job domain.Job) (took time.Duration, again time.Duration, err error)
	spawn   func(job domain.Job) []domain.Job
}

func newWorld() *world {
	return &world{jobs: map[string]domain.Job{}, running: map[string]bool{}, began: time.Now(),
		script: func(domain.Job) (time.Duration, time.Duration, error) { return 0, 0, nil },
		spawn:  func(domain.Job) []domain.Job { return nil }}
}

func (w *world) put(workspace, lane string, after time.Duration) domain.Job {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seq++
	job := domain.Job{ID: fmt.Sprint(lane, w.seq), Kind: domain.JobCommand, Seq: w.seq, Lane: lane, State: domain.JobQueued,
		Workspace: contract.WorkspaceID(workspace), NotBefore: time.Now().Add(after), CreatedAt: time.Now()}
	w.jobs[job.ID] = job
	return job
}

func (w *world) QueuedTickets(_ context.Context, visit func(domain.Ticket) error) error {
	w.mu.Lock()
	jobs := slices.SortedFunc(func(yield func(domain.Job) bool) {
		for _, job := range w.jobs {
			if job.State == domain.JobQueued && !yield(job) {
				return
			}
		}
	}, func(a, b domain.Job) int { return int(a.Seq) - int(b.Seq) })
	w.mu.Unlock()
	for _, job := range jobs {
		if err := visit(job.Ticket()); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) Job(_ context.Context, id string) (domain.Job, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	job, ok := w.jobs[id]
	if !ok {
		return domain.Job{}, domain.ErrNotFound
	}
	return job, nil
}

func (w *world) Run(_ context.Context, job domain.Job) (domain.Job, []domain.Job, error) {
	w.mu.Lock()
	if w.running[job.Lane] {
		w.broken = append(w.broken, "two jobs of lane "+job.Lane+" ran at once")
	}
	w.running[job.Lane] = true
	w.ran = append(w.ran, fmt.Sprintf("%s@%v", job.ID, time.Since(w.began)))
	took, again, err := w.script(job)
	w.mu.Unlock()
	time.Sleep(took) // virtual: the test runs in a synctest bubble

	w.mu.Lock()
	defer w.mu.Unlock()
	w.running[job.Lane] = false
	if err != nil {
		return job, nil, err
	}
	job.Attempts++
	job.State = domain.JobDone
	if again > 0 {
		job.State, job.NotBefore = domain.JobQueued, time.Now().Add(again)
	}
	w.jobs[job.ID] = job
	return job, w.spawn(job), nil
}

func (w *world) log() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.ran)
}

func options(w *world, workers int) Options {
	return Options{Queue: w, Runner: w, Workers: workers, Log: slog.New(slog.DiscardHandler),
		Random: func(n int64) int64 { return n - 1 }}
}

// start starts a scheduler over the world; the cleanup stops it.
func start(t *testing.T, w *world, workers int) *Scheduler {
	s := New(options(w, workers))
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func expect(t *testing.T, w *world, want ...string) {
	t.Helper()
	if got := w.log(); !slices.Equal(got, want) {
		t.Errorf("ran %v, want %v", got, want)
	}
	if len(w.broken) > 0 {
		t.Error(w.broken)
	}
}

func TestJobsOfOneLaneRunInOrderAndOnlyAFailingLaneWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.script = func(job domain.Job) (time.Duration, time.Duration, error) {
			if job.ID == "a1" && job.Attempts < 2 {
				return time.Second, 10 * time.Second, nil
			}
			return time.Second, 0, nil
		}
		w.put("w", "a", 0)
		w.put("w", "a", 0)
		w.put("w", "b", 0)
		start(t, w, 4)
		time.Sleep(time.Minute)
		synctest.Wait()
		got := w.log()
		slices.Sort(got[:2]) // two lanes begin at the same instant
		if want := []string{"a1@0s", "b3@0s", "a1@11s", "a1@22s", "a2@23s"}; !slices.Equal(got, want) {
			t.Errorf("ran %v, want %v", got, want)
		}
	})
}

func TestAJobRunsAtItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := start(t, w, 1)
		s.Add(w.put("w", "later", 3*time.Hour))
		s.Add(w.put("w", "soon", time.Minute))
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		expect(t, w, "soon2@1m0s", "later1@3h0m0s")
	})
}

func TestWorkspacesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.script = func(domain.Job) (time.Duration, time.Duration, error) { return time.Second, 0, nil }
		for i := range 1000 {
			w.put("busy", fmt.Sprintf("busy-%d-", i), 0)
		}
		w.put("quiet", "quiet", 0)
		start(t, w, 1)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		at := slices.IndexFunc(w.log(), func(entry string) bool { return entry[:5] == "quiet" })
		if at < 0 || at > 2 {
			t.Errorf("the quiet workspace's only job was number %d of %v", at, w.log())
		}
	})
}

func TestARunThatCouldNotBeCommittedIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		failures := 2
		w.script = func(domain.Job) (time.Duration, time.Duration, error) {
			if failures > 0 {
				failures--
				return 0, 0, errors.New("disk full")
			}
			return 0, 0, nil
		}
		w.put("w", "a", 0)
		start(t, w, 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		expect(t, w, "a1@0s", "a1@1s", "a1@3s")
	})
}

func TestACancelledJobStopsHoldingUpItsLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := start(t, w, 1)
		first := w.put("w", "a", time.Hour)
		s.Add(first, w.put("w", "a", 0))
		time.Sleep(time.Second)
		synctest.Wait()
		expect(t, w) // the head is not due, so nothing of the lane runs
		w.mu.Lock()
		first.State = domain.JobCancelled
		w.jobs[first.ID] = first
		w.mu.Unlock()
		s.Forget(first)
		time.Sleep(time.Second)
		synctest.Wait()
		expect(t, w, "a2@1s")
	})
}

func TestAJobSpawnedByAJobRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.spawn = func(job domain.Job) []domain.Job {
			if job.Lane != "a" {
				return nil
			}
			next := domain.Job{ID: "spawned", Kind: domain.JobCommand, Seq: 99, Lane: "b", State: domain.JobQueued, NotBefore: time.Now().Add(time.Minute)}
			w.jobs[next.ID] = next
			return []domain.Job{next}
		}
		w.put("w", "a", 0)
		start(t, w, 1)
		time.Sleep(time.Hour)
		synctest.Wait()
		expect(t, w, "a1@0s", "spawned@1m0s")
	})
}

func TestStopWaitsForWhatRunsAndStartsNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.script = func(domain.Job) (time.Duration, time.Duration, error) { return time.Minute, 0, nil }
		w.put("w", "a", 0)
		w.put("w", "a", 0)
		s := New(options(w, 1))
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Stop(impatient); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stop while a job runs = %v, want that it did not wait for ever", err)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		expect(t, w, "a1@0s")
	})
}

func TestBacklogTellsTheOldestThatCouldRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := New(options(w, 1))
		s.Add(w.put("w", "a", 0), w.put("w", "b", time.Hour))
		time.Sleep(time.Minute)
		want := domain.Backlog{Queued: 2, OldestRunnable: time.Minute}
		if got := s.Backlog()[domain.JobCommand]; got != want {
			t.Errorf("Backlog = %+v, want %+v", got, want)
		}
	})
}

// TestLanesAgainstAModel runs random jobs in random lanes, with random failures, and
// holds the two promises: no lane runs two at once, and the first runs of a lane's jobs
// come in the order of their commits, each after the one before has ended.
func TestLanesAgainstAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type planned struct {
			lane, fails int
			delay, took time.Duration
		}
		plan := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) planned {
			return planned{
				lane: rapid.IntRange(0, 4).Draw(t, "lane"), fails: rapid.IntRange(0, 3).Draw(t, "fails"),
				delay: time.Duration(rapid.IntRange(0, 5).Draw(t, "delay")) * time.Second,
				took:  time.Duration(rapid.IntRange(0, 3).Draw(t, "took")) * time.Second,
			}
		}), 1, 40).Draw(rt, "jobs")
		workers := rapid.IntRange(1, 4).Draw(rt, "workers")
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			fates := map[string]planned{}
			w.script = func(job domain.Job) (time.Duration, time.Duration, error) {
				p := fates[job.ID]
				if job.Attempts < p.fails {
					return p.took, time.Second, nil
				}
				return p.took, 0, nil
			}
			want := map[string][]string{}
			s := start(t, w, workers)
			for _, p := range plan {
				lane := string(rune('a' + p.lane))
				w.mu.Lock()
				fates[fmt.Sprint(lane, w.seq+1)] = p
				w.mu.Unlock()
				job := w.put("w", lane, p.delay)
				s.Add(job)
				for range p.fails + 1 {
					want[lane] = append(want[lane], job.ID)
				}
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			got := map[string][]string{}
			for _, entry := range w.log() {
				var id string
				for i, r := range entry {
					if r == '@' {
						id = entry[:i]
						break
					}
				}
				got[id[:1]] = append(got[id[:1]], id)
			}
			for lane := range want {
				if !slices.Equal(got[lane], want[lane]) {
					rt.Errorf("lane %s ran %v, want %v", lane, got[lane], want[lane])
				}
			}
			if len(w.broken) > 0 {
				rt.Error(w.broken)
			}
			if backlog := s.Backlog()[domain.JobCommand]; backlog.Queued != 0 {
				rt.Errorf("%d jobs are still queued", backlog.Queued)
			}
		})
	})
}

// TestAJobThatWasCommittedAtLastLeavesItsLaneNoGrudge: what the next one waits for does not
// begin where the last one's waits ended.
func TestAJobThatWasCommittedAtLastLeavesItsLaneNoGrudge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		failures := map[string]int{"a1": 3, "a2": 1}
		w.script = func(job domain.Job) (time.Duration, time.Duration, error) {
			if failures[job.ID]--; failures[job.ID] >= 0 {
				return 0, 0, errors.New("the disk is full")
			}
			return 0, 0, nil
		}
		w.put("wsp", "a", 0)
		w.put("wsp", "a", 0)
		start(t, w, 1)
		<-time.After(time.Minute)
		expect(t, w, "a1@0s", "a1@1s", "a1@3s", "a1@7s", "a2@7s", "a2@8s")
	})
}

// TestForgettingAJobThatRunsLeavesItToItsRun: only its commit says how it stands.
func TestForgettingAJobThatRunsLeavesItToItsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.script = func(domain.Job) (time.Duration, time.Duration, error) {
			if len(w.ran) == 1 {
				return time.Minute, time.Hour, nil
			}
			return 0, 0, nil
		}
		job := w.put("wsp", "a", 0)
		s := start(t, w, 1)
		<-time.After(time.Second)
		s.Forget(job)
		if got := s.Queued("wsp"); got != 1 {
			t.Errorf("%d jobs are queued while it runs, want 1", got)
		}
		<-time.After(2 * time.Hour)
		synctest.Wait()
		expect(t, w, "a1@0s", "a1@1h1m0s")
		if got := s.Queued("wsp"); got != 0 {
			t.Errorf("%d jobs are queued at the end", got)
		}
	})
}
