// Command neighbour is a plugin that means no harm. Its answers tell whether anything
// from elsewhere has come into it.
package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"time"
	"unsafe"
)

//go:wasmimport extism:host/env input_length
func inputLength() uint64

//go:wasmimport extism:host/env input_offset
func inputOffset() uint64

//go:wasmimport extism:host/env output_set
func outputSet(handle, n uint64)

//go:wasmimport extism:host/user block_read
func blockRead(handle, offset uint64, dst unsafe.Pointer, n uint32) int64

//go:wasmimport extism:host/user block_write
func blockWrite(src unsafe.Pointer, n uint32) int64

var (
	visits  int
	visited = map[string]int{}
)

// answer tells all that the plugin knows: its input, how often it was called, what it
// has from chance and from the clock.
//
//go:wasmexport answer
func answer() int32 {
	in := make([]byte, inputLength())
	blockRead(inputOffset(), 0, unsafe.Pointer(unsafe.SliceData(in)), uint32(len(in)))
	visits++
	visited[string(in)]++
	chance := make([]byte, 8)
	_, _ = rand.Read(chance) // never fails
	sum := fnv.New64a()
	_, _ = sum.Write(in) // to memory
	output(fmt.Sprintf("%x after %d visits by %d, %s at %s", sum.Sum64(), visits, len(visited), hex.EncodeToString(chance), time.Now().UTC().Format(time.RFC3339)))
	return 0
}

// work computes for some milliseconds, as a plugin that unpacks a large document does.
//
//go:wasmexport work
func work() int32 {
	sum := fnv.New64a()
	line := make([]byte, 4096)
	for range 250 {
		_, _ = sum.Write(line) // to memory
		line[0]++
	}
	output(fmt.Sprint(sum.Sum64()))
	return 0
}

// toil computes and never ends, with memory that it makes and drops as any program does.
//
//go:wasmexport toil
func toil() int32 {
	sum := fnv.New64a()
	for i := 0; ; i++ {
		line := make([]byte, 4096)
		line[i%len(line)] = 1
		_, _ = sum.Write(line) // to memory
	}
}

func output(text string) {
	b := []byte(text)
	outputSet(uint64(blockWrite(unsafe.Pointer(&b[0]), uint32(len(b)))), uint64(len(b)))
}

func main() {}
