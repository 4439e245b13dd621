package broker_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox"
)

// TestACommandThatWasCutOffAndCannotRunAtOnceDoesNotSendAgain: what keeps it from running
// must not have it forget what the platform was sent.
func TestACommandThatWasCutOffAndCannotRunAtOnceDoesNotSendAgain(t *testing.T) {
	for _, tt := range []struct {
		name      string
		stop, run func(w *world)
	}{
		{"its workspace has computed too much", func(w *world) { w.limits.debt = 3 * time.Second }, func(w *world) { w.limits.debt = 0 }},
		{"its plugin is missing for a while", func(w *world) { w.plugins.err = registry.ErrNoPlugin }, func(w *world) { w.plugins.err = nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(ctx context.Context, g *call) ([]byte, error) {
				ask[contract.HTTPResult](g, contract.HostHTTPSend, post("one", false))
				ask[contract.HTTPResult](g, contract.HostHTTPSend, post("two", true))
				return contract.Marshal(&contract.CommandOutput{Sent: &contract.Sent{PlatformID: "p", Status: contract.MessageSent}}), nil
			})
			w.platform("two")
			job := w.send(t, "chat", "hi")
			w.runCut(t, job)
			tt.stop(w)
			after := w.run(t, job)
			if after.State != domain.JobQueued || after.Failure != nil && after.Failure.Class != contract.FailureRetry {
				t.Fatalf("the job is %v with %+v", after.State, after.Failure)
			}
			tt.run(w)
			w.restart()
			if after := w.run(t, job); after.State != domain.JobDone {
				t.Errorf("the job is %v with %+v", after.State, after.Failure)
			}
			if got := w.sent(); !slices.Equal(got, []string{"one", "two", "two"}) {
				t.Errorf("the platform was sent %q", got)
			}
		})
	}
}

// TestACommandThatWasCutOffAndCanNeverRunIsUncertain: parked as merely failed, somebody
// would send it again.
func TestACommandThatWasCutOffAndCanNeverRunIsUncertain(t *testing.T) {
	for _, tt := range []struct {
		name string
		stop func(w *world)
		code string
	}{
		{"its plugin cannot do that any more", func(w *world) {
			version := *w.plugins.version
			version.Manifest.Abilities = nil
			w.plugins.version = &version
		}, "unsupported"},
		{"its plugin is missing for longer than it may wait", func(w *world) {
			w.plugins.err = registry.ErrNoPlugin
			w.now.Add(25 * 3600)
		}, "plugin_missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, steps(false, "one", "two"))
			w.platform("two")
			job := w.send(t, "chat", "hi")
			w.runCut(t, job)
			tt.stop(w)
			after := w.run(t, job)
			if after.State != domain.JobParked || after.Failure.Class != contract.FailureUncertain || after.Failure.Code != tt.code {
				t.Errorf("the job is %v with %+v", after.State, after.Failure)
			}
		})
	}
}

// TestACommandThatLostTwoRacesDoesNotSendAgainWhatItsSecondRunLeftOut: the second run saw
// something else, and so sent less; the third one sends all again.
func TestACommandThatLostTwoRacesDoesNotSendAgainWhatItsSecondRunLeftOut(t *testing.T) {
	w := newWorld(t, nil)
	w.platform()
	runs := 0
	w.plugins.set(func(_ context.Context, g *call) ([]byte, error) {
		runs++
		entry := ask[contract.KVGetResult](g, contract.HostKVGet, &contract.KVGet{Key: "count"})
		ask[contract.HTTPResult](g, contract.HostHTTPSend, post("one", false))
		if entry.Value != "only one" {
			ask[contract.HTTPResult](g, contract.HostHTTPSend, post("two", false))
		}
		ask[contract.Done](g, contract.HostKVPut, &contract.KVPut{Key: "count", Value: "ours", CheckVersion: true, ExpectedVersion: entry.Version})
		switch runs {
		case 1:
			w.put(t, "count", "only one")
		case 2:
			w.put(t, "count", "both")
		}
		return contract.Marshal(&contract.CommandOutput{Sent: &contract.Sent{PlatformID: "p", Status: contract.MessageSent}}), nil
	}, nil)
	after := w.run(t, w.send(t, "chat", "hi"))
	if after.State != domain.JobDone || runs != 3 {
		t.Errorf("the job is %v with %+v after %d runs", after.State, after.Failure, runs)
	}
	if got := w.sent(); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("the platform was sent %q", got)
	}
}

