package broker_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox"
)

// send accepts a message to send.
func (w *world) send(t *testing.T, conversation contract.ConversationID, text string) domain.Job {
	t.Helper()
	return w.sendOn(t, "con_1", conversation, text)
}

// sendOn is send on a certain connection.
func (w *world) sendOn(t *testing.T, connection contract.ConnectionID, conversation contract.ConversationID, text string) domain.Job {
	t.Helper()
	now := time.Unix(w.now.Load(), 0).UTC()
	m := *created(conversation, text).Message
	m.ID, m.Status = contract.MessageID(w.store.NewID("msg")), contract.MessageQueued
	kept := domain.Message{Message: m, Workspace: "wsp_1", Connection: connection, Direction: domain.Outbound, CreatedAt: now, UpdatedAt: now}
	job, _, err := w.store.AcceptCommand(t.Context(), domain.NewCommand{Workspace: "wsp_1", Connection: connection, At: now, Message: &kept,
		Command: domain.Command{Export: contract.ExportSendMessage, By: "test", Message: &m}, Lane: domain.ConversationLane(connection, conversation)})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// run runs a job and returns it as it stands then.
func (w *world) run(t *testing.T, job domain.Job) domain.Job {
	t.Helper()
	after, _, err := w.Run(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	return after
}

// answers is a guest that answers a command.
func answers(out *contract.CommandOutput) guest {
	return func(context.Context, *call) ([]byte, error) { return contract.Marshal(out), nil }
}

func (w *world) message(t *testing.T, job domain.Job) domain.Message {
	t.Helper()
	m, err := w.store.Message(t.Context(), "wsp_1", job.Command.Message.ID)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestASentMessageIsSent(t *testing.T) {
	w := newWorld(t, answers(&contract.CommandOutput{Sent: &contract.Sent{PlatformID: "p-1", Status: contract.MessageSent,
		Parts: []contract.PartOutcome{{Fate: contract.PartNative}}}}))
	job := w.send(t, "chat", "hi")
	if after := w.run(t, job); after.State != domain.JobDone || after.Attempts != 1 {
		t.Errorf("the job is %+v", after)
	}
	m := w.message(t, job)
	if m.Status != contract.MessageSent || m.PlatformID != "p-1" || len(m.Outcomes) != 1 {
		t.Errorf("the message is %+v", m)
	}
	if got := w.events(t); !slices.Equal(got, []string{"message.status"}) {
		t.Errorf("events %q", got)
	}
}

func TestAFailureIsRetriedOrParkedByItsClass(t *testing.T) {
	trap := func(context.Context, *call) ([]byte, error) { return nil, &sandbox.Trap{} }
	for _, tt := range []struct {
		name  string
		guest guest
		err   error // of acquiring the plugin
		state domain.JobState
		code  string
		wait  time.Duration
	}{
		{"the plugin says retry", answers(&contract.CommandOutput{Failure: &contract.Failure{Class: contract.FailureRetry, Code: "busy"}}), nil, domain.JobQueued, "busy", time.Second},
		{"the plugin says when", answers(&contract.CommandOutput{Failure: &contract.Failure{Class: contract.FailureRetryAfter, Code: "slow", RetryAfterMillis: 60_000}}), nil, domain.JobQueued, "slow", time.Minute},
		{"the plugin gives up", answers(&contract.CommandOutput{Failure: &contract.Failure{Class: contract.FailurePermanent, Code: "gone"}}), nil, domain.JobParked, "gone", 0},
		{"nobody knows", answers(&contract.CommandOutput{Failure: &contract.Failure{Class: contract.FailureUncertain, Code: "maybe"}}), nil, domain.JobParked, "maybe", 0},
		{"the plugin traps", trap, nil, domain.JobQueued, "plugin_trap", time.Second},
		{"the plugin says nonsense", func(context.Context, *call) ([]byte, error) { return []byte("{"), nil }, nil, domain.JobQueued, "plugin_bad_output", time.Second},
		{"the plugin is missing", trap, registry.ErrNoPlugin, domain.JobQueued, "plugin_missing", time.Second},
		{"the plugin was revoked", trap, registry.ErrRevoked, domain.JobQueued, "plugin_revoked", time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.guest)
			w.plugins.set(tt.guest, tt.err)
			job := w.send(t, "chat", "hi")
			after := w.run(t, job)
			if after.State != tt.state || after.Failure == nil || after.Failure.Code != tt.code {
				t.Errorf("the job is %v with %+v, want %v with code %s", after.State, after.Failure, tt.state, tt.code)
			}
			status := contract.MessageFailed
			if tt.state == domain.JobQueued {
				status = contract.MessageQueued
				if wait := after.NotBefore.Sub(time.Unix(w.now.Load(), 0)); wait != tt.wait {
					t.Errorf("it waits %v, want %v", wait, tt.wait)
				}
			}
			if m := w.message(t, job); m.Status != status {
				t.Errorf("the message is %v, want %v", m.Status, status)
			}
		})
	}
}

func TestACommandOfAnAbilityThatThePluginLacksIsParked(t *testing.T) {
	w := newWorld(t, answers(&contract.CommandOutput{}))
	job, _, err := w.store.AcceptCommand(t.Context(), domain.NewCommand{Workspace: "wsp_1", Connection: "con_1",
		Command: domain.Command{Export: contract.ExportCheckHealth, By: "test"}, At: time.Unix(w.now.Load(), 0)})
	if err != nil {
		t.Fatal(err)
	}
	if after := w.run(t, job); after.State != domain.JobParked || after.Failure.Code != "unsupported" {
		t.Errorf("the job is %v with %+v", after.State, after.Failure)
	}
}

func TestWhatACommandAsksForBecomesAJobForReconcile(t *testing.T) {
	w := newWorld(t, answers(&contract.CommandOutput{Sent: &contract.Sent{PlatformID: "p", Status: contract.MessageSent},
		Commands: []contract.CommandRequest{{Lane: "check", AfterMillis: 60_000, Payload: "look"}}}))
	_, spawned, err := w.Run(t.Context(), w.send(t, "chat", "hi"))
	if err != nil || len(spawned) != 1 || spawned[0].NotBefore.Unix() != w.now.Load()+60 {
		t.Fatalf("spawned %+v, %v", spawned, err)
	}
	var asked string
	w.plugins.set(func(_ context.Context, g *call) ([]byte, error) {
		var in contract.ReconcileInput
		err := contract.Unmarshal(g.Input, &in)
		asked = g.Export + " " + in.Payload
		return contract.Marshal(&contract.CommandOutput{}), err
	}, nil)
	if after := w.run(t, spawned[0]); after.State != domain.JobDone || asked != "reconcile look" {
		t.Errorf("the job is %v, and the plugin was asked %q", after.State, asked)
	}
}

func TestAWriteOfACommandThatLostARaceIsNotMade(t *testing.T) {
	w := newWorld(t, nil)
	w.plugins.set(func(_ context.Context, g *call) ([]byte, error) {
		ask[contract.Done](g, contract.HostKVPut, &contract.KVPut{Key: "k", Value: "mine", CheckVersion: true})
		w.plugins.set(func(_ context.Context, g *call) ([]byte, error) { // somebody else is faster
			ask[contract.Done](g, contract.HostKVPut, &contract.KVPut{Key: "k", Value: "theirs"})
			return contract.Marshal(said("chat", "x")), nil
		}, nil)
		w.deliver(t, "x")
		return contract.Marshal(&contract.CommandOutput{}), nil
	}, nil)
	// Its next run is told of the conflict, and this one leaves it at that.
	after := w.run(t, w.send(t, "chat", "hi"))
	value, _, _, err := w.store.KVGet(t.Context(), "con_1", "k", time.Unix(w.now.Load(), 0))
	if after.State != domain.JobDone || value != "theirs" || err != nil {
		t.Errorf("the job is %v with %+v, the value is %q, %v", after.State, after.Failure, value, err)
	}
}

func TestAConnectionIsRemovedWhenItsTeardownHasEndedWellOrBadly(t *testing.T) {
	for name, out := range map[string]*contract.CommandOutput{
		"well":  {Events: []contract.Event{{Kind: contract.EventConnectionState, State: &contract.StateChange{State: contract.StateDisconnected}}}},
		"badly": {Failure: &contract.Failure{Class: contract.FailurePermanent, Code: "gone"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, answers(out))
			w.run(t, w.teardown(t))
			if _, err := w.store.Connection(t.Context(), "con_1"); !errors.Is(err, domain.ErrNotFound) {
				t.Errorf("the connection = %v, want ErrNotFound", err)
			}
			if answer := w.deliver(t, "x"); answer.Status != 404 {
				t.Errorf("its endpoint answers %d", answer.Status)
			}
		})
	}
	w := newWorld(t, answers(&contract.CommandOutput{Failure: &contract.Failure{Class: contract.FailureRetry, Code: "busy"}}))
	w.run(t, w.teardown(t))
	if _, err := w.store.Connection(t.Context(), "con_1"); err != nil {
		t.Errorf("after a teardown that is tried again, the connection = %v", err)
	}
}

