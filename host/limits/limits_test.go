package limits_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/limits"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const acme, rival = contract.WorkspaceID("wsp_acme"), contract.WorkspaceID("wsp_rival")

// world is a limiter on a clock that stands still unless it is moved.
type world struct {
	*limits.Limiter
	t       *testing.T
	now     time.Time
	own     map[contract.WorkspaceID]domain.Limits
	broken  error
	reads   int
	queued  int
	refused []limits.Name
	log     bytes.Buffer
}

func open(t *testing.T, defaults domain.Limits, inFlight int) *world {
	w := &world{t: t, now: time.Date(2026, 10, 5, 12, 0, 0, 0, time.UTC), own: map[contract.WorkspaceID]domain.Limits{}}
	w.Limiter = limits.New(limits.Options{
		Defaults: defaults, InFlight: inFlight,
		Own: func(_ context.Context, ws contract.WorkspaceID) (domain.Limits, error) {
			w.reads++
			return w.own[ws], w.broken
		},
		Queued:  func(contract.WorkspaceID) int { return w.queued },
		Refused: func(n limits.Name) { w.refused = append(w.refused, n) },
		Now:     func() time.Time { return w.now }, Random: func() float64 { return 0 },
		Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	})
	return w
}

// deliver takes a delivery that is answered at once.
func (w *world) deliver(ws contract.WorkspaceID, bytes int64) error {
	release, err := w.AdmitDelivery(ws, bytes)
	if err == nil {
		release()
	}
	return err
}

// admitted counts how many deliveries of n are taken now.
func (w *world) admitted(ws contract.WorkspaceID, n int) (taken int) {
	for range n {
		if w.deliver(ws, 0) == nil {
			taken++
		}
	}
	return taken
}

func (w *world) exceeds(what string, err error, limit limits.Name) *limits.Exceeded {
	w.t.Helper()
	e := new(limits.Exceeded)
	if !errors.As(err, &e) || e.Limit != limit || !errors.Is(err, domain.ErrQuota) {
		w.t.Fatalf("%s: got %v, want that it exceeds %s", what, err, limit)
	}
	if last := w.refused[len(w.refused)-1]; last != limit {
		w.t.Errorf("%s: counted as %s, want %s", what, last, limit)
	}
	return e
}

func TestTwiceTheRateMayComeAtOnceAndThenTheRate(t *testing.T) {
	w := open(t, domain.Limits{DeliveriesPerSecond: 10}, 0)
	if got := w.admitted(acme, 100); got != 20 {
		t.Errorf("at once: %d, want 20", got)
	}
	w.now = w.now.Add(time.Second)
	if got := w.admitted(acme, 100); got != 10 {
		t.Errorf("a second later: %d, want 10", got)
	}
	if got := w.admitted(rival, 100); got != 20 {
		t.Errorf("another workspace: %d, want 20", got)
	}
}

func TestRetryAfterIsWhenTheNextOneIsTaken(t *testing.T) {
	w := open(t, domain.Limits{DeliveriesPerSecond: 0.25}, 0)
	w.admitted(acme, 1)
	e := w.exceeds("the second", w.deliver(acme, 0), limits.DeliveriesPerSecond)
	if e.RetryAfter != 4*time.Second || e.RetryAfterSeconds() != 4 || e.Most != 0.25 || e.Workspace != acme {
		t.Errorf("got %+v, %d s", e, e.RetryAfterSeconds())
	}
	w.now = w.now.Add(4*time.Second - time.Millisecond)
	w.exceeds("a little too early", w.deliver(acme, 0), limits.DeliveriesPerSecond)
	w.now = w.now.Add(time.Millisecond)
	if err := w.deliver(acme, 0); err != nil {
		t.Errorf("after RetryAfter: %v", err)
	}
}

func TestABodyLargerThanTheBudgetIsTakenAndPaidFor(t *testing.T) {
	w := open(t, domain.Limits{BytesPerSecond: 1000}, 0)
	if err := w.deliver(acme, 12_000); err != nil {
		t.Fatalf("the first: %v", err)
	}
	if e := w.exceeds("the next", w.deliver(acme, 1), limits.BytesPerSecond); e.RetryAfter != 10*time.Second {
		t.Errorf("RetryAfter is %v, want 10s", e.RetryAfter)
	}
	w.exceeds("a command", w.AdmitCommand(acme, 1), limits.BytesPerSecond)
	w.now = w.now.Add(10 * time.Second)
	if err := w.deliver(acme, 1); err != nil {
		t.Errorf("once it is paid: %v", err)
	}
}

