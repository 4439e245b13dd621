package hostile

import (
	"context"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/sandbox"
	w "github.com/seed75a60ee1/patchbay/tests/hostile/asm"
)

// importing is an animal that calls functions of extism:host/env.
func importing(name, want string, about time.Duration, locals string, body func(f func(name, signature string) []byte) []byte) animal {
	return animal{name: name, want: want, about: about, peak: 8 * mib, locals: locals, build: func(m *w.Module) []byte {
		return body(func(name, signature string) []byte { return w.Call(m.Import("extism:host/env", name, signature)) })
	}}
}

// hoards take the host's memory.
func hoards() []animal {
	table := animal{name: "a table that grows", want: "fuel", about: 300 * time.Millisecond, peak: 8 * mib, build: func(m *w.Module) []byte {
		m.Table(1)
		return w.Forever(w.NullFunc, w.I32(1), w.TableGrow, w.Drop)
	}}
	table.limits.Fuel = ration / 10
	memory := plain("a memory that grows and is written", 100*time.Millisecond, "ii",
		w.Loop, w.I32(1), w.MemoryGrow, w.I32(0), w.I32GtS, w.BrIf(0), w.End,
		w.Forever(w.LocalGet(0), w.I32(4096), w.I32Add, w.I32(32<<20-1), w.I32And, w.LocalTee(0), w.I64(-1), w.I64Store)).with(ration/10, 36*mib)
	output := func(name, want string, bytes int64, peak int64) animal {
		a := importing(name, want, 50*time.Millisecond, "", func(f func(name, signature string) []byte) []byte {
			alloc, set := f("alloc", "I:I"), f("output_set", "II:")
			return w.Code(w.I64(bytes), alloc, w.I64(bytes), set)
		})
		a.peak = peak
		return a
	}
	churn := func(name string, bytes int64, about time.Duration, peak int64) animal {
		a := importing(name, "fuel", about, "", func(f func(name, signature string) []byte) []byte {
			alloc, free := f("alloc", "I:I"), f("free", "I:")
			return w.Forever(w.I64(bytes), alloc, free)
		})
		a.peak = peak
		return a
	}
	many := func(name string, bytes int64, want string, peak int64) animal {
		a := importing(name, want, 200*time.Millisecond, "i", func(f func(name, signature string) []byte) []byte {
			alloc := f("alloc", "I:I")
			return w.Code(w.Loop, w.I64(bytes), alloc, w.Drop, w.LocalGet(0), w.I32(1), w.I32Add, w.LocalTee(0), w.I32(100_000), w.I32LtU, w.BrIf(0), w.End)
		})
		a.peak = peak
		return a
	}
	return []animal{
		memory, table,
		output("an output of five megabytes", "output_bytes", 5<<20, 16*mib),
		output("an output of a terabyte", "block_bytes", 1<<40, 8*mib),
		output("an output of all there is", "block_bytes", -1, 8*mib),
		churn("blocks of a byte, made and freed", 1, 400*time.Millisecond, 16*mib),
		churn("blocks of a megabyte, made and freed", mib, 300*time.Millisecond, 128*mib),
		churn("blocks of 16 megabytes, made and freed", 16*mib-100, 300*time.Millisecond, 128*mib),
		many("a hundred thousand blocks of a byte", 1, "calm", 16*mib),
		many("a hundred thousand blocks of a kilobyte", 1024, "calm", 48*mib),
		importing("blocks that are reset", "fuel", 400*time.Millisecond, "", func(f func(name, signature string) []byte) []byte {
			alloc, reset := f("alloc", "I:I"), f("reset", ":")
			return w.Forever(w.Repeat(100, w.I64(1), alloc, w.Drop), reset)
		}).with(ration, 32*mib),
	}
}

