package sandbox

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	"github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
)

func TestLoadRefuses(t *testing.T) {
	imports := func(module, name, signature string) *wasmtest.Module {
		m := &wasmtest.Module{}
		m.Import(module, name, signature)
		m.Memory(1)
		return m
	}
	memory, table, none := &wasmtest.Module{}, &wasmtest.Module{}, &wasmtest.Module{}
	memory.Memory(513)
	table.Table(65537, -1)
	none.Import("extism:host/user", "block_write", "ii:I")
	foreign := &wasmtest.Module{}
	foreign.ImportMemory("env", "memory")
	badCode := &wasmtest.Module{}
	badCode.Func("run", ":i", "")
	for _, tt := range []struct {
		name   string
		module *wasmtest.Module
		want   string
	}{
		{
			"Extism's HTTP", imports("extism:host/env", "http_request", "II:I"),
			"plugin refused: import extism:host/env.http_request: it would reach any host the process can; " +
				"call http_send of extism:host/user, which is granted by host, method and path",
		},
		{
			"Extism's variables", imports("extism:host/env", "var_set", "II:"),
			"plugin refused: import extism:host/env.var_set: every call runs in an instance of its own, so that the value would be lost; " +
				"call kv_put of extism:host/user",
		},
		{
			"a host function that was not granted", imports("extism:host/user", "kv_put", "I:I"),
			"plugin refused: import extism:host/user.kv_put: the host does not offer it to this plugin; " +
				"list it in the manifest and have it granted, or do not call it",
		},
		{
			"a host function of another type", imports("extism:host/user", "kv_get", "i:I"),
			"plugin refused: import extism:host/user.kv_get: it is imported as (i32) -> i64; declare it as (i64) -> i64",
		},
		{
			"a bulk function of another type", imports("extism:host/user", "block_read", "I:I"),
			"plugin refused: import extism:host/user.block_read: it is imported as (i64) -> i64; declare it as (i64, i64, i32, i32) -> i64",
		},
		{
			"a function that Extism does not have", imports("extism:host/env", "exec", "I:I"),
			"plugin refused: import extism:host/env.exec: it is not in that module; build with a current Extism PDK",
		},
		{
			"a function that WASI does not have", imports("wasi_snapshot_preview1", "fork", ":i"),
			"plugin refused: import wasi_snapshot_preview1.fork: it is not in that module; build with a current Extism PDK",
		},
		{
			"a WASI function of another type", imports("wasi_snapshot_preview1", "proc_exit", "I:"),
			"plugin refused: import wasi_snapshot_preview1.proc_exit: it is imported as (i64) -> (); declare it as (i32) -> ()",
		},
		{
			"another module", imports("host", "to_upper", "I:I"),
			"plugin refused: import host.to_upper: no such module is offered; " +
				"import from extism:host/env, extism:host/user or wasi_snapshot_preview1 only; link other modules into this one",
		},
		{
			"a memory from outside", foreign,
			"plugin refused: import env.memory: it is a memory, and only functions are offered; define it in the module",
		},
		{"more memory than allowed", memory, "plugin refused: memory: it starts with 513 pages of 64 KiB; start with at most 512"},
		{"a larger table than allowed", table, "plugin refused: table: table 0 starts with 65537 entries; start with at most 65536"},
		{
			"bulk functions without a memory", none,
			"plugin refused: memory: it imports functions that work on its memory, and has none; define a memory",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newEngine(t).Load(context.Background(), tt.module.Bytes(), LoadOptions{HostFunctions: []string{"kv_get"}})
			if refusals := Refusals(err); len(refusals) != 1 || refusals[0].Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
	t.Run("code that is not valid", func(t *testing.T) {
		_, err := newEngine(t).Load(context.Background(), badCode.Bytes(), LoadOptions{})
		if refusals := Refusals(err); len(refusals) != 1 || refusals[0].Part != "code" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a file that is too large", func(t *testing.T) {
		_, err := newEngine(t).Load(context.Background(), run(), LoadOptions{Limits: Limits{ModuleBytes: 10}})
		if refusals := Refusals(err); len(refusals) != 1 || refusals[0].Part != "file" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a file that is no module", func(t *testing.T) {
		_, err := newEngine(t).Load(context.Background(), []byte("MZ"), LoadOptions{})
		var wrong *binary.Error
		if !errors.As(err, &wrong) {
			t.Errorf("got %v, want a *binary.Error", err)
		}
	})
}

func TestAllRefusalsComeAtOnce(t *testing.T) {
	m := &wasmtest.Module{}
	for range 2 {
		m.Import("extism:host/env", "http_request", "II:I")
	}
	m.Import("extism:host/env", "var_get", "I:I")
	for i := range 100 {
		m.Import("else", strings.Repeat("x", i+1), ":")
	}
	m.Memory(1000)
	_, err := newEngine(t).Load(context.Background(), m.Bytes(), LoadOptions{})
	refusals := Refusals(err)
	if len(refusals) != maxRefusals || refusals[0].Import != "extism:host/env.http_request" || refusals[1].Import != "extism:host/env.var_get" {
		t.Errorf("got %d refusals, the first two %v, %v", len(refusals), refusals[0], refusals[1])
	}
	if want := "and 71 more refusals"; !strings.HasSuffix(err.Error(), want) {
		t.Errorf("it does not end with %q", want)
	}
}

func TestStatusAndHeadersAloneAreHarmless(t *testing.T) {
	m := &wasmtest.Module{}
	status := m.Import("extism:host/env", "http_status_code", ":i")
	m.Import("extism:host/env", "http_headers", ":I")
	m.Func("run", ":i", "", wasmtest.Call(status))
	output(t, load(t, m.Bytes(), LoadOptions{}), Invocation{Export: "run"})
}

// TestAFewBytesCannotAskForGigabytes holds what makes it safe to show a module to
// wazero, which allocates what counts ask for.
func TestAFewBytesCannotAskForGigabytes(t *testing.T) {
	huge := "\xff\xff\xff\xff\x0f"
	e := newEngine(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, section := range []struct {
		id      byte
		payload string
	}{
		{1, huge}, {2, huge}, {3, huge}, {4, huge}, {6, huge}, {7, huge}, {9, huge}, {10, huge}, {11, huge},
		{4, "\x01\x70\x00" + huge}, {1, "\x01\x60" + huge}, {9, "\x01\x01\x00" + huge}, {11, "\x01\x01" + huge},
		{0, "\x04name\x01\x06" + huge}, {0, "\x04name\x02\x08\x01\x00" + huge},
	} {
		wasm := append([]byte("\x00asm\x01\x00\x00\x00"), wasmtest.Section(section.id, []byte(section.payload))...)
		p, err := e.Load(context.Background(), wasm, LoadOptions{})
		if (err == nil) != (section.id == 0) {
			t.Errorf("section %d with %q: %v", section.id, section.payload, err)
		}
		if p != nil {
			p.Close(context.Background())
		}
	}
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 64<<20 {
		t.Errorf("refusing them took %d bytes", after.TotalAlloc-before.TotalAlloc)
	}
}
