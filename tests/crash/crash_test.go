package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/host/failpoint"
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "patchbay-crash-build-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
	tools.dir = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir) // nothing in it is needed afterwards
		os.Exit(code)
	}))
}

// tools is the product, built once by the first test that needs it.
var tools struct {
	dir  string
	once sync.Once
	made *product
	err  error
}

func shared(t *testing.T) *product {
	t.Helper()
	tools.once.Do(func() { tools.made, tools.err = build(context.Background(), tools.dir) })
	if tools.err != nil {
		t.Fatal(tools.err)
	}
	return tools.made
}

// TestCrash kills the real host twenty times. PATCHBAY_CRASH_DIR keeps what it finds.
func TestCrash(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds and runs the real binary")
	}
	dir := os.Getenv("PATCHBAY_CRASH_DIR")
	if dir == "" {
		dir = t.TempDir()
	}
	c := &campaign{product: shared(t), dir: dir, seed: rand.Uint64(), runs: 20, progress: func(world int, totals *totals, v *verdict) {
		t.Logf("world %d: %s", world, totals)
		for _, f := range v.Findings {
			t.Error(f)
		}
	}}
	t.Logf("seed %d", c.seed)
	totals, err := c.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if totals.Kills != 20 || totals.Acknowledged == 0 {
		t.Errorf("the host died %d times with %d things acknowledged; want 20, and some", totals.Kills, totals.Acknowledged)
	}
}

func TestFatesDealEveryFailpointBeforeAnyTwice(t *testing.T) {
	f := &fates{rnd: rand.New(rand.NewPCG(1, 2))}
	names := failpoint.Names()
	seen := map[failpoint.Name]int{}
	random := 0
	for range len(names) + (len(names)+1)/2 {
		d := f.next()
		if d.point == "" {
			random++
		}
		seen[d.point]++
	}
	for _, name := range names {
		if seen[name] != 1 {
			t.Errorf("%s was dealt %d times in one round, want once", name, seen[name])
		}
	}
	if random != (len(names)+1)/2 {
		t.Errorf("%d random deaths were dealt, want %d", random, (len(names)+1)/2)
	}
}