// fullForAll is a store that takes nothing of a command while it is full.
type fullForAll struct{ fullDisk }

func (f *fullForAll) WriteJournal(ctx context.Context, job string, from int, entries [][]byte) error {
	if f.full {
		return domain.ErrUnavailable
	}
	return f.Store.WriteJournal(ctx, job, from, entries)
}

// TestAnAnswerThatTheDiskDidNotTakeIsNotForgotten: the plugin breaks down over a refusal
// while the disk is full. That the platform refused is known all the same.
// TestACommandThatWasCutOffAfterALostRaceIsStillRunAgain: that the race was lost is known from
// the journal alone.
func TestACommandThatWasCutOffAfterALostRaceIsStillRunAgain(t *testing.T) {
	var w *world
	raced := false
	w = newWorld(t, func(_ context.Context, g *call) ([]byte, error) {
		entry := ask[contract.KVGetResult](g, contract.HostKVGet, &contract.KVGet{Key: "count"})
		if !raced {
			raced = true
			w.put(t, "count", "theirs")
		}
		done := ask[contract.Done](g, contract.HostKVPut, &contract.KVPut{Key: "count", Value: entry.Value + "+ours", CheckVersion: true, ExpectedVersion: entry.Version})
		ask[contract.HTTPResult](g, contract.HostHTTPSend, post("two", true))
		if done.Error != nil {
			return nil, &sandbox.GuestError{Message: done.Error.Code}
		}
		return contract.Marshal(&contract.CommandOutput{Sent: &contract.Sent{PlatformID: "p", Status: contract.MessageSent}}), nil
	})
	w.platform("two")
	job := w.send(t, "chat", "hi")
	w.runCut(t, job)
	w.restart()
	after := w.run(t, job)
	value, _, _, err := w.store.KVGet(t.Context(), "con_1", "count", time.Unix(w.now.Load(), 0))
	if after.State != domain.JobDone || after.Attempts != 1 || value != "theirs+ours" || err != nil {
		t.Errorf("the job is %v with %+v, attempt %d; the entry is %q, %v", after.State, after.Failure, after.Attempts, value, err)
	}
	if got := w.sent(); !slices.Equal(got, []string{"two", "two"}) {
		t.Errorf("the platform was sent %q, once cut off and once again", got)
	}
}

func TestAnAnswerThatTheDiskDidNotTakeIsNotForgotten(t *testing.T) {
	w := newWorld(t, func(_ context.Context, g *call) ([]byte, error) {
		ask[contract.HTTPResult](g, contract.HostHTTPSend, post("one", false))
		return nil, &sandbox.Trap{}
	})
	disk := &fullForAll{fullDisk{Store: w.store}}
	w.opts.Store = disk
	w.restart()
	w.outside.send = func(domain.EgressPolicy, secret.Reveal, contract.HTTPRequest) *contract.HTTPResult {
		disk.full = true
		return &contract.HTTPResult{Status: 400}
	}
	job := w.send(t, "chat", "hi")
	if _, _, err := w.Run(t.Context(), job); err == nil {
		t.Fatal("the run was committed")
	}
	disk.full = false
	after := w.run(t, job)
	if after.State != domain.JobQueued || after.Failure == nil || after.Failure.Class != contract.FailureRetry {
		t.Errorf("the job is %v with %+v", after.State, after.Failure)
	}
	if got := w.sent(); !slices.Equal(got, []string{"one"}) {
		t.Errorf("the platform was sent %q", got)
	}
}

// powerCutAfterCommit is a store that commits a command, and then the power goes.
type powerCutAfterCommit struct{ broker.Store }

func (p powerCutAfterCommit) CommitCommand(ctx context.Context, e domain.CommandEffects) (domain.CommandCommitted, error) {
	if _, err := p.Store.CommitCommand(ctx, e); err != nil {
		return domain.CommandCommitted{}, err
	}
	panic(errPowerCut)
}

