package broker_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// post is a request to the platform, which the platform tells apart by its body.
func post(body string, idempotent bool) *contract.HTTPRequest {
	return &contract.HTTPRequest{Method: "POST", URL: "https://acme.test:8443/api", Body: body, Idempotent: idempotent}
}

// errPowerCut is what the host is cut off with.
var errPowerCut = errors.New("the power is gone")

// platform answers 200 to all but what cuts names: there it takes the request, and the
// power goes.
func (w *world) platform(cuts ...string) {
	w.outside.send = func(_ domain.EgressPolicy, _ secret.Reveal, r contract.HTTPRequest) *contract.HTTPResult {
		if i := slices.Index(cuts, r.Body); i >= 0 {
			cuts = slices.Delete(cuts, i, i+1)
			panic(errPowerCut)
		}
		return &contract.HTTPResult{Status: 200, Body: "took " + r.Body}
	}
}

// runCut runs a job until the power goes, and starts the host again.
func (w *world) runCut(t *testing.T, job domain.Job) {
	t.Helper()
	defer func() {
		if p := recover(); p != errPowerCut {
			t.Fatalf("the run ended with %v, want a power cut", p)
		}
		w.restart()
	}()
	w.run(t, job)
}

// sent lists what the platform was sent.
func (w *world) sent() (bodies []string) {
	w.outside.mu.Lock()
	defer w.outside.mu.Unlock()
	for _, r := range w.outside.sent {
		bodies = append(bodies, r.Body)
	}
	return bodies
}

// steps is a guest that writes an entry, sends each body, and says which answers it got.
func steps(idempotent bool, bodies ...string) guest {
	return func(_ context.Context, g *call) ([]byte, error) {
		ask[contract.Done](g, contract.HostKVPut, &contract.KVPut{Key: "begun", Value: g.Now.UTC().Format(time.RFC3339)})
		var got string
		for _, body := range bodies {
			got += ask[contract.HTTPResult](g, contract.HostHTTPSend, post(body, idempotent)).Body + ";"
		}
		return contract.Marshal(&contract.CommandOutput{Sent: &contract.Sent{PlatformID: contract.PlatformMessageID(got), Status: contract.MessageSent}}), nil
	}
}

func TestACommandThatWasCutOffGoesOnWhereItWas(t *testing.T) {
	w := newWorld(t, steps(true, "one", "two", "three"))
	w.platform("three")
	job := w.send(t, "chat", "hi")
	began := time.Unix(w.now.Load(), 0).UTC()
	w.runCut(t, job)
	w.now.Add(3600)
	after := w.run(t, job)
	if after.State != domain.JobDone || after.Attempts != 1 {
		t.Errorf("the job is %v after %d attempts with %+v", after.State, after.Attempts, after.Failure)
	}
	if got, want := w.sent(), []string{"one", "two", "three", "three"}; !slices.Equal(got, want) {
		t.Errorf("the platform was sent %q, want %q: what was answered is not sent again", got, want)
	}
	if m := w.message(t, job); m.PlatformID != "took one;took two;took three;" {
		t.Errorf("the message is called %q", m.PlatformID)
	}
	value, _, _, err := w.store.KVGet(t.Context(), "con_1", "begun", time.Unix(w.now.Load(), 0))
	if err != nil || value != began.Format(time.RFC3339) {
		t.Errorf("its clock said %q, %v, want %v: it goes on at the time at which it began", value, err, began)
	}
	if left, err := w.store.Journal(t.Context(), job.ID); err != nil || len(left) > 0 {
		t.Errorf("the journal has %d entries, %v", len(left), err)
	}
}

func TestACallThatMayHaveTakenEffectIsNotRepeated(t *testing.T) {
	w := newWorld(t, steps(false, "one", "two"))
	w.platform("two")
	job := w.send(t, "chat", "hi")
	w.runCut(t, job)
	after := w.run(t, job)
	if after.State != domain.JobParked || after.Failure.Class != contract.FailureUncertain || after.Failure.Code != "interrupted" {
		t.Errorf("the job is %v with %+v", after.State, after.Failure)
	}
	if got := w.sent(); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("the platform was sent %q", got)
	}
	notices, _, err := w.store.Notices(t.Context(), domain.NoticeFilter{Kind: domain.NoticeJobUncertain}, domain.Page{})
	if err != nil || len(notices) != 1 || notices[0].Target != job.ID {
		t.Errorf("the operator was told %+v, %v", notices, err)
	}
}

