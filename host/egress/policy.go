package egress

import (
	"cmp"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

// matching returns every rule that allows a request to a URL that ParseURL made: those for
// cached GETs, or those for everything else.
func matching(p domain.EgressPolicy, method string, u *url.URL, cached bool) []domain.EgressRule {
	segments, err := pathSegments(u.EscapedPath())
	if err != nil {
		return nil
	}
	var rules []domain.EgressRule
	for _, r := range p.Rules {
		if r.Cached == cached && covers(r, u) && slices.Contains(r.Methods, method) && coversPath(r.Paths, segments) {
			rules = append(rules, r)
		}
	}
	return rules
}

// covers tells whether scheme, host and port are the rule's. A scheme that is left out is
// https, and a port of 0 the scheme's own.
func covers(r domain.EgressRule, u *url.URL) bool {
	scheme, host := cmp.Or(r.Scheme, "https"), strings.ToLower(r.Host)
	port := cmp.Or(r.Port, defaultPort(scheme))
	return u.Scheme == scheme && port > 0 && host != "" &&
		u.Hostname() == host && portOf(u) == strconv.Itoa(port) && admits(r.Hosts, host)
}

// admits tells whether narrowing patterns leave host in; no patterns do not narrow.
func admits(patterns []string, host string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(pattern string) bool {
		return hostMatches(strings.ToLower(pattern), host)
	})
}

// hostMatches tells whether a pattern covers a host name. A star stands for exactly one
// label, as in a certificate, and never for a part of an address.
func hostMatches(pattern, host string) bool {
	suffix, wild := strings.CutPrefix(pattern, "*.")
	if !wild {
		return pattern == host
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	_, parent, found := strings.Cut(host, ".")
	return found && parent == suffix
}

// coversPath tells whether a prefix covers a path, by whole segments: "/api" covers "/api"
// and "/api/x" but not "/apix"; "/api/" covers only what is below.
func coversPath(prefixes, path []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool {
		want, err := pathSegments(prefix)
		return err == nil && strings.HasPrefix(prefix, "/") && segmentsCover(want, path)
	})
}

// segmentsCover tells whether path begins with the segments of prefix. An empty last
// segment in prefix, from a slash at its end, stands for any segment.
func segmentsCover(prefix, path []string) bool {
	if len(path) < len(prefix) {
		return false
	}
	if last := len(prefix) - 1; prefix[last] == "" {
		prefix = prefix[:last]
	}
	return slices.Equal(prefix, path[:len(prefix)])
}

func defaultPort(scheme string) int {
	switch scheme {
	case "https":
		return 443
	case "http":
		return 80
	}
	return 0
}

// portOf returns the port of a URL that ParseURL made, its scheme's own filled in.
func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	return strconv.Itoa(defaultPort(u.Scheme))
}
