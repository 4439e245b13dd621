package sandbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// Record is [Plugin.Call] with a recording of it: all that [Replay] needs to do the same
// again without a host. There is one wherever there is a Result.
//
// Recorded is what crosses between the plugin and the functions in inv.Host, which is
// before the host puts secrets in and after it took them out. A plugin that asks is told
// that its log is read, also where inv.Log is nil: the recording reads it.
func (p *Plugin) Record(ctx context.Context, inv Invocation) (*recording.Recording, *Result, error) {
	rec := recording.NewRecorder(recording.Recording{
		Digest: p.spec.Digest, Export: inv.Export, Input: inv.Input, Config: inv.Config, Now: inv.Now, Seed: inv.Seed,
		Limits: recording.Limits{Fuel: p.limits.fuelOf(inv.Fuel), StackBytes: p.limits.StackBytes},
	})
	log := inv.Log
	inv.Log = func(line LogLine) {
		rec.Log(line.Level, string(line.Source), line.Text)
		if log != nil {
			log(line)
		}
	}
	result, err := p.call(ctx, inv, rec)
	if result == nil {
		return nil, nil, err
	}
	return rec.End(outcomeOf(result, err), result.Fuel, result.MemoryBytes, result.Took), result, err
}

// outcomeOf is how a call ended, for a recording.
func outcomeOf(result *Result, err error) recording.Outcome {
	if err == nil {
		return recording.Outcome{Output: result.Output}
	}
	f := &recording.Failure{Kind: recording.KindHost, Message: recording.Text(err.Error())}
	classify(f, err)
	trap := new(Trap)
	if errors.As(err, &trap) {
		f.Stack, f.Stderr = recording.Text(trap.Stack), recording.Text(trap.Stderr)
	}
	return recording.Outcome{Failure: f}
}

// classify fills in the kind of the outermost error that has one: a limit may have come
// out as a trap, and a host function may have failed because of a limit of its own.
func classify(f *recording.Failure, err error) {
	if errors.Is(err, ErrBusy) {
		f.Kind = recording.KindBusy
		return
	}
	for ; err != nil; err = errors.Unwrap(err) {
		switch e := err.(type) {
		case *LimitError:
			f.Kind, f.Limit = recording.KindLimit, e.Limit
			if e.Limit == "deadline" {
				f.Kind = recording.KindDeadline
			}
			return
		case *Trap:
			f.Kind = recording.KindTrap
			return
		case *GuestError:
			f.Kind, f.Code = recording.KindGuest, e.Code
			return
		case *HostFault:
			f.Kind, f.Function = recording.KindHost, e.Function
			return
		}
		if err == context.Canceled || err == context.DeadlineExceeded {
			f.Kind = recording.KindCancelled
		}
	}
}

// ErrIncomplete means that a recording lacks what a replay needs.
var ErrIncomplete = errors.New("the recording is incomplete")

// ReplayOptions say what a replay may differ in.
type ReplayOptions struct {
	// AnyDigest lets another file than the recorded one replay it, such as the next
	// version of the plugin. Its fuel may differ then, and nothing else.
	AnyDigest bool
}

// Replayed is what came of a replay.
type Replayed struct {
	// Divergence is the first thing in which it differs from its recording, or nil. A
	// replay ends at a host call that differs: there is no answer for it.
	Divergence *recording.Divergence
	// Recording is of the replay itself. It is nil if nothing ran, because the plugin is
	// another file and may not be.
	Recording *recording.Recording
}

