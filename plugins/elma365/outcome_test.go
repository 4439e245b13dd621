package main

import (
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// defaultDelaysTotal is longer than all repeats with their timeouts take.
const defaultDelaysTotal = 4 * time.Hour

func TestOutcomes(t *testing.T) {
	const sent, delivered, failed = "message.status msg_1 sent", "message.status msg_1 delivered", "message.status msg_1 failed"
	wait := func(d time.Duration) func(*world) { return func(w *world) { w.advance(d) } }
	report := func(success bool) func(*world) { return func(w *world) { w.deliver(outcomeOf("msg_1", success)) } }
	read := func(w *world) { w.deliver(envelopeOf("markAsRead", "", `{"messageId":"msg_1"}`)) }
	for _, tt := range []struct {
		name   string
		policy string
		steps  []func(*world)
		posts  int
		events []string
	}{
		{"auto, never an outcome", "auto", []func(*world){wait(defaultDelaysTotal)}, 1, nil},
		{"auto, success", "auto", []func(*world){report(true), wait(defaultDelaysTotal)}, 1, []string{delivered}},
		{"auto, the first outcome is a failure", "auto", []func(*world){report(false), wait(time.Minute)}, 2, nil},
		{"require, none: not before the timeout and the delay", "require", []func(*world){wait(89 * time.Second)}, 1, nil},
		{"require, none: after both", "require", []func(*world){wait(91 * time.Second)}, 2, nil},
		{"require, none at all", "require", []func(*world){wait(defaultDelaysTotal)}, 6, []string{failed}},
		{"require, success", "require", []func(*world){report(true), wait(defaultDelaysTotal)}, 1, []string{delivered}},
		{"require, failure: not before the delay", "require", []func(*world){report(false), wait(29 * time.Second)}, 1, nil},
		{"require, failure: after the delay", "require", []func(*world){report(false), wait(31 * time.Second)}, 2, nil},
		{"require, a failure reported twice is repeated once", "require", []func(*world){report(false), report(false), wait(31 * time.Second)}, 2, nil},
		{"require, success after a repeat was scheduled", "require", []func(*world){report(false), wait(5 * time.Second), report(true), wait(defaultDelaysTotal)}, 1, []string{delivered}},
		{"require, success after a repeat", "require", []func(*world){report(false), wait(31 * time.Second), report(true), wait(defaultDelaysTotal)}, 2, []string{delivered}},
		{"require, a failure after success changes nothing", "require", []func(*world){report(true), report(false), wait(defaultDelaysTotal)}, 1, []string{delivered}},
		{"require, success twice is told once", "require", []func(*world){report(true), report(true)}, 1, []string{delivered}},
		{"require, failure after each post", "require", []func(*world){
			report(false), wait(31 * time.Second), report(false), wait(2*time.Minute + time.Second), report(false), wait(10*time.Minute + time.Second),
			report(false), wait(30*time.Minute + time.Second), report(false), wait(2*time.Hour + time.Second), report(false), wait(defaultDelaysTotal),
		}, 6, []string{failed}},
		{"require, read without an outcome", "require", []func(*world){read, wait(defaultDelaysTotal)}, 1, []string{"message.status msg_1 read"}},
		{"ignore, none", "ignore", []func(*world){wait(defaultDelaysTotal)}, 1, nil},
		{"ignore, failure", "ignore", []func(*world){report(false), wait(defaultDelaysTotal)}, 1, nil},
		{"ignore, success", "ignore", []func(*world){report(true)}, 1, []string{delivered}},
		{"require, then ignored while one is due", "require", []func(*world){func(w *world) { w.settings["outcome_policy"] = "ignore" }, wait(defaultDelaysTotal)}, 1, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, "outcome_policy", tt.policy).connect()
			w.say("msg_1", "hello")
			for _, step := range tt.steps {
				step(w)
			}
			w.wantPosts(tt.posts)
			w.wantEvents(tt.events...)
			for _, body := range w.posts() {
				if body != w.posts()[0] {
					t.Errorf("a repeat was %s, the first post %s", body, w.posts()[0])
				}
			}
		})
	}
}

