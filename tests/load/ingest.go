//go:build linux

package main

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"
)

// What DESIGN section 9 asks for.
const (
	ingestRate    = 5000 // webhooks a second
	ingestP99     = 25 * time.Millisecond
	shareOfBare   = 0.5
	attemptP99    = 100 * time.Millisecond
	lanesStart    = 2 * time.Second
	behindSeconds = 0.5 // how far behind a load may fall before a search gives it up
)

// numbers gives every request of a world a number of its own.
type numbers struct {
	build func(n int, buf []byte) []byte
	next  int
}

// take returns a load whose requests no load before had.
func (s *numbers) take(rate float64, for_ time.Duration) Load {
	first := s.next
	count := max(int(rate*for_.Seconds()), 1)
	s.next += count
	return Load{Rate: rate, Count: count, Build: func(n int, buf []byte) []byte { return s.build(first+n, buf) }}
}

// stream offers webhooks to a world's host.
type stream struct {
	b *Bench
	w *World
	numbers
}

// newStream prepares the webhooks and warms the host up.
func newStream(b *Bench, w *World, first int) (*stream, error) {
	build, err := Webhooks(w.Host.Address(), w.Tenants)
	if err != nil {
		return nil, err
	}
	s := &stream{b: b, w: w, numbers: numbers{build: build, next: first}}
	_, err = b.offer(w, s.take(b.Scale.Floor, b.Scale.Time/4))
	return s, err
}

// steady offers a rate for the whole time.
func (s *stream) steady(rate float64) (*Trial, error) {
	return s.b.offer(s.w, s.take(rate, s.b.Scale.Time))
}

// saturate offers far more than can be taken, so that the host always has as many requests
// as there are connections, and finds out how much it takes.
func (s *stream) saturate() (*Trial, error) {
	load := s.take(2*s.b.Scale.Floor, s.b.Scale.Time)
	load.Rate, load.Patience = 1e6, time.Minute // all are due at once
	return s.b.offer(s.w, load)
}

// borne tells whether a rate was: everything answered, and in time.
func borne(t *Trial) bool { return t.Failed() == 0 && t.P99() <= ingestP99 }

// try offers a rate and gives it up once it has fallen behind. One that was not borne has a
// second chance: a machine has others to serve.
func (s *stream) try(rate float64) (t *Trial, err error) {
	for range 2 {
		load := s.take(rate, s.b.Scale.Time/2)
		load.GiveUpBehind = int(math.Ceil(rate * behindSeconds))
		if t, err = s.b.offer(s.w, load); err != nil || borne(t) {
			return t, err
		}
	}
	return t, nil
}

// highest searches the highest rate that is borne; nil if not even the lowest is.
func (s *stream) highest() (best *Trial, err error) {
	low, high := 0.0, 0.0
	for rate := s.b.Scale.Floor; high == 0; rate *= 1.5 {
		t, err := s.try(rate)
		switch {
		case err != nil:
			return nil, err
		case borne(t):
			low, best = rate, t
		default:
			high = rate
		}
	}
	for range s.b.Scale.Steps {
		rate := (low + high) / 2
		t, err := s.try(rate)
		switch {
		case err != nil:
			return nil, err
		case borne(t):
			low, best = rate, t
		default:
			high = rate
		}
	}
	return best, nil
}

// rows tells of a steady load.
func (t *Trial) rows() []Row {
	return []Row{
		rowOf("answered", t.Answered(), PerSecond, t.Circumstances).atLeast(0.99*t.Offered).noted("%.0f/s offered, %d failed", t.Offered, t.Failed()),
		rowOf("p99", t.P99().Seconds(), Seconds, t.Circumstances).atMost(ingestP99.Seconds()).
			noted("p50 %s, p99.9 %s, longest %s; from when it was sent: p99 %s", short(t.Latency.Quantile(0.5)), short(t.Latency.Quantile(0.999)),
				short(t.Latency.Max()), short(t.Service.Quantile(0.99))),
		t.cost(),
	}
}

// cost is what a request costs the host; the generator's part is in the note.
func (t *Trial) cost() Row {
	return rowOf("processor time of the host a webhook", t.Host.CPU.Seconds(), Seconds, t.Circumstances).
		noted("user %s, system %s, of it gc %s; %.0f KB in %.0f allocations; generator %s", short(t.Host.User), short(t.Host.System),
			short(t.Host.GC), t.Host.Bytes/1024, t.Host.Allocs, short(t.CPU/time.Duration(max(t.OK(), 1))))
}

// highestRow tells of the highest rate that was borne.
func highestRow(best *Trial) Row {
	if best == nil {
		return rowOf("highest rate with p99 ≤ 25 ms", 0, PerSecond, Circumstances{}).atLeast(ingestRate).noted("not even the lowest that was tried")
	}
	return rowOf("highest rate with p99 ≤ 25 ms", best.Offered, PerSecond, best.Circumstances).atLeast(ingestRate).noted("p99 %s", short(best.P99()))
}

func ingest(ctx context.Context, b *Bench) (rows []Row, err error) {
	w, end, err := b.world(ctx, "ingest", nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	s, err := newStream(b, w, 0)
	if err != nil {
		return nil, err
	}
	return s.measure()
}

// measure is what ingest and big have in common.
func (s *stream) measure() ([]Row, error) {
	endProfile := func() error { return nil }
	if s.b.Profile != "" {
		var err error
		if endProfile, err = s.w.Host.Profile(s.b.Profile); err != nil {
			return nil, err
		}
	}
	steady, err := s.steady(s.b.Scale.Rate)
	if err := errors.Join(err, endProfile()); err != nil {
		return nil, err
	}
	best, err := s.highest()
	if err != nil {
		return nil, err
	}
	return append(steady.rows(), highestRow(best)), nil
}

// rounds is how often the server with plugin and the one without take turns.
const rounds = 3

// ingestBare lets both servers work through as much as they can, in turn, on stores that
// grow alike, and compares by the medians.
func ingestBare(ctx context.Context, b *Bench) (rows []Row, err error) {
	w, end, err := b.world(ctx, "bare", nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	var with, without []*Trial
	next := 0
	for range rounds {
		for _, bare := range []bool{false, true} {
			if err := errors.Join(w.Stop(), w.Start(ctx, bare)); err != nil {
				return nil, err
			}
			s, err := newStream(b, w, next)
			if err != nil {
				return nil, err
			}
			t, err := s.saturate()
			if err != nil {
				return nil, err
			}
			next = s.next
			if bare {
				without = append(without, t)
			} else {
				with = append(with, t)
			}
		}
	}
	a, z := median(with), median(without)
	return []Row{
		rowOf("most webhooks through the plugin", a.Answered(), PerSecond, a.Circumstances).noted("median of %d", rounds), a.cost(),
		rowOf("most webhooks without plugin", z.Answered(), PerSecond, z.Circumstances).noted("median of %d", rounds), z.cost(),
		rowOf("with plugin, in terms of without", a.Answered()/z.Answered(), Times, a.Circumstances).atLeast(shareOfBare),
	}, nil
}

// median is the trial in the middle, by how much was answered.
func median(trials []*Trial) *Trial {
	slices.SortFunc(trials, func(a, b *Trial) int { return int(a.Answered() - b.Answered()) })
	return trials[len(trials)/2]
}
