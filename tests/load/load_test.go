//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/host/pack"
)

// TestMain makes this test's own program the host, where it is started as one.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		exit(beChild(role))
	}
	// fasthttp keeps one goroutine for the Date header, for as long as the process lives, and
	// one of each server sleeps for up to 10 s after it was stopped.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// blink is enough to see that every part does what it is for.
var blink = Scale{
	Time: 400 * time.Millisecond, Rate: 50, Floor: 50, Steps: 1, Connections: 8, Crowd: 64, Tenants: 2, Chats: 2,
	AttemptRate: 50, BigBytes: 24 << 20, Jobs: 500, Lanes: 50, Backlog: 40,
}

// TestEachScenarioForABlink looks at the counts and not at the speed, which is the
// machine's.
func TestEachScenarioForABlink(t *testing.T) {
	dir := t.TempDir()
	plugin := filepath.Join(dir, "elma365.wasm")
	if _, err := pack.Build(t.Context(), pack.Options{Dir: "../../plugins/elma365", Output: plugin}); err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios {
		t.Run(s.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			var progress bytes.Buffer
			b := &Bench{Scale: blink, Plugin: plugin, Dir: dir, Progress: &progress}
			report, err := b.Run(ctx, []Scenario{s})
			if err != nil {
				t.Fatalf("%v\n%s", err, &progress)
			}
			for _, row := range report.Rows {
				checkCount(t, row)
			}
			if t.Failed() {
				t.Logf("%s", &progress)
			}
		})
	}
}

// checkCount fails for a budget that has nothing to do with speed and was not met.
func checkCount(t *testing.T, row Row) {
	counts := []string{"acknowledged and lost", "kept twice", "jobs out of their lane's order", "answered otherwise, or not at all",
		"events without a first attempt"}
	if slices.ContainsFunc(counts, func(count string) bool { return strings.HasSuffix(row.What, count) }) && !*row.Met {
		t.Errorf("%s is %v: %s", row.What, row.Value, row.Note)
	}
	if row.What == "jobs worked off" && row.Value != float64(blink.Jobs) {
		t.Errorf("%v jobs were worked off, want %d", row.Value, blink.Jobs)
	}
}

func TestTheTableTellsWhatWasNotMet(t *testing.T) {
	report := Report{Cores: 2, Rows: []Row{
		rowOf("p99", 0.03, Seconds, Circumstances{}).atMost(0.025), rowOf("answered", 5000, PerSecond, Circumstances{}).atLeast(4950),
		rowOf("host opened", 0.1, Seconds, Circumstances{}),
	}}
	var table, document bytes.Buffer
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	if err := report.WriteJSON(&document); err != nil {
		t.Fatal(err)
	}
	var again Report
	if err := json.Unmarshal(document.Bytes(), &again); err != nil || again.Met() || report.Met() {
		t.Errorf("a budget that was not met counts as met (%v)", err)
	}
	if text := table.String(); strings.Count(text, "NOT MET") != 1 || !strings.Contains(text, "≤ 25 ms") || !strings.Contains(text, "≥ 4950/s") {
		t.Errorf("the table is\n%s", text)
	}
	report.Rows = report.Rows[1:]
	if !report.Met() {
		t.Error("a report without a budget missed counts as one with")
	}
}

func TestAnUnknownScenarioIsRefusedWithThoseThereAre(t *testing.T) {
	err := run(t.Context(), []string{"ingest", "outgest"}, new(bytes.Buffer))
	if err == nil || !strings.Contains(err.Error(), "outgest") || !strings.Contains(err.Error(), "first-attempt") {
		t.Errorf("got %v", err)
	}
}
