package lifecycle_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/lifecycle"
	"github.com/seed75a60ee1/patchbay/host/media"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a store with so many records that are too old in each room, and files.
type fake struct {
	mu      sync.Mutex
	old     map[domain.SweepRoom]int
	marks   map[domain.SweepRoom]string
	steps   []string
	endless domain.SweepRoom // a slow room that has no end
	fails   error
	pending int
	media   []domain.Media
	files   []media.Stored
	removed []string
	audited []string
	parked  []domain.Parked
	ws      domain.Workspace
	metrics []string
	block   chan struct{} // if not nil, steps wait for it
}

func newFake() *fake {
	return &fake{old: map[domain.SweepRoom]int{}, marks: map[domain.SweepRoom]string{}, ws: domain.Workspace{ID: "wsp_1"}}
}

func (f *fake) PlanSweep(_ context.Context, defaults domain.Retention) (*domain.SweepPlan, error) {
	return &domain.SweepPlan{Defaults: defaults}, nil
}

func (f *fake) Sweep(_ context.Context, _ *domain.SweepPlan, room domain.SweepRoom, after string, most int) (domain.Swept, error) {
	if f.block != nil {
		<-f.block
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steps = append(f.steps, string(room)+" after "+after)
	if f.fails != nil {
		return domain.Swept{}, f.fails
	}
	if room == f.endless {
		return domain.Swept{Next: after + "x", Seen: 30_000}, nil
	}
	n := min(most, f.old[room])
	f.old[room] -= n
	swept := domain.Swept{Removed: n, Seen: n, Bytes: int64(10 * n)}
	if f.old[room] > 0 {
		swept.Next = "more"
	}
	return swept, nil
}

func (f *fake) SweepMark(_ context.Context, room domain.SweepRoom) (string, error) {
	return f.marks[room], nil
}

func (f *fake) MarkSweep(_ context.Context, room domain.SweepRoom, next string) error {
	f.marks[room] = next
	return nil
}

func (f *fake) AllMedia(_ context.Context, p domain.Page) ([]domain.Media, string, error) {
	if p.After == "" && len(f.media) > 1 { // two pages
		return f.media[:1], "1", nil
	}
	return f.media[min(len(f.media), len(p.After)):], "", nil
}

func (f *fake) Workspace(_ context.Context, id contract.WorkspaceID) (domain.Workspace, error) {
	if id != f.ws.ID {
		return domain.Workspace{}, domain.ErrNotFound
	}
	return f.ws, nil
}

func (f *fake) UpdateWorkspace(ctx context.Context, id contract.WorkspaceID, change func(*domain.Workspace) error) (domain.Workspace, error) {
	if _, err := f.Workspace(ctx, id); err != nil {
		return domain.Workspace{}, err
	}
	return f.ws, errors.Join(change(&f.ws))
}

func (f *fake) Usage(context.Context, contract.WorkspaceID) (domain.Usage, error) {
	return domain.Usage{PayloadBytes: 42}, nil
}

func (f *fake) ExpireParked(_ context.Context, now time.Time, most int) (due []domain.Parked, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.parked) > 0 && len(due) < most && !f.parked[0].ExpiresAt.After(now) {
		due, f.parked = append(due, f.parked[0]), f.parked[1:]
	}
	return due, f.fails
}

// waiting returns how much is parked, and what was audited.
func (f *fake) waiting() (parked int, audited []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.parked), slices.Clone(f.audited)
}

func (f *fake) Audit(_ context.Context, e domain.AuditEntry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.audited = append(f.audited, e.Actor+" "+e.Action)
	return nil
}

func (f *fake) Stats() domain.StoreStats { return domain.StoreStats{Pending: f.pending} }

func (f *fake) Walk(_ context.Context, visit func(media.Stored) error) error {
	for _, s := range f.files {
		if err := visit(s); err != nil {
			return err
		}
	}
	return nil
}

func (f *fake) Remove(sum string, _ time.Time) (bool, error) {
	f.removed = append(f.removed, sum)
	return true, nil
}

func (f *fake) Swept(room string, _ int, _ int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.metrics = append(f.metrics, room)
}

func (f *fake) RetentionPass(complete bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.metrics = append(f.metrics, map[bool]string{true: "complete", false: "broken off"}[complete])
}

// failWith makes steps fail from now on; nil lets them work again.
func (f *fake) failWith(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fails = err
}

func (f *fake) counted() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.metrics)
}

func keeper(f *fake) *lifecycle.Keeper {
	return lifecycle.New(lifecycle.Options{Store: f, Files: f, Metrics: f, Batch: 10, Interval: time.Hour, Now: time.Now,
		Defaults: domain.Retention{PayloadDays: 30, EventDays: 90, DedupeDays: 180}, Log: slog.New(slog.DiscardHandler)})
}

func TestAPassGoesThroughEveryRoomToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.old[domain.SweepPayload], f.old[domain.SweepEvents] = 25, 3
		report, err := keeper(f).Pass(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := []lifecycle.Removed{{Room: "payload", Removed: 25, Bytes: 250}, {Room: "events", Removed: 3, Bytes: 30}}
		if !slices.Equal(report.Removed, want) {
			t.Errorf("removed %+v, want %+v", report.Removed, want)
		}
		steps := strings.Join(f.steps, ", ")
		if !strings.HasPrefix(steps, "payload after , payload after more, payload after more, deliveries after , events after ") ||
			len(f.steps) != 2+len(domain.SweepRooms()) {
			t.Errorf("went %s", steps)
		}
		if !slices.Equal(f.metrics, []string{"complete", "payload", "events"}) {
			t.Errorf("counted %q", f.metrics)
		}
	})
}

