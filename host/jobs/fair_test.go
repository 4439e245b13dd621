package jobs

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// putFor puts a job of a connection into a lane of its own.
func (w *world) putFor(workspace, connection string) domain.Job {
	job := w.put(workspace, fmt.Sprint(connection, "-", w.seq, "-"), 0)
	job.Connection = contract.ConnectionID(connection)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs[job.ID] = job
	return job
}

// busy counts the runs under way whose lane begins with a prefix.
func (w *world) busy(prefix string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for lane, running := range w.running {
		if running && strings.HasPrefix(lane, prefix) {
			n++
		}
	}
	return n
}

func takes(d time.Duration) func(domain.Job) (time.Duration, time.Duration, error) {
	return func(domain.Job) (time.Duration, time.Duration, error) { return d, 0, nil }
}

func TestNobodyHoldsEveryWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.script = takes(time.Hour) // a platform that never answers
		for range 100 {
			w.putFor("busy", "slow")
		}
		s := start(t, w, 16)
		synctest.Wait()
		if n := w.busy("slow"); n != 14 {
			t.Errorf("alone, the slow connection holds %d of 16 workers, want all but the spare 14", n)
		}
		s.Add(w.putFor("busy", "swift"))
		synctest.Wait()
		s.Add(w.putFor("quiet", "other"))
		synctest.Wait()
		if w.busy("swift") != 1 || w.busy("other") != 1 {
			t.Errorf("a first job waits for a platform of somebody else: %v", w.log()[14:])
		}
		time.Sleep(3 * time.Hour)
	})
}

func TestWorkersAreSharedWhileOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.script = takes(time.Hour)
		for range 100 {
			for _, c := range []string{"a1", "a2", "a3", "b1"} {
				w.putFor(c[:1], c)
			}
		}
		start(t, w, 16)
		synctest.Wait()
		got := map[string]int{}
		for _, prefix := range []string{"a", "b", "a1", "a2", "a3"} {
			got[prefix] = w.busy(prefix)
		}
		// Each connection may hold 4 and each workspace 8; what is left is lent, since nobody
		// else waits, but for the one that is spare.
		if got["a"] < 8 || got["b"] < 4 || got["a"]+got["b"] != 15 || max(got["a1"], got["a2"], got["a3"]) > 4 {
			t.Errorf("workers are held like this: %v", got)
		}
		time.Sleep(40 * time.Hour)
	})
}

func TestConnectionsOfAWorkspaceTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.script = takes(time.Second)
		for range 1000 {
			w.putFor("w", "busy")
		}
		w.putFor("w", "quiet")
		start(t, w, 1)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if at := slices.IndexFunc(w.log(), func(entry string) bool { return strings.HasPrefix(entry, "quiet") }); at < 0 || at > 2 {
			t.Errorf("the quiet connection's only job was number %d of %v", at, w.log())
		}
	})
}

