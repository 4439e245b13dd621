package sandbox

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// ErrNoExport means that the plugin has no such export, or one that is not called
// without parameters for at most one integer.
var ErrNoExport = errors.New("the plugin has no such export")

// ErrClosed means that the plugin or its engine was closed.
var ErrClosed = errors.New("closed")

// Refusal is one reason why a module may not run. Match on Part and Import; Why and
// Fix are written for the vendor and may be reworded.
type Refusal struct {
	// Part is what of the module it concerns: "import", "memory", "table", "file" or "code".
	Part string
	// Import is the import, as in "extism:host/env.http_request", for that part.
	Import   string
	Why, Fix string
}

func (e *Refusal) Error() string {
	subject := e.Part
	if e.Import != "" {
		subject += " " + e.Import
	}
	return fmt.Sprintf("plugin refused: %s: %s; %s", subject, e.Why, e.Fix)
}

// Refusals are all those in err, which [Engine.Load] joins.
func Refusals(err error) []*Refusal {
	var all []*Refusal
	switch e := err.(type) {
	case *Refusal:
		return []*Refusal{e}
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			all = append(all, Refusals(one)...)
		}
	case interface{ Unwrap() error }:
		return Refusals(e.Unwrap())
	}
	return all
}

// Trap is a call that ended in the middle: an instruction that cannot be executed,
// or a plugin that gave up, as a Go program does when it panics.
type Trap struct {
	Export string
	// Cause is such as "unreachable" or "exit code 2".
	Cause string
	// Stack is where, innermost first, with names where the module has them.
	Stack string
	// Stderr is the end of what the plugin wrote to its standard error, which is where
	// most languages say why.
	Stderr string
}

func (e *Trap) Error() string { return fmt.Sprintf("%s trapped: %s", e.Export, e.Cause) }

// LimitError is a call that wanted more than it was allowed.
type LimitError struct {
	// Limit is "fuel", "stack_bytes", "deadline", in milliseconds, "output_bytes",
	// "block_bytes", "blocks" or "host_calls".
	// Used is what was wanted when the limit was met; of the stack it is only known to be more
	// than Allowed.
	Limit         string
	Allowed, Used int64
	// Err is what came of it: [context.DeadlineExceeded] for the deadline, perhaps a
	// [*Trap] or [*GuestError] for a quota that the plugin did not survive.
	Err error
}

func (e *LimitError) Error() string {
	text := fmt.Sprintf("limit %s: %d wanted, %d allowed", e.Limit, e.Used, e.Allowed)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *LimitError) Unwrap() error { return e.Err }

// GuestError is a failure that the plugin reported of its own accord.
type GuestError struct {
	Export, Message string
	// Code is what the export returned.
	Code int32
}

func (e *GuestError) Error() string {
	return fmt.Sprintf("%s failed with code %d: %s", e.Export, e.Code, e.Message)
}

// HostFault is a call that ended because of its host: a host function failed or was
// cancelled. The plugin is not to blame.
type HostFault struct {
	Function string
	Err      error
}

func (e *HostFault) Error() string { return fmt.Sprintf("host function %s: %v", e.Function, e.Err) }

func (e *HostFault) Unwrap() error { return e.Err }

// clip is text a person can read, of at most n bytes: no control characters but the ends
// of lines and tabs, which a terminal would obey.
func clip(text string, n int) string {
	text = strings.ToValidUTF8(text[:min(len(text), n)], "\uFFFD")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return '\uFFFD'
		}
		return r
	}, text)
	return strings.ToValidUTF8(text[:min(len(text), n)], "")
}

// clipName is clip for what is one line.
func clipName(text string, n int) string {
	return strings.NewReplacer("\n", "\uFFFD", "\t", "\uFFFD").Replace(clip(text, n))
}
