package subscribers_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/subscribers"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// The steps of a play: what happens to a subscriber in its life.
const (
	stepSay     = iota // an event is committed in one of a few conversations
	stepBurst          // several are, in one conversation
	stepWait           // time passes
	stepCrash          // everything stops at once and starts again
	stepDeaf           // the same, and from then on no progress is kept until the next start
	stepPause          // somebody pauses it
	stepEnable         // somebody enables it
	stepRotate         // its secret is rotated
	stepHurried        // everything stops in order and starts again
	steps
)

// step is one step of a play, with a number that each kind reads in its own way.
type step struct{ Kind, N int }

// What the receiver answers.
const (
	answerTaken  = iota // 200
	answerError         // 500
	answerBusy          // 503
	answerWait          // 429 with a Retry-After
	answerAbsent        // no connection
	answerLost          // it takes the event, and the answer is lost
	answers
)

// play is a whole life, drawn before it is lived.
type play struct {
	Steps   []step
	Answers []int // in the order of requests; then it takes everything
}

func drawPlay(t *rapid.T) play {
	return play{
		Steps: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{rapid.IntRange(0, steps-1).Draw(t, "kind"), rapid.IntRange(0, 7).Draw(t, "n")}
		}), 1, 40).Draw(t, "steps"),
		Answers: rapid.SliceOfN(rapid.IntRange(0, answers-1), 0, 80).Draw(t, "answers"),
	}
}

// TestEveryEventArrivesInTheOrderOfItsConversation lives many lives. In the end, once the
// receiver takes everything, it has taken each event, and the events of each conversation
// first in the order in which they happened.
func TestEveryEventArrivesInTheOrderOfItsConversation(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlay(rt)
		var problems []string
		synctest.Test(t, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "subscribers")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = os.RemoveAll(dir) }()
			problems = p.live(dir)
		})
		if len(problems) > 0 {
			rt.Fatalf("%q", problems)
		}
	})
}

// diary stands in for a test, and keeps what is wrong.
type diary struct{ problems []string }

func (d *diary) Helper()         {}
func (d *diary) TempDir() string { return "" }
func (d *diary) Errorf(format string, args ...any) {
	d.problems = append(d.problems, fmt.Sprintf(format, args...))
}
func (d *diary) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// taker is a receiver that works as a tenant's must: it takes an event once, by its id.
type taker struct {
	mu      sync.Mutex
	answers []int
	seen    map[contract.EventID]bool
	taken   map[string][]int // by conversation: the numbers of events, as first taken
}

func (k *taker) answer(_ int, s sent) *contract.HTTPResult {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := answerTaken
	if len(k.answers) > 0 {
		next, k.answers = k.answers[0], k.answers[1:]
	}
	switch next {
	case answerError:
		return status(500)
	case answerBusy:
		return status(503)
	case answerWait:
		return status(429, "Retry-After", "90")
	case answerAbsent:
		return unreachable()
	}
	if !k.seen[s.event.ID] {
		k.seen[s.event.ID] = true
		n, _ := strconv.Atoi(s.event.Data.Postback.ActionID)
		k.taken[s.event.Subject] = append(k.taken[s.event.Subject], n)
	}
	if next == answerLost {
		return &contract.HTTPResult{Error: &contract.HostError{Code: contract.HostTimeout, Message: "there was no answer in time"}}
	}
	return status(200)
}

// live lives a life and returns what was wrong with it.
func (p play) live(dir string) []string {
	d := &diary{}
	w := newWorldIn(d, dir)
	k := &taker{answers: slices.Clone(p.Answers), seen: map[contract.EventID]bool{}, taken: map[string][]int{}}
	w.to.answers(k.answer)
	s := w.subscribe()
	said := map[string]int{}
	say := func(n int) {
		conversation := "c" + strconv.Itoa(n%4)
		said[conversation]++
		w.say(contract.ConversationID(conversation), strconv.Itoa(said[conversation]))
	}
	for _, step := range p.Steps {
		w.perform(step, s.ID, say)
	}
	w.shut()
	w.through = func(s subscribers.Store) subscribers.Store { return s }
	w.open()
	_, err := w.room.EnableSubscriber(w.ctx(), by, "wsp_1", s.ID)
	w.ok(err)
	settle(100 * time.Hour)
	for conversation, n := range said {
		want := make([]int, n)
		for i := range want {
			want[i] = i + 1
		}
		if !slices.Equal(k.taken[conversation], want) {
			d.Errorf("conversation %s: taken in the order %v of %d", conversation, k.taken[conversation], n)
		}
	}
	if got := w.status(s.ID); got.Queued != 0 || got.Parked != 0 || got.Progress.Cursor != got.LastEvent {
		d.Errorf("in the end %d are queued and %d parked, and the cursor is %d of %d", got.Queued, got.Parked, got.Progress.Cursor, got.LastEvent)
	}
	w.to.wantGenuine(d)
	w.close()
	return d.problems
}

// perform does one step.
func (w *world) perform(st step, id domain.SubscriberID, say func(n int)) {
	var err error
	switch st.Kind {
	case stepSay:
		say(st.N)
	case stepBurst:
		for range st.N {
			say(st.N)
		}
	case stepWait:
		settle(time.Duration(1<<st.N) * time.Second)
	case stepCrash, stepDeaf:
		w.shut()
		w.through = func(s subscribers.Store) subscribers.Store {
			if st.Kind == stepDeaf {
				return deafStore{s}
			}
			return s
		}
		w.open()
	case stepHurried:
		w.ok(w.room.Stop(w.ctx()))
		w.ok(w.scheduler.Stop(w.ctx()))
		w.open()
	case stepPause:
		_, err = w.room.PauseSubscriber(w.ctx(), by, "wsp_1", id)
	case stepEnable:
		_, err = w.room.EnableSubscriber(w.ctx(), by, "wsp_1", id)
	case stepRotate:
		value, failed := w.room.RotateSubscriberSecret(w.ctx(), by, "wsp_1", id, 0)
		err = failed
		w.to.trust(value)
	}
	w.ok(err)
}
