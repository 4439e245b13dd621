package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
)

// transcript prints what happens, with the time since the play began.
type transcript struct {
	w     io.Writer
	began time.Time
	fancy bool // the reader is a terminal
}

func newTranscript(w *os.File) *transcript {
	return &transcript{w: w, began: time.Now(), fancy: isatty.IsTerminal(w.Fd())}
}

func (t *transcript) title(text string) { t.plain("\n%s\n%s", text, strings.Repeat("─", len(text))) }

func (t *transcript) plain(format string, args ...any) {
	_, _ = fmt.Fprintf(t.w, format+"\n", args...) // a terminal that went away ends the demo by its signal
}

// line prints who did what.
func (t *transcript) line(who, format string, args ...any) {
	t.plain("%9s  %-9s %s", "+"+round(time.Since(t.began)), who, fmt.Sprintf(format, args...))
}

// seen prints what was seen on the other side, and how long it took to get there.
func (t *transcript) seen(by string, took time.Duration, format string, args ...any) {
	t.plain("%9s  %-9s %s", "", "└ "+by, fmt.Sprintf(format, args...)+fmt.Sprintf("  (%s)", round(took)))
}

func round(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1fms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%.2fs", d.Seconds())
}

// progress shows that something long is under way: a line that lives on a terminal, one
// line per step elsewhere.
func (t *transcript) progress(what string) *progress {
	p := &progress{t: t, stopped: make(chan struct{}), ended: make(chan struct{}), steps: make(chan string, 16)}
	go p.run(what)
	return p
}

type progress struct {
	t       *transcript
	steps   chan string
	stopped chan struct{}
	ended   chan struct{}
}

// step names what is being done now.
func (p *progress) step(what string) {
	select {
	case p.steps <- what:
	case <-p.stopped:
	}
}

// end stops the display.
func (p *progress) end() {
	close(p.stopped)
	<-p.ended
}

func (p *progress) run(what string) {
	defer close(p.ended)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	p.show(what, began)
	for {
		select {
		case what = <-p.steps:
			p.show(what, began)
		case <-tick.C:
			if p.t.fancy {
				p.show(what, began)
			}
		case <-p.stopped:
			if p.t.fancy {
				_, _ = fmt.Fprint(p.t.w, "\r\033[K")
			}
			return
		}
	}
}

func (p *progress) show(what string, began time.Time) {
	if p.t.fancy {
		_, _ = fmt.Fprintf(p.t.w, "\r\033[K%9s  … %s", round(time.Since(began)), what)
		return
	}
	p.t.line("…", "%s", what)
}
