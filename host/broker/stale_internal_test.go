package broker

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// written keeps one journal, as a disk does: what is written anew replaces what stood there,
// and no more.
type written struct {
	Store
	mu      sync.Mutex // the timer writes, too
	times   int
	entries [][]byte
	err     error
}

func (w *written) WriteJournal(_ context.Context, _ string, from int, entries [][]byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	w.times++
	w.entries = append(slices.Clone(w.entries[:from]), append(slices.Clone(entries), w.entries[min(from+len(entries), len(w.entries)):]...)...)
	return nil
}

// asked is the arguments of a POST with a body.
func asked(body string) []byte {
	return contract.Marshal(&contract.HTTPRequest{Method: "POST", URL: "https://acme.test/", Body: body})
}

// sends makes calls with an effect, which are answered.
func (j *journal) sends(t *testing.T, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		f := func(context.Context, []byte) ([]byte, error) { return []byte(`{"status":200}`), nil }
		if _, err := j.act(t.Context(), contract.HostHTTPSend, asked(body), f); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAnAnswerIsNotWrittenBehindTheEndOfItsRun: behind its commit it would be taken for the
// answer of the next attempt. Behind a commit that was refused, a run that is only beginning
// would replace the whole journal of the one that it replaces, answers included.
func TestAnAnswerIsNotWrittenBehindTheEndOfItsRun(t *testing.T) {
	for name, then := range map[string]func(*journal){"committed": func(*journal) {}, "run again": (*journal).rerun} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := &written{}
				j := &journal{store: disk, job: "cmd_1", begun: begun{Input: []byte("{}")}}
				j.sends(t, "one", "two")
				j.close()
				then(j)
				before := disk.times
				<-time.After(10 * answerDelay)
				synctest.Wait()
				if disk.times != before {
					t.Errorf("the journal was written %d times behind the end of its run", disk.times-before)
				}
			})
		})
	}
}

func TestAnAnswerIsWrittenThatNoCommitTookAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &written{}
		j := &journal{store: disk, job: "cmd_1", begun: begun{Input: []byte("{}")}}
		j.sends(t, "one")
		<-time.After(2 * answerDelay)
		synctest.Wait()
		var kept journal
		if err := kept.load(disk.entries); err != nil || len(kept.calls) != 1 || !kept.calls[0].Answered {
			t.Errorf("kept %+v, %v", kept.calls, err)
		}
	})
}

// TestARunDoesNotTakeWhatIsLeftOfALongerOneForItsOwn: it has written over the beginning of
// that one's journal.
func TestARunDoesNotTakeWhatIsLeftOfALongerOneForItsOwn(t *testing.T) {
	disk := &written{}
	j := &journal{store: disk, job: "cmd_1", begun: begun{Input: []byte("{}")}}
	for range 5 {
		j.note(journalCall{Function: contract.HostKVGet, Answered: true})
	}
	j.sends(t, "one")
	j.rerun()
	j.begun.Input = []byte("{}")
	if c, err := j.recall(contract.HostHTTPSend, asked("one")); c == nil || err != nil {
		t.Fatalf("the second run was answered %v, %v", c, err)
	}
	j.sends(t, "two")
	j.close()
	var kept journal
	if err := kept.load(disk.entries); err != nil || len(kept.calls) != 2 || string(kept.calls[1].Arguments) != string(asked("two")) {
		t.Errorf("kept %d calls, %v, want the two of the second run", len(kept.calls), err)
	}
}

// TestWhatNeverWentOutMayGoOutAgain: neither a call whose intent could not be kept nor one
// that the host itself could not make has acted.
func TestWhatNeverWentOutMayGoOutAgain(t *testing.T) {
	broken := errors.New("broken")
	for name, tt := range map[string]struct {
		disk *written
		host error
	}{"no intent": {&written{err: broken}, nil}, "the host failed": {&written{}, broken}} {
		t.Run(name, func(t *testing.T) {
			j := &journal{store: tt.disk, job: "cmd_1", begun: begun{Input: []byte("{}")}}
			f := func(context.Context, []byte) ([]byte, error) { return nil, tt.host }
			if _, err := j.act(t.Context(), contract.HostHTTPSend, asked("one"), f); !errors.Is(err, broken) {
				t.Errorf("the call answered %v", err)
			}
			j.close()
			if j.acted() {
				t.Error("it counts as one that may have acted")
			}
			j.resume()
			if known, err := j.recall(contract.HostHTTPSend, asked("one")); known != nil || err != nil {
				t.Errorf("run again, it is answered %v, %v", known, err)
			}
		})
	}
}

// TestARunThatNeverBeganIsNotDoneTheSame: nobody knows how it would have begun.
func TestARunThatNeverBeganIsNotDoneTheSame(t *testing.T) {
	j := &journal{store: &written{}, job: "cmd_1", begun: begun{Input: []byte("{}")}}
	j.sends(t, "one")
	j.close()
	j.rerun()
	j.resume()
	if j.resumes() {
		t.Error("it is resumed")
	}
	if known, err := j.recall(contract.HostKVGet, nil); known != nil || err != nil {
		t.Errorf("what it reads is answered %v, %v", known, err)
	}
	if known, err := j.recall(contract.HostHTTPSend, asked("one")); known == nil || err != nil {
		t.Errorf("what was sent is answered %v, %v", known, err)
	}
}

// TestATurnIsLentForAWhile: a plugin that computes for seconds holds nobody else up.
func TestATurnIsLentForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns()
		for range runtime.GOMAXPROCS(0) {
			defer turns.take()()
		}
		began := time.Now()
		done := turns.take()
		if waited := time.Since(began); waited != turnTime {
			t.Errorf("the next one waited %v, want %v", waited, turnTime)
		}
		done()
		if len(turns) >= cap(turns) {
			t.Error("a turn that was given back is not free")
		}
	})
}
