package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/sandbox/internal/wasmtest"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// invocationOf is a call of the probe with everything set that a recording keeps.
func invocationOf(export, input string) Invocation {
	return Invocation{
		Export: export, Input: []byte(input), Now: time.Date(2026, 3, 2, 10, 0, 0, 125e6, time.UTC), Seed: sha256.Sum256([]byte(export)),
		Host: map[string]HostFunc{"probe": func(_ context.Context, args []byte) ([]byte, error) {
			return append([]byte("answer to "), args...), nil
		}},
	}
}

func mustRecord(tb testing.TB, p *Plugin, inv Invocation) *recording.Recording {
	tb.Helper()
	r, result, err := p.Record(context.Background(), inv)
	if r == nil || result == nil {
		tb.Fatalf("%s was not recorded: %v", inv.Export, err)
	}
	return reread(tb, r)
}

// reread is the recording as it comes back from a file.
func reread(tb testing.TB, r *recording.Recording) *recording.Recording {
	tb.Helper()
	data, err := r.Encode()
	if err == nil {
		r, err = recording.Decode(data)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// mustReplay wants a replay without divergence.
func mustReplay(tb testing.TB, p *Plugin, r *recording.Recording) *recording.Recording {
	tb.Helper()
	replayed, err := Replay(context.Background(), p, r, ReplayOptions{})
	if err != nil {
		tb.Fatalf("replay %s: %v", r.Export, err)
	}
	if replayed.Divergence != nil {
		tb.Fatalf("replay %s(%.40q): %s", r.Export, r.Input, replayed.Divergence)
	}
	return replayed.Recording
}

// TestAReplayDoesTheSameAgain records what a plugin does and replays it twice: the same
// output or failure, the same host calls in the same order, the same fuel. Load and
// other calls between them change nothing.
func TestAReplayDoesTheSameAgain(t *testing.T) {
	p := loadProbe(t)
	number := func(n uint64) string { return string(binary.LittleEndian.AppendUint64(nil, n)) }
	for _, tt := range []struct {
		name, export, input string
		want                recording.Kind // of the failure; empty for an output
	}{
		{"nothing", "nop", "", ""},
		{"text", "echo", "hello", ""},
		{"bytes", "echo", "\x00\xff\xfe", ""},
		{"word by word", "echo_words", strings.Repeat("x", 1000), ""},
		{"host calls", "call_host", "\x05{\"key\":\"a\"}", ""},
		{"many host calls", "storm", number(500), ""},
		{"too many host calls", "storm", number(5000), recording.KindLimit},
		{"the clock, and an hour of sleep", "clock", "", ""},
		{"random numbers", "random", "", ""},
		{"what is not there", "reach", "", ""},
		{"a log", "prints", "", ""},
		{"a flood of log lines", "flood", number(1000), ""},
		{"a failure of its own", "fail", "no such chat", recording.KindGuest},
		{"a panic", "panics", "", recording.KindTrap},
		{"an exit", "exits", number(3), recording.KindTrap},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := mustRecord(t, p, invocationOf(tt.export, tt.input))
			if f := r.Outcome.Failure; (f == nil) != (tt.want == "") || f != nil && f.Kind != tt.want {
				t.Fatalf("it ended as %+v, want %q", f, tt.want)
			}
			first := mustReplay(t, p, r)
			if _, err := p.Call(context.Background(), invocationOf("visit", "a neighbour")); err != nil {
				t.Fatal(err)
			}
			if d := recording.Compare(first, mustReplay(t, p, r)); d != nil {
				t.Errorf("two replays differ: %s", d)
			}
			if first.MemoryBytes != r.MemoryBytes || len(first.Logs) != len(r.Logs) {
				t.Errorf("memory %d and %d lines, recorded are %d and %d", first.MemoryBytes, len(first.Logs), r.MemoryBytes, len(r.Logs))
			}
		})
	}
}

// loadChance is the plugin of testdata/chance.
func loadChance(tb testing.TB) *Plugin {
	tb.Helper()
	return load(tb, buildPlugin(tb, "testdata/chance"), LoadOptions{HostFunctions: []string{"kv_get", "kv_put"}})
}

