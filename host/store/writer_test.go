package store_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// gate is a commit that waits until it is let through, so that requests pile up behind
// it.
type gate struct {
	reached chan struct{}
	pass    chan error // what the commit answers; nil lets it happen
}

func newGate() *gate { return &gate{make(chan struct{}), make(chan error)} }

func (g *gate) commit(tx *bbolt.Tx) error {
	g.reached <- struct{}{}
	if err := <-g.pass; err != nil {
		return err
	}
	return tx.Commit()
}

// let lets commits through until stop is called.
func (g *gate) let() (stop func()) {
	end := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		for {
			select {
			case <-g.reached:
				g.pass <- nil
			case <-end:
				return
			}
		}
	})
	return func() { close(end); done.Wait() }
}

func openGated(t *testing.T, opts store.Options) (*store.Store, *gate) {
	t.Helper()
	g := newGate()
	s, err := store.Open(t.TempDir()+"/gated.db", opts.WithCommit(g.commit))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer g.let()()
		for _, problem := range s.Check(context.Background()) {
			t.Errorf("afterwards the store is inconsistent: %s", problem)
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return s, g
}

// pile starts one request that holds the writer up, then n that queue behind it, and
// returns how to collect what they were answered once the writer goes on.
func pile(t *testing.T, s *store.Store, g *gate, n int, request func(i int) error) (collect func() []error) {
	t.Helper()
	errs := make([]error, n)
	var done sync.WaitGroup
	first := make(chan error, 1)
	go func() { first <- s.Ping(context.Background()) }()
	<-g.reached
	for i := range n {
		done.Go(func() { errs[i] = request(i) })
	}
	for s.Stats().Pending < n { // they are about to queue, each on its own goroutine
		runtime.Gosched()
	}
	return func() []error {
		g.pass <- nil
		if err := <-first; err != nil {
			t.Error(err)
		}
		stop := g.let()
		done.Wait()
		stop()
		return errs
	}
}

func create(s *store.Store, id string) error {
	return s.CreateWorkspace(context.Background(), domain.Workspace{ID: contract.WorkspaceID(id)})
}

func TestRequestsThatWaitShareOneCommit(t *testing.T) {
	groups := make(chan int, 8)
	s, g := openGated(t, store.Options{OnCommit: func(group int, took time.Duration) {
		if took <= 0 {
			t.Errorf("a commit took %v", took)
		}
		groups <- group
	}})
	errs := pile(t, s, g, 100, func(i int) error { return create(s, fmt.Sprint("wsp_", i)) })()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if stats := s.Stats(); stats.Commits != 2 || stats.Writes != 101 || stats.LargestGroup != 100 {
		t.Errorf("Stats() = %+v, want 101 writes in 2 commits", stats)
	}
	if first, second := <-groups, <-groups; first != 1 || second != 100 {
		t.Errorf("OnCommit was told of groups of %d and %d", first, second)
	}
}

func TestOneThatFailsHalfwayIsLeftOut(t *testing.T) {
	for _, tt := range []struct {
		name    string
		culprit func(i int) bool
	}{
		{"none", func(int) bool { return false }},
		{"the first", func(i int) bool { return i == 0 }},
		{"one in the middle", func(i int) bool { return i == 20 }},
		{"a few", func(i int) bool { return i%10 == 0 }},
		{"more than is worth a rerun each", func(i int) bool { return i%2 == 0 }},
		{"all", func(int) bool { return true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, g := openGated(t, store.Options{})
			errs := pile(t, s, g, 40, func(i int) error {
				if tt.culprit(i) {
					return create(s, "") // bbolt refuses an empty key, after the request has written
				}
				return create(s, fmt.Sprint("wsp_", i))
			})()
			for i, err := range errs {
				_, found := s.Workspace(t.Context(), contract.WorkspaceID(fmt.Sprint("wsp_", i)))
				if (err != nil) != tt.culprit(i) || (found != nil) != tt.culprit(i) {
					t.Errorf("request %d, at fault %t: answered %v; afterwards %v", i, tt.culprit(i), err, found)
				}
				if err != nil && errors.Is(err, domain.ErrUnavailable) {
					t.Errorf("request %d was told that the store is at fault: %v", i, err)
				}
			}
		})
	}
}

func TestOneThatPanicsIsLeftOut(t *testing.T) {
	s, g := openGated(t, store.Options{})
	stop := g.let()
	if err := create(s, "wsp_x"); err != nil {
		t.Fatal(err)
	}
	stop()
	errs := pile(t, s, g, 10, func(i int) error {
		if i != 5 {
			return create(s, fmt.Sprint("wsp_", i))
		}
		_, err := s.UpdateWorkspace(context.Background(), "wsp_x", func(*domain.Workspace) error { panic("mistake") })
		return err
	})()
	for i, err := range errs {
		if (err != nil) != (i == 5) {
			t.Errorf("request %d was answered %v", i, err)
		}
	}
	if err := errs[5]; err == nil || !strings.Contains(err.Error(), "mistake") || !strings.Contains(err.Error(), "writer_test.go") {
		t.Errorf("the error does not say what panicked where: %v", err)
	}
}

func TestACallerWhoGivesUpDoesNotStopTheCommit(t *testing.T) {
	s, g := openGated(t, store.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error, 1)
	go func() { answer <- s.CreateWorkspace(ctx, domain.Workspace{ID: "wsp_1"}) }()
	<-g.reached
	cancel()
	if err := <-answer; !errors.Is(err, context.Canceled) {
		t.Errorf("answered %v", err)
	}
	g.pass <- nil
	defer g.let()()
	if err := s.Ping(t.Context()); err != nil { // behind the first in the queue
		t.Fatal(err)
	}
	if _, err := s.Workspace(t.Context(), "wsp_1"); err != nil {
		t.Errorf("its change: %v", err)
	}
}

func TestOneThatGaveUpInTheQueueIsNotRun(t *testing.T) {
	s, g := openGated(t, store.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	collect := pile(t, s, g, 2, func(i int) error {
		if i == 0 {
			return create(s, "wsp_0")
		}
		return s.CreateWorkspace(ctx, domain.Workspace{ID: "wsp_1"})
	})
	cancel()
	errs := collect()
	if errs[0] != nil || !errors.Is(errs[1], context.Canceled) {
		t.Errorf("answered %v", errs)
	}
	if _, err := s.Workspace(t.Context(), "wsp_1"); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("the one that gave up: %v", err)
	}
}

func TestClose(t *testing.T) {
	g := newGate()
	s, err := store.Open(t.TempDir()+"/closed.db", store.Options{}.WithCommit(g.commit))
	if err != nil {
		t.Fatal(err)
	}
	collect := pile(t, s, g, 10, func(i int) error { return create(s, fmt.Sprint("wsp_", i)) })
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	for i, err := range collect() {
		if err != nil {
			t.Errorf("request %d was queued before the end and was answered %v", i, err)
		}
	}
	if err := errors.Join(<-closed, s.Close()); err != nil {
		t.Errorf("Close() twice = %v", err)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("Ping after Close = %v", err)
	}
	if _, err := s.Workspace(t.Context(), "wsp_1"); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("Workspace after Close = %v", err)
	}
	s.MarkAnswered("dlv_late")
}

