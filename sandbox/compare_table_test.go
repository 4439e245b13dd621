package sandbox

import (
	"fmt"
	"io"
	"maps"
	"math"
	"strings"
	"text/tabwriter"
	"time"
)

// comparison is all that BenchmarkCompare found.
type comparison struct {
	webhook, echo, rate map[string]*samples
	order               struct {
		webhook, rate []contender
		echo          [][]contender
	}
	restart, loading    *samples
	idle                idleCost
	work                work
	hostCall, talkative float64 // allocations
}

// print writes one table after another, and the budgets last.
func (c *comparison) print(w io.Writer, setting string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\n%s\n\n", setting)
	c.printTimes(t, "the same webhook (elma365, receive)", c.webhook, c.order.webhook)
	for _, list := range c.order.echo {
		c.printTimes(t, "a payload in and out", c.echo, list)
	}
	fmt.Fprint(t, "webhooks a second on all cores\tmost\tmedian\tspread\tours, by most\tby median\n")
	ours := c.rate[rowIsolated]
	for _, r := range c.order.rate {
		s := c.rate[r.name]
		fmt.Fprintf(t, "  %s\t%.0f\t%.0f\t±%.0f %%\t%s ×\t%s ×\n", s.name, s.most(), s.median(), 100*s.spread(), ratio(ours.most()/s.most()), ratio(ours.times(s)))
	}
	fmt.Fprint(t, "\n")
	t.Flush()
	c.printFacts(t)
	t.Flush()
	c.printBudgets(t)
	t.Flush()
}

func (c *comparison) addEcho(list []contender, found map[string]*samples) {
	if c.echo == nil {
		c.echo = map[string]*samples{}
	}
	maps.Copy(c.echo, found)
	c.order.echo = append(c.order.echo, list)
}

// printTimes compares with the first row.
func (c *comparison) printTimes(w io.Writer, title string, found map[string]*samples, order []contender) {
	fmt.Fprintf(w, "%s\tleast\tmedian\tspread\tin terms of the first, by least\tby median\n", title)
	first := found[order[0].name]
	for _, r := range order {
		s := found[r.name]
		fmt.Fprintf(w, "  %s\t%s\t%s\t±%.0f %%\t%s ×\t%s ×\n", s.name, duration(s.least()), duration(s.median()), 100*s.spread(),
			ratio(s.least()/first.least()), ratio(s.times(first)))
	}
	fmt.Fprint(w, "\n")
}

func (c *comparison) printFacts(w io.Writer) {
	for _, line := range [][2]string{
		{"a webhook's fuel, host calls, pages set back", fmt.Sprintf("%d units, %d, %d of 4 KiB", c.work.fuel, c.work.hostCalls, c.work.pages)},
		{"a restart with compiled code kept: load, and first call done", fmt.Sprintf("%s, %s (median %s)", duration(c.loading.least()), duration(c.restart.least()), duration(c.restart.median()))},
		{"an idle frozen instance's own pages: after a call, trimmed", megabytes(c.idle.used) + ", " + megabytes(c.idle.mapping)},
		{"  besides: Go heap, page tables", megabytes(c.idle.heap) + ", " + megabytes(c.idle.tables)},
		{"  all that the process has more, the kernel's page tables aside", megabytes(c.idle.private)},
		{"Go allocations of a host call: no data, 16 bytes each way", fmt.Sprintf("%.2f, %.2f", c.hostCall, c.talkative)},
	} {
		fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
	}
	fmt.Fprint(w, "\n")
}

// budget is a line of DESIGN.md section 9. A ratio is judged by the median of the rounds: a
// loaded machine slows both of a pair, and only a row that was lucky collects no garbage.
// A time is judged by the least of them: it is all that load does not reach.
type budget struct {
	what              string
	least, median     float64
	bound             float64
	atLeast, byMedian bool
	show              func(v float64) string
}

func (c *comparison) budgets() []budget {
	against := func(what, name, of string, bound float64, atLeast bool) budget {
		s, other := c.webhook[name], c.webhook[of]
		return budget{what: what, least: s.least() / other.least(), median: s.times(other), bound: bound,
			atLeast: atLeast, byMedian: true, show: func(v float64) string { return ratio(v) + " ×" }}
	}
	took := func(what string, s *samples, bound time.Duration) budget {
		return budget{what: what, least: s.least(), median: s.median(), bound: float64(bound), show: duration}
	}
	plain := func(what string, found, bound float64, show func(v float64) string) budget {
		return budget{what: what, least: found, median: found, bound: bound, show: show}
	}
	return []budget{
		against("go-sdk fresh with timeout, in terms of ours", rowSDKFresh, rowIsolated, 25, true),
		against("go-sdk pooled with timeout, in terms of ours", rowSDKPooled, rowIsolated, 4, true),
		against("ours, in terms of reused, neither isolated nor metered", rowIsolated, rowUnmetered, 1.35, false),
		against("fuel: reused metered, in terms of not metered", rowReused, rowUnmetered, 1.2, false),
		took("echo of 1 KB", c.echo[rowEchoKB], 5*time.Microsecond),
		took("echo of 1 MB", c.echo[rowEchoMB], 150*time.Microsecond),
		plain("idle frozen instance, private memory", c.idle.private, 0.15e6, megabytes),
		took("first call after a restart", c.restart, 50*time.Millisecond),
		plain("allocations of a host call beyond the data", c.hostCall, 0.01, func(v float64) string { return fmt.Sprintf("%.2f", v) }),
	}
}

func (c *comparison) printBudgets(w io.Writer) {
	fmt.Fprint(w, "budget of issue 3: ratios by the median, times by the least\tbound\tleast\tmedian\t\n")
	for _, b := range c.budgets() {
		sign, verdict := "≤", "not met"
		if b.atLeast {
			sign = "≥"
		}
		if b.met() {
			verdict = "met"
		}
		fmt.Fprintf(w, "  %s\t%s %s\t%s\t%s\t%s\n", b.what, sign, b.show(b.bound), b.show(b.least), b.show(b.median), verdict)
	}
	fmt.Fprint(w, "\n")
}

func (b *budget) met() bool {
	v := b.least
	if b.byMedian {
		v = b.median
	}
	return b.atLeast && v >= b.bound || !b.atLeast && v <= b.bound
}

// ratio and duration have three digits that matter.
func ratio(v float64) string {
	digits := max(0, 2-int(math.Floor(math.Log10(v))))
	return fmt.Sprintf("%.*f", digits, v)
}

func duration(ns float64) string {
	for _, unit := range []struct {
		name string
		ns   float64
	}{{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}} {
		if ns >= unit.ns {
			return ratio(ns/unit.ns) + " " + unit.name
		}
	}
	return strings.TrimSpace(fmt.Sprintf("%.0f ns", ns))
}

func megabytes(v float64) string { return fmt.Sprintf("%.3f MB", v/1e6) }