// teardown accepts the end of the connection.
func (w *world) teardown(t *testing.T) domain.Job {
	t.Helper()
	job, _, err := w.store.AcceptCommand(t.Context(), domain.NewCommand{Workspace: "wsp_1", Connection: "con_1",
		Command: domain.Command{Export: contract.ExportTeardownConnection, By: "test"}, At: time.Unix(w.now.Load(), 0)})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// withFile is an output with a message that has an attachment.
func withFile(url string) *contract.ReceiveOutput {
	out := said("chat", "see:")
	out.Events[0].Message.Parts = append(out.Events[0].Message.Parts, contract.Part{Kind: contract.PartMedia,
		Media: &contract.Media{Kind: contract.MediaFile, Name: "a.txt", SourceURL: url}})
	return out
}

func TestAnEventWaitsForItsAttachmentAndKeepsItsPlace(t *testing.T) {
	w := newWorld(t, nil)
	var fetched int
	w.outside.fetch = func(string) (string, error) {
		fetched++
		if fetched == 1 {
			return "", &contract.HostError{Code: contract.HostTimeout}
		}
		return "the bytes", nil
	}
	w.plugins.set(func(_ context.Context, g *call) ([]byte, error) {
		if body(g) == "file" {
			return contract.Marshal(withFile("https://files.test/a")), nil
		}
		return echo(context.Background(), g)
	}, nil)
	w.deliver(t, "file")
	w.deliver(t, "after")
	if got := w.events(t); len(got) != 0 {
		t.Fatalf("events %q before the attachment is there", got)
	}
	var queued []domain.Job
	if err := w.store.QueuedJobs(t.Context(), func(j domain.Job) error { queued = append(queued, j); return nil }); err != nil || len(queued) != 2 {
		t.Fatalf("queued %v, %v", queued, err)
	}
	if after := w.run(t, queued[0]); after.State != domain.JobQueued || after.Attempts != 1 {
		t.Errorf("after a time-out the job is %+v", after)
	}
	for _, id := range []string{queued[0].ID, queued[1].ID} {
		job, err := w.store.Job(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if after := w.run(t, job); after.State != domain.JobDone {
			t.Errorf("the job is %+v", after)
		}
	}
	if got := w.events(t); !slices.Equal(got, []string{"message.created see: [text/plain]", "message.created after"}) {
		t.Errorf("events %q", got)
	}
}

func TestAnAttachmentThatCannotBeHadIsNamedWithTheReason(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		err        error
		runs       int
	}{
		{"not allowed", "[The attachment is at an address that this connection may not fetch from.]", &contract.HostError{Code: contract.HostDenied}, 1},
		{"too large", "[The attachment is larger than this host accepts.]", &contract.HostError{Code: contract.HostQuota}, 1},
		{"gone", "[The platform no longer has the attachment.]", &contract.HostError{Code: contract.HostNotFound}, 1},
		{"never answered", "[The platform did not hand the attachment out in time.]", &contract.HostError{Code: contract.HostTimeout}, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(context.Context, *call) ([]byte, error) {
				return contract.Marshal(withFile("https://files.test/a")), nil
			})
			w.outside.fetch = func(string) (string, error) { return "", tt.err }
			w.deliver(t, "x")
			runs := 0
			for len(w.events(t)) == 0 && runs < 10 {
				if err := w.store.QueuedJobs(t.Context(), func(j domain.Job) error { runs++; w.run(t, j); return nil }); err != nil {
					t.Fatal(err)
				}
			}
			if got := w.events(t); !slices.Equal(got, []string{"message.created see: " + tt.want}) || runs != tt.runs {
				t.Errorf("after %d runs: events %q, want %q after %d", runs, got, tt.want, tt.runs)
			}
		})
	}
}
