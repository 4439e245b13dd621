// Command chance is a plugin whose every step hangs on something that differs from run to
// run on an ordinary machine: time, random numbers, the order of maps and of goroutines.
package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"runtime"
	"sync"
	"time"
	"unsafe"
)

//go:wasmimport extism:host/env output_set
func outputSet(handle, n uint64)

//go:wasmimport extism:host/env length
func length(handle uint64) uint64

//go:wasmimport extism:host/user block_read
func blockRead(handle, offset uint64, dst unsafe.Pointer, n uint32) int64

//go:wasmimport extism:host/user block_write
func blockWrite(src unsafe.Pointer, n uint32) int64

//go:wasmimport extism:host/user kv_get
func kvGet(handle uint64) uint64

//go:wasmimport extism:host/user kv_put
func kvPut(handle uint64) uint64

func write(text string) uint64 {
	return uint64(blockWrite(unsafe.Pointer(unsafe.StringData(text)), uint32(len(text))))
}

func read(handle uint64) string {
	b := make([]byte, length(handle))
	if len(b) > 0 {
		blockRead(handle, 0, unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b)))
	}
	return string(b)
}

// play makes host calls in an order, and with arguments, that only chance decides.
//
//go:wasmexport play
func play() int32 {
	start, token := time.Now(), make([]byte, 8)
	if _, err := rand.Read(token); err != nil {
		return 1
	}
	all := map[string]int{}
	for i := range 8 {
		all[fmt.Sprint("key-", i)] = i
	}
	for key := range all {
		got := read(kvGet(write(key)))
		kvPut(write(fmt.Sprint(key, "=", got, " at ", time.Since(start), " die ", mathrand.IntN(6))))
	}
	fmt.Fprintln(os.Stderr, "token", hex.EncodeToString(token))
	text := fmt.Sprint(start.UTC().Format(time.RFC3339Nano), " ", hex.EncodeToString(token), " ", race())
	outputSet(write(text), uint64(len(text)))
	return 0
}

// race is the order in which goroutines come to the end, with garbage in between.
func race() (order []int) {
	var mu sync.Mutex
	var wait sync.WaitGroup
	for i := range 5 {
		wait.Go(func() {
			for range mathrand.IntN(4) {
				_ = make([]byte, 10_000)
				runtime.Gosched()
			}
			mu.Lock()
			defer mu.Unlock()
			order = append(order, i)
		})
	}
	wait.Wait()
	return order
}

func main() {}
