package subscribers_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/subscribers"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// settle lets everything happen that needs no time.
func settle(d time.Duration) {
	synctest.Wait()
	time.Sleep(d) // of the bubble: nobody waits
	synctest.Wait()
}

func TestEventsGoOutSignedAndInOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.say("a", "before it subscribed")
		s := w.subscribe()
		w.say("a", "1", "2", "3")
		settle(time.Second)
		if got, want := w.to.words(), []string{"a:1", "a:2", "a:3"}; !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		w.to.wantGenuine(t)
		first := w.to.requests()[0]
		h := first.header()
		if first.request.Method != http.MethodPost || first.request.URL != target || h.Get("Content-Type") != "application/cloudevents+json" ||
			h.Get("webhook-id") != string(first.event.ID) || h.Get("webhook-timestamp") != fmt.Sprint(first.at.Unix()) || first.event.Type != "patchbay.postback" {
			t.Errorf("the request is %+v", first.request)
		}
		if rule := first.policy.Rules[0]; rule.Host != "receiver.test" || rule.Scheme != "https" || len(first.policy.PrivateTargets) != 0 {
			t.Errorf("the policy is %+v", first.policy)
		}
		if p := w.status(s.ID).Progress; p.Cursor != 4 || p.LastTakenAt.IsZero() || p.Failures != 0 {
			t.Errorf("the progress is %+v", p)
		}
	})
}

func TestOnlyWhatIsWantedGoesOut(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.subscribe(func(n *subscribers.NewSubscriber) {
			n.Kinds, n.Connections = []contract.EventKind{contract.EventPostback}, []contract.ConnectionID{"con_2"}
		})
		w.sayIn("con_1", "a", contract.EventPostback, "another connection")
		w.sayIn("con_2", "a", contract.EventTyping, "")
		w.sayIn("con_2", "a", contract.EventPostback, "wanted")
		w.sayIn("con_2", "a", contract.EventTyping, "")
		settle(10 * time.Second)
		if got := w.to.words(); !slices.Equal(got, []string{"a:wanted"}) {
			t.Errorf("got %q", got)
		}
		if cursor := w.status(s.ID).Progress.Cursor; cursor != 4 {
			t.Errorf("the cursor is %d: what is not wanted must pass, too", cursor)
		}
	})
}

// A conversation whose events fail waits in its lane, in order. Nobody else does.
func TestOnlyTheFailingConversationWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		bad := 4
		w.to.answers(func(_ int, s sent) *contract.HTTPResult {
			if strings.HasPrefix(s.word(), "a:") && bad > 0 {
				bad--
				return status(500)
			}
			return status(204)
		})
		s := w.subscribe()
		w.say("a", "1", "2")
		w.say("b", "1", "2")
		synctest.Wait()
		w.say("a", "3")
		w.say("b", "3")
		settle(time.Second)
		if got := w.status(s.ID); got.Queued != 3 {
			t.Errorf("%d events of the failing conversation wait, want 3", got.Queued)
		}
		settle(time.Hour)
		var a, b []string
		for _, word := range w.to.words() {
			if strings.HasPrefix(word, "a:") {
				a = append(a, word)
			} else {
				b = append(b, word)
			}
		}
		if want := []string{"a:1", "a:1", "a:1", "a:1", "a:1", "a:2", "a:3"}; !slices.Equal(a, want) {
			t.Errorf("the failing conversation got %q, want %q", a, want)
		}
		if want := []string{"b:1", "b:2", "b:3"}; !slices.Equal(b, want) {
			t.Errorf("the other one got %q, want %q", b, want)
		}
		if got := w.status(s.ID); got.Queued != 0 || got.Progress.Failures != 0 || got.Progress.Cursor != 6 {
			t.Errorf("at the end: %+v", got)
		}
		w.say("a", "4")
		settle(time.Second)
		if words := w.to.words(); words[len(words)-1] != "a:4" {
			t.Errorf("when its lane is empty, a conversation goes the direct way again; got %q", words)
		}
		w.to.wantGenuine(t)
	})
}

