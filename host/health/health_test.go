package health_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/health"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const (
	wsA, wsB = contract.WorkspaceID("wsp_a"), contract.WorkspaceID("wsp_b")
	con      = contract.ConnectionID("con_1")
)

// world is the store and the plugins of a room.
type world struct {
	t    *testing.T
	room *health.Room

	mu          sync.Mutex
	connections map[contract.ConnectionID]domain.Connection
	changes     []contract.StateChange // what the store was told, a zero one for nothing
	probes      map[contract.ConnectionID][]time.Time
	running     map[contract.WorkspaceID]int
	most        map[contract.WorkspaceID]int
	able        bool
	// answer is what a plugin says, and takes how long.
	answer func(c domain.Connection) (contract.Health, error)
	takes  time.Duration
}

func newWorld(t *testing.T, o health.Options) *world {
	w := &world{t: t, connections: map[contract.ConnectionID]domain.Connection{}, probes: map[contract.ConnectionID][]time.Time{},
		running: map[contract.WorkspaceID]int{}, most: map[contract.WorkspaceID]int{}, able: true,
		answer: func(domain.Connection) (contract.Health, error) { return well, nil }}
	o.Store, o.Plugins, o.Log = w, w, slog.New(slog.DiscardHandler)
	o.Random = rand.New(rand.NewPCG(1, 2)).Float64
	w.room = health.New(o)
	return w
}

var (
	well    = contract.Health{CredentialsValid: true}
	invalid = contract.Health{Detail: "The key was withdrawn."}
	unwell  = &domain.Failed{Failure: contract.Failure{Class: contract.FailureRetry, Code: "platform_unavailable", Message: "The platform answers 503."}}
	refused = &domain.Failed{Failure: contract.Failure{Class: contract.FailureReauthorise, Code: "token_refused", Message: "The platform refused the token."}}
)

// start runs the room until the test has ended.
func (w *world) start() {
	ctx, stop := context.WithCancel(w.t.Context())
	ended := make(chan struct{})
	go func() { w.room.Run(ctx); close(ended) }()
	w.t.Cleanup(func() { stop(); <-ended })
}

func (w *world) connect(id contract.ConnectionID, ws contract.WorkspaceID, s contract.ConnectionState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.connections[id] = domain.Connection{ID: id, Workspace: ws, Plugin: "acme", State: s, Health: domain.Health{Said: contract.StateChange{State: s}}}
}

func (w *world) Workspaces(context.Context, domain.Page) ([]domain.Workspace, string, error) {
	return []domain.Workspace{{ID: wsA}, {ID: wsB}}, "", nil
}

func (w *world) Connections(_ context.Context, ws contract.WorkspaceID, _ domain.Page) (all []domain.Connection, _ string, _ error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.connections {
		if c.Workspace == ws {
			all = append(all, c)
		}
	}
	return all, "", nil
}

func (w *world) Connection(_ context.Context, id contract.ConnectionID) (domain.Connection, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok := w.connections[id]
	if !ok {
		return c, domain.ErrNotFound
	}
	return c, nil
}

func (w *world) SetHealth(_ context.Context, id contract.ConnectionID, cause domain.HealthCause, change *contract.StateChange, _ time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	said := contract.StateChange{}
	if change != nil {
		said = *change
	}
	w.changes = append(w.changes, said)
	w.connections[id], _ = w.connections[id].Learn(cause, change)
	return nil
}

func (w *world) Abilities(string) ([]contract.Export, bool) {
	return []contract.Export{contract.ExportReceive, contract.ExportCheckHealth}, w.able
}

func (w *world) Probe(ctx context.Context, c domain.Connection) (contract.Health, error) {
	w.mu.Lock()
	w.probes[c.ID] = append(w.probes[c.ID], time.Now())
	w.running[c.Workspace]++
	w.most[c.Workspace] = max(w.most[c.Workspace], w.running[c.Workspace])
	answer, takes := w.answer, w.takes
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.running[c.Workspace]--
		w.mu.Unlock()
	}()
	select {
	case <-ctx.Done():
		return contract.Health{}, ctx.Err()
	case <-time.After(takes):
		return answer(c)
	}
}

func (w *world) says(answer contract.Health, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = func(domain.Connection) (contract.Health, error) { return answer, err }
}

func (w *world) state() contract.StateChange {
	c, _ := w.Connection(w.t.Context(), con)
	return c.StateChange()
}

// pass lets time go by.
func pass(d time.Duration) {
	time.Sleep(d) // the clock of a bubble
	synctest.Wait()
}

func TestProbesComeOncePerIntervalAndNotAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, health.Options{})
		began := time.Now()
		for i := range 100 {
			w.connect(contract.ConnectionID(fmt.Sprint("con_", i)), wsA, contract.StateConnected)
		}
		w.start()
		pass(time.Hour)
		perMinute := map[int]int{}
		for id, times := range w.probes {
			if n := len(times); n < 10 || n > 14 {
				t.Errorf("%s was probed %d times in an hour, want about 12", id, n)
			}
			perMinute[int(times[0].Sub(began)/time.Minute)]++
			for i := 1; i < len(times); i++ {
				if gap := times[i].Sub(times[i-1]); gap < 4*time.Minute || gap > 6*time.Minute {
					t.Errorf("%s was probed after %v, want about 5 minutes", id, gap)
				}
			}
		}
		for minute := range 5 {
			if n := perMinute[minute]; n < 5 || n > 40 {
				t.Errorf("%d of 100 first probes came in minute %d: %v", n, minute, perMinute)
			}
		}
		if len(w.changes) != 0 {
			t.Errorf("the store was told %+v of connections that are well", w.changes)
		}
	})
}

func TestOnlySomeFailuresInARowCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, health.Options{})
		w.connect(con, wsA, contract.StateConnected)
		bad := 0
		w.answer = func(domain.Connection) (contract.Health, error) {
			if bad++; bad%3 != 0 {
				return contract.Health{}, unwell
			}
			return well, nil
		}
		w.start()
		pass(2 * time.Hour)
		if len(w.changes) != 0 {
			t.Errorf("two failures in a row were held against it: %+v", w.changes)
		}
		w.says(contract.Health{}, unwell)
		pass(20 * time.Minute)
		if got := w.state(); got.State != contract.StateDegraded || got.Code != "platform_unavailable" || got.Reason != "The platform answers 503." {
			t.Errorf("it is in %+v", got)
		}
		if s, ok := w.room.Probes(con); !ok || s.Failures < 3 || s.LastAt.IsZero() || !s.NextAt.After(time.Now()) {
			t.Errorf("its probes: %+v, %t", s, ok)
		}
		w.says(well, nil)
		pass(2 * time.Minute)
		if got := w.state(); got.State != contract.StateConnected || len(w.changes) != 2 {
			t.Errorf("after it went well it is in %+v, and the store was told %+v", got, w.changes)
		}
	})
}

func TestRefusedCredentialsNeedSomebodyToAct(t *testing.T) {
	for name, tt := range map[string]struct {
		found contract.Health
		err   error
		code  string
	}{
		"as the plugin's finding": {found: invalid, code: "credentials_refused"},
		"as its failure":          {err: refused, code: "token_refused"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, health.Options{})
				w.connect(con, wsA, contract.StateConnected)
				w.says(tt.found, tt.err)
				w.start()
				pass(20 * time.Minute)
				got := w.state()
				if got.State != contract.StateNeedsAction || got.Code != tt.code || got.Action == "" || len(w.changes) != 1 {
					t.Errorf("it is in %+v, and the store was told %+v", got, w.changes)
				}
				w.says(well, nil)
				pass(5 * time.Minute)
				if got := w.state(); got.State != contract.StateConnected {
					t.Errorf("with new credentials it is still in %+v", got)
				}
			})
		})
	}
}

func TestTokensThatTheHostRenewsAreNobodysToAct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, health.Options{})
		w.connect(con, wsA, contract.StateConnected)
		w.says(contract.Health{}, &domain.Failed{Failure: refused.Failure, Renewing: true})
		w.start()
		pass(20 * time.Minute)
		if got := w.state(); got.State != contract.StateDegraded || len(w.changes) != 1 {
			t.Errorf("it is in %+v, want degraded: a renewal may mend it", got)
		}
		w.says(contract.Health{}, refused)
		pass(5 * time.Minute)
		if got := w.state(); got.State != contract.StateNeedsAction {
			t.Errorf("it is in %+v although new tokens were refused as well", got)
		}
	})
}

func TestOnlyConnectionsThatShouldWorkAreProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, health.Options{})
		for _, s := range []contract.ConnectionState{contract.StatePending, contract.StateConnecting, contract.StateNeedsAction, contract.StateDisconnected, contract.StateConnected, contract.StateDegraded} {
			w.connect(contract.ConnectionID(s), wsA, s)
		}
		w.start()
		pass(time.Hour)
		if len(w.probes) != 2 || w.probes["connected"] == nil || w.probes["degraded"] == nil {
			t.Errorf("probed %v", w.probes)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, health.Options{})
		w.able = false
		w.connect(con, wsA, contract.StateConnected)
		w.start()
		pass(time.Hour)
		if len(w.probes) != 0 {
			t.Errorf("a plugin that cannot check was asked %v", w.probes)
		}
	})
}

func TestAConnectionThatComesOrGoesIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, health.Options{})
		w.start()
		pass(time.Hour)
		w.connect(con, wsA, contract.StateConnected)
		pass(10 * time.Minute)
		if len(w.probes[con]) == 0 {
			t.Error("a new connection was not probed within ten minutes")
		}
		w.mu.Lock()
		delete(w.connections, con)
		w.mu.Unlock()
		pass(10 * time.Minute)
		if s, ok := w.room.Probes(con); ok {
			t.Errorf("one that was removed is still known: %+v", s)
		}
	})
}

func TestFewProbesRunAtOnceAndNoTenantHasThemAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, health.Options{AtOnce: 4})
		w.takes = 30 * time.Second
		for i := range 100 { // five times what two places can carry
			w.connect(contract.ConnectionID(fmt.Sprint("con_", i)), wsA, contract.StateConnected)
		}
		w.connect("con_b", wsB, contract.StateConnected)
		w.start()
		pass(2 * time.Hour)
		if w.most[wsA] != 2 {
			t.Errorf("%d probes of one tenant ran at once, want 2 of 4", w.most[wsA])
		}
		if n := len(w.probes["con_b"]); n < 15 {
			t.Errorf("the other tenant's connection was probed %d times in two hours, want about 20", n)
		}
	})
}

func TestWhatSaysNothingOfTheConnectionChangesNothing(t *testing.T) {
	for name, err := range map[string]error{
		"the store is full": fmt.Errorf("commit: %w", domain.ErrUnavailable), "another was faster": fmt.Errorf("commit: %w", domain.ErrConflict),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, health.Options{})
				w.connect(con, wsA, contract.StateConnected)
				w.says(contract.Health{}, err)
				w.start()
				pass(time.Hour)
				if len(w.changes) != 0 || len(w.probes[con]) < 20 {
					t.Errorf("the store was told %+v after %d probes", w.changes, len(w.probes[con]))
				}
			})
		})
	}
	t.Run("a tenant that computed too much is left alone", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, health.Options{Debt: func(ws contract.WorkspaceID) time.Duration { return time.Second }})
			w.connect(con, wsA, contract.StateConnected)
			w.start()
			pass(time.Hour)
			if len(w.probes) != 0 {
				t.Errorf("probed %v", w.probes)
			}
		})
	})
}

func TestABrokenPluginIsHeldAgainstTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, health.Options{})
		w.connect(con, wsA, contract.StateConnected)
		w.says(contract.Health{}, errors.New("a trap at 0x1234"))
		w.start()
		pass(time.Hour)
		if got := w.state(); got.State != contract.StateDegraded || got.Code != "probe_failed" || len(w.changes) != 1 {
			t.Errorf("it is in %+v, and the store was told %+v", got, w.changes)
		}
	})
}

func TestACheckThatAPersonAskedForCountsAsAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, health.Options{})
		w.connect(con, wsA, contract.StateConnected)
		w.says(contract.Health{}, unwell)
		w.start()
		pass(30 * time.Minute)
		w.says(well, nil)
		w.room.Ended(t.Context(), domain.Job{Connection: con, State: domain.JobDone,
			Command: &domain.Command{Export: contract.ExportCheckHealth, Result: &domain.CommandResult{Health: &well}}})
		if got := w.state(); got.State != contract.StateConnected {
			t.Errorf("after a check that went well it is in %+v", got)
		}
		w.room.Ended(t.Context(), domain.Job{Connection: con, State: domain.JobDone, Command: &domain.Command{Export: contract.ExportSendMessage}})
		w.room.Ended(t.Context(), domain.Job{Connection: "con_nobody", State: domain.JobDone, Command: &domain.Command{Export: contract.ExportCheckHealth}})
		w.room.Ended(t.Context(), domain.Job{Connection: con, State: domain.JobDone}) // it runs a claimed delivery
	})
}

func TestWhatFailedBeforeARestartIsRememberedAndMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, health.Options{})
		w.connect(con, wsA, contract.StateConnected)
		change := contract.StateChange{State: contract.StateDegraded, Code: "platform_unavailable"}
		if err := w.SetHealth(t.Context(), con, domain.CauseProbe, &change, time.Now()); err != nil {
			t.Fatal(err)
		}
		w.says(contract.Health{}, unwell)
		w.start()
		pass(6 * time.Minute)
		if len(w.changes) != 1 {
			t.Errorf("what is known was told again: %+v", w.changes)
		}
		w.says(well, nil)
		pass(6 * time.Minute)
		if got := w.state(); got.State != contract.StateConnected {
			t.Errorf("it is in %+v", got)
		}
	})
}