// chanceHost answers differently each time that it is asked.
func chanceHost() map[string]HostFunc {
	asked := 0
	ask := func(_ context.Context, args []byte) ([]byte, error) {
		asked++
		return fmt.Appendf(nil, "%s/%d", args, asked), nil
	}
	return map[string]HostFunc{"kv_get": ask, "kv_put": ask}
}

// TestChanceIsRecorded plays a plugin that leaves all to chance: a recording of it is
// replayed exactly, by another engine and after other plays, too, and another seed plays
// otherwise.
func TestChanceIsRecorded(t *testing.T) {
	p, other := loadChance(t), loadChance(t)
	outputs := map[string]bool{}
	for i := range 20 {
		seed := sha256.Sum256([]byte{byte(i)})
		r := mustRecord(t, p, Invocation{Export: "play", Host: chanceHost(), Now: time.Unix(int64(i), 0), Seed: seed})
		if len(r.Calls) != 16 || r.Outcome.Failure != nil {
			t.Fatalf("%d host calls and failure %+v, want 16 and none", len(r.Calls), r.Outcome.Failure)
		}
		mustReplay(t, p, r)
		mustReplay(t, other, r)
		outputs[string(r.Outcome.Output)] = true
	}
	if len(outputs) != 20 {
		t.Errorf("20 seeds made %d outputs", len(outputs))
	}
}

// TestAWebhookReplays does it with a connector that is really used: the recording of a
// delivery, with key-value state and secrets compared by the host.
func TestAWebhookReplays(t *testing.T) {
	wasm := buildPlugin(t, "../plugins/elma365")
	spec, err := Inspect(wasm)
	if err != nil {
		t.Fatal(err)
	}
	p := load(t, wasm, LoadOptions{HostFunctions: spec.HostFunctions()})
	w := newBenchWorld(t, "../plugins/elma365")
	w.kv["chat/tg-553201"] = `{"title":"Dana Petrova","user":"tg-user-553201"}`
	var last *recording.Recording
	for _, file := range []string{"connect.json", "message.json", "message.json", "mark_as_read.json", "disconnect.json"} {
		r := mustRecord(t, p, Invocation{Export: "receive", Input: w.delivery(file), Host: w.functions(), Now: time.Unix(1_700_000_000, 0)})
		if r.Outcome.Failure != nil || len(r.Calls) < 2 {
			t.Fatalf("%s: %d host calls, failure %+v", file, len(r.Calls), r.Outcome.Failure)
		}
		clear(w.kv) // a replay has no host
		mustReplay(t, p, r)
		if d := recording.Compare(mustReplay(t, p, r), mustReplay(t, p, r)); d != nil {
			t.Errorf("%s: two replays differ: %s", file, d)
		}
		w.kv["chat/tg-553201"], last = `{"title":"Dana Petrova","user":"tg-user-553201"}`, r
	}
	if last.Calls[0].Function == "" || !slices.Contains(spec.HostFunctions(), last.Calls[0].Function) {
		t.Errorf("the last recording begins with %+v", last.Calls[0])
	}
}

// TestExhaustedFuelReplays holds that a call which runs out of fuel does so at the same
// instruction again.
func TestExhaustedFuelReplays(t *testing.T) {
	p := load(t, buildPlugin(t, "testdata/chance"), LoadOptions{HostFunctions: []string{"kv_get", "kv_put"}})
	whole := mustRecord(t, p, Invocation{Export: "play", Host: chanceHost()})
	for part := range int64(4) {
		tight := load(t, buildPlugin(t, "testdata/chance"), LoadOptions{
			HostFunctions: []string{"kv_get", "kv_put"}, Limits: Limits{Fuel: max(1, whole.Fuel*part/4)},
		})
		r := mustRecord(t, tight, Invocation{Export: "play", Host: chanceHost()})
		if f := r.Outcome.Failure; f == nil || f.Kind != recording.KindLimit || f.Limit != "fuel" || len(r.Calls) >= len(whole.Calls) {
			t.Errorf("with %d/4 of its fuel it made %d host calls and ended as %+v", part, len(r.Calls), f)
		}
		if d := recording.Compare(mustReplay(t, tight, r), mustReplay(t, tight, r)); d != nil {
			t.Errorf("two replays differ: %s", d)
		}
	}
}

