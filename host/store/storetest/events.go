package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// release makes the event of a job visible with its media fetched.
func (f *fixture) release(job domain.Job) domain.Event {
	f.t.Helper()
	e, err := f.ReleaseEvent(f.t.Context(), job.ID, fetched(job.Event.Data), f.at)
	f.ok(err)
	return e
}

// names returns the platform's names of the messages that were created, in order.
func (f *fixture) names(ws contract.WorkspaceID) (names []string) {
	f.t.Helper()
	for _, e := range f.events(ws) {
		if e.Data.Kind == contract.EventMessageCreated {
			names = append(names, string(e.Data.Message.PlatformID))
		}
	}
	return names
}

func told(news <-chan struct{}) bool {
	select {
	case <-news:
		return true
	default:
		return false
	}
}

var eventClaims = []claim{
	{"each workspace counts its own from 1 without gaps", func(t *testing.T, f *fixture) {
		for i := range 3 {
			f.receive(f.text(chat, fmt.Sprint("a", i), "x"), f.text(otherChat, fmt.Sprint("b", i), "x"))
			f.commit(f.delivery(conB, f.text(chat, fmt.Sprint("a", i), "x")))
		}
		for ws, want := range map[contract.WorkspaceID]uint64{wsA: 6, wsB: 3, unknownWorkspace: 0} {
			last, err := f.LastEventSeq(t.Context(), ws)
			f.ok(err)
			events := f.events(ws)
			if last != want || uint64(len(events)) != want {
				t.Errorf("%s has %d events, the last is %d, want %d", ws, len(events), last, want)
			}
			for i, e := range events {
				if e.Seq != uint64(i+1) || e.Workspace != ws {
					t.Errorf("%s: event %d has the number %d and the workspace %s", ws, i, e.Seq, e.Workspace)
				}
			}
		}
	}},
	{"reading goes on after a number, up to a limit", func(t *testing.T, f *fixture) {
		for i := range 5 {
			f.receive(f.text(chat, fmt.Sprint(i), "x"))
		}
		for _, tt := range []struct {
			after uint64
			limit int
			want  []uint64
		}{{0, 2, []uint64{1, 2}}, {2, 2, []uint64{3, 4}}, {4, 2, []uint64{5}}, {5, 2, nil}, {1 << 63, 2, nil}, {3, 0, []uint64{4, 5}}} {
			events, err := f.Events(t.Context(), wsA, tt.after, tt.limit)
			f.ok(err)
			var got []uint64
			for _, e := range events {
				got = append(got, e.Seq)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("Events(after %d, limit %d) = %v, want %v", tt.after, tt.limit, got, tt.want)
			}
		}
	}},
	{"a message that is created is kept and named", func(t *testing.T, f *fixture) {
		e := f.text(chat, "m1", "hello")
		c := f.receive(e)
		got := c.Events[0].Data.Message
		m := f.message(got.ID)
		if e.Message.ID != "" {
			t.Error("what the caller handed over was changed")
		}
		if m.PlatformID != "m1" || m.Direction != domain.Inbound || m.Connection != conA || m.Parts[0].Text.Plain != "hello" || !m.CreatedAt.Equal(f.at) {
			t.Errorf("kept %+v", m)
		}
		_, err := f.Message(t.Context(), wsB, got.ID)
		f.fails("Message of another workspace", err, domain.ErrNotFound)
	}},
	{"a message that is known is not created again", func(t *testing.T, f *fixture) {
		f.receive(f.text(chat, "m1", "hello"))
		if c := f.receive(f.text(chat, "m1", "hello")); len(c.Events) != 0 {
			t.Errorf("the second report became visible: %+v", c.Events)
		}
		f.commit(f.delivery(conA2, f.text(chat, "m1", "another connection's")))
		if got := f.names(wsA); len(got) != 2 {
			t.Errorf("created %v", got)
		}
	}},
	{"what the host sent does not come back", func(t *testing.T, f *fixture) {
		f.sent(f.send(chat, "hi"), "ours")
		if c := f.receive(f.text(chat, "ours", "hi")); len(c.Events) != 0 {
			t.Errorf("the echo became visible: %+v", c.Events)
		}
	}},
	{"an update changes the message and nothing else about it", func(t *testing.T, f *fixture) {
		job := f.send(chat, "before")
		f.sent(job, "ours")
		e := f.text(otherChat, "ours", "after")
		e.Kind = contract.EventMessageUpdated
		c := f.receive(e)
		m := f.message(job.Command.Message.ID)
		if c.Events[0].Data.Message.ID != m.ID || m.Parts[0].Text.Plain != "after" || m.Direction != domain.Outbound || m.Status != contract.MessageSent || m.Conversation.ID != chat {
			t.Errorf("the event says %+v, and kept is %+v", c.Events[0].Data.Message, m)
		}
	}},
	{"an update of an unknown message is all that is known of it", func(t *testing.T, f *fixture) {
		e := f.text(chat, "unknown", "after")
		e.Kind = contract.EventMessageUpdated
		c := f.receive(e)
		if m := f.message(c.Events[0].Data.Message.ID); m.Parts[0].Text.Plain != "after" {
			t.Errorf("kept %+v", m)
		}
	}},
	{"a deletion names the message", func(t *testing.T, f *fixture) {
		created := f.receive(f.text(chat, "m1", "hello")).Events[0].Data.Message.ID
		for name, want := range map[contract.PlatformMessageID]contract.MessageID{"m1": created, "unknown": ""} {
			c := f.receive(contract.Event{Kind: contract.EventMessageDeleted, Deletion: &contract.Deletion{PlatformID: name}})
			if got := c.Events[0].Data.Deletion.MessageID; got != want {
				t.Errorf("the deletion of %s names %q, want %q", name, got, want)
			}
		}
	}},
	{"a connection's state is kept, and no news of it is dropped", func(t *testing.T, f *fixture) {
		state := func(s contract.ConnectionState, code string) contract.Event {
			return contract.Event{Kind: contract.EventConnectionState, State: &contract.StateChange{State: s, Code: code, Action: "do " + code}}
		}
		f.receive(state(contract.StateConnected, ""), state(contract.StateConnected, ""), state(contract.StateNeedsAction, "token_refused"))
		f.receive(state(contract.StateNeedsAction, "token_refused"))
		if got := f.kinds(wsA); len(got) != 2 {
			t.Errorf("events %v, want 2", got)
		}
		c, err := f.Connection(t.Context(), conA)
		f.ok(err)
		if c.State != contract.StateNeedsAction || c.StateCode != "token_refused" || c.StateAction != "do token_refused" || !c.LastInboundAt.Equal(f.at) {
			t.Errorf("the connection is %+v", c)
		}
	}},
	{"events that change nothing in the host are kept as they are", func(t *testing.T, f *fixture) {
		events := []contract.Event{
			{Kind: contract.EventContactUpdated, Contact: &contract.Contact{ID: "u1", Name: "Ann"}},
			{Kind: contract.EventRaw, Raw: &contract.Raw{Kind: "odd", JSON: contract.RawJSON(`{"b":1,"a":[2]}`)}},
			{Kind: contract.EventTyping, Typing: &contract.Typing{On: true}},
			{Kind: contract.EventPostback, Postback: &contract.Postback{ActionID: "yes"}},
			{Kind: contract.EventReaction, Reaction: &contract.Reaction{PlatformID: "m", Emoji: "👍"}},
		}
		f.receive(events...)
		kept := f.events(wsA)
		if len(kept) != len(events) || kept[0].Data.Contact.Name != "Ann" || string(kept[1].Data.Raw.JSON) != `{"b":1,"a":[2]}` || kept[4].Data.Reaction.Emoji != "👍" {
			t.Errorf("kept %+v", kept)
		}
	}},
	{"an event that lacks what its kind needs is dropped, not fatal", func(t *testing.T, f *fixture) {
		var events []contract.Event
		for _, kind := range []contract.EventKind{contract.EventMessageCreated, contract.EventMessageUpdated, contract.EventMessageDeleted, contract.EventMessageStatus, contract.EventConnectionState} {
			events = append(events, contract.Event{Kind: kind})
		}
		if c := f.receive(events...); len(c.Events)+len(c.Jobs) != 0 {
			t.Errorf("it came to %+v", c)
		}
	}},
	{"an event with media to fetch waits, and so does what follows in its conversation", checkWaiting},
	{"only media that the host has yet to fetch makes an event wait", checkWhatWaits},
	{"a release happens once, in order", checkRelease},
	{"one whose media cannot be had yet keeps its place", checkPostpone},
	{"a release that says nothing new ends the job", func(t *testing.T, f *fixture) {
		jobs := f.receive(f.photo(chat, "m1"), f.status("m1", contract.MessageRead, false), f.status("m1", contract.MessageRead, false)).Jobs
		if len(jobs) != 3 {
			t.Fatalf("%d jobs wait, want 3", len(jobs))
		}
		f.release(jobs[0])
		for i, want := range []uint64{2, 0} {
			e, err := f.ReleaseEvent(t.Context(), jobs[i+1].ID, jobs[i+1].Event.Data, f.at)
			f.ok(err)
			if e.Seq != want {
				t.Errorf("status %d has the number %d, want %d", i, e.Seq, want)
			}
		}
		f.ok(f.QueuedJobs(t.Context(), func(job domain.Job) error { t.Errorf("%s is queued", job.ID); return nil }))
	}},
	{"who watches is told of commits, once for many", func(t *testing.T, f *fixture) {
		news, cancel := f.WatchEvents(wsA)
		others, cancelOthers := f.WatchEvents(wsB)
		defer cancelOthers()
		f.receive()
		if told(news) {
			t.Error("told of a commit without events")
		}
		f.receive(f.text(chat, "m1", "x"))
		f.receive(f.text(chat, "m2", "x"))
		if !told(news) || told(news) || told(others) {
			t.Error("want one word to the workspace and none to the other")
		}
		cancel()
		cancel()
		f.receive(f.text(chat, "m3", "x"))
		if told(news) {
			t.Error("told after the end of the watch")
		}
	}},
}

