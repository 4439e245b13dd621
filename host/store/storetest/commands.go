package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// job returns a job that must be there.
func (f *fixture) job(id string) domain.Job {
	f.t.Helper()
	job, err := f.Job(f.t.Context(), id)
	f.ok(err)
	return job
}

// queue returns the ids of all queued jobs, in order.
func (f *fixture) queue() (ids []string) {
	f.t.Helper()
	var last uint64
	f.ok(f.QueuedJobs(f.t.Context(), func(job domain.Job) error {
		if job.Seq <= last || job.State != domain.JobQueued {
			f.t.Errorf("job %s with number %d and state %s comes after %d", job.ID, job.Seq, job.State, last)
		}
		last = job.Seq
		ids = append(ids, job.ID)
		return nil
	}))
	return ids
}

var commandClaims = []claim{
	{"accepting one queues it and keeps its message", func(t *testing.T, f *fixture) {
		n := f.sending(chat, "hello")
		job, created, err := f.AcceptCommand(t.Context(), n)
		f.ok(err)
		if !created || job.State != domain.JobQueued || job.Kind != domain.JobCommand || job.Lane != domain.ConversationLane(conA, chat) || job.Attempts != 0 || !job.NotBefore.Equal(f.at) {
			t.Errorf("accepted: created %t, %+v", created, job)
		}
		if n.Message.ID != "" || n.Command.ID != "" {
			t.Error("what the caller handed over was changed")
		}
		kept := f.job(job.ID)
		m := f.message(kept.Command.Message.ID)
		if m.Status != queued || m.Direction != domain.Outbound || string(m.Command) != job.ID || m.Parts[0].Text.Plain != "hello" {
			t.Errorf("the message is %+v", m)
		}
		if string(kept.Command.ID) != job.ID || kept.Command.Message.Parts[0].Text.Plain != "hello" || kept.Command.Export != contract.ExportSendMessage || kept.Command.By != "ann" {
			t.Errorf("the command is %+v", kept.Command)
		}
	}},
	{"ids that the caller chose are kept, and taken once", func(t *testing.T, f *fixture) {
		n := f.sending(chat, "hello")
		n.Command.ID, n.Message.ID = "cmd_chosen", "msg_chosen"
		job, _, err := f.AcceptCommand(t.Context(), n)
		f.ok(err)
		if job.ID != "cmd_chosen" || job.Command.Message.ID != "msg_chosen" {
			t.Errorf("accepted %q with message %q", job.ID, job.Command.Message.ID)
		}
		_, _, err = f.AcceptCommand(t.Context(), n)
		f.fails("the same ids", err, domain.ErrExists)
		n.Command.ID = "cmd_other"
		_, _, err = f.AcceptCommand(t.Context(), n)
		f.fails("the same message", err, domain.ErrExists)
	}},
	{"a connection must be the workspace's own", func(t *testing.T, f *fixture) {
		for _, change := range []func(*domain.NewCommand){
			func(n *domain.NewCommand) { n.Workspace = wsB },
			func(n *domain.NewCommand) { n.Connection = unknownConnection },
		} {
			n := f.sending(chat, "x")
			change(&n)
			_, _, err := f.AcceptCommand(t.Context(), n)
			f.fails("AcceptCommand", err, domain.ErrNotFound)
		}
		if got := f.queue(); len(got) != 0 {
			t.Errorf("queued: %v", got)
		}
	}},
	{"an idempotency key stands for one request of a workspace", func(t *testing.T, f *fixture) {
		n := f.sending(chat, "x")
		n.IdempotencyKey, n.RequestHash = "key", "hash"
		first, _, err := f.AcceptCommand(t.Context(), n)
		f.ok(err)
		f.sent(first, "m1")
		again, created, err := f.AcceptCommand(t.Context(), n)
		if f.ok(err); created || again.ID != first.ID || again.State != domain.JobDone {
			t.Errorf("again: created %t, %+v", created, again)
		}
		n.RequestHash = "another"
		_, _, err = f.AcceptCommand(t.Context(), n)
		f.fails("another request", err, domain.ErrIdempotencyMismatch)
		n.Workspace, n.Connection = wsB, conB
		if _, created, err := f.AcceptCommand(t.Context(), n); !created || err != nil {
			t.Errorf("another workspace: created %t, %v", created, err)
		}
		if list, _, _ := f.Messages(t.Context(), wsA, domain.MessageFilter{}, domain.Page{}); len(list) != 1 {
			t.Errorf("%d messages, want 1", len(list))
		}
	}},
	{"one without a lane waits for no other", func(t *testing.T, f *fixture) {
		lanes := map[string]bool{}
		for range 3 {
			n := f.sending(chat, "x")
			n.Lane = ""
			job, _, err := f.AcceptCommand(t.Context(), n)
			f.ok(err)
			lanes[job.Lane] = true
		}
		if len(lanes) != 3 || lanes[""] {
			t.Errorf("lanes %v", lanes)
		}
	}},
	{"a plugin's requests have the plugin's lanes", func(t *testing.T, f *fixture) {
		e := f.delivery(conA)
		e.Commands = []contract.CommandRequest{{Lane: "sync", Payload: "1"}, {Payload: "2"}, {Lane: "sync", Payload: "3"}, {Payload: "4"}}
		jobs := f.commit(e).Jobs
		if jobs[0].Lane != domain.PluginLane(conA, "sync") || jobs[2].Lane != jobs[0].Lane || jobs[1].Lane == jobs[3].Lane || jobs[1].Lane == jobs[0].Lane {
			t.Errorf("lanes %q %q %q %q", jobs[0].Lane, jobs[1].Lane, jobs[2].Lane, jobs[3].Lane)
		}
	}},
	{"messages are listed oldest first in each conversation", func(t *testing.T, f *fixture) {
		f.receive(f.text(chat, "1", "1"))
		f.send(otherChat, "a")
		f.send(chat, "2")
		f.receive(f.text(chat, "3", "3"), f.text(otherChat, "b", "b"))
		f.commit(f.delivery(conA2, f.text(chat, "other", "z")))
		f.commit(f.delivery(conB, f.text(chat, "foreign", "foreign")))
		for _, tt := range []struct {
			name   string
			filter domain.MessageFilter
			want   []string
		}{
			{"a conversation", domain.MessageFilter{Connection: conA, Conversation: chat}, []string{"1", "2", "3"}},
			{"a connection", domain.MessageFilter{Connection: conA}, []string{"1", "2", "3", "a", "b"}},
			{"a workspace", domain.MessageFilter{}, []string{"1", "2", "3", "a", "b", "z"}},
			{"another's connection", domain.MessageFilter{Connection: conB}, nil},
		} {
			list := pages(f, func(p domain.Page) ([]domain.Message, string, error) {
				return f.Messages(t.Context(), wsA, tt.filter, p)
			})
			var got []string
			for _, m := range list {
				got = append(got, m.Parts[0].Text.Plain)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			}
		}
	}},
	{"conversations know their title and their last message", func(t *testing.T, f *fixture) {
		f.receive(f.text(chat, "1", "1"), contract.Event{Kind: contract.EventConversationOpened, Conversation: &contract.Conversation{ID: "chat/3", Title: "Empty", Group: true}})
		f.tick(time.Minute)
		f.send(chat, "2") // it has no title
		f.send(otherChat, "a")
		f.receive(contract.Event{Kind: contract.EventConversationClosed, Conversation: &contract.Conversation{ID: chat}})
		list := pages(f, func(p domain.Page) ([]domain.ConversationSummary, string, error) {
			return f.Conversations(t.Context(), wsA, conA, p)
		})
		if len(list) != 3 || list[0].ID != chat || list[0].Title != "Title of chat/1" || !list[0].LastMessageAt.Equal(f.at) || list[1].ID != otherChat {
			t.Fatalf("Conversations = %+v", list)
		}
		if empty := list[2]; empty.Title != "Empty" || !empty.Group || !empty.LastMessageAt.IsZero() {
			t.Errorf("the empty one is %+v", empty)
		}
		if list, _, _ := f.Conversations(t.Context(), wsB, conA, domain.Page{}); len(list) != 0 {
			t.Errorf("another workspace sees %v", list)
		}
	}},
}