// A million jobs in one workspace, in few lanes and in many, must not hold up the first job
// of another by more than a moment; nor may each of them take much memory.
func TestAMillionJobsDelayNobody(t *testing.T) {
	const million = 1_000_000
	q := &bigQueue{n: million, first: make(chan time.Time, 1)}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	opts := options(nil, 4)
	opts.Queue, opts.Runner = q, q
	s := New(opts)
	began := time.Now()
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	started := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	perJob := int64(after.HeapAlloc-before.HeapAlloc) / million
	if perJob > 400 {
		t.Errorf("a queued job takes %d bytes, want at most 400", perJob)
	}
	added := time.Now()
	s.Add(domain.Job{ID: "first", Kind: domain.JobCommand, Workspace: "other", Lane: "first", Seq: million + 1, State: domain.JobQueued})
	wait := (<-q.first).Sub(added)
	if wait > time.Second {
		t.Errorf("the first job of another workspace waited %v", wait)
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	t.Logf("start %v, %d bytes a job, the other's first job after %v", started, perJob, wait)
}

// bigQueue is a million queued jobs: half of them in one lane, the rest in a hundred
// thousand.
type bigQueue struct {
	n     uint64
	first chan time.Time
}

func (q *bigQueue) QueuedTickets(_ context.Context, visit func(domain.Ticket) error) error {
	for seq := uint64(1); seq <= q.n; seq++ {
		lane := "command/con_1/conversation/one"
		if seq%2 == 0 {
			lane = fmt.Sprint("command/con_1/conversation/", seq%200_000)
		}
		t := domain.Ticket{ID: fmt.Sprintf("cmd_%016d", seq), Kind: domain.JobCommand, Workspace: "busy", Group: "con_1", Lane: lane, Seq: seq}
		if err := visit(t); err != nil {
			return err
		}
	}
	return nil
}

func (q *bigQueue) Job(_ context.Context, id string) (domain.Job, error) {
	return domain.Job{ID: id, State: domain.JobQueued}, nil
}

func (q *bigQueue) Run(_ context.Context, job domain.Job) (domain.Job, []domain.Job, error) {
	if job.ID == "first" {
		q.first <- time.Now()
	}
	job.State = domain.JobDone
	return job, nil, nil
}

func TestARunThatPanicsIsARunThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		panics := 2
		w.script = func(domain.Job) (time.Duration, time.Duration, error) {
			if panics > 0 {
				panics--
				w.running["a"] = false
				defer w.mu.Unlock()
				panic("the runner is broken")
			}
			return 0, 0, nil
		}
		w.put("w", "a", 0)
		w.put("w", "a", 0)
		start(t, w, 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		expect(t, w, "a1@0s", "a1@1s", "a1@3s", "a2@3s")
	})
}

func TestARunThatCannotBeCommittedHoldsUpItsLaneAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.script = func(job domain.Job) (time.Duration, time.Duration, error) {
			if job.Lane == "full" && time.Since(w.began) < 10*time.Hour {
				return 0, 0, errors.New("disk full")
			}
			return 0, 0, nil
		}
		w.put("w", "full", 0)
		w.put("w", "full", 0)
		s := start(t, w, 1)
		for range 10 {
			time.Sleep(time.Hour)
			s.Add(w.put("w", "free", 0))
			synctest.Wait()
		}
		if b := s.Backlog()[domain.JobCommand]; b.Queued != 2 || b.OldestRunnable < 9*time.Hour {
			t.Errorf("the backlog is %+v: it does not show what is held up for ten hours", b)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		counts := map[string]int{}
		for _, entry := range w.log() {
			id, _, _ := strings.Cut(entry, "@")
			counts[id]++
		}
		if counts["full1"] < 600 || counts["full1"] > 620 || counts["full2"] != 1 {
			t.Errorf("the held job ran %d times, want about once a minute, and the one behind it %d times", counts["full1"], counts["full2"])
		}
		for seq := 3; seq < 13; seq++ {
			if counts[fmt.Sprint("free", seq)] != 1 {
				t.Errorf("the free lane's job %d ran %d times", seq, counts[fmt.Sprint("free", seq)])
			}
		}
	})
}

func TestAJobThatIsGoneLeavesItsLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		gone := w.put("w", "a", time.Second)
		w.put("w", "a", 0)
		start(t, w, 1)
		w.mu.Lock()
		delete(w.jobs, gone.ID)
		w.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		expect(t, w, "a2@1s")
	})
}

// Between the commit of a run and its return, somebody may queue the parked job again: the
// scheduler is told of it while it still counts the job among the running.
func TestAJobThatIsQueuedAgainBeforeItsRunReturnedIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var s *Scheduler
		w.spawn = func(job domain.Job) []domain.Job { // called after the commit, with the lock
			if job.Attempts == 1 {
				again := job
				again.State, again.NotBefore = domain.JobQueued, time.Now()
				w.jobs[job.ID] = again
				s.Add(again)
			}
			return nil
		}
		s = start(t, w, 1)
		s.Add(w.put("w", "a", 0))
		time.Sleep(time.Minute)
		synctest.Wait()
		expect(t, w, "a1@0s", "a1@0s")
	})
}
