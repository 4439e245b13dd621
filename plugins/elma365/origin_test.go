package main

import (
	"net/url"
	"strings"
	"testing"
)

func TestOnHost(t *testing.T) {
	const company = "https://acme.elma365.example"
	for _, tt := range []struct {
		name, url, setting string
		want               error
	}{
		{"the very host", company + "/api/x", company, nil},
		{"another path in the setting", company + "/api/x", company + "/portal/", nil},
		{"a host in upper case", "https://ACME.elma365.EXAMPLE/x", company, nil},
		{"a scheme in upper case", "HTTPS://acme.elma365.example/x", company, errURLForm},
		{"port 443 named", "https://acme.elma365.example:443/x", company, nil},
		{"a configured port", "https://127.0.0.1:8443/x", "https://127.0.0.1:8443", nil},
		{"a bracketed address", "https://[::1]:8443/x", "https://[::1]:8443", nil},
		{"a query without a path", company + "?x", company, nil},
		{"another host", "https://evil.example/x", company, errURLHost},
		{"a longer host", "https://acme.elma365.example.evil.example/x", company, errURLHost},
		{"a subdomain", "https://x.acme.elma365.example/x", company, errURLHost},
		{"a trailing dot", "https://acme.elma365.example./x", company, errURLHost},
		{"another port", "https://acme.elma365.example:8443/x", company, errURLHost},
		{"no setting", company, "", errURLHost},
		{"plain http", "http://acme.elma365.example/x", company, errURLForm},
		{"user information", "https://acme.elma365.example@evil.example/x", company, errURLForm},
		{"empty user information", "https://@acme.elma365.example/x", company, errURLForm},
		{"a backslash", `https://acme.elma365.example\@evil.example/x`, company, errURLForm},
		{"an escape in the host", "https://acme%2Eelma365.example/x", company, errURLForm},
		{"a space", "https://acme.elma365.example /x", company, errURLForm},
		{"a line break", "https://acme.elma365.example/x\r\nHost: evil", company, errURLForm},
		{"a fragment", "https://acme.elma365.example/#x", company, errURLForm},
		{"a placeholder", company + "/?x={{secret:token}}", company, errURLForm},
		{"no host", "https:///x", company, errURLForm},
		{"no port after the colon", "https://acme.elma365.example:/x", company, errURLForm},
		{"a port with a zero in front", "https://acme.elma365.example:0443/x", company, errURLForm},
		{"a port of letters", "https://acme.elma365.example:https/x", company, errURLForm},
		{"two colons", "https://a:1:2/x", company, errURLForm},
		{"too long", company + "/" + strings.Repeat("x", maxURLBytes), company, errURLForm},
		{"a relative URL", "/api/x", company, errURLForm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := onHost(tt.url, tt.setting); got != tt.want {
				t.Errorf("onHost(%q, %q) = %v, want %v", tt.url, tt.setting, got, tt.want)
			}
		})
	}
}

// FuzzOrigin claims that whatever passes means the same to net/url, which the host uses.
func FuzzOrigin(f *testing.F) {
	for _, seed := range []string{
		"https://acme.example/x", "https://acme.example:8443?x#y", "https://[::1]:8443/", "HTTPS://A\\B/", "https://a@b/", "https://ä.example/",
		"https://a:443", "https://[::1", "https://a%41/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, ok := origin(raw)
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
			t.Errorf("origin(%q) = %q, but net/url reads %q with user information %v", raw, got, want, u.User)
		}
	})
}
