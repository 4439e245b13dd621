//go:build !wasip1

package payload

// word returns eight bytes of s, the first one lowest.
func word(s string, at int) uint64 {
	s = s[at : at+wordBytes]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