func TestAutoRequiresOutcomesFromTheFirstOn(t *testing.T) {
	w := newWorld(t).connect()
	w.say("msg_1", "hello")
	w.deliver(outcomeOf("msg_1", true))
	w.say("msg_2", "are you there?")
	w.advance(91 * time.Second)
	w.wantPosts(3)
}

func TestAnOutcomeBeforeTheAnswer(t *testing.T) {
	for _, success := range []bool{true, false} {
		w := newWorld(t).connect()
		w.say("msg_0", "hello")
		w.answer = func(contract.HTTPRequest) (*contract.HTTPResult, error) {
			w.answer = nil
			w.deliver(outcomeOf("msg_1", success))
			return &contract.HTTPResult{Status: 200}, nil
		}
		out := w.say("msg_1", "hello")
		w.advance(31 * time.Second)
		if success && (out.Sent.Status != contract.MessageDelivered || len(w.sent) != 2) {
			t.Errorf("after an early success: %+v, %d posts", out.Sent, len(w.sent))
		}
		if !success && (out.Sent.Status != contract.MessageSent || len(w.sent) != 3) {
			t.Errorf("after an early failure: %+v, %d posts; a repeat was due after 30 s", out.Sent, len(w.sent))
		}
		w.advance(30 * time.Second)
		w.wantEvents() // the answer told it
	}
}

// TestAnOutcomeBetweenTheAnswerAndTheCommit is the narrowest race: the invocation has
// looked for an outcome, and the outcome comes before the invocation's writes do.
func TestAnOutcomeBetweenTheAnswerAndTheCommit(t *testing.T) {
	for success, want := range map[bool]string{true: "message.status msg_1 delivered", false: ""} {
		w := newWorld(t).connect()
		w.say("msg_0", "hello")
		in := &contract.SendMessageInput{Command: w.command(), Connection: w.connection(), Message: dana("msg_1", contract.Part{Kind: "text", Text: &contract.Text{Plain: "x"}})}
		tx, out := w.begin(""), new(contract.CommandOutput)
		w.invoke(tx, contract.ExportSendMessage, in, out)
		w.deliver(outcomeOf("msg_1", success))
		w.commit(tx, out.Events, out.Commands)
		w.advance(36 * time.Second)
		if got := strings.Join(w.kinds(), ", "); got != want {
			t.Errorf("success %v became %q, want %q", success, got, want)
		}
		if want := map[bool]int{true: 2, false: 3}[success]; len(w.sent) != want {
			t.Errorf("success %v: %d posts, want %d", success, len(w.sent), want)
		}
	}
}

func TestAnOutcomeOfAnUnknownMessage(t *testing.T) {
	w := newWorld(t).connect()
	out := w.deliver(outcomeOf("msg_x", true))
	w.deliver(outcomeOf(strings.Repeat("x", 300), true))
	w.advance(time.Hour)
	if out.Response.Status != 200 || len(w.due) != 0 || !strings.Contains(strings.Join(w.logs, "\n"), "never sent") {
		t.Errorf("answered %d, %d pieces of work are left, the log says %q", out.Response.Status, len(w.due), w.logs)
	}
	w.wantEvents()
	w.wantPosts(0)
}

func TestAMessageInPiecesIsDeliveredWhenAllAre(t *testing.T) {
	w := newWorld(t, "max_text", "100", "outcome_policy", "require").connect()
	w.say("msg_1", strings.Repeat("x", 250))
	w.deliver(outcomeOf("msg_1/3", true))
	w.deliver(outcomeOf("msg_1", true))
	w.wantEvents()
	w.deliver(outcomeOf("msg_1/2", true))
	w.wantEvents("message.status msg_1 delivered")
	w.deliver(envelopeOf("markAsRead", "", `{"messageId":"msg_1/2"}`))
	w.wantEvents()
	w.deliver(envelopeOf("markAsRead", "", `{"messageId":"msg_1/3"}`))
	w.wantEvents("message.status msg_1 read")
	w.advance(defaultDelaysTotal)
	w.wantPosts(3)
}

