//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"
)

// Row is one figure.
type Row struct {
	Scenario string  `json:"scenario"`
	What     string  `json:"what"`
	Value    float64 `json:"value"`
	Unit     Unit    `json:"unit"`
	// AtMost and AtLeast are the budget; at most one is given.
	AtMost  *float64 `json:"at_most,omitempty"`
	AtLeast *float64 `json:"at_least,omitempty"`
	Met     *bool    `json:"met,omitempty"`
	// Circumstances are those of the load that the figure came from.
	Circumstances Circumstances `json:"circumstances"`
	Note          string        `json:"note,omitempty"`
}

// Unit is what a value is counted in.
type Unit string

// The units. Durations are in seconds.
const (
	Seconds   Unit = "s"
	PerSecond Unit = "/s"
	Times     Unit = "×"
	Share     Unit = "%"
	Number    Unit = ""
	Bytes     Unit = "B"
)

// Circumstances are what a figure depends on besides the code.
type Circumstances struct {
	Machine
	// Others is what all other processes took meanwhile, in processors.
	Others float64 `json:"others"`
}

// rowOf makes a row without a budget.
func rowOf(what string, value float64, unit Unit, c Circumstances) Row {
	return Row{What: what, Value: value, Unit: unit, Circumstances: c}
}

func (r Row) atMost(bound float64) Row {
	met := r.Value <= bound
	r.AtMost, r.Met = &bound, &met
	return r
}

func (r Row) atLeast(bound float64) Row {
	met := r.Value >= bound
	r.AtLeast, r.Met = &bound, &met
	return r
}

func (r Row) noted(format string, args ...any) Row {
	r.Note = fmt.Sprintf(format, args...)
	return r
}

// Report is all figures of a run.
type Report struct {
	Cores int   `json:"cores"`
	Rows  []Row `json:"rows"`
}

// Met tells whether every budget was met.
func (r *Report) Met() bool {
	for _, row := range r.Rows {
		if row.Met != nil && !*row.Met {
			return false
		}
	}
	return true
}

// WriteJSON writes the report for a program.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// WriteTable writes the report for a person.
func (r *Report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "scenario\twhat\tfigure\tbudget\t\tfsync p50/p99\tload\tothers\tnote\n")
	for _, row := range r.Rows {
		c := row.Circumstances
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s / %s\t%.1f\t%.2f\t%s\n", row.Scenario, row.What, row.Unit.format(row.Value),
			row.budget(), row.verdict(), short(c.FsyncP50), short(c.FsyncP99), c.Load, c.Others, row.Note)
	}
	fmt.Fprintf(table, "\nEverything shares %d processors. load: average of the last minute, before; others: processors that other processes took meanwhile.\n", r.Cores)
	return table.Flush()
}

func (r Row) budget() string {
	switch {
	case r.AtMost != nil:
		return "≤ " + r.Unit.format(*r.AtMost)
	case r.AtLeast != nil:
		return "≥ " + r.Unit.format(*r.AtLeast)
	}
	return ""
}

func (r Row) verdict() string {
	switch {
	case r.Met == nil:
		return ""
	case *r.Met:
		return "met"
	}
	return "NOT MET"
}

func (u Unit) format(v float64) string {
	switch u {
	case Seconds:
		return short(time.Duration(v * float64(time.Second)))
	case Share:
		return strconv.FormatFloat(100*v, 'f', 1, 64) + " %"
	case Times:
		return strconv.FormatFloat(v, 'g', 3, 64) + " ×"
	case Bytes:
		return strconv.FormatFloat(v/(1<<20), 'f', 1, 64) + " MiB"
	}
	return strconv.FormatFloat(v, 'f', 0, 64) + string(u)
}

// short is a duration with three digits.
func short(d time.Duration) string {
	switch {
	case d >= time.Second:
		return strconv.FormatFloat(d.Seconds(), 'g', 3, 64) + " s"
	case d >= time.Millisecond:
		return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'g', 3, 64) + " ms"
	}
	return strconv.FormatFloat(float64(d)/float64(time.Microsecond), 'g', 3, 64) + " µs"
}
