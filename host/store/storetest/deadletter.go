package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// parked is a job on connection a that failed for good in some way.
func (f *fixture) parked(c contract.ConversationID, class contract.FailureClass, code string) domain.Job {
	f.t.Helper()
	e := f.ran(f.send(c, code), domain.JobParked)
	e.Failure = &contract.Failure{Class: class, Code: code}
	return f.run(e).Job
}

// oldest lists parked jobs of workspace a.
func (f *fixture) oldest(filter domain.JobFilter) (ids []string) {
	f.t.Helper()
	filter.Workspace, filter.State = wsA, domain.JobParked
	for _, job := range pages(f, func(p domain.Page) ([]domain.Job, string, error) { return f.OldestJobs(f.t.Context(), filter, p) }) {
		ids = append(ids, job.ID)
	}
	return ids
}

var deadLetterClaims = []claim{
	{"what failed for good is listed oldest first, by filter", func(t *testing.T, f *fixture) {
		var jobs []string
		for i, code := range []string{"gone", "refused", "gone", "lost", "gone"} {
			class := contract.FailurePermanent
			if i == 3 {
				class = contract.FailureUncertain
			}
			jobs = append(jobs, f.parked(chat, class, code).ID)
			f.tick(time.Minute)
		}
		f.send(chat, "queued")
		for _, tt := range []struct {
			name   string
			filter domain.JobFilter
			want   []int
		}{
			{"all", domain.JobFilter{}, []int{0, 1, 2, 3, 4}},
			{"a connection", domain.JobFilter{Connection: conA, Kind: domain.JobCommand}, []int{0, 1, 2, 3, 4}},
			{"another connection", domain.JobFilter{Connection: conA2}, nil},
			{"a code", domain.JobFilter{Code: "gone"}, []int{0, 2, 4}},
			{"a class", domain.JobFilter{Class: contract.FailureUncertain}, []int{3}},
			{"what it does", domain.JobFilter{Export: contract.ExportSendMessage}, []int{0, 1, 2, 3, 4}},
			{"what none does", domain.JobFilter{Export: contract.ExportReconcile}, nil},
			{"when it was parked", domain.JobFilter{UpdatedAfter: noon, UpdatedBefore: noon.Add(3 * time.Minute)}, []int{1, 2}},
			{"another kind", domain.JobFilter{Kind: domain.JobNotify}, nil},
		} {
			var want []string
			for _, i := range tt.want {
				want = append(want, jobs[i])
			}
			if got := f.oldest(tt.filter); !slices.Equal(got, want) {
				t.Errorf("%s selects %v, want %v", tt.name, got, want)
			}
		}
		rivals, _, err := f.OldestJobs(t.Context(), domain.JobFilter{Workspace: wsB, State: domain.JobParked}, domain.Page{})
		if f.ok(err); len(rivals) != 0 {
			t.Errorf("another workspace sees %v", rivals)
		}
		_, _, err = f.OldestJobs(t.Context(), domain.JobFilter{Workspace: wsA, State: domain.JobParked}, domain.Page{After: "made up"})
		f.invalid("a cursor that is none", err)
	}},
	{"many are queued again in their old places, and what cannot be is skipped", func(t *testing.T, f *fixture) {
		first, second, third := f.parked(chat, contract.FailurePermanent, "x"), f.parked(chat, contract.FailurePermanent, "x"), f.send(chat, "waits")
		f.tick(time.Hour)
		done, skipped, err := f.RequeueJobs(t.Context(), []string{second.ID, "cmd_nobody", third.ID, first.ID}, f.at)
		f.ok(err)
		if len(done) != 2 || len(skipped) != 2 || skipped[0].ID != "cmd_nobody" || skipped[1].ID != third.ID || skipped[1].Why == "" {
			t.Errorf("done %v, skipped %+v", done, skipped)
		}
		if got := f.queue(); !slices.Equal(got, []string{first.ID, second.ID, third.ID}) {
			t.Errorf("the queue is %v, want the old places", got)
		}
		job := f.job(first.ID)
		if job.Attempts != 1 || job.Tries() != 0 || !job.Began().Equal(f.at) || job.Failure != nil {
			t.Errorf("a new series of attempts is to begin: %+v", job)
		}
		if m := f.message(job.Command.Message.ID); m.Status != contract.MessageQueued {
			t.Errorf("its message is %s", m.Status)
		}
	}},
	{"many are given up, with their messages", func(t *testing.T, f *fixture) {
		parked, queued, done := f.parked(chat, contract.FailurePermanent, "x"), f.send(chat, "waits"), f.send(otherChat, "sent")
		f.sent(done, "m1")
		cancelled, skipped, err := f.CancelJobs(t.Context(), []string{parked.ID, queued.ID, done.ID})
		f.ok(err)
		if len(cancelled) != 2 || len(skipped) != 1 || skipped[0].ID != done.ID {
			t.Errorf("cancelled %v, skipped %+v", cancelled, skipped)
		}
		if m := f.message(f.job(queued.ID).Command.Message.ID); m.Status != contract.MessageFailed {
			t.Errorf("the message of a cancelled command is %s", m.Status)
		}
	}},
	{"a command that is not to run at once is as old as its time", func(t *testing.T, f *fixture) {
		e := f.delivery(conA)
		e.Commands = []contract.CommandRequest{{Payload: "later", AfterMillis: 3600_000}}
		job := f.commit(e).Jobs[0]
		if kept := f.job(job.ID); !kept.Began().Equal(f.at.Add(time.Hour)) || !job.Began().Equal(kept.Began()) {
			t.Errorf("it began %v, want an hour after %v", kept.Began(), f.at)
		}
	}},
	{"failed deliveries are listed oldest first, by filter", func(t *testing.T, f *fixture) {
		var ids []string
		for i := range 7 {
			d := f.delivery([]contract.ConnectionID{conA, conA2}[i%2]).Delivery
			d.Workspace, d.Connection, d.State, d.Code = wsA, []contract.ConnectionID{conA, conA2}[i%2], domain.DeliveryFailed, []string{"trap", "fuel"}[i/4]
			f.ok(f.KeepDelivery(t.Context(), d, nil))
			ids = append(ids, string(d.ID))
			f.tick(time.Minute)
		}
		f.receive(f.text(chat, "m1", "accepted"))
		for _, tt := range []struct {
			name   string
			filter domain.DeliveryFilter
			want   []int
		}{
			{"all, connection by connection", domain.DeliveryFilter{}, []int{0, 2, 4, 6, 1, 3, 5}},
			{"a connection", domain.DeliveryFilter{Connection: conA2}, []int{1, 3, 5}},
			{"a code", domain.DeliveryFilter{Code: "fuel"}, []int{4, 6, 5}},
			{"when it came", domain.DeliveryFilter{ReceivedAfter: noon.Add(time.Minute), ReceivedBefore: noon.Add(5 * time.Minute)}, []int{2, 4, 3}},
		} {
			tt.filter.Workspace, tt.filter.State = wsA, domain.DeliveryFailed
			var got, want []string
			for _, d := range pages(f, func(p domain.Page) ([]domain.Delivery, string, error) {
				return f.OldestDeliveries(t.Context(), tt.filter, p)
			}) {
				got = append(got, string(d.ID))
			}
			for _, i := range tt.want {
				want = append(want, ids[i])
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s selects %v, want %v", tt.name, got, want)
			}
		}
	}},
}