// TestAConnectionGoesWithTheCommitOfItsTeardown: a crash behind it must not leave the
// connection with its secrets there for good.
func TestAConnectionGoesWithTheCommitOfItsTeardown(t *testing.T) {
	w := newWorld(t, answers(&contract.CommandOutput{}))
	w.opts.Store = powerCutAfterCommit{w.store}
	w.restart()
	job := w.teardown(t)
	w.runCut(t, job)
	if _, err := w.store.Connection(t.Context(), "con_1"); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("the connection = %v, want %v", err, domain.ErrNotFound)
	}
	if after, err := w.store.Job(t.Context(), job.ID); err != nil || after.State != domain.JobDone {
		t.Errorf("its teardown is %v, %v", after.State, err)
	}
}

// TestACommandThatWasCutOffInTheMiddleDoesTheRest: what follows the call that was cut off is
// not known, and is done.
func TestACommandThatWasCutOffInTheMiddleDoesTheRest(t *testing.T) {
	w := newWorld(t, steps(true, "one", "two", "three"))
	w.platform("two")
	job := w.send(t, "chat", "hi")
	w.runCut(t, job)
	if after := w.run(t, job); after.State != domain.JobDone {
		t.Errorf("the job is %v with %+v", after.State, after.Failure)
	}
	if got := w.sent(); !slices.Equal(got, []string{"one", "two", "two", "three"}) {
		t.Errorf("the platform was sent %q", got)
	}
}

// TestARetryReallySendsAgain: the journal of the attempt before is gone, and nothing of it
// comes late.
func TestARetryReallySendsAgain(t *testing.T) {
	w := newWorld(t, func(_ context.Context, g *call) ([]byte, error) {
		r := ask[contract.HTTPResult](g, contract.HostHTTPSend, post("one", false))
		if r.Status != 200 {
			return contract.Marshal(&contract.CommandOutput{Failure: &contract.Failure{Class: contract.FailureRetry, Code: "refused"}}), nil
		}
		return contract.Marshal(&contract.CommandOutput{Sent: &contract.Sent{PlatformID: "p", Status: contract.MessageSent}}), nil
	})
	w.outside.send = func(domain.EgressPolicy, secret.Reveal, contract.HTTPRequest) *contract.HTTPResult {
		return &contract.HTTPResult{Status: 503}
	}
	job := w.send(t, "chat", "hi")
	for range 3 {
		if after := w.run(t, job); after.State != domain.JobQueued {
			t.Fatalf("the job is %v with %+v", after.State, after.Failure)
		}
	}
	<-time.After(30 * time.Millisecond) // several times as long as an answer may be late
	w.restart()
	w.platform()
	if after := w.run(t, job); after.State != domain.JobDone || after.Attempts != 4 {
		t.Errorf("the job is %v after %d attempts with %+v", after.State, after.Attempts, after.Failure)
	}
	if got := w.sent(); len(got) != 4 {
		t.Errorf("the platform was sent %q", got)
	}
}

// TestAHostThatStopsLeavesTheCommandAsItIs: it is no failure of the command's.
func TestAHostThatStopsLeavesTheCommandAsItIs(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	w := newWorld(t, func(_ context.Context, g *call) ([]byte, error) {
		stop()
		ask[contract.KVGetResult](g, contract.HostKVGet, &contract.KVGet{Key: "k"})
		return nil, nil
	})
	job := w.send(t, "chat", "hi")
	if _, _, err := w.Run(ctx, job); !errors.Is(err, context.Canceled) {
		t.Errorf("Run answered %v", err)
	}
	if after, err := w.store.Job(t.Context(), job.ID); err != nil || after.State != domain.JobQueued || after.Attempts != 0 || after.Failure != nil {
		t.Errorf("the job is %v after %d attempts with %+v, %v", after.State, after.Attempts, after.Failure, err)
	}
}

// TestAPluginThatBreaksDownGetsFewRuns: the lane does not wait for a day behind a message
// that breaks it.
func TestAPluginThatBreaksDownGetsFewRuns(t *testing.T) {
	w := newWorld(t, func(context.Context, *call) ([]byte, error) { return nil, &sandbox.Trap{} })
	job := w.send(t, "chat", "hi")
	after := w.run(t, job)
	for after.State == domain.JobQueued && after.Attempts < 100 {
		after = w.run(t, after)
	}
	if after.State != domain.JobParked || after.Attempts != 12 {
		t.Errorf("the job is %v after %d attempts", after.State, after.Attempts)
	}
}
