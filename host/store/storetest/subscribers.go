package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const subA = domain.SubscriberID("sub_a")

// subscribe keeps a subscriber of wsA that begins behind the newest event.
func (f *fixture) subscribe(id domain.SubscriberID) {
	f.t.Helper()
	f.ok(f.CreateSubscriber(f.t.Context(), domain.Subscriber{ID: id, Workspace: wsA, Name: "CRM", State: domain.SubscriberActive}, nil))
}

func (f *fixture) subscriber() domain.SubscriberStatus {
	f.t.Helper()
	s, err := f.SubscriberStatus(f.t.Context(), wsA, subA)
	f.ok(err)
	return s
}

// postpone defers events, the first because it failed unless behind.
func (f *fixture) postpone(behind bool, events ...domain.Event) domain.Deferred {
	f.t.Helper()
	d := domain.Deferral{Subscriber: subA, Events: events, OnlyBehind: behind, At: f.at}
	if !behind {
		d.Failure, d.NotBefore = &contract.Failure{Class: contract.FailureRetry, Code: "http_500"}, f.at.Add(time.Minute)
	}
	done, err := f.DeferNotifications(f.t.Context(), wsA, d)
	f.ok(err)
	return done
}

var subscriberClaims = []claim{
	{"a cursor begins at the newest event, and moves on only", func(t *testing.T, f *fixture) {
		f.receive(f.text(chat, "1", "x"), f.text(chat, "2", "x"))
		f.subscribe(subA)
		f.fails("a second one of the name", f.CreateSubscriber(t.Context(), domain.Subscriber{ID: subA, Workspace: wsA}, nil), domain.ErrExists)
		f.fails("one of nobody's", f.CreateSubscriber(t.Context(), domain.Subscriber{ID: "sub_x", Workspace: unknownWorkspace}, nil), domain.ErrNotFound)
		for _, tt := range []struct{ report, want uint64 }{{0, 2}, {1, 2}, {2, 2}} {
			if p, err := f.ReportSubscriber(t.Context(), subA, domain.SubscriberReport{Cursor: tt.report}); err != nil || p.Cursor != tt.want {
				t.Errorf("the cursor is %d after %d was reported, want %d (%v)", p.Cursor, tt.report, tt.want, err)
			}
		}
		if p, err := f.RewindSubscriber(t.Context(), wsA, subA, 1); err != nil || p.Cursor != 1 || p.Round != 1 {
			t.Errorf("rewound: %+v, %v", p, err)
		}
		_, err := f.SubscriberStatus(t.Context(), wsB, subA)
		f.fails("reading another's", err, domain.ErrNotFound)
	}},
	{"a spell of failures ends with what is taken after it", func(t *testing.T, f *fixture) {
		f.subscribe(subA)
		began := f.at
		for range 3 {
			_, err := f.ReportSubscriber(t.Context(), subA, domain.SubscriberReport{Failure: &contract.Failure{Code: "x"}, FailedAt: f.at})
			f.ok(err)
			f.tick(time.Minute)
		}
		if p := f.subscriber().Progress; p.Failures != 3 || !p.FailingSince.Equal(began) {
			t.Errorf("after three failures: %+v", p)
		}
		_, err := f.ReportSubscriber(t.Context(), subA, domain.SubscriberReport{TakenAt: began.Add(-time.Hour)})
		f.ok(err)
		if p := f.subscriber().Progress; p.Failures != 3 {
			t.Errorf("what was taken before ended the spell: %+v", p)
		}
		_, err = f.ReportSubscriber(t.Context(), subA, domain.SubscriberReport{TakenAt: f.at})
		f.ok(err)
		if p := f.subscriber().Progress; p.Failures != 0 || !p.FailingSince.IsZero() {
			t.Errorf("what was taken since did not end it: %+v", p)
		}
	}},
	{"an event that was not taken has one job, and later ones of its lane wait behind it", func(t *testing.T, f *fixture) {
		f.subscribe(subA)
		f.receive(f.text(chat, "1", "x"), f.text(chat, "2", "x"), f.text(otherChat, "3", "x"))
		e := f.events(wsA)
		if done := f.postpone(true, e[0]); len(done.Jobs) != 0 || len(done.Free) != 1 {
			t.Errorf("nothing waits, and yet: %+v", done)
		}
		first := f.postpone(false, e[0]).Jobs
		if len(first) != 1 || first[0].Attempts != 1 || !first[0].NotBefore.Equal(f.at.Add(time.Minute)) || first[0].Group() != string(subA) {
			t.Fatalf("the job is %+v", first)
		}
		if again := f.postpone(false, e[0]); len(again.Jobs) != 0 {
			t.Errorf("a second job for one event: %+v", again.Jobs)
		}
		done := f.postpone(true, e[0], e[1], e[2])
		if len(done.Jobs) != 1 || done.Jobs[0].Notify.Event != e[1].Seq || len(done.Free) != 1 || done.Free[0] != e[2].Seq {
			t.Errorf("behind it: %+v", done)
		}
		known, busy, err := f.NotificationLane(t.Context(), subA, 0, e[1])
		if err != nil || !known || !busy {
			t.Errorf("the lane of event 2: known %v, busy %v, %v", known, busy, err)
		}
	}},
	{"a run ends a notification once, and tells when it is given up", func(t *testing.T, f *fixture) {
		f.subscribe(subA)
		f.receive(f.text(chat, "1", "x"))
		job := f.postpone(false, f.events(wsA)[0]).Jobs[0]
		run := domain.NotificationRun{JobID: job.ID, State: domain.JobParked, Failure: &contract.Failure{Code: "http_400"}, Tried: true, At: f.at}
		after, _, err := f.CommitNotification(t.Context(), run)
		if err != nil || after.State != domain.JobParked || after.Attempts != 2 {
			t.Fatalf("parked: %+v, %v", after, err)
		}
		_, _, err = f.CommitNotification(t.Context(), run)
		f.fails("a second end", err, domain.ErrConflict)
		if s := f.subscriber(); s.Parked != 1 || s.Queued != 0 {
			t.Errorf("%d parked, %d queued", s.Parked, s.Queued)
		}
		var moved []domain.Job
		n, err := f.RetryNotifications(t.Context(), wsA, subA, f.at, func(jobs []domain.Job) { moved = append(moved, jobs...) })
		if err != nil || n != 1 || len(moved) != 1 || moved[0].State != domain.JobQueued || moved[0].Tries() != 0 {
			t.Errorf("retried %d: %+v, %v", n, moved, err)
		}
	}},
	{"a subscriber that is removed leaves nothing that waits", func(t *testing.T, f *fixture) {
		f.subscribe(subA)
		f.receive(f.text(chat, "1", "x"), f.text(chat, "2", "x"))
		jobs := f.postpone(false, f.events(wsA)...).Jobs
		f.fails("removing another's", f.DeleteSubscriber(t.Context(), wsB, subA, f.at), domain.ErrNotFound)
		f.ok(f.DeleteSubscriber(t.Context(), wsA, subA, f.at))
		for _, job := range jobs {
			if got := f.job(job.ID); got.State != domain.JobCancelled {
				t.Errorf("job %s is %s", job.ID, got.State)
			}
		}
		_, err := f.DeferNotifications(t.Context(), wsA, domain.Deferral{Subscriber: subA, Events: f.events(wsA)})
		f.fails("queueing for it", err, domain.ErrNotFound)
	}},
	{"a refused change changes nothing, and disabling is told once", func(t *testing.T, f *fixture) {
		f.subscribe(subA)
		no := errors.New("no")
		_, err := f.UpdateSubscriber(t.Context(), wsA, subA, func(s *domain.Subscriber) error { s.Name = "x"; return no })
		f.fails("a refusal", err, no)
		for range 2 {
			s, err := f.DisableSubscriber(t.Context(), wsA, subA, "It is gone.", f.at)
			if err != nil || s.State != domain.SubscriberDisabled || s.Name != "CRM" {
				t.Errorf("disabled: %+v, %v", s, err)
			}
		}
		if active, err := f.ActiveSubscribers(t.Context()); err != nil || len(active) != 0 {
			t.Errorf("active: %v, %v", active, err)
		}
	}},
}
