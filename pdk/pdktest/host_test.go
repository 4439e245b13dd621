package pdktest_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
)

func acmeHost(t *testing.T) *pdktest.Host {
	t.Helper()
	m := pdktest.LoadManifest(t, "testdata/plugin.yaml")
	return pdktest.New(m, map[string]string{"company_url": "https://acme.test:8443"})
}

func TestKeyValueState(t *testing.T) {
	h := pdktest.New(nil, nil)
	put := func(w contract.KVPut) {
		t.Helper()
		if err := h.KVPut(w); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(when, key, value string, version int64, found bool) {
		t.Helper()
		v, n, ok, err := h.KVGet(key)
		if v != value || n != version || ok != found || err != nil {
			t.Errorf("%s: KVGet(%s) = %q, %d, %v, %v; want %q, %d, %v", when, key, v, n, ok, err, value, version, found)
		}
	}
	expect("at first", "a", "", 0, false)
	put(contract.KVPut{Key: "a", Value: "1"})
	expect("before the commit", "a", "1", 0, true)
	h.Commit()
	expect("after the commit", "a", "1", 1, true)
	put(contract.KVPut{Key: "a", Value: "2", CheckVersion: true, ExpectedVersion: 1})
	expect("after a second write", "a", "2", 1, true)
	h.Discard()
	expect("after it was discarded", "a", "1", 1, true)
	if err := h.KVPut(contract.KVPut{Key: "a", Value: "x", CheckVersion: true}); contract.HostErrorCode(err) != contract.HostConflict {
		t.Errorf("a write that expects no entry gave %v, want a conflict", err)
	}
	if err := h.KVDelete(contract.KVDelete{Key: "a", CheckVersion: true, ExpectedVersion: 7}); contract.HostErrorCode(err) != contract.HostConflict {
		t.Errorf("a deletion of version 7 gave %v, want a conflict", err)
	}
	if err := h.KVDelete(contract.KVDelete{Key: "a"}); err != nil {
		t.Fatal(err)
	}
	expect("after the deletion", "a", "", 1, false)
	h.Commit()
	expect("after that was committed", "a", "", 0, false)
	put(contract.KVPut{Key: "b", Value: "3", TTLSeconds: 60})
	h.Commit()
	h.SetNow(h.Now().Add(60 * time.Second))
	expect("when it expired", "b", "", 0, false)
	if kv := h.KV(); len(kv) != 0 {
		t.Errorf("KV() = %v, want nothing", kv)
	}
}

func TestKeyValueListing(t *testing.T) {
	h := pdktest.New(nil, nil)
	for _, key := range []string{"c/1", "c/2", "c/3", "d/1"} {
		h.SetKV(key, "v")
	}
	if err := h.KVPut(contract.KVPut{Key: "c/0", Value: "new"}); err != nil {
		t.Fatal(err)
	}
	page, err := h.KVList(contract.KVList{Prefix: "c/", After: "c/0", Limit: 2})
	if err != nil || len(page.Entries) != 2 || page.Entries[0].Key != "c/1" || !page.More {
		t.Errorf("the first page is %+v, %v; want c/1 and c/2, and more", page, err)
	}
	page, err = h.KVList(contract.KVList{Prefix: "c/"})
	if err != nil || len(page.Entries) != 4 || page.Entries[0].Value != "new" || page.More {
		t.Errorf("all of c/ is %+v, %v; want four entries, the pending one first", page, err)
	}
}

func TestHostRefusesWhatNoHostAllows(t *testing.T) {
	send := func(method, url, body string) func(*pdktest.Host) error {
		return func(h *pdktest.Host) error {
			_, err := h.HTTPSend(contract.HTTPRequest{Method: method, URL: url, Body: body})
			return err
		}
	}
	for _, tt := range []struct {
		name, code, problem string
		try                 func(*pdktest.Host) error
	}{
		{"another host", contract.HostDenied, "no egress rule", send("POST", "https://evil.test/api/x", "")},
		{"another port", contract.HostDenied, "no egress rule", send("POST", "https://acme.test/api/x", "")},
		{"another scheme", contract.HostDenied, "no egress rule", send("POST", "http://acme.test:8443/api/x", "")},
		{"another method", contract.HostDenied, "no egress rule", send("DELETE", "https://acme.test:8443/api/x", "")},
		{"another path", contract.HostDenied, "no egress rule", send("POST", "https://acme.test:8443/apix", "")},
		{"a way around the path", contract.HostDenied, "no egress rule", send("POST", "https://acme.test:8443/api/../admin", "")},
		{"an encoded way around", contract.HostDenied, "no egress rule", send("POST", "https://acme.test:8443/api/%2e%2e/admin", "")},
		{"a user in the URL", contract.HostInvalid, "no absolute URL", send("POST", "https://a:b@acme.test:8443/api/x", "")},
		{"a placeholder in the path", contract.HostDenied, "stands in the path", send("POST", "https://acme.test:8443/api/{{secret:token}}", "")},
		{"a placeholder in a form", contract.HostDenied, "no JSON", send("POST", "https://acme.test:8443/api/x", "t={{secret:token}}")},
		{"a placeholder twice", contract.HostDenied, "twice", send("POST", "https://acme.test:8443/api/x?t={{secret:token}}", `{"t":"{{secret:token}}"}`)},
		{"a misspelt placeholder", contract.HostDenied, "malformed", send("POST", "https://acme.test:8443/api/x", `{"t":"{{ secret:token}}"}`)},
		{"a secret for another host", contract.HostDenied, "may not be sent there", send("GET", "https://files.acme.test/?t=%7B%7Bsecret:token%7D%7D", "")},
		{"an undeclared secret", contract.HostDenied, "declares no secret", func(h *pdktest.Host) error {
			_, err := h.SecretEqual("tokn", "x")
			return err
		}},
		{"an unknown algorithm", contract.HostInvalid, "no algorithm", func(h *pdktest.Host) error {
			_, err := h.HMACSign(contract.HMACSign{Name: "token", Algorithm: "md5"})
			return err
		}},
		{"an empty key", contract.HostInvalid, "1 to 256", func(h *pdktest.Host) error { return h.KVPut(contract.KVPut{}) }},
		{"a long value", contract.HostInvalid, "65536", func(h *pdktest.Host) error {
			return h.KVPut(contract.KVPut{Key: "k", Value: strings.Repeat("x", 65537)})
		}},
		{"a long route", contract.HostInvalid, "512", func(h *pdktest.Host) error { return h.RoutePut(strings.Repeat("x", 513)) }},
		{"no token", contract.HostInvalid, "empty", func(h *pdktest.Host) error { return h.CredentialsPut(contract.CredentialsPut{}) }},
		{"unsigned claims", contract.HostInvalid, "no algorithm", func(h *pdktest.Host) error {
			_, err := h.JWTSign(contract.JWTSign{Name: "token", Algorithm: "none", Claims: contract.RawJSON(`{}`)})
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := acmeHost(t)
			h.Answer("POST", "*", pdktest.JSON(200, ""))
			if err := tt.try(h); contract.HostErrorCode(err) != tt.code {
				t.Errorf("got %v, want a host error %s", err, tt.code)
			}
			if problems := h.Problems(); len(problems) != 1 || !strings.Contains(problems[0], tt.problem) {
				t.Errorf("problems %q, want one with %q", problems, tt.problem)
			}
			if len(h.Requests()) != 0 {
				t.Errorf("a request went out: %+v", h.Requests())
			}
		})
	}
}

func TestScriptedAnswers(t *testing.T) {
	h := acmeHost(t)
	h.Answer("POST", "/api/*", pdktest.JSON(404, ""))
	h.Answer("POST", "/api/send", pdktest.JSON(503, "one"), pdktest.JSON(200, "two"))
	h.Answer("GET", "/api/me", contract.HTTPResult{Error: &contract.HostError{Code: contract.HostTimeout}})
	var got []int64
	for _, path := range []string{"/api/send", "/api/send", "/api/send", "/api/other"} {
		body := `{"t":"{{secret:token}}"}`
		result, err := h.HTTPSend(contract.HTTPRequest{Method: "POST", URL: "https://acme.test:8443" + path + "?x=1", Body: body})
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, result.Status)
	}
	if want := []int64{503, 200, 200, 404}; !slices.Equal(got, want) {
		t.Errorf("statuses %v, want %v", got, want)
	}
	if body := h.Requests()[0].Body; body != `{"t":"{{secret:token}}"}` {
		t.Errorf("the request was recorded as %s, want its placeholder unfilled", body)
	}
	if _, err := h.HTTPSend(contract.HTTPRequest{Method: "GET", URL: "https://acme.test:8443/api/me"}); contract.HostErrorCode(err) != contract.HostTimeout {
		t.Errorf("a scripted failure gave %v, want a timeout", err)
	}
	if _, err := h.HTTPCachedGet(contract.HTTPCachedGet{URL: "https://files.acme.test/cert.pem"}); contract.HostErrorCode(err) != contract.HostUnreachable {
		t.Errorf("an unscripted request gave %v, want unreachable", err)
	}
}

