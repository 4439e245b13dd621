package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// BenchmarkCompare measures one real webhook under every way to run a plugin, side by
// side in rounds, with the echoes and the sizes that there are budgets for, and prints
// one table. It fails if something does not work, and never because it is slow.
//
//	go test ./sandbox -run xxx -bench Compare
func BenchmarkCompare(b *testing.B) {
	w := newWebhook(b)
	found := &comparison{}
	found.idle = w.measureIdle(b, 200)
	found.work = w.measureWork(b)
	found.hostCall, found.talkative = hostCallAllocations(b)
	found.restart, found.loading = w.measureRestart(b)

	found.order.webhook = w.contenders(b)
	found.webhook = inRounds(b, found.order.webhook, "receive", w.input)
	for _, size := range []int{1 << 10, 1 << 20} {
		payload := slices.Repeat([]byte("0123456789abcdef"), size/16)
		list := echoContenders(b, payload)
		found.addEcho(list, inRounds(b, list, "echo", payload))
	}
	for _, c := range found.order.webhook {
		if c.name == rowIsolated || c.name == rowSDKFresh || c.name == rowSDKPooled {
			found.order.rate = append(found.order.rate, c)
		}
	}
	found.rate = parallelRounds(b, found.order.rate, "receive", w.input)
	found.print(os.Stdout, setting())
	b.ReportMetric(0, "ns/op") // of all of it: it tells nothing
}

// setting says where and when the table was made.
func setting() string {
	load := "unknown"
	if data, err := os.ReadFile("/proc/loadavg"); err == nil {
		load, _, _ = strings.Cut(string(data), " ")
	}
	return fmt.Sprintf("%s, %s/%s, %d cores, load %s; %d rounds of %v a row", runtime.Version(), runtime.GOOS, runtime.GOARCH,
		runtime.GOMAXPROCS(0), load, *compareRounds, *compareSlot)
}

// echoContenders give a payload back. Ours are warmed up with one, as real plugins are
// with what they do.
func echoContenders(b *testing.B, payload []byte) []contender {
	b.Helper()
	wasm := buildPlugin(b, "testdata/probe")
	echo := Invocation{Export: "echo", Input: payload}
	load := func() *Plugin {
		return loadWith(b, EngineOptions{}, wasm, LoadOptions{
			HostFunctions: namesOf(noAnswer), WarmUp: func(*Spec) []Invocation { return []Invocation{echo} },
		})
	}
	name := rowEchoKB
	if len(payload) == 1<<20 {
		name = rowEchoMB
	}
	size, _, _ := strings.Cut(name, ":")
	return []contender{
		{name: name, call: patchbay(load(), noAnswer)},
		{name: size + ": patchbay, reused", call: patchbay(reuse(load()), noAnswer)},
		{name: size + ": go-sdk, pooled, timeout", call: extismReused(b, newReference(b, wasm, noAnswer, sdkTimeout))},
	}
}

// TestEveryContenderDoesTheSameWork holds that what BenchmarkCompare compares can be
// compared: the webhook comes to the same output everywhere, byte for byte.
func TestEveryContenderDoesTheSameWork(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles the plugin several times")
	}
	w := newWebhook(t)
	for _, c := range w.contenders(t) {
		for range 2 { // what is reused must not depend on the call before
			if got := mustCall(t, c.call, "receive", w.input); !bytes.Equal(got, w.want) {
				t.Errorf("%s: got %s\nwant %s", c.name, got, w.want)
			}
		}
	}
}
