package jobs

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

// set moves the clock on the wall of a scheduler's options.
func wall(o *Options) (set func(by time.Duration)) {
	ahead := make(chan time.Duration, 1)
	ahead <- 0
	o.Now = func() time.Time {
		by := <-ahead
		ahead <- by
		return time.Now().Add(by).Round(0)
	}
	return func(by time.Duration) { ahead <- by + <-ahead }
}

func TestAClockThatIsSetLeavesNothingStuck(t *testing.T) {
	for _, tt := range []struct {
		name string
		by   time.Duration
		want string
	}{
		{"forward past the time of a job: it runs at the next look", 2 * time.Hour, "a1@10m5s"},
		{"forward, but not as far: the job runs when the clock says so", 20 * time.Minute, "a1@40m0s"},
		{"back: the job waits no longer than it would have", -5 * time.Hour, "a1@1h0m0s"},
		{"back by years", -20 * 365 * 24 * time.Hour, "a1@1h0m0s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.put("w", "a", time.Hour)
				opts := options(w, 1)
				set := wall(&opts)
				s := New(opts)
				if err := s.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				defer func() { _ = s.Stop(t.Context()) }()
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				set(tt.by)
				time.Sleep(24 * time.Hour)
				synctest.Wait()
				expect(t, w, tt.want)
			})
		})
	}
}

// A host that starts after the clock was set back finds jobs whose times are far away.
func TestATimeThatNobodyCanHaveMeantIsNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.put("w", "a", 365*24*time.Hour)
		w.put("w", "b", 7*24*time.Hour)
		s := start(t, w, 1)
		time.Sleep(time.Minute)
		s.Add(w.put("w", "c", 30*24*time.Hour))
		synctest.Wait()
		expect(t, w, "a1@0s", "c3@1m0s")
		time.Sleep(8 * 24 * time.Hour)
		synctest.Wait()
		expect(t, w, "a1@0s", "c3@1m0s", "b2@168h0m0s")
	})
}

// TestARunThatCouldNotBeCommittedIsNotHeldBackByAClockThatIsSetBack: its pause ends as if the
// clock had not been set.
func TestARunThatCouldNotBeCommittedIsNotHeldBackByAClockThatIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.script = func(domain.Job) (time.Duration, time.Duration, error) {
			if len(w.ran) <= 6 {
				return 0, 0, errors.New("the disk is full")
			}
			return 0, 0, nil
		}
		w.put("w", "a", 0)
		opts := options(w, 1)
		set := wall(&opts)
		s := New(opts)
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Stop(t.Context()) }()
		<-time.After(40 * time.Second)
		set(-5 * time.Hour)
		<-time.After(time.Hour)
		synctest.Wait()
		expect(t, w, "a1@0s", "a1@1s", "a1@3s", "a1@7s", "a1@15s", "a1@31s", "a1@1m3s")
	})
}
