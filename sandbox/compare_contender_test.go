package sandbox

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	"github.com/seed75a60ee1/patchbay/sandbox/image"
	"github.com/seed75a60ee1/patchbay/sandbox/meter"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// contender is one way to have a plugin do its work.
type contender struct {
	name string
	// call does it once.
	call guest
	// another returns a caller for one more goroutine; nil if call is for all of them.
	another func() guest
	// many does it so often and says how long that took; nil for a loop over call.
	many func(calls int) (time.Duration, error)
}

// Names of contenders that budgets are about.
const (
	rowIsolated    = "patchbay: isolated, metered"
	rowReused      = "patchbay: reused, metered"
	rowUnmetered   = "patchbay's kernel: reused, not metered"
	rowSDKFresh    = "go-sdk: fresh instance, timeout"
	rowSDKPooled   = "go-sdk: pooled instance, timeout"
	rowEchoKB      = "echo 1 KB: patchbay, isolated"
	rowEchoMB      = "echo 1 MB: patchbay, isolated"
	sdkTimeout     = 5 * time.Second
	compareCorpus  = "testdata/corpus"
	compareService = "testdata/compare/serve.go"
)

// packedReceiver is the real plugin with its recordings inside, as a vendor packs it.
func packedReceiver(tb testing.TB) []byte {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(receivePlugin, compareCorpus, "*.json"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("%s has no recordings: %v", receivePlugin, err)
	}
	var corpus recording.Corpus
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		r, err := recording.Decode(data)
		if err != nil {
			tb.Fatalf("%s: %v", file, err)
		}
		corpus = append(corpus, recording.Entry{Name: strings.TrimSuffix(filepath.Base(file), ".json"), Recording: r})
	}
	section, err := corpus.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	wasm, err := binary.AppendCustom(buildPlugin(tb, receivePlugin), recording.Section, section)
	if err != nil {
		tb.Fatal(err)
	}
	return wasm
}

// webhook is the work that is compared: a message that a real platform posts.
type webhook struct {
	wasm      []byte
	world     *benchWorld
	functions map[string]HostFunc
	input     []byte
	want      []byte // what comes of it
}

// newWebhook makes the connection known, under our host.
func newWebhook(tb testing.TB) *webhook {
	tb.Helper()
	w := &webhook{wasm: packedReceiver(tb), world: newBenchWorld(tb, receivePlugin)}
	w.functions = w.world.functions()
	g := patchbay(w.load(tb, EngineOptions{}), w.functions)
	w.world.connect(tb, g)
	w.input = w.world.delivery("message.json")
	w.want = mustCall(tb, g, "receive", w.input)
	return w
}

// load is how the server loads a plugin: default limits, warmed up by its own recordings.
func (w *webhook) load(tb testing.TB, o EngineOptions) *Plugin {
	tb.Helper()
	p := loadWith(tb, o, w.wasm, w.loadOptions())
	if i := p.Image(); !i.Frozen || len(i.WarmUp) < 5 {
		tb.Fatalf("it is not frozen and warmed up: %+v", i)
	}
	return p
}

func (w *webhook) loadOptions() LoadOptions {
	return LoadOptions{HostFunctions: namesOf(w.functions), WarmUp: OwnRecordings}
}

func namesOf(functions map[string]HostFunc) []string {
	var names []string
	for name := range functions {
		names = append(names, name)
	}
	return names
}

