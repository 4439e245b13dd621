//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/server"
)

// Host is a host in a process of its own, so that what it uses can be told from what the
// generator uses. Close it.
type Host struct {
	At       server.Addresses
	OpenedIn time.Duration

	command *exec.Cmd
	orders  io.WriteCloser
	words   *bufio.Scanner
	cancel  context.CancelFunc
}

// startPatience bounds how long a host may take to open.
const startPatience = 5 * time.Minute

// StartHost starts a host and returns when it listens.
func StartHost(ctx context.Context, role Role) (*Host, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(role)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // Close ends it, or the end of this process
	h := &Host{command: exec.CommandContext(ctx, self), cancel: cancel}
	h.command.Env = append(os.Environ(), roleVariable+"="+string(text))
	h.command.Stderr = os.Stderr
	if h.orders, err = h.command.StdinPipe(); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	out, err := h.command.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	h.words = bufio.NewScanner(out)
	if err := h.command.Start(); err != nil {
		cancel()
		return nil, err
	}
	slow := time.AfterFunc(startPatience, cancel)
	word, err := h.hear()
	slow.Stop() // too late, if it was: hear has the error
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a host (its log is %s): %w", role.LogTo, err), h.Close())
	}
	h.At, h.OpenedIn = word.Addresses, word.OpenedIn
	return h, nil
}

// Address is where it takes deliveries, as host:port.
func (h *Host) Address() string { return strings.TrimPrefix(h.At.Ingress, "http://") }

// Measure tells what it has used so far.
func (h *Host) Measure() (Word, error) { return h.order(Order{}) }

// Profile starts a CPU profile into a file. The function ends it.
func (h *Host) Profile(file string) (end func() error, err error) {
	if _, err := h.order(Order{Profile: file}); err != nil {
		return nil, err
	}
	return func() error {
		_, err := h.order(Order{Profile: "-"})
		return err
	}, nil
}

func (h *Host) order(o Order) (Word, error) {
	if err := json.NewEncoder(h.orders).Encode(o); err != nil {
		return Word{}, err
	}
	return h.hear()
}

func (h *Host) hear() (word Word, err error) {
	if !h.words.Scan() {
		return word, errors.Join(errors.New("the host ended"), h.words.Err())
	}
	if err := json.Unmarshal(h.words.Bytes(), &word); err != nil {
		return word, fmt.Errorf("the host said %q: %w", h.words.Text(), err)
	}
	if word.Complained != "" {
		return word, errors.New(word.Complained)
	}
	return word, nil
}

// closePatience bounds how long a host may take to stop.
const closePatience = 2 * time.Minute

// Close stops the host and waits for its end. A second Close does nothing.
func (h *Host) Close() error {
	if h.command == nil {
		return nil
	}
	command := h.command
	h.command = nil
	defer h.cancel()
	if h.orders != nil {
		_ = h.orders.Close() // its end is the order to stop
	}
	if command.Process == nil {
		return nil
	}
	slow := time.AfterFunc(closePatience, h.cancel)
	defer slow.Stop()
	if err := command.Wait(); err != nil {
		return fmt.Errorf("the host ended badly: %w", err)
	}
	return nil
}