// TestAReplayEndsWhereItsHostDid records calls that did not end of themselves.
func TestAReplayEndsWhereItsHostDid(t *testing.T) {
	p := loadProbe(t)
	ctx, cancel := context.WithCancel(context.Background())
	for _, tt := range []struct {
		name  string
		host  HostFunc
		want  recording.Kind
		calls int
	}{
		{"a host function that fails", func(context.Context, []byte) ([]byte, error) { return nil, errors.New("the disk is full") }, recording.KindHost, 1},
		{"a host function that panics", func(context.Context, []byte) ([]byte, error) { panic("oops") }, recording.KindHost, 1},
		{"a host function that is not offered", nil, recording.KindHost, 1},
		{"a deadline", func(ctx context.Context, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}, recording.KindDeadline, 1},
		{"a caller who gives up", func(ctx context.Context, _ []byte) ([]byte, error) {
			cancel()
			return nil, ctx.Err()
		}, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inv := invocationOf("call_host", "\x02{}")
			inv.Host, inv.Deadline = map[string]HostFunc{"probe": tt.host}, 200*time.Millisecond
			r, _, err := p.Record(ctx, inv)
			if err == nil || r == nil || len(r.Calls) != tt.calls {
				t.Fatalf("got %+v, %v", r, err)
			}
			if got := r.Outcome.Failure.Kind; got != tt.want && tt.want != "" {
				t.Errorf("it ended as %s, want %s: %v", got, tt.want, err)
			}
			mustReplay(t, p, reread(t, r))
		})
	}
}

// TestTheTimeOfAReplayIsNotTheRecordings holds that a recording whose time was over is
// replayed as far as it goes, and that the time of a replay is no divergence.
func TestTheTimeOfAReplayIsNotTheRecordings(t *testing.T) {
	p := loadProbe(t)
	over := mustRecord(t, p, invocationOf("call_host", "\x02{}"))
	over.Outcome = recording.Outcome{Failure: &recording.Failure{Kind: recording.KindDeadline, Message: "its time was over"}}
	over.Fuel--
	for calls := range 3 { // the host gave up before the first, before the second, after both
		cut := reread(t, over)
		cut.Calls = cut.Calls[:calls]
		mustReplay(t, p, cut)
	}

	endless := mustRecord(t, p, Invocation{Export: "spin", Deadline: 50 * time.Millisecond})
	if endless.Outcome.Failure == nil || endless.Outcome.Failure.Kind != recording.KindDeadline {
		t.Fatalf("an endless loop ended as %+v, want its deadline", endless.Outcome.Failure)
	}
	mustReplay(t, p, endless) // it spins until something else ends it

	hasty := load(t, buildPlugin(t, "testdata/probe"), LoadOptions{HostFunctions: []string{"probe"}, Limits: Limits{Deadline: 1}})
	r := mustRecord(t, p, invocationOf("call_host", "\x02{}"))
	if got, err := Replay(context.Background(), hasty, r, ReplayOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %+v, %v; want that the replay had no time", got, err)
	}
}

// TestConfigurationIsRecorded does it with a plugin of Extism's that reads one.
func TestConfigurationIsRecorded(t *testing.T) {
	for _, file := range wasmtest.ExtismPlugins(t) {
		if filepath.Base(file) != "config.wasm" {
			continue
		}
		wasm, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p := load(t, wasm, LoadOptions{})
		r := mustRecord(t, p, Invocation{Export: "run_test", Config: map[string]string{"thing": "hello"}})
		if !strings.Contains(string(r.Outcome.Output), "hello") {
			t.Errorf("it ended as %+v, want the configured word", r.Outcome)
		}
		mustReplay(t, p, r)
		return
	}
	t.Error("Extism's SDK has no config.wasm any more")
}

