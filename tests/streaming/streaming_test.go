package streaming

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2")) // both end by themselves
}

const (
	// large is the size of the attachment that is carried.
	large = 200 << 20
	// mayGrow is by how much the heap may grow meanwhile: host, platform and test together.
	mayGrow = 64 << 20
)

// heap is what the process holds on its heap, in bytes: in use by objects, and by what was
// theirs and is not collected.
func heap() (alloc, inUse uint64) {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64(), samples[0].Value.Uint64() + samples[1].Value.Uint64()
}

// watch samples the heap until the function that it returns is called, which says by how
// much it grew at most.
func watch() (grown func() (alloc, inUse uint64)) {
	runtime.GC()
	baseAlloc, baseInUse := heap()
	var mostAlloc, mostInUse uint64
	stop, stopped := make(chan struct{}), sync.WaitGroup{}
	stopped.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			alloc, inUse := heap()
			mostAlloc, mostInUse = max(mostAlloc, alloc), max(mostInUse, inUse)
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	})
	return func() (alloc, inUse uint64) {
		close(stop)
		stopped.Wait()
		return mostAlloc - min(mostAlloc, baseAlloc), mostInUse - min(mostInUse, baseInUse)
	}
}

func TestALargeAttachmentPassesWithoutBeingHeldInMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it moves a gigabyte")
	}
	p := openPlatform(t)
	h := open(t, p, map[string]any{"media.max_bytes": "256MiB"})
	h.carry(1<<20, 1) // so that what is made once is there
	grown := watch()
	h.carry(large, 2)
	alloc, inUse := grown()
	t.Logf("while %d MiB went in twice and out twice, HeapAlloc grew by %.1f MiB at most, HeapInuse by %.1f MiB",
		large>>20, float64(alloc)/(1<<20), float64(inUse)/(1<<20))
	if alloc > mayGrow || inUse > mayGrow {
		t.Errorf("the heap grew by %d and %d bytes, want less than %d", alloc, inUse, mayGrow)
	}
}

// carry moves a file in and out in every way there is, and checks that it stays what it is.
// It is the nth.
func (h *host) carry(size int64, n int) {
	h.t.Helper()
	path := fmt.Sprintf("/file/whole/%d", size)
	h.deliver(map[string]any{"Show": url(path)})
	shown := h.attachment(n)
	sum := h.platform.handedOut(path)
	switch {
	case shown.Handle == "" || shown.SizeBytes != size || shown.MIME != "image/png" || shown.Name != "pass.png":
		h.t.Fatalf("the event carries %+v, want %d bytes of image/png", shown, size)
	case shown.SourceURL != "" || shown.SourceHeaders != nil:
		h.t.Errorf("a tenant sees where it came from: %+v", shown)
	case !strings.HasPrefix(h.platform.authorised[path], "Bearer ") || strings.Contains(h.platform.authorised[path], "{{"):
		h.t.Errorf("the platform was shown %q", h.platform.authorised[path])
	}
	h.download(shown.Handle, sum, size)

	h.deliver(map[string]any{"Carry": url(path), "Upload": url("/upload"), "Tell": url("/tell")})
	for what, channel := range map[string]chan taken{"uploaded": h.platform.uploaded, "linked": h.platform.linked} {
		select {
		case got := <-channel:
			if got.err != nil || got.sum != sum || got.bytes != size || got.contentType != "image/png" || got.mime != "" && got.mime != "image/png" {
				h.t.Errorf("%s: %+v, want %d bytes with hash %s of image/png", what, got, size, sum)
			}
		case <-time.After(patience):
			h.t.Fatalf("nothing was %s", what)
		}
	}
}

// download has the tenant download an attachment.
func (h *host) download(handle contract.MediaHandle, sum string, size int64) {
	h.t.Helper()
	got, err := h.operator.Download(h.ctx, h.workspace, handle)
	if err != nil {
		h.t.Fatal(err)
	}
	defer got.Body.Close()
	gotSum, gotSize, err := hashOf(sha256.New(), got.Body)
	if err != nil || gotSum != sum || gotSize != size {
		h.t.Errorf("downloaded %d bytes with hash %s (%v), want %d with %s", gotSize, gotSum, err, size, sum)
	}
}

func TestAnAttachmentThatCannotBeHadIsNamedAndHoldsNothingUp(t *testing.T) {
	p := openPlatform(t)
	h := open(t, p, map[string]any{"media.max_bytes": "1MiB", "egress.default_timeout": "1s", "egress.max_timeout": "1s",
		"jobs.base_delay": "10ms", "jobs.max_delay": "20ms", "egress.breaker_failures": "1000"})
	for i, tt := range []struct {
		name, path, missing, code string
		maxBytes                  int64
	}{
		{"just as much as may be", "/file/whole/1048576", "", "", 0},
		{"a byte more, announced", "/file/whole/1048577", "larger", contract.HostQuota, 0},
		{"without an end", "/file/endless/1", "larger", contract.HostQuota, 0},
		{"more than the plugin wants", "/file/whole/1001", "", contract.HostQuota, 1000},
		{"less than was announced", "/file/truncated/100000", "in time", contract.HostUnreachable, 0},
		{"that never comes to an end", "/file/slow/100", "in time", contract.HostTimeout, 0},
		{"that is empty", "/file/whole/0", "not usable", contract.HostInvalid, 0},
		{"that is gone", "/file/gone/1", "no longer", contract.HostNotFound, 0},
	} {
		h.deliver(map[string]any{"Show": url(tt.path)})
		got := h.attachment(i + 1)
		if (got.Handle == "") != (tt.missing != "") || !strings.Contains(got.Missing, tt.missing) {
			t.Errorf("an attachment %s: %+v, want missing %q", tt.name, got, tt.missing)
		}
		if tt.code == "" {
			continue
		}
		h.deliver(map[string]any{"Carry": url(tt.path), "Upload": url("/upload"), "Tell": url("/tell"), "MaxBytes": tt.maxBytes})
		code, message := h.failure(i)
		if code != tt.code {
			t.Errorf("fetching one %s failed with %q (%s), want %q", tt.name, code, message, tt.code)
		}
	}
}
