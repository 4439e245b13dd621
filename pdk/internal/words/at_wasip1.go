package words

import "unsafe"

// At returns the word of s that begins at a byte, the first byte lowest. It must be whole.
// The compiler makes eight loads of what it makes one of elsewhere.
func At(s string, at int) uint64 {
	s = s[at : at+Bytes]
	return *(*uint64)(unsafe.Pointer(unsafe.StringData(s))) // WebAssembly is little-endian and aligns nothing
}
