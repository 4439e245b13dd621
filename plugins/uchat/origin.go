package main

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// maxURLBytes bounds a URL that the platform names.
const maxURLBytes = 2048

// hostOf returns the host of an https URL, in lower case. It is false for whatever two
// parsers might read differently, or the host would not call: user information, another
// port than 443, escapes or spaces in the host, addresses of IPv6, control characters, and
// braces, which would be taken for a placeholder.
func hostOf(url string) (string, bool) {
	authority, ok := strings.CutPrefix(url, "https://")
	if !ok || len(url) > maxURLBytes || strings.IndexFunc(url, unfit) >= 0 {
		return "", false
	}
	if end := strings.IndexAny(authority, "/?#"); end >= 0 {
		authority = authority[:end]
	}
	host := strings.ToLower(strings.TrimSuffix(authority, ":443"))
	odd := func(r rune) bool { return r != '-' && r != '.' && !isAlphanumeric(r) }
	return host, host != "" && strings.IndexFunc(host, odd) < 0
}

// unfit tells whether a character has no place in a URL that we use.
func unfit(r rune) bool {
	return r <= ' ' || r == 0x7f || r == '\\' || r == '{' || r == '}' || r == utf8.RuneError
}

// isWebLink tells whether a URL can be handed on as a link.
func isWebLink(url string) bool {
	return (strings.HasPrefix(url, "https://") || strings.HasPrefix(url, "http://")) &&
		len(url) <= contract.MaxURLBytes && strings.IndexFunc(url, unfit) < 0
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
	return clipTo(name, maxNameBytes)
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

// clipTo cuts a text to at most that many bytes, between characters.
func clipTo(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// clip bounds what somebody else wrote, for a log line.
func clip(s string) string { return clipTo(oneLine(s), 64) }

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
