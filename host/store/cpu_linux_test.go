package store_test

import (
	"syscall"
	"testing"
	"time"
)

// cpuTime returns the time that all processors have spent on this process, the kernel's
// work for it included.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