var runClaims = []claim{
	{"a message that was sent is known by its name, with what became of its parts", func(t *testing.T, f *fixture) {
		job := f.send(chat, "x")
		f.tick(time.Second)
		e := f.ran(job, domain.JobDone)
		e.Result = &domain.CommandResult{Sent: &contract.Sent{PlatformID: "m1", Parts: []contract.PartOutcome{{Fate: contract.PartConverted, Note: "no bold"}}}}
		c := f.run(e)
		m := f.message(job.Command.Message.ID)
		if m.Status != sent || m.PlatformID != "m1" || len(m.Outcomes) != 1 || m.Outcomes[0].Note != "no bold" {
			t.Errorf("the message is %+v", m)
		}
		if c.Job.State != domain.JobDone || c.Job.Attempts != 1 || c.Job.Command.Result.Sent.PlatformID != "m1" {
			t.Errorf("the job is %+v", c.Job)
		}
		if len(c.Events) != 1 || c.Events[0].Data.Kind != contract.EventMessageStatus || c.Events[0].Data.Status.MessageID != m.ID || c.Events[0].Data.Status.Status != sent || string(c.Events[0].Command) != job.ID {
			t.Errorf("the events are %+v", c.Events)
		}
		if c, _ := f.Connection(t.Context(), conA); !c.LastOutboundAt.Equal(f.at) {
			t.Errorf("last outbound %v", c.LastOutboundAt)
		}
	}},
	{"a platform can say at once that it was delivered", func(t *testing.T, f *fixture) {
		job := f.send(chat, "x")
		e := f.ran(job, domain.JobDone)
		e.Result = &domain.CommandResult{Sent: &contract.Sent{PlatformID: "m1", Status: delivered}}
		if c := f.run(e); len(c.Events) != 1 || c.Events[0].Data.Status.Status != delivered || f.message(job.Command.Message.ID).Status != delivered {
			t.Errorf("events %+v", c.Events)
		}
	}},
	{"a name that an echo took first goes to what was sent", func(t *testing.T, f *fixture) {
		job := f.send(chat, "x")
		f.receive(f.text(chat, "m1", "x"))
		f.sent(job, "m1")
		if c := f.receive(f.status("m1", read, false)); c.Events[0].Data.Status.MessageID != job.Command.Message.ID {
			t.Errorf("the status names %q", c.Events[0].Data.Status.MessageID)
		}
	}},
	{"an edit that was sent changes the message", func(t *testing.T, f *fixture) {
		job := f.send(chat, "before")
		f.sent(job, "m1")
		edited := *job.Command.Message
		edited.PlatformID, edited.Parts = "m1", []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: "after"}}}
		edit, _, err := f.AcceptCommand(t.Context(), domain.NewCommand{Workspace: wsA, Connection: conA, At: f.at,
			Command: domain.Command{Export: contract.ExportEditMessage, Message: &edited}})
		f.ok(err)
		if c := f.sent(edit, "m1"); len(c.Events) != 0 {
			t.Errorf("events %+v", c.Events)
		}
		if m := f.message(edited.ID); m.Parts[0].Text.Plain != "after" || m.Status != sent || string(m.Command) != job.ID {
			t.Errorf("the message is %+v", m)
		}
	}},
	{"one that failed for good parks, and its message fails", func(t *testing.T, f *fixture) {
		job := f.send(chat, "x")
		c := f.park(job)
		m := f.message(job.Command.Message.ID)
		if c.Job.State != domain.JobParked || c.Job.Failure.Code != "refused" || m.Status != failed || m.Failure.Code != "refused" {
			t.Errorf("the job is %+v, the message %+v", c.Job, m)
		}
		if len(c.Events) != 1 || c.Events[0].Data.Status.Status != failed || c.Events[0].Data.Status.Failure.Code != "refused" {
			t.Errorf("the events are %+v", c.Events)
		}
	}},
	{"one that failed for now stays queued for its time", func(t *testing.T, f *fixture) {
		job := f.send(chat, "x")
		e := f.ran(job, domain.JobQueued)
		e.NotBefore, e.Failure = f.at.Add(time.Minute), &contract.Failure{Class: contract.FailureRetry, Code: "busy"}
		c := f.run(e)
		if c.Job.State != domain.JobQueued || !c.Job.NotBefore.Equal(e.NotBefore) || c.Job.Failure.Code != "busy" || c.Job.Attempts != 1 || len(c.Events) != 0 {
			t.Errorf("the job is %+v, events %v", c.Job, c.Events)
		}
		if m := f.message(job.Command.Message.ID); m.Status != queued {
			t.Errorf("the message is %q", m.Status)
		}
		e = f.ran(job, domain.JobQueued)
		e.CountAttempt = false
		f.run(e)
		if got := f.job(job.ID); got.Attempts != 1 || !slices.Equal(f.queue(), []string{job.ID}) {
			t.Errorf("%d attempts, queue %v", got.Attempts, f.queue())
		}
		f.sent(job, "m1")
		if got := f.job(job.ID); got.Failure != nil || got.Attempts != 2 {
			t.Errorf("in the end: %+v", got)
		}
	}},
	{"one that has ended is not committed again", func(t *testing.T, f *fixture) {
		for _, end := range []func(domain.Job){
			func(job domain.Job) { f.sent(job, f.name("m")) },
			func(job domain.Job) { f.park(job) },
			func(job domain.Job) { _, err := f.CancelJob(t.Context(), job.ID); f.ok(err) },
		} {
			job := f.send(chat, "x")
			end(job)
			before := len(f.events(wsA))
			e := f.ran(job, domain.JobDone)
			e.Events = []contract.Event{f.text(chat, f.name("m"), "never")}
			e.Writes = []domain.KVWrite{{Key: "never"}}
			_, err := f.CommitCommand(t.Context(), e)
			f.fails("CommitCommand", err, domain.ErrConflict)
			if _, version := f.entry("never"); version != 0 || len(f.events(wsA)) != before {
				t.Error("the refused commit was kept in part")
			}
		}
	}},
	{"the effects of a run are kept with it or not at all", func(t *testing.T, f *fixture) {
		f.put(domain.KVWrite{Key: "k", Value: "1"})
		job := f.send(chat, "x")
		e := f.ran(job, domain.JobDone)
		e.Events = []contract.Event{f.text(otherChat, "m1", "x"), f.photo(otherChat, "m2")}
		e.Commands = []contract.CommandRequest{{Payload: "next"}}
		e.Writes = []domain.KVWrite{{Key: "k", Value: "2", CheckVersion: true, ExpectedVersion: 9}}
		_, err := f.CommitCommand(t.Context(), e)
		f.fails("CommitCommand", err, domain.ErrConflict)
		if f.job(job.ID).State != domain.JobQueued || len(f.events(wsA)) != 0 {
			t.Error("the refused commit was kept in part")
		}
		e.Writes[0].ExpectedVersion = 1
		c := f.run(e)
		if len(c.Events) != 1 || len(c.Jobs) != 2 || c.Jobs[1].Command.Payload != "next" || string(c.Events[0].Command) != job.ID {
			t.Errorf("CommitCommand = %+v", c)
		}
		if value, _ := f.entry("k"); value != "2" {
			t.Errorf("the entry is %q", value)
		}
	}},
	{"a setup is kept on the connection", func(t *testing.T, f *fixture) {
		job, _, err := f.AcceptCommand(t.Context(), domain.NewCommand{Workspace: wsA, Connection: conA, Lane: domain.ConnectionLane(conA), At: f.at,
			Command: domain.Command{Export: contract.ExportSetupConnection}})
		f.ok(err)
		e := f.ran(job, domain.JobDone)
		e.Setup = []contract.SetupStep{{Label: "URL", Value: "{{receive_url}}"}}
		e.Capabilities = []contract.Capability{{Feature: "text", Support: contract.SupportFull}}
		e.Events = []contract.Event{{Kind: contract.EventConnectionState, State: &contract.StateChange{State: contract.StateConnecting}}}
		f.run(e)
		c, err := f.Connection(t.Context(), conA)
		f.ok(err)
		if len(c.Setup) != 1 || len(c.Capabilities) != 1 || c.State != contract.StateConnecting {
			t.Errorf("the connection is %+v", c)
		}
	}},
	{"a message that is refused for its parts says which", func(t *testing.T, f *fixture) {
		job := f.send(chat, "x")
		parts := []contract.PartOutcome{{Index: 0, Fate: contract.PartNative}, {Index: 1, Fate: contract.PartRejected, Note: "No buttons."}}
		e := f.ran(job, domain.JobParked)
		e.Failure = &contract.Failure{Class: contract.FailurePermanent, Code: "part_refused", Parts: parts}
		c := f.run(e)
		m, err := f.Message(t.Context(), wsA, job.Command.Message.ID)
		f.ok(err)
		if m.Status != contract.MessageFailed || !equal(m.Outcomes, parts) || m.Failure == nil {
			t.Errorf("the message is %s with %+v, want failed with %+v", m.Status, m.Outcomes, parts)
		}
		if len(c.Events) != 1 || !equal(c.Events[0].Data.Status.Parts, parts) {
			t.Errorf("the tenant was told %+v", c.Events)
		}
	}},
	{"a run must fit its job", func(t *testing.T, f *fixture) {
		job := f.send(chat, "x")
		e := f.ran(job, domain.JobDone)
		e.Workspace, e.Connection = wsB, conB
		_, err := f.CommitCommand(t.Context(), e)
		f.fails("another connection's", err, domain.ErrNotFound)
		_, err = f.CommitCommand(t.Context(), f.ran(domain.Job{ID: "cmd_nobody", Workspace: wsA, Connection: conA}, domain.JobDone))
		f.fails("nobody's", err, domain.ErrNotFound)
		_, err = f.CommitCommand(t.Context(), f.ran(job, "finished"))
		f.invalid("no state", err)
		waiting := f.receive(f.photo(chat, "m1")).Jobs[0]
		_, err = f.CommitCommand(t.Context(), f.ran(waiting, domain.JobDone))
		f.fails("an event's", err, domain.ErrNotFound)
	}},
}

