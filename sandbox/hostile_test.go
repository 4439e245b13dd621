package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	w "github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
)

// forever is an endless loop.
var forever = w.Code(w.Loop, w.Br(0), w.End)

// once loads a module, calls its export "run" and returns what came of it, with the
// lines it logged.
func once(t *testing.T, wasm []byte, o LoadOptions, inv Invocation) (*Result, []string, error) {
	t.Helper()
	var lines []string
	inv.Export, inv.Log = "run", func(l LogLine) { lines = append(lines, fmt.Sprint(l.Source, " ", l.Text)) }
	result, err := load(t, wasm, o).Call(context.Background(), inv)
	return result, lines, err
}

func wantLimit(t *testing.T, err error, limit string) {
	t.Helper()
	var met *LimitError
	if !errors.As(err, &met) || met.Limit != limit || met.Used < met.Allowed {
		t.Errorf("got %#v (%v), want the limit %s", err, err, limit)
	}
}

func TestAnEndlessLoopRunsOutOfFuel(t *testing.T) {
	start, init := &w.Module{}, &w.Module{}
	start.Func("run", ":", "")
	start.Start(start.Func("", ":", "", forever))
	init.Func("run", ":", "")
	init.Func("_initialize", ":", "", forever)
	for name, wasm := range map[string][]byte{
		"in the export": run(forever), "in the start function": start.Bytes(), "in the initialisation": init.Bytes(),
	} {
		t.Run(name, func(t *testing.T) {
			result, _, err := once(t, wasm, LoadOptions{Limits: Limits{Fuel: 1_000_000}}, Invocation{})
			var met *LimitError
			if !errors.As(err, &met) || *met != (LimitError{Limit: "fuel", Allowed: 1_000_000, Used: result.Fuel}) || result.Fuel > 1_000_100 {
				t.Errorf("got %#v after %d units, want all of the fuel and hardly more", err, result.Fuel)
			}
		})
	}
}

func TestAnInvocationCanAskForLessTimeNotForMore(t *testing.T) {
	m := &w.Module{}
	f := m.Import("extism:host/user", "wait", "I:I")
	m.Func("run", ":", "", w.I64Const(0), w.Call(f), w.Drop)
	p := load(t, m.Bytes(), LoadOptions{HostFunctions: []string{"wait"}, Limits: Limits{Deadline: 30 * time.Millisecond}})
	host := map[string]HostFunc{"wait": func(ctx context.Context, _ []byte) ([]byte, error) {
		<-ctx.Done()
		return nil, nil
	}}
	for _, d := range []time.Duration{time.Millisecond, time.Hour} {
		began := time.Now()
		if _, err := p.Call(context.Background(), Invocation{Export: "run", Host: host, Deadline: d}); err != nil {
			t.Errorf("asked for %v: %v; what ends in time is not blamed", d, err)
		}
		if took := time.Since(began); took < min(d, 30*time.Millisecond) || took > 10*time.Second {
			t.Errorf("asked for %v: the function was told after %v", d, took)
		}
	}
}

