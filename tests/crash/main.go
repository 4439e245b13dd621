// Command crash kills a host, again and again, and looks for what it lost.
//
//	go run ./tests/crash --runs 300 --seed 7
//
// The host is the real binary with the real ELMA365 plugin and one that counts, in
// testdata/ledger, whose tokens expire every few seconds and whose app takes deliveries before
// anybody knows whose they are. Platforms deliver webhooks and a tenant sends messages all the while;
// the host is killed with SIGKILL at random moments and at every named failpoint
// (host/failpoint), and started again on the same folder. Ten deaths later everybody stops,
// the host comes to rest, and an oracle compares what was promised with what is there:
// nothing acknowledged may be lost, nothing may happen twice, nothing may happen in another
// order, and the store must be in order after every death. Where nobody can know whether a
// call took effect, its command must be parked, and is counted as uncertain.
//
// It exits 0 only if nothing was wrong. Otherwise it names the folders it kept: the data,
// the log of every life, the evidence and the verdict.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/seed75a60ee1/patchbay/host/failpoint"
)

func main() {
	runs := flag.Int("runs", 300, "how often the host is killed")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "what decides when, where and what is sent")
	asJSON := flag.Bool("json", false, "print the totals as JSON")
	dir := flag.String("dir", "", "where to keep evidence; empty is a new folder below the system's")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	t, err := execute(ctx, *dir, *seed, *runs)
	stop()
	if t != nil {
		report(t, *asJSON)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
	}
	if err != nil || !t.clean() {
		os.Exit(1)
	}
}

func execute(ctx context.Context, dir string, seed uint64, runs int) (*totals, error) {
	dir, err := evidenceFolder(dir)
	if err != nil {
		return nil, err
	}
	tools, err := os.MkdirTemp("", "patchbay-crash-build-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(tools) }() // nothing in it is needed afterwards
	fmt.Fprintf(os.Stderr, "seed %d, evidence in %s; building\n", seed, dir)
	p, err := build(ctx, tools)
	if err != nil {
		return nil, err
	}
	c := &campaign{product: p, dir: dir, seed: seed, runs: runs, progress: func(world int, t *totals, v *verdict) {
		fmt.Fprintf(os.Stderr, "world %d: %s\n", world, t)
		for _, f := range v.Findings {
			fmt.Fprintf(os.Stderr, "  %s\n", f)
		}
	}}
	t, err := c.run(ctx)
	_ = os.Remove(dir) // it stays if something was kept in it
	return t, err
}

func evidenceFolder(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "patchbay-crash-")
	}
	return dir, os.MkdirAll(dir, 0o700)
}

// String is the totals in one line.
func (t *totals) String() string {
	return fmt.Sprintf("kills %d, recoveries %d, acknowledged %d, lost %d, duplicated %d, reordered %d, stuck %d, unclean %d, crashed %d, uncertain %d, hung up %d",
		t.Kills, t.Recoveries, t.Acknowledged, t.Lost, t.Duplicated, t.Reordered, t.Stuck, t.Unclean, t.Crashed, t.Uncertain, t.HungUp)
}

func report(t *totals, asJSON bool) {
	if asJSON {
		_ = json.NewEncoder(os.Stdout).Encode(t) // a reader that went away misses it
		return
	}
	fmt.Println(t)
	for _, name := range failpoint.Names() {
		fmt.Printf("  %-24s died there %d times, and %d times did not come there\n", name, t.Reached[name], t.Unreached[name])
	}
	for _, name := range t.unproven() {
		fmt.Printf("  no host ever came to %s: it proves nothing\n", name)
	}
	for _, folder := range t.Kept {
		fmt.Println("  kept", folder)
	}
	fmt.Printf("took %v\n", t.Took.Round(time.Second))
}