func TestWhatChangesNothingCostsNoCommit(t *testing.T) {
	s := open(t)
	if err := create(s.Store, "wsp_1"); err != nil {
		t.Fatal(err)
	}
	before := s.Stats().Commits
	if err := create(s.Store, "wsp_1"); !errors.Is(err, domain.ErrExists) {
		t.Errorf("CreateWorkspace again = %v", err)
	}
	if got := s.Stats().Commits; got != before {
		t.Errorf("a refusal cost %d commits", got-before)
	}
}

// A commit whose last fsync fails shows, although it may not be on the disk.
func TestAFailureAfterTheChangeShows(t *testing.T) {
	for _, tt := range []struct {
		name    string
		failing int // commits that fail after they happened
		want    error
	}{
		{"is mended by an empty commit", 1, nil},
		{"is told if that fails as well", 2, domain.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			left := 0
			s, err := store.Open(t.TempDir()+"/late.db", store.Options{}.WithCommit(func(tx *bbolt.Tx) error {
				if err := tx.Commit(); err != nil || left == 0 {
					return err
				}
				left--
				return syscall.EIO
			}))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			left = tt.failing // the writer is idle
			err = create(s, "wsp_1")
			if !errors.Is(err, tt.want) {
				t.Errorf("CreateWorkspace = %v, want %v", err, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), "the change shows") {
				t.Errorf("the error does not tell that the change shows: %v", err)
			}
			if err := create(s, "wsp_2"); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}