func TestFuelIsChargedAfterwards(t *testing.T) {
	w := open(t, domain.Limits{FuelMillionPerSecond: 1}, 0)
	w.ChargeFuel(acme, 2_000_000)
	if err := w.deliver(acme, 0); err != nil || w.Debt(acme) != 0 {
		t.Fatalf("within the budget: %v, debt %v", err, w.Debt(acme))
	}
	w.ChargeFuel(acme, 3_000_000)
	w.exceeds("a delivery", w.deliver(acme, 0), limits.FuelMillionPerSecond)
	w.exceeds("a command", w.AdmitCommand(acme, 0), limits.FuelMillionPerSecond)
	if w.Debt(acme) != 3*time.Second || w.Debt(rival) != 0 {
		t.Errorf("the debts are %v and %v", w.Debt(acme), w.Debt(rival))
	}
	w.now = w.now.Add(3 * time.Second)
	if err := w.deliver(acme, 0); err != nil {
		t.Errorf("once it is paid: %v", err)
	}
}

func TestADebtIsForgivenAtSomeTime(t *testing.T) {
	w := open(t, domain.Limits{FuelMillionPerSecond: 0.001}, 0)
	w.ChargeFuel(acme, 4_000_000_000_000)
	if d := w.Debt(acme); d < time.Hour || d > time.Hour+time.Minute {
		t.Errorf("the debt is %v, want about an hour", d)
	}
}

func TestNothingIsChargedForWhatIsRefused(t *testing.T) {
	w := open(t, domain.Limits{DeliveriesPerSecond: 1, CommandsPerSecond: 1, BytesPerSecond: 100}, 0)
	w.admitted(acme, 2)
	for range 50 {
		w.exceeds("a delivery", w.deliver(acme, 1_000_000), limits.DeliveriesPerSecond)
	}
	if err := w.AdmitCommand(acme, 0); err != nil {
		t.Errorf("a command pays for deliveries that were refused: %v", err)
	}
}

// Convoy had two limiters in one bucket: see the negative list of the research.
func TestTwoLimitersNeverShareABucket(t *testing.T) {
	w := open(t, domain.Limits{DeliveriesPerSecond: 5, CommandsPerSecond: 5, BytesPerSecond: 5, FuelMillionPerSecond: 5}, 0)
	spend := map[string]func(ws contract.WorkspaceID) bool{
		"deliveries": func(ws contract.WorkspaceID) bool { return w.deliver(ws, 0) == nil },
		"commands":   func(ws contract.WorkspaceID) bool { return w.AdmitCommand(ws, 0) == nil },
	}
	for name, one := range spend {
		for other, two := range spend {
			for i, pair := range [][2]contract.WorkspaceID{{"a", "a"}, {"b", "c"}, {"d", "d/deliveries"}, {"deliveries", "commands"}} {
				if i == 0 && name == other {
					continue // that one bucket is shared by the two
				}
				first, second := contract.WorkspaceID(name+other)+pair[0], contract.WorkspaceID(name+other)+pair[1]
				for one(first) {
				}
				got := 0
				for two(second) && got < 100 {
					got++
				}
				if got != 10 && (name != other || first != second) {
					t.Errorf("after %s of %s were spent, %s took %d %s, want 10", name, first, second, got, other)
				}
			}
		}
	}
}

// Convoy's ingest limiter failed closed: see the negative list of the research.
func TestDeliveriesPassWhenTheLimiterIsBroken(t *testing.T) {
	w := open(t, domain.Limits{DeliveriesPerSecond: 1, CommandsPerSecond: 1, QueuedJobs: 1}, 1)
	w.broken, w.queued = errors.New("the disk is on fire"), 1000
	var releases []func()
	for i := range 100 {
		release, err := w.AdmitDelivery(acme, 1<<30)
		if err != nil {
			t.Fatalf("delivery %d: %v", i, err)
		}
		releases = append(releases, release)
	}
	if n := strings.Count(w.log.String(), "level=WARN"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, &w.log)
	}
	w.exceeds("a command, by the host's defaults", w.AdmitCommand(acme, 0), limits.QueuedJobs)
	for _, release := range releases {
		release()
	}
	w.broken, w.queued = nil, 0
	w.now = w.now.Add(2 * time.Hour)
	if got := w.admitted(acme, 10); got != 2 {
		t.Errorf("after it was mended %d were taken, want 2", got)
	}
}

