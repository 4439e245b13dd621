package emulate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// seen is an exchange of these tests.
type seen struct {
	seq int
	op  string
}

func newSeen(keep int) *Recorder[seen] {
	return NewRecorder(keep, func(e *seen, n int) { e.seq = n }, func(e seen) string { return e.op })
}

func of(op string) func(seen) bool { return func(e seen) bool { return e.op == op } }

func TestRecorderForgetsTheOldest(t *testing.T) {
	for _, tt := range []struct {
		name string
		keep int
		want []seen
	}{
		{"an eighth and one at a time", 8, []seen{{3, "c"}, {4, "d"}, {5, "e"}, {6, "f"}, {7, "g"}, {8, "h"}, {9, "i"}}},
		{"a record of one", 1, []seen{{9, "i"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newSeen(tt.keep)
			for op := range strings.SplitSeq("abcdefghi", "") {
				r.Add(seen{op: op})
			}
			if got := r.Exchanges(); !slices.Equal(got, tt.want) {
				t.Errorf("kept %v, want %v", got, tt.want)
			}
		})
	}
}

func TestWaitSeesWhatWasAndWhatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSeen(10)
		r.Add(seen{op: "a"})
		if got, err := r.Wait(t.Context(), of("a")); err != nil || got.seq != 1 {
			t.Errorf("past: %v, %v", got, err)
		}
		found := make(chan []seen)
		go func() {
			list, err := r.WaitCount(t.Context(), 2, of("a"))
			if err != nil {
				t.Error(err)
			}
			found <- list
		}()
		synctest.Wait()
		r.Add(seen{op: "b"})
		r.Add(seen{op: "a"})
		if got, want := <-found, []seen{{1, "a"}, {3, "a"}}; !slices.Equal(got, want) {
			t.Errorf("to come: %v, want %v", got, want)
		}
	})
}

func TestWaitThatGivesUpSaysWhatCame(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	r := newSeen(10)
	if _, err := r.Wait(ended, of("b")); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "of none") {
		t.Errorf("of nothing: %v", err)
	}
	r.Add(seen{op: "a"})
	if _, err := r.Wait(ended, of("b")); err == nil || !strings.Contains(err.Error(), "0 of 1 exchanges came (of [a])") {
		t.Errorf("of one: %v", err)
	}
}

func TestUntilLooksAgainAfterEachChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSeen(10)
		looks := 0
		done := make(chan error)
		go func() { done <- r.Until(t.Context(), func() bool { looks++; return looks == 3 }) }()
		synctest.Wait()
		r.Violation("a %s", "thing")
		synctest.Wait()
		r.Wake()
		if err := <-done; err != nil || looks != 3 {
			t.Errorf("%d looks, %v; want 3", looks, err)
		}
	})
}

func TestTakeViolationsForgetsThem(t *testing.T) {
	r := newSeen(10)
	r.Violation("%d was wrong", 7)
	if got := r.Violations(); !slices.Equal(got, []string{"7 was wrong"}) {
		t.Errorf("violations %q", got)
	}
	if got := r.TakeViolations(); len(got) != 1 || len(r.Violations()) != 0 {
		t.Errorf("took %q and left %q", got, r.Violations())
	}
}