var jobClaims = []claim{
	{"one that parked can be queued again, in its old place", func(t *testing.T, f *fixture) {
		first, second := f.send(chat, "1"), f.send(chat, "2")
		f.park(first)
		f.tick(time.Hour)
		got, err := f.RequeueJob(t.Context(), first.ID, f.at)
		f.ok(err)
		if got.State != domain.JobQueued || got.Attempts != 1 || got.Failure != nil || !got.NotBefore.Equal(f.at) || !slices.Equal(f.queue(), []string{first.ID, second.ID}) {
			t.Errorf("requeued %+v, queue %v", got, f.queue())
		}
		if m := f.message(first.Command.Message.ID); m.Status != queued || m.Failure != nil {
			t.Errorf("its message is %+v", m)
		}
		f.sent(first, "m1")
		if m := f.message(first.Command.Message.ID); m.Status != sent {
			t.Errorf("its message is %q in the end", m.Status)
		}
	}},
	{"one that did not park is not queued again", func(t *testing.T, f *fixture) {
		waiting, done, cancelled := f.send(chat, "1"), f.send(chat, "2"), f.send(chat, "3")
		f.sent(done, "m2")
		_, err := f.CancelJob(t.Context(), cancelled.ID)
		f.ok(err)
		for _, job := range []domain.Job{waiting, done, cancelled} {
			_, err := f.RequeueJob(t.Context(), job.ID, f.at)
			f.fails("RequeueJob of one that is "+string(f.job(job.ID).State), err, domain.ErrConflict)
		}
		_, err = f.RequeueJob(t.Context(), "cmd_nobody", f.at)
		f.fails("RequeueJob", err, domain.ErrNotFound)
	}},
	{"a message that arrived all the same stays so when its job is queued again", func(t *testing.T, f *fixture) {
		job := f.send(chat, "x")
		f.park(job)
		f.receive(f.status(string(job.Command.Message.ID), delivered, false))
		_, err := f.RequeueJob(t.Context(), job.ID, f.at)
		f.ok(err)
		if m := f.message(job.Command.Message.ID); m.Status != delivered {
			t.Errorf("its message is %q", m.Status)
		}
	}},
	{"one can be cancelled while it is queued or parked", func(t *testing.T, f *fixture) {
		waiting, parked, done := f.send(chat, "1"), f.send(chat, "2"), f.send(chat, "3")
		f.park(parked)
		f.sent(done, "m3")
		for _, job := range []domain.Job{waiting, parked} {
			got, err := f.CancelJob(t.Context(), job.ID)
			f.ok(err)
			if m := f.message(job.Command.Message.ID); got.State != domain.JobCancelled || m.Status != failed {
				t.Errorf("cancelled %+v, its message is %q", got, m.Status)
			}
			_, err = f.CancelJob(t.Context(), job.ID)
			f.fails("cancelling it again", err, domain.ErrConflict)
		}
		_, err := f.CancelJob(t.Context(), done.ID)
		f.fails("cancelling one that is done", err, domain.ErrConflict)
		_, err = f.CancelJob(t.Context(), "cmd_nobody")
		f.fails("cancelling nothing", err, domain.ErrNotFound)
		if got := f.kinds(wsA); len(got) != 3 { // parked, sent, cancelled
			t.Errorf("events %v, want 3", got)
		}
	}},
	{"a cancelled event lets the lane go on", func(t *testing.T, f *fixture) {
		jobs := f.receive(f.photo(chat, "1"), f.text(chat, "2", "x")).Jobs
		_, err := f.CancelJob(t.Context(), jobs[0].ID)
		f.ok(err)
		f.release(jobs[1])
		if got := f.names(wsA); !slices.Equal(got, []string{"2"}) {
			t.Errorf("visible: %v", got)
		}
	}},
	{"the queue can be read while it changes", func(t *testing.T, f *fixture) {
		var ids []string
		for range 300 {
			ids = append(ids, f.send(chat, "x").ID)
		}
		var got []string
		f.ok(f.QueuedJobs(t.Context(), func(job domain.Job) error {
			got = append(got, job.ID)
			if len(got) == 1 {
				f.park(f.job(ids[299]))
			}
			return nil
		}))
		if !slices.Equal(got, ids[:299]) {
			t.Errorf("read %d jobs, want the first 299", len(got))
		}
		n := 0
		err := f.QueuedJobs(t.Context(), func(domain.Job) error { n++; return errRefused })
		if f.fails("QueuedJobs", err, errRefused); n != 1 {
			t.Errorf("it went on for %d jobs", n)
		}
	}},
	{"lists are newest first, by workspace, connection, state and kind", checkJobLists},
}