// A room without order is gone through a part at a time, and the next pass goes on there.
func TestASlowRoomTakesManyPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.endless = domain.SweepDedupe
		k := keeper(f)
		for _, want := range []string{"xxxx", "xxxxxxxx"} {
			if _, err := k.Pass(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := f.marks[domain.SweepDedupe]; got != want {
				t.Errorf("the pass ended at %q, want %q", got, want)
			}
		}
	})
}

func TestAPassThatFailsSaysWhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.fails = domain.ErrUnavailable
		_, err := keeper(f).Pass(t.Context())
		if !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), "retention of payload") {
			t.Errorf("Pass = %v", err)
		}
		if !slices.Equal(f.metrics, []string{"broken off"}) {
			t.Errorf("counted %q", f.metrics)
		}
	})
}

func TestRunMakesAPassEachInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { keeper(f).Run(ctx); close(done) }()
		time.Sleep(time.Hour - time.Second)
		synctest.Wait()
		if counted := f.counted(); len(counted) != 0 {
			t.Errorf("before the first interval: %q", counted)
		}
		f.failWith(domain.ErrUnavailable) // a full disk ends a pass, and not the passes
		time.Sleep(time.Hour)
		synctest.Wait()
		f.failWith(nil)
		time.Sleep(time.Hour)
		cancel()
		<-done
		if !slices.Equal(f.metrics, []string{"broken off", "complete"}) {
			t.Errorf("counted %q", f.metrics)
		}
	})
}

func TestOnePassAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.block = make(chan struct{})
		k := keeper(f)
		done := make(chan error, 1)
		go func() { _, err := k.Pass(t.Context()); done <- err }()
		synctest.Wait()
		if _, err := k.RunNow(t.Context(), domain.Actor{Subject: "olga"}); !errors.Is(err, lifecycle.ErrUnderWay) {
			t.Errorf("a second pass = %v", err)
		}
		close(f.block)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if !slices.Equal(f.audited, []string{"olga retention.run"}) {
			t.Errorf("audited %q", f.audited)
		}
	})
}

// Under load each step waits, but not for ever.
func TestABusyStoreSlowsAPassDownAndDoesNotStopIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.old[domain.SweepPayload] = 40
		f.pending = 1000
		began := time.Now()
		report, err := keeper(f).Pass(t.Context())
		if took := time.Since(began); err != nil || report.Removed[0].Removed != 40 || took < 6*time.Second || took > 7*time.Second {
			t.Errorf("removed %+v in %v, %v; want 40 records with three rests of 2 s", report.Removed, took, err)
		}
	})
}

func TestFilesThatNothingNamesGoAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		sum := func(c string) string { return strings.Repeat(c, 64) }
		f.media = []domain.Media{{Handle: "med_1", SHA256: sum("a")}, {Handle: "med_2", SHA256: sum("b")}}
		days := func(n float64) time.Time { return time.Now().Add(-time.Duration(n * 24 * float64(time.Hour))) }
		f.files = []media.Stored{
			{Sum: sum("a"), PutAt: days(100)}, {Sum: sum("b"), PutAt: days(100)}, {Sum: sum("c"), PutAt: days(0.9)},
			{Sum: sum("d"), PutAt: days(1.1), SizeBytes: 7},
		}
		report, err := keeper(f).Pass(t.Context())
		if err != nil || !slices.Equal(f.removed, []string{sum("d")}) || !slices.Equal(report.Removed, []lifecycle.Removed{{Room: "files", Removed: 1, Bytes: 7}}) {
			t.Errorf("removed %q, reported %+v, %v", f.removed, report.Removed, err)
		}
	})
}

func TestRetentionOfAWorkspace(t *testing.T) {
	f := newFake()
	k := keeper(f)
	got, err := k.SetRetention(t.Context(), domain.Actor{Subject: "olga"}, "wsp_1", domain.Retention{PayloadDays: 7, EventDays: 365})
	want := lifecycle.Settings{Own: domain.Retention{PayloadDays: 7, EventDays: 365},
		Effective: domain.Retention{PayloadDays: 7, EventDays: 365, DedupeDays: 365}, Usage: domain.Usage{PayloadBytes: 42}}
	if err != nil || got != want {
		t.Errorf("SetRetention = %+v, %v, want %+v", got, err, want)
	}
	if read, err := k.Settings(t.Context(), "wsp_1"); err != nil || read != want {
		t.Errorf("Settings = %+v, %v", read, err)
	}
	for _, bad := range []domain.Retention{{PayloadDays: -2}, {EventDays: 40000}, {MaxBytes: -3}, {EventDays: 90, DedupeDays: 30}} {
		if _, err := k.SetRetention(t.Context(), domain.Actor{}, "wsp_1", bad); !errors.As(err, new(*domain.Invalid)) {
			t.Errorf("SetRetention(%+v) = %v", bad, err)
		}
	}
	if _, err := k.SetRetention(t.Context(), domain.Actor{}, "wsp_2", domain.Retention{}); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("for a workspace that there is not: %v", err)
	}
	if !slices.Equal(f.audited, []string{"olga retention.set"}) {
		t.Errorf("audited %q", f.audited)
	}
}
