// A connector that fails in the way that the delivery asks for. It speaks the Extism ABI
// itself: the PDK would not let it answer garbage.
package main

import "unsafe"

func main() {}

//go:wasmimport extism:host/user delivery_body
func deliveryBody(args uint64) uint64

//go:wasmimport extism:host/env load_u8
func loadByte(at uint64) uint32

//go:wasmimport extism:host/env output_set
func outputSet(at, length uint64)

//go:wasmimport extism:host/user block_write
func blockWrite(src unsafe.Pointer, length uint32) int64

//go:wasmexport patchbay_abilities
func abilities() int32 { return answer(`["receive"]`) }

// receive looks at the first byte of the body.
//
//go:wasmexport receive
func receive() int32 {
	switch loadByte(deliveryBody(0)) {
	case 'l': // loops past its deadline
		for {
		}
	case 't': // traps
		var none *int
		*none = 1
	case 'g': // answers garbage
		return answer("\x00\xff this is no document")
	case 'e': // reports an error
		return 1
	case 's': // answers what no platform could be told
		return answer(`{"response":{"status":7}}`)
	case 'm': // wants all the memory there is
		var hoard [][]byte
		for {
			hoard = append(hoard, make([]byte, 1<<20))
		}
	}
	return answer(`{"response":{"status":200,"body":"fine"}}`)
}

func answer(text string) int32 {
	b := []byte(text)
	outputSet(uint64(blockWrite(unsafe.Pointer(&b[0]), uint32(len(b)))), uint64(len(b)))
	return 0
}
