package main

import (
	"path"
	"strings"
	"unicode"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/origin"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// isWebLink tells whether a URL can be handed on as a link.
func isWebLink(url string) bool {
	return (strings.HasPrefix(url, "https://") || strings.HasPrefix(url, "http://")) &&
		len(url) <= contract.MaxURLBytes && origin.Clean(url)
}

// fileName is the name of the file behind a URL; empty if it has none.
func fileName(url string) string {
	if end := strings.IndexAny(url, "?#"); end >= 0 {
		url = url[:end]
	}
	_, rest, _ := strings.Cut(url, "://")
	slash := strings.IndexByte(rest, '/')
	if slash < 0 {
		return ""
	}
	name := unescaped(strings.ReplaceAll(path.Base(rest[slash:]), "+", "%2B"))
	name = oneLine(path.Base(strings.ToValidUTF8(name, "")))
	if name == "." || name == "/" || name == ".." || strings.ContainsAny(name, `\`) {
		return ""
	}
	return plain.Clip(name, maxNameBytes)
}

const maxNameBytes = 255 // of a file's name

// oneLine takes control characters out of a text.
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s))
}

// clip bounds what somebody else wrote, for a log line.
func clip(s string) string { return plain.Clip(oneLine(s), 64) }

// clipRunes cuts a text to at most that many characters.
func clipRunes(s string, most int) string {
	for i := range s {
		if most == 0 {
			return s[:i]
		}
		most--
	}
	return s
}
