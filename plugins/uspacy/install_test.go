package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
)

func member(name string, value any) map[string]any { return map[string]any{name: value} }

func TestAnInstallIsParkedForTheOperator(t *testing.T) {
	a := newApp(t)
	token := a.tokenOf(member("domain", acme), nil)
	out := a.route(installDelivery(token), installBody)
	if out.Rejected != nil || out.Key != "portal:"+acme || out.Park == nil || !out.Park.Install || out.Park.Title != acme {
		t.Fatalf("route answered %+v", out)
	}
	if out.Response.Status != 200 || out.Response.Body != `{"status":true,"message":"success"}` {
		t.Errorf("Uspacy is answered %+v", out.Response)
	}
	if strings.Contains(out.Payload+out.DedupeKey, "access-1") || strings.Contains(out.Payload+out.DedupeKey, "refresh-1") {
		t.Errorf("a token is in what route hands over: %s, %s", out.Payload, out.DedupeKey)
	}
	if again := a.route(installDelivery(token), installBody); again.DedupeKey != out.DedupeKey {
		t.Errorf("a repeat is called %s, and was %s", again.DedupeKey, out.DedupeKey)
	}
	for _, method := range []string{"DELETE", "POST"} {
		for _, path := range []string{"/portals/uninstall", "/portals/uinstall", "/portals/uninstall/"} {
			d := uninstallDelivery(token)
			d.Method, d.Path = method, path
			out := a.route(d, "")
			if out.Key != "portal:"+acme || out.Park == nil || out.Park.Install || out.Response.Status != 204 || out.Response.Body != "" {
				t.Errorf("%s %s was answered %+v", method, path, out)
			}
		}
	}
}

func TestWhoMayInstall(t *testing.T) {
	domain := member("domain", acme)
	other := []byte("another secret")
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	forge := func(method jwt.SigningMethod, key any) func(*app) string {
		return func(a *app) string { return signJWT(a.t, method, key, domain, nil, a.h.Now()) }
	}
	with := func(header, claims map[string]any) func(*app) string {
		return func(a *app) string { return a.tokenOf(header, claims) }
	}
	at := func(name string, d time.Duration) func(*app) string {
		return with(domain, member(name, testNow.Add(d).Unix()))
	}
	for _, tt := range []struct {
		name   string
		token  func(*app) string
		status int64
		code   string
	}{
		{"signed with another secret", forge(jwt.SigningMethodHS256, other), 401, "token_not_genuine"},
		{"signed with HS512", func(a *app) string {
			return signJWT(a.t, jwt.SigningMethodHS512, []byte(a.h.Secret("client_secret")), domain, nil, a.h.Now())
		}, 401, "token_not_genuine"},
		{"signed with RS256", forge(jwt.SigningMethodRS256, key), 401, "token_not_genuine"},
		{"not signed", func(a *app) string {
			text := signJWT(a.t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, domain, nil, a.h.Now())
			return text + "AA"
		}, 401, "token_not_genuine"},
		{"with an empty signature", func(a *app) string {
			return signJWT(a.t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, domain, nil, a.h.Now())
		}, 401, "bearer_missing"},
		{"expired", at("exp", -61*time.Second), 401, "token_not_genuine"},
		{"not valid yet", at("nbf", 61*time.Second), 401, "token_not_genuine"},
		{"issued in the future", at("iat", 61*time.Second), 401, "token_not_genuine"},
		{"without exp", with(domain, member("exp", nil)), 401, "token_incomplete"},
		{"without nbf", with(domain, member("nbf", nil)), 401, "token_incomplete"},
		{"without iat", with(domain, member("iat", nil)), 401, "token_incomplete"},
		{"with what must be understood", with(map[string]any{"domain": acme, "crit": []string{"b64"}}, nil), 401, "token_incomplete"},
		{"of no portal", with(nil, nil), 403, "domain_refused"},
		{"of two portals", with(domain, member("domain", "other.uspacy.ua")), 403, "domain_refused"},
		{"of a number", with(member("domain", 7), nil), 403, "domain_refused"},
		{"of another domain", with(member("domain", "acme.evil.example"), nil), 403, "domain_refused"},
		{"of a domain that ends so", with(member("domain", "eviluspacy.ua"), nil), 403, "domain_refused"},
		{"of the suffix itself", with(member("domain", "uspacy.ua"), nil), 403, "domain_refused"},
		{"of a domain with a port", with(member("domain", acme+":8443"), nil), 403, "domain_refused"},
		{"of a domain with a path", with(member("domain", "evil.example/x.uspacy.ua"), nil), 403, "domain_refused"},
		{"of a domain with a user", with(member("domain", "evil.example@x.uspacy.ua"), nil), 403, "domain_refused"},
		{"of a domain with an empty label", with(member("domain", "acme..uspacy.ua"), nil), 403, "domain_refused"},
		{"of two dots behind", with(member("domain", acme+".."), nil), 403, "domain_refused"},
		{"of an address", with(member("domain", "10.0.0.1"), nil), 403, "domain_refused"},
		{"of a staging portal", with(member("domain", "a.staging.uspacy.tech"), nil), 403, "domain_refused"},
		{"of two segments", func(*app) string { return "a.b" }, 401, "bearer_missing"},
		{"of four segments", func(*app) string { return "a.b.c.d" }, 401, "bearer_missing"},
		{"of no letters", func(*app) string { return "a.b.c=" }, 401, "bearer_missing"},
		{"too long", with(domain, member("x", strings.Repeat("x", maxTokenBytes))), 401, "bearer_missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp(t)
			token := tt.token(a)
			wantRefused(t, a.route(installDelivery(token), installBody), tt.status, tt.code)
			wantRefused(t, a.route(uninstallDelivery(token), ""), tt.status, tt.code)
		})
	}
	a := newApp(t)
	good := a.tokenOf(domain, nil)
	for name, headers := range map[string][]contract.Header{
		"no header": nil, "another scheme": {{Name: "Authorization", Value: "Basic " + good}}, "a bare token": {{Name: "Authorization", Value: good}},
		"two headers": append(authorised(good), authorised(good)...),
	} {
		d := installDelivery(good)
		d.Headers = headers
		t.Run(name, func(t *testing.T) { wantRefused(t, a.route(d, installBody), 401, "bearer_missing") })
	}
}