func checkWaiting(t *testing.T, f *fixture) {
	c := f.receive(f.text(chat, "before", "x"), f.photo(chat, "photo"), f.text(chat, "after", "x"), f.text(otherChat, "elsewhere", "x"))
	later := f.receive(f.text(chat, "later", "x"), f.text(otherChat, "later elsewhere", "x"))
	f.commit(f.delivery(conA2, f.text(chat, "same name, other connection", "x")))
	if got, want := f.names(wsA), []string{"before", "elsewhere", "later elsewhere", "same name, other connection"}; !slices.Equal(got, want) {
		t.Fatalf("visible: %v, want %v", got, want)
	}
	if len(c.Jobs) != 2 || len(c.Events) != 2 || len(later.Jobs) != 1 {
		t.Fatalf("%d and %d jobs, want 2 and 1", len(c.Jobs), len(later.Jobs))
	}
	if c.Jobs[0].Kind != domain.JobEvent || c.Jobs[0].Lane != domain.EventLane(conA, chat) || c.Jobs[0].Event.Seq != 0 {
		t.Errorf("the job is %+v", c.Jobs[0])
	}
	if list, _, err := f.Messages(t.Context(), wsA, domain.MessageFilter{Connection: conA, Conversation: chat}, domain.Page{}); err != nil || len(list) != 1 {
		t.Errorf("%d messages are known before their events are visible, want 1 (%v)", len(list), err)
	}
	for _, job := range []domain.Job{c.Jobs[0], c.Jobs[1], later.Jobs[0]} {
		f.release(job)
	}
	want := []string{"before", "elsewhere", "later elsewhere", "same name, other connection", "photo", "after", "later"}
	if got := f.names(wsA); !slices.Equal(got, want) {
		t.Errorf("in the end: %v, want %v", got, want)
	}
	if c := f.receive(f.text(chat, "now", "x")); len(c.Events) != 1 {
		t.Error("the lane is empty and an event waits in it")
	}
}

