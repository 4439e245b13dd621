package sandbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func number(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

func TestAGoPlugin(t *testing.T) {
	p := loadProbe(t)
	t.Run("echoes by bulk functions and by Extism's own", func(t *testing.T) {
		for _, n := range []int{0, 1, 7, 8, 9, 100_000} {
			in := strings.Repeat("payload ", n/8+1)[:n]
			for _, export := range []string{"echo", "echo_words"} {
				if got := output(t, p, Invocation{Export: export, Input: []byte(in)}); got != in {
					t.Errorf("%s of %d bytes gave %d others", export, n, len(got))
				}
			}
		}
	})
	t.Run("reports a failure with its message and code", func(t *testing.T) {
		_, err := p.Call(context.Background(), Invocation{Export: "fail", Input: []byte("no such account")})
		var failed *GuestError
		if !errors.As(err, &failed) || *failed != (GuestError{Export: "fail", Message: "no such account", Code: 7}) {
			t.Errorf("got %#v", err)
		}
	})
	t.Run("panics where its words say", func(t *testing.T) {
		_, err := p.Call(context.Background(), Invocation{Export: "panics"})
		var trap *Trap
		if !errors.As(err, &trap) || trap.Cause != "unreachable" || !strings.Contains(trap.Stack, "main.panics(") ||
			!strings.Contains(trap.Stderr, "panic: the plugin's own words") {
			t.Errorf("got %#v", err)
		}
	})
	t.Run("has crashed if it exits, whatever the code pretends", func(t *testing.T) {
		for _, code := range []uint64{3, 0xefffffff, 0xffffffff} {
			_, err := p.Call(context.Background(), Invocation{Export: "exits", Input: number(code)})
			var trap *Trap
			if !errors.As(err, &trap) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
				t.Errorf("exit %#x gave %#v, want a *Trap", code, err)
			}
		}
		output(t, p, Invocation{Export: "exits", Input: number(0)})
	})
	t.Run("finds no files, no network, no arguments and no environment", func(t *testing.T) {
		if got := output(t, p, Invocation{Export: "reach"}); got != "true true true true\n0 0" {
			t.Errorf("it reached %q", got)
		}
	})
	t.Run("sees a clock that stands, and sleeps without waiting", func(t *testing.T) {
		now := time.Date(2026, 3, 1, 12, 0, 0, 123000, time.UTC)
		if got, want := output(t, p, Invocation{Export: "clock", Now: now}), "2026-03-01T12:00:00.000123Z 1h0m0s"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := output(t, p, Invocation{Export: "clock"}); !strings.HasPrefix(got, "1970-01-01T00:00:00Z ") {
			t.Errorf("without a time it is %q, want 1970", got)
		}
	})
	t.Run("draws its random numbers from the seed", func(t *testing.T) {
		first := output(t, p, Invocation{Export: "random", Seed: [32]byte{1}})
		if again := output(t, p, Invocation{Export: "random", Seed: [32]byte{1}}); again != first {
			t.Errorf("the same seed gave %s, then %s", first, again)
		}
		if other := output(t, p, Invocation{Export: "random", Seed: [32]byte{2}}); other == first {
			t.Errorf("two seeds both gave %s", first)
		}
	})
	t.Run("has its lines logged, by source", func(t *testing.T) {
		var got []string
		output(t, p, Invocation{Export: "prints", Log: func(l LogLine) {
			got = append(got, fmt.Sprint(l.Level, " ", l.Source, " ", l.Text))
		}})
		want := []string{
			"INFO stdout to standard output", "WARN stderr to standard error",
			"INFO log by the log function", "INFO stdout no newline",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestNothingOfOneCallIsSeenByTheNext(t *testing.T) {
	p := loadProbe(t)
	for _, who := range []string{"one tenant", "another"} {
		if got := output(t, p, Invocation{Export: "visit", Input: []byte(who)}); got != "0 visits, 0 kept" {
			t.Errorf("%s found %q, want nothing", who, got)
		}
	}
}

func TestConcurrentCallsDoNotMeet(t *testing.T) {
	p := loadProbe(t)
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			in := strings.Repeat(fmt.Sprint(n), 1000)
			result, err := p.Call(context.Background(), Invocation{Export: "echo", Input: []byte(in)})
			if err != nil || string(result.Output) != in {
				t.Errorf("call %d: %v, or the output of another", n, err)
			}
		})
	}
	all.Wait()
}

func TestHostFunctions(t *testing.T) {
	p := loadProbe(t)
	t.Run("get a copy and lend a result", func(t *testing.T) {
		var seen [][]byte
		host := map[string]HostFunc{"probe": func(_ context.Context, args []byte) ([]byte, error) {
			seen = append(seen, args)
			args[0]++
			return []byte("answer to " + string(args)), nil
		}}
		result, err := p.Call(context.Background(), Invocation{Export: "call_host", Input: []byte("\x03abc"), Host: host})
		if err != nil || string(result.Output) != "answer to bbc" || result.HostCalls != 3 {
			t.Errorf("got %q after %d calls, %v", result.Output, result.HostCalls, err)
		}
		for _, args := range seen {
			if string(args) != "bbc" {
				t.Errorf("one call saw %q: what another wrote to its copy", args)
			}
		}
	})
	t.Run("get nil and give zero where there is nothing", func(t *testing.T) {
		host := map[string]HostFunc{"probe": func(_ context.Context, args []byte) ([]byte, error) {
			if args != nil {
				t.Errorf("args are %q, want nil", args)
			}
			return nil, nil
		}}
		if got := output(t, p, Invocation{Export: "call_host", Input: []byte("\x01"), Host: host}); got != "" {
			t.Errorf("got %q, want nothing", got)
		}
	})
	t.Run("see the deadline and the caller's values", func(t *testing.T) {
		type key struct{}
		ctx := context.WithValue(context.Background(), key{}, "trace")
		host := map[string]HostFunc{"probe": func(ctx context.Context, _ []byte) ([]byte, error) {
			if _, ok := ctx.Deadline(); !ok || ctx.Value(key{}) != "trace" {
				t.Errorf("deadline %v, value %v", ok, ctx.Value(key{}))
			}
			return nil, nil
		}}
		if _, err := p.Call(ctx, Invocation{Export: "call_host", Input: []byte("\x01"), Host: host}); err != nil {
			t.Error(err)
		}
	})
	broken := errors.New("the store is gone")
	for _, tt := range []struct {
		name string
		host map[string]HostFunc
		want string
	}{
		{"end the call with their error", map[string]HostFunc{"probe": func(context.Context, []byte) ([]byte, error) {
			return nil, broken
		}}, broken.Error()},
		{"end the call with their panic", map[string]HostFunc{"probe": func(context.Context, []byte) ([]byte, error) {
			panic("a bug of the host's")
		}}, "a bug of the host's"},
		{"must be there", nil, "does not offer it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			result, err := p.Call(context.Background(), Invocation{Export: "call_host", Input: []byte("\x05"), Host: tt.host})
			var fault *HostFault
			if !errors.As(err, &fault) || fault.Function != "probe" || !strings.Contains(fault.Error(), tt.want) {
				t.Errorf("got %v, want a *HostFault with %q", err, tt.want)
			}
			if result == nil || result.HostCalls != 1 || result.Output != nil {
				t.Errorf("result is %+v, want one host call and no output", result)
			}
		})
	}
}

func TestCallsThatCannotBe(t *testing.T) {
	p := loadProbe(t)
	if _, err := p.Call(context.Background(), Invocation{Export: "receive"}); !errors.Is(err, ErrNoExport) {
		t.Errorf("a missing export gave %v", err)
	}
	if _, err := p.Call(context.Background(), Invocation{Export: "memory"}); !errors.Is(err, ErrNoExport) {
		t.Errorf("a memory called as a function gave %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Call(ctx, Invocation{Export: "nop"}); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that had ended gave %v", err)
	}
}
