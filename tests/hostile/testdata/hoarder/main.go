// Command hoarder puts what it is given wherever a Go program can put anything, and looks
// everywhere a Go program can look for what others were given.
package main

import (
	"bytes"
	"fmt"
	"unsafe"
)

//go:wasmimport extism:host/env input_length
func inputLength() uint64

//go:wasmimport extism:host/env input_offset
func inputOffset() uint64

//go:wasmimport extism:host/env output_set
func outputSet(handle, n uint64)

//go:wasmimport extism:host/env alloc
func alloc(n uint64) uint64

//go:wasmimport extism:host/env load_u64
func load(handle uint64) uint64

//go:wasmimport extism:host/user block_read
func blockRead(handle, offset uint64, dst unsafe.Pointer, n uint32) int64

//go:wasmimport extism:host/user block_write
func blockWrite(src unsafe.Pointer, n uint32) int64

var (
	global  [1 << 16]byte
	heap    [][]byte
	names   = map[string][]byte{}
	channel = make(chan []byte, 64)
)

func input() []byte {
	b := make([]byte, inputLength())
	blockRead(inputOffset(), 0, unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b)))
	return b
}

// hide keeps the input in globals, on the heap, in maps, channels, blocks, on stacks of
// goroutines that never end, and in all free memory.
//
//go:wasmexport hide
func hide() int32 {
	secret := input()
	for at := 0; at+len(secret) <= len(global); at += len(secret) {
		copy(global[at:], secret)
	}
	for i := range 64 {
		heap = append(heap, bytes.Repeat(secret, 64))
		names[string(secret)+fmt.Sprint(i)] = secret
		channel <- secret
		blockWrite(unsafe.Pointer(&heap[i][0]), uint32(len(heap[i])))
	}
	for range 8 {
		go sit(secret, 32)
	}
	deep(secret, 64)
	return 0
}

// sit has the secret on its stack for as long as the program lives.
func sit(secret []byte, depth int) {
	var here [128]byte
	copy(here[:], secret)
	if depth > 0 {
		sit(here[:len(secret)], depth-1)
	}
	<-make(chan bool)
	_ = here
}

func deep(secret []byte, depth int) byte {
	var here [256]byte
	copy(here[:], secret)
	if depth == 0 {
		return here[0]
	}
	return here[1] + deep(here[:len(secret)], depth-1)
}

// seek looks for the input's bytes, each turned over, through all of its memory and
// through every handle that might name a block. It answers how often it found them.
//
//go:wasmexport seek
func seek() int32 {
	turned := input()
	found := 0
	memory := unsafe.Slice((*byte)(unsafe.Add(nil, 8)), memoryBytes()-8)
	first := ^turned[0]
	for at := 0; ; at++ {
		next := bytes.IndexByte(memory[at:], first)
		if at += next; next < 0 || at+len(turned) > len(memory) {
			break
		}
		if matches(memory[at:], turned) {
			found++
		}
	}
	for block := range uint64(100) {
		word := load(block << 32)
		if block != inputOffset()>>32 && byte(word) == first && byte(word>>8) == ^turned[1] && byte(word>>16) == ^turned[2] {
			found++
		}
	}
	b := []byte(fmt.Sprint(found))
	outputSet(uint64(blockWrite(unsafe.Pointer(&b[0]), uint32(len(b)))), uint64(len(b)))
	return 0
}

func matches(memory, turned []byte) bool {
	for i, b := range turned {
		if memory[i] != ^b {
			return false
		}
	}
	return true
}

// memoryBytes is a lower bound of how large the memory is: where the heap has come to.
func memoryBytes() uintptr {
	b := make([]byte, 1<<16)
	return uintptr(unsafe.Pointer(&b[0])) &^ 0xffff
}

func main() {}
