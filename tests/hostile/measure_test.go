package hostile

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// patience is by how much longer than on a machine of its own anything may take here.
const patience = 20 * slowdown

const mib = 1 << 20

// toll is what something has cost the host.
type toll struct {
	took time.Duration
	// peak is by how much the process was larger at its largest, and kept by how much the
	// heap still is after a collection.
	peak, kept int64
}

func (c toll) String() string {
	return fmt.Sprintf("%v, %d MiB at most, %d KiB left", c.took.Round(10*time.Microsecond), c.peak/mib, c.kept>>10)
}

// within fails the test for what took more than was expected.
func (c toll) within(t *testing.T, expected time.Duration, peak int64) {
	t.Helper()
	if c.took > patience*expected {
		t.Errorf("it took %v, and should take about %v", c.took, expected)
	}
	if slowdown == 1 && c.peak > peak {
		t.Errorf("the process grew by %d MiB, and should by %d", c.peak/mib, peak/mib)
	}
	if c.kept > 4*mib*slowdown {
		t.Errorf("%d bytes of the heap were left behind", c.kept)
	}
}

// measure runs f alone and says what it cost.
func measure(t *testing.T, f func()) toll {
	t.Helper()
	debug.FreeOSMemory()
	heap, size := heapBytes(), memoryStatus(t, "VmRSS")
	// Tells the kernel to begin anew with the largest size, VmHWM.
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	f()
	c := toll{took: time.Since(began), peak: memoryStatus(t, "VmHWM") - size}
	runtime.GC()
	c.kept = int64(heapBytes()) - int64(heap)
	return c
}

func heapBytes() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// memoryStatus reads a size from /proc/self/status.
func memoryStatus(t *testing.T, name string) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if _, err := fmt.Sscanf(line, name+": %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	t.Fatalf("no %s in /proc/self/status", name)
	return 0
}