// TestReplayReportsTheFirstDivergence changes one thing of a recording at a time.
func TestReplayReportsTheFirstDivergence(t *testing.T) {
	p := loadProbe(t)
	r := mustRecord(t, p, invocationOf("call_host", "\x02{\"key\":\"a\"}"))
	failed := mustRecord(t, p, invocationOf("fail", "no such chat"))
	for _, tt := range []struct {
		name   string
		of     *recording.Recording
		change func(*recording.Recording)
		what   recording.What
		call   int
	}{
		{"another file", r, func(r *recording.Recording) { r.Digest = "sha256:00" }, recording.DifferentDigest, 0},
		{"another function", r, func(r *recording.Recording) { r.Calls[1].Function = "kv_get" }, recording.DifferentFunction, 2},
		{"other arguments", r, func(r *recording.Recording) { r.Calls[1].Arguments = []byte(`{"key":"b"}`) }, recording.DifferentArguments, 2},
		{"a call more", r, func(r *recording.Recording) { r.Calls = r.Calls[:1] }, recording.ExtraCall, 2},
		{"a call less", r, func(r *recording.Recording) { r.Calls = append(r.Calls, r.Calls[0]) }, recording.MissingCall, 3},
		{"another output", r, func(r *recording.Recording) { r.Outcome.Output = []byte("x") }, recording.DifferentOutput, 0},
		{"an answer, and so the output", r, func(r *recording.Recording) { r.Calls[1].Answer = []byte("x") }, recording.DifferentOutput, 0},
		{"an output for a failure", r, func(r *recording.Recording) {
			r.Outcome = recording.Outcome{Failure: &recording.Failure{Kind: recording.KindTrap}}
		}, recording.DifferentFailure, 0},
		{"another message", failed, func(r *recording.Recording) { r.Outcome.Failure.Message += "!" }, recording.DifferentFailure, 0},
		{"another code", failed, func(r *recording.Recording) { r.Outcome.Failure.Code++ }, recording.DifferentFailure, 0},
		{"fuel", failed, func(r *recording.Recording) { r.Fuel++ }, recording.DifferentFuel, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changed := reread(t, tt.of)
			tt.change(changed)
			got, err := Replay(context.Background(), p, changed, ReplayOptions{})
			if err != nil || got.Divergence == nil || got.Divergence.What != tt.what || got.Divergence.Call != tt.call {
				t.Errorf("got %+v, %v; want %s at host call %d", got, err, tt.what, tt.call)
			}
		})
	}
}

func TestAnotherVersionMayReplay(t *testing.T) {
	r := mustRecord(t, loadProbe(t), invocationOf("call_host", "\x01abc"))
	next := slices.Concat(buildPlugin(t, "testdata/probe"), []byte{0, 2, 1, 'x'}) // a custom section more
	p := load(t, next, LoadOptions{HostFunctions: []string{"probe"}})
	r.Fuel++ // as it would of another compiler
	got, err := Replay(context.Background(), p, r, ReplayOptions{AnyDigest: true})
	if err != nil || got.Divergence != nil || got.Recording.Digest != p.Spec().Digest {
		t.Errorf("got %+v, %v; want no divergence", got, err)
	}
	if got, err := Replay(context.Background(), p, r, ReplayOptions{}); err != nil || got.Divergence == nil || got.Recording != nil {
		t.Errorf("got %+v, %v; want only that the file is another", got, err)
	}
}

func TestWhatCannotBeReplayed(t *testing.T) {
	p := loadProbe(t)
	r := mustRecord(t, p, invocationOf("nop", ""))
	gone, half := *r, *r
	gone.Export, half.Incomplete = "gone", "too much"
	for name, tt := range map[string]struct {
		r    *recording.Recording
		want error
	}{"an export that is gone": {&gone, ErrNoExport}, "half a recording": {&half, ErrIncomplete}} {
		if got, err := Replay(context.Background(), p, tt.r, ReplayOptions{}); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %+v, %v; want %v", name, got, err, tt.want)
		}
	}
	if r, result, err := p.Record(context.Background(), Invocation{Export: "gone"}); r != nil || result != nil || !errors.Is(err, ErrNoExport) {
		t.Errorf("Record of a missing export answered %+v, %+v, %v", r, result, err)
	}
	if err := p.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := Replay(context.Background(), p, r, ReplayOptions{}); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

