package storetest

import (
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const (
	queued    = contract.MessageQueued
	sent      = contract.MessageSent
	delivered = contract.MessageDelivered
	read      = contract.MessageRead
	failed    = contract.MessageFailed
)

var statusClaims = []claim{
	{"a message only moves on", func(t *testing.T, f *fixture) {
		for _, tt := range []struct {
			reports []contract.MessageStatus
			want    contract.MessageStatus
			events  int
		}{
			{[]contract.MessageStatus{delivered, read}, read, 2},
			{[]contract.MessageStatus{read, delivered, sent, queued}, read, 1},
			{[]contract.MessageStatus{delivered, delivered}, delivered, 1},
			{[]contract.MessageStatus{failed, sent}, failed, 1},
			{[]contract.MessageStatus{failed, delivered}, delivered, 2},
			{[]contract.MessageStatus{delivered, failed}, delivered, 1},
			{[]contract.MessageStatus{read, failed}, read, 1},
			{[]contract.MessageStatus{queued, sent}, sent, 0},
			{[]contract.MessageStatus{"", "seen"}, sent, 0},
		} {
			name := f.name("m")
			job := f.send(chat, name)
			f.sent(job, name)
			events := 0
			for _, s := range tt.reports {
				events += len(f.receive(f.status(name, s, false)).Events)
			}
			if m := f.message(job.Command.Message.ID); m.Status != tt.want || events != tt.events {
				t.Errorf("sent, then %v: it is %q after %d events, want %q after %d", tt.reports, m.Status, events, tt.want, tt.events)
			}
		}
	}},
	{"a report names the message and keeps what it says", func(t *testing.T, f *fixture) {
		job := f.send(chat, "x")
		f.sent(job, "m1")
		e := f.status("m1", failed, false)
		e.Status.Failure = &contract.Failure{Class: contract.FailurePermanent, Code: "blocked"}
		e.Status.Parts = []contract.PartOutcome{{Fate: contract.PartRejected}}
		c := f.receive(e)
		m := f.message(job.Command.Message.ID)
		if got := c.Events[0].Data.Status; got.MessageID != m.ID || got.PlatformID != "m1" || e.Status.MessageID != "" {
			t.Errorf("the event says %+v", got)
		}
		if m.Failure == nil || m.Failure.Code != "blocked" || len(m.Outcomes) != 1 || m.Outcomes[0].Fate != contract.PartRejected {
			t.Errorf("the message is %+v", m)
		}
		f.receive(f.status("m1", delivered, false))
		if m := f.message(m.ID); m.Failure != nil {
			t.Errorf("it was delivered and still has the failure %+v", m.Failure)
		}
	}},
	{"a report may use the host's own name on the same connection", func(t *testing.T, f *fixture) {
		job := f.send(chat, "x")
		name := string(job.Command.Message.ID)
		elsewhere := f.delivery(conA2, f.status(name, delivered, false))
		if c := f.commit(elsewhere); len(c.Events) != 0 {
			t.Error("another connection moved it on")
		}
		if c := f.receive(f.status(name, delivered, false)); len(c.Events) != 1 || c.Events[0].Data.Status.MessageID != job.Command.Message.ID {
			t.Errorf("its own connection: %+v", c)
		}
		f.sent(job, "m1") // the platform was faster than our own commit
		if m := f.message(job.Command.Message.ID); m.Status != delivered || m.PlatformID != "m1" {
			t.Errorf("the message is %q, named %q", m.Status, m.PlatformID)
		}
		if c := f.receive(f.status("m1", read, false)); len(c.Events) != 1 {
			t.Error("its name is not known")
		}
	}},
	{"a report about an unknown message is dropped", func(t *testing.T, f *fixture) {
		f.commit(f.delivery(conA2, f.text(chat, "m1", "x")))
		if c := f.receive(f.status("m1", read, true), f.status("", read, true)); len(c.Events) != 0 {
			t.Errorf("it became visible: %+v", c.Events)
		}
	}},
	{"a report can speak for the earlier ones that went the same way", checkEarlier},
	{"a report that only moves earlier ones is news", func(t *testing.T, f *fixture) {
		first, last := f.send(chat, "1"), f.send(chat, "2")
		f.sent(first, "m1")
		f.sent(last, "m2")
		for _, s := range []contract.MessageStatus{delivered, read} {
			f.receive(f.status("m2", s, false))
			if c := f.receive(f.status("m2", s, true)); len(c.Events) != 1 {
				t.Errorf("%s: %d events, want 1", s, len(c.Events))
			}
			if m := f.message(first.Command.Message.ID); m.Status != s {
				t.Errorf("the first is %q, want %q", m.Status, s)
			}
			if c := f.receive(f.status("m2", s, true)); len(c.Events) != 0 {
				t.Errorf("%s said again: %d events, want none", s, len(c.Events))
			}
		}
	}},
	{"one that failed does not fail the earlier ones", func(t *testing.T, f *fixture) {
		first, last := f.send(chat, "1"), f.send(chat, "2")
		f.sent(first, "m1")
		f.sent(last, "m2")
		f.receive(f.status("m2", failed, true))
		if m := f.message(first.Command.Message.ID); m.Status != sent {
			t.Errorf("the first is %q", m.Status)
		}
	}},
	{"what came in can be read as well", func(t *testing.T, f *fixture) {
		first := f.receive(f.text(chat, "in1", "x")).Events[0].Data.Message.ID
		f.receive(f.text(chat, "in2", "x"))
		out := f.send(chat, "x")
		f.sent(out, "out")
		f.receive(f.status("in2", read, true))
		if m := f.message(first); m.Status != read {
			t.Errorf("the first is %q", m.Status)
		}
		if m := f.message(out.Command.Message.ID); m.Status != sent {
			t.Errorf("what went out is %q", m.Status)
		}
	}},
}

// checkEarlier sends messages before and after the one that is read and looks at all.
func checkEarlier(t *testing.T, f *fixture) {
	inbound := f.receive(f.text(chat, "in", "x")).Events[0].Data.Message.ID
	names := []string{"delivered", "sent", "failed", "read", "queued", "this", "later"}
	ids := map[string]contract.MessageID{"inbound": inbound}
	for _, name := range names {
		job := f.send(chat, name)
		ids[name] = job.Command.Message.ID
		switch name {
		case "queued":
		case "failed":
			f.park(job)
		default:
			f.sent(job, name)
		}
	}
	elsewhere := f.send(otherChat, "elsewhere")
	f.sent(elsewhere, "elsewhere")
	ids["elsewhere"] = elsewhere.Command.Message.ID
	f.receive(f.status("delivered", delivered, false), f.status("read", read, false))

	step := func(s contract.MessageStatus, want map[string]contract.MessageStatus) {
		t.Helper()
		if c := f.receive(f.status("this", s, true)); len(c.Events) != 1 || !c.Events[0].Data.Status.AndEarlier {
			t.Errorf("%s: %d events, want one that speaks for the earlier ones", s, len(c.Events))
		}
		for name, id := range ids {
			if m := f.message(id); m.Status != want[name] {
				t.Errorf("after %s of this and earlier: %s is %q, want %q", s, name, m.Status, want[name])
			}
		}
	}
	want := map[string]contract.MessageStatus{"inbound": "", "delivered": delivered, "sent": delivered, "failed": failed,
		"read": read, "queued": queued, "this": delivered, "later": sent, "elsewhere": sent}
	step(delivered, want)
	want["delivered"], want["sent"], want["this"] = read, read, read
	step(read, want)
	list, _, err := f.Messages(t.Context(), wsA, domain.MessageFilter{Connection: conA, Conversation: chat}, domain.Page{})
	if f.ok(err); len(list) != 8 {
		t.Errorf("%d messages, want 8", len(list))
	}
}