func TestTheDeadlineReachesIntoHostFunctions(t *testing.T) {
	m := &w.Module{}
	f := m.Import("extism:host/user", "wait", "I:I")
	m.Func("run", ":", "", w.I64Const(0), w.Call(f), w.Drop)
	host := map[string]HostFunc{"wait": func(ctx context.Context, _ []byte) ([]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	_, _, err := once(t, m.Bytes(), LoadOptions{HostFunctions: []string{"wait"}}, Invocation{Host: host, Deadline: 10 * time.Millisecond})
	wantLimit(t, err, "deadline")
}

func TestACallerThatGoesAwayIsNotADeadline(t *testing.T) {
	m := &w.Module{}
	f := m.Import("extism:host/user", "leave", "I:I")
	m.Func("run", ":", "", w.I64Const(0), w.Call(f), w.Drop, forever)
	gone := errors.New("the platform hung up")
	ctx, cancel := context.WithCancelCause(context.Background())
	host := map[string]HostFunc{"leave": func(context.Context, []byte) ([]byte, error) {
		cancel(gone)
		return nil, nil
	}}
	p := load(t, m.Bytes(), LoadOptions{HostFunctions: []string{"leave"}, Limits: Limits{Fuel: 1_000_000}})
	_, err := p.Call(ctx, Invocation{Export: "run", Host: host})
	var met *LimitError
	if !errors.Is(err, gone) || errors.As(err, &met) {
		t.Errorf("got %v, want the caller's own reason", err)
	}
}

func TestMemoryAndTablesGrowToTheirLimits(t *testing.T) {
	for _, tt := range []struct {
		name string
		grow []byte
		want int32
	}{
		{"memory, up to it", w.Code(w.I32Const(15), w.MemoryGrow), 1},
		{"memory, beyond it", w.Code(w.I32Const(16), w.MemoryGrow), -1},
		{"memory, by four gigabytes", w.Code(w.I32Const(-1), w.MemoryGrow), -1},
		{"a table, up to it", w.Code(w.NullFunc, w.I32Const(99), w.TableGrow), 1},
		{"a table, beyond it", w.Code(w.NullFunc, w.I32Const(100), w.TableGrow), -1},
		{"a table, by four billion", w.Code(w.NullFunc, w.I32Const(-1), w.TableGrow), -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &w.Module{}
			m.Memory(1)
			m.Table(1, -1)
			m.Func("run", ":i", "", tt.grow)
			result, _, err := once(t, m.Bytes(), LoadOptions{Limits: Limits{MemoryPages: 16, TableEntries: 100}}, Invocation{})
			var failed *GuestError
			if !errors.As(err, &failed) || failed.Code != tt.want {
				t.Errorf("the plugin was told %v, want %d", err, tt.want)
			}
			if result.MemoryBytes > 16<<16 {
				t.Errorf("it has %d bytes of memory", result.MemoryBytes)
			}
		})
	}
}

func TestTraps(t *testing.T) {
	inner := &w.Module{}
	inner.Func("run", ":", "", w.Call(1))
	inner.Func("", ":", "", w.Unreachable)
	inner.Custom("name", []byte("\x01\x0b\x02\x00\x03run\x01\x03bad"))
	data := &w.Module{}
	data.Memory(1)
	data.Func("run", ":", "")
	data.Data(65535, "too long")
	start := &w.Module{}
	start.Func("run", ":", "")
	start.Func("_initialize", ":", "", w.Unreachable)
	early := &w.Module{}
	exit := early.Import("wasi_snapshot_preview1", "proc_exit", "i:")
	early.Memory(1)
	early.Func("run", ":", "")
	early.Func("_initialize", ":", "", w.I32Const(0), w.Call(exit))
	for _, tt := range []struct {
		name         string
		wasm         []byte
		cause, stack string
	}{
		{"an instruction that cannot be, named", inner.Bytes(), "unreachable", ".bad()\n.run()"},
		{"memory out of bounds", run(w.I32Const(-1), w.I64Load, w.Drop), "out of bounds memory access", "run() i32"},
		{"data that does not fit the memory", data.Bytes(), "in instantiation: ", ""},
		{"an initialisation that never comes back", early.Bytes(), "in _initialize: exit code 0", ""},
		{"an initialisation that fails", start.Bytes(), "in _initialize: unreachable", "_initialize()"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := once(t, tt.wasm, LoadOptions{}, Invocation{})
			var trap *Trap
			if !errors.As(err, &trap) || !strings.HasPrefix(trap.Cause, tt.cause) || !strings.Contains(trap.Stack, tt.stack) || trap.Export != "run" {
				t.Errorf("got %#v, want cause %q and stack %q", err, tt.cause, tt.stack)
			}
		})
	}
}

func TestARecursionWithoutEndRunsOutOfStack(t *testing.T) {
	m := &w.Module{}
	m.Func("run", ":", "", w.Call(0))
	_, _, err := once(t, m.Bytes(), LoadOptions{Limits: Limits{StackBytes: 1 << 20}}, Invocation{})
	wantLimit(t, err, "stack_bytes")
}

func TestOutputsAreBounded(t *testing.T) {
	allocate := func(n int64) []byte {
		m := &w.Module{}
		alloc, set := m.Import("extism:host/env", "alloc", "I:I"), m.Import("extism:host/env", "output_set", "II:")
		m.Func("run", ":", "", w.I64Const(n), w.Call(alloc), w.I64Const(n), w.Call(set))
		return m.Bytes()
	}
	limits := LoadOptions{Limits: Limits{OutputBytes: 1000, BlockBytes: 2000}}
	if result, _, err := once(t, allocate(1000), limits, Invocation{}); err != nil || len(result.Output) != 1000 {
		t.Errorf("1000 of 1000 bytes: %v", err)
	}
	_, _, err := once(t, allocate(1001), limits, Invocation{})
	wantLimit(t, err, "output_bytes")
	_, _, err = once(t, allocate(1<<40), limits, Invocation{})
	wantLimit(t, err, "block_bytes")
	_, _, err = once(t, run(), limits, Invocation{Input: make([]byte, 2001)})
	wantLimit(t, err, "block_bytes")
}

func TestHostCallsAndTheirResultsAreBounded(t *testing.T) {
	p := load(t, buildPlugin(t, "testdata/probe"), LoadOptions{
		HostFunctions: []string{"probe"}, Limits: Limits{HostCalls: 10, BlockBytes: 1000},
	})
	calls := 0
	host := map[string]HostFunc{"probe": func(context.Context, []byte) ([]byte, error) {
		calls++
		return nil, nil
	}}
	_, err := p.Call(context.Background(), Invocation{Export: "storm", Input: number(11), Host: host})
	if wantLimit(t, err, "host_calls"); calls != 10 {
		t.Errorf("%d calls were made, want 10", calls)
	}
	host["probe"] = func(context.Context, []byte) ([]byte, error) { return make([]byte, 2000), nil }
	_, err = p.Call(context.Background(), Invocation{Export: "call_host", Input: []byte("\x01"), Host: host})
	wantLimit(t, err, "block_bytes")
}