// TestRecordingChangesNothing holds that a call answers the same recorded and not, its
// log included.
func TestRecordingChangesNothing(t *testing.T) {
	p := loadProbe(t)
	for _, export := range []string{"prints", "random", "panics", "call_host"} {
		var plain, recorded []LogLine
		inv := invocationOf(export, "\x01a")
		inv.Log = func(l LogLine) { plain = append(plain, l) }
		want, wantErr := p.Call(context.Background(), inv)
		inv.Log = func(l LogLine) { recorded = append(recorded, l) }
		r, got, err := p.Record(context.Background(), inv)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) || string(got.Output) != string(want.Output) || got.Fuel != want.Fuel || !slices.Equal(plain, recorded) {
			t.Errorf("%s: recorded %+v, %v; plain %+v, %v", export, got, err, want, wantErr)
		}
		if len(r.Logs) != len(plain) {
			t.Errorf("%s: %d lines in the recording, want %d", export, len(r.Logs), len(plain))
		}
	}
}

// corpusOf records a few calls of the probe.
func corpusOf(t *testing.T, wasm []byte) recording.Corpus {
	p := load(t, wasm, LoadOptions{HostFunctions: []string{"probe"}})
	var corpus recording.Corpus
	for export, input := range map[string]string{"echo": "hello", "call_host": "\x03x", "random": "", "clock": "", "panics": "", "fail": "so"} {
		corpus = append(corpus, recording.Entry{Name: export, Recording: mustRecord(t, p, invocationOf(export, input))})
	}
	return corpus
}

func TestCompilerAndInterpreterAgree(t *testing.T) {
	wasm := buildPlugin(t, "testdata/probe")
	corpus := corpusOf(t, wasm)
	o := LoadOptions{HostFunctions: []string{"probe"}}
	if err := newEngine(t).CompareEngines(t.Context(), wasm, o, corpus); err != nil {
		t.Error(err)
	}
	if err := newEngine(t).CompareEngines(t.Context(), []byte("no module"), o, nil); err != nil {
		t.Errorf("without a corpus nothing is compared, and yet: %v", err)
	}
}

// TestEnginesAgreeOnRealPlugins compares them on what a vendor ships, and on chance.
func TestEnginesAgreeOnRealPlugins(t *testing.T) {
	t.Run("elma365", func(t *testing.T) {
		files, err := filepath.Glob("../plugins/elma365/testdata/corpus/*.json")
		if err != nil || len(files) < 10 {
			t.Fatalf("%d recordings, %v", len(files), err)
		}
		var corpus recording.Corpus
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r, err := recording.Decode(data)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			corpus = append(corpus, recording.Entry{Name: filepath.Base(file), Recording: r})
		}
		wasm := buildPlugin(t, "../plugins/elma365")
		spec, err := Inspect(wasm)
		if err != nil {
			t.Fatal(err)
		}
		if err := newEngine(t).CompareEngines(t.Context(), wasm, LoadOptions{HostFunctions: spec.HostFunctions()}, corpus); err != nil {
			t.Errorf("%v\nif the connector is meant to do that, see its README for how to record it anew", err)
		}
	})
	t.Run("chance", func(t *testing.T) {
		r := mustRecord(t, loadChance(t), Invocation{Export: "play", Host: chanceHost(), Now: time.Unix(1, 0), Seed: sha256.Sum256([]byte("chance"))})
		o := LoadOptions{HostFunctions: []string{"kv_get", "kv_put"}}
		if err := newEngine(t).CompareEngines(t.Context(), buildPlugin(t, "testdata/chance"), o, recording.Corpus{{Name: "play", Recording: r}}); err != nil {
			t.Error(err)
		}
	})
}

