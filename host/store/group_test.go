package store_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// TestADamagedRecordFailsOnlyThoseOfAGroupThatReadIt: the others of the group are none of
// its business.
func TestADamagedRecordFailsOnlyThoseOfAGroupThatReadIt(t *testing.T) {
	g := newGate()
	s, err := store.Open(t.TempDir()+"/gated.db", store.Options{}.WithCommit(g.commit))
	if err != nil {
		t.Fatal(err)
	}
	stop := g.let()
	begin(t, s)
	stop()
	flip(t, s, "workspaces", 3)
	errs := pile(t, s, g, 40, func(i int) error {
		if i%2 == 0 {
			id := fmt.Sprint("con_", i)
			return s.CreateConnection(context.Background(), domain.Connection{ID: contract.ConnectionID(id), Workspace: "wsp_1", Endpoint: id}, nil)
		}
		return create(s, fmt.Sprint("wsp_new", i))
	})()
	for i, err := range errs {
		var damage *store.DamagedError
		if i%2 == 0 && !errors.As(err, &damage) || i%2 == 1 && err != nil {
			t.Errorf("request %d was answered %v", i, err)
		}
	}
	defer g.let()()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestCloseCommitsWhatIsQueuedHoweverLittle: one request behind the one that is committed.
func TestCloseCommitsWhatIsQueuedHoweverLittle(t *testing.T) {
	for range 12 { // which of the two the writer sees first is chance
		g := newGate()
		s, err := store.Open(t.TempDir()+"/gated.db", store.Options{}.WithCommit(g.commit))
		if err != nil {
			t.Fatal(err)
		}
		collect := pile(t, s, g, 1, func(int) error { return create(s, "wsp_late") })
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		for !s.Closing() {
			runtime.Gosched()
		}
		if errs := collect(); errs[0] != nil {
			t.Fatalf("what was queued was answered %v", errs[0])
		}
		if err := <-closed; err != nil {
			t.Fatal(err)
		}
	}
}
