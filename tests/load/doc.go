//go:build linux

// Command load offers the host more than it should have to bear, and tells what became of
// it, beside what DESIGN section 9 and issue 4 ask for.
//
//	go run ./tests/load                        all scenarios; takes a quarter of an hour
//	go run ./tests/load ingest ingest-bare     some of them
//	go run ./tests/load --json ingest          for a program
//	go run ./tests/load --profile cpu.prof ingest
//
// The host is a process of its own, with the real ELMA365 plugin and the webhooks that its
// emulator makes. The load is open: requests are due at a fixed rate, whether or not the
// earlier ones have been answered, and a latency counts from when its request was due. So a
// stall of a second shows in a second's worth of requests, as it does to a platform.
//
// Host and generator share the machine's processors. What the generator takes is measured
// and printed, and so are the disk's fsync, the load average, and what other processes took.
package main
