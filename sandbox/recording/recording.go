// Package recording holds one invocation of a plugin whole, so that it can be run again
// without its host.
//
// A [Recording] is made by a [Recorder], which stands between the plugin and its host
// functions and sees what crosses there and nothing else. A [Player] answers host
// functions from a recording. [Compare] tells where two recordings part, as a
// [Divergence] that a person can read. A [Corpus] is the recordings that a vendor ships
// inside a plugin.
//
// No secret that the host holds is in a recording: the plugin never has one. It writes
// {{secret:NAME}}, and the host puts the value in behind the border that is recorded.
// What a platform itself wrote into a delivery is recorded as the plugin saw it.
//
// Recording and replay run nothing; package sandbox does, with Plugin.Record and Replay.
package recording

import (
	"log/slog"
	"time"
)

// Format is the version of the form that recordings are written in. Another is refused.
const Format = 1

// Recording is one invocation: everything that decided what it did, and what it did.
type Recording struct {
	// Format is the version of this form.
	Format int `json:"format"`
	// Digest is of the plugin's file: "sha256:" and 64 hexadecimal digits.
	Digest string `json:"digest"`
	// Export is the function that was called, with Input.
	Export string `json:"export"`
	Input  Bytes  `json:"input"`
	// Config is what Extism's config_get answered from.
	Config map[string]string `json:"config,omitzero"`
	// Now is the wall clock at the start, in UTC.
	Now time.Time `json:"now"`
	// Seed is where all randomness came from.
	Seed Seed `json:"seed"`
	// Limits are those that decide how far a computation gets.
	Limits Limits `json:"limits"`
	// Calls are the host calls, in order.
	Calls []Call `json:"calls,omitzero"`
	// Logs are the log lines, in order. They are for people: nothing compares them.
	Logs []Log `json:"logs,omitzero"`
	// Outcome is how it ended.
	Outcome Outcome `json:"outcome"`
	// Fuel is what it used, and MemoryBytes the plugin's own memory at the end.
	Fuel        int64 `json:"fuel"`
	MemoryBytes int64 `json:"memory_bytes"`
	// TookMicros is the time from start to end. It differs from run to run.
	TookMicros int64 `json:"took_micros"`
	// Incomplete says why something is missing, such as that it was too much to keep; an
	// incomplete recording can be read and not replayed.
	Incomplete string `json:"incomplete,omitzero"`
}

// Limits are limits of a sandbox. Zero means that the recording does not tell.
type Limits struct {
	Fuel       int64 `json:"fuel,omitzero"`
	StackBytes int64 `json:"stack_bytes,omitzero"`
}

// Call is one call of a host function.
type Call struct {
	Function string `json:"function"`
	// Arguments are nil if the plugin named no block.
	Arguments Bytes `json:"arguments"`
	// Answer is what the plugin got, unless Failure says why it got nothing and ended.
	Answer  Bytes    `json:"answer,omitzero"`
	Failure *Failure `json:"failure,omitzero"`
}

// Log is a log line of the plugin.
type Log struct {
	Level  slog.Level `json:"level"`
	Source string     `json:"source"`
	Text   string     `json:"text"`
}

// Outcome is what came of an invocation: an output, or a failure.
type Outcome struct {
	Output  Bytes    `json:"output,omitzero"`
	Failure *Failure `json:"failure,omitzero"`
}

// Kind is a kind of failure.
type Kind string

// The kinds of failure.
const (
	KindTrap      Kind = "trap"      // the plugin crashed
	KindGuest     Kind = "guest"     // the plugin reported it
	KindLimit     Kind = "limit"     // it met a limit
	KindHost      Kind = "host"      // a host function failed
	KindDeadline  Kind = "deadline"  // its time was over
	KindCancelled Kind = "cancelled" // its caller gave up
	KindBusy      Kind = "busy"      // the host had no memory left for it
)

// Failure is why an invocation or a host call failed.
type Failure struct {
	Kind Kind `json:"kind"`
	// Message is for people.
	Message string `json:"message"`
	// Code is what the export returned, for [KindGuest].
	Code int32 `json:"code,omitzero"`
	// Limit names the limit, for [KindLimit] and [KindDeadline].
	Limit string `json:"limit,omitzero"`
	// Function is the host function, for [KindHost].
	Function string `json:"function,omitzero"`
	// Stack and Stderr tell where a trap was and why. Nothing compares them.
	Stack  string `json:"stack,omitzero"`
	Stderr string `json:"stderr,omitzero"`
}

// Outside reports whether the invocation was ended from outside, at a moment that a replay
// cannot know: its time was over, its caller gave up, or its host failed between calls.
func (r *Recording) Outside() bool {
	f, n := r.Outcome.Failure, len(r.Calls)
	if f == nil {
		return false
	}
	switch f.Kind {
	case KindDeadline, KindCancelled, KindBusy:
		return true
	case KindHost:
		return n == 0 || r.Calls[n-1].Failure == nil
	}
	return false
}
