package jobs

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

func TestAMovedJobRunsAtItsNewTimeAndNothingPassesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		first, second := w.put("w", "a", 3*time.Hour), w.put("w", "a", 0)
		s := start(t, w, 4)
		s.Add(first, second)
		unknown := w.put("w", "b", 0)
		time.Sleep(time.Minute)
		first.NotBefore = time.Now()
		w.mu.Lock()
		w.jobs[first.ID] = first
		w.mu.Unlock()
		s.Move(first, unknown)
		s.Move(domain.Job{ID: "ended", State: domain.JobDone, Lane: "c"})
		synctest.Wait()
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		ran := w.log()
		if len(ran) != 3 || len(w.broken) > 0 {
			t.Fatalf("ran %v, %v", ran, w.broken)
		}
		var lane []string
		for _, run := range ran {
			if run[0] == 'a' {
				lane = append(lane, run)
			}
		}
		if len(lane) != 2 || lane[0] != "a1@1m0s" || lane[1] != "a2@1m0s" {
			t.Errorf("its lane ran %v, want a1 and then a2, both after a minute", lane)
		}
	})
}
