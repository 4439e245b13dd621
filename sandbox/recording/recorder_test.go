package recording

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"
)

// function has the shape of a sandbox's host function, and is another type.
type function func(ctx context.Context, args []byte) ([]byte, error)

func TestARecorderSeesWhatCrossesTheBorder(t *testing.T) {
	input := []byte("in")
	r := NewRecorder(Recording{Export: "receive", Input: input, Now: time.Date(2026, 3, 2, 12, 0, 0, 0, time.FixedZone("", 7200))})
	host := Wrap(r, map[string]function{
		"upper": func(_ context.Context, args []byte) ([]byte, error) {
			return []byte(strings.ToUpper(string(args))), nil
		},
		"broken": func(context.Context, []byte) ([]byte, error) { return []byte("x"), errors.New("the disk \xff is full") },
		"slow": func(context.Context, []byte) ([]byte, error) {
			return nil, fmt.Errorf("asked: %w", context.DeadlineExceeded)
		},
		"gone": func(context.Context, []byte) ([]byte, error) { return nil, context.Canceled },
		"none": nil,
	})
	if len(host) != 4 {
		t.Errorf("%d functions are offered, want those 4 that were", len(host))
	}
	args := []byte("abc")
	answer, err := host["upper"](t.Context(), args)
	if string(answer) != "ABC" || err != nil {
		t.Errorf("the host function answered %q, %v through the recorder", answer, err)
	}
	for _, name := range []string{"broken", "slow", "gone"} {
		if _, err := host[name](t.Context(), nil); err == nil {
			t.Errorf("%s did not fail through the recorder", name)
		}
	}
	r.Log(slog.LevelInfo, "log", "hello \xff")
	args[0], answer[0], input[0] = 'X', 'X', 'X' // nobody's but the caller's

	want := &Recording{
		Format: Format, Export: "receive", Input: Bytes("in"), Now: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC),
		Calls: []Call{
			{Function: "upper", Arguments: Bytes("abc"), Answer: Bytes("ABC")},
			{Function: "broken", Failure: &Failure{Kind: KindHost, Message: "the disk \uFFFD is full"}},
			{Function: "slow", Failure: &Failure{Kind: KindDeadline, Message: "asked: context deadline exceeded"}},
			{Function: "gone", Failure: &Failure{Kind: KindCancelled, Message: "context canceled"}},
		},
		Logs:    []Log{{slog.LevelInfo, "log", "hello \uFFFD"}},
		Outcome: Outcome{Output: Bytes("out")}, Fuel: 7, MemoryBytes: 8, TookMicros: 9,
	}
	if got := r.End(Outcome{Output: []byte("out")}, 7, 8, 9*time.Microsecond); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestARecorderNotesAPanicAndLetsItPass(t *testing.T) {
	r := NewRecorder(Recording{})
	host := Wrap(r, map[string]function{"f": func(context.Context, []byte) ([]byte, error) { panic("oops") }})
	func() {
		defer func() {
			if recover() != "oops" {
				t.Error("the panic did not pass")
			}
		}()
		_, _ = host["f"](t.Context(), nil)
	}()
	if got := r.End(Outcome{}, 0, 0, 0); len(got.Calls) != 1 || got.Calls[0].Failure == nil {
		t.Errorf("got calls %+v, want one that failed", got.Calls)
	}
}

func TestARecorderIsBounded(t *testing.T) {
	t.Run("in bytes", func(t *testing.T) {
		r := NewRecorder(Recording{Input: make([]byte, maxKept-10)})
		f := Wrap(r, map[string]function{"f": func(context.Context, []byte) ([]byte, error) { return make([]byte, 6), nil }})["f"]
		for range 3 {
			if answer, err := f(t.Context(), make([]byte, 4)); len(answer) != 6 || err != nil {
				t.Fatalf("a full recorder changed the answer: %d bytes, %v", len(answer), err)
			}
		}
		if got := r.End(Outcome{}, 0, 0, 0); len(got.Calls) != 1 || !strings.Contains(got.Incomplete, "host call f") {
			t.Errorf("kept %d calls, incomplete %q; want 1, and the call blamed", len(got.Calls), got.Incomplete)
		}
	})
	t.Run("in calls", func(t *testing.T) {
		r := NewRecorder(Recording{})
		f := Wrap(r, map[string]function{"f": func(context.Context, []byte) ([]byte, error) { return nil, nil }})["f"]
		for range MaxCalls + 1 {
			_, _ = f(t.Context(), nil)
		}
		if got := r.End(Outcome{}, 0, 0, 0); len(got.Calls) != MaxCalls || got.Incomplete == "" {
			t.Errorf("kept %d calls, incomplete %q; want %d, and a reason", len(got.Calls), got.Incomplete, MaxCalls)
		}
	})
}

func TestAPlayerAnswersInOrderAndNothingElse(t *testing.T) {
	recorded := &Recording{Calls: []Call{
		{Function: "a", Arguments: Bytes("1"), Answer: Bytes("one")},
		{Function: "a", Arguments: Bytes("1"), Answer: Bytes("two")},
		{Function: "b", Failure: &Failure{Kind: KindHost, Message: "broken"}},
	}}
	p := NewPlayer(recorded)
	for _, want := range []string{"one", "two"} {
		if got, err := p.Call("a", []byte("1")); string(got) != want || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	if _, err := p.Call("b", nil); err == nil || err.Error() != "broken" || !p.Ended() || p.Divergence() != nil {
		t.Errorf("got %v, ended %t, %v; want the recorded failure", err, p.Ended(), p.Divergence())
	}

	for _, tt := range []struct {
		name, function, args string
		after                int
		want                 string
	}{
		{"another function", "b", "1", 0, "host call 1: recorded is a(1), called was b(1)"},
		{"other arguments", "a", "2", 1, "host call 2: a was called with other arguments: recorded is 1, now it is 2"},
		{"one call more", "c", "", 2, "host call 3: nothing more is recorded, and it called c(nothing)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := NewPlayer(&Recording{Calls: recorded.Calls[:2]})
			for range tt.after {
				_, _ = p.Call("a", []byte("1"))
			}
			if _, err := p.Call(tt.function, []byte(tt.args)); err == nil || p.Divergence() == nil || p.Divergence().String() != tt.want {
				t.Errorf("got %v and divergence %q, want %q", err, p.Divergence(), tt.want)
			}
		})
	}
}

// TestAPlayerEndsWhereTheHostGaveUp holds that a recording whose time was over between
// two host calls is no divergence when its replay goes on to the next.
func TestAPlayerEndsWhereTheHostGaveUp(t *testing.T) {
	for kind, want := range map[Kind]bool{KindDeadline: true, KindCancelled: true, KindBusy: true, KindHost: true, KindTrap: false, KindGuest: false, KindLimit: false} {
		p := NewPlayer(&Recording{Outcome: Outcome{Failure: &Failure{Kind: kind, Message: "over"}}})
		if _, err := p.Call("a", nil); err == nil || p.Ended() != want || (p.Divergence() == nil) != want {
			t.Errorf("%s: got %v, ended %t, divergence %v", kind, err, p.Ended(), p.Divergence())
		}
	}
}