func checkJobLists(t *testing.T, f *fixture) {
	one, two, three := f.send(chat, "1"), f.send(chat, "2"), f.send(chat, "3")
	waiting := f.receive(f.photo(chat, "m")).Jobs[0]
	other := f.commit(f.delivery(conA2, f.photo(chat, "m"))).Jobs[0]
	f.commit(f.delivery(conB, f.photo(chat, "m")))
	f.park(two)
	for _, tt := range []struct {
		name   string
		filter domain.JobFilter
		want   []string
	}{
		{"a workspace", domain.JobFilter{Workspace: wsA}, []string{other.ID, waiting.ID, three.ID, two.ID, one.ID}},
		{"a connection", domain.JobFilter{Connection: conA}, []string{waiting.ID, three.ID, two.ID, one.ID}},
		{"a state", domain.JobFilter{Workspace: wsA, State: domain.JobParked}, []string{two.ID}},
		{"a kind", domain.JobFilter{Workspace: wsA, Kind: domain.JobEvent}, []string{other.ID, waiting.ID}},
		{"a kind in a state", domain.JobFilter{Connection: conA, State: domain.JobQueued, Kind: domain.JobCommand}, []string{three.ID, one.ID}},
		{"another's connection", domain.JobFilter{Workspace: wsB, Connection: conA}, nil},
		{"every parked one", domain.JobFilter{State: domain.JobParked}, []string{two.ID}},
	} {
		list := pages(f, func(p domain.Page) ([]domain.Job, string, error) { return f.Jobs(t.Context(), tt.filter, p) })
		var got []string
		for _, job := range list {
			got = append(got, job.ID)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
