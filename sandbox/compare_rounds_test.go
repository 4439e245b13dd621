package sandbox

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	compareRounds = flag.Int("compare.rounds", 30, "how often BenchmarkCompare measures each row")
	compareSlot   = flag.Duration("compare.slot", 50*time.Millisecond, "how long it measures a row each time")
)

// samples are what the rounds found of a row, in the order of the rounds: nanoseconds a
// call, or calls a second. A round that left the row out has a zero.
type samples struct {
	name  string
	round []float64
}

func (s *samples) sorted() []float64 {
	all := slices.DeleteFunc(slices.Clone(s.round), func(v float64) bool { return v == 0 })
	slices.Sort(all)
	return all
}

func (s *samples) least() float64  { return s.sorted()[0] }
func (s *samples) most() float64   { return slices.Max(s.round) }
func (s *samples) median() float64 { return median(s.sorted()) }

// spread is half of what lies between the quartiles, as a share of the median.
func (s *samples) spread() float64 {
	all := s.sorted()
	return (all[len(all)*3/4] - all[len(all)/4]) / 2 / median(all)
}

// times is the median, over the rounds that have both, of this row in terms of another:
// what slows a whole round down drops out.
func (s *samples) times(other *samples) float64 {
	var all []float64
	for i, v := range s.round {
		if v > 0 && other.round[i] > 0 {
			all = append(all, v/other.round[i])
		}
	}
	slices.Sort(all)
	return median(all)
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// inRounds measures contenders in turn, in another order each round, each for a slot of
// time: the machine is shared, and what disturbs one row is to disturb all.
func inRounds(b *testing.B, list []contender, export string, input []byte) map[string]*samples {
	b.Helper()
	entrants := make([]*entrant, len(list))
	found := map[string]*samples{}
	for i, c := range list {
		entrants[i] = &entrant{contender: c, samples: &samples{name: c.name, round: make([]float64, *compareRounds)}}
		entrants[i].calibrate(b, export, input)
		found[c.name] = entrants[i].samples
	}
	for round := range *compareRounds {
		rand.Shuffle(len(entrants), func(i, k int) { entrants[i], entrants[k] = entrants[k], entrants[i] })
		for _, e := range entrants {
			if round%e.every == 0 {
				took := e.measure(b, e.calls, export, input)
				e.samples.round[round] = float64(took) / float64(e.calls)
			}
		}
	}
	return found
}

// entrant is a contender with what its slot holds.
type entrant struct {
	contender
	*samples
	calls, every int
}

// calibrate warms up, and finds how many calls fill a slot. A call of half a second is
// measured in every tenth round only.
func (e *entrant) calibrate(b *testing.B, export string, input []byte) {
	e.every = 1
	for e.calls = 1; ; e.calls *= 2 {
		took := e.measure(b, e.calls, export, input)
		if took >= *compareSlot/2 {
			e.calls = max(1, int(int64(e.calls)*int64(*compareSlot)/int64(took)))
			if e.calls == 1 && took > time.Second/2 {
				e.every = 10
			}
			return
		}
	}
}

// measure begins without the garbage of the row before.
func (e *entrant) measure(b *testing.B, calls int, export string, input []byte) time.Duration {
	b.Helper()
	if e.many != nil {
		took, err := e.many(calls)
		if err != nil {
			b.Fatalf("%s: %v", e.contender.name, err)
		}
		return took
	}
	runtime.GC()
	began := time.Now()
	for range calls {
		if _, err := e.call(export, input); err != nil {
			b.Fatalf("%s: %v", e.contender.name, err)
		}
	}
	return time.Since(began)
}

// parallelRounds measures calls a second by as many goroutines as there are cores.
func parallelRounds(b *testing.B, list []contender, export string, input []byte) map[string]*samples {
	b.Helper()
	found, workers := map[string]*samples{}, make([][]guest, len(list))
	for i, c := range list {
		found[c.name] = &samples{name: c.name, round: make([]float64, *compareRounds)}
		for range runtime.GOMAXPROCS(0) {
			g := c.call
			if c.another != nil {
				g = c.another()
			}
			workers[i] = append(workers[i], g)
		}
	}
	for round := range *compareRounds {
		for _, i := range rand.Perm(len(list)) {
			rate, err := callsPerSecond(workers[i], 2**compareSlot, export, input)
			if err != nil {
				b.Fatalf("%s: %v", list[i].name, err)
			}
			found[list[i].name].round[round] = rate
		}
	}
	return found
}

func callsPerSecond(workers []guest, during time.Duration, export string, input []byte) (rate float64, err error) {
	runtime.GC()
	var done sync.WaitGroup
	var calls, failed atomic.Int64
	began := time.Now()
	for _, g := range workers {
		done.Go(func() {
			for time.Since(began) < during {
				if _, err := g(export, input); err != nil {
					failed.Add(1)
					return
				}
				calls.Add(1)
			}
		})
	}
	done.Wait()
	if n := failed.Load(); n > 0 {
		return 0, fmt.Errorf("%d of %d goroutines failed", n, len(workers))
	}
	return float64(calls.Load()) / time.Since(began).Seconds(), nil
}
