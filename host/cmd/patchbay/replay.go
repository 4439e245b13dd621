package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/seed75a60ee1/patchbay/host/pack"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// allHostFunctions are those of the contract, and any others that there are answers for.
func allHostFunctions(answers map[string][][]byte) []string {
	names := slices.Collect(maps.Keys(answers))
	for _, f := range contract.HostFunctions() {
		names = append(names, string(f))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

type pluginReplay struct {
	File        string   `arg:"" help:"The plugin file."`
	Recordings  []string `arg:"" placeholder:"RECORDING" help:"Recordings to run again, each in the way it was recorded."`
	AllowDigest bool     `help:"Replay recordings of another file, such as the version before. Its fuel may differ then."`
	Update      bool     `help:"Write each recording anew, with the answers that it has for each host function in turn."`
}

// replayed is what came of one recording, for programs.
type replayed struct {
	File       string                `json:"file"`
	Export     string                `json:"export"`
	Same       bool                  `json:"same"`
	Divergence *recording.Divergence `json:"divergence,omitempty"`
	HostCalls  int                   `json:"host_calls"`
	Fuel       int64                 `json:"fuel"`
}

// Run replays every recording, and fails if one of them diverges.
func (c *pluginReplay) Run(ctx context.Context, s *session) error {
	wasm, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	all := make([]replayed, len(c.Recordings))
	err = withLoader(wasm, func(load loader) error {
		for i, file := range c.Recordings {
			if all[i], err = c.one(ctx, load, file); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.show(all, func() { printReplays(s, all, c.Update) }); err != nil {
		return err
	}
	return c.verdict(all)
}

// replayDeadline is how long a replay may take: this machine may be slower than the one
// that recorded.
const replayDeadline = time.Minute

// one replays one recording, or writes it anew, under the limits that it states.
func (c *pluginReplay) one(ctx context.Context, load loader, file string) (replayed, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return replayed{}, err
	}
	r, err := recording.Decode(data)
	if err != nil {
		return replayed{}, err
	}
	p, err := load(ctx, sandbox.Limits{Fuel: max(r.Limits.Fuel, sandbox.DefaultFuel), StackBytes: r.Limits.StackBytes, Deadline: replayDeadline})
	if err != nil {
		return replayed{}, err
	}
	if c.Update {
		return rewrite(ctx, p, file, r)
	}
	again, err := sandbox.Replay(ctx, p, r, sandbox.ReplayOptions{AnyDigest: c.AllowDigest})
	if err != nil {
		return replayed{}, err
	}
	return resultOf(file, r, again), nil
}

func resultOf(file string, r *recording.Recording, again *sandbox.Replayed) replayed {
	result := replayed{File: file, Export: r.Export, Same: again.Divergence == nil, Divergence: again.Divergence}
	if again.Recording != nil {
		result.HostCalls, result.Fuel = len(again.Recording.Calls), again.Recording.Fuel
	}
	return result
}

// rewrite runs a recording's invocation with the answers in it and writes what came of it
// to the same file.
func rewrite(ctx context.Context, p *sandbox.Plugin, file string, r *recording.Recording) (replayed, error) {
	again, _, err := p.Record(ctx, sandbox.Invocation{
		Export: r.Export, Input: r.Input, Host: answering(answersOf(r)), Config: r.Config, Now: r.Now, Seed: r.Seed,
		Fuel: r.Limits.Fuel,
	})
	if missing := new(unanswered); again == nil || errors.As(err, &missing) {
		return replayed{}, err
	}
	data, err := again.Encode()
	if err != nil {
		return replayed{}, err
	}
	d := recording.Compare(r, again)
	return resultOf(file, r, &sandbox.Replayed{Divergence: d, Recording: again}), os.WriteFile(file, data, 0o644)
}

func printReplays(s *session, all []replayed, updated bool) {
	for _, r := range all {
		word := "same"
		switch {
		case updated:
			word = "written anew"
		case !r.Same:
			word = "differs"
		}
		used := ""
		if r.Same || updated {
			used = fmt.Sprintf(", %s, %d units of fuel", counted(r.HostCalls, "host call"), r.Fuel)
		}
		fmt.Fprintf(s.stdout, "%s: %s: %s%s\n", clean(r.File), word, clean(r.Export), used)
		if r.Divergence != nil {
			fmt.Fprintln(s.stdout, cleanLines(r.Divergence.String()))
		}
	}
}

// verdict is an error if a replay diverged, with the way out.
func (c *pluginReplay) verdict(all []replayed) error {
	if c.Update {
		return nil
	}
	different, foreign := 0, false
	for _, r := range all {
		if !r.Same {
			different++
			foreign = foreign || r.Divergence.What == recording.DifferentDigest
		}
	}
	if different == 0 {
		return nil
	}
	err := fmt.Errorf("the plugin does something else than %d of %s", different, counted(len(all), "recording"))
	if foreign {
		return &hinted{err, "replay recordings of another file with --allow-digest"}
	}
	return &hinted{err, "if that is how it should be, write them anew with --update"}
}

type pluginCompare struct {
	File string `arg:"" help:"The plugin file."`
}

// compared is the result of a comparison, for programs.
type compared struct {
	Digest     string   `json:"digest"`
	Recordings []string `json:"recordings"`
}

// Run does what a host does when the file is dropped in: the recordings inside are
// replayed under wazero's compiler and interpreter.
func (c *pluginCompare) Run(ctx context.Context, s *session) error {
	wasm, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	p, err := pack.Open(wasm)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if len(p.Corpus) == 0 {
		return &hinted{fmt.Errorf("%s carries no recordings", c.File),
			"make some with \"patchbay plugin call ... --record\" in the connector's " + pack.CorpusDir + " and build it again"}
	}
	options := sandbox.LoadOptions{WarmUp: sandbox.OwnRecordings, HostFunctions: p.Spec.HostFunctions()}
	engine, err := sandbox.NewEngine(sandbox.EngineOptions{})
	if err != nil {
		return err
	}
	err = engine.CompareEngines(ctx, wasm, options, p.Corpus)
	if err = errors.Join(err, engine.Close(context.WithoutCancel(ctx))); err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	result := compared{Digest: p.Spec.Digest}
	for _, e := range p.Corpus {
		result.Recordings = append(result.Recordings, e.Name)
	}
	return s.done(result, "compiler and interpreter agree with each other and with %s in %s", counted(len(p.Corpus), "recording"), c.File)
}
