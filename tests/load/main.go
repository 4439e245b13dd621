//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	if role := os.Getenv(roleVariable); role != "" {
		exit(beChild(role))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if !errors.Is(err, flag.ErrHelp) {
		exit(err)
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// errNotMet means that everything ran and some budget was not met.
var errNotMet = errors.New("not every budget was met")

// run carries out a command line.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "print JSON instead of a table")
	scale := fullScale
	flags.DurationVar(&scale.Time, "time", scale.Time, "how long each load is offered")
	flags.Float64Var(&scale.Rate, "rate", scale.Rate, "the rate that ingest is measured at, and the search for the highest begins below")
	flags.Int64Var(&scale.BigBytes, "big-bytes", scale.BigBytes, "how large the store of scenario big is")
	bench := &Bench{Progress: os.Stderr}
	flags.StringVar(&bench.Plugin, "plugin", "./plugins/elma365", "folder of the plugin's source, or a .wasm that is packed already")
	flags.StringVar(&bench.Dir, "dir", "", "folder to work in, on the disk to be measured; a temporary one, if not given")
	flags.StringVar(&bench.Profile, "profile", "", "write a CPU profile of the host under the steady load of ingest to this file, and those of apps to FILE.PLATFORM")
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "Usage: go run ./tests/load [flags] [scenario…]\n\nScenarios:\n")
		for _, s := range scenarios {
			fmt.Fprintf(flags.Output(), "  %-14s %s\n", s.Name, s.About)
		}
		fmt.Fprintln(flags.Output(), "\nFlags:")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(flags.Args())
	if err != nil {
		return err
	}
	bench.Scale = scale
	report, err := bench.Run(ctx, chosen)
	if err != nil {
		return err
	}
	if *asJSON {
		err = report.WriteJSON(out)
	} else {
		err = report.WriteTable(out)
	}
	if err == nil && !report.Met() {
		err = errNotMet
	}
	return err
}

// choose finds scenarios by name; no name means all.
func choose(names []string) ([]Scenario, error) {
	if len(names) == 0 {
		return scenarios, nil
	}
	var chosen []Scenario
	for _, name := range names {
		found := false
		for _, s := range scenarios {
			if s.Name == name {
				chosen, found = append(chosen, s), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no scenario %q; there are %s", name, strings.Join(known(), ", "))
		}
	}
	return chosen, nil
}

func known() (names []string) {
	for _, s := range scenarios {
		names = append(names, s.Name)
	}
	return names
}

// Scale is how much is measured. The figures that budgets are about come from fullScale; a
// test uses a smaller one and looks at the counts.
type Scale struct {
	// Time is how long each load is offered; Rate the one that ingest is measured at.
	Time time.Duration
	Rate float64
	// Floor is the rate that the search for the highest one begins at, and Steps how often
	// it halves what is left between a rate that is borne and one that is not.
	Floor float64
	Steps int
	// Connections is how many connections an ordinary load uses, Crowd the overload.
	Connections, Crowd int
	Tenants, Chats     int
	// AttemptRate is the rate of scenario first-attempt.
	AttemptRate float64
	BigBytes    int64
	// Jobs in Lanes is what scenario lanes starts with; Backlog what fairness has waiting.
	Jobs, Lanes, Backlog int
}

var fullScale = Scale{
	Time: 8 * time.Second, Rate: 5000, Floor: 500, Steps: 4, Connections: 64, Crowd: 2048, Tenants: 10, Chats: 16,
	AttemptRate: 1000, BigBytes: 5 << 30, Jobs: 100_000, Lanes: 10_000, Backlog: 5_000,
}