func TestOnlyThePieceThatFailedIsRepeated(t *testing.T) {
	w := newWorld(t, "max_text", "100").connect()
	w.say("msg_1", strings.Repeat("x", 250))
	w.deliver(outcomeOf("msg_1/2", false))
	w.advance(31 * time.Second)
	w.wantPosts(4)
	if !strings.Contains(w.sent[3].Body, `"msg_1/2"`) {
		t.Errorf("repeated %s, want msg_1/2", w.sent[3].Body)
	}
}

func TestReadMarks(t *testing.T) {
	for _, tt := range []struct {
		mode       string
		andEarlier bool
		posts      int // 3, and a repeat of each message that is not known to be processed
	}{
		{"through", true, 4}, // msg_3 came after
		{"one", false, 5},    // msg_1 and msg_3
	} {
		t.Run(tt.mode, func(t *testing.T) {
			w := newWorld(t, "mark_read", tt.mode, "outcome_policy", "require").connect()
			for _, id := range []string{"msg_1", "msg_2", "msg_3"} {
				w.say(id, "hello")
			}
			w.deliver(envelopeOf("markAsRead", "", `{"messageId":"msg_2"}`))
			if s := w.events[0].Status; s.PlatformID != "msg_2" || s.Status != contract.MessageRead || s.AndEarlier != tt.andEarlier {
				t.Errorf("reported %+v", s)
			}
			w.advance(95 * time.Second)
			w.wantPosts(tt.posts)
		})
	}
}

func TestAReadMarkOfAnUnknownMessage(t *testing.T) {
	w := newWorld(t).connect()
	if out := w.deliver(envelopeOf("markAsRead", "", `{"messageId":"msg_x"}`)); out.Response.Status != 200 || len(w.logs) == 0 {
		t.Errorf("answered %d, logged %q; want 200 and a line", out.Response.Status, w.logs)
	}
	w.wantEvents()
}

// TestRepeatsThatMeetAFailure is about what a repeat does with an answer that is not 200.
func TestRepeatsThatMeetAFailure(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int64
		posts  int
		events []string
		class  contract.FailureClass
	}{
		{"a server error uses up a repeat", 503, 6, []string{"message.status msg_1 failed"}, ""},
		{"a refused token stops", 401, 2, []string{"connection.state needs_action"}, contract.FailureReauthorise},
		{"a channel that is gone gives up", 404, 2, []string{"connection.state disconnected", "message.status msg_1 failed"}, contract.FailurePermanent},
		{"a refusal gives up", 400, 2, []string{"message.status msg_1 failed"}, contract.FailurePermanent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, "outcome_policy", "require").connect()
			w.say("msg_1", "hello")
			w.answer = func(contract.HTTPRequest) (*contract.HTTPResult, error) {
				return &contract.HTTPResult{Status: tt.status}, nil
			}
			w.advance(61 * time.Second)
			out := w.reconcile("repeat 1 msg_1")
			if (out.Failure == nil) != (tt.class == "") || (out.Failure != nil && out.Failure.Class != tt.class) {
				t.Errorf("the repeat came to %+v, want %q", out.Failure, tt.class)
			}
			if tt.class != "" {
				w.due = nil // the host parks what failed
			}
			w.advance(defaultDelaysTotal)
			w.wantPosts(tt.posts)
			w.wantEvents(tt.events...)
		})
	}
}

func TestARepeatAfterDisconnectGivesUp(t *testing.T) {
	w := newWorld(t, "outcome_policy", "require").connect()
	w.say("msg_1", "hello")
	w.deliver(envelopeOf("disconnect", "", ""))
	w.advance(defaultDelaysTotal)
	w.wantPosts(1)
	w.wantEvents("connection.state disconnected", "message.status msg_1 failed")
}

