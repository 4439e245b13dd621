//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/seed75a60ee1/patchbay/host/pack"
)

// Scenario is one thing to find out.
type Scenario struct {
	Name, About string
	run         func(ctx context.Context, b *Bench) ([]Row, error)
}

var scenarios = []Scenario{
	{"ingest", "webhooks through the real plugin at a fixed rate, and the highest rate that is borne", ingest},
	{"ingest-bare", "the same server with and without the plugin, in turn", ingestBare},
	{"apps", "webhooks that come to an app, Uspacy's signed notifications and inTandem's callbacks, beside ELMA365's", apps},
	{"admission", "from a plugin's file in the folder until it is granted, for each of ours", admission},
	{"first-attempt", "from a webhook to its event's first attempt at a subscriber", firstAttempt},
	{"big", "ingest again, on a store of many gigabytes", big},
	{"lanes", "many queued jobs in many lanes: start, drain, and who waits", lanes},
	{"overload", "twice of what the host can take: what is refused, and whether anything acknowledged is lost", overload},
	{"fairness", "a fresh tenant's commands while another has a backlog", fairness},
}

// Bench is where scenarios run.
type Bench struct {
	Scale   Scale
	Plugin  string
	Dir     string
	Profile string
	// Progress is told what is being done.
	Progress io.Writer

	wasm []byte
}

// Run runs scenarios one after the other. A scenario that could not be carried out ends it.
func (b *Bench) Run(ctx context.Context, chosen []Scenario) (report *Report, err error) {
	if b.Dir == "" {
		if b.Dir, err = os.MkdirTemp("", "patchbay-load-"); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(b.Dir)) }()
	}
	if b.Dir, err = filepath.Abs(b.Dir); err != nil {
		return nil, err
	}
	if err := b.build(ctx); err != nil {
		return nil, fmt.Errorf("build the plugin: %w", err)
	}
	report = &Report{Cores: runtime.NumCPU()}
	for _, s := range chosen {
		b.say("%s: %s", s.Name, s.About)
		rows, err := s.run(ctx, b)
		if err != nil {
			return nil, fmt.Errorf("scenario %s: %w", s.Name, err)
		}
		for i := range rows {
			rows[i].Scenario = s.Name
		}
		report.Rows = append(report.Rows, rows...)
	}
	return report, nil
}

func (b *Bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.Progress, format+"\n", args...) // nobody depends on it
}

// build compiles the plugin, or reads it.
func (b *Bench) build(ctx context.Context) (err error) {
	file := b.Plugin
	if filepath.Ext(file) != ".wasm" {
		file = filepath.Join(b.Dir, "elma365.wasm")
		if _, err := pack.Build(ctx, pack.Options{Dir: b.Plugin, Output: file}); err != nil {
			return err
		}
	}
	b.wasm, err = os.ReadFile(file)
	return err
}

// scenePatience bounds how long a world may take to make.
const scenePatience = 2 * time.Minute

// world makes a world in a folder of its own. The function ends it and removes the folder.
func (b *Bench) world(ctx context.Context, name string, fields map[string]any) (*World, func() error, error) {
	root, err := os.MkdirTemp(b.Dir, name+"-")
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, scenePatience)
	defer cancel()
	w, err := Make(ctx, Plan{Tenants: b.Scale.Tenants, Chats: b.Scale.Chats, Root: root,
		Cache: filepath.Join(b.Dir, "cache"), Wasm: b.wasm, Fields: fields})
	end := func() error { return errors.Join(w.Close(), os.RemoveAll(root)) }
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("set the scene: %w", err), end())
	}
	return w, end, nil
}

// Trial is one load with all that it cost.
type Trial struct {
	Outcome
	Offered float64 // requests a second
	Host    Usage
	Circumstances
}

// Usage is what the host used for each answer 2xx.
type Usage struct {
	CPU, User, System, GC time.Duration
	Bytes, Allocs         float64
}

// Answered is how many answers 2xx there were a second.
func (t *Trial) Answered() float64 { return float64(t.OK()) / t.Took.Seconds() }

// P99 is the latency that 99 of 100 stayed within; a request that was refused, lost or not
// even sent counts as one that did not.
func (t *Trial) P99() time.Duration {
	all := t.Latency.Count() + uint64(t.Failed())
	if all == 0 {
		return 0
	}
	rank := 0.99 * float64(all) / float64(max(t.Latency.Count(), 1))
	if rank > 1 {
		return time.Hour
	}
	return t.Latency.Quantile(rank)
}

// watching is a look at the machine that goes on while something is measured.
type watching struct {
	host          *Host // may be nil: then there is none
	machine       Machine
	before, after Word
	busy, own     time.Duration
	began         time.Time
}

// watch begins to look. The disk is that of a folder.
func watch(dir string, h *Host) (w *watching, err error) {
	w = &watching{host: h}
	if w.machine, err = Look(dir); err != nil {
		return nil, err
	}
	if h != nil {
		if w.before, err = h.Measure(); err != nil {
			return nil, err
		}
	}
	w.busy, w.own, w.began = machineCPU(), ownCPU(), time.Now()
	return w, nil
}

// end tells under what circumstances it was measured.
func (w *watching) end() (Circumstances, error) {
	took := time.Since(w.began)
	if w.host != nil {
		var err error
		if w.after, err = w.host.Measure(); err != nil {
			return Circumstances{}, err
		}
	}
	others := (machineCPU() - w.busy) - (ownCPU() - w.own) - (w.after.CPU() - w.before.CPU())
	return Circumstances{w.machine, max(others.Seconds()/took.Seconds(), 0)}, nil
}

// offer offers a load to the world's host and measures both.
func (b *Bench) offer(w *World, load Load) (*Trial, error) {
	load.Address = w.Host.Address()
	if load.Connections == 0 {
		load.Connections = b.Scale.Connections
	}
	seen, err := watch(w.folders.Data, w.Host)
	if err != nil {
		return nil, err
	}
	outcome, err := Offer(load)
	if err != nil {
		return nil, err
	}
	t := &Trial{Outcome: outcome, Offered: load.Rate}
	if t.Circumstances, err = seen.end(); err != nil {
		return nil, err
	}
	t.Host = usage(seen.before, seen.after, t.OK())
	b.say("  %6.0f/s offered, %6.0f/s answered, %d failed, p50 %s, p99 %s; host %s a request (gc %s), generator %s; others %.2f, load %.1f, fsync %s",
		load.Rate, t.Answered(), t.Failed(), short(t.Latency.Quantile(0.5)), short(t.P99()), short(t.Host.CPU), short(t.Host.GC),
		short(t.CPU/time.Duration(max(t.OK(), 1))), t.Others, t.Load, short(t.FsyncP50))
	return t, nil
}

func usage(before, after Word, n int) Usage {
	each := time.Duration(max(n, 1))
	return Usage{
		CPU: (after.CPU() - before.CPU()) / each, User: (after.User - before.User) / each,
		System: (after.System - before.System) / each, GC: (after.GC - before.GC) / each,
		Bytes:  float64(after.Allocated-before.Allocated) / float64(each),
		Allocs: float64(after.Allocs-before.Allocs) / float64(each),
	}
}
