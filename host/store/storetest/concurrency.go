package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// together runs n goroutines at once and waits for them.
func together(n int, work func(i int)) {
	var ready, done sync.WaitGroup
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			work(i)
		})
	}
	done.Wait()
}

var concurrencyClaims = []claim{
	{"of 64 deliveries with one dedupe key, one is committed", func(t *testing.T, f *fixture) {
		effects := make([]domain.DeliveryEffects, 64)
		for i := range effects {
			effects[i] = f.delivery(conA, f.text(chat, fmt.Sprint(i), "x"))
			effects[i].Delivery.DedupeKey = "key"
			effects[i].Delivery.Response.Body = fmt.Sprint(i)
		}
		answers := make([]domain.DeliveryCommitted, len(effects))
		errs := make([]error, len(effects))
		together(len(effects), func(i int) { answers[i], errs[i] = f.CommitDelivery(t.Context(), effects[i]) })
		var first []domain.DeliveryCommitted
		for i, a := range answers {
			f.ok(errs[i])
			if !a.Duplicate {
				first = append(first, a)
			}
		}
		if len(first) != 1 || len(f.events(wsA)) != 1 {
			t.Fatalf("%d were committed, %d events", len(first), len(f.events(wsA)))
		}
		for _, a := range answers {
			if a.Response.Body != first[0].Response.Body {
				t.Errorf("one was answered %q, the first %q", a.Response.Body, first[0].Response.Body)
			}
		}
	}},
	{"what reads and writes the same entry happens one after the other", func(t *testing.T, f *fixture) {
		const workers, rounds = 16, 8
		var conflicts atomic.Int64
		together(workers, func(int) {
			for range rounds {
				conflicts.Add(int64(f.increment("counter")))
			}
		})
		if value, _ := f.entry("counter"); value != fmt.Sprint(workers*rounds) {
			t.Errorf("counted to %s, want %d (after %d conflicts)", value, workers*rounds, conflicts.Load())
		}
	}},
	{"what finds nothing and makes something does so once", func(t *testing.T, f *fixture) {
		var made atomic.Int64
		effects := make([]domain.DeliveryEffects, 32)
		for i := range effects {
			effects[i] = f.delivery(conA)
			effects[i].Scans = []domain.KVScan{{Prefix: "conversation/"}}
			effects[i].Writes = []domain.KVWrite{{Key: fmt.Sprint("conversation/", i)}}
		}
		together(len(effects), func(i int) {
			_, err := f.CommitDelivery(t.Context(), effects[i])
			if err == nil {
				made.Add(1)
			} else if !errors.Is(err, domain.ErrConflict) {
				t.Errorf("CommitDelivery: %v", err)
			}
		})
		if made.Load() != 1 {
			t.Errorf("it was made %d times", made.Load())
		}
	}},
	{"a job is ended once", func(t *testing.T, f *fixture) {
		job := f.send(chat, "x")
		waiting := f.receive(f.photo(chat, "m")).Jobs[0]
		var ended, released atomic.Int64
		together(32, func(i int) {
			var err error
			if i%2 == 0 {
				_, err = f.CommitCommand(t.Context(), f.ran(job, domain.JobDone))
				count(&ended, err)
			} else {
				_, err = f.ReleaseEvent(t.Context(), waiting.ID, fetched(waiting.Event.Data), f.at)
				count(&released, err)
			}
			if err != nil && !errors.Is(err, domain.ErrConflict) {
				t.Errorf("ending a job: %v", err)
			}
		})
		if ended.Load() != 1 || released.Load() != 1 || len(f.events(wsA)) != 1 {
			t.Errorf("ended %d times, released %d times, %d events", ended.Load(), released.Load(), len(f.events(wsA)))
		}
	}},
	{"an idempotency key is good for one of many", func(t *testing.T, f *fixture) {
		var created atomic.Int64
		ids := make([]string, 32)
		together(len(ids), func(i int) {
			n := f.sending(chat, "x")
			n.IdempotencyKey = "key"
			job, isNew, err := f.AcceptCommand(t.Context(), n)
			if err != nil {
				t.Errorf("AcceptCommand: %v", err)
			}
			if ids[i] = job.ID; isNew {
				created.Add(1)
			}
		})
		if created.Load() != 1 || len(f.queue()) != 1 {
			t.Errorf("created %d times, queue %v", created.Load(), f.queue())
		}
		for _, id := range ids {
			if id != ids[0] {
				t.Errorf("answered with %s and %s", id, ids[0])
			}
		}
	}},
	{"numbers of events have no gaps, whoever commits", func(t *testing.T, f *fixture) {
		effects := make([]domain.DeliveryEffects, 64)
		for i := range effects {
			effects[i] = f.delivery([]contract.ConnectionID{conA, conA2, conB}[i%3], f.text(chat, f.name("m"), "x"), f.text(otherChat, f.name("m"), "x"))
		}
		together(len(effects), func(i int) {
			if _, err := f.CommitDelivery(t.Context(), effects[i]); err != nil {
				t.Errorf("CommitDelivery: %v", err)
			}
		})
		for ws, want := range map[contract.WorkspaceID]int{wsA: 86, wsB: 42} {
			events := f.events(ws)
			if len(events) != want || events[want-1].Seq != uint64(want) {
				t.Errorf("%s has %d events up to %d, want %d", ws, len(events), events[len(events)-1].Seq, want)
			}
		}
	}},
	{"one that fails takes nobody with it", func(t *testing.T, f *fixture) {
		fails := []func(w *domain.Workspace) error{
			func(w *domain.Workspace) error { return errRefused },
			func(w *domain.Workspace) error { panic("a caller's mistake") },
		}
		var failures, successes atomic.Int64
		together(60, func(i int) {
			modify := func(w *domain.Workspace) error { w.Enabled = append(w.Enabled, fmt.Sprint(i)); return nil }
			if i%3 > 0 {
				modify = fails[i%3-1]
			}
			if _, err := f.UpdateWorkspace(t.Context(), wsA, modify); err != nil {
				failures.Add(1)
			} else {
				successes.Add(1)
			}
		})
		w, err := f.Workspace(t.Context(), wsA)
		f.ok(err)
		if failures.Load() != 40 || successes.Load() != 20 || len(w.Enabled) != 20 {
			t.Errorf("%d failed, %d did not, and %d changes were kept", failures.Load(), successes.Load(), len(w.Enabled))
		}
	}},
	{"who has given up is not waited for", func(t *testing.T, f *fixture) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := f.CommitDelivery(ctx, f.delivery(conA))
		f.fails("CommitDelivery", err, context.Canceled)
		_, err = f.Workspace(ctx, wsA)
		f.fails("Workspace", err, context.Canceled)
		f.ok(f.Ping(t.Context()))
	}},
}

func count(n *atomic.Int64, err error) {
	if err == nil {
		n.Add(1)
	}
}

// increment adds one to an entry the way a plugin does: it reads, commits, and begins
// anew if somebody else was faster. It returns how often that was.
func (f *fixture) increment(k string) (conflicts int) {
	for {
		value, version, _, err := f.KVGet(f.t.Context(), conA, k, f.at)
		if err != nil {
			f.t.Errorf("KVGet: %v", err)
			return conflicts
		}
		n, _ := strconv.Atoi(value) // no entry counts as 0
		e := domain.DeliveryEffects{Effects: domain.Effects{Workspace: wsA, Connection: conA, At: f.at,
			Reads:  []domain.KVRead{{Key: k, Version: version}},
			Writes: []domain.KVWrite{{Key: k, Value: fmt.Sprint(n + 1)}}}}
		e.Delivery.ID = contract.DeliveryID(f.NewID("dlv"))
		switch _, err := f.CommitDelivery(f.t.Context(), e); {
		case err == nil:
			return conflicts
		case !errors.Is(err, domain.ErrConflict):
			f.t.Errorf("CommitDelivery: %v", err)
			return conflicts
		}
		conflicts++
	}
}
