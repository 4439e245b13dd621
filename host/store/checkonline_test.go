package store_test

import (
	"context"
	"sync"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// TestCheckWhileOthersWrite: doctor asks a running host, which must neither be told that its
// good file is broken nor die of the question.
func TestCheckWhileOthersWrite(t *testing.T) {
	s, err := store.Open(t.TempDir()+"/busy.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	begin(t, s)
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for ctx.Err() == nil {
				job, _, err := s.AcceptCommand(t.Context(), checkHealth(""))
				if err == nil {
					_, err = s.CommitCommand(t.Context(), domain.CommandEffects{Effects: domain.Effects{Workspace: "wsp_1", Connection: "con_1",
						At: job.CreatedAt, Recording: make([]byte, 5000)}, JobID: job.ID, State: domain.JobDone,
						Failure: &contract.Failure{Class: contract.FailurePermanent}})
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 50 {
		for _, problem := range s.Check(t.Context()) {
			t.Errorf("a good file: %s", problem)
		}
		if t.Failed() {
			break
		}
	}
	stop()
	writers.Wait()
}
