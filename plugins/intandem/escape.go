package main

import "strings"

// escape writes a text as part of a path or of a query: everything but unreserved
// characters as %XX (RFC 3986 section 2). Package net/url would do, and would bring a tenth
// of the plugin's size with it.
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// query writes parameters, name and value in turn.
func query(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(escape(pairs[i]) + "=" + escape(pairs[i+1]))
	}
	return b.String()
}