func checkWhatWaits(t *testing.T, f *fixture) {
	url := contract.Media{SourceURL: "https://cdn.test/1", SourceHeaders: []contract.Header{{Name: "Authorization", Value: "{{secret:token}}"}}}
	has, lacks := url, url
	has.Handle, lacks.Missing = "med_1", "The platform does not let go of it."
	for _, tt := range []struct {
		name  string
		part  contract.Part
		waits bool
	}{
		{"media with a link", contract.Part{Media: &url}, true},
		{"media with a handle", contract.Part{Media: &has}, false},
		{"media that cannot be had", contract.Part{Media: &lacks}, false},
		{"media of which nothing is known", contract.Part{Media: &contract.Media{}}, false},
		{"a card with a picture", contract.Part{Card: &contract.Card{Image: &url}}, true},
		{"a card without one", contract.Part{Card: &contract.Card{}}, false},
		{"a carousel with one picture", contract.Part{Carousel: &contract.Carousel{Cards: []contract.Card{{}, {Image: &url}}}}, true},
		{"a carousel without one", contract.Part{Carousel: &contract.Carousel{Cards: []contract.Card{{Image: &has}}}}, false},
	} {
		conversation := contract.ConversationID(tt.name)
		e := f.text(conversation, f.name("m"), "x")
		e.Message.Parts = append(e.Message.Parts, tt.part)
		if c := f.receive(e); (len(c.Jobs) == 1) != tt.waits {
			t.Errorf("%s: %d jobs, waits %t", tt.name, len(c.Jobs), tt.waits)
		} else if m := tt.part.Media; !tt.waits && m != nil && f.message(c.Events[0].Data.Message.ID).Parts[1].Media.SourceHeaders != nil {
			t.Errorf("%s: how it was asked for is kept with the message", tt.name)
		}
	}
}

