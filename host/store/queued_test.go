package store_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// audience remembers which jobs a store told of.
type audience struct {
	mu   sync.Mutex
	jobs []domain.Job
}

func (o *audience) add(queued ...domain.Job) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.jobs = append(o.jobs, queued...)
}

func (o *audience) ids() (ids []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, job := range o.jobs {
		ids = append(ids, job.ID)
	}
	return ids
}

// begin makes a workspace and a connection.
func begin(t *testing.T, s *store.Store) {
	t.Helper()
	err := errors.Join(s.CreateWorkspace(t.Context(), domain.Workspace{ID: "wsp_1", CreatedAt: time.Unix(1, 0)}),
		s.CreateConnection(t.Context(), domain.Connection{ID: "con_1", Workspace: "wsp_1", Endpoint: "end", CreatedAt: time.Unix(1, 0)}, nil))
	if err != nil {
		t.Fatal(err)
	}
}

func checkHealth(id contract.CommandID) domain.NewCommand {
	return domain.NewCommand{Workspace: "wsp_1", Connection: "con_1", Lane: "lane", At: time.Unix(2, 0),
		Command: domain.Command{ID: id, Export: contract.ExportCheckHealth, By: "test"}}
}

// TestAJobIsToldOfAlthoughWhoQueuedItHasGone: it is durable, so it must run, and it stands in
// the way of what comes after it in its lane.
func TestAJobIsToldOfAlthoughWhoQueuedItHasGone(t *testing.T) {
	var heard audience
	s, g := openGated(t, store.Options{OnJobs: heard.add})
	stop := g.let()
	begin(t, s)
	stop()
	ctx, giveUp := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, _, err := s.AcceptCommand(ctx, checkHealth("cmd_1"))
		gone <- err
	}()
	<-g.reached
	giveUp()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatalf("AcceptCommand answered %v", err)
	}
	if got := heard.ids(); len(got) > 0 {
		t.Errorf("%q were told of before their commit", got)
	}
	g.pass <- nil
	defer g.let()()
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := heard.ids(); !slices.Equal(got, []string{"cmd_1"}) {
		t.Errorf("%q were told of, want the job that is queued", got)
	}
}

// TestJobsAreToldOfOnceTheyAreDurableAndInTheirOrder: with what a commit that failed would
// have queued left out.
func TestJobsAreToldOfOnceTheyAreDurableAndInTheirOrder(t *testing.T) {
	var heard audience
	s, g := openGated(t, store.Options{OnJobs: heard.add})
	stop := g.let()
	begin(t, s)
	stop()
	accept := func(id contract.CommandID) func(int) error {
		return func(int) error { _, _, err := s.AcceptCommand(t.Context(), checkHealth(id)); return err }
	}
	lost := make(chan error, 1)
	go func() { lost <- accept("cmd_lost")(0) }()
	<-g.reached
	g.pass <- errors.New("the disk is gone")
	if err := <-lost; !errors.Is(err, domain.ErrUnavailable) {
		t.Fatalf("a commit that failed answered %v", err)
	}
	defer g.let()()
	for _, id := range []contract.CommandID{"cmd_b", "cmd_a"} {
		if err := accept(id)(0); err != nil {
			t.Fatal(err)
		}
		if got := heard.ids(); !slices.Contains(got, string(id)) {
			t.Errorf("%q were told of when %s was answered", got, id)
		}
	}
	park := domain.CommandEffects{Effects: domain.Effects{Workspace: "wsp_1", Connection: "con_1", At: time.Unix(3, 0)}, JobID: "cmd_b",
		State: domain.JobParked, Failure: &contract.Failure{Class: contract.FailurePermanent, Code: "no"}}
	if _, err := s.CommitCommand(t.Context(), park); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RequeueJob(t.Context(), "cmd_b", time.Unix(4, 0)); err != nil {
		t.Fatal(err)
	}
	again := park
	again.State, again.NotBefore = domain.JobQueued, time.Unix(5, 0) // whoever runs it knows
	if _, err := s.CommitCommand(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if got := heard.ids(); !slices.Equal(got, []string{"cmd_b", "cmd_a", "cmd_b"}) {
		t.Errorf("%q were told of", got)
	}
}
