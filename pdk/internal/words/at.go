//go:build !wasip1

package words

// At returns the word of s that begins at a byte, the first byte lowest. It must be whole.
func At(s string, at int) uint64 {
	s = s[at : at+Bytes]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
