package sandbox

import (
	"bytes"
	"fmt"
	"log/slog"

	"github.com/seed75a60ee1/patchbay/sandbox/kernel"
)

// LevelTrace is below slog's lowest level, as Extism's is.
const LevelTrace = slog.LevelDebug - 4

// Source is where a [LogLine] came from.
type Source string

// The sources.
const (
	SourceLog     Source = "log"     // one of Extism's log functions
	SourceStdout  Source = "stdout"  // logged as info
	SourceStderr  Source = "stderr"  // logged as a warning
	SourceSandbox Source = "sandbox" // what the sandbox has to say about the call
)

// LogLine is a line that a plugin logged. Its text is the plugin's, cut to size.
type LogLine struct {
	Level  slog.Level
	Source Source
	Text   string
}

// logger passes on as many lines as a call is allowed.
type logger struct {
	sink    func(LogLine)
	most    int // lines
	cut     int // bytes a line
	lines   int
	dropped int
	scanned int // bytes of standard streams
}

// full counts a line as dropped if there can be no more.
func (l *logger) full() bool {
	if l.lines < l.most {
		return false
	}
	l.dropped++
	return true
}

func (l *logger) line(level slog.Level, source Source, text []byte) {
	if l.sink == nil || l.full() {
		return
	}
	l.lines++
	l.sink(LogLine{Level: level, Source: source, Text: clip(string(text[:min(len(text), l.cut)]), l.cut)})
}

// remark is a line of the sandbox itself, which is always passed on.
func (l *logger) remark(format string, args ...any) {
	if l.sink != nil {
		l.sink(LogLine{Level: slog.LevelWarn, Source: SourceSandbox, Text: fmt.Sprintf(format, args...)})
	}
}

// fromKernel is logger.line as the kernel wants it.
func (l *logger) fromKernel() func(kernel.Level, []byte) {
	if l.sink == nil {
		return nil
	}
	return func(level kernel.Level, text []byte) { l.line(levelOf(level), SourceLog, text) }
}

// levelOf relies on both numbering levels evenly: Extism by one, slog by four.
func levelOf(level kernel.Level) slog.Level {
	return LevelTrace + slog.Level(level)*(slog.LevelInfo-slog.LevelDebug)
}

// budget is how many more bytes of standard streams are looked at: what all lines
// together may hold, so that a flood costs nothing.
func (l *logger) budget() int { return max(0, l.most*l.cut-l.scanned) }

// lineWriter makes log lines of a standard stream.
type lineWriter struct {
	log     *logger
	level   slog.Level
	source  Source
	partial []byte
	tail    []byte // the last bytes written, if keep is set
	keep    int
}

// write takes what the plugin writes; it is not told whether anybody reads.
func (w *lineWriter) write(p []byte) {
	w.remember(p)
	if w.log.sink == nil {
		return
	}
	rest := p[:min(len(p), w.log.budget())]
	w.log.scanned += len(rest)
	if len(rest) < len(p) {
		w.log.dropped++
	}
	for len(rest) > 0 && !w.log.full() {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		w.partial = append(w.partial, line[:min(len(line), w.log.cut-len(w.partial))]...)
		if rest = after; ended {
			w.flush()
		}
	}
}

// flush logs what there is of a line; empty ones are not worth one.
func (w *lineWriter) flush() {
	if len(w.partial) > 0 {
		w.log.line(w.level, w.source, w.partial)
		w.partial = w.partial[:0]
	}
}

func (w *lineWriter) remember(p []byte) {
	if w.keep == 0 {
		return
	}
	w.tail = append(w.tail, p[max(0, len(p)-w.keep):]...)
	if n := len(w.tail); n > 8*w.keep {
		w.tail = append(w.tail[:0], w.tail[n-w.keep:]...)
	}
}

// last is the end of what was written.
func (w *lineWriter) last() string { return string(w.tail[max(0, len(w.tail)-w.keep):]) }