func checkRelease(t *testing.T, f *fixture) {
	jobs := f.receive(f.photo(chat, "first"), f.text(chat, "second", "x")).Jobs
	_, err := f.ReleaseEvent(t.Context(), jobs[1].ID, jobs[1].Event.Data, f.at)
	f.fails("releasing the second first", err, domain.ErrConflict)
	news, cancel := f.WatchEvents(wsA)
	defer cancel()
	f.tick(time.Minute)
	e := f.release(jobs[0])
	if e.Seq != 1 || string(e.ID) != jobs[0].ID || !e.CommittedAt.Equal(f.at) || e.Data.Message.Parts[1].Media.Handle != "med_1" || !told(news) {
		t.Errorf("released %+v", e)
	}
	if m := f.message(e.Data.Message.ID); m.Parts[1].Media.Handle != "med_1" {
		t.Errorf("the message is %+v", m)
	}
	if job, err := f.Job(t.Context(), jobs[0].ID); err != nil || job.State != domain.JobDone {
		t.Errorf("the job is %+v, %v", job, err)
	}
	_, err = f.ReleaseEvent(t.Context(), jobs[0].ID, jobs[0].Event.Data, f.at)
	f.fails("releasing it again", err, domain.ErrConflict)
	_, err = f.ReleaseEvent(t.Context(), "evt_nobody", jobs[0].Event.Data, f.at)
	f.fails("releasing nothing", err, domain.ErrNotFound)
	f.release(jobs[1])
	if got := f.names(wsA); !slices.Equal(got, []string{"first", "second"}) {
		t.Errorf("visible: %v", got)
	}
	command := f.send(chat, "x")
	_, err = f.ReleaseEvent(t.Context(), command.ID, contract.Event{}, f.at)
	f.fails("releasing a command", err, domain.ErrNotFound)
}

func checkPostpone(t *testing.T, f *fixture) {
	jobs := f.receive(f.photo(chat, "first"), f.text(chat, "second", "x")).Jobs
	why, until := contract.Failure{Class: contract.FailureRetry, Code: "busy"}, f.at.Add(time.Minute)
	got, err := f.PostponeEvent(t.Context(), jobs[0].ID, why, f.at, until)
	f.ok(err)
	for _, job := range []domain.Job{got, f.job(jobs[0].ID)} {
		if job.State != domain.JobQueued || job.Attempts != 1 || !job.NotBefore.Equal(until) || job.Failure.Code != "busy" || job.Event == nil {
			t.Errorf("postponed: %+v", job)
		}
	}
	if got := f.queue(); !slices.Equal(got, []string{jobs[0].ID, jobs[1].ID}) {
		t.Errorf("queue %v", got)
	}
	f.release(jobs[0])
	_, err = f.PostponeEvent(t.Context(), jobs[0].ID, why, f.at, until)
	f.fails("postponing one that was released", err, domain.ErrConflict)
	if job := f.job(jobs[0].ID); job.Failure != nil {
		t.Errorf("released, it still has the failure %+v", job.Failure)
	}
	_, err = f.PostponeEvent(t.Context(), f.send(chat, "x").ID, why, f.at, until)
	f.fails("postponing a command", err, domain.ErrNotFound)
	_, err = f.PostponeEvent(t.Context(), "evt_nobody", why, f.at, until)
	f.fails("postponing nothing", err, domain.ErrNotFound)
}