// loadWith loads on an engine of its own that shares compiled code with the other tests.
func loadWith(tb testing.TB, o EngineOptions, wasm []byte, lo LoadOptions) *Plugin {
	tb.Helper()
	e := engineWith(tb, o)
	p, err := e.Load(context.Background(), wasm, lo)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func engineWith(tb testing.TB, o EngineOptions) *Engine {
	tb.Helper()
	o.CacheDir = filepath.Join(builds.dir, "cache")
	e, err := NewEngine(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return e
}

// contenders are the ways to have the webhook done, ours first.
func (w *webhook) contenders(tb testing.TB) []contender {
	tb.Helper()
	fresh := w.load(tb, EngineOptions{})
	fresh.source = &startedAnew{fresh.source, fresh.fresh}
	pooled := newReference(tb, w.wasm, w.functions, sdkTimeout)
	unwatched := newReference(tb, w.wasm, w.functions, 0)
	another := func() guest { return extismReused(tb, pooled) }
	list := []contender{
		{name: rowIsolated, call: w.under(w.load(tb, EngineOptions{}))},
		{name: "patchbay: isolated by compare-and-copy, metered", call: w.under(w.load(tb, EngineOptions{Tracking: image.Compare}))},
		{name: rowReused, call: w.under(reuse(w.load(tb, EngineOptions{})))},
		{name: rowUnmetered, call: w.under(warmed(tb, reuse(w.loadUnmetered(tb))))},
		{name: "patchbay: fresh instance, metered", call: w.under(fresh)},
		{name: rowSDKFresh, call: extismFresh(pooled)},
		{name: rowSDKPooled, call: another(), another: another},
		{name: "go-sdk: pooled instance, no timeout", call: extismReused(tb, unwatched)},
		{name: "go-sdk: compiled for each call, timeout", call: w.compiledEachTime(tb)},
	}
	return append(list, w.nativeContenders(tb)...)
}

func (w *webhook) under(p *Plugin) guest { return patchbay(p, w.functions) }

func reuse(p *Plugin) *Plugin {
	p.source = &oneInstance{from: p.source}
	return p
}

// startedAnew has every call begin with the plugin's start.
type startedAnew struct{ frozen, source source }

func (s *startedAnew) acquire(c *call) (*instance, error) { return s.source.acquire(c) }
func (s *startedAnew) release(i *instance, broken bool)   { s.source.release(i, broken) }
func (s *startedAnew) close()                             { s.frozen.close() }

// compiledEachTime keeps nothing between calls, as some gateways do.
func (w *webhook) compiledEachTime(tb testing.TB) guest {
	return func(export string, input []byte) ([]byte, error) {
		p := newReference(tb, w.wasm, w.functions, sdkTimeout)
		defer p.Close(context.Background())
		return extismFresh(p)(export, input)
	}
}

// loadUnmetered is [Engine.Load] without the rewriting: the module as wazero would have
// it, but for the globals that an instance of ours must have, which nothing in it uses.
// It is not frozen.
func (w *webhook) loadUnmetered(tb testing.TB) *Plugin {
	tb.Helper()
	e, ctx := engineWith(tb, EngineOptions{}), context.Background()
	limits, err := Limits{}.withDefaults()
	if err != nil {
		tb.Fatal(err)
	}
	p := newPlugin(e, limits)
	if err := p.admit(w.wasm, sha256.Sum256(w.wasm), namesOf(w.functions)); err != nil {
		tb.Fatal(err)
	}
	if err := p.bind(ctx); err != nil {
		tb.Fatal(err)
	}
	p.metered = unmetered(tb, p.spec.module)
	if p.compiled, err = e.compileOnce(ctx, p.runtime, p.metered.Wasm); err != nil {
		tb.Fatal(err)
	}
	p.besides, p.source = p.bytesBesides(), p.fresh
	e.plugins[p] = true
	return p
}

// warmed makes the calls that a frozen plugin is made with, so that what is reused without
// having been frozen begins where the others do.
func warmed(tb testing.TB, p *Plugin) *Plugin {
	tb.Helper()
	for _, inv := range append([]Invocation{{Export: warmUpExport}}, OwnRecordings(p.spec)...) {
		if _, err := p.Call(context.Background(), inv); err != nil {
			tb.Fatal(err)
		}
	}
	return p
}

// unmetered adds five exported globals to a module and leaves the rest as it is.
func unmetered(tb testing.TB, m *binary.Module) *meter.Module {
	tb.Helper()
	if m.HasStart {
		tb.Fatal("its start function would run before it has an instance")
	}
	names := [...]string{"compare:fuel", "compare:reserve", "compare:stack", "compare:deep", "compare:stop"}
	first := m.Space(binary.KindGlobal)
	globals := binary.AppendU32(nil, uint32(len(m.Globals)+len(names)))
	for _, s := range m.Sections {
		if s.ID == binary.SectionGlobal {
			globals = append(globals, s.Payload[len(binary.AppendU32(nil, uint32(len(m.Globals)))):]...)
		}
	}
	exports := binary.AppendU32(nil, uint32(len(m.Exports)+len(names)))
	for _, e := range m.Exports {
		exports = binary.AppendU32(append(binary.AppendName(exports, e.Name), byte(e.Kind)), e.Index)
	}
	for i, name := range names {
		const i64Const, end = 0x42, 0x0b
		globals = append(globals, byte(binary.I64), 1, i64Const, 0, end)
		exports = binary.AppendU32(append(binary.AppendName(exports, name), byte(binary.KindGlobal)), first+uint32(i))
	}
	return &meter.Module{
		Wasm: m.Rebuild(map[binary.SectionID][]byte{binary.SectionGlobal: globals, binary.SectionExport: exports}),
		Fuel: names[0], Reserve: names[1], Stack: names[2], Deep: names[3], Stop: names[4],
	}
}
