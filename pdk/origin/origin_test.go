package origin_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/origin"
)

func TestCheck(t *testing.T) {
	const company = "https://acme.elma365.example"
	for _, tt := range []struct {
		name, url, setting string
		want               error
	}{
		{"the very host", company + "/api/x", company, nil},
		{"another path in the setting", company + "/api/x", company + "/portal/", nil},
		{"a host in upper case", "https://ACME.elma365.EXAMPLE/x", company, nil},
		{"a scheme in upper case", "HTTPS://acme.elma365.example/x", company, origin.ErrForm},
		{"port 443 named", "https://acme.elma365.example:443/x", company, nil},
		{"a configured port", "https://127.0.0.1:8443/x", "https://127.0.0.1:8443", nil},
		{"a bracketed address", "https://[::1]:8443/x", "https://[::1]:8443", nil},
		{"a query without a path", company + "?x", company, nil},
		{"another host", "https://evil.example/x", company, origin.ErrElsewhere},
		{"a longer host", "https://acme.elma365.example.evil.example/x", company, origin.ErrElsewhere},
		{"a subdomain", "https://x.acme.elma365.example/x", company, origin.ErrElsewhere},
		{"a trailing dot", "https://acme.elma365.example./x", company, origin.ErrElsewhere},
		{"another port", "https://acme.elma365.example:8443/x", company, origin.ErrElsewhere},
		{"no setting", company, "", origin.ErrElsewhere},
		{"plain http", "http://acme.elma365.example/x", company, origin.ErrForm},
		{"user information", "https://acme.elma365.example@evil.example/x", company, origin.ErrForm},
		{"empty user information", "https://@acme.elma365.example/x", company, origin.ErrForm},
		{"a backslash", `https://acme.elma365.example\@evil.example/x`, company, origin.ErrForm},
		{"an escape in the host", "https://acme%2Eelma365.example/x", company, origin.ErrForm},
		{"a space", "https://acme.elma365.example /x", company, origin.ErrForm},
		{"a line break", "https://acme.elma365.example/x\r\nHost: evil", company, origin.ErrForm},
		{"a fragment", "https://acme.elma365.example/#x", company, origin.ErrForm},
		{"a placeholder", company + "/?x={{secret:token}}", company, origin.ErrForm},
		{"no host", "https:///x", company, origin.ErrForm},
		{"no port after the colon", "https://acme.elma365.example:/x", company, origin.ErrForm},
		{"a port with a zero in front", "https://acme.elma365.example:0443/x", company, origin.ErrForm},
		{"a port of letters", "https://acme.elma365.example:https/x", company, origin.ErrForm},
		{"two colons", "https://a:1:2/x", company, origin.ErrForm},
		{"too long", company + "/" + strings.Repeat("x", contract.MaxURLBytes), company, origin.ErrForm},
		{"a relative URL", "/api/x", company, origin.ErrForm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := origin.Check(tt.url, tt.setting); got != tt.want {
				t.Errorf("Check(%q, %q) = %v, want %v", tt.url, tt.setting, got, tt.want)
			}
		})
	}
}

func TestClean(t *testing.T) {
	for text, want := range map[string]bool{
		"https://a.test/ä?x=|&y=\"#z": true, "": true, "a b": false, "a\tb": false, "a\x7f": false, `a\b`: false, "a{b": false, "a}b": false,
		"a\uFFFDb": false, "a\xffb": false, "ä\n": false,
	} {
		if got := origin.Clean(text); got != want {
			t.Errorf("Clean(%q) = %t, want %t", text, got, want)
		}
	}
}

func TestHost(t *testing.T) {
	for _, tt := range []struct{ name, url, want string }{
		{"a plain one", "https://files.acme.test/a", "files.acme.test"},
		{"nothing behind it", "https://files.acme.test", "files.acme.test"},
		{"upper case", "https://Files.ACME.test?x", "files.acme.test"},
		{"port 443 named", "https://files.acme.test:443/a", "files.acme.test"},
		{"a fragment", "https://files.acme.test#a", "files.acme.test"},
		{"an address of IPv4", "https://127.0.0.1/a", "127.0.0.1"},
		{"another port", "https://files.acme.test:8443/a", ""},
		{"an address of IPv6", "https://[::1]/a", ""},
		{"user information", "https://files.acme.test@evil.test/a", ""},
		{"an empty label", "https://files..test/a", ""},
		{"a trailing dot", "https://files.acme.test./a", ""},
		{"a hyphen at the end of a label", "https://files-.test/a", ""},
		{"an underscore", "https://files_a.test/a", ""},
		{"a label of 64 bytes", "https://" + strings.Repeat("a", 64) + ".test/", ""},
		{"a name of 254 bytes", "https://" + strings.Repeat("abcdefg.", 31) + "abcdef/", ""},
		{"no host", "https:///a", ""},
		{"plain http", "http://files.acme.test/a", ""},
		{"a backslash", `https://files.acme.test\@evil.test/`, ""},
		{"a placeholder", "https://files.acme.test/{{secret:x}}", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := origin.Host(tt.url); got != tt.want || ok != (tt.want != "") {
				t.Errorf("Host(%q) = %q, %t; want %q", tt.url, got, ok, tt.want)
			}
		})
	}
}

// FuzzHost claims that a host that is found is the one that net/url, which the host uses,
// would call at port 443.
func FuzzHost(f *testing.F) {
	for _, seed := range []string{
		"https://acme.uspacy.ua/a", "https://a.example:443?x", "https://a@b.c/", "https://[::1]/", "https://a.b\\c", "//a.b", "https://A.B/%2e",
		"https://a%2eexample", "https://a.example#\x80",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, link string) {
		host, ok := origin.Host(link)
		if !ok {
			return
		}
		u, err := url.Parse(link)
		if err != nil {
			return // the host refuses it
		}
		if !strings.EqualFold(u.Hostname(), host) || u.User != nil || u.Scheme != "https" || (u.Port() != "" && u.Port() != "443") {
			t.Errorf("Host(%q) = %q, and net/url reads %+v", link, host, u)
		}
	})
}

// FuzzOf claims that whatever passes means the same to net/url, which the host uses.
func FuzzOf(f *testing.F) {
	for _, seed := range []string{
		"https://acme.example/x", "https://acme.example:8443?x#y", "https://[::1]:8443/", "HTTPS://A\\B/", "https://a@b/", "https://ä.example/",
		"https://a:443", "https://[::1", "https://a%41/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, ok := origin.Of(raw)
		if !ok {
			return
		}
		u, err := url.Parse(raw)
		if err != nil {
			return // the host refuses it
		}
		host := strings.ToLower(u.Hostname())
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		want := "https://" + host
		if port := u.Port(); port != "" && port != "443" {
			want += ":" + port
		}
		if got != want || u.User != nil {
			t.Errorf("Of(%q) = %q, but net/url reads %q with user information %v", raw, got, want, u.User)
		}
	})
}
