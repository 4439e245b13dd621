//go:build wasip1

package pdk

import "runtime"

// headroom is how much memory a plugin has beyond what it started with. Memory that
// grows during a call costs the host a new instance after it; memory that is there and
// not used costs nothing.
const headroom = 4 << 20

// exportWarmUp is called once, after the plugin's start and before the calls with which a
// host warms it up and freezes it. Collecting garbage after those would take away again
// what they made ready.
//
//go:wasmexport patchbay_warm_up
func exportWarmUp() {
	grow()
	runtime.GC() // what starting left behind, so that no call has to collect it
	runtime.GC() // and finish sweeping
}

// grow leaves free memory behind.
func grow() { runtime.KeepAlive(make([]byte, headroom)) }