func TestAChangeHoldsAtOnce(t *testing.T) {
	w := open(t, domain.Limits{DeliveriesPerSecond: 1}, 0)
	w.admitted(acme, 2)
	w.own[acme] = domain.Limits{DeliveriesPerSecond: domain.Unlimited}
	w.exceeds("before anybody said so", w.deliver(acme, 0), limits.DeliveriesPerSecond)
	w.Changed(acme)
	if got := w.admitted(acme, 1000); got != 1000 {
		t.Errorf("without a limit %d were taken, want 1000", got)
	}
	w.own[acme] = domain.Limits{DeliveriesPerSecond: 3}
	w.Changed(acme)
	if got := w.admitted(acme, 1000); got != 6 || w.Effective(acme).DeliveriesPerSecond != 3 {
		t.Errorf("with a limit of 3 %d were taken, want 6", got)
	}
	if w.reads != 3 {
		t.Errorf("the limits were read %d times, want 3", w.reads)
	}
}

func TestAChangeWhileTheLimitsAreRead(t *testing.T) {
	var l *limits.Limiter
	reads := 0
	l = limits.New(limits.Options{
		Own: func(context.Context, contract.WorkspaceID) (domain.Limits, error) {
			if reads++; reads == 1 {
				l.Changed(acme) // comes between the read and its use
				return domain.Limits{Connections: 1}, nil
			}
			return domain.Limits{Connections: 2}, nil
		},
		Queued: func(contract.WorkspaceID) int { return 0 }, Refused: func(limits.Name) {}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if got := l.Effective(acme).Connections; got != 2 {
		t.Errorf("the limit is %d, want 2: what was read before the change is used", got)
	}
}

func TestQueuedJobsBoundCommandsAndAtTwiceAsManyDeliveries(t *testing.T) {
	w := open(t, domain.Limits{QueuedJobs: 10}, 0)
	for _, tt := range []struct {
		queued            int
		command, delivery bool
	}{{9, true, true}, {10, false, true}, {19, false, true}, {20, false, false}} {
		w.queued = tt.queued
		if got := w.AdmitCommand(acme, 0) == nil; got != tt.command {
			t.Errorf("with %d jobs, a command is taken: %v", tt.queued, got)
		}
		if got := w.deliver(acme, 0) == nil; got != tt.delivery {
			t.Errorf("with %d jobs, a delivery is taken: %v", tt.queued, got)
		}
	}
}

func TestDeliveriesInFlightOfOneWorkspaceAreBounded(t *testing.T) {
	w := open(t, domain.Limits{}, 2)
	first, err := w.AdmitDelivery(acme, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AdmitDelivery(acme, 0); err != nil {
		t.Fatal(err)
	}
	_, err = w.AdmitDelivery(acme, 0)
	w.exceeds("the third", err, limits.DeliveriesInFlight)
	if err := w.deliver(rival, 0); err != nil {
		t.Errorf("another workspace: %v", err)
	}
	first()
	first() // counts once
	if _, err := w.AdmitDelivery(acme, 0); err != nil {
		t.Errorf("after one was answered: %v", err)
	}
	_, err = w.AdmitDelivery(acme, 0)
	w.exceeds("one more", err, limits.DeliveriesInFlight)
}

func TestIdleWorkspacesAreForgotten(t *testing.T) {
	w := open(t, domain.Limits{DeliveriesPerSecond: 1}, 5)
	for i := range 10_000 {
		if err := w.deliver(contract.WorkspaceID(fmt.Sprint(i)), 0); err != nil {
			t.Fatal(err)
		}
	}
	release, err := w.AdmitDelivery("busy", 0)
	if err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Hour)
	if err := w.deliver(acme, 0); err != nil {
		t.Fatal(err)
	}
	if n := w.Known(); n != 2 {
		t.Errorf("%d workspaces are remembered, want 2: the busy one and the last", n)
	}
	release()
}

func TestTheLastPlaceIsGivenOnce(t *testing.T) {
	w := open(t, domain.Limits{Connections: 10}, 0)
	var mu sync.Mutex
	made, failed := int64(0), 0
	count := func(context.Context) (int64, error) {
		mu.Lock()
		defer mu.Unlock()
		return made, nil
	}
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			err := w.Within(t.Context(), acme, limits.Connections, count, func(context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				made++
				return nil
			})
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed++
			}
		})
	}
	all.Wait()
	if made != 10 || failed != 54 {
		t.Errorf("%d were made and %d refused, want 10 and 54", made, failed)
	}
	err := w.Within(t.Context(), acme, limits.Connections, count, func(context.Context) error { return nil })
	if e := w.exceeds("one more", err, limits.Connections); e.RetryAfter != 0 || !strings.Contains(e.Error(), "remove one") {
		t.Errorf("got %+v: %v", e, e)
	}
}

