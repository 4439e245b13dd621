package payload

import "unsafe"

// word returns eight bytes of s, the first one lowest. The compiler makes eight loads of
// what it makes one of elsewhere, and the words of a text are much of what a parser does.
func word(s string, at int) uint64 {
	s = s[at : at+wordBytes]
	return *(*uint64)(unsafe.Pointer(unsafe.StringData(s))) // WebAssembly is little-endian and aligns nothing
}