func TestARepeatLinksFilesAnew(t *testing.T) {
	w := newWorld(t, "outcome_policy", "require").connect()
	w.send(contract.SendMessageInput{Message: dana("msg_1",
		contract.Part{Kind: "media", Media: &contract.Media{Handle: "med_1", Name: "a.jpg"}},
		contract.Part{Kind: "media", Media: &contract.Media{Handle: "med_2", Name: "b.jpg"}})})
	w.gone["med_1"] = true
	w.advance(91 * time.Second)
	w.wantPosts(2)
	if body := w.sent[1].Body; strings.Contains(body, "a.jpg") || !strings.Contains(body, "med_2") {
		t.Errorf("repeated %s, want b.jpg alone", body)
	}
}

func TestReconcileTakesNoForeignPayload(t *testing.T) {
	w := newWorld(t).connect()
	w.say("msg_1", "hello")
	for _, payload := range []string{"", "check", "check one msg_1", "dance 1 msg_1", "repeat 1"} {
		if out := w.reconcile(payload); out.Failure == nil || out.Failure.Class != contract.FailurePermanent {
			t.Errorf("reconcile(%q) came to %+v", payload, out)
		}
	}
	w.wantPosts(1)
}

func TestWhatASuccessLeavesBehind(t *testing.T) {
	w := newWorld(t, "outcome_policy", "require").connect()
	w.say("msg_1", "a customer's words")
	w.deliver(outcomeOf("msg_1", true))
	for key, e := range w.kv {
		if strings.Contains(e.value, "a customer's words") {
			t.Errorf("%s still keeps the message: %s", key, e.value)
		}
	}
}

func TestAFailureReportedTwiceAsksForOneRepeat(t *testing.T) {
	w := newWorld(t).connect()
	w.say("msg_1", "hello")
	w.deliver(outcomeOf("msg_1", false))
	w.deliver(outcomeOf("msg_1", false))
	if len(w.due) != 1 {
		t.Errorf("%d pieces of work are due, want one repeat: %v", len(w.due), w.due)
	}
}

func TestReadingTheLastPieceConfirmsTheOthers(t *testing.T) {
	w := newWorld(t, "max_text", "100", "outcome_policy", "require").connect()
	w.say("msg_1", strings.Repeat("x", 250))
	w.deliver(envelopeOf("markAsRead", "", `{"messageId":"msg_1/3"}`))
	w.advance(defaultDelaysTotal)
	w.wantPosts(3)
}

func TestAReadMarkSaysNothingOfAnotherMessageOfTheSameInstant(t *testing.T) {
	w := newWorld(t, "outcome_policy", "require").connect()
	w.say("msg_0", "hello")
	w.sent, w.due = nil, nil
	command := w.command()
	for _, id := range []string{"msg_1", "msg_2"} {
		w.run(contract.ExportSendMessage, &contract.SendMessageInput{
			Command: command, Connection: w.connection(),
			Message: dana(id, contract.Part{Kind: "text", Text: &contract.Text{Plain: "x"}}),
		})
	}
	w.deliver(envelopeOf("markAsRead", "", `{"messageId":"msg_1"}`))
	w.advance(91 * time.Second)
	w.wantPosts(3)
	if !strings.Contains(w.sent[2].Body, "msg_2") {
		t.Errorf("repeated %s, want msg_2", w.sent[2].Body)
	}
}

func TestARepeatHonoursRetryAfter(t *testing.T) {
	w := newWorld(t, "outcome_policy", "require").connect()
	w.say("msg_1", "hello")
	w.answer = func(contract.HTTPRequest) (*contract.HTTPResult, error) {
		return &contract.HTTPResult{Status: 503, Headers: []contract.Header{{Name: "Retry-After", Value: "3600"}}}, nil
	}
	w.advance(91*time.Second + time.Hour)
	w.wantPosts(2)
	w.advance(121 * time.Second)
	w.wantPosts(3)
}

func TestWhatARepeatNeedsOutlivesTheSchedule(t *testing.T) {
	const repeats = 30 + 120 + 600 + 1800 + 7200 + 5*60
	if got := (settings{}).ttlOutcome(); got < repeats+3600 {
		t.Errorf("kept for %d s; the last repeat is due after %d s", got, repeats)
	}
}
