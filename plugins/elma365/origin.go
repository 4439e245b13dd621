package main

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// maxURLBytes bounds a URL that the platform names.
const maxURLBytes = 2048

// What is wrong with a URL that the platform names.
var (
	errURLForm = errors.New("is not a plain absolute https URL")
	errURLHost = errors.New("is on another host than the setting allows")
)

// origin returns the scheme, host and port of an https URL in one form: lower case, and
// no port if it is 443. It is false for whatever two parsers might read differently:
// user information, escapes or spaces in the host, backslashes, control characters. The
// scheme itself must be in lower case, as the contract has it.
func origin(url string) (string, bool) {
	const scheme = "https://"
	authority, ok := strings.CutPrefix(url, scheme)
	if !ok || len(url) > maxURLBytes || hasUnfit(url) {
		return "", false
	}
	if end := strings.IndexAny(authority, "/?#"); end >= 0 {
		authority = authority[:end]
	}
	if authority == "" || strings.ContainsAny(authority, "@%") {
		return "", false
	}
	host, port, ok := splitPort(authority)
	if !ok || host == "" {
		return "", false
	}
	if port == "" || port == "443" {
		return scheme + strings.ToLower(host), true
	}
	return scheme + strings.ToLower(host) + ":" + port, true
}

// hasUnfit tells whether a character of a URL is unfit. Nearly all are ASCII, and going
// from byte to byte costs a guest a tenth of going from rune to rune.
func hasUnfit(url string) bool {
	for i := range len(url) {
		c := url[i]
		if c >= utf8.RuneSelf {
			return strings.IndexFunc(url[i:], unfit) >= 0
		}
		if unfit(rune(c)) {
			return true
		}
	}
	return false
}

// unfit tells whether a character has no place in a URL that we use. Braces would be
// taken for a placeholder by the host.
func unfit(r rune) bool {
	return r <= ' ' || r == 0x7f || r == '\\' || r == '{' || r == '}' || r == '\uFFFD'
}

// splitPort splits "host", "host:port" or "[v6]:port".
func splitPort(authority string) (host, port string, ok bool) {
	colon := strings.LastIndexByte(authority, ':')
	if colon < 0 || strings.HasSuffix(authority, "]") {
		return authority, "", strings.IndexByte(authority, ':') < 0 || authority[0] == '['
	}
	host, port = authority[:colon], authority[colon+1:]
	if port == "" || port[0] == '0' || len(port) > 5 || strings.Trim(port, "0123456789") != "" {
		return "", "", false
	}
	return host, port, strings.IndexByte(host, ':') < 0 || (host[0] == '[' && host[len(host)-1] == ']')
}

// onHost checks that a URL stands on the very scheme, host and port of a setting, and
// says what is wrong otherwise.
func onHost(url, setting string) error {
	got, ok := origin(url)
	if !ok || strings.IndexByte(url, '#') >= 0 {
		return errURLForm
	}
	if want, ok := origin(setting); !ok || got != want {
		return errURLHost
	}
	return nil
}
