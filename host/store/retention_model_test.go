package store_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// aged is a host over years: deliveries come, are repeated, commands run, and retention goes
// through it now and then. What must be true is worked out from the times alone.
type aged struct {
	*store.Store
	now        time.Time
	conn       domain.Connection
	deliveries map[string]arrival // by dedupe key
	jobs       map[string]domain.Job
	passed     time.Time
	n          int
}

// arrival is the first delivery with a key.
type arrival struct {
	id contract.DeliveryID
	at time.Time
}

func (a *aged) days(t time.Time) float64 { return a.now.Sub(t).Hours() / 24 }

func (a *aged) must(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

// deliver brings a delivery with a new key, or one that came before.
func (a *aged) deliver(t *rapid.T) {
	a.n++
	dedupe := fmt.Sprint("key-", rapid.IntRange(0, 6).Draw(t, "key"))
	e := webhook(a.Store, a.conn, int64(a.n))
	e.At, e.Delivery.ReceivedAt, e.Delivery.DedupeKey, e.Recording = a.now, a.now, dedupe, []byte("recording")
	got, err := a.CommitDelivery(t.Context(), e)
	a.must(t, err)
	first, known := a.deliveries[dedupe]
	switch {
	case known && a.days(first.at) < float64(ages.DedupeDays) && (!got.Duplicate || got.Delivery != first.id):
		t.Fatalf("the key %s came %.1f days ago, and is not known: %+v", dedupe, a.days(first.at), got)
	case !got.Duplicate:
		a.deliveries[dedupe] = arrival{e.Delivery.ID, a.now}
	}
}

// send accepts a command and lets it come to some end, or wait.
func (a *aged) send(t *rapid.T) {
	a.n++
	m := contract.Message{Conversation: contract.Conversation{ID: "out"}, Parts: []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: "hi"}}}}
	job, _, err := a.AcceptCommand(t.Context(), domain.NewCommand{Workspace: "wsp_1", Connection: "con_1", IdempotencyKey: fmt.Sprint(a.n), At: a.now,
		Command: domain.Command{Export: contract.ExportSendMessage, Message: &m}, Message: &domain.Message{Message: m}})
	a.must(t, err)
	e := domain.CommandEffects{Effects: domain.Effects{Workspace: "wsp_1", Connection: "con_1", At: a.now, Recording: []byte("recording")}, JobID: job.ID,
		State: rapid.SampledFrom([]domain.JobState{domain.JobQueued, domain.JobDone, domain.JobParked}).Draw(t, "state"), NotBefore: a.now}
	if e.State == domain.JobParked {
		e.Failure = &contract.Failure{Class: contract.FailurePermanent, Code: "refused"}
	} else if e.State == domain.JobDone {
		e.Result = &domain.CommandResult{Sent: &contract.Sent{PlatformID: contract.PlatformMessageID(job.ID)}}
	}
	committed, err := a.CommitCommand(t.Context(), e)
	a.must(t, err)
	a.jobs[job.ID] = committed.Job
}

// decide retries or cancels a job that waits for a decision.
func (a *aged) decide(t *rapid.T) {
	for id, job := range a.jobs {
		if job.State != domain.JobParked {
			continue
		}
		decide := a.CancelJob
		if rapid.Bool().Draw(t, "retry") {
			decide = func(ctx context.Context, id string) (domain.Job, error) { return a.RequeueJob(ctx, id, a.now) }
		}
		after, err := decide(t.Context(), id)
		if errors.Is(err, domain.ErrNotFound) && a.days(job.UpdatedAt) > float64(2*ages.EventDays) {
			delete(a.jobs, id)
			return
		}
		a.must(t, err)
		a.jobs[id] = after
		return
	}
}

// sweep makes a whole pass, in small steps.
func (a *aged) sweep(t *rapid.T) {
	plan, err := a.PlanSweep(t.Context(), ages)
	a.must(t, err)
	most := rapid.IntRange(1, 5).Draw(t, "most")
	for _, room := range domain.SweepRooms() {
		for next, more := "", true; more; more = next != "" {
			step, err := a.Sweep(t.Context(), plan, room, next, most)
			a.must(t, err)
			next = step.Next
		}
	}
	a.passed = a.now
	if problems := a.Check(t.Context()); len(problems) > 0 {
		t.Fatalf("after a pass: %q", problems)
	}
}

// check holds what is kept against what the times say.
func (a *aged) check(t *rapid.T) {
	for dedupe, first := range a.deliveries {
		d, err := a.Delivery(t.Context(), first.id)
		there, age := err == nil, a.days(first.at)
		atPass := a.passed.Sub(first.at).Hours() / 24
		switch {
		case err != nil && !errors.Is(err, domain.ErrNotFound):
			t.Fatal(err)
		case !there && age < float64(ages.EventDays), there && atPass > float64(ages.EventDays):
			t.Fatalf("%s, %.1f days old, is there: %v", dedupe, age, there)
		case there && d.Body == nil && age < float64(ages.PayloadDays), there && d.Body != nil && atPass > float64(ages.PayloadDays):
			t.Fatalf("%s, %.1f days old, has its body: %v", dedupe, age, d.Body != nil)
		}
	}
	for id, job := range a.jobs {
		_, err := a.Job(t.Context(), id)
		age := a.days(job.UpdatedAt)
		kept := job.State == domain.JobQueued || job.State == domain.JobParked && age < float64(2*ages.EventDays) || age < float64(ages.EventDays)
		if kept && err != nil {
			t.Fatalf("the %s job, changed %.1f days ago: %v", job.State, age, err)
		}
	}
}

// fewer lets rapid make fewer runs than it would by itself, where each takes long.
func fewer(t *testing.T, runs string) {
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		if err := checks.Value.Set(runs); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = checks.Value.Set(checks.DefValue) }) // it took it before
	}
}

func TestRetentionKeepsWhatItPromises(t *testing.T) {
	fewer(t, "15")
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		path := filepath.Join(dir, fmt.Sprint(n, ".db"))
		a := &aged{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), deliveries: map[string]arrival{}, jobs: map[string]domain.Job{},
			conn: domain.Connection{ID: "con_1", Workspace: "wsp_1", Plugin: "acme", Endpoint: "e"}}
		var err error
		a.Store, err = store.Open(path, store.Options{Now: func() time.Time { return a.now }})
		a.must(t, err)
		defer func() { a.must(t, errors.Join(a.Close(), os.Remove(path))) }()
		a.must(t, errors.Join(a.CreateWorkspace(t.Context(), domain.Workspace{ID: "wsp_1"}), a.CreateConnection(t.Context(), a.conn, nil)))
		t.Repeat(map[string]func(*rapid.T){
			"deliver": a.deliver, "send": a.send, "decide": a.decide, "sweep": a.sweep, "": a.check,
			"wait": func(t *rapid.T) {
				a.now = a.now.Add(time.Duration(rapid.IntRange(1, 70*24).Draw(t, "hours")) * time.Hour)
			},
		})
	})
}