func TestGoneDisablesAndNothingIsLost(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.to.answers(func(int, sent) *contract.HTTPResult { return status(410) })
		s := w.subscribe()
		w.say("a", "1", "2")
		settle(24 * time.Hour)
		if got := w.status(s.ID); got.State != domain.SubscriberDisabled || !strings.Contains(got.StateReason, "410") || got.Progress.Cursor != 0 {
			t.Fatalf("after 410: %+v", got)
		}
		if n := len(w.to.requests()); n != 1 {
			t.Errorf("it was asked %d times, want once", n)
		}
		if got := w.notices(); !slices.Equal(got, []domain.NoticeKind{domain.NoticeSubscriberDisabled}) {
			t.Errorf("notices %q", got)
		}
		w.to.answers(nil)
		if _, err := w.room.EnableSubscriber(t.Context(), by, "wsp_1", s.ID); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		if got := w.to.words(); !slices.Equal(got, []string{"a:1", "a:1", "a:2"}) {
			t.Errorf("enabled again, it got %q", got)
		}
	})
}

func TestRetryAfterIsHonouredByEverybody(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		began := time.Now()
		w.to.answers(func(n int, s sent) *contract.HTTPResult {
			switch {
			case s.word() == "a:1" && n == 1:
				return status(500) // becomes a job, which is due within 10 s
			case n == 2:
				return status(429, "retry-after", "120")
			}
			return status(200)
		})
		s := w.subscribe()
		w.say("a", "1")
		synctest.Wait()
		w.say("b", "1")
		synctest.Wait()
		w.say("c", "1")
		settle(time.Hour)
		for _, got := range w.to.requests()[2:] {
			if wait := got.at.Sub(began); wait < 120*time.Second || wait > 150*time.Second {
				t.Errorf("%s was sent after %v, though it had asked for 120 s", got.word(), wait)
			}
		}
		if got := w.status(s.ID); got.Queued != 0 || got.Progress.Cursor != 3 {
			t.Errorf("at the end: %+v", got)
		}
	})
}

// While nobody is there, the log is the queue: no event becomes a job at once, and nothing
// is asked more than now and then.
func TestASubscriberThatIsDownIsAskedNowAndThen(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var up atomic.Bool
		w.to.answers(func(int, sent) *contract.HTTPResult {
			if !up.Load() {
				return unreachable()
			}
			return status(200)
		})
		s := w.subscribe()
		for i := range 300 {
			w.say(contract.ConversationID(fmt.Sprint("c", i)), "1")
		}
		settle(10 * time.Hour)
		asked := len(w.to.requests())
		if asked > 4000 {
			t.Errorf("it was asked %d times in 10 hours", asked)
		}
		if got := w.notices(); !slices.Equal(got, []domain.NoticeKind{domain.NoticeSubscriberFailing}) {
			t.Errorf("notices %q, want one that it fails", got)
		}
		up.Store(true)
		settle(2 * time.Minute)
		seen := map[string]bool{}
		for _, s := range w.to.requests()[asked:] {
			seen[s.word()] = true
		}
		if len(seen) != 300 {
			t.Errorf("two minutes after it was back it had got %d of 300 events", len(seen))
		}
		if got := w.status(s.ID); got.Queued != 0 || got.Parked != 0 || got.Progress.Failures != 0 || got.Progress.Noticed {
			t.Errorf("at the end: %+v", got)
		}
	})
}

func TestFailingForDaysDisables(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func() *contract.HTTPResult
	}{
		{"nobody is there", unreachable},
		{"it answers with an error", func() *contract.HTTPResult { return status(500) }},
		{"it takes too long", func() *contract.HTTPResult {
			return &contract.HTTPResult{Error: &contract.HostError{Code: contract.HostTimeout, Message: "there was no answer in time"}}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.to.answers(func(int, sent) *contract.HTTPResult { return tt.answer() })
				s := w.subscribe()
				began := time.Now()
				for day := 0; w.status(s.ID).State == domain.SubscriberActive && day < 10; day++ {
					w.say("a", fmt.Sprint(day))
					settle(24 * time.Hour)
				}
				got := w.status(s.ID)
				if took := time.Since(began); got.State != domain.SubscriberDisabled || took < 5*24*time.Hour || took > 7*24*time.Hour {
					t.Fatalf("after %v it is %s: %s", took, got.State, got.StateReason)
				}
				kinds := w.notices()
				if !slices.Contains(kinds, domain.NoticeSubscriberFailing) || !slices.Contains(kinds, domain.NoticeSubscriberDisabled) {
					t.Errorf("notices %q", kinds)
				}
				asked := len(w.to.requests())
				settle(24 * time.Hour)
				if again := len(w.to.requests()); again != asked {
					t.Errorf("a disabled subscriber was asked %d times", again-asked)
				}
			})
		})
	}
}