func TestAGETIsNotJournalledAheadAndMayBeRepeated(t *testing.T) {
	w := newWorld(t, func(_ context.Context, g *call) ([]byte, error) {
		ask[contract.HTTPResult](g, contract.HostHTTPSend, &contract.HTTPRequest{Method: "GET", URL: "https://files.test/a", Body: "get"})
		return contract.Marshal(&contract.CommandOutput{Sent: &contract.Sent{PlatformID: "p", Status: contract.MessageSent}}), nil
	})
	w.platform("get")
	job := w.send(t, "chat", "hi")
	w.runCut(t, job)
	if left, err := w.store.Journal(t.Context(), job.ID); err != nil || len(left) > 0 {
		t.Errorf("a GET cost %d journal entries, %v", len(left), err)
	}
	if after := w.run(t, job); after.State != domain.JobDone {
		t.Errorf("the job is %v with %+v", after.State, after.Failure)
	}
}

// TestAPluginThatFailsAfterItSentIsNotSimplyRunAgain: a trap after the platform took a
// message must not send it twice.
func TestAPluginThatFailsAfterItSentIsNotSimplyRunAgain(t *testing.T) {
	for _, tt := range []struct {
		name       string
		idempotent bool
		answer     contract.HTTPResult
		class      contract.FailureClass
	}{
		{"the platform took it", false, contract.HTTPResult{Status: 200}, contract.FailureUncertain},
		{"the platform broke over it", false, contract.HTTPResult{Status: 502}, contract.FailureUncertain},
		{"nobody knows", false, contract.HTTPResult{Error: &contract.HostError{Code: contract.HostTimeout}}, contract.FailureUncertain},
		{"the platform broke down", false, contract.HTTPResult{Status: 500}, contract.FailureUncertain},
		{"the platform refused it", false, contract.HTTPResult{Status: 400}, contract.FailureRetry},
		{"the platform wants it later", false, contract.HTTPResult{Status: 429}, contract.FailureRetry},
		{"it never went out", false, contract.HTTPResult{Error: &contract.HostError{Code: contract.HostDenied, Certain: true}}, contract.FailureRetry},
		{"the platform knows repeats", true, contract.HTTPResult{Status: 200}, contract.FailureRetry},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(_ context.Context, g *call) ([]byte, error) {
				ask[contract.HTTPResult](g, contract.HostHTTPSend, post("one", tt.idempotent))
				return nil, &sandbox.Trap{}
			})
			w.outside.send = func(domain.EgressPolicy, secret.Reveal, contract.HTTPRequest) *contract.HTTPResult { return &tt.answer }
			if after := w.run(t, w.send(t, "chat", "hi")); after.Failure == nil || after.Failure.Class != tt.class {
				t.Errorf("the job is %v with %+v, want class %v", after.State, after.Failure, tt.class)
			}
		})
	}
}

func TestACommandWhoseCommitLostARaceDoesNotSendAgain(t *testing.T) {
	w := newWorld(t, nil)
	w.platform()
	runs := 0
	w.plugins.set(func(_ context.Context, g *call) ([]byte, error) {
		runs++
		entry := ask[contract.KVGetResult](g, contract.HostKVGet, &contract.KVGet{Key: "count"})
		ask[contract.HTTPResult](g, contract.HostHTTPSend, post("one", false))
		ask[contract.Done](g, contract.HostKVPut, &contract.KVPut{Key: "count", Value: entry.Value + "+ours", CheckVersion: true, ExpectedVersion: entry.Version})
		if runs == 1 { // somebody else changes the entry before this is committed
			w.put(t, "count", "theirs")
		}
		return contract.Marshal(&contract.CommandOutput{Sent: &contract.Sent{PlatformID: "p", Status: contract.MessageSent}}), nil
	}, nil)
	job := w.send(t, "chat", "hi")
	after := w.run(t, job)
	value, _, _, err := w.store.KVGet(t.Context(), "con_1", "count", time.Unix(w.now.Load(), 0))
	if after.State != domain.JobDone || value != "theirs+ours" || err != nil {
		t.Errorf("the job is %v with %+v; the entry is %q, %v", after.State, after.Failure, value, err)
	}
	if got := w.sent(); !slices.Equal(got, []string{"one"}) {
		t.Errorf("the platform was sent %q", got)
	}
}

