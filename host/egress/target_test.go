package egress

import (
	"strings"
	"testing"
)

func TestParseURLAcceptsWhatEverybodyReadsAlike(t *testing.T) {
	for _, tt := range []struct{ name, raw, want string }{
		{"plain", "https://api.acme.test/v1", "https://api.acme.test/v1"},
		{"upper-case scheme and host", "HTTPS://API.Acme.Test/V1", "https://api.acme.test/V1"},
		{"the scheme's own port", "https://api.acme.test:443/", "https://api.acme.test/"},
		{"another port", "http://api.acme.test:8080/", "http://api.acme.test:8080/"},
		{"no path", "https://api.acme.test", "https://api.acme.test/"},
		{"no path but a query", "https://api.acme.test?a=b", "https://api.acme.test/?a=b"},
		{"a query with a placeholder", "https://a.test/?t={{secret:x}}", "https://a.test/?t={{secret:x}}"},
		{"encoded characters", "https://a.test/%61/b%20c", "https://a.test/%61/b%20c"},
		{"a percent sign", "https://a.test/100%25", "https://a.test/100%25"},
		{"punycode", "https://xn--bcher-kva.test/", "https://xn--bcher-kva.test/"},
		{"an underscore", "https://my_host.test/", "https://my_host.test/"},
		{"IPv4", "https://192.0.2.1/", "https://192.0.2.1/"},
		{"IPv6", "https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443/"},
		{"IPv6, upper case", "https://[2001:DB8::1]/", "https://[2001:db8::1]/"},
		{"empty segments inside", "https://a.test/b//c/", "https://a.test/b//c/"},
		{"dots inside a name", "https://a.test/..a/b..", "https://a.test/..a/b.."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseURL(tt.raw)
			if err != nil || got.String() != tt.want {
				t.Errorf("ParseURL(%q) = %v, %v, want %s", tt.raw, got, err, tt.want)
			}
		})
	}
}

func TestParseURLRefusesWhatParsersDisagreeAbout(t *testing.T) {
	for _, tt := range []struct{ name, raw string }{
		{"nothing", ""},
		{"no scheme", "api.acme.test/v1"},
		{"relative to a scheme", "//api.acme.test/v1"},
		{"another scheme", "ftp://api.acme.test/"},
		{"file", "file:///etc/passwd"},
		{"opaque", "https:api.acme.test"},
		{"no host", "https:///v1"},
		{"a port without a host", "https://:443/"},
		{"user information", "https://api.acme.test@evil.test/"},
		{"user and password", "https://a:b@evil.test/"},
		{"empty user", "https://@evil.test/"},
		{"backslash before an at sign", `https://api.acme.test\@evil.test/`},
		{"backslashes for slashes", `https:\\api.acme.test\v1`},
		{"a fragment", "https://api.acme.test/#@evil.test/"},
		{"an empty fragment", "https://api.acme.test/#"},
		{"a space", "https://api.acme.test/a b"},
		{"a tab in the host", "https://api.ac\tme.test/"},
		{"a line break", "https://api.acme.test/\r\nHost: evil.test"},
		{"a zero byte", "https://api.acme.test\x00.evil.test/"},
		{"a host in Cyrillic", "https://аpi.acme.test/"},
		{"a full-width dot", "https://api。acme.test/"},
		{"an encoded host", "https://api%2eacme.test/"},
		{"an encoded host in UTF-8", "https://%E3%80%82.test/"},
		{"a dot at the end", "https://api.acme.test./"},
		{"a dot at the beginning", "https://.acme.test/"},
		{"two dots", "https://api..acme.test/"},
		{"a hyphen at the beginning", "https://-api.acme.test/"},
		{"a long label", "https://" + strings.Repeat("a", 64) + ".test/"},
		{"a long name", "https://" + strings.Repeat("a.", 127) + "test/"},
		{"a colon without a port", "https://api.acme.test:/"},
		{"port 0", "https://api.acme.test:0/"},
		{"a port with a leading zero", "https://api.acme.test:0443/"},
		{"a port too large", "https://api.acme.test:65536/"},
		{"a port with a sign", "https://api.acme.test:+443/"},
		{"IPv4 as one number", "https://2130706433/"},
		{"IPv4 in hexadecimal", "https://0x7f000001/"},
		{"IPv4 in octal", "https://0177.0.0.1/"},
		{"IPv4 with a leading zero", "https://127.0.0.01/"},
		{"IPv4 with three parts", "https://127.0.1/"},
		{"IPv4 with a hexadecimal part", "https://127.0.0.0x1/"},
		{"a name that ends in a number", "https://acme.test.1/"},
		{"a name that ends in an empty hexadecimal number", "https://acme.test.0x/"},
		{"IPv6 without brackets", "https://::1/"},
		{"IPv6, long form", "https://[2001:db8:0:0:0:0:0:1]/"},
		{"IPv6 with a zone", "https://[fe80::1%25eth0]/"},
		{"IPv4 in IPv6", "https://[::ffff:127.0.0.1]/"},
		{"IPv4 in brackets", "https://[127.0.0.1]/"},
		{"two slashes first", "https://api.acme.test//evil.test/"},
		{"a dot segment", "https://api.acme.test/a/../b"},
		{"a single dot segment", "https://api.acme.test/./b"},
		{"a dot segment at the end", "https://api.acme.test/a/.."},
		{"an encoded dot segment", "https://api.acme.test/a/%2e%2E/b"},
		{"a half-encoded dot segment", "https://api.acme.test/a/.%2e/b"},
		{"a dot segment encoded twice", "https://api.acme.test/a/%252e%252e/b"},
		{"a dot segment encoded three times", "https://api.acme.test/a/%25252e./b"},
		{"a dot segment behind a parameter", "https://api.acme.test/a/..;x=1/b"},
		{"an encoded slash", "https://api.acme.test/a%2fb"},
		{"a slash encoded twice", "https://api.acme.test/a%252Fb"},
		{"an encoded traversal beside a broken encoding", "https://api.acme.test/%252e%252e%252fadmin%25"},
		{"an encoded backslash", "https://api.acme.test/a%5cb"},
		{"an encoded zero byte", "https://api.acme.test/a%00"},
		{"an overlong dot", "https://api.acme.test/%c0%ae%c0%ae/b"},
		{"a broken encoding", "https://api.acme.test/%zz"},
		{"an encoding without end", "https://api.acme.test/" + strings.Repeat("%25", 9) + "25252541"},
		{"too long", "https://api.acme.test/" + strings.Repeat("a", maxURLBytes)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := ParseURL(tt.raw); err == nil {
				t.Errorf("ParseURL(%q) = %v, want a refusal", tt.raw, got)
			}
		})
	}
}
