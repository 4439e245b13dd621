package storetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// kept returns a delivery that must be there.
func (f *fixture) kept(id contract.DeliveryID) domain.Delivery {
	f.t.Helper()
	d, err := f.Delivery(f.t.Context(), id)
	f.ok(err)
	return d
}

// keep keeps a delivery of connection a in some state.
func (f *fixture) keep(s domain.DeliveryState, body string) domain.Delivery {
	f.t.Helper()
	d := f.delivery(conA).Delivery
	d.Workspace, d.Connection, d.State, d.Body = wsA, conA, s, []byte(body)
	sum := sha256.Sum256(d.Body)
	d.BodySHA256 = hex.EncodeToString(sum[:])
	f.ok(f.KeepDelivery(f.t.Context(), d, nil))
	return d
}

var deliveryClaims = []claim{
	{"one commit keeps all that came of it", func(t *testing.T, f *fixture) {
		e := f.delivery(conA, f.text(chat, "m1", "hello"), f.text(chat, "m2", "there"))
		e.Writes = []domain.KVWrite{{Key: "k", Value: "v"}}
		e.Commands = []contract.CommandRequest{{Payload: "later", AfterMillis: 1500}}
		e.Delivery.Body = []byte("{\"raw\":\x00\xff}")
		c := f.commit(e)
		if c.Duplicate || c.Delivery != e.Delivery.ID || len(c.Events) != 2 || len(c.Jobs) != 1 {
			t.Fatalf("CommitDelivery = %+v", c)
		}
		d := f.kept(e.Delivery.ID)
		if d.State != domain.DeliveryAccepted || d.Workspace != wsA || d.Connection != conA || !bytes.Equal(d.Body, e.Delivery.Body) || d.Response.Body != "ok" {
			t.Errorf("kept %+v", d)
		}
		if value, _ := f.entry("k"); value != "v" {
			t.Errorf("the entry is %q", value)
		}
		job, err := f.Job(t.Context(), c.Jobs[0].ID)
		f.ok(err)
		if job.Command.Payload != "later" || !job.NotBefore.Equal(f.at.Add(1500*time.Millisecond)) || job.Command.Export != contract.ExportReconcile {
			t.Errorf("the job is %+v, command %+v", job, job.Command)
		}
		if got := f.events(wsA); len(got) != 2 || got[0].Seq != 1 || got[1].Seq != 2 || got[1].Delivery != d.ID || !got[1].CommittedAt.Equal(f.at) {
			t.Errorf("events %+v", got)
		}
		if c, _ := f.Connection(t.Context(), conA); !c.LastInboundAt.Equal(f.at) || !c.LastOutboundAt.IsZero() {
			t.Errorf("last traffic: in %v, out %v", c.LastInboundAt, c.LastOutboundAt)
		}
	}},
	{"a dedupe key is good for one commit", func(t *testing.T, f *fixture) {
		first := f.delivery(conA, f.text(chat, "m1", "hello"))
		first.Delivery.DedupeKey, first.Delivery.Response.Body = "key", "the first answer"
		f.commit(first)
		for range 2 {
			f.tick(365 * 24 * time.Hour)
			second := f.delivery(conA, f.text(chat, "m2", "hello"))
			second.Delivery.DedupeKey = "key"
			second.Writes = []domain.KVWrite{{Key: "k"}}
			c := f.commit(second)
			if !c.Duplicate || c.Response.Body != "the first answer" || c.Delivery != first.Delivery.ID || len(c.Events)+len(c.Jobs) > 0 {
				t.Errorf("a repeat: %+v", c)
			}
			_, err := f.Delivery(t.Context(), second.Delivery.ID)
			f.fails("the repeat's record", err, domain.ErrNotFound)
		}
		if _, version := f.entry("k"); version != 0 || len(f.events(wsA)) != 1 {
			t.Error("a repeat had an effect")
		}
	}},
	{"a dedupe key means nothing to another connection", func(t *testing.T, f *fixture) {
		for _, c := range []contract.ConnectionID{conA, conA2, conB} {
			e := f.delivery(c)
			e.Delivery.DedupeKey = "key"
			if got := f.commit(e); got.Duplicate {
				t.Errorf("on %s it is a duplicate", c)
			}
		}
	}},
	{"a long dedupe key is told from one that begins the same", func(t *testing.T, f *fixture) {
		for _, tail := range []string{"1", "2"} {
			e := f.delivery(conA)
			e.Delivery.DedupeKey = strings.Repeat("k", 40_000) + tail
			if f.commit(e).Duplicate {
				t.Errorf("the one that ends in %s is a duplicate", tail)
			}
			if again := f.delivery(conA); !f.commit(func() domain.DeliveryEffects { again.Delivery.DedupeKey = e.Delivery.DedupeKey; return again }()).Duplicate {
				t.Errorf("the one that ends in %s is not known again", tail)
			}
		}
	}},
	{"a rejected one is kept without its body", func(t *testing.T, f *fixture) {
		d := f.keep(domain.DeliveryFailed, "forged")
		d.State, d.Code = domain.DeliveryRejected, "token_mismatch"
		f.ok(f.KeepDelivery(t.Context(), d, nil))
		if got := f.kept(d.ID); got.State != domain.DeliveryRejected || got.Code != "token_mismatch" || len(got.Body) != 0 {
			t.Errorf("kept %+v", got)
		}
	}},
	{"a failed one is kept with its body and can be kept again", func(t *testing.T, f *fixture) {
		d := f.keep(domain.DeliveryFailed, "raw")
		d.Attempts, d.ReplayedAt, d.Body = 2, f.at, nil
		f.ok(f.KeepDelivery(t.Context(), d, nil))
		if got := f.kept(d.ID); got.Attempts != 2 || string(got.Body) != "raw" || got.BodySHA256 != d.BodySHA256 {
			t.Errorf("kept %+v", got)
		}
	}},
	{"what was accepted stays accepted", func(t *testing.T, f *fixture) {
		c := f.receive()
		d := f.kept(c.Delivery)
		d.State = domain.DeliveryFailed
		f.fails("KeepDelivery", f.KeepDelivery(t.Context(), d, nil), domain.ErrConflict)
		if got := f.kept(c.Delivery); got.State != domain.DeliveryAccepted {
			t.Errorf("it is %s", got.State)
		}
	}},
	{"only a commit accepts", func(t *testing.T, f *fixture) {
		d := f.delivery(conA).Delivery
		for _, s := range []domain.DeliveryState{domain.DeliveryAccepted, "", "lost"} {
			d.State = s
			f.invalid("KeepDelivery as "+string(s), f.KeepDelivery(t.Context(), d, nil))
		}
	}},
	{"lists are newest first, by workspace, connection and state, without bodies", checkDeliveryLists},
}

