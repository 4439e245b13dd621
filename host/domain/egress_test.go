package domain_test

import (
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

func TestParsePrivateTarget(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"IPv4", "10.0.0.7:443", "10.0.0.7:443"},
		{"loopback", "127.0.0.1:8443", "127.0.0.1:8443"},
		{"IPv6", "[fd00::7]:443", "[fd00::7]:443"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.7]:443", "10.0.0.7:443"},
		{"no port", "10.0.0.7", ""},
		{"port 0", "10.0.0.7:0", ""},
		{"a name", "localhost:443", ""},
		{"a range", "10.0.0.0/8:443", ""},
		{"unspecified", "0.0.0.0:443", ""},
		{"unspecified IPv6", "[::]:443", ""},
		{"multicast", "224.0.0.1:443", ""},
		{"a metadata service", "169.254.169.254:80", ""},
		{"a metadata service in IPv6", "[fd00:ec2::254]:80", ""},
		{"a metadata service as IPv4 in IPv6", "[::ffff:169.254.169.254]:80", ""},
		{"a zone", "[fd00::1%eth0]:443", ""},
		{"nothing", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := domain.ParsePrivateTarget(tt.text)
			if err == nil != (tt.want != "") || err == nil && got.String() != tt.want {
				t.Errorf("ParsePrivateTarget(%q) = %v, %v, want %q", tt.text, got, err, tt.want)
			}
		})
	}
}
