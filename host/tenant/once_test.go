package tenant_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/limits"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func once(t *testing.T, key, hash string) context.Context {
	return domain.WithOnce(t.Context(), domain.Once{Key: key, RequestHash: hash})
}

// Convoy checked and then inserted, and two at once got through: see the negative list of
// the research.
func TestOfManyRepeatsAtOnceOneMakesAConnection(t *testing.T) {
	w := newWorld(t)
	var all sync.WaitGroup
	ids := make(chan contract.ConnectionID, 64)
	for range 64 {
		all.Go(func() {
			c, err := w.CreateConnection(once(t, "key", "hash"), boss, w.workspace.ID, good())
			if err != nil {
				t.Error(err)
			}
			ids <- c.ID
		})
	}
	all.Wait()
	close(ids)
	first := <-ids
	for id := range ids {
		if id != first {
			t.Errorf("one repeat made %s and another %s", first, id)
		}
	}
	if n, err := w.store.CountConnections(t.Context(), w.workspace.ID); n != 1 || err != nil {
		t.Errorf("there are %d connections, %v", n, err)
	}
	if n := len(w.jobs.added); n != 1 {
		t.Errorf("the plugin was asked to set it up %d times", n)
	}
}

func TestAKeyIsGoodForOneRequest(t *testing.T) {
	w := newWorld(t)
	c, err := w.CreateConnection(once(t, "key", "hash"), boss, w.workspace.ID, good())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.CreateConnection(once(t, "key", "other"), boss, w.workspace.ID, good()); !errors.Is(err, domain.ErrIdempotencyMismatch) {
		t.Errorf("another connection: %v", err)
	}
	if _, err := w.CheckConnection(once(t, "key", "third"), boss, w.workspace.ID, c.ID); !errors.Is(err, domain.ErrIdempotencyMismatch) {
		t.Errorf("a command: %v", err)
	}
	if _, err := w.Upload(once(t, "key", "fourth"), boss, w.workspace.ID, "a", strings.NewReader("a")); !errors.Is(err, domain.ErrIdempotencyMismatch) {
		t.Errorf("an upload: %v", err)
	}
	if _, err := w.EnablePlugin(t.Context(), boss, w.rival.ID, "acme"); err != nil {
		t.Fatal(err)
	}
	if other, err := w.CreateConnection(once(t, "key", "hash"), boss, w.rival.ID, good()); err != nil || other.ID == c.ID {
		t.Errorf("another workspace has keys of its own: %s, %v", other.ID, err)
	}
}

func TestWhatWasRemovedIsNotMadeAgain(t *testing.T) {
	w := newWorld(t)
	c, err := w.CreateConnection(once(t, "key", "hash"), boss, w.workspace.ID, good())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.DeleteConnection(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.CreateConnection(once(t, "key", "hash"), boss, w.workspace.ID, good()); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("got %v", err)
	}
}

func TestARepeatAfterACrashMakesWhatTheFirstDidNot(t *testing.T) {
	w := newWorld(t)
	ctx := once(t, "key", "hash")
	claim, err := w.store.ClaimKey(ctx, w.workspace.ID, domain.OnceOf(ctx), "con_first", time.Now()) // and no more: the host was killed
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.CreateConnection(ctx, boss, w.workspace.ID, good())
	if err != nil || string(c.ID) != claim.ID {
		t.Errorf("made %s, want %s: %v", c.ID, claim.ID, err)
	}
}

func TestARepeatedUploadAndCheckAreAnsweredAsTheFirst(t *testing.T) {
	w := newWorld(t)
	first, err := w.Upload(once(t, "upload", "hash"), boss, w.workspace.ID, "a.txt", strings.NewReader("a"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.Upload(once(t, "upload", "hash"), boss, w.workspace.ID, "a.txt", strings.NewReader("a"))
	if err != nil || again.Handle != first.Handle {
		t.Errorf("the repeat gave %s, want %s: %v", again.Handle, first.Handle, err)
	}
	if _, err := w.Upload(once(t, "upload", "hash"), boss, w.workspace.ID, "a.txt", strings.NewReader("b")); !errors.Is(err, domain.ErrIdempotencyMismatch) {
		t.Errorf("other bytes: %v", err)
	}
	c, err := w.CreateConnection(t.Context(), boss, w.workspace.ID, good())
	if err != nil {
		t.Fatal(err)
	}
	job, err := w.CheckConnection(once(t, "check", "hash"), boss, w.workspace.ID, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	if repeat, err := w.CheckConnection(once(t, "check", "hash"), boss, w.workspace.ID, c.ID); err != nil || repeat.ID != job.ID {
		t.Errorf("the repeated check gave %s, want %s: %v", repeat.ID, job.ID, err)
	}
}

func TestLimitsOfAWorkspaceHoldAtOnce(t *testing.T) {
	w := newWorld(t)
	set, err := w.SetLimits(t.Context(), boss, w.workspace.ID, domain.Limits{Connections: 2, CommandsPerSecond: 0.5})
	if err != nil || set.Effective.Connections != 2 {
		t.Fatalf("got %+v, %v", set, err)
	}
	var last domain.Connection
	for i := range 3 {
		n := good()
		n.Name = fmt.Sprint(i)
		c, err := w.CreateConnection(t.Context(), boss, w.workspace.ID, n)
		if i < 2 {
			last = c
		}
		if (err == nil) != (i < 2) || err != nil && exceeded(err) != limits.Connections {
			t.Errorf("connection %d: %v", i, err)
		}
	}
	for i := range 2 {
		_, err := w.CheckConnection(t.Context(), boss, w.workspace.ID, last.ID)
		if (err == nil) != (i == 0) || err != nil && exceeded(err) != limits.CommandsPerSecond {
			t.Errorf("command %d: %v", i, err)
		}
	}
	if _, err := w.SetLimits(t.Context(), boss, w.workspace.ID, domain.Limits{Connections: 3, CommandsPerSecond: domain.Unlimited}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.CreateConnection(t.Context(), boss, w.workspace.ID, good()); err != nil {
		t.Errorf("after the limit was raised: %v", err)
	}
	if _, err := w.CheckConnection(t.Context(), boss, w.workspace.ID, last.ID); err != nil {
		t.Errorf("after the limit was lifted: %v", err)
	}
	kept, err := w.Limits(t.Context(), w.workspace.ID)
	if err != nil || kept.Set.Connections != 3 {
		t.Errorf("kept %+v, %v", kept, err)
	}
}

// exceeded is the limit that an error tells of.
func exceeded(err error) limits.Name {
	e := new(limits.Exceeded)
	errors.As(err, &e)
	return e.Limit
}

func TestLimitsThatCannotBeKept(t *testing.T) {
	w := newWorld(t)
	_, err := w.SetLimits(t.Context(), boss, w.workspace.ID, domain.Limits{DeliveriesPerSecond: -2, BytesPerSecond: 1e13, CommandsPerSecond: 1e-9, Bridges: -1})
	invalid := new(domain.Invalid)
	if !errors.As(err, &invalid) || len(invalid.Problems) != 3 || invalid.Problems[0].Field != "deliveries_per_second" {
		t.Errorf("got %v", err)
	}
	if _, err := w.SetLimits(t.Context(), boss, "wsp_nowhere", domain.Limits{}); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("of no workspace: %v", err)
	}
	if _, err := w.Limits(t.Context(), "wsp_nowhere"); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("of no workspace: %v", err)
	}
}
