package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxURLBytes bounds a URL as a plugin writes it.
const maxURLBytes = 8 << 10

// ParseURL reads an absolute http or https URL that everybody on the way understands
// alike, and refuses every other: what two parsers could read differently is how an
// allow-list is passed. Scheme and host come back in lower case, the scheme's own port
// is left out, and an empty path is "/". The path is otherwise sent as it is written.
func ParseURL(raw string) (*url.URL, error) {
	if err := checkBytes(raw); err != nil {
		return nil, err
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("the URL cannot be parsed") // url.Error repeats the whole URL
	}
	if err := checkParts(u); err != nil {
		return nil, err
	}
	host, err := canonicalHost(u)
	if err != nil {
		return nil, err
	}
	if _, err := pathSegments(u.EscapedPath()); err != nil {
		return nil, err
	}
	clean := &url.URL{Scheme: u.Scheme, Host: host, Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}
	if clean.Path == "" {
		clean.Path = "/"
	}
	return clean, nil
}

// checkBytes refuses what the parsers of this world disagree about before any parses it.
func checkBytes(raw string) error {
	switch {
	case len(raw) > maxURLBytes:
		return fmt.Errorf("the URL is longer than %d bytes", maxURLBytes)
	case strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }):
		return errors.New("the URL has a space, a backslash, a control or a non-ASCII character; " +
			"percent-encode it, or write the host name in punycode")
	case strings.Contains(raw, "#"):
		return errors.New("the URL has a fragment; leave it out")
	}
	return nil
}

func checkParts(u *url.URL) error {
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("the URL's scheme is neither https nor http")
	case u.Opaque != "" || u.Host == "":
		return errors.New("the URL has no host; write https://HOST/PATH")
	case u.User != nil:
		return errors.New("the URL has user information; send credentials in a header")
	case strings.HasPrefix(u.EscapedPath(), "//"):
		return errors.New("the URL's path begins with two slashes; write one")
	}
	return nil
}

// canonicalHost returns the host in lower case with the port, unless it is the scheme's.
func canonicalHost(u *url.URL) (string, error) {
	name := strings.ToLower(u.Hostname())
	if err := checkHost(name, strings.HasPrefix(u.Host, "[")); err != nil {
		return "", err
	}
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	port, err := canonicalPort(u)
	if err != nil || port == strconv.Itoa(defaultPort(u.Scheme)) {
		return name, err
	}
	return name + ":" + port, nil
}

func canonicalPort(u *url.URL) (string, error) {
	text := u.Port()
	if text == "" {
		if strings.HasSuffix(u.Host, ":") {
			return "", errors.New("the URL has a colon without a port; leave it out")
		}
		return strconv.Itoa(defaultPort(u.Scheme)), nil
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 || strconv.FormatUint(port, 10) != text {
		return "", fmt.Errorf("the URL's port %q is not a number from 1 to 65535", text)
	}
	return text, nil
}

// checkHost accepts a host name of letters, digits, hyphens and underscores, or an IP
// address in its canonical form. Every other way to write an address (octal, hexadecimal,
// one number, fewer than four parts) is refused.
func checkHost(host string, bracketed bool) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" || addr.Is4In6() || addr.String() != host || addr.Is6() != bracketed {
			return fmt.Errorf("the URL's host %q is not an IP address in its canonical form", host)
		}
		return nil
	}
	if bracketed || len(host) > 253 {
		return fmt.Errorf("the URL's host %q is not a host name", host)
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if !validLabel(label) {
			return fmt.Errorf("the URL's host %q is not a host name: each label is 1 to 63 letters, "+
				"digits, hyphens or underscores", host)
		}
	}
	if looksNumeric(labels[len(labels)-1]) {
		return fmt.Errorf("the URL's host %q ends in a number, which some take for an IP address", host)
	}
	return nil
}

func validLabel(label string) bool {
	outside := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	return len(label) >= 1 && len(label) <= 63 && label[0] != '-' && label[len(label)-1] != '-' &&
		!strings.ContainsFunc(label, outside)
}

// looksNumeric tells whether the WHATWG URL standard would read a last label as a number.
func looksNumeric(label string) bool {
	if digits, hex := strings.CutPrefix(label, "0x"); hex {
		return strings.Trim(digits, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// pathSegments splits a path at its slashes and decodes each segment once. It refuses
// what a server could take for another path: dot segments, and slashes, backslashes or
// dot segments that appear when a segment is decoded more than once.
func pathSegments(escaped string) ([]string, error) {
	path, rooted := strings.CutPrefix(escaped, "/")
	if !rooted && path != "" {
		return nil, errors.New("the path does not begin with a slash")
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		decoded, err := url.PathUnescape(segment)
		if err != nil || !utf8.ValidString(decoded) {
			return nil, errors.New("the path has a broken percent-encoding")
		}
		if err := checkSegment(decoded); err != nil {
			return nil, err
		}
		segments[i] = decoded
	}
	return segments, nil
}

// maxDecodings is how often a segment may change when it is decoded again and again.
const maxDecodings = 4

// checkSegment looks at a segment decoded once, twice and so on, until nothing changes.
func checkSegment(segment string) error {
	for range maxDecodings {
		name, _, _ := strings.Cut(segment, ";") // some servers drop ";parameters"
		if name == "." || name == ".." {
			return errors.New("the path has a dot segment; write the path it leads to")
		}
		if strings.ContainsAny(segment, "/\\\x00") {
			return errors.New("the path has an encoded slash, backslash or zero byte")
		}
		again := decodeAgain(segment)
		if again == segment {
			return nil
		}
		segment = again
	}
	return errors.New("the path is percent-encoded too many times")
}

// decodeAgain decodes each valid percent-encoding and leaves what is broken, as lenient
// servers do.
func decodeAgain(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			if b, err := strconv.ParseUint(text[i+1:i+3], 16, 8); err == nil {
				out.WriteByte(byte(b))
				i += 2
				continue
			}
		}
		out.WriteByte(text[i])
	}
	return out.String()
}
