package hostile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/sandbox"
	w "github.com/seed75a60ee1/patchbay/tests/hostile/asm"
)

// early is a module that does harm before it is asked anything. Its export "run" tells by
// its code what is in its memory.
func early(export string, body func(m *w.Module) []byte) []byte {
	m := &w.Module{}
	code := body(m)
	m.Memory(1)
	m.Func(export, ":", "ii", code)
	m.Func("run", ":i", "", w.I32(0), w.I32Load)
	return m.Bytes()
}

func TestWhatIsCalledForTheHostsSakeMayFailAndDoNoMore(t *testing.T) {
	e := newEngine(t, sandbox.EngineOptions{MemoryBytes: 256 * mib})
	n := moveIn(t, e)
	just := func(code ...[]byte) func(*w.Module) []byte {
		return func(*w.Module) []byte { return w.Code(code...) }
	}
	write := w.Code(w.I32(0), w.I32(7), w.I32Store)
	calls := func(module, name, signature string, args []byte) func(*w.Module) []byte {
		return func(m *w.Module) []byte {
			code := w.Code(write, args, w.Call(m.Import(module, name, signature)))
			if !strings.HasSuffix(signature, ":") {
				code = append(code, w.Drop...)
			}
			return code
		}
	}
	for _, tt := range []struct {
		name, export string
		body         func(m *w.Module) []byte
		frozen       bool
		want         string // what becomes of a call
	}{
		{"a warm-up that loops", "patchbay_warm_up", just(write, w.Forever()), true, "failed 0"},
		{"a warm-up that traps", "patchbay_warm_up", just(write, w.Unreachable), true, "failed 0"},
		{"a warm-up without end of calls", "patchbay_warm_up", func(m *w.Module) []byte { return w.Call(m.Next()) }, true, "failed 0"},
		{"a warm-up that takes all memory", "patchbay_warm_up", just(write, w.I32(511), w.MemoryGrow, w.Drop, w.I32(1), w.I32(1), w.I32(32<<20-1), w.MemoryFill), true, "failed 16843015"},
		{"a warm-up that calls the host", "patchbay_warm_up", calls("extism:host/user", "poke", "I:I", w.I64(0)), true, "failed 0"},
		{"a warm-up that reads the configuration", "patchbay_warm_up", calls("extism:host/env", "config_get", "I:I", w.I64(1<<32)), true, "failed 7"},
		{"a warm-up that reads the input", "patchbay_warm_up", calls("extism:host/env", "input_length", ":I", nil), true, "failed 7"},
		{"a warm-up that logs", "patchbay_warm_up", calls("extism:host/env", "log_error", "I:", w.I64(0)), true, "failed 7"},
		{"a warm-up that ends the program", "patchbay_warm_up", calls("wasi_snapshot_preview1", "proc_exit", "i:", w.I32(0)), true, "failed 7"},
		{"a warm-up that draws numbers", "patchbay_warm_up", calls("wasi_snapshot_preview1", "random_get", "ii:i", w.Code(w.I32(0), w.I32(4))), true, "failed 0"},
		{"a start that loops", "_initialize", just(w.Forever()), false, "fuel"},
		{"a start that takes nearly all fuel", "_initialize", just(w.I32(5_000_000/6), w.LocalSet(0), w.Loop, w.LocalGet(0), w.I32(1), w.I32Sub, w.LocalTee(0), w.BrIf(0), w.End), true, "calm"},
		{"a start that calls the host", "_initialize", calls("extism:host/user", "poke", "I:I", w.I64(0)), false, "poked"},
		{"a start that ends the program", "_initialize", calls("wasi_snapshot_preview1", "proc_exit", "i:", w.I32(0)), false, "trap in _initialize: exit code 0"},
		{"a start that makes a table of everything", "_initialize", func(m *w.Module) []byte {
			m.Table(1)
			return w.Code(w.NullFunc, w.I32(65535), w.TableGrow, w.Drop)
		}, false, "calm"},
		{"a reseeding that loops", "patchbay_reseed", just(w.Forever()), true, "fuel"},
		{"a reseeding that traps", "patchbay_reseed", just(w.Unreachable), true, "trap in patchbay_reseed: unreachable"},
		{"a reseeding that calls the host", "patchbay_reseed", calls("extism:host/user", "poke", "I:I", w.I64(0)), true, "poked"},
		{"a reseeding that takes all memory", "patchbay_reseed", just(w.I32(511), w.MemoryGrow, w.Drop, w.I32(0), w.I32(0), w.I32(32<<20), w.MemoryFill), true, "calm"},
		{"a reseeding without end of calls", "patchbay_reseed", func(m *w.Module) []byte { return w.Call(m.Next()) }, true, "stack_bytes"},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "-"), func(t *testing.T) {
			var p *sandbox.Plugin
			wasm := early(tt.export, tt.body)
			limits := sandbox.Limits{Fuel: 8_000_000}
			cost := measure(t, func() { p = load(t, e, wasm, sandbox.LoadOptions{Limits: limits, HostFunctions: []string{"poke"}}) })
			cost.within(t, 200*time.Millisecond, 64*mib)
			if image := p.Image(); image.Frozen != tt.frozen || !image.Frozen && image.Why == "" {
				t.Errorf("frozen is %v (%s), want %v", image.Frozen, image.Why, tt.frozen)
			}
			for range 3 {
				poked := 0
				host := map[string]sandbox.HostFunc{"poke": func(context.Context, []byte) ([]byte, error) {
					poked++
					return nil, nil
				}}
				_, err := p.Call(context.Background(), sandbox.Invocation{Export: "run", Host: host, Config: map[string]string{"k": "v"}})
				var failed *sandbox.GuestError
				switch {
				case tt.want == "poked":
					if poked != 1 {
						t.Errorf("the host function was called %d times within the call, want once: %v", poked, err)
					}
				case strings.HasPrefix(tt.want, "failed "):
					want := strings.TrimPrefix(tt.want, "failed ")
					if got := code(err); got != want {
						t.Errorf("its memory begins with %s (%v), want %s", got, err, want)
					}
				case errors.As(err, &failed) || as(err) != tt.want:
					t.Errorf("ended with %s (%v), want %s", as(err), err, tt.want)
				}
				if tt.want != "poked" && poked != 0 {
					t.Errorf("the host function was called %d times", poked)
				}
			}
			n.unmoved(tt.name)
		})
	}
}