// TestAnswersAreRedactedAsTheHostDoes: a connector that reads what its rule keeps back fails here
// and not only in production.
func TestAnswersAreRedactedAsTheHostDoes(t *testing.T) {
	m := pdktest.LoadManifest(t, "testdata/plugin.yaml")
	for name, rule := range m.Egress {
		rule.Redact = []string{"token"}
		m.Egress[name] = rule
	}
	h := pdktest.New(m, map[string]string{"company_url": "https://acme.test:8443"})
	h.Answer("GET", "/api/me", pdktest.JSON(200, `{"token":"x","id":1}`))
	for range 2 {
		got, err := h.HTTPSend(contract.HTTPRequest{Method: "GET", URL: "https://acme.test:8443/api/me"})
		if err != nil || got.Body != `{"token":"[redacted]","id":1}` {
			t.Errorf("answered %+v, %v", got, err)
		}
	}
}

func TestMedia(t *testing.T) {
	h := acmeHost(t)
	h.Answer("GET", "/a/photo.png", contract.HTTPResult{Status: 200, Body: "12345", Headers: []contract.Header{{Name: "Content-Type", Value: "image/png"}}})
	h.Answer("GET", "/a/gone.png", pdktest.JSON(410, ""))
	m, err := h.MediaFetch(contract.MediaFetch{URL: "https://files.acme.test/a/photo.png"})
	if err != nil || m.Name != "photo.png" || m.MIME != "image/png" || m.SizeBytes != 5 || m.Handle == "" {
		t.Fatalf("MediaFetch = %+v, %v", m, err)
	}
	if kept, ok := h.Media(m.Handle); !ok || !reflect.DeepEqual(kept, *m) {
		t.Errorf("Media(%s) = %+v, %v; want %+v", m.Handle, kept, ok, m)
	}
	if _, err := h.MediaFetch(contract.MediaFetch{URL: "https://files.acme.test/a/gone.png"}); contract.HostErrorCode(err) != contract.HostNotFound {
		t.Errorf("fetching what is gone gave %v, want not_found", err)
	}
	link, err := h.MediaLink(contract.MediaLink{Handle: m.Handle, TTLSeconds: 60})
	if err != nil || link.ExpiresAt.Sub(h.Now()) != time.Minute || !strings.HasPrefix(link.URL, "https://") {
		t.Errorf("MediaLink = %+v, %v; want a link for a minute", link, err)
	}
	if _, err := h.MediaLink(contract.MediaLink{Handle: "none"}); contract.HostErrorCode(err) != contract.HostNotFound {
		t.Errorf("linking to nothing gave %v, want not_found", err)
	}
	h.Answer("POST", "/api/upload", pdktest.JSON(201, ""))
	upload := contract.MediaPut{Handle: m.Handle, Request: contract.HTTPRequest{Method: "POST", URL: "https://acme.test:8443/api/upload"}}
	if result, err := h.MediaPut(upload); err != nil || result.Status != 201 {
		t.Errorf("MediaPut = %+v, %v; want 201", result, err)
	}
}

