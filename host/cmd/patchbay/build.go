package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/pack"
)

type pluginBuild struct {
	Dir    string   `arg:"" help:"The connector's folder, with plugin.yaml in it."`
	Output string   `short:"o" placeholder:"FILE" help:"The plugin file to write; the folder's name and .wasm, here, if not given."`
	Wasm   string   `placeholder:"FILE" help:"Pack this module, made by another compiler, instead of compiling the folder's Go package."`
	GoFlag []string `name:"go-flag" sep:"none" placeholder:"FLAG" help:"One more flag for go build; repeat for more."`
}

// built is what was built, for programs.
type built struct {
	File          string   `json:"file"`
	Name          string   `json:"name"`
	Version       string   `json:"version"`
	Digest        string   `json:"digest"`
	SizeBytes     int64    `json:"size_bytes"`
	HostFunctions []string `json:"host_functions"`
	TookMillis    int64    `json:"took_millis"`
}

func (c *pluginBuild) Run(ctx context.Context, s *session) error {
	output, err := c.output()
	if err != nil {
		return err
	}
	progress := s.startProgress()
	report, err := pack.Build(ctx, pack.Options{Dir: c.Dir, Output: output, Wasm: c.Wasm, GoFlags: c.GoFlag, Progress: progress.step})
	progress.stop()
	if refused := new(pack.CompileError); errors.As(err, &refused) {
		return &hinted{err, "see it again with: cd " + c.Dir + " && GOOS=wasip1 GOARCH=wasm go vet ."}
	}
	if err != nil {
		return err
	}
	b := built{File: output, Name: report.Manifest.Name, Version: report.Manifest.Version, Digest: report.Digest,
		SizeBytes: report.SizeBytes, HostFunctions: report.HostFunctions, TookMillis: report.Took.Milliseconds()}
	return s.show(b, func() {
		printFields(s.stdout, field{"plugin", b.Name + " " + b.Version}, field{"file", b.File}, field{"digest", b.Digest},
			field{"bytes", strconv.FormatInt(b.SizeBytes, 10)}, field{"host functions", strings.Join(b.HostFunctions, ", ")},
			field{"took", report.Took.Round(10 * time.Millisecond).String()})
	})
}

// output is the file to write.
func (c *pluginBuild) output() (string, error) {
	if c.Output != "" {
		return c.Output, nil
	}
	dir, err := filepath.Abs(c.Dir)
	return filepath.Base(dir) + ".wasm", err
}

// progress tells a person that something is being done, on one line that turns.
type progress struct {
	steps chan string
	ended chan struct{}
}

// startProgress begins to tell, if there is a person. Call stop when it is done.
func (s *session) startProgress() *progress {
	p := &progress{steps: make(chan string), ended: make(chan struct{})}
	if !s.terminal {
		close(p.ended)
		return p
	}
	go p.turn(s.stderr)
	return p
}

// step says what is being done from now on.
func (p *progress) step(name string) {
	select {
	case p.steps <- name:
	case <-p.ended:
	}
}

// stop leaves the line empty.
func (p *progress) stop() {
	close(p.steps)
	<-p.ended
}

func (p *progress) turn(w io.Writer) {
	defer close(p.ended)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	wheel, step := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"), ""
	for turn := 0; ; turn++ {
		select {
		case <-tick.C:
		case next, more := <-p.steps:
			if !more {
				fmt.Fprint(w, "\r\x1b[K")
				return
			}
			step = next
		}
		fmt.Fprintf(w, "\r\x1b[K%c %s", wheel[turn%len(wheel)], clean(step))
	}
}
