// Package origin tells on which host a URL is that somebody else named: a callback, a link
// to a file. It refuses whatever two parsers might read differently, so that a connector
// never takes for the platform's what the host would fetch from elsewhere.
package origin

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// What [Check] finds wrong with a URL.
var (
	ErrForm      = errors.New("is not a plain absolute https URL")
	ErrElsewhere = errors.New("is on another host than the setting allows")
)

const scheme = "https://"

// Of returns the scheme, host and port of an https URL in one form: lower case, and no
// port if it is 443. It is false for user information, escapes or spaces in the host,
// backslashes, control characters, braces, and more than [contract.MaxURLBytes]. The
// scheme itself must be in lower case, as the contract has it.
func Of(url string) (string, bool) {
	authority, ok := authorityOf(url)
	if !ok || authority == "" || strings.ContainsAny(authority, "@%") {
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

// Host returns the host name of an https URL with port 443, in lower case. It is false for
// what [Of] refuses, for every other port, for addresses of IPv6, and for what is no name
// by [IsName].
func Host(url string) (string, bool) {
	authority, ok := authorityOf(url)
	host := strings.ToLower(strings.TrimSuffix(authority, ":443"))
	if !ok || !IsName(host) {
		return "", false
	}
	return host, true
}

// Check tells whether a URL is on the very scheme, host and port of an allowed one, and
// otherwise by [ErrForm] or [ErrElsewhere] what is wrong. A fragment is refused, too: it
// is nothing that could be called.
func Check(url, allowed string) error {
	got, ok := Of(url)
	if !ok || strings.IndexByte(url, '#') >= 0 {
		return ErrForm
	}
	if want, ok := Of(allowed); !ok || got != want {
		return ErrElsewhere
	}
	return nil
}

// Clean tells whether a URL holds nothing that has no place in one: spaces, control
// characters, backslashes, which some parsers take for slashes, braces, which the host
// would take for a placeholder, and what is no UTF-8 or was none once (U+FFFD).
func Clean(url string) bool {
	ascii := true
	for i := range len(url) { // not rune by rune, which costs a guest a tenth more
		c := url[i]
		if c <= ' ' || c == 0x7f || c == '\\' || c == '{' || c == '}' {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	return ascii || utf8.ValidString(url) && !strings.ContainsRune(url, utf8.RuneError)
}

// maxNameBytes and maxLabelBytes bound a host name (RFC 1035 section 2.3.4).
const (
	maxNameBytes  = 253
	maxLabelBytes = 63
)

// IsName tells whether a text is a host name: labels of letters, digits and hyphens,
// joined by dots.
func IsName(text string) bool {
	if len(text) > maxNameBytes {
		return false
	}
	label := 0 // where it begins
	for i := 0; i <= len(text); i++ {
		switch {
		case i < len(text) && text[i] != '.':
			if !isNameByte(text[i]) {
				return false
			}
		case i == label || i-label > maxLabelBytes || text[label] == '-' || text[i-1] == '-':
			return false
		default:
			label = i + 1
		}
	}
	return true
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-'
}

// authorityOf returns what stands between the scheme and the path of a clean https URL.
func authorityOf(url string) (string, bool) {
	authority, ok := strings.CutPrefix(url, scheme)
	if !ok || len(url) > contract.MaxURLBytes || !Clean(url) {
		return "", false
	}
	if end := strings.IndexAny(authority, "/?#"); end >= 0 {
		authority = authority[:end]
	}
	return authority, true
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
