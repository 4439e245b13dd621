// Package health asks the plugin of each connection, every few minutes, how the connection is,
// and keeps what it learns as the connection's health.
//
// A probe is the plugin's check_health. One that goes well takes back what the probes before it
// found. One that does not is held against the connection only when several in a row did not
// (a platform has bad minutes); a connection whose credentials are not taken needs somebody to
// act, unless it has tokens that the host renews by itself.
//
// Probes are spread over their interval from the start on, a few run at once, and one tenant
// never has more than half of those.
package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Store is what the room reads, and where it keeps what it learns.
type Store interface {
	Workspaces(ctx context.Context, p domain.Page) ([]domain.Workspace, string, error)
	Connections(ctx context.Context, ws contract.WorkspaceID, p domain.Page) ([]domain.Connection, string, error)
	Connection(ctx context.Context, id contract.ConnectionID) (domain.Connection, error)
	SetHealth(ctx context.Context, id contract.ConnectionID, cause domain.HealthCause, change *contract.StateChange, at time.Time) error
}

// Plugins asks plugins.
type Plugins interface {
	// Probe asks the plugin of a connection how it is. A *domain.Failed is its own word that
	// something is wrong; domain.ErrConflict means that what it found out was outrun.
	Probe(ctx context.Context, c domain.Connection) (contract.Health, error)
	// Abilities returns the exports of the plugin that runs under a name; false if none does.
	Abilities(plugin string) ([]contract.Export, bool)
}

// Options says how a room works. The zero value of a field means what stands beside it, if
// anything does.
type Options struct {
	Store   Store
	Plugins Plugins
	// Debt is how long a workspace has to wait because of what its plugins computed; nil means
	// that none has to.
	Debt func(ws contract.WorkspaceID) time.Duration
	// Interval is the time between two probes of a connection; 5 minutes. Its failing probes are
	// repeated after a quarter of it.
	Interval time.Duration
	// AtOnce is how many probes run at once; 8.
	AtOnce int
	// Failures is how many probes in a row must fail to be held against a connection; 3.
	Failures int
	Now      func() time.Time
	// Random returns a number from 0 up to 1; math/rand/v2.
	Random func() float64
	Log    *slog.Logger
}

func (o *Options) fill() {
	if o.Interval <= 0 {
		o.Interval = 5 * time.Minute
	}
	if o.AtOnce <= 0 {
		o.AtOnce = 8
	}
	if o.Failures <= 0 {
		o.Failures = 3
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
}

// Status is what the room knows of the probes of one connection.
type Status struct {
	// LastAt is when the last one ended, and NextAt when the next one is due; zero if there was
	// or will be none.
	LastAt, NextAt time.Time
	// Failures counts those that failed since the last that went well.
	Failures int
	// Detail is one sentence of the last one, for a person; may be empty.
	Detail string
}

// Room probes connections. It is safe for concurrent use.
type Room struct {
	opts Options
	wake chan struct{} // capacity 1: a probe has ended

	mu      sync.Mutex
	known   map[contract.ConnectionID]*subject
	due     queue
	running int
	busy    map[contract.WorkspaceID]int // probes that run, by workspace
	scans   uint64                       // counts the looks at the store
}

// New makes a room; Run has it work.
func New(opts Options) *Room {
	opts.fill()
	return &Room{opts: opts, wake: make(chan struct{}, 1), known: map[contract.ConnectionID]*subject{},
		busy: map[contract.WorkspaceID]int{}}
}

// scanEvery is how often the store is looked through for connections that came or went.
func (r *Room) scanEvery() time.Duration { return min(r.opts.Interval, time.Minute) }

// Run probes connections until ctx ends, and returns when the last probe has ended.
func (r *Room) Run(ctx context.Context) {
	var probes sync.WaitGroup
	defer probes.Wait()
	nextScan := r.opts.Now()
	for ctx.Err() == nil {
		if now := r.opts.Now(); !now.Before(nextScan) {
			if err := r.scan(ctx); err != nil && ctx.Err() == nil {
				r.opts.Log.Error("the connections to probe could not be read", "error", err)
			}
			nextScan = now.Add(r.scanEvery())
		}
		for _, s := range r.take() {
			probes.Go(func() {
				r.probe(ctx, s)
				r.release(s)
			})
		}
		r.wait(ctx, nextScan)
	}
}

// wait returns when something is to be done.
func (r *Room) wait(ctx context.Context, nextScan time.Time) {
	until := nextScan
	r.mu.Lock()
	if len(r.due) > 0 && r.running < r.opts.AtOnce && r.due[0].at.Before(until) {
		until = r.due[0].at
	}
	r.mu.Unlock()
	timer := time.NewTimer(until.Sub(r.opts.Now()))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-r.wake:
	}
}

