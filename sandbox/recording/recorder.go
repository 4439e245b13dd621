package recording

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"
)

// maxKept is how many bytes of input, host calls, logs and output one recording keeps.
const maxKept = 24 << 20

// Recorder makes a [Recording] of one invocation while it runs. Like the invocation, it
// is used by one goroutine at a time.
type Recorder struct {
	recording Recording
	room      int
}

// NewRecorder begins a recording of which everything is known that is known before the
// start: digest, export, input, configuration, clock, seed and limits. It keeps copies.
func NewRecorder(begun Recording) *Recorder {
	r := &Recorder{recording: begun, room: maxKept}
	r.recording.Format = Format
	r.recording.Now = begun.Now.UTC().Round(0)
	r.recording.Input = r.keep("the input", begun.Input)
	r.recording.Config = maps.Clone(begun.Config)
	for name, value := range begun.Config {
		r.take("the configuration", len(name)+len(value))
	}
	return r
}

// take reports whether there is room for n more bytes. The first time that there is none
// the recording becomes incomplete, and stays so.
func (r *Recorder) take(what string, n int) bool {
	if r.recording.Incomplete != "" {
		return false
	}
	if r.room -= n; r.room < 0 {
		r.recording.Incomplete = fmt.Sprintf("%s and what came before it have more than the %d bytes that are kept", what, maxKept)
		return false
	}
	return true
}

// keep is a copy of b, or nil if there is no room.
func (r *Recorder) keep(what string, b []byte) Bytes {
	if !r.take(what, len(b)) {
		return nil
	}
	return bytes.Clone(b)
}

// Wrap returns host functions that do what those in host do, and are recorded: with their
// arguments as the plugin passed them, and their answers as the plugin got them.
func Wrap[F ~func(context.Context, []byte) ([]byte, error)](r *Recorder, host map[string]F) map[string]F {
	wrapped := make(map[string]F, len(host))
	for name, f := range host {
		if f != nil {
			wrapped[name] = func(ctx context.Context, args []byte) ([]byte, error) {
				return r.Call(ctx, name, args, f)
			}
		}
	}
	return wrapped
}

// Call calls the host function f and notes what came of it, a panic included.
func (r *Recorder) Call(ctx context.Context, name string, args []byte, f func(context.Context, []byte) ([]byte, error)) (answer []byte, err error) {
	c := Call{Function: name, Arguments: r.keep("host call "+name, args)}
	err = errPanic
	defer func() { r.note(c, answer, err) }()
	answer, err = f(ctx, args)
	return answer, err
}

var errPanic = errors.New("it panicked")

func (r *Recorder) note(c Call, answer []byte, err error) {
	if err != nil {
		c.Failure = failureOf(err)
	} else {
		c.Answer = r.keep("the answer of "+c.Function, answer)
	}
	if len(r.recording.Calls) >= MaxCalls && r.recording.Incomplete == "" {
		r.recording.Incomplete = fmt.Sprintf("there were more than the %d host calls that are kept", MaxCalls)
	}
	if r.recording.Incomplete == "" {
		r.recording.Calls = append(r.recording.Calls, c)
	}
}

// failureOf is the failure of a host function.
func failureOf(err error) *Failure {
	kind := KindHost
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		kind = KindDeadline
	case errors.Is(err, context.Canceled):
		kind = KindCancelled
	}
	return &Failure{Kind: kind, Message: Text(err.Error())}
}

// Log notes a log line.
func (r *Recorder) Log(level slog.Level, source, text string) {
	if len(r.recording.Logs) < MaxLogs && r.take("the log", len(text)) {
		r.recording.Logs = append(r.recording.Logs, Log{Level: level, Source: source, Text: Text(text)})
	}
}

// End is the recording, with how it ended. Nothing may be recorded after it.
func (r *Recorder) End(outcome Outcome, fuel, memoryBytes int64, took time.Duration) *Recording {
	outcome.Output = r.keep("the output", outcome.Output)
	r.recording.Outcome, r.recording.Fuel, r.recording.MemoryBytes = outcome, fuel, memoryBytes
	r.recording.TookMicros = took.Microseconds()
	return &r.recording
}

// Text is text that a recording can hold: bytes that are not UTF-8 become U+FFFD.
func Text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