// floods call the host.
func floods() []animal {
	env := func(name, function, signature string, args []byte) animal {
		return importing(name, "fuel", 400*time.Millisecond, "", func(f func(name, signature string) []byte) []byte {
			call := f(function, signature)
			if strings.HasSuffix(signature, ":") {
				return w.Forever(args, call)
			}
			return w.Forever(args, call, w.Drop)
		}).with(ration, 64*mib)
	}
	wasi := func(name, function, signature string, about time.Duration, args ...[]byte) animal {
		return animal{name: name, want: "fuel", about: about, peak: 16 * mib, build: func(m *w.Module) []byte {
			f := m.Import("wasi_snapshot_preview1", function, signature)
			return w.Code(w.I32(511), w.MemoryGrow, w.Drop, w.Forever(w.Code(args...), w.Call(f), w.Drop))
		}}.with(ration, 48*mib)
	}
	poke := animal{name: "calls of a host function", want: "host_calls", about: 20 * time.Millisecond, peak: 8 * mib, build: func(m *w.Module) []byte {
		f := m.Import("extism:host/user", "poke", "I:I")
		return w.Forever(w.I64(0), w.Call(f), w.Drop)
	}, host: map[string]sandbox.HostFunc{"poke": func(context.Context, []byte) ([]byte, error) { return nil, nil }}}
	fat := poke
	fat.name, fat.want, fat.peak = "calls of a host function that answers much", "block_bytes", 16*mib
	fat.host = map[string]sandbox.HostFunc{"poke": func(context.Context, []byte) ([]byte, error) { return make([]byte, 100_000), nil }}
	// A vector of a megabyte at address 1024, and 1,024 vectors of nothing from 2048 on.
	vector := w.Code(w.I32(1024), w.I32(4096), w.I32Store, w.I32(1028), w.I32(mib), w.I32Store)
	return []animal{
		poke, fat,
		env("calls of a function that does nothing", "memory_bytes", ":I", nil),
		env("lengths of no block", "length", "I:I", w.I64(-1)),
		env("loads from no block", "load_u64", "I:I", w.I64(-1)),
		env("stores to no block", "store_u64", "II:", w.Code(w.I64(-1), w.I64(-1))),
		env("log lines without text", "log_error", "I:", w.I64(0)),
		env("failures without a message", "error_set", "I:", w.I64(77)),
		env("questions for the configuration", "config_get", "I:I", w.I64(1<<32)),
		wasi("standard output without a newline", "fd_write", "iiii:i", 100*time.Millisecond, vector, w.I32(1), w.I32(1024), w.I32(1), w.I32(0)),
		wasi("standard error without a newline", "fd_write", "iiii:i", 100*time.Millisecond, vector, w.I32(2), w.I32(1024), w.I32(1), w.I32(0)),
		wasi("writes of a thousand pieces of nothing", "fd_write", "iiii:i", 300*time.Millisecond, w.I32(1), w.I32(2048), w.I32(1024), w.I32(0)),
		wasi("writes of a thousand pieces of a page", "fd_write", "iiii:i", 300*time.Millisecond, w.I32(2), w.I32(2048), w.I32(1024), w.I32(0)).reading(2048, strings.Repeat("\x00\x00\x00\x00\x00\x10\x00\x00", 1024)),
		wasi("a thousand sleeps at once", "poll_oneoff", "iiii:i", 300*time.Millisecond, w.I32(mib), w.I32(2*mib), w.I32(1024), w.I32(0)),
		wasi("random bytes", "random_get", "ii:i", 300*time.Millisecond, w.I32(0), w.I32(32<<20)),
		wasi("readings of the clock", "clock_time_get", "iIi:i", 600*time.Millisecond, w.I32(1), w.I64(0), w.I32(0)),
		wasi("waiting for an hour", "poll_oneoff", "iiii:i", 300*time.Millisecond, w.I32(mib+24), w.I64(3600e9), w.I64Store, w.I32(mib), w.I32(2*mib), w.I32(1), w.I32(0)),
		wasi("closing files", "fd_close", "i:i", 300*time.Millisecond, w.I32(3)),
	}
}