// code is what run returned.
func code(err error) string {
	var failed *sandbox.GuestError
	switch {
	case err == nil:
		return "0"
	case errors.As(err, &failed):
		return fmt.Sprint(failed.Code)
	}
	return as(err)
}

func TestNamesThatMeanHarm(t *testing.T) {
	e := newEngine(t, sandbox.EngineOptions{})
	n := moveIn(t, e)
	for _, name := range []string{"patchbay:fuel", "patchbay:reserve", "patchbay:stack", "patchbay:start", "patchbay:global:0", "patchbay:"} {
		for kind := range byte(4) {
			m := &w.Module{}
			m.Memory(1)
			m.Table(1)
			m.Global(1 << 60)
			m.Func("run", ":", "")
			m.Export(name, kind, 0)
			if _, err := e.Load(context.Background(), m.Bytes(), sandbox.LoadOptions{}); err == nil || !strings.Contains(err.Error(), "patchbay:") {
				t.Errorf("an export of kind %d named %q: %v, want a refusal that names it", kind, name, err)
			}
		}
	}
	for _, name := range []string{"", "\x00", "run\x1b[2J\r\n", "\u202ereversed", strings.Repeat("n", 1<<20), "memory ", "../../run", "run\ninjected=1", "%s%n%d", "\xff\xfe"} {
		m := &w.Module{}
		f := m.Import("extism:host/user", "poke", "I:I")
		m.Memory(1)
		m.Func("run", ":", "", w.I64(0), w.Call(f), w.Drop)
		m.Func(name, ":", "", w.Unreachable)
		p, err := e.Load(context.Background(), m.Bytes(), sandbox.LoadOptions{HostFunctions: []string{"poke"}})
		if err != nil {
			if len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\x00\x1b\r") {
				t.Errorf("an export named %.40q is refused with %.2000q", name, err)
			}
			continue
		}
		_, err = p.Call(context.Background(), sandbox.Invocation{Export: name})
		var trap *sandbox.Trap
		if name != "" && !errors.As(err, &trap) {
			t.Errorf("the export %.40q ended with %v, want a trap", name, err)
		}
	}
	// An import's name comes into a refusal, and into what an operator reads.
	for _, name := range []string{"\x1b[2J", strings.Repeat("x", 1<<20), "a\nb", "\xff"} {
		m := &w.Module{}
		m.Import("extism:host/user", name, "I:I")
		m.Func("run", ":", "")
		_, err := e.Load(context.Background(), m.Bytes(), sandbox.LoadOptions{HostFunctions: []string{"poke"}})
		if err == nil || len(err.Error()) > 1000 {
			t.Errorf("an import named %.40q: %.2000v", name, err)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("an import named %.40q is refused with control characters: %q", name, err)
		}
	}
	n.unmoved("names")
}