// Replay runs a recording again, without a host: its host calls are answered from the
// recording. What the plugin must do again is the same host calls in the same order with
// the same arguments, the same output or failure, and for the same fuel.
//
// Where the recorded call ended because a host function failed, its time was over or its
// caller gave up, the replay ends there, too, and in the same way.
//
// The error says why there was no replay: [ErrIncomplete], [ErrClosed], [ErrNoExport], or
// that ctx ended.
func Replay(ctx context.Context, p *Plugin, r *recording.Recording, o ReplayOptions) (*Replayed, error) {
	if r.Incomplete != "" {
		return nil, fmt.Errorf("replay %s: %w: %s", clip(r.Export, 64), ErrIncomplete, r.Incomplete)
	}
	if d := recording.CompareDigests(r.Digest, p.spec.Digest); d != nil && !o.AnyDigest {
		return &Replayed{Divergence: d}, nil
	}
	player := recording.NewPlayer(r)
	again, _, err := p.Record(ctx, Invocation{
		Export: r.Export, Input: r.Input, Host: p.answeredBy(player), Config: r.Config, Now: r.Now, Seed: r.Seed,
		Fuel: r.Limits.Fuel,
	})
	switch {
	case again == nil:
		return nil, fmt.Errorf("replay: %w", err)
	case player.Divergence() != nil:
		return &Replayed{Divergence: player.Divergence(), Recording: again}, nil
	case player.Ended():
		again.Calls, again.Outcome = r.Calls, r.Outcome
	case again.Outside() && (!r.Outside() || len(again.Calls) < len(r.Calls)):
		return nil, fmt.Errorf("replay: %w", err) // of the replay's own time or caller: it tells nothing of the plugin
	}
	return &Replayed{Divergence: compareReplay(r, again), Recording: again}, nil
}

// answeredBy offers every host function that the plugin imports.
func (p *Plugin) answeredBy(player *recording.Player) map[string]HostFunc {
	host := map[string]HostFunc{}
	for _, name := range p.spec.HostFunctions() {
		host[name] = func(_ context.Context, args []byte) ([]byte, error) { return player.Call(name, args) }
	}
	return host
}

// compareReplay compares a replay that went through. One whose recording was ended from
// outside may have gone on a little, since nobody knows when exactly that was.
func compareReplay(want, got *recording.Recording) *recording.Divergence {
	if want.Outside() {
		ended := *got
		ended.Outcome, ended.Fuel = want.Outcome, want.Fuel
		got = &ended
	}
	return recording.Compare(want, got)
}

// mostWarmUps is how many recordings a plugin is warmed up with, and warmUpFuel what each
// may need: a host does it at every start.
const (
	mostWarmUps = 16
	warmUpFuel  = 20_000_000
)

// OwnRecordings is a [LoadOptions.WarmUp] that replays the recordings which the plugin
// carries inside, those that ended well and are short.
func OwnRecordings(s *Spec) []Invocation {
	section, _ := s.CustomSection(recording.Section)
	corpus, err := recording.DecodeCorpus(section)
	if err != nil {
		return nil // whoever admits the plugin says so
	}
	var calls []Invocation
	for _, entry := range corpus {
		r := entry.Recording
		if r.Incomplete != "" || r.Outcome.Failure != nil || r.Fuel > warmUpFuel || len(calls) == mostWarmUps {
			continue
		}
		player, host := recording.NewPlayer(r), map[string]HostFunc{}
		for _, name := range s.HostFunctions() {
			host[name] = func(_ context.Context, args []byte) ([]byte, error) { return player.Call(name, args) }
		}
		calls = append(calls, Invocation{Export: r.Export, Input: r.Input, Host: host, Config: r.Config, Now: r.Now, Seed: r.Seed, Fuel: 2 * warmUpFuel})
	}
	return calls
}

// corpusFuel is how much fuel a recording of a corpus may need, about eighty times what a
// webhook does, and corpusDeadline how long it may take: the interpreter needs a few
// seconds for that much, and more where others run.
const (
	corpusFuel     = 100_000_000
	corpusDeadline = 2 * time.Minute
	// corpusFuelInAll is what all of a corpus may need.
	corpusFuelInAll = 500_000_000
)

