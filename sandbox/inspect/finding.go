package inspect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity says how much a finding should weigh.
type Severity string

// The severities, the gravest first.
const (
	Critical Severity = "critical" // no host takes it, or it attacks whoever does
	High     Severity = "high"     // do not approve without an answer from the vendor
	Medium   Severity = "medium"   // understand it before approving
	Low      Severity = "low"      // worth mending
	Info     Severity = "info"     // good to know
)

// Severities lists them, the gravest first.
func Severities() []Severity { return []Severity{Critical, High, Medium, Low, Info} }

// Finding is one thing that a reviewer should know. There is at most one of each ID in
// a report, with all its places as evidence.
type Finding struct {
	// ID is stable: match on it. The texts may be reworded.
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	What     string   `json:"what"`
	Why      string   `json:"why"`
	Do       string   `json:"do"`
	// Evidence are places and names, at most maxEvidence of them and how many more.
	Evidence []string `json:"evidence,omitempty"`
}

const maxEvidence = 12

// judge applies every rule and draws the sum.
func (a *analysis) judge() {
	for _, rule := range rules {
		rule(a)
	}
	slices.SortStableFunc(a.Findings, func(x, y Finding) int {
		return cmp.Compare(slices.Index(Severities(), x.Severity), slices.Index(Severities(), y.Severity))
	})
	a.Verdict = verdict(a.Findings)
}

// find adds a finding.
func (a *analysis) find(severity Severity, id, what, why, do string, evidence ...string) {
	for i, e := range evidence {
		evidence[i] = clip(e, 2*maxText)
	}
	if n := len(evidence); n > maxEvidence {
		evidence = append(evidence[:maxEvidence:maxEvidence], fmt.Sprintf("and %d more", n-maxEvidence))
	}
	a.Findings = append(a.Findings, Finding{ID: id, Severity: severity, What: what, Why: why, Do: do, Evidence: evidence})
}

// verdict sums the findings up in a line.
func verdict(findings []Finding) Verdict {
	count := map[Severity]int{}
	for _, f := range findings {
		count[f.Severity]++
	}
	var parts []string
	level := Info
	for _, s := range slices.Backward(Severities()) {
		if count[s] > 0 {
			level = s
			parts = append(parts, fmt.Sprintf("%d %s", count[s], s))
		}
	}
	slices.Reverse(parts)
	text := map[Severity]string{
		Critical: "Do not approve",
		High:     "Do not approve without an answer from the vendor",
		Medium:   "Understand the findings before approving",
		Low:      "Nothing that should keep it out",
		Info:     "Nothing that should keep it out",
	}[level]
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return Verdict{Level: level, Text: text + "."}
}

// count writes a number with a word, as in "1 loop" and "2 loops".
func count[N int | int64 | uint32](n N, word string) string {
	if n == 1 {
		return "1 " + word
	}
	if strings.HasSuffix(word, "y") {
		word = strings.TrimSuffix(word, "y") + "ies"
	} else if strings.HasSuffix(word, "ch") || strings.HasSuffix(word, "ss") {
		word += "es"
	} else {
		word += "s"
	}
	return thousands(int64(n)) + " " + word
}

// thousands writes a number with separators.
func thousands(n int64) string {
	digits := fmt.Sprint(max(n, 0))
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
