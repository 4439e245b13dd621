// Command chance tells what each source of randomness gives that a Go program has. It
// has used all of them while it started.
package main

import (
	crand "crypto/rand"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"math/rand"
	randv2 "math/rand/v2"
	"strings"
	"unsafe"
)

//go:wasmimport extism:host/env output_set
func outputSet(handle, n uint64)

//go:wasmimport extism:host/user block_write
func blockWrite(src unsafe.Pointer, n uint32) int64

// What a program makes once, when it starts.
var (
	early    = draw()
	seeded   = rand.New(rand.NewSource(rand.Int63()))
	chacha   = randv2.New(randv2.NewChaCha8([32]byte([]byte(draw()[:32]))))
	hundred  = numbers()
	hashSeed = maphash.MakeSeed()
)

func numbers() map[int]bool {
	m := map[int]bool{}
	for i := range 100 {
		m[i] = true
	}
	return m
}

func draw() string {
	b := make([]byte, 16)
	_, _ = crand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// draw_all answers one line for each source: its name, and what it gave.
//
//go:wasmexport draw_all
func drawAll() int32 {
	var lines []string
	line := func(source string, parts ...any) { lines = append(lines, source+"\t"+fmt.Sprint(parts...)) }
	line("crypto/rand", draw())
	line("crypto/rand text", crand.Text())
	line("math/rand", rand.Int63(), " ", rand.Int63())
	line("math/rand/v2", randv2.Uint64(), " ", randv2.Uint64())
	line("maphash of a new seed", maphash.String(maphash.MakeSeed(), "x"))
	var order []byte
	for range 4 {
		for i := range hundred {
			order = append(order, byte(i))
		}
	}
	line("map iteration", hex.EncodeToString(order))
	line("selection", choices())
	// What was made while it started is the same for each call, and has to be: it is
	// part of the image.
	line("made at the start", early, " ", maphash.String(hashSeed, "x"))
	b := []byte(strings.Join(lines, "\n"))
	outputSet(uint64(blockWrite(unsafe.Pointer(&b[0]), uint32(len(b)))), uint64(len(b)))
	return 0
}

// choices is which of several ready channels select took, 64 times.
func choices() string {
	var ready [4]chan bool
	for i := range ready {
		ready[i] = make(chan bool, 1)
		ready[i] <- true
	}
	var taken []byte
	for range 64 {
		select {
		case <-ready[0]:
			taken = append(taken, '0')
			ready[0] <- true
		case <-ready[1]:
			taken = append(taken, '1')
			ready[1] <- true
		case <-ready[2]:
			taken = append(taken, '2')
			ready[2] <- true
		case <-ready[3]:
			taken = append(taken, '3')
			ready[3] <- true
		}
	}
	return string(taken)
}

// own_generators draws from generators that the program seeded while it started.
//
//go:wasmexport own_generators
func ownGenerators() int32 {
	b := []byte(fmt.Sprint(chacha.Uint64(), " ", seeded.Int63()))
	outputSet(uint64(blockWrite(unsafe.Pointer(&b[0]), uint32(len(b)))), uint64(len(b)))
	return 0
}

func main() {}
