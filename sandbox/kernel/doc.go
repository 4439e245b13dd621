// Package kernel is the memory through which a plugin and its host pass bytes, as
// Extism's plugin ABI has it: blocks that either side allocates, an input, an output
// and an error, and the functions of `extism:host/env` over them.
//
// Extism's own kernel is a WebAssembly module with a heap that a plugin can corrupt
// until the host hangs. Here a block is a Go slice, and what a plugin holds is a
// [Handle]: every number that it hands over is checked in constant time, a wrong one
// is answered with zero or ignored, and counted. Nothing a plugin does here can
// panic, loop, or take more memory than [Limits] say.
//
// A [Kernel] serves one invocation, on one goroutine, and is then garbage. It knows
// no engine: [Functions] and [Bulk] are plain Go over a stack of numbers, and
// whoever runs the plugin binds them.
package kernel