func TestInvocationsCommitOrNot(t *testing.T) {
	const path = "chat/c1"
	in := &contract.ReceiveInput{Connection: contract.Connection{ID: "c"}}
	for _, tt := range []struct {
		name, body, flaw string
		kept             bool
	}{
		{"an accepted delivery", `{"token":"TOKEN","chat":"c1","data":{"text":"x"}}`, "", true},
		{"a rejected delivery", `{"token":"guess","chat":"c1","data":{"text":"x"}}`, "", false},
		{"an invalid output", `{"token":"TOKEN","chat":"c1","data":{"text":"x"}}`, "names a kind without its field", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := acmeHost(t)
			h.SetBody([]byte(strings.ReplaceAll(tt.body, "TOKEN", h.Secret("token"))))
			out, err := h.Receive(acme{tt.flaw}, in)
			if (err != nil) != (tt.flaw != "") {
				t.Errorf("Receive = %+v, %v", out, err)
			}
			if _, kept := h.KV()[path]; kept != tt.kept {
				t.Errorf("kept %v, want %s to be there: %v", h.KV(), path, tt.kept)
			}
		})
	}
	h := acmeHost(t)
	h.Answer("GET", "/api/me", pdktest.JSON(200, ""))
	probe := &contract.CheckHealthInput{Connection: contract.Connection{Settings: map[string]string{"company_url": "https://acme.test:8443"}}}
	if out, err := h.Command(acme{}, probe); err != nil || !out.Health.CredentialsValid {
		t.Errorf("Command = %+v, %v; want valid credentials", out, err)
	}
	h.SetBody([]byte(`{"account":"a1"}`))
	if out, err := h.Route(acme{}, new(contract.RouteInput)); err != nil || out.Key != "a1" {
		t.Errorf("Route = %+v, %v; want the key a1", out, err)
	}
}

