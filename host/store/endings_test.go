package store_test

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// TestAJobThatIsCancelledTakesItsJournalAlong: nothing will go on where it was.
func TestAJobThatIsCancelledTakesItsJournalAlong(t *testing.T) {
	s := open(t)
	begin(t, s.Store)
	job, _, err := s.AcceptCommand(t.Context(), checkHealth("cmd_1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.WriteJournal(t.Context(), job.ID, 0, [][]byte{[]byte("begun")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CancelJob(t.Context(), job.ID); err != nil {
		t.Fatal(err)
	}
	if left, err := s.Journal(t.Context(), job.ID); err != nil || len(left) > 0 {
		t.Errorf("the journal has %d entries, %v", len(left), err)
	}
}

// TestACommandThatCouldNotBeginKeepsItsJournalAsLongAsItWaits: and no longer.
func TestACommandThatCouldNotBeginKeepsItsJournalAsLongAsItWaits(t *testing.T) {
	s := open(t)
	begin(t, s.Store)
	job, _, err := s.AcceptCommand(t.Context(), checkHealth("cmd_1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.WriteJournal(t.Context(), job.ID, 0, [][]byte{[]byte("begun")}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		state   domain.JobState
		unbegun bool
		left    int
	}{{domain.JobQueued, true, 1}, {domain.JobQueued, false, 0}, {domain.JobQueued, true, 0}} {
		if _, err := s.CommitCommand(t.Context(), domain.CommandEffects{JobID: job.ID, State: tt.state, Unbegun: tt.unbegun,
			Effects: domain.Effects{Workspace: "wsp_1", Connection: "con_1", At: time.Unix(3, 0)}}); err != nil {
			t.Fatal(err)
		}
		if left, err := s.Journal(t.Context(), job.ID); err != nil || len(left) != tt.left {
			t.Errorf("after %+v the journal has %d entries, %v", tt, len(left), err)
		}
	}
	if err := s.WriteJournal(t.Context(), job.ID, 0, [][]byte{[]byte("begun")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CommitCommand(t.Context(), domain.CommandEffects{JobID: job.ID, State: domain.JobParked, Unbegun: true,
		Effects: domain.Effects{Workspace: "wsp_1", Connection: "con_1", At: time.Unix(3, 0)}}); err != nil {
		t.Fatal(err)
	}
	if left, err := s.Journal(t.Context(), job.ID); err != nil || len(left) != 0 {
		t.Errorf("once it is parked the journal has %d entries, %v", len(left), err)
	}
}

// TestADeliveryTakesThePlaceOfEarlierOnesOnly: a later failure with the same body may be
// something that happened again.
func TestADeliveryTakesThePlaceOfEarlierOnesOnly(t *testing.T) {
	s := open(t)
	begin(t, s.Store)
	delivery := func(id contract.DeliveryID, at int64) domain.Delivery {
		return domain.Delivery{Delivery: contract.Delivery{ID: id, ReceivedAt: time.Unix(at, 0), BodyBytes: 4}, Workspace: "wsp_1", Connection: "con_1",
			Plugin: "test", State: domain.DeliveryFailed, Body: []byte("same"), Attempts: 1}
	}
	for id, at := range map[contract.DeliveryID]int64{"dlv_early": 100, "dlv_late": 120} {
		if err := s.KeepDelivery(t.Context(), delivery(id, at), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.CommitDelivery(t.Context(), domain.DeliveryEffects{Delivery: delivery("dlv_now", 110), RepeatWindow: time.Minute,
		Effects: domain.Effects{Workspace: "wsp_1", Connection: "con_1", At: time.Unix(110, 0)}}); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[contract.DeliveryID]domain.DeliveryState{
		"dlv_early": domain.DeliverySuperseded, "dlv_now": domain.DeliveryAccepted, "dlv_late": domain.DeliveryFailed,
	} {
		if d, err := s.Delivery(t.Context(), id); err != nil || d.State != want {
			t.Errorf("%s is %s, %v, want %s", id, d.State, err, want)
		}
	}
}

// TestANotificationThatWasTakenAtLastHasNoFailure: what went wrong before is over.
func TestANotificationThatWasTakenAtLastHasNoFailure(t *testing.T) {
	s := open(t)
	begin(t, s.Store)
	if err := s.CreateSubscriber(t.Context(), domain.Subscriber{ID: "sub_1", Workspace: "wsp_1", State: domain.SubscriberActive}, nil); err != nil {
		t.Fatal(err)
	}
	why := &contract.Failure{Class: contract.FailureRetry, Code: "http_500"}
	done, err := s.DeferNotifications(t.Context(), "wsp_1", domain.Deferral{Subscriber: "sub_1", Failure: why, At: time.Unix(2, 0),
		Events: []domain.Event{{Seq: 1, Workspace: "wsp_1", Connection: "con_1"}}})
	if err != nil || len(done.Jobs) != 1 || done.Jobs[0].Failure == nil {
		t.Fatalf("queued %+v, %v", done.Jobs, err)
	}
	job, _, err := s.CommitNotification(t.Context(), domain.NotificationRun{JobID: done.Jobs[0].ID, State: domain.JobDone, Tried: true, At: time.Unix(3, 0)})
	if err != nil || job.State != domain.JobDone || job.Failure != nil || job.Attempts != 2 {
		t.Errorf("it is %s after %d attempts with %+v, %v", job.State, job.Attempts, job.Failure, err)
	}
}

// TestANotificationThatIsCancelledMeanwhileIsNotQueuedAgain: it was parked when it was found.
func TestANotificationThatIsCancelledMeanwhileIsNotQueuedAgain(t *testing.T) {
	s, g := openGated(t, store.Options{})
	stop := g.let()
	begin(t, s)
	if err := s.CreateSubscriber(t.Context(), domain.Subscriber{ID: "sub_1", Workspace: "wsp_1", State: domain.SubscriberActive}, nil); err != nil {
		t.Fatal(err)
	}
	done, err := s.DeferNotifications(t.Context(), "wsp_1", domain.Deferral{Subscriber: "sub_1", At: time.Unix(2, 0),
		Events: []domain.Event{{Seq: 1, Workspace: "wsp_1", Connection: "con_1"}}})
	if err != nil || len(done.Jobs) != 1 {
		t.Fatalf("queued %+v, %v", done.Jobs, err)
	}
	id := done.Jobs[0].ID
	if _, _, err := s.CommitNotification(t.Context(), domain.NotificationRun{JobID: id, State: domain.JobParked, At: time.Unix(3, 0)}); err != nil {
		t.Fatal(err)
	}
	stop()
	retried := make(chan error, 1)
	collect := pile(t, s, g, 1, func(int) error { _, err := s.CancelJob(t.Context(), id); return err })
	go func() {
		n, err := s.RetryNotifications(t.Context(), "wsp_1", "sub_1", time.Unix(4, 0), func([]domain.Job) {})
		if n != 0 {
			t.Errorf("%d were queued again", n)
		}
		retried <- err
	}()
	for s.Stats().Pending < 2 {
		runtime.Gosched()
	}
	answers := collect()
	defer g.let()()
	if err := errors.Join(answers[0], <-retried); err != nil {
		t.Error(err)
	}
	if job, err := s.Job(t.Context(), id); err != nil || job.State != domain.JobCancelled {
		t.Errorf("it is %s, %v", job.State, err)
	}
}
