package domain

import (
	"fmt"
	"net/netip"

	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// EgressRule is one place that requests may go to, every question answered: nothing in it
// is looked up any more.
type EgressRule struct {
	// Name is the manifest's name for the rule.
	Name string
	// Scheme is "https", or "http" where an operator's setting says so.
	Scheme string
	// Host is an exact host name or IP address, lower case, without brackets.
	Host string
	// Port is the port, never 0.
	Port int
	// Methods lists the request methods, upper case.
	Methods []string
	// Paths lists path prefixes, matched at segment boundaries.
	Paths []string
	// Hosts narrows the rule: Host must match one of these patterns ("api.acme.test",
	// "*.acme.test"). Empty does not narrow.
	Hosts []string
	// Secrets names what may be filled in toward this rule; credentials as "credential:NAME".
	Secrets []string
	// Cached tells that the rule is for cached GETs and for nothing else.
	Cached bool
	// Rates bounds how often requests go out by this rule.
	Rates []manifest.Rate
	// Redact names members of JSON answers whose values are taken out. Where several rules allow
	// a request, those of all of them are.
	Redact []string
}

// EgressPolicy is everything that one invocation may send. What it does not allow is
// denied.
type EgressPolicy struct {
	// Plugin is who sends; for metrics and logs only.
	Plugin string
	// Sender is the connection or the subscriber that sends. A platform that fails it, or
	// wants a pause from it, is left alone by it and by nobody else.
	Sender string
	// App is the app that the sender belongs to, or the sender itself if it belongs to none:
	// whose requests count together where a rate is per app.
	App string
	// Rules is where requests may go. Where several allow one request, the secrets of each
	// may be filled in.
	Rules []EgressRule
	// PrivateTargets lists "ip:port" targets that are allowed although their addresses are
	// private.
	PrivateTargets []string
}

// Fetched describes a download.
type Fetched struct {
	// SizeBytes is how much was written.
	SizeBytes int64
	// ContentType is the platform's claim; look at the bytes instead.
	ContentType string
	// Name is a file name without a path, from Content-Disposition or else the URL; may be
	// empty.
	Name string
}

// ParsePrivateTarget reads an "ip:port" target that an operator may allow. It refuses what
// is never a platform: the unspecified address, multicast, and link-local addresses,
// where clouds keep the credentials of their machines.
func ParsePrivateTarget(text string) (netip.AddrPort, error) {
	target, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("private target %q is not IP:PORT, such as 10.0.0.7:443", text)
	}
	addr := target.Addr().Unmap()
	switch {
	case target.Port() == 0:
		return netip.AddrPort{}, fmt.Errorf("private target %q has port 0; name the port", text)
	case addr.Zone() != "":
		return netip.AddrPort{}, fmt.Errorf("private target %q has a zone; leave it out", text)
	case addr.IsUnspecified() || addr.IsMulticast() || addr.IsLinkLocalUnicast() || addr == metadataV6:
		return netip.AddrPort{}, fmt.Errorf("private target %q is unspecified, multicast, link-local or a "+
			"metadata service, and can never be allowed", text)
	}
	return netip.AddrPortFrom(addr, target.Port()), nil
}

// metadataV6 is where a large cloud keeps the credentials of its machines, outside the
// link-local range.
var metadataV6 = netip.MustParseAddr("fd00:ec2::254")