func TestAFloodOfLogLinesIsCountedAndDropped(t *testing.T) {
	p := load(t, buildPlugin(t, "testdata/probe"), LoadOptions{
		HostFunctions: []string{"probe"}, Limits: Limits{LogLines: 7, LogLineBytes: 5},
	})
	var lines []string
	_, err := p.Call(context.Background(), Invocation{Export: "flood", Input: number(1000), Log: func(l LogLine) {
		lines = append(lines, l.Text)
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(lines, "|")
	if want := "line|line|line|line|line|line|line|1993 more lines were dropped; 7 are allowed"; strings.ReplaceAll(got, "line ", "line") != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAWriteOfAMillionPiecesIsRefused(t *testing.T) {
	m := &w.Module{}
	write := m.Import("wasi_snapshot_preview1", "fd_write", "iiii:i")
	m.Memory(200)
	m.Func("run", ":i", "", w.I32Const(1), w.I32Const(0), w.I32Const(1<<20), w.I32Const(0), w.Call(write))
	_, lines, err := once(t, m.Bytes(), LoadOptions{}, Invocation{})
	var failed *GuestError
	if !errors.As(err, &failed) || failed.Code != wasiInvalid || len(lines) != 0 {
		t.Errorf("got %v and %d lines, want errno %d and none", err, len(lines), wasiInvalid)
	}
}

func TestWhatWorksByACountIsChargedByIt(t *testing.T) {
	m := &w.Module{}
	write := m.Import("wasi_snapshot_preview1", "fd_write", "iiii:i")
	poll := m.Import("wasi_snapshot_preview1", "poll_oneoff", "iiii:i")
	get := m.Import("wasi_snapshot_preview1", "random_get", "ii:i")
	m.Memory(2)
	m.Func("fd_write", ":i", "", w.I32Const(1), w.I32Const(0), w.I32Const(1024), w.I32Const(1<<16), w.Call(write))
	m.Func("poll_oneoff", ":i", "", w.I32Const(0), w.I32Const(1<<16), w.I32Const(1024), w.I32Const(8), w.Call(poll))
	m.Func("random_get", ":i", "", w.I32Const(0), w.I32Const(10_000), w.Call(get))
	p := load(t, m.Bytes(), LoadOptions{})
	for export, least := range map[string]int64{"fd_write": 1024 * unitsPerVector, "poll_oneoff": 1024 * unitsPerPoll, "random_get": 10_000} {
		result, err := p.Call(context.Background(), Invocation{Export: export})
		if err != nil || result.Fuel < least || result.Fuel > least+200 {
			t.Errorf("%s used %d units, want %d and a call's: %v", export, result.Fuel, least, err)
		}
	}
}

func TestForgedHandlesAreHarmlessAndToldOf(t *testing.T) {
	m := &w.Module{}
	store, load64 := m.Import("extism:host/env", "store_u64", "II:"), m.Import("extism:host/env", "load_u64", "I:I")
	log := m.Import("extism:host/env", "log_info", "I:")
	m.Func("run", ":i", "",
		w.I64Const(1<<32-12), w.I64Const(-12), w.Call(store), w.I64Const(1<<32), w.Call(log), w.I64Const(-1), w.Call(load64), w.Wrap)
	input := []byte("what the host lent")
	_, lines, err := once(t, m.Bytes(), LoadOptions{}, Invocation{Input: input})
	if err != nil || string(input) != "what the host lent" {
		t.Errorf("got %v, and the input is %q", err, input)
	}
	want := "log what the host lent|sandbox the plugin used memory that is not in a block 2 times, first in store_u64(0xfffffff4)"
	if got := strings.Join(lines, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAPluginIsNotKeptWhenItsCallIsOver(t *testing.T) {
	p := load(t, buildPlugin(t, "testdata/probe"), LoadOptions{HostFunctions: []string{"probe"}})
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	in := bytes.Repeat([]byte("x"), 1<<16)
	for range 3 {
		output(t, p, Invocation{Export: "echo", Input: in})
	}
	before := heap()
	for range 20 {
		output(t, p, Invocation{Export: "echo", Input: in})
		if _, err := p.Call(context.Background(), Invocation{Export: "panics"}); err == nil {
			t.Fatal("it did not panic")
		}
	}
	if after := heap(); after > before+8<<20 {
		t.Errorf("40 calls left %d bytes behind", after-before)
	}
}

func TestAPollOfMoreThanMemoryHoldsIsRefused(t *testing.T) {
	m := &w.Module{}
	poll := m.Import("wasi_snapshot_preview1", "poll_oneoff", "iiii:i")
	m.Memory(1)
	// times 48 and times 32, both are zero in 32 bits
	m.Func("run", ":i", "", w.I32Const(0), w.I32Const(1024), w.I32Const(1<<28), w.I32Const(64), w.Call(poll))
	_, _, err := once(t, m.Bytes(), LoadOptions{}, Invocation{})
	var failed *GuestError
	if !errors.As(err, &failed) || failed.Code != wasiInvalid {
		t.Errorf("got %v, want errno %d", err, wasiInvalid)
	}
}
