package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed75a60ee1/patchbay/host/config"
	"github.com/seed75a60ee1/patchbay/host/server"
)

// TestScriptsOnARealHost runs testdata/live/*.txtar, each against a host of its own.
func TestScriptsOnARealHost(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/live",
		Setup: func(env *testscript.Env) error {
			if err := allowGo(env); err != nil {
				return err
			}
			return startHost(env)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "capture": capture, "logged": logged, "deliver": deliver, "tail": tail,
		},
	})
}

// startHost starts a host with its data in the script's folder, and stops it when the
// script ends.
func startHost(env *testscript.Env) error {
	data, dropped := filepath.Join(env.WorkDir, "data"), filepath.Join(env.WorkDir, "dropped")
	cfg, err := config.Load(config.Options{Flags: map[string]any{
		"data": data, "plugins.dir": dropped, "ingress.listen": "127.0.0.1:0", "management.listen": "127.0.0.1:0",
	}})
	if err != nil {
		return err
	}
	lines := newLogLines()
	env.Values["log"] = lines
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan server.Addresses, 1), make(chan error, 1)
	go func() {
		ended <- server.Run(ctx, cfg, slog.New(slog.NewTextHandler(lines, nil)), func(at server.Addresses) { ready <- at })
	}()
	env.Defer(func() {
		stop()
		if err := <-ended; err != nil {
			env.T().Fatal("the host ended with: ", err)
		}
	})
	select {
	case at := <-ready:
		env.Setenv("DATA", data)
		env.Setenv("DROPPED", dropped)
		env.Setenv("PATCHBAY_URL", at.Management)
		return nil
	case err := <-ended:
		ended <- err
		return fmt.Errorf("the host did not start: %w", err)
	}
}

// logLines keeps what a host logs, and wakes who waits for a line.
type logLines struct {
	mu      sync.Mutex
	text    bytes.Buffer
	written chan struct{}
}

func newLogLines() *logLines { return &logLines{written: make(chan struct{}, 1)} }

func (l *logLines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.written <- struct{}{}:
	default:
	}
	return l.text.Write(line)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// logged is the script command "logged TEXT": it waits until the host logs that.
func logged(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: logged TEXT")
	}
	lines, tired := ts.Value("log").(*logLines), time.After(2*time.Minute)
	for !strings.Contains(lines.String(), args[0]) {
		select {
		case <-lines.written:
		case <-tired:
			ts.Fatalf("the host did not log %q in two minutes, but:\n%s", args[0], lines)
		}
	}
}

// capture is the script command "capture NAME REGEXP": it sets a variable to the group of
// the expression in what the last command printed.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME REGEXP")
	}
	found := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("no match for %s", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// deliver is the script command "deliver STATUS URL": it posts to a receive URL, as a
// platform does, and wants that status.
func deliver(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: deliver STATUS URL")
	}
	answer, err := http.Post(args[1], "application/json", strings.NewReader("{}"))
	ts.Check(err)
	defer answer.Body.Close()
	if body, _ := io.ReadAll(answer.Body); strconv.Itoa(answer.StatusCode) != args[0] {
		ts.Fatalf("the host answered %d %s, want %s", answer.StatusCode, body, args[0])
	}
}

// tail is the script command "tail TEXT": it runs "patchbay event tail" from the first
// event on until it printed that.
func tail(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: tail TEXT")
	}
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	reader, writer := io.Pipe()
	go func() {
		s := &session{stdout: writer, stderr: io.Discard}
		run(ctx, s, []string{"event", "tail", "--after", "0", "--url", ts.Getenv("PATCHBAY_URL"),
			"--token", ts.Getenv("PATCHBAY_TOKEN"), "--workspace", ts.Getenv("PATCHBAY_WORKSPACE")})
		_ = writer.Close()
	}()
	for lines := bufio.NewScanner(reader); lines.Scan(); {
		if strings.Contains(lines.Text(), args[0]) {
			stop()
			_, _ = io.Copy(io.Discard, reader)
			return
		}
	}
	ts.Fatalf("the stream ended and %q did not come", args[0])
}