func TestThePortalIsTheTokens(t *testing.T) {
	for _, tt := range []struct {
		name           string
		header, claims map[string]any
		extra          []string
		want           string
	}{
		{"in the header", member("domain", acme), nil, nil, acme},
		{"in the claims", nil, member("domain", acme), nil, acme},
		{"in both", member("domain", acme), member("domain", "ACME.uspacy.ua."), nil, acme},
		{"in upper case, with a dot behind", member("domain", "Acme.Uspacy.UA."), nil, nil, acme},
		{"on another cluster", member("domain", "a.uspacy.com.br"), nil, nil, "a.uspacy.com.br"},
		{"a staging one, where that is allowed", member("domain", "a.staging.uspacy.tech"), nil, []string{"allow_staging", "true"}, "a.staging.uspacy.tech"},
		{"a key that nobody looks at", map[string]any{"domain": acme, "jku": "https://evil.example", "kid": "1"}, nil, nil, acme},
		{"fractions of seconds", member("domain", acme), member("iat", 1767225599.5), nil, acme},
		{"a clock that is a minute ahead", member("domain", acme), member("iat", testNow.Add(time.Minute).Unix()), nil, acme},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp(t, tt.extra...)
			if out := a.route(installDelivery(a.tokenOf(tt.header, tt.claims)), installBody); out.Key != "portal:"+tt.want {
				t.Errorf("the key is %q, want that of %s: %+v", out.Key, tt.want, out)
			}
		})
	}
}

func TestTheBodyOfAnInstall(t *testing.T) {
	a := newApp(t)
	token := a.tokenOf(member("domain", acme), nil)
	for _, body := range []string{
		"", "x", "[]", `{"refresh_token":"b","expiry_date":1767312000}`, `{"token":"a","expiry_date":1767312000}`, `{"token":"a","refresh_token":"b"}`,
		`{"token":"a","refresh_token":"b","expiry_date":"soon"}`, `{"token":"a","refresh_token":"b","expiry_date":-1}`,
		`{"token":"a","refresh_token":"b","expiry_date":1767312000000}`, `{"token":7,"refresh_token":"b","expiry_date":1767312000}`,
		`{"token":"a b","refresh_token":"b","expiry_date":1767312000}`, `{"token":"a\r\nX: y","refresh_token":"b","expiry_date":1767312000}`,
		`{"token":"{{secret:client_secret}}","refresh_token":"b","expiry_date":1767312000}`, `{"token":"a","token":"a","refresh_token":"b","expiry_date":1767312000}`,
	} {
		wantRefused(t, a.route(installDelivery(token), body), 422, "body_refused")
	}
	wantRefused(t, a.route(installDelivery(token), installBody+strings.Repeat(" ", maxInstallBytes)), 413, "too_large")
	if out := a.route(installDelivery(token), `{"token":"a","refresh_token":"b","expiry_date":"1767312000","more":{}}`); out.Key == "" {
		t.Errorf("an expiry that is a text was refused: %+v", out)
	}
}

