package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/seed75a60ee1/patchbay/host/failpoint"
)

// process is one life of the host.
type process struct {
	cmd   *exec.Cmd
	log   string        // the file that it writes its log to
	ended chan struct{} // closed once err is final
	err   error
}

// start starts the binary. It writes its log straight to a file, so that nothing of it is
// lost when it dies. setting arms a failpoint; empty arms none.
func start(ctx context.Context, binary string, args []string, setting, log string) (*process, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // the child has its own
	p := &process{cmd: exec.CommandContext(ctx, binary, args...), log: log, ended: make(chan struct{})}
	p.cmd.Env = slices.DeleteFunc(os.Environ(), func(pair string) bool { return strings.HasPrefix(pair, "PATCHBAY_") })
	if setting != "" {
		p.cmd.Env = append(p.cmd.Env, failpoint.Variable+"="+setting)
	}
	p.cmd.Stdout, p.cmd.Stderr = file, file
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// errEnded means that the host ended while something was expected of it.
var errEnded = errors.New("the host ended")

// pollEvery is how often a thing is looked at that has no signal.
const pollEvery = 10 * time.Millisecond

// ready waits until the host answers at a base URL.
func (p *process) ready(ctx context.Context, url string) error {
	return poll(ctx, func() (bool, error) {
		select {
		case <-p.ended:
			return false, errEnded
		default:
		}
		once, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(once, http.MethodGet, url+"/healthz", nil)
		if err != nil {
			return false, err
		}
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			return false, nil // not yet
		}
		return answer.StatusCode == http.StatusOK, answer.Body.Close()
	})
}

// poll calls done until it says true or fails, or ctx ends.
func poll(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// kill ends the host with SIGKILL and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be gone already
	<-p.ended
}

// stop asks the host to end, as an operator does. An error means that it did not end well.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	if p.err != nil {
		return fmt.Errorf("told to stop, the host ended with: %w\n%s", p.err, p.tail())
	}
	return nil
}

// murdered tells whether the host was ended by SIGKILL, ours or its own at a failpoint.
// It is meaningful once the host has ended.
func (p *process) murdered() bool {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// atFailpoint tells whether the host's own last words are that it died at name.
func (p *process) atFailpoint(name failpoint.Name) bool {
	log, err := os.ReadFile(p.log)
	return err == nil && strings.Contains(string(log), fmt.Sprintf("failpoint %s: killed", name))
}

// tail is the end of the log.
func (p *process) tail() string {
	const most = 8 << 10
	log, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-most):])
}
