//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"runtime/pprof"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed75a60ee1/patchbay/host/config"
	"github.com/seed75a60ee1/patchbay/host/server"
)

// roleVariable tells a process of this program that it is the host of another one, and
// holds its Role.
const roleVariable = "PATCHBAY_LOAD_HOST"

// Role is what a child is started for.
type Role struct {
	// Bare is the same doors and the same commits without plugins; see bare.go.
	Bare bool `json:"bare,omitempty"`
	// Fields are those of the configuration, as "patchbay serve" takes them.
	Fields map[string]any `json:"fields"`
	LogTo  string         `json:"log_to"`
}

// Order is one line that the parent writes to a child.
type Order struct {
	// Profile starts a CPU profile into this file, and "-" ends it.
	Profile string `json:"profile,omitempty"`
}

// Word is one line that a child writes to its parent: once when it is ready, and then one
// for each order.
type Word struct {
	Addresses server.Addresses `json:"addresses,omitzero"`
	// User and System are what the child has used so far, all its threads together.
	User   time.Duration `json:"user"`
	System time.Duration `json:"system"`
	// GC is the part of User that went into collecting garbage, as the runtime estimates it.
	GC         time.Duration `json:"gc"`
	Allocated  uint64        `json:"allocated"` // bytes, ever
	Allocs     uint64        `json:"allocs"`
	RSS        int64         `json:"rss"`      // the most that it has had, in bytes
	Faults     int64         `json:"faults"`   // pages that the kernel had to see to, without the disk
	Switches   int64         `json:"switches"` // of threads, of either kind
	OpenedIn   time.Duration `json:"opened_in,omitempty"`
	Complained string        `json:"complained,omitempty"`
}

// CPU is all that the child has used.
func (w Word) CPU() time.Duration { return w.User + w.System }

// beChild runs a host until standard input ends.
func beChild(text string) error {
	var role Role
	if err := json.Unmarshal([]byte(text), &role); err != nil {
		return fmt.Errorf("%s is malformed: %w", roleVariable, err)
	}
	cfg, err := config.Load(config.Options{Env: []string{}, Flags: role.Fields})
	if err != nil {
		return err
	}
	logFile, err := os.OpenFile(role.LogTo, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = logFile.Close() }() // what is in it is for people who look into a failure
	run := server.Run
	if role.Bare {
		run = runBare
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	began := time.Now()
	words := json.NewEncoder(os.Stdout)
	ready := make(chan server.Addresses, 1)
	go func() {
		done <- run(ctx, cfg, slog.New(slog.NewTextHandler(logFile, &slog.HandlerOptions{Level: slog.LevelWarn})),
			func(at server.Addresses) { ready <- at })
	}()
	select {
	case at := <-ready:
		word := measure()
		word.Addresses, word.OpenedIn = at, time.Since(began)
		err = words.Encode(word)
	case err := <-done:
		return err
	}
	if err == nil {
		err = obey(os.Stdin, words)
	}
	stop()
	return errors.Join(err, <-done)
}

// obey carries out orders until they end.
func obey(orders io.Reader, words *json.Encoder) error {
	var profile *os.File
	lines := bufio.NewScanner(orders)
	for lines.Scan() {
		var order Order
		if err := json.Unmarshal(lines.Bytes(), &order); err != nil {
			return err
		}
		word := measure()
		if err := order.obey(&profile); err != nil {
			word.Complained = err.Error()
		}
		if err := words.Encode(word); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (o Order) obey(profile **os.File) (err error) {
	switch {
	case o.Profile == "":
		return nil
	case o.Profile == "-" && *profile != nil:
		pprof.StopCPUProfile()
		return (*profile).Close()
	}
	if *profile, err = os.Create(filepath.Clean(o.Profile)); err != nil {
		return err
	}
	return pprof.StartCPUProfile(*profile)
}

// measure reads what this process has used.
func measure() Word {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return Word{}
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	gc := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/gc/mark/idle:cpu-seconds"}}
	metrics.Read(gc)
	return Word{
		User: time.Duration(usage.Utime.Nano()), System: time.Duration(usage.Stime.Nano()),
		GC:        time.Duration((gc[0].Value.Float64() - gc[1].Value.Float64()) * float64(time.Second)),
		Allocated: memory.TotalAlloc, Allocs: memory.Mallocs, RSS: usage.Maxrss << 10,
		Faults: usage.Minflt, Switches: usage.Nvcsw + usage.Nivcsw,
	}
}
