package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong with a manifest or with a connection's settings. Match on
// Field; Why and Fix are written for people and may be reworded.
type Problem struct {
	// Field is a path, such as "egress.callback.paths[0]"; empty for the whole document.
	Field string
	// Value is what stands there, shortened; empty if nothing does.
	Value string
	// Why says what is wrong with it.
	Why string
	// Fix says what to write instead; may be empty.
	Fix string
	// Line is where it is in a YAML file, from 1; 0 if unknown.
	Line int
}

func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString("manifest")
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	switch {
	case p.Field == "":
	case p.Value == "":
		b.WriteString(p.Field + ": ")
	default:
		fmt.Fprintf(&b, "%s is %q: ", p.Field, p.Value)
	}
	b.WriteString(p.Why)
	if p.Fix != "" {
		b.WriteString("; " + p.Fix)
	}
	return b.String()
}

// Problems is everything wrong with a manifest, in the order of the fields. errors.As
// finds the first [*Problem] in it.
type Problems []*Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems as errors.
func (p Problems) Unwrap() []error {
	errs := make([]error, len(p))
	for i, problem := range p {
		errs[i] = problem
	}
	return errs
}

// findings collects problems.
type findings struct{ list Problems }

// add notes a problem. A field has at most one: the first is told best.
func (f *findings) add(field, value, why, fix string) {
	same := func(p *Problem) bool { return p.Field == field }
	if !slices.ContainsFunc(f.list, same) {
		f.list = append(f.list, &Problem{Field: field, Value: shortened(value), Why: why, Fix: fix})
	}
}

// err returns what was found, with the lines on which the fields begin.
func (f *findings) err(lines map[string]int) error {
	if len(f.list) == 0 {
		return nil
	}
	for _, p := range f.list {
		p.Line = lineOf(p.Field, lines)
	}
	slices.SortStableFunc(f.list, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Field, b.Field))
	})
	return f.list
}

// lineOf returns the line of a field, or of what it would stand in if it is missing.
func lineOf(field string, lines map[string]int) int {
	for {
		line, ok := lines[field]
		if ok || field == "" {
			return line
		}
		field = field[:max(0, strings.LastIndexAny(field, ".["))]
	}
}

// shortened keeps a value fit for a line of text.
func shortened(value string) string {
	const most = 80
	if runes := []rune(value); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return value
}