// A plugin that is told of a lost race may give up: it is run again, and what went out stays
// sent once.
func TestAPluginThatGivesUpOverALostRaceIsRunAgain(t *testing.T) {
	w := newWorld(t, nil)
	w.platform()
	runs := 0
	w.plugins.set(func(_ context.Context, g *call) ([]byte, error) {
		runs++
		entry := ask[contract.KVGetResult](g, contract.HostKVGet, &contract.KVGet{Key: "count"})
		ask[contract.HTTPResult](g, contract.HostHTTPSend, post("one", false))
		if runs == 1 { // somebody else changes the entry before this run writes it
			w.put(t, "count", "theirs")
		}
		done := ask[contract.Done](g, contract.HostKVPut, &contract.KVPut{Key: "count", Value: entry.Value + "+ours", CheckVersion: true, ExpectedVersion: entry.Version})
		if done.Error != nil {
			return nil, &sandbox.GuestError{Export: "send_message", Message: done.Error.Message, Code: 1}
		}
		return contract.Marshal(&contract.CommandOutput{Sent: &contract.Sent{PlatformID: "p", Status: contract.MessageSent}}), nil
	}, nil)
	after := w.run(t, w.send(t, "chat", "hi"))
	value, _, _, err := w.store.KVGet(t.Context(), "con_1", "count", time.Unix(w.now.Load(), 0))
	if after.State != domain.JobDone || after.Attempts != 1 || value != "theirs+ours" || runs != 2 || err != nil {
		t.Errorf("after %d runs the job is %v with %+v, attempt %d; the entry is %q, %v", runs, after.State, after.Failure, after.Attempts, value, err)
	}
	if got := w.sent(); !slices.Equal(got, []string{"one"}) {
		t.Errorf("the platform was sent %q", got)
	}
}

