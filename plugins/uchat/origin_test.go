package main

import (
	"testing"
)

func TestFileNames(t *testing.T) {
	for in, want := range map[string]string{
		"https://x.example/a/b.jpg?sig=1": "b.jpg", "https://x.example/a%20b.jpg": "a b.jpg", "https://x.example/": "",
		"https://x.example": "", "https://x.example/a/..": "", "https://x.example/%2e%2e%2fetc": "etc", "https://x.example/a%5Cb": "",
		"https://x.example/a+b.pdf#x": "a+b.pdf", "https://x.example/%00a": "a", "https://x.example/%ff.gif": ".gif",
	} {
		if got := fileName(in); got != want {
			t.Errorf("fileName(%q) = %q, want %q", in, got, want)
		}
	}
}
