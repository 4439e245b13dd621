package inspect

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// metadataHosts are where clouds tell a machine its secrets.
var metadataHosts = map[string]bool{
	"169.254.169.254": true, "100.100.100.200": true, "169.254.170.2": true, "fd00:ec2::254": true,
	"metadata.google.internal": true, "instance-data.ec2.internal": true,
}

// references are sites that runtimes and libraries name in error messages and
// comments, and where only their makers can publish.
var references = []string{
	"go.dev", "golang.org", "rust-lang.org", "docs.rs", "w3.org", "ietf.org", "rfc-editor.org", "iana.org",
	"unicode.org", "json-schema.org", "haskell.org", "llvm.org", "tinygo.org", "webassembly.org", "emscripten.org",
	"example.com", "example.org", "example.net", "spec.openapis.org", "opentelemetry.io", "python.org", "extism.org",
}

// referencePages are pages on sites where everybody can publish.
var referencePages = []string{
	"github.com/golang/", "github.com/rust-lang/", "github.com/tinygo-org/", "github.com/extism/", "github.com/llvm/",
	"github.com/webassembly/", "github.com/clap-rs/", "github.com/emscripten-core/", "github.com/espressif/",
}

// standing judges a host in the light of the manifest, which may be nil. It says with
// which egress rules the host may be reached.
func standing(host, text string, m *manifest.Manifest) (Standing, []string) {
	if metadataHosts[host] {
		return Metadata, nil
	}
	if rules := rulesFor(host, m); len(rules) > 0 {
		return Covered, rules
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return addressStanding(a), nil
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return Local, nil
	}
	for _, suffix := range []string{".local", ".internal", ".lan", ".home", ".corp", ".intranet"} {
		if strings.HasSuffix(host, suffix) {
			return Private, nil
		}
	}
	if isReference(host, text) {
		return Reference, nil
	}
	return NotCovered, nil
}

func addressStanding(a netip.Addr) Standing {
	a = a.Unmap()
	switch {
	case a.IsLoopback(), a.IsUnspecified():
		return Local
	case a.IsPrivate(), a.IsLinkLocalUnicast(), netip.MustParsePrefix("100.64.0.0/10").Contains(a):
		return Private
	case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}), a.IsMulticast():
		return Local
	}
	return NotCovered
}

func isReference(host, text string) bool {
	for _, site := range references {
		if host == site || strings.HasSuffix(host, "."+site) {
			return true
		}
	}
	for _, reserved := range []string{".test", ".example", ".invalid"} {
		if strings.HasSuffix(host, reserved) {
			return true
		}
	}
	_, page, _ := strings.Cut(strings.ToLower(text), "://")
	return slices.ContainsFunc(referencePages, func(site string) bool { return strings.HasPrefix(page, site) })
}

// rulesFor are the egress rules that name the host.
func rulesFor(host string, m *manifest.Manifest) []string {
	if m == nil {
		return nil
	}
	var rules []string
	for _, name := range slices.Sorted(maps.Keys(m.Egress)) {
		if m.Egress[name].Host == host {
			rules = append(rules, name)
		}
	}
	return rules
}