func TestWhatIsNeverTakenIsParkedAndCanBeSentAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		poison := true
		w.to.answers(func(_ int, s sent) *contract.HTTPResult {
			if s.word() == "a:poison" && poison {
				return status(400)
			}
			return status(200)
		})
		s := w.subscribe()
		w.say("a", "poison", "next")
		for range 100 { // others keep it known that the subscriber works
			w.say("b", "x")
			settle(time.Hour)
		}
		got := w.status(s.ID)
		if got.Parked != 1 || got.Queued != 0 || got.State != domain.SubscriberActive {
			t.Fatalf("after three days: %d parked, %d queued, %s", got.Parked, got.Queued, got.State)
		}
		if !slices.Contains(w.to.words(), "a:next") || !slices.Contains(w.notices(), domain.NoticeJobParked) {
			t.Errorf("the lane goes on without it, and the operator is told; notices %q", w.notices())
		}
		poison = false
		if n, err := w.room.RetrySubscriber(t.Context(), by, "wsp_1", s.ID); n != 1 || err != nil {
			t.Errorf("retry gave %d, %v", n, err)
		}
		settle(time.Minute)
		if words := w.to.words(); words[len(words)-1] != "a:poison" || w.status(s.ID).Parked != 0 {
			t.Errorf("retried, it was not sent: %q", words[len(words)-3:])
		}
	})
}

// deafStore keeps no progress, as if the process died before it could.
type deafStore struct{ subscribers.Store }

func (deafStore) ReportSubscriber(context.Context, domain.SubscriberID, domain.SubscriberReport) (domain.SubscriberProgress, error) {
	return domain.SubscriberProgress{}, fmt.Errorf("%w: it is a test", domain.ErrUnavailable)
}

func TestWhatWasSentBeforeACrashComesAgainUnderTheSameName(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.subscribe()
		w.shut()
		w.through = func(s subscribers.Store) subscribers.Store { return deafStore{s} }
		w.open()
		w.say("a", "1", "2")
		settle(time.Second)
		w.shut()
		w.through = func(s subscribers.Store) subscribers.Store { return s }
		w.open()
		w.say("a", "3")
		settle(time.Second)
		if got, want := w.to.words(), []string{"a:1", "a:2", "a:1", "a:2", "a:3"}; !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		requests := w.to.requests()
		for i := range 2 {
			if first, again := requests[i].header().Get("webhook-id"), requests[i+2].header().Get("webhook-id"); first != again || first == "" {
				t.Errorf("event %d came as %q and then as %q", i, first, again)
			}
		}
	})
}

func TestAJobIsNotMadeTwiceForOneEvent(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.to.answers(func(int, sent) *contract.HTTPResult { return status(500) })
		s := w.subscribe()
		w.shut()
		w.through = func(s subscribers.Store) subscribers.Store { return deafStore{s} }
		w.open()
		w.say("a", "1", "2")
		settle(0)
		for range 3 { // the cursor never moves, so each start reads both again
			w.shut()
			w.open()
			settle(0)
		}
		if got := w.status(s.ID); got.Queued != 2 {
			t.Errorf("two events have %d jobs", got.Queued)
		}
		w.shut()
		w.through = func(s subscribers.Store) subscribers.Store { return s }
		w.open()
	})
}

func TestStoppingWaitsForWhatIsUnderWay(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.subscribe()
		w.to.block = make(chan struct{})
		w.say("a", "1", "2")
		synctest.Wait()
		stopped := make(chan error)
		go func() { stopped <- w.room.Stop(context.Background()) }()
		synctest.Wait()
		select {
		case err := <-stopped:
			t.Errorf("Stop returned %v while an attempt was under way", err)
		default:
		}
		close(w.to.block)
		if err := <-stopped; err != nil {
			t.Errorf("Stop = %v", err)
		}
		if got := w.status(s.ID).Progress.Cursor; got != 1 || len(w.to.requests()) != 1 {
			t.Errorf("the cursor is %d after %d attempts, want 1 after 1", got, len(w.to.requests()))
		}
	})
}

