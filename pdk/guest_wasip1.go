//go:build wasip1

package pdk

import (
	"unsafe"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// The functions of Extism's kernel. Handles are opaque; 0 is none.

//go:wasmimport extism:host/env alloc
func extismAlloc(length uint64) uint64

//go:wasmimport extism:host/env free
func extismFree(handle uint64)

//go:wasmimport extism:host/env length
func extismLength(handle uint64) uint64

//go:wasmimport extism:host/env load_u8
func extismLoadU8(offset uint64) uint32

//go:wasmimport extism:host/env load_u64
func extismLoadU64(offset uint64) uint64

//go:wasmimport extism:host/env store_u8
func extismStoreU8(offset uint64, value uint32)

//go:wasmimport extism:host/env store_u64
func extismStoreU64(offset, value uint64)

//go:wasmimport extism:host/env input_length
func extismInputLength() uint64

//go:wasmimport extism:host/env input_offset
func extismInputOffset() uint64

//go:wasmimport extism:host/env output_set
func extismOutputSet(handle, length uint64)

//go:wasmimport extism:host/env error_set
func extismErrorSet(handle uint64)

//go:wasmimport extism:host/env log_trace
func extismLogTrace(handle uint64)

//go:wasmimport extism:host/env log_debug
func extismLogDebug(handle uint64)

//go:wasmimport extism:host/env log_info
func extismLogInfo(handle uint64)

//go:wasmimport extism:host/env log_warn
func extismLogWarn(handle uint64)

//go:wasmimport extism:host/env log_error
func extismLogError(handle uint64)

//go:wasmimport extism:host/user block_read
//go:noescape
func blockRead(handle, offset uint64, dst unsafe.Pointer, length uint32) int64

//go:wasmimport extism:host/user block_write
//go:noescape
func blockWrite(src unsafe.Pointer, length uint32) int64

// readBlock copies length bytes of a block. A runtime that has no bulk functions is read
// from eight bytes a call; one that answers less than it promised gives less.
func readBlock(handle, length uint64) []byte {
	if length == 0 {
		return nil
	}
	data := make([]byte, length)
	n := blockRead(handle, 0, unsafe.Pointer(&data[0]), uint32(length))
	if n == contract.BulkUnsupported {
		loadBlock(handle, data)
		return data
	}
	return data[:min(max(n, 0), int64(length))]
}

// writeBlock makes a block of data. Its handle is 0 if data is empty or the host has no
// room, and the host takes 0 for an empty block.
func writeBlock(data []byte) uint64 {
	if len(data) == 0 {
		return 0
	}
	switch handle := blockWrite(unsafe.Pointer(&data[0]), uint32(len(data))); {
	case handle == contract.BulkUnsupported:
		return storeBlock(data)
	case handle < 0:
		return 0
	default:
		return uint64(handle)
	}
}

// loadBlock reads a block without bulk functions.
func loadBlock(handle uint64, data []byte) {
	at := 0
	for ; at+8 <= len(data); at += 8 {
		*(*uint64)(unsafe.Pointer(&data[at])) = extismLoadU64(handle + uint64(at))
	}
	for ; at < len(data); at++ {
		data[at] = byte(extismLoadU8(handle + uint64(at)))
	}
}

// storeBlock makes a block without bulk functions.
func storeBlock(data []byte) uint64 {
	handle := extismAlloc(uint64(len(data)))
	if handle == 0 {
		return 0
	}
	at := 0
	for ; at+8 <= len(data); at += 8 {
		extismStoreU64(handle+uint64(at), *(*uint64)(unsafe.Pointer(&data[at])))
	}
	for ; at < len(data); at++ {
		extismStoreU8(handle+uint64(at), uint32(data[at]))
	}
	return handle
}

// serve carries out an export: 0 if it set an output, 1 if it set an error.
func serve(export contract.Export) int32 {
	input := readBlock(extismInputOffset(), extismInputLength())
	output, failure := run(guestHost{export}, export, input)
	code := finish(output, failure)
	if output != nil {
		recycle(output)
	}
	return code
}

// finish hands over what an export came to.
func finish(output []byte, failure string) int32 {
	if failure != "" {
		extismErrorSet(writeBlock([]byte(failure)))
		return 1
	}
	handle := writeBlock(output)
	if handle == 0 {
		extismErrorSet(writeBlock([]byte("the host has no room for the output")))
		return 1
	}
	extismOutputSet(handle, uint64(len(output)))
	return 0
}