// Disagreement is a recording of a plugin's corpus that does not come out the same.
type Disagreement struct {
	// Name is the recording's.
	Name string
	// Engines is set if wazero's compiler (Want) and interpreter (Got) disagree; else the
	// plugin does something else than was recorded.
	Engines    bool
	Divergence *recording.Divergence
}

func (e *Disagreement) Error() string {
	if e.Engines {
		return fmt.Sprintf("corpus: %s: compiler (recorded) and interpreter (now) disagree: %s", e.Name, e.Divergence)
	}
	return fmt.Sprintf("corpus: %s: it does not do what was recorded: %s", e.Name, e.Divergence)
}

// CompareEngines replays a plugin's own recordings under wazero's compiler and under its
// interpreter, and returns the first [*Disagreement] about host calls, output, failure
// or, between the two, fuel. The recordings may be of any version of the plugin: it
// carries them inside, so none can be of the very file.
//
// How long it takes is bounded by ctx, and for each recording by fuel and by a deadline
// that allows for the interpreter: a recording that needs much is refused.
//
// The compiled one runs on this engine, so that its code is there already where the
// plugin was loaded before.
func (e *Engine) CompareEngines(ctx context.Context, wasm []byte, o LoadOptions, corpus recording.Corpus) error {
	if len(corpus) == 0 {
		return nil
	}
	if o.Limits.Fuel == 0 || o.Limits.Fuel > corpusFuel {
		o.Limits.Fuel = corpusFuel
	}
	o.Limits.Deadline = corpusDeadline
	return e.with(ctx, wasm, o, func(compiled *Plugin) error {
		return onEngine(ctx, EngineOptions{Interpreter: true}, wasm, o, func(interpreted *Plugin) error {
			left := int64(corpusFuelInAll)
			for _, entry := range corpus {
				used, err := compareEntry(ctx, compiled, interpreted, entry)
				if err != nil {
					return err
				}
				if left -= used; left < 0 {
					return fmt.Errorf("corpus: %s: up to here the recordings need more than %d units of fuel; leave some out", entry.Name, corpusFuelInAll)
				}
			}
			return nil
		})
	})
}

// onEngine loads a plugin on an engine of its own for as long as use runs.
func onEngine(ctx context.Context, eo EngineOptions, wasm []byte, lo LoadOptions, use func(*Plugin) error) (err error) {
	engine, err := NewEngine(eo)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close(context.WithoutCancel(ctx))) }()
	return engine.with(ctx, wasm, lo, use)
}

// with loads a plugin for as long as use runs.
func (e *Engine) with(ctx context.Context, wasm []byte, o LoadOptions, use func(*Plugin) error) (err error) {
	p, err := e.Load(ctx, wasm, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close(context.WithoutCancel(ctx))) }()
	return use(p)
}

// compareEntry returns the fuel that a recording needs.
func compareEntry(ctx context.Context, compiled, interpreted *Plugin, entry recording.Entry) (int64, error) {
	if fuel := entry.Recording.Fuel; fuel > corpusFuel {
		return 0, fmt.Errorf("corpus: %s: it needs %d units of fuel, and a recording of a corpus at most %d", entry.Name, fuel, corpusFuel)
	}
	var replays [2]*Replayed
	for i, p := range []*Plugin{compiled, interpreted} {
		if err := ctx.Err(); err != nil {
			return 0, fmt.Errorf("corpus: %s: there was no time left for it: %w", entry.Name, context.Cause(ctx))
		}
		var err error
		if replays[i], err = Replay(ctx, p, entry.Recording, ReplayOptions{AnyDigest: true}); err != nil {
			return 0, fmt.Errorf("corpus: %s: %w", entry.Name, err)
		}
	}
	if d := recording.Compare(replays[0].Recording, replays[1].Recording); d != nil {
		return 0, &Disagreement{Name: entry.Name, Engines: true, Divergence: d}
	}
	if d := replays[0].Divergence; d != nil {
		return 0, &Disagreement{Name: entry.Name, Divergence: d}
	}
	return replays[0].Recording.Fuel, nil
}