// take returns the connections whose probe is due, as many as may run now.
func (r *Room) take() (now []*subject) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.opts.Now()
	for len(r.due) > 0 && r.running < r.opts.AtOnce && !r.due[0].at.After(at) {
		s := r.due.pop()
		if r.busy[s.workspace] >= max(1, r.opts.AtOnce/2) {
			r.schedule(s, at.Add(time.Duration((1+r.opts.Random())*float64(busyDelay))))
			continue
		}
		s.running = true
		r.running++
		r.busy[s.workspace]++
		now = append(now, s)
	}
	return now
}

// busyDelay is about how long a probe waits whose tenant has its share of them running.
const busyDelay = 2 * time.Second

// release gives the place of a probe back, and has its connection wait for the next one.
func (r *Room) release(s *subject) {
	r.mu.Lock()
	s.running = false
	r.schedule(s, s.at)
	r.running--
	if r.busy[s.workspace]--; r.busy[s.workspace] == 0 {
		delete(r.busy, s.workspace)
	}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// scan looks through the store for connections to probe, and forgets those that went.
func (r *Room) scan(ctx context.Context) error {
	r.mu.Lock()
	r.scans++
	scan := r.scans
	r.mu.Unlock()
	for ws, err := range all(ctx, r.opts.Store.Workspaces) {
		if err != nil {
			return fmt.Errorf("list workspaces: %w", err)
		}
		list := func(ctx context.Context, p domain.Page) ([]domain.Connection, string, error) {
			return r.opts.Store.Connections(ctx, ws.ID, p)
		}
		for c, err := range all(ctx, list) {
			if err != nil {
				return fmt.Errorf("list connections: %w", err)
			}
			if r.eligible(c) {
				r.meet(c, scan)
			}
		}
	}
	r.forget(scan)
	return nil
}

// eligible tells whether a connection is to be probed: one that should work, or that does not
// because of its probes alone.
func (r *Room) eligible(c domain.Connection) bool {
	if c.State != contract.StateConnected && c.State != contract.StateDegraded {
		said := c.Health.Said.State
		if c.Health.Probe == nil || c.Health.Credentials != nil || said != contract.StateConnected && said != contract.StateDegraded {
			return false
		}
	}
	abilities, ok := r.opts.Plugins.Abilities(c.Plugin)
	return ok && slices.Contains(abilities, contract.ExportCheckHealth)
}

// meet has a connection probed from now on, at a random time of the first interval.
func (r *Room) meet(c domain.Connection, scan uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.known[c.ID]
	if s == nil {
		s = &subject{id: c.ID, workspace: c.Workspace}
		if c.Health.Probe != nil { // it failed before the host was started
			s.status.Failures = r.opts.Failures
		}
		r.known[c.ID] = s
		r.schedule(s, r.opts.Now().Add(time.Duration(r.opts.Random()*float64(r.opts.Interval))))
	}
	s.scan = scan
}

// forget stops probing what the last scan did not find.
func (r *Room) forget(scan uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, s := range r.known {
		if s.scan != scan {
			delete(r.known, id)
			r.due.remove(s)
		}
	}
}

// schedule has a connection probed at a time. The caller holds mu.
func (r *Room) schedule(s *subject, at time.Time) {
	if r.known[s.id] != s {
		return // it was forgotten meanwhile
	}
	s.at, s.status.NextAt = at, at
	if !s.running { // or else release does it: a connection never has two probes at once
		r.due.push(s)
	}
}

// Probes tells what is known of the probes of a connection; false if it is not probed.
func (r *Room) Probes(id contract.ConnectionID) (Status, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.known[id]
	if s == nil {
		return Status{}, false
	}
	return s.status, true
}

// all yields the items of a listing, page by page. An error is the last that it yields.
func all[T any](ctx context.Context, list func(context.Context, domain.Page) ([]T, string, error)) func(func(T, error) bool) {
	return func(yield func(T, error) bool) {
		var none T
		page := domain.Page{Limit: 500}
		for {
			items, next, err := list(ctx, page)
			if err != nil {
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			page.After = next
		}
	}
}

// stopped tells whether an error is only that the host stops, or cannot write now: it says
// nothing of the connection.
func stopped(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, domain.ErrUnavailable)
}
