package sandbox

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	extism "github.com/extism/go-sdk"
)

// guest is a plugin under some host: it calls an export and returns the output.
type guest func(export string, input []byte) ([]byte, error)

// hosts are the ways to run a plugin that the benchmarks set side by side. Each makes
// a guest of the module, with the same host functions.
var hosts = []struct {
	name string
	make func(tb testing.TB, wasm []byte, functions map[string]HostFunc) guest
}{
	{"patchbay", func(tb testing.TB, wasm []byte, functions map[string]HostFunc) guest {
		return patchbay(benchPlugin(tb, wasm, functions), functions)
	}},
	{"extism-fresh-timeout", func(tb testing.TB, wasm []byte, functions map[string]HostFunc) guest {
		return extismFresh(newReference(tb, wasm, functions, 5*time.Second))
	}},
	{"extism-fresh", func(tb testing.TB, wasm []byte, functions map[string]HostFunc) guest {
		return extismFresh(newReference(tb, wasm, functions, 0))
	}},
	{"patchbay-reused", func(tb testing.TB, wasm []byte, functions map[string]HostFunc) guest {
		p := benchPlugin(tb, wasm, functions)
		p.source = &oneInstance{from: p.source}
		return patchbay(p, functions)
	}},
	{"extism-reused-timeout", func(tb testing.TB, wasm []byte, functions map[string]HostFunc) guest {
		return extismReused(tb, newReference(tb, wasm, functions, 5*time.Second))
	}},
	{"extism-reused", func(tb testing.TB, wasm []byte, functions map[string]HostFunc) guest {
		return extismReused(tb, newReference(tb, wasm, functions, 0))
	}},
}

// oneInstance hands out the same instance again and again, so that a benchmark can
// tell the cost of a call from that of an instance. Nothing is reset.
type oneInstance struct {
	from source
	i    *instance
}

func (o *oneInstance) acquire(c *call) (*instance, error) {
	if o.i == nil {
		var err error
		o.i, err = o.from.acquire(c)
		return o.i, err
	}
	c.world = calling(c.invocation, callingAt)
	c.begin(o.i)
	return o.i, nil
}

func (o *oneInstance) release(*instance, bool) {}

func (o *oneInstance) close() {
	if o.i != nil {
		o.i.discard()
	}
	o.from.close()
}

func benchPlugin(tb testing.TB, wasm []byte, functions map[string]HostFunc) *Plugin {
	var names []string
	for name := range functions {
		names = append(names, name)
	}
	return load(tb, wasm, LoadOptions{HostFunctions: names, Limits: Limits{HostCalls: 1 << 30, Deadline: time.Hour}})
}

func patchbay(p *Plugin, functions map[string]HostFunc) guest {
	return func(export string, input []byte) ([]byte, error) {
		result, err := p.Call(context.Background(), Invocation{Export: export, Input: input, Host: functions})
		if err != nil {
			return nil, err
		}
		return result.Output, nil
	}
}

func extismFresh(p *extism.CompiledPlugin) guest {
	return func(export string, input []byte) ([]byte, error) {
		i, err := p.Instance(context.Background(), extism.PluginInstanceConfig{})
		if err != nil {
			return nil, err
		}
		defer i.Close(context.Background())
		_, output, err := i.Call(export, input)
		return output, err
	}
}

func extismReused(tb testing.TB, p *extism.CompiledPlugin) guest {
	i, err := p.Instance(context.Background(), extism.PluginInstanceConfig{})
	if err != nil {
		tb.Fatal(err)
	}
	return func(export string, input []byte) ([]byte, error) {
		_, output, err := i.Call(export, input)
		return output, err
	}
}

// sideBySide runs a benchmark under every host.
func sideBySide(b *testing.B, dir string, functions map[string]HostFunc, run func(b *testing.B, g guest)) {
	wasm := buildPlugin(b, dir)
	for _, h := range hosts {
		b.Run(h.name, func(b *testing.B) {
			g := h.make(b, wasm, functions)
			b.ReportAllocs()
			run(b, g)
		})
	}
}

func mustCall(tb testing.TB, g guest, export string, input []byte) []byte {
	tb.Helper()
	output, err := g(export, input)
	if err != nil {
		tb.Fatal(err)
	}
	return output
}

var noAnswer = map[string]HostFunc{"probe": func(context.Context, []byte) ([]byte, error) { return nil, nil }}

// BenchmarkNop is an export that does nothing: what a call costs before it begins.
func BenchmarkNop(b *testing.B) {
	sideBySide(b, "testdata/probe", noAnswer, func(b *testing.B, g guest) {
		for b.Loop() {
			mustCall(b, g, "nop", nil)
		}
	})
}

// BenchmarkEcho is a payload in and out again.
func BenchmarkEcho(b *testing.B) {
	for name, size := range map[string]int{"1KB": 1 << 10, "1MB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			input := slices.Repeat([]byte("0123456789abcdef"), size/16)
			sideBySide(b, "testdata/probe", noAnswer, func(b *testing.B, g guest) {
				b.SetBytes(int64(size))
				for b.Loop() {
					if got := mustCall(b, g, "echo", input); len(got) != size {
						b.Fatalf("%d bytes came back", len(got))
					}
				}
			})
		})
	}
}

// BenchmarkHostCall is one call of a host function, of as many within one invocation
// as the benchmark wants.
func BenchmarkHostCall(b *testing.B) {
	wasm := buildPlugin(b, "testdata/probe")
	for _, h := range hosts {
		b.Run(h.name, func(b *testing.B) {
			g := h.make(b, wasm, noAnswer)
			b.ReportAllocs()
			mustCall(b, g, "storm", number(1))
			b.ResetTimer()
			mustCall(b, g, "storm", number(uint64(b.N)))
		})
	}
}

// receivePlugin is a real plugin, if this checkout has it.
const receivePlugin = "../plugins/elma365"

// BenchmarkReceive is a real webhook through a real plugin.
func BenchmarkReceive(b *testing.B) {
	if _, err := os.Stat(receivePlugin); err != nil {
		b.Skipf("no plugin to run: %v", err)
	}
	world := newBenchWorld(b, receivePlugin)
	sideBySide(b, receivePlugin, world.functions(), func(b *testing.B, g guest) {
		world.connect(b, g)
		input := world.delivery("message.json")
		want := mustCall(b, g, "receive", input)
		for b.Loop() {
			if got := mustCall(b, g, "receive", input); len(got) < len(want)/2 {
				b.Fatalf("it answered %s, and before %s", got, want)
			}
		}
	})
}

// BenchmarkLoad is what admits a plugin: all of it, and with the code compiled before.
func BenchmarkLoad(b *testing.B) {
	wasm := buildPlugin(b, "testdata/probe")
	for _, cached := range []bool{false, true} {
		b.Run(fmt.Sprint("cached=", cached), func(b *testing.B) {
			dir := ""
			if cached {
				dir = b.TempDir()
			}
			loadOnce := func() {
				e, err := NewEngine(EngineOptions{CacheDir: dir})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := e.Load(context.Background(), wasm, LoadOptions{HostFunctions: []string{"probe"}}); err != nil {
					b.Fatal(err)
				}
				if err := e.Close(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
			loadOnce()
			for b.Loop() {
				loadOnce()
			}
		})
	}
}
