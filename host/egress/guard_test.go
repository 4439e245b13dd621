package egress

import (
	"errors"
	"net/netip"
	"testing"
)

// special holds addresses that are no platform's, one at each end of a range.
var special = []string{
	"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255",
	"127.0.0.1", "127.255.255.255", "169.254.0.1", "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255",
	"192.0.0.1", "192.0.0.170", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.1", "192.168.255.255",
	"192.175.48.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255",
	"240.0.0.1", "255.255.255.255",
	"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1",
	"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:2::1", "2001:10::1", "2001:20::1",
	"2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::", "2620:4f:8000::1", "3fff::1", "5f00::1",
	"fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "4000::1",
}

func TestGuardRefusesSpecialAddresses(t *testing.T) {
	g := newGuard(nil)
	for _, address := range special {
		for _, port := range []uint16{1, 22, 80, 443, 8080, 65535} {
			target := netip.AddrPortFrom(netip.MustParseAddr(address), port)
			if err := g.control("tcp4", target.String(), nil); !errors.Is(err, errForbiddenAddress) {
				t.Errorf("control(%s) = %v, want a refusal", target, err)
			}
		}
	}
}

func TestGuardLetsPublicAddressesThroughOnEveryPort(t *testing.T) {
	g := newGuard(nil)
	for _, target := range []string{"1.1.1.1:443", "8.8.8.8:8443", "93.184.216.34:80", "9.255.255.255:1", "11.0.0.0:443",
		"172.15.255.255:443", "172.32.0.0:443", "[2606:4700:4700::1111]:443", "[2a00:1450::1]:65535"} {
		if err := g.control("tcp6", target, nil); err != nil {
			t.Errorf("control(%s) = %v, want none", target, err)
		}
	}
}

func TestGuardRefusesOtherNetworksAndWhatIsNoAddress(t *testing.T) {
	g := newGuard(nil)
	for _, tt := range []struct{ network, address string }{
		{"udp4", "1.1.1.1:443"}, {"unix", "/run/docker.sock"}, {"tcp4", "localhost:443"}, {"tcp4", "1.1.1.1"}, {"tcp4", ""},
	} {
		if err := g.control(tt.network, tt.address, nil); !errors.Is(err, errForbiddenAddress) {
			t.Errorf("control(%s, %q) = %v, want a refusal", tt.network, tt.address, err)
		}
	}
}

func TestPrivateTargetsOpenOneAddressAndPort(t *testing.T) {
	g := newGuard(parsePrivateTargets([]string{"10.0.0.7:443", "[fd00::7]:8443", "nonsense", "169.254.169.254:80"}))
	for _, tt := range []struct {
		name, target string
		open         bool
	}{
		{"the target", "10.0.0.7:443", true},
		{"the target as IPv4 in IPv6", "[::ffff:10.0.0.7]:443", true},
		{"the other target", "[fd00::7]:8443", true},
		{"another port", "10.0.0.7:22", false},
		{"another address", "10.0.0.8:443", false},
		{"the port of the other", "[fd00::7]:443", false},
		{"one that can never be allowed", "169.254.169.254:80", false},
		{"a public address all the same", "1.1.1.1:443", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := g.control("tcp4", tt.target, nil); (err == nil) != tt.open {
				t.Errorf("control(%s) = %v, want open: %v", tt.target, err, tt.open)
			}
		})
	}
}
