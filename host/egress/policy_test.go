package egress

import (
	"net/url"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

var acme = domain.EgressPolicy{Rules: []domain.EgressRule{
	{Name: "api", Scheme: "https", Host: "api.acme.test", Port: 443, Methods: []string{"GET", "POST"}, Paths: []string{"/v1", "/v2/"}},
	{Name: "files", Scheme: "https", Host: "files.acme.test", Port: 8443, Methods: []string{"GET"}, Paths: []string{"/"}},
	{Name: "portal", Scheme: "https", Host: "team.portal.test", Port: 443, Methods: []string{"GET"}, Paths: []string{"/"},
		Hosts: []string{"*.portal.test"}},
	{Name: "narrowed away", Scheme: "https", Host: "a.b.portal.test", Port: 443, Methods: []string{"GET"}, Paths: []string{"/"},
		Hosts: []string{"*.portal.test", "portal.test"}},
	{Name: "on premises", Scheme: "http", Host: "10.0.0.7", Port: 8080, Methods: []string{"GET"}, Paths: []string{"/"}},
	{Name: "address narrowed", Scheme: "http", Host: "10.0.0.8", Port: 8080, Methods: []string{"GET"}, Paths: []string{"/"},
		Hosts: []string{"*.0.0.8"}},
	{Name: "no methods", Scheme: "https", Host: "silent.test", Port: 443, Paths: []string{"/"}},
	{Name: "no paths", Scheme: "https", Host: "pathless.test", Port: 443, Methods: []string{"GET"}, Paths: []string{""}},
	{Name: "no host", Scheme: "https", Port: 443, Methods: []string{"GET"}, Paths: []string{"/"}},
	{Name: "bare", Host: "bare.test", Methods: []string{"GET"}, Paths: []string{"/"}},
}}

func TestARequestMatchesARule(t *testing.T) {
	for _, tt := range []struct{ name, method, url, want string }{
		{"the prefix itself", "GET", "https://api.acme.test/v1", "api"},
		{"below the prefix", "POST", "https://api.acme.test/v1/messages?x=/v9", "api"},
		{"the prefix with a slash", "GET", "https://api.acme.test/v1/", "api"},
		{"a longer first segment", "GET", "https://api.acme.test/v10", ""},
		{"a sibling", "GET", "https://api.acme.test/admin", ""},
		{"another case", "GET", "https://api.acme.test/V1", ""},
		{"an encoded letter of the prefix", "GET", "https://api.acme.test/%761/x", "api"},
		{"below a prefix with a slash", "GET", "https://api.acme.test/v2/x", "api"},
		{"a prefix with a slash, without it", "GET", "https://api.acme.test/v2", ""},
		{"an empty segment before the prefix", "GET", "https://api.acme.test//v1", ""},
		{"another method", "DELETE", "https://api.acme.test/v1", ""},
		{"a method in lower case", "get", "https://api.acme.test/v1", ""},
		{"another scheme", "GET", "http://api.acme.test/v1", ""},
		{"another scheme on the right port", "GET", "http://api.acme.test:443/v1", ""},
		{"another port", "GET", "https://api.acme.test:444/v1", ""},
		{"the default port, spelt out", "GET", "https://api.acme.test:443/v1", "api"},
		{"another host", "GET", "https://evil.test/v1", ""},
		{"the host as a suffix", "GET", "https://evilapi.acme.test/v1", ""},
		{"the host as a prefix", "GET", "https://api.acme.test.evil.test/v1", ""},
		{"the host as user information", "GET", "https://api.acme.test@evil.test/v1", ""},
		{"out of the prefix by dots", "GET", "https://api.acme.test/v1/../admin", ""},
		{"a port that must be given", "GET", "https://files.acme.test:8443/", "files"},
		{"a port that is missing", "GET", "https://files.acme.test/", ""},
		{"narrowed, and in", "GET", "https://team.portal.test/", "portal"},
		{"narrowed, and one label too many", "GET", "https://a.b.portal.test/", ""},
		{"an address", "GET", "http://10.0.0.7:8080/x", "on premises"},
		{"an address as a number", "GET", "http://167772167:8080/x", ""},
		{"an address under a star", "GET", "http://10.0.0.8:8080/x", ""},
		{"a rule without methods", "GET", "https://silent.test/", ""},
		{"a rule without a path", "GET", "https://pathless.test/", ""},
		{"a rule with defaults", "GET", "https://bare.test/", "bare"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, err := url.Parse(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			rule, ok := firstMatch(acme, tt.method, u)
			if rule.Name != tt.want || ok != (tt.want != "") {
				t.Errorf("firstMatch(%s %s) = %q, %v, want %q", tt.method, tt.url, rule.Name, ok, tt.want)
			}
		})
	}
}

func TestNoPolicyAllowsNothing(t *testing.T) {
	u := &url.URL{Scheme: "https", Host: "api.acme.test", Path: "/v1"}
	if rule, ok := firstMatch(domain.EgressPolicy{}, "GET", u); ok {
		t.Errorf("the empty policy allows %s by %+v", u, rule)
	}
}

// firstMatch returns the first rule that allows a request. A URL that [ParseURL] would
// refuse matches none.
func firstMatch(p domain.EgressPolicy, method string, u *url.URL) (domain.EgressRule, bool) {
	target, err := ParseURL(u.String())
	if err != nil {
		return domain.EgressRule{}, false
	}
	if rules := matching(p, method, target, false); len(rules) > 0 {
		return rules[0], true
	}
	return domain.EgressRule{}, false
}
