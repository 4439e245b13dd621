//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Machine is what a figure depends on besides the code: it is printed beside each.
type Machine struct {
	Cores int `json:"cores"`
	// FsyncP50 and FsyncP99 are of appending 32 KiB and syncing them, in the folder that
	// the host keeps its store in.
	FsyncP50 time.Duration `json:"fsync_p50_ns"`
	FsyncP99 time.Duration `json:"fsync_p99_ns"`
	// Load is the load average of the last minute.
	Load float64 `json:"load"`
}

// syncSamples is how many syncs are timed; they take a fraction of a second.
const syncSamples = 64

// Look measures the machine.
func Look(dir string) (Machine, error) {
	took, err := syncs(dir)
	if err != nil {
		return Machine{}, fmt.Errorf("time the disk: %w", err)
	}
	return Machine{Cores: runtime.NumCPU(), FsyncP50: took[len(took)/2], FsyncP99: took[len(took)*99/100], Load: loadAverage()}, nil
}

// syncs times syncs and returns them in order.
func syncs(dir string) ([]time.Duration, error) {
	file, err := os.Create(filepath.Join(dir, "fsync.tmp"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(file.Name()) }() // a leftover would be overwritten next time
	defer func() { _ = file.Close() }()
	var took []time.Duration
	page := make([]byte, 32<<10)
	for range syncSamples {
		began := time.Now()
		if _, err := file.Write(page); err != nil {
			return nil, err
		}
		if err := unix.Fdatasync(int(file.Fd())); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took, nil
}

// loadAverage is that of the last minute; 0 if nobody tells.
func loadAverage() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	load, _ := strconv.ParseFloat(first, 64) // 0 if it is not a number
	return load
}

// tick is the unit of /proc/stat: USER_HZ, which is 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// machineCPU is how long all processors together have been busy, with whatever.
func machineCPU() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), "\n")
	var busy int64
	for i, field := range strings.Fields(first) {
		if i == 0 || i == 4 || i == 5 || i > 8 { // the name, idle, waiting for the disk, guests (counted as user)
			continue
		}
		n, _ := strconv.ParseInt(field, 10, 64) // 0 if it is not a number
		busy += n
	}
	return time.Duration(busy) * tick
}

// ownCPU is what this process has used.
func ownCPU() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
