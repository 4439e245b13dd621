package sandbox

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

// idleCost is what an instance takes that nobody uses, in bytes.
type idleCost struct {
	used    float64 // its own pages just after a call
	mapping float64 // its own pages after a trim
	heap    float64 // Go's heap
	tables  float64 // the kernel's, for its pages
	private float64 // all that the process has more, but for the kernel's
}

// measureIdle has many calls run at the same time, so that each has an instance, and then
// has those trimmed as the pool does when they were not used for a while.
func (w *webhook) measureIdle(b *testing.B, instances int) idleCost {
	b.Helper()
	p := w.load(b, EngineOptions{MemoryBytes: 64 << 30}) // a busy one counts whole
	mustCall(b, w.under(p), "receive", w.input)
	before := readUsage(b)
	w.callAtOnce(b, p, instances)

	pool, idle := p.engine.pool, p.source.(*frozenInstances).keeper.idle
	pool.mu.Lock()
	defer pool.mu.Unlock()
	if len(idle) < instances {
		b.Fatalf("%d instances are idle of %d", len(idle), instances)
	}
	n := float64(len(idle) - 1) // one was there before
	cost := idleCost{used: float64(privateBytes(b, idle)) / float64(len(idle))}
	for _, i := range idle {
		if !pool.trim(i) {
			b.Fatal("an instance cannot be trimmed")
		}
	}
	after := readUsage(b)
	cost.mapping = float64(privateBytes(b, idle)) / float64(len(idle))
	cost.heap = (after.heap - before.heap) / n
	cost.tables = (after.tables - before.tables) / n
	cost.private = (after.private - before.private) / n
	return cost
}

// callAtOnce makes calls of which each waits for all others to have begun.
func (w *webhook) callAtOnce(b *testing.B, p *Plugin, calls int) {
	b.Helper()
	var done sync.WaitGroup
	var begun atomic.Int64
	all := make(chan struct{})
	functions := w.world.functions()
	body := functions["delivery_body"]
	functions["delivery_body"] = func(ctx context.Context, args []byte) ([]byte, error) {
		if begun.Add(1) == int64(calls) {
			close(all)
		}
		select {
		case <-all:
			return body(ctx, args)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	failures := make(chan error, calls)
	for range calls {
		done.Go(func() {
			_, err := patchbay(p, functions)("receive", w.input)
			failures <- err
		})
	}
	done.Wait()
	for range calls {
		if err := <-failures; err != nil {
			b.Fatal(err)
		}
	}
}

// usage is what the process takes, in bytes.
type usage struct{ private, heap, tables float64 }

func readUsage(b *testing.B) usage {
	b.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u := usage{heap: float64(m.HeapAlloc)}
	for file, add := range map[string]func(name string, kB float64){
		"/proc/self/smaps_rollup": func(name string, kB float64) {
			if strings.HasPrefix(name, "Private_") {
				u.private += kB * 1024
			}
		},
		"/proc/self/status": func(name string, kB float64) {
			if name == "VmPTE:" {
				u.tables += kB * 1024
			}
		},
	} {
		readKilobytes(b, file, func(string) {}, add)
	}
	return u
}

// privateBytes are the pages of the instances' memories that are their own, as the
// kernel counts.
func privateBytes(b *testing.B, idle []*instance) int64 {
	b.Helper()
	var starts, ends []uintptr
	for _, i := range idle {
		content := i.memory.Content()
		start := uintptr(unsafe.Pointer(unsafe.SliceData(content)))
		starts, ends = append(starts, start), append(ends, start+uintptr(len(content)))
	}
	slices.Sort(starts)
	slices.Sort(ends)
	ours, sum := false, int64(0)
	readKilobytes(b, "/proc/self/smaps", func(line string) {
		var from, to uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x", &from, &to); n == 2 {
			at, _ := slices.BinarySearch(ends, from+1) // the first memory that ends behind from
			ours = at < len(starts) && starts[at] < to
		}
	}, func(name string, kB float64) {
		if ours && strings.HasPrefix(name, "Private_") {
			sum += int64(kB) * 1024
		}
	})
	return sum
}

// readKilobytes reads one of the kernel's lists of names and sizes.
func readKilobytes(b *testing.B, file string, other func(line string), each func(name string, kB float64)) {
	b.Helper()
	f, err := os.Open(file)
	if err != nil {
		b.Skipf("this system does not say what memory is whose: %v", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var name string
		var kB float64
		if n, _ := fmt.Sscanf(lines.Text(), "%s %g kB", &name, &kB); n == 2 && strings.HasSuffix(name, ":") {
			each(name, kB)
			continue
		}
		other(lines.Text())
	}
}

// measureRestart is the time from no engine to the first call's output, with the code
// compiled before, and what of it the load took.
func (w *webhook) measureRestart(b *testing.B) (all, loading *samples) {
	b.Helper()
	all, loading = &samples{}, &samples{}
	dir := b.TempDir()
	for range max(6, *compareRounds/2) {
		runtime.GC()
		began := time.Now()
		e, err := NewEngine(EngineOptions{CacheDir: dir})
		if err != nil {
			b.Fatal(err)
		}
		p, err := e.Load(context.Background(), w.wasm, w.loadOptions())
		if err != nil {
			b.Fatal(err)
		}
		loaded := time.Since(began)
		mustCall(b, w.under(p), "receive", w.input)
		all.round, loading.round = append(all.round, float64(time.Since(began))), append(loading.round, float64(loaded))
		if err := e.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	all.round, loading.round = all.round[1:], loading.round[1:] // the first one compiled
	return all, loading
}

// hostCallAllocations is how often Go allocates for one host call without data, and for
// one with both arguments and an answer.
func hostCallAllocations(b *testing.B) (bare, withData float64) {
	b.Helper()
	answer := []byte("0123456789abcdef")
	quiet := benchPlugin(b, buildPlugin(b, "testdata/probe"), noAnswer)
	talking := benchPlugin(b, buildPlugin(b, "testdata/probe"), noAnswer)
	g, talk := patchbay(quiet, noAnswer), patchbay(talking, map[string]HostFunc{
		"probe": func(context.Context, []byte) ([]byte, error) { return answer, nil },
	})
	bare = perCall(b, 100, 10_100, func(n int) { mustCall(b, g, "storm", number(uint64(n))) })
	withData = perCall(b, 50, 250, func(n int) { mustCall(b, talk, "call_host", append([]byte{byte(n)}, answer...)) })
	return bare, withData
}

// perCall is what one more of something allocates: the least of some attempts, since
// whatever else runs allocates, too.
func perCall(b *testing.B, few, many int, run func(n int)) float64 {
	b.Helper()
	least := func(n int) float64 {
		run(n)
		best := testing.AllocsPerRun(1, func() { run(n) })
		for range 10 {
			best = min(best, testing.AllocsPerRun(1, func() { run(n) }))
		}
		return best
	}
	return (least(many) - least(few)) / float64(many-few)
}

// work is what one webhook takes, which is the same every time.
type work struct {
	fuel             int64
	hostCalls, pages int
}

func (w *webhook) measureWork(b *testing.B) work {
	b.Helper()
	p := w.load(b, EngineOptions{})
	var result *Result
	for range 3 {
		var err error
		if result, err = p.Call(context.Background(), Invocation{Export: "receive", Input: w.input, Host: w.functions}); err != nil {
			b.Fatal(err)
		}
	}
	idle := p.source.(*frozenInstances).keeper.idle
	return work{result.Fuel, result.HostCalls, idle[len(idle)-1].memory.Private() / 4096}
}
