package main

import (
	"net/url"
	"strings"
	"testing"
)

// differs says in what net/url, which the host uses, reads a URL differently; empty if in
// nothing.
func differs(text, host string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		if strings.Contains(err.Error(), "invalid URL escape") {
			return "" // the host refuses it
		}
		return err.Error()
	case u.Scheme != "https" || u.User != nil:
		return "it has another scheme, or a user"
	case !strings.EqualFold(u.Hostname(), host):
		return "net/url says " + u.Hostname()
	case u.Port() != "" && u.Port() != "443":
		return "it has another port"
	}
	return ""
}

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