func TestSecretsAndCodes(t *testing.T) {
	h := acmeHost(t)
	token := h.Secret("token")
	for value, want := range map[string]bool{token: true, token + "x": false, "": false} {
		if got, err := h.SecretEqual("token", value); err != nil || got != want {
			t.Errorf("SecretEqual(token, %q) = %v, %v; want %v", value, got, err, want)
		}
	}
	h.SetBody([]byte("body"))
	for _, algorithm := range []string{"sha1", "sha256", "sha512"} {
		code, err := h.HMACSign(contract.HMACSign{Name: "token", Algorithm: algorithm, Message: []byte("body")})
		if err != nil {
			t.Fatal(err)
		}
		for _, message := range []string{"body", "other"} {
			verify := contract.HMACVerify{Name: "token", Algorithm: algorithm, Message: []byte(message), MAC: code}
			if got, err := h.HMACVerify(verify); err != nil || got != (message == "body") {
				t.Errorf("HMACVerify(%s, %q) = %v, %v", algorithm, message, got, err)
			}
		}
		if got, err := h.HMACVerify(contract.HMACVerify{Name: "token", Algorithm: algorithm, OverBody: true, MAC: code}); err != nil || !got {
			t.Errorf("HMACVerify(%s) over the body = %v, %v; want true", algorithm, got, err)
		}
	}
	h.SetSecret("token", "")
	if _, err := h.SecretEqual("token", "x"); contract.HostErrorCode(err) != contract.HostNotFound {
		t.Errorf("comparing with a secret that is not set gave %v, want not_found", err)
	}
}

