package egress_test

import (
	"context"
	"errors"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/egress"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestABrowserIsSentOnlyWhereARuleAllows(t *testing.T) {
	policy := domain.EgressPolicy{Plugin: "acme", Rules: []domain.EgressRule{
		{Name: "consent", Host: "login.acme.test", Methods: []string{"GET"}, Paths: []string{"/oauth/authorize"}, Secrets: []string{"client_id"}},
		{Name: "token", Host: "login.acme.test", Methods: []string{"POST"}, Paths: []string{"/oauth/token"}, Secrets: []string{"client_secret"}},
	}}
	reveal := func(_ context.Context, name string) (secret.Text, error) { return secret.New("value of " + name), nil }
	client, err := egress.New(egress.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	for _, tt := range []struct{ name, url, want, code string }{
		{"a page of a rule", "https://login.acme.test/oauth/authorize?state=s&scope=a%20b", "https://login.acme.test/oauth/authorize?state=s&scope=a%20b", ""},
		{"what may be known there", "https://login.acme.test/oauth/authorize?client_id={{secret:client_id}}&state=s",
			"https://login.acme.test/oauth/authorize?client_id=value+of+client_id&state=s", ""},
		{"what must not be known", "https://login.acme.test/oauth/authorize?x={{secret:client_secret}}", "", contract.HostDenied},
		{"a placeholder in the path", "https://login.acme.test/oauth/authorize/{{secret:client_id}}", "", contract.HostDenied},
		{"a page that is only posted to", "https://login.acme.test/oauth/token", "", contract.HostDenied},
		{"another host", "https://evil.test/oauth/authorize", "", contract.HostDenied},
		{"another scheme", "http://login.acme.test/oauth/authorize", "", contract.HostDenied},
		{"a script", "javascript:alert(1)", "", contract.HostInvalid},
		{"user information", "https://login.acme.test@evil.test/oauth/authorize", "", contract.HostInvalid},
		{"a line break", "https://login.acme.test/oauth/authorize?a=b\r\nSet-Cookie: x=y", "", contract.HostInvalid},
		{"a fragment", "https://login.acme.test/oauth/authorize#x", "", contract.HostInvalid},
		{"nothing", "", "", contract.HostInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := client.Page(t.Context(), policy, reveal, tt.url)
			var host *contract.HostError
			errors.As(err, &host)
			if got != tt.want || (host == nil) != (tt.code == "") || host != nil && host.Code != tt.code {
				t.Errorf("Page(%q) = %q, %v; want %q with code %q", tt.url, got, err, tt.want, tt.code)
			}
		})
	}
}