func TestAnErrorOfWithinIsTheCallers(t *testing.T) {
	w := open(t, domain.Limits{Bridges: 1}, 0)
	boom := errors.New("boom")
	none := func(context.Context) (int64, error) { return 0, nil }
	if err := w.Within(t.Context(), acme, limits.Bridges, none, func(context.Context) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("create's: %v", err)
	}
	err := w.Within(t.Context(), acme, limits.Bridges, func(context.Context) (int64, error) { return 0, boom },
		func(context.Context) error { t.Error("created without a count"); return nil })
	if !errors.Is(err, boom) {
		t.Errorf("count's: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = w.Within(t.Context(), acme, limits.Bridges, none, func(context.Context) error {
		cancel()
		if err := w.Within(ctx, acme, limits.Bridges, none, func(context.Context) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("while somebody else makes one: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestWhoMakesSomethingIsNotForgotten: with its workspace its turn would go, and two would
// share the last place.
func TestWhoMakesSomethingIsNotForgotten(t *testing.T) {
	w := open(t, domain.Limits{Connections: 1}, 0)
	none := func(context.Context) (int64, error) { return 0, nil }
	over, cancel := context.WithCancel(t.Context())
	cancel()
	err := w.Within(t.Context(), acme, limits.Connections, none, func(context.Context) error {
		w.now = w.now.Add(time.Hour)
		if err := w.deliver("other", 0); err != nil {
			t.Error(err)
		}
		for range 20 { // with a turn of its own, one of these would get it
			err := w.Within(over, acme, limits.Connections, none, func(context.Context) error { return nil })
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("another one at the same time was answered %v", err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestAHostilelySmallLimitIsOneAllTheSame: what it takes to pay fits into no duration.
func TestAHostilelySmallLimitIsOneAllTheSame(t *testing.T) {
	w := open(t, domain.Limits{DeliveriesPerSecond: 1e-15}, 0)
	if got := w.admitted(acme, 10); got != 1 {
		t.Errorf("%d were taken at once, want 1", got)
	}
	if e := w.exceeds("the next", w.deliver(acme, 0), limits.DeliveriesPerSecond); e.RetryAfter <= 0 || e.RetryAfter > 3*time.Hour {
		t.Errorf("it may be tried again after %v", e.RetryAfter)
	}
}

// TestAppsDoNotShareABudget: each has what the host's workspace may, and a change of that
// reaches all of them.
func TestAppsDoNotShareABudget(t *testing.T) {
	w := open(t, domain.Limits{DeliveriesPerSecond: 2}, 0)
	first := domain.Connection{ID: "app_1", Workspace: domain.HostWorkspace, IsApp: true}.Budget()
	second := domain.Connection{ID: "app_2", Workspace: domain.HostWorkspace, IsApp: true}.Budget()
	most := w.admitted(first, 100)
	if got := w.admitted(second, 100); got != most || most == 100 {
		t.Errorf("%d deliveries of one app were taken, and then %d of the other", most, got)
	}
	w.own[first] = domain.Limits{DeliveriesPerSecond: 1000}
	w.Changed(domain.HostWorkspace)
	w.admitted(first, 1)
	w.now = w.now.Add(time.Second)
	if got := w.admitted(first, 100); got != 100 {
		t.Errorf("after the limits changed %d of 100 were taken", got)
	}
}