func TestPathsAndMethods(t *testing.T) {
	a := newApp(t)
	token := a.tokenOf(member("domain", acme), nil)
	for _, tt := range []struct {
		method, path string
		status       int64
	}{
		{"GET", "/portals/install", 405}, {"DELETE", "/portals/install", 405}, {"GET", "/portals/uninstall", 405}, {"GET", "/sns", 405},
		{"POST", "", 404}, {"POST", "/", 404}, {"POST", "/portals", 404}, {"POST", "/portals/", 404}, {"POST", "/portals/installs", 404},
		{"POST", "/portals/install/x", 404}, {"POST", "/sns/x", 404}, {"POST", "/SNS", 404},
	} {
		out := a.route(contract.Delivery{Method: tt.method, Path: tt.path, Headers: authorised(token)}, installBody)
		if out.Rejected == nil || out.Response.Status != tt.status {
			t.Errorf("%s %s was answered %+v, want %d", tt.method, tt.path, out, tt.status)
		}
	}
}

// routed is what the host hands to the connection of a key.
func (a *app) routed(d contract.Delivery, body string) *contract.ReceiveOutput {
	a.t.Helper()
	out := a.route(d, body)
	if out.Key == "" {
		a.t.Fatalf("route found no key: %+v", out)
	}
	d.ID, d.ReceivedAt, d.BodyBytes = "dlv_1", a.h.Now(), int64(len(body))
	got, err := a.h.Receive(connector{}, &contract.ReceiveInput{
		Delivery: d, Connection: a.connection(), Routed: &contract.Routed{Key: out.Key, Payload: out.Payload, Parked: true},
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return got
}

func (a *app) install(body string) *contract.ReceiveOutput {
	a.t.Helper()
	return a.routed(installDelivery(a.tokenOf(member("domain", acme), nil)), body)
}

func (a *app) uninstall() *contract.ReceiveOutput {
	a.t.Helper()
	return a.routed(uninstallDelivery(a.tokenOf(member("domain", acme), nil)), "")
}

func (a *app) pass(d time.Duration) { a.h.SetNow(a.h.Now().Add(d)) }

func TestAnInstallHandsOverItsTokens(t *testing.T) {
	a := newApp(t)
	out := a.install(installBody)
	if got := statesIn(out.Events); got != "connecting installed" || len(out.Commands) != 1 || out.Response.Status != 200 {
		t.Errorf("the install came to %q, %+v", got, out)
	}
	c := a.h.Credentials()
	if c == nil || c.AccessToken != "access-1" || c.RefreshToken != "refresh-1" || c.ExpiresAt.Unix() != 1767312000 ||
		!c.RefreshExpiresAt.Equal(testNow.Add(refreshTokenLife)) {
		t.Fatalf("the host was handed %+v", c)
	}
	for key, value := range a.h.KV() {
		if strings.Contains(value, "access-1") || strings.Contains(value, "refresh-1") {
			t.Errorf("%s keeps a token: %s", key, value)
		}
	}
	if domain, failure, err := portalOf(a.h, a.set); domain != acme || failure != nil || err != nil {
		t.Errorf("portalOf = %q, %+v, %v", domain, failure, err)
	}
}

func TestARepeatedInstallChangesNothing(t *testing.T) {
	a := newApp(t)
	a.install(installBody)
	a.h.Credentials().AccessToken = "renewed since"
	a.pass(10 * time.Second)
	if out := a.install(installBody); out.Rejected != nil || len(out.Events)+len(out.Commands) > 0 || out.Response.Status != 200 {
		t.Errorf("the repeat came to %+v", out)
	}
	if got := a.h.Credentials().AccessToken; got != "renewed since" {
		t.Errorf("the repeat brought the token %q back", got)
	}
}

func TestReplaysOfLifecycleWebhooks(t *testing.T) {
	a := newApp(t)
	first := a.tokenOf(member("domain", acme), nil)
	a.routed(installDelivery(first), installBody)
	a.pass(10 * time.Minute)
	second := strings.ReplaceAll(installBody, "-1", "-2")
	if out := a.install(second); out.Rejected != nil || a.h.Credentials().AccessToken != "access-2" {
		t.Fatalf("a new install came to %+v", out)
	}
	if out := a.routed(installDelivery(first), installBody); out.Rejected == nil || out.Rejected.Code != "token_stale" {
		t.Errorf("an older install was replayed: %+v", out)
	}
	if out := a.routed(uninstallDelivery(first), ""); out.Rejected == nil || out.Rejected.Code != "token_stale" {
		t.Errorf("an uninstall from before the install was replayed: %+v", out)
	}
	a.pass(time.Minute)
	if out := a.uninstall(); statesIn(out.Events) != "disconnected uninstalled" || out.Response.Status != 204 {
		t.Fatalf("the uninstall came to %+v", out)
	}
	if _, failure, _ := portalOf(a.h, a.set); failure == nil || failure.Code != "uninstalled" {
		t.Errorf("calls go on: %+v", failure)
	}
	if out := a.uninstall(); len(out.Events) > 0 || out.Response.Status != 204 {
		t.Errorf("a second uninstall came to %+v", out)
	}
	if out := a.install(second); out.Rejected == nil || out.Rejected.Code != "install_replayed" {
		t.Errorf("the install from before the uninstall was replayed: %+v", out)
	}
	if out := a.install(strings.ReplaceAll(installBody, "-1", "-3")); statesIn(out.Events) != "connecting installed" {
		t.Errorf("a new install came to %+v", out)
	}
}

func TestAnUninstallOfNothing(t *testing.T) {
	a := newApp(t)
	if out := a.uninstall(); out.Rejected != nil || out.Response.Status != 204 || len(out.Events) > 0 {
		t.Errorf("it came to %+v", out)
	}
}

func TestAPortalThatIsNotTheConnections(t *testing.T) {
	a := newApp(t, "portal_url", "https://other.uspacy.ua")
	out := a.install(installBody)
	if got := statesIn(out.Events); got != "needs_action portal_mismatch" || a.h.Credentials() != nil {
		t.Errorf("it came to %q, with the tokens %+v", got, a.h.Credentials())
	}
	a = newApp(t)
	a.install(installBody)
	a.set["portal_url"] = "https://other.uspacy.ua" // the tenant changes it after the install
	if _, failure, _ := portalOf(a.h, a.set); failure == nil || failure.Code != "portal_mismatch" {
		t.Errorf("tokens of one portal would go to another: %+v", failure)
	}
	a.set["portal_url"] = "https://" + acme
	stranger := a.tokenOf(member("domain", "other.uspacy.ua"), nil)
	if out := a.routed(installDelivery(stranger), strings.ReplaceAll(installBody, "-1", "-9")); len(out.Events) > 0 {
		t.Errorf("a connection that works was told %q", statesIn(out.Events))
	}
	if a.h.Credentials().AccessToken != "access-1" {
		t.Error("the other portal's token took the place of its own")
	}
}

func TestAConnectionHasNoAddressOfItsOwn(t *testing.T) {
	a := newApp(t)
	d := installDelivery(a.tokenOf(member("domain", acme), nil))
	d.ID, d.ReceivedAt = "dlv_1", a.h.Now()
	a.h.SetBody([]byte(installBody))
	out, err := a.h.Receive(connector{}, &contract.ReceiveInput{Delivery: d, Connection: a.connection()})
	if err != nil || out.Rejected == nil || out.Response.Status != 404 {
		t.Errorf("it was answered %+v, %v", out, err)
	}
}

func TestProofByCall(t *testing.T) {
	claimed := func(domain string) string {
		part := base64.RawURLEncoding.EncodeToString
		return part([]byte(`{"alg":"HS256"}`)) + "." + part([]byte(`{"domain":"`+domain+`"}`)) + ".AAAA"
	}
	prove := func(a *app) *contract.CommandOutput {
		return a.command(&contract.ReconcileInput{Command: info(), Connection: a.connection(), Payload: proveWork().Payload})
	}
	lines := "/messenger/v1/external-lines"
	a := newApp(t, "install_auth_mode", "proof_call")
	wantRefused(t, a.route(installDelivery(claimed("acme.evil.example")), installBody), 403, "domain_refused")

	out := a.routed(installDelivery(claimed(acme)), installBody)
	if got := statesIn(out.Events); got != "connecting install_unproven" || len(out.Commands) != 1 {
		t.Fatalf("the install came to %q, %+v", got, out)
	}
	if _, failure, _ := portalOf(a.h, a.set); failure == nil || failure.Code != "install_unproven" {
		t.Errorf("calls go out before the proof: %+v", failure)
	}
	a.h.Answer("GET", lines, contract.HTTPResult{Status: 503}, contract.HTTPResult{Status: 200, Body: "[]"})
	if out := prove(a); out.Failure == nil || out.Failure.Class != contract.FailureRetry {
		t.Errorf("an outage came to %+v", out)
	}
	if out := prove(a); statesIn(out.Events) != "connecting installed" || len(out.Commands) != 1 {
		t.Errorf("the proof came to %+v", out)
	}
	// Nobody takes the tokens of a portal that works by saying its name.
	if out := a.routed(installDelivery(claimed(acme)), strings.ReplaceAll(installBody, "-1", "-9")); len(out.Commands) > 0 || a.h.Credentials().AccessToken != "access-1" {
		t.Errorf("a stranger's install came to %+v", out)
	}
	if out := a.routed(uninstallDelivery(claimed(acme)), ""); len(out.Events) > 0 || len(out.Commands) != 1 {
		t.Errorf("a stranger's uninstall came to %+v", out)
	}
	if out := prove(a); out.Failure != nil || len(out.Events) > 0 {
		t.Errorf("the tokens work, and it came to %+v", out)
	}
	a.h.Answer("GET", lines, pdktest.JSON(403, "{}"))
	if out := prove(a); statesIn(out.Events) != "disconnected uninstalled" {
		t.Errorf("the tokens do not work any more, and it came to %+v", out)
	}
	b := newApp(t, "install_auth_mode", "proof_call")
	b.routed(installDelivery(claimed(acme)), installBody)
	b.h.Answer("GET", lines, pdktest.JSON(401, "{}"))
	if out := prove(b); statesIn(out.Events) != "needs_action install_refused" {
		t.Errorf("tokens that the portal does not take came to %+v", out)
	}
}

func TestWhatAConnectionMayCall(t *testing.T) {
	for _, tt := range []struct {
		record installation
		code   string
	}{
		{installation{domain: acme, state: installActive}, ""},
		{installation{domain: acme, state: installUnproven}, "install_unproven"},
		{installation{domain: acme, state: installRefused}, "install_refused"},
		{installation{domain: acme, state: installGone}, "uninstalled"},
		{installation{domain: "b.uspacy.ua", state: installActive}, "portal_mismatch"},
	} {
		a := newApp(t)
		a.h.SetKV(keyInstallation, tt.record.encode())
		_, failure, err := portalOf(a.h, a.set)
		if err != nil || failure == nil && tt.code != "" || failure != nil && failure.Code != tt.code {
			t.Errorf("with %+v, portalOf says %+v, %v; want %q", tt.record, failure, err, tt.code)
		}
	}
	a := newApp(t)
	a.h.SetKV(keyInstallation, "damaged")
	if _, _, err := portalOf(a.h, a.set); err == nil {
		t.Error("an entry that nobody can read is taken for an installation")
	}
}

func TestAProofThatIsOvertaken(t *testing.T) {
	prove := func(a *app) *contract.CommandOutput {
		return a.command(&contract.ReconcileInput{Command: info(), Connection: a.connection(), Payload: proveWork().Payload})
	}
	a := newApp(t)
	if out := prove(a); out.Failure != nil || len(a.h.Requests()) > 0 {
		t.Errorf("with nothing installed it came to %+v", out.Failure)
	}
	a.h.SetKV(keyInstallation, installation{domain: "b.uspacy.ua", state: installUnproven}.encode())
	if out := prove(a); out.Failure == nil || out.Failure.Code != "portal_mismatch" || len(a.h.Requests()) > 0 {
		t.Errorf("for another portal it came to %+v", out.Failure)
	}
	a.h.SetKV(keyInstallation, installation{domain: acme, state: installActive}.encode())
	a.h.Answer("GET", "/messenger/v1/external-lines", pdktest.JSON(401, "{}"))
	if out := prove(a); out.Failure == nil || out.Failure.Class != contract.FailureReauthorise || len(out.Events) > 0 {
		t.Errorf("a token that expired came to %+v; the host is to renew it and ask again", out)
	}
	a.h.SetKV(keyInstallation, installation{domain: acme, state: installUnproven}.encode())
	a.h.TakeCredential(contract.CredentialAccessToken)
	if out := prove(a); statesIn(out.Events) != "needs_action install_refused" {
		t.Errorf("a token that the host gave up came to %+v", out)
	}
}