// put changes an entry as a delivery would.
func (w *world) put(t *testing.T, key, value string) {
	t.Helper()
	_, err := w.store.CommitDelivery(t.Context(), domain.DeliveryEffects{
		Effects: domain.Effects{Workspace: "wsp_1", Connection: "con_1", At: time.Unix(w.now.Load(), 0).UTC(),
			Writes: []domain.KVWrite{{Key: key, Value: value}}},
		Delivery: domain.Delivery{Delivery: contract.Delivery{ID: contract.DeliveryID(w.store.NewID("dlv"))}, Plugin: "test", Body: []byte("x")},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// fullDisk is a store that refuses the commits of commands.
type fullDisk struct {
	broker.Store
	full bool
}

func (f *fullDisk) CommitCommand(ctx context.Context, e domain.CommandEffects) (domain.CommandCommitted, error) {
	if f.full {
		return domain.CommandCommitted{}, domain.ErrUnavailable
	}
	return f.Store.CommitCommand(ctx, e)
}

func TestWhatCouldNotBeCommittedIsNotDoneAgain(t *testing.T) {
	w := newWorld(t, steps(false, "one"))
	w.platform()
	disk := &fullDisk{Store: w.store, full: true}
	w.opts.Store = disk
	w.restart()
	job := w.send(t, "chat", "hi")
	for range 3 {
		if _, _, err := w.Run(t.Context(), job); !errors.Is(err, domain.ErrUnavailable) {
			t.Fatalf("Run answered %v, want %v", err, domain.ErrUnavailable)
		}
	}
	disk.full = false
	if after := w.run(t, job); after.State != domain.JobDone {
		t.Errorf("the job is %v with %+v", after.State, after.Failure)
	}
	if got := w.sent(); !slices.Equal(got, []string{"one"}) {
		t.Errorf("the platform was sent %q", got)
	}
}

func TestAPluginThatWasReplacedMeanwhile(t *testing.T) {
	for _, tt := range []struct {
		name       string
		idempotent bool
		state      domain.JobState
		sent       []string
	}{
		{"begins anew if the platform knows repeats", true, domain.JobDone, []string{"one", "two", "one", "two"}},
		{"leaves what may have taken effect to a person", false, domain.JobParked, []string{"one", "two"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, steps(tt.idempotent, "one", "two"))
			w.platform("two")
			job := w.send(t, "chat", "hi")
			w.runCut(t, job)
			version := *w.plugins.version
			version.Digest = "sha256:next"
			w.plugins.version = &version
			after := w.run(t, job)
			if after.State != tt.state || after.State == domain.JobParked && after.Failure.Code != "plugin_changed" {
				t.Errorf("the job is %v with %+v", after.State, after.Failure)
			}
			if got := w.sent(); !slices.Equal(got, tt.sent) {
				t.Errorf("the platform was sent %q, want %q", got, tt.sent)
			}
		})
	}
}

func TestEveryRunIsKeptAndOnlyItsWorkspaceSeesIt(t *testing.T) {
	w := newWorld(t, func(_ context.Context, g *call) ([]byte, error) {
		body, err := g.Host[string(contract.HostDeliveryBody)](g.ctx, nil)
		if err != nil {
			return nil, err
		}
		return contract.Marshal(said("chat", string(body))), nil
	})
	delivery := w.deliver(t, "hello").Delivery
	w.plugins.set(steps(true, "one"), nil)
	w.platform()
	job := w.send(t, "chat", "hi")
	w.run(t, job)
	for _, tt := range []struct {
		owner, function string
		answer          string
	}{
		{string(delivery), string(contract.HostDeliveryBody), "hello"},
		{job.ID, string(contract.HostKVPut), "{}"},
	} {
		runs, err := w.Recordings(t.Context(), "wsp_1", tt.owner)
		if err != nil || !slices.Equal(runs, []int{1}) {
			t.Fatalf("%s has the runs %v, %v", tt.owner, runs, err)
		}
		data, err := w.Recording(t.Context(), "wsp_1", tt.owner, 1)
		if err != nil {
			t.Fatal(err)
		}
		r, err := recording.Decode(data)
		if err != nil || len(r.Calls) == 0 || r.Calls[0].Function != tt.function || string(r.Calls[0].Answer) != tt.answer {
			t.Errorf("the recording of %s begins with %+v, %v", tt.owner, r.Calls, err)
		}
		if _, err := w.Recording(t.Context(), "wsp_2", tt.owner, 1); !errors.Is(err, domain.ErrNotFound) {
			t.Errorf("another workspace was answered %v", err)
		}
		if _, err := w.Recordings(t.Context(), "wsp_2", tt.owner); !errors.Is(err, domain.ErrNotFound) {
			t.Errorf("another workspace was answered %v", err)
		}
	}
}

// TestACommandIsNotRunAgainBecauseSomethingItOnlyReadHasChanged: commands run in lanes, and
// name the versions that matter to them.
func TestACommandIsNotRunAgainBecauseSomethingItOnlyReadHasChanged(t *testing.T) {
	w := newWorld(t, nil)
	runs := 0
	w.plugins.set(func(_ context.Context, g *call) ([]byte, error) {
		runs++
		ask[contract.KVGetResult](g, contract.HostKVGet, &contract.KVGet{Key: "count"})
		if runs == 1 {
			w.put(t, "count", "theirs")
		}
		return contract.Marshal(&contract.CommandOutput{Sent: &contract.Sent{PlatformID: "p", Status: contract.MessageSent}}), nil
	}, nil)
	if after := w.run(t, w.send(t, "chat", "hi")); after.State != domain.JobDone || runs != 1 {
		t.Errorf("the job is %v with %+v after %d runs", after.State, after.Failure, runs)
	}
}