func TestPauseAndEnable(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var well atomic.Bool
		w.to.answers(func(int, sent) *contract.HTTPResult {
			if !well.Load() {
				return status(500)
			}
			return status(200)
		})
		s := w.subscribe()
		w.say("a", "1")
		synctest.Wait()
		if _, err := w.room.PauseSubscriber(t.Context(), by, "wsp_1", s.ID); err != nil {
			t.Fatal(err)
		}
		w.say("a", "2")
		w.say("b", "1")
		asked := len(w.to.requests())
		settle(10 * 24 * time.Hour)
		if again := len(w.to.requests()); again != asked {
			t.Fatalf("a paused subscriber was asked %d times", again-asked)
		}
		well.Store(true)
		if got, err := w.room.EnableSubscriber(t.Context(), by, "wsp_1", s.ID); err != nil || got.State != domain.SubscriberActive {
			t.Fatalf("%+v, %v", got, err)
		}
		settle(time.Second)
		words := w.to.words()[asked:]
		slices.Sort(words)
		if !slices.Equal(words, []string{"a:1", "a:2", "b:1"}) {
			t.Errorf("enabled, it got %q at once", words)
		}
	})
}

func TestRewind(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.say("a", "1", "2", "3")
		s := w.subscribe()
		for _, tt := range []struct {
			after uint64
			want  []string
		}{{1, []string{"a:2", "a:3"}}, {0, []string{"a:1", "a:2", "a:3"}}, {99, nil}} {
			before := len(w.to.requests())
			if _, err := w.room.RewindSubscriber(t.Context(), by, "wsp_1", s.ID, tt.after); err != nil {
				t.Fatal(err)
			}
			settle(time.Second)
			if got := w.to.words()[before:]; !slices.Equal(got, tt.want) {
				t.Errorf("rewound to %d it got %q, want %q", tt.after, got, tt.want)
			}
		}
	})
}

func TestRemovingCancelsWhatWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.to.answers(func(int, sent) *contract.HTTPResult { return status(500) })
		s := w.subscribe()
		w.say("a", "1", "2")
		w.say("b", "1")
		synctest.Wait()
		if err := w.room.RemoveSubscriber(t.Context(), by, "wsp_1", s.ID); err != nil {
			t.Fatal(err)
		}
		asked := len(w.to.requests())
		w.say("a", "3")
		settle(24 * time.Hour)
		if again := len(w.to.requests()); again != asked {
			t.Errorf("a removed subscriber was asked %d times", again-asked)
		}
		queued, _, err := w.store.Jobs(t.Context(), domain.JobFilter{Workspace: "wsp_1", State: domain.JobQueued}, domain.Page{})
		if err != nil || len(queued) != 0 {
			t.Errorf("%d jobs wait, %v", len(queued), err)
		}
		if _, err := w.store.SubscriberStatus(t.Context(), "wsp_1", s.ID); !errors.Is(err, domain.ErrNotFound) {
			t.Errorf("reading it gives %v", err)
		}
	})
}

func TestRotationOverlaps(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.subscribe()
		old := w.to.secrets[0]
		value, err := w.room.RotateSubscriberSecret(t.Context(), by, "wsp_1", s.ID, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(value.Reveal(), "whsec_") || value.Reveal() == old {
			t.Errorf("the new secret is of another form, or the old one")
		}
		w.say("a", "1")
		settle(2 * time.Hour)
		w.say("a", "2")
		settle(time.Second)
		for i, oldCounts := range []bool{true, false} {
			got := w.to.requests()[i]
			verifiedAt(t, got, value.Reveal(), true)
			verifiedAt(t, got, old, oldCounts)
		}
		for range 10 {
			_, err = w.room.RotateSubscriberSecret(t.Context(), by, "wsp_1", s.ID, time.Hour)
		}
		if !errors.Is(err, domain.ErrQuota) {
			t.Errorf("ten rotations with overlap gave %v, want a quota", err)
		}
	})
}

// verifiedAt holds a signature against one secret, as of when it came.
func verifiedAt(t *testing.T, s sent, value string, want bool) {
	t.Helper()
	signature := s.header().Get("webhook-signature")
	if got := signed(value, s); got != want {
		t.Errorf("%s: %q is signed with that secret: %v, want %v", s.word(), signature, got, want)
	}
}