// TestACorpusIsHeldToItsWord gives recordings that the plugin does not live up to.
func TestACorpusIsHeldToItsWord(t *testing.T) {
	p := loadProbe(t)
	r := mustRecord(t, p, invocationOf("call_host", "\x03x"))
	compare := func(ctx context.Context, change func(*recording.Recording)) error {
		changed := reread(t, r)
		change(changed)
		_, err := compareEntry(ctx, p, p, recording.Entry{Name: "one", Recording: changed})
		return err
	}
	if err := compare(t.Context(), func(*recording.Recording) {}); err != nil {
		t.Errorf("a recording as it was made is blamed: %v", err)
	}
	for what, change := range map[recording.What]func(*recording.Recording){
		recording.DifferentOutput:    func(r *recording.Recording) { r.Outcome.Output = []byte("x") },
		recording.ExtraCall:          func(r *recording.Recording) { r.Calls = r.Calls[:0] },
		recording.DifferentArguments: func(r *recording.Recording) { r.Calls[1].Arguments = nil },
	} {
		found := new(Disagreement)
		if err := compare(t.Context(), change); !errors.As(err, &found) || found.Engines || found.Name != "one" || found.Divergence.What != what {
			t.Errorf("got %v, want that %s is blamed", err, what)
		}
	}
	if err := compare(t.Context(), func(r *recording.Recording) { r.Fuel = corpusFuel + 1 }); err == nil || !strings.Contains(err.Error(), "one: it needs") {
		t.Errorf("got %v, want that a greedy recording is refused", err)
	}
	if err := compare(t.Context(), func(r *recording.Recording) { r.Export = "gone" }); !errors.Is(err, ErrNoExport) {
		t.Errorf("got %v, want ErrNoExport", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := compare(ctx, func(*recording.Recording) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// TestEnginesThatDisagreeAreTold plays two plugins as if they were one under two engines:
// no difference of wazero's own is known.
func TestEnginesThatDisagreeAreTold(t *testing.T) {
	answering := func(n int32) *Plugin {
		m := &wasmtest.Module{}
		m.Func("run", ":i", "", wasmtest.I32Const(n))
		return load(t, m.Bytes(), LoadOptions{})
	}
	r := mustRecord(t, answering(0), Invocation{Export: "run"})
	found := new(Disagreement)
	_, err := compareEntry(t.Context(), answering(0), answering(1), recording.Entry{Name: "run", Recording: r})
	if !errors.As(err, &found) || !found.Engines || found.Divergence.What != recording.DifferentFailure {
		t.Errorf("got %v, want that the engines are blamed", err)
	}
}

// TestTheGuestNeverSeesASecret holds that a secret which the host puts in behind the
// border is in no recording; host/broker has the same with its real way out.
func TestTheGuestNeverSeesASecret(t *testing.T) {
	const value = "hunter2-hunter2"
	sent := ""
	inv := invocationOf("call_host", "\x01"+`{"authorization":"Bearer {{secret:token}}"}`)
	inv.Host = map[string]HostFunc{"probe": func(_ context.Context, args []byte) ([]byte, error) {
		sent = strings.ReplaceAll(string(args), "{{secret:token}}", value)
		return []byte(strings.ReplaceAll("you sent "+sent, value, "{{secret:token}}")), nil
	}}
	data, err := mustRecord(t, loadProbe(t), inv).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(sent, value) || strings.Contains(string(data), value) || strings.Count(string(data), "{{secret:token}}") != 4 {
		t.Errorf("sent was %q, recorded\n%s", sent, data)
	}
}

func BenchmarkRecord(b *testing.B) {
	wasm := buildPlugin(b, "../plugins/elma365")
	spec, err := Inspect(wasm)
	if err != nil {
		b.Fatal(err)
	}
	p := load(b, wasm, LoadOptions{HostFunctions: spec.HostFunctions()})
	w := newBenchWorld(b, "../plugins/elma365")
	w.kv["chat/tg-553201"] = `{"title":"Dana Petrova","user":"tg-user-553201"}`
	state := maps.Clone(w.kv)
	inv := Invocation{Export: "receive", Input: w.delivery("message.json"), Host: w.functions(), Now: time.Unix(1_700_000_000, 0)}
	run := func(name string, f func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.kv = maps.Clone(state)
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	r := mustRecord(b, p, inv)
	run("call", func() error { _, err := p.Call(context.Background(), inv); return err })
	run("record", func() error { _, _, err := p.Record(context.Background(), inv); return err })
	run("replay", func() error { _, err := Replay(context.Background(), p, r, ReplayOptions{}); return err })
	run("encode", func() error { _, err := r.Encode(); return err })
}