func pemOf(t *testing.T, kind string, der []byte, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestTokens(t *testing.T) {
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(elliptical)
	privatePEM := pemOf(t, "PRIVATE KEY", private, err)
	public, err := x509.MarshalPKIXPublicKey(&elliptical.PublicKey)
	publicPEM := pemOf(t, "PUBLIC KEY", public, err)
	for _, tt := range []struct{ algorithm, signKey, verifyKey, accepted string }{
		{"HS256", "a shared secret", "a shared secret", "HS256"},
		{"ES256", privatePEM, publicPEM, "ES256"},
		{"HS256", publicPEM, publicPEM, ""}, // the confusion of algorithms
	} {
		h := pdktest.New(nil, nil)
		h.SetSecret("key", tt.signKey)
		claims := contract.RawJSON(`{"sub":"dana","exp":` + "1767225700" + `}`)
		token, err := h.JWTSign(contract.JWTSign{Name: "key", Algorithm: tt.algorithm, Claims: claims})
		if err != nil {
			t.Fatal(err)
		}
		h.SetSecret("key", tt.verifyKey)
		verify := contract.JWTVerify{Name: "key", Algorithm: "ES256", Token: token}
		if tt.accepted != "" {
			verify.Algorithm = tt.accepted
		}
		got, err := h.JWTVerify(verify)
		if (err == nil) != (tt.accepted != "") {
			t.Errorf("JWTVerify(%s as %s) = %v, %v", tt.algorithm, verify.Algorithm, got, err)
		}
		var read map[string]any
		if err == nil && (json.Unmarshal(got.Claims, &read) != nil || read["sub"] != "dana" || !strings.Contains(string(got.Header), tt.accepted)) {
			t.Errorf("the token read %s %s", got.Header, got.Claims)
		}
		h.SetNow(h.Now().Add(365 * 24 * time.Hour))
		if got, err := h.JWTVerify(verify); err == nil {
			t.Errorf("a token that expired was accepted: %v", got)
		}
	}
}

func TestSignatures(t *testing.T) {
	message := []byte("signed")
	sum := sha256.Sum256(message)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaSignature, err := rsa.SignPKCS1v15(rand.Reader, rsaKey, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]any{"rsa-sha256": &rsaKey.PublicKey, "ed25519": edPublic}
	signatures := map[string][]byte{"rsa-sha256": rsaSignature, "ed25519": ed25519.Sign(edKey, message)}
	h := pdktest.New(nil, nil)
	for _, algorithm := range slices.Sorted(maps.Keys(keys)) {
		der, err := x509.MarshalPKIXPublicKey(keys[algorithm])
		verify := contract.SignatureVerify{PEM: pemOf(t, "PUBLIC KEY", der, err), Algorithm: algorithm, Message: message, Signature: signatures[algorithm]}
		if got, err := h.SignatureVerify(verify); err != nil || !got.OK {
			t.Errorf("SignatureVerify(%s) = %v, %v; want true", algorithm, got, err)
		}
		verify.Message = []byte("forged")
		if got, err := h.SignatureVerify(verify); err != nil || got.OK {
			t.Errorf("SignatureVerify(%s) of another message = %v, %v; want false", algorithm, got, err)
		}
		verify.Message, verify.Algorithm = message, "rsa-sha1"
		if got, err := h.SignatureVerify(verify); err != nil || got.OK {
			t.Errorf("SignatureVerify(%s as rsa-sha1) = %v, %v; want false", algorithm, got, err)
		}
	}
	if _, err := h.SignatureVerify(contract.SignatureVerify{PEM: "none"}); contract.HostErrorCode(err) != contract.HostInvalid {
		t.Errorf("a PEM that holds nothing gave %v, want invalid", err)
	}
}
