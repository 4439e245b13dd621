// Command probe is a plugin that tries what the sandbox's tests ask of it. It uses
// the plugin ABI directly, so that no PDK stands between.
package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"time"
	"unsafe"
)

//go:wasmimport extism:host/env input_length
func inputLength() uint64

//go:wasmimport extism:host/env input_offset
func inputOffset() uint64

//go:wasmimport extism:host/env input_load_u64
func inputLoad64(offset uint64) uint64

//go:wasmimport extism:host/env input_load_u8
func inputLoad8(offset uint64) uint32

//go:wasmimport extism:host/env alloc
func alloc(n uint64) uint64

//go:wasmimport extism:host/env length
func length(handle uint64) uint64

//go:wasmimport extism:host/env load_u64
func load64(handle uint64) uint64

//go:wasmimport extism:host/env store_u64
func store64(handle, v uint64)

//go:wasmimport extism:host/env store_u8
func store8(handle uint64, v uint32)

//go:wasmimport extism:host/env output_set
func outputSet(handle, n uint64)

//go:wasmimport extism:host/env error_set
func errorSet(handle uint64)

//go:wasmimport extism:host/env log_info
func logInfo(handle uint64)

//go:wasmimport extism:host/user block_read
func blockRead(handle, offset uint64, dst unsafe.Pointer, n uint32) int64

//go:wasmimport extism:host/user block_write
func blockWrite(src unsafe.Pointer, n uint32) int64

//go:wasmimport extism:host/user probe
func probe(handle uint64) uint64

// read copies a block into the plugin's memory, in one call if the host can.
func read(handle, n uint64) []byte {
	if n == 0 {
		return nil
	}
	b := make([]byte, n)
	if blockRead(handle, 0, unsafe.Pointer(unsafe.SliceData(b)), uint32(n)) == int64(n) {
		return b
	}
	return readWords(b)
}

// readWords reads the input as Extism's own PDKs do.
func readWords(b []byte) []byte {
	whole := len(b) &^ 7
	for i := 0; i < whole; i += 8 {
		*(*uint64)(unsafe.Pointer(&b[i])) = inputLoad64(uint64(i))
	}
	for i := whole; i < len(b); i++ {
		b[i] = byte(inputLoad8(uint64(i)))
	}
	return b
}

// write makes a block, in one call if the host can.
func write(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	if h := blockWrite(unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))); h > 0 {
		return uint64(h)
	}
	return writeWords(b)
}

// writeWords makes a block as Extism's own PDKs do.
func writeWords(b []byte) uint64 {
	h, whole := alloc(uint64(len(b))), len(b)&^7
	for i := 0; i < whole; i += 8 {
		store64(h+uint64(i), *(*uint64)(unsafe.Pointer(&b[i])))
	}
	for i := whole; i < len(b); i++ {
		store8(h+uint64(i), uint32(b[i]))
	}
	return h
}

func input() []byte { return read(inputOffset(), inputLength()) }

func output(b []byte) { outputSet(write(b), uint64(len(b))) }

//go:wasmexport nop
func nop() {}

//go:wasmexport echo
func echo() int32 {
	output(input())
	return 0
}

//go:wasmexport echo_words
func echoWords() int32 {
	b := readWords(make([]byte, inputLength()))
	outputSet(writeWords(b), uint64(len(b)))
	return 0
}

// call_host hands the input to the host function, as often as the first byte says.
//
//go:wasmexport call_host
func callHost() int32 {
	in := input()
	args, result := write(in[1:]), uint64(0)
	for range in[0] {
		result = probe(args)
	}
	n := length(result)
	b := make([]byte, n)
	blockRead(result, 0, unsafe.Pointer(unsafe.SliceData(b)), uint32(n))
	output(b)
	return 0
}

// storm calls the host function with nothing, many times.
//
//go:wasmexport storm
func storm() int32 {
	for range inputLoad64(0) {
		probe(0)
	}
	return 0
}

//go:wasmexport fail
func fail() int32 {
	errorSet(write(input()))
	return 7
}

//go:wasmexport panics
func panics() int32 {
	panic("the plugin's own words")
}

//go:wasmexport exits
func exits() int32 {
	os.Exit(int(inputLoad64(0)))
	return 0
}

var visits int

var kept = map[string]bool{}

// visit says what earlier calls left behind.
//
//go:wasmexport visit
func visit() int32 {
	output([]byte(fmt.Sprintf("%d visits, %d kept", visits, len(kept))))
	visits++
	kept[string(input())] = true
	return 0
}

//go:wasmexport clock
func clock() int32 {
	start := time.Now()
	time.Sleep(time.Hour)
	output([]byte(fmt.Sprint(start.UTC().Format(time.RFC3339Nano), " ", time.Since(start).Round(time.Second))))
	return 0
}

//go:wasmexport random
func random() int32 {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return 1
	}
	output([]byte(hex.EncodeToString(b)))
	return 0
}

// reach tries to get at what is not there, and says what it got.
//
//go:wasmexport reach
func reach() int32 {
	_, fileErr := os.ReadFile("/etc/passwd")
	_, dirErr := os.ReadDir(".")
	writeErr := os.WriteFile("/tmp/x", nil, 0o600)
	_, dialErr := net.Dial("tcp", "127.0.0.1:80")
	lines := []string{
		fmt.Sprint(fileErr != nil, dirErr != nil, writeErr != nil, dialErr != nil),
		fmt.Sprint(len(os.Args), len(os.Environ())),
	}
	output([]byte(strings.Join(lines, "\n")))
	return 0
}

//go:wasmexport prints
func prints() int32 {
	fmt.Println("to standard output")
	fmt.Fprintln(os.Stderr, "to standard error")
	fmt.Print("no newline")
	logInfo(write([]byte("by the log function")))
	return 0
}

// flood logs as many lines as the input says, each way.
//
//go:wasmexport flood
func flood() int32 {
	for i := range inputLoad64(0) {
		fmt.Println("line", i)
		logInfo(write([]byte("line")))
	}
	return 0
}

//go:wasmexport spin
func spin() int32 {
	for i := 0; ; i++ {
		visits = i
	}
}

// warmUp makes room, as our PDK does.
//
//go:wasmexport patchbay_warm_up
func warmUp() {
	runtime.KeepAlive(make([]byte, 4<<20))
	runtime.GC()
	runtime.GC()
}

func main() {}
