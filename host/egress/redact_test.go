package egress

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestSecretsThatComeBackAreRedacted(t *testing.T) {
	const value = `Zq9<x>&"/+é…k7`
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	for name, echo := range map[string]string{
		"as it is":                value,
		"as Go writes JSON":       string(encoded),
		"as PHP writes JSON":      `"Zq9<x>&\"\/+\u00e9\u2026k7"`,
		"as Python writes JSON":   `"Zq9<x>&\"/+\u00e9\u2026k7"`,
		"as .NET writes JSON":     `"Zq9\u003Cx\u003E\u0026\u0022/\u002B\u00E9\u2026k7"`,
		"in a query":              url.QueryEscape(value),
		"in a query, lower case":  lowerEscapes(url.QueryEscape(value)),
		"in a path":               url.PathEscape(value),
		"as JavaScript escapes":   `Zq9%3Cx%3E%26%22%2F%2B%C3%A9%E2%80%A6k7`,
		"in HTML":                 html.EscapeString(value),
		"in base64":               base64.StdEncoding.EncodeToString([]byte(value)),
		"in base64url":            base64.RawURLEncoding.EncodeToString([]byte(value)),
		"in base64 behind 1 byte": base64.StdEncoding.EncodeToString([]byte("x" + value + "yz")),
		"in base64 behind 2":      base64.StdEncoding.EncodeToString([]byte("xx" + value + "y")),
		"in base64 behind a user": base64.URLEncoding.EncodeToString([]byte("user:" + value)),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRedactor(map[string]secret.Text{"{{secret:token}}": secret.New(value)})
			got := r.text("before " + echo + " after")
			inner := strings.TrimSuffix(strings.TrimPrefix(got, "before "), " after")
			if !strings.Contains(inner, "{{secret:token}}") || len(strings.ReplaceAll(inner, "{{secret:token}}", "")) > 12 {
				t.Errorf("text(%q) = %q, want the placeholder and no more than the ends of an encoding", echo, got)
			}
		})
	}
}

func TestShortSecretsAreNotRedacted(t *testing.T) {
	r := newRedactor(map[string]secret.Text{"{{secret:pin}}": secret.New("12345")})
	if got := r.text("order 12345"); got != "order 12345" {
		t.Errorf("text = %q, want it unchanged", got)
	}
}

func TestTheLongerSecretWins(t *testing.T) {
	r := newRedactor(map[string]secret.Text{"{{secret:a}}": secret.New("abcdef"), "{{secret:b}}": secret.New("abcdefgh")})
	if got := r.text("abcdefgh abcdef"); got != "{{secret:b}} {{secret:a}}" {
		t.Errorf("text = %q", got)
	}
}

func TestAnEchoedSecretNeverReachesThePlugin(t *testing.T) {
	const value = "Zq9Vb3Kx7Lm1"
	reveal := known(map[string]string{"token": value})
	for name, answer := range map[string]http.HandlerFunc{
		"in a header": func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Echo", r.Header.Get("Authorization")) },
		"in a redirect": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/?t="+r.Header.Get("Authorization"))
			w.WriteHeader(302)
		},
		"in the body": func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Header.Get("Authorization")) },
		"in a body in gzip": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			packed := gzip.NewWriter(w)
			_, _ = io.WriteString(packed, r.Header.Get("Authorization"))
			_ = packed.Close()
		},
		"in an error of HTTP": func(w http.ResponseWriter, r *http.Request) { hangUp(t, w, value+"\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlatform(t, answer)
			var seen Exchange
			c := newClient(t, p, Options{Observe: func(e Exchange) { seen = e }})
			got := c.Send(context.Background(), p.policy(), reveal, contract.HTTPRequest{Method: "POST", URL: p.URL,
				Headers: []contract.Header{{Name: "Authorization", Value: "{{secret:token}}"}}})
			if r, _ := p.last(t); r.Header.Get("Authorization") != value {
				t.Fatalf("the platform saw %q", r.Header.Get("Authorization"))
			}
			told, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if seen.Err != nil {
				told = append(told, seen.Err.Error()...)
			}
			if bytes.Contains(told, []byte(value)) {
				t.Errorf("the secret came back: %s", told)
			}
			if got.Error == nil && !bytes.Contains(told, []byte("{{secret:token}}")) {
				t.Errorf("there is no placeholder in %s", told)
			}
		})
	}
}

func TestASecretAcrossTheLimitIsNotCutIntoSight(t *testing.T) {
	const value, limit = "Zq9Vb3Kx7Lm1", 64
	r := newRedactor(map[string]secret.Text{"{{secret:token}}": secret.New(value)})
	for _, lead := range []string{"", value, value + value + value} { // redacting them makes the text longer
		for pad := range 2 * limit {
			body := lead + strings.Repeat(".", pad) + value + strings.Repeat(".", 4*limit)
			answer := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
			got, err := readAnswer(answer, r, limit)
			if err != nil {
				t.Fatal(err)
			}
			shown := strings.ReplaceAll(got.Body, "{{secret:token}}", "")
			if strings.Contains(shown, value[:3]) || !got.Truncated || len(got.Body) > limit {
				t.Fatalf("lead %q, pad %d: body %q, truncated %v", lead, pad, got.Body, got.Truncated)
			}
			if lead == "" && len(got.Body) != limit {
				t.Fatalf("pad %d: body has %d bytes, want as many as the limit allows", pad, len(got.Body))
			}
		}
	}
}

func TestASecretLongerThanItsPlaceholderIsNotCutIntoSight(t *testing.T) {
	value := strings.Repeat("Zq9Vb3Kx7Lm1", 8)
	r := newRedactor(map[string]secret.Text{"{{secret:t}}": secret.New(value)})
	for pad := range 400 { // redacting the first makes the text shorter and pulls the end in
		body := value + value + strings.Repeat(".", pad) + value + "tail"
		answer := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
		got, err := readAnswer(answer, r, 256)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.ReplaceAll(got.Body, "{{secret:t}}", ""), value[:3]) {
			t.Fatalf("pad %d: body %q", pad, got.Body)
		}
	}
}

// TestAnAnswerDoesNotShowWhatItsRulesKeepBack: those of every rule that allows the request, also
// where the answer is cut off.
func TestAnAnswerDoesNotShowWhatItsRulesKeepBack(t *testing.T) {
	p := newPlatform(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"id":7,"token":"of-somebody-else","key":{"a":["of-somebody-else"]},"pad":"`+strings.Repeat("x", 100)+`","token":"of-somebody-else`)
	})
	c := newClient(t, p, Options{})
	policy := p.policy()
	other := policy.Rules[0]
	policy.Rules[0].Redact, other.Redact, other.Name = []string{"token"}, []string{"key"}, "other"
	policy.Rules = append(policy.Rules, other)
	got := c.Send(t.Context(), policy, nil, contract.HTTPRequest{Method: "GET", URL: p.URL + "/v1"})
	wantStatus(t, got, 200)
	if strings.Contains(got.Body, "somebody") || !strings.HasPrefix(got.Body, `{"id":7,"token":"[redacted]","key":"[redacted]","pad":`) {
		t.Errorf("the plugin is shown %s", got.Body)
	}
	for limit := int64(1); limit < 60; limit++ {
		answer := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"token":"of-somebody-else","a":1}`))}
		r := newRedactor(nil)
		r.members = []string{"token"}
		got, err := readAnswer(answer, r, limit)
		if err != nil || strings.Contains(got.Body, "of-") {
			t.Fatalf("cut at %d it is %s, %v", limit, got.Body, err)
		}
	}
}