func checkDeliveryLists(t *testing.T, f *fixture) {
	var ids []contract.DeliveryID
	for i := range 4 {
		ids = append(ids, f.keep([]domain.DeliveryState{domain.DeliveryFailed, domain.DeliveryRejected}[i%2], "x").ID)
		ids = append(ids, f.receive().Delivery)
	}
	other := f.commit(f.delivery(conA2)).Delivery
	f.commit(f.delivery(conB))
	for _, tt := range []struct {
		name   string
		filter domain.DeliveryFilter
		want   []contract.DeliveryID
	}{
		{"a workspace", domain.DeliveryFilter{Workspace: wsA}, []contract.DeliveryID{other, ids[7], ids[6], ids[5], ids[4], ids[3], ids[2], ids[1], ids[0]}},
		{"a connection", domain.DeliveryFilter{Workspace: wsA, Connection: conA}, []contract.DeliveryID{ids[7], ids[6], ids[5], ids[4], ids[3], ids[2], ids[1], ids[0]}},
		{"a state", domain.DeliveryFilter{Connection: conA, State: domain.DeliveryFailed}, []contract.DeliveryID{ids[4], ids[0]}},
		{"a state of a workspace", domain.DeliveryFilter{Workspace: wsA, State: domain.DeliveryAccepted}, []contract.DeliveryID{other, ids[7], ids[5], ids[3], ids[1]}},
		{"another's connection", domain.DeliveryFilter{Workspace: wsB, Connection: conA}, nil},
		{"no such state", domain.DeliveryFilter{Workspace: wsA, State: "lost"}, nil},
		{"every rejected one", domain.DeliveryFilter{State: domain.DeliveryRejected}, []contract.DeliveryID{ids[6], ids[2]}},
	} {
		list := pages(f, func(p domain.Page) ([]domain.Delivery, string, error) { return f.Deliveries(t.Context(), tt.filter, p) })
		var got []contract.DeliveryID
		for _, d := range list {
			got = append(got, d.ID)
			if d.Body != nil {
				t.Errorf("%s: %s comes with its body", tt.name, d.ID)
			}
		}
		if !equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func equal[T comparable](got, want []T) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range got {
		if got[i] != want[i] {
			return false
		}
	}
	return true
}

// repeat is a delivery with a body, on a connection whose plugin has no dedupe keys.
func (f *fixture) repeat(c contract.ConnectionID, body string) domain.DeliveryEffects {
	e := f.delivery(c, f.text(chat, f.name("m"), body))
	e.Delivery.Body, e.RepeatWindow = []byte(body), windowOfRepetition
	e.Delivery.Response.Body = "answer to " + string(e.Delivery.ID)
	return e
}

var repeatClaims = []claim{
	{"a body that was not answered is a repeat within the window", func(t *testing.T, f *fixture) {
		first := f.repeat(conA, "same")
		f.commit(first)
		f.tick(windowOfRepetition)
		c := f.commit(f.repeat(conA, "same"))
		if !c.Duplicate || c.Response.Body != first.Delivery.Response.Body || c.Delivery != first.Delivery.ID {
			t.Errorf("at the end of the window: %+v", c)
		}
		f.tick(time.Nanosecond)
		if c := f.commit(f.repeat(conA, "same")); c.Duplicate {
			t.Error("after the window it is a duplicate")
		}
		if got := len(f.events(wsA)); got != 2 {
			t.Errorf("%d events, want 2", got)
		}
	}},
	{"a body that was answered is no repeat", func(t *testing.T, f *fixture) {
		first := f.commit(f.repeat(conA, "same"))
		f.MarkAnswered(first.Delivery)
		f.MarkAnswered("dlv_nobody")
		f.ok(f.Ping(t.Context())) // the mark stands before it in the queue
		if !f.kept(first.Delivery).Answered {
			t.Fatal("the mark was not kept")
		}
		if c := f.commit(f.repeat(conA, "same")); c.Duplicate {
			t.Error("somebody who says the same twice is taken for a repeat")
		}
	}},
	{"only the same body on the same connection is a repeat", func(t *testing.T, f *fixture) {
		f.commit(f.repeat(conA, "same"))
		for _, e := range []domain.DeliveryEffects{f.repeat(conA, "other"), f.repeat(conA2, "same"), f.repeat(conB, "same")} {
			if f.commit(e).Duplicate {
				t.Errorf("%q on %s is a duplicate", e.Delivery.Body, e.Connection)
			}
		}
	}},
	{"without a window bodies are not compared", func(t *testing.T, f *fixture) {
		f.commit(f.repeat(conA, "same"))
		e := f.repeat(conA, "same")
		e.RepeatWindow = 0
		if f.commit(e).Duplicate {
			t.Error("it is a duplicate")
		}
	}},
	{"a failed one is superseded by the platform's own repeat", func(t *testing.T, f *fixture) {
		old := f.keep(domain.DeliveryFailed, "same")
		f.tick(windowOfRepetition + 1)
		within, other := f.keep(domain.DeliveryFailed, "same"), f.keep(domain.DeliveryFailed, "other")
		f.tick(windowOfRepetition)
		c := f.commit(f.repeat(conA, "same"))
		for id, want := range map[contract.DeliveryID]domain.DeliveryState{
			old.ID: domain.DeliveryFailed, within.ID: domain.DeliverySuperseded,
			other.ID: domain.DeliveryFailed, c.Delivery: domain.DeliveryAccepted,
		} {
			if got := f.kept(id).State; got != want {
				t.Errorf("%s is %s, want %s", id, got, want)
			}
		}
		if body := f.kept(within.ID).Body; string(body) != "same" {
			t.Errorf("the superseded one has the body %q", body)
		}
	}},
	{"a failed one that is replayed supersedes not itself", func(t *testing.T, f *fixture) {
		failed := f.keep(domain.DeliveryFailed, "same")
		e := f.repeat(conA, "same")
		e.Delivery = failed
		e.Delivery.Attempts = 2
		if c := f.commit(e); c.Duplicate || len(c.Events) != 1 {
			t.Errorf("the replay: %+v", c)
		}
		if got := f.kept(failed.ID); got.State != domain.DeliveryAccepted || got.Attempts != 2 || string(got.Body) != "same" {
			t.Errorf("afterwards: %+v", got)
		}
	}},
	{"a failed one that is replayed after the platform's repeat is a duplicate", func(t *testing.T, f *fixture) {
		failed := f.keep(domain.DeliveryFailed, "same")
		f.commit(f.repeat(conA, "same"))
		e := f.repeat(conA, "same")
		e.Delivery = failed
		if c := f.commit(e); !c.Duplicate {
			t.Error("the replay doubled it")
		}
	}},
	{"an accepted one runs again if that is wanted, and keeps its dedupe key", func(t *testing.T, f *fixture) {
		e := f.repeat(conA, "same")
		e.Delivery.DedupeKey = "key"
		f.commit(e)
		again := e
		if !f.commit(again).Duplicate {
			t.Error("with its key it is no duplicate")
		}
		again.Delivery.DedupeKey = "" // and its body is no repeat of itself
		again.Events = []contract.Event{f.text(chat, "again", "same")}
		if c := f.commit(again); c.Duplicate || len(c.Events) != 1 {
			t.Errorf("without its key: %+v", c)
		}
		if got := f.kept(e.Delivery.ID).DedupeKey; got != "key" {
			t.Errorf("its key is %q", got)
		}
	}},
}
