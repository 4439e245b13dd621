package egress

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// FuzzRequest asserts that no request that a plugin can write makes net/http dial a host,
// or name a path, outside the rules; the oracle knows nothing of ParseURL.
func FuzzRequest(f *testing.F) {
	for _, raw := range []string{"https://api.acme.test/v1", "https://api.acme.test@evil.test/v1", `https://api.acme.test\@evil.test/v1`,
		"https://api.acme.test/v1/%252e%252e%252fadmin%25", "https://[::ffff:127.0.0.1]/v1", "https://0x7f000001/v1",
		"https://api.acme.test:443@evil.test#/v1", "https://files.acme.test:8443//x", "https://api.acme.test/v1?t={{secret:token}}"} {
		f.Add("GET", raw, "X-A", "{{secret:token}}")
	}
	c, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(c.Close)
	allowed := map[string]string{"api.acme.test:443": "/v1", "files.acme.test:8443": "/"}
	policy := domain.EgressPolicy{Rules: []domain.EgressRule{
		{Host: "api.acme.test", Port: 443, Methods: []string{"GET"}, Paths: []string{"/v1"}, Secrets: []string{"token"}},
		{Host: "files.acme.test", Port: 8443, Methods: []string{"GET"}, Paths: []string{"/"}},
	}}
	f.Fuzz(func(t *testing.T, method, raw, name, value string) {
		d := draft{method: method, url: raw, headers: []contract.Header{{Name: name, Value: value}}}
		plan, err := c.plan(context.Background(), policy, known(map[string]string{"token": "value-1"}), d)
		if err != nil {
			return
		}
		dialled := ""
		transport := &http.Transport{DialTLSContext: func(_ context.Context, _, address string) (net.Conn, error) {
			dialled = address
			return nil, errors.New("not really")
		}}
		_, _ = transport.RoundTrip(plan.request)
		prefix, ok := allowed[dialled]
		if !ok || plan.request.Host != plan.request.URL.Host || plan.request.Method != "GET" {
			t.Fatalf("%s %q dials %q with Host %q", method, raw, dialled, plan.request.Host)
		}
		if seen := asServersSee(plan.request.URL.RequestURI()); seen != prefix && !strings.HasPrefix(seen, strings.TrimSuffix(prefix, "/")+"/") {
			t.Errorf("%q reaches path %q, outside %q", raw, seen, prefix)
		}
		if strings.Contains(plan.request.URL.RequestURI(), "value-1") && dialled != "api.acme.test:443" {
			t.Errorf("%q carries the secret to %q", raw, dialled)
		}
	})
}

var encoded = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// asServersSee is the path that the most lenient of servers makes of a request URI:
// decoded until nothing changes, backslashes taken for slashes, dots resolved.
func asServersSee(uri string) string {
	seen, _, _ := strings.Cut(uri, "?")
	for encoded.MatchString(seen) {
		seen = encoded.ReplaceAllStringFunc(seen, func(code string) string {
			b, err := hex.DecodeString(code[1:])
			if err != nil {
				panic("BUG: " + err.Error())
			}
			return string(b)
		})
	}
	return path.Clean(strings.ReplaceAll(seen, `\`, "/"))
}

// FuzzBody asserts that filling a body changes no string but those that are a placeholder,
// and nothing else of the document.
func FuzzBody(f *testing.F) {
	f.Add(`{"token": "{{secret:token}}", "text": "hi"}`, "value")
	f.Add(`["\u007b{secret:token}}", "\\", {"{{secret:token}}": 1.50}]`, "a\"\\\n\u2028<é")
	f.Add(`{"a": "{{secret:token}}{{secret:token}}"}`, "\xff")
	f.Fuzz(func(t *testing.T, body, value string) {
		fill := newFiller(context.Background(), known(map[string]string{"token": value}), []domain.EgressRule{{Secrets: []string{"token"}}})
		got, err := fill.body(body)
		if err != nil || !strings.Contains(body, "{{secret:token}}") {
			return
		}
		mark := `"{{secret:token}}"`
		if strings.Count(body, mark) != 1 {
			t.Fatalf("%q was filled, and has %d placeholders", body, strings.Count(body, mark))
		}
		before, after, _ := strings.Cut(body, mark)
		middle, ok := strings.CutPrefix(got, before)
		middle, ok2 := strings.CutSuffix(middle, after)
		var read string
		if err := json.Unmarshal([]byte(middle), &read); !ok || !ok2 || err != nil || read != strings.ToValidUTF8(value, "\uFFFD") {
			t.Errorf("body(%q) with %q = %q: the placeholder became %q (%v)", body, value, got, read, err)
		}
	})
}

// FuzzQuery asserts that filling a query changes no parameter but those that are a
// placeholder.
func FuzzQuery(f *testing.F) {
	f.Add("a=b&t={{secret:token}}&c", "v&x=y")
	f.Add("t={{secret:token}}#", "v")
	f.Fuzz(func(t *testing.T, raw, value string) {
		fill := newFiller(context.Background(), known(map[string]string{"token": value}), []domain.EgressRule{{Secrets: []string{"token"}}})
		got, err := fill.query(raw)
		if err != nil {
			return
		}
		want := strings.Split(raw, "&")
		parameters := strings.Split(got, "&")
		if len(parameters) != len(want) {
			t.Fatalf("query(%q) with %q = %q: another number of parameters", raw, value, got)
		}
		for i, parameter := range parameters {
			if name, ok := strings.CutSuffix(want[i], "={{secret:token}}"); ok && value != "" {
				if read, err := url.QueryUnescape(strings.TrimPrefix(parameter, name+"=")); err != nil || read != value {
					t.Errorf("query(%q) with %q = %q", raw, value, got)
				}
			} else if parameter != want[i] {
				t.Errorf("query(%q) changed %q to %q", raw, want[i], parameter)
			}
		}
	})
}

// FuzzRedact asserts that no redacted text holds the value, however a library wrote it.
func FuzzRedact(f *testing.F) {
	f.Add("before ", "s3cr&t+/é", " after")
	f.Fuzz(func(t *testing.T, before, value, after string) {
		if len(value) < minRedactBytes || strings.ContainsAny(value, "{}") || strings.Contains("secret:token", value) {
			return // a value made of placeholders may appear when one is written
		}
		r := newRedactor(map[string]secret.Text{"{{secret:token}}": secret.New(value)})
		for _, form := range formsOf(value) {
			if got := r.text(before + form + after); strings.Contains(got, value) {
				t.Errorf("text(%q) = %q, which holds %q", before+form+after, got, value)
			}
		}
	})
}
