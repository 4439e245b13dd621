package inspect

import (
	"bytes"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

func TestTheReportTellsWhatIsFilledInFromWhomAndHowOften(t *testing.T) {
	r := analysed(t, described(sending("http_send", "http_cached_get"), func(m *manifest.Manifest) {
		m.Abilities = append(m.Abilities, contract.ExportRefreshCredentials)
		m.Settings = map[string]manifest.Setting{
			"portal": {Type: manifest.TypeURL, Title: "Portal"},
			"hosts":  {Type: manifest.TypeList, Title: "Hosts", Scope: manifest.ScopeApp},
		}
		m.Egress = map[string]manifest.EgressRule{
			"api": {Purpose: "p", Setting: "portal", Methods: []string{"POST"}, Paths: []string{"/"}, Rates: []manifest.Rate{
				{Per: manifest.ScopeConnection, RequestsPerSecond: 5, Concurrent: 3}, {Per: manifest.ScopeApp, RequestsPerSecond: 8}}},
			"keys": {Purpose: "p", Setting: "hosts", Methods: []string{"GET"}, Paths: []string{"/"}, Cached: true},
		}
		m.Secrets = map[string]manifest.Secret{"client": {Purpose: "p", Scope: manifest.ScopeApp, SendTo: []string{"api"}}}
		m.Credentials = map[string]manifest.Credential{"access_token": {Purpose: "what it signs in with", SendTo: []string{"api"}}}
		m.Tokens = map[string]manifest.TokenRule{"connection": {KeepAliveSeconds: 86400, Obtain: true}}
	}).Bytes())
	var out bytes.Buffer
	if err := r.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"any that a tenant enters as portal", "each that the operator lists as hosts",
		"GET, kept for all and read by receive and route, too",
		"at most 5 a second and 3 at once for each connection", "at most 8 a second for each app",
		"the operator, for all connections of an app",
		"access_token api what it signs in with",
		"renewed with 20 % of their life left, and at least every 24h0m0s; the first are had without a person",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not say %q:\n%s", want, text)
		}
	}
}
