package egress

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestDownloadWritesTheBytesAndNamesThem(t *testing.T) {
	for _, tt := range []struct{ name, path, disposition, want string }{
		{"by its header", "/x", `attachment; filename="label.jpg"`, "label.jpg"},
		{"by its header, in UTF-8", "/x", `attachment; filename*=UTF-8''caf%C3%A9.png`, "café.png"},
		{"by its URL", "/files/route%20map.pdf?sig=x", "", "route map.pdf"},
		{"with a path in its header", "/x", `attachment; filename="../../etc/passwd"`, "passwd"},
		{"with a Windows path", "/x", `attachment; filename="C:\\tmp\\a.exe"`, "a.exe"},
		{"with a direction override", "/x", "attachment; filename*=UTF-8''a%E2%80%AEgpj.exe", "agpj.exe"},
		{"with dots only", "/x", `attachment; filename=".."`, ""},
		{"at the root", "/", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "image/jpeg")
				w.Header().Set("Content-Disposition", tt.disposition)
				_, _ = io.WriteString(w, "bytes")
			})
			c := newClient(t, p, Options{})
			var out bytes.Buffer
			got, err := c.Download(context.Background(), p.policy(), nil, p.URL+tt.path, nil, 5, &out)
			if want := (Fetched{SizeBytes: 5, ContentType: "image/jpeg", Name: tt.want}); err != nil || got != want || out.String() != "bytes" {
				t.Errorf("Download = %+v, %v, wrote %q, want %+v", got, err, out.String(), want)
			}
		})
	}
}

// download fetches the root of a platform and returns what was written and the fault.
func download(t *testing.T, c *Client, p *platform, maxBytes int64, w io.Writer) *Fault {
	t.Helper()
	_, err := c.Download(context.Background(), p.policy(), vault, p.URL, nil, maxBytes, w)
	fault := (*Fault)(nil)
	if err != nil && !errors.As(err, &fault) {
		t.Fatalf("Download = %v (%T), want a *Fault", err, err)
	}
	return fault
}

func TestFetchFaults(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for _, tt := range []struct {
		name, code string
		status     int
		answer     http.HandlerFunc
	}{
		{"not found", contract.HostNotFound, 404, status(404)},
		{"forbidden", contract.HostNotFound, 403, status(403)},
		{"a token that is not taken", contract.HostUnauthorised, 401, status(401)},
		{"no content", contract.HostNotFound, 204, status(204)},
		{"a redirect to nowhere", contract.HostNotFound, 302, status(302)},
		{"busy", contract.HostUnreachable, 429, status(429)},
		{"broken", contract.HostUnreachable, 503, status(503)},
		{"too long, and says so", contract.HostQuota, 0, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			_, _ = io.WriteString(w, "123456789")
		}},
		{"too long, and does not say", contract.HostQuota, 0, func(w http.ResponseWriter, _ *http.Request) {
			for range 9 {
				_, _ = io.WriteString(w, "1")
				w.(http.Flusher).Flush()
			}
		}},
		{"cut off", contract.HostUnreachable, 0, func(w http.ResponseWriter, _ *http.Request) {
			hangUp(t, w, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
		}},
		{"an unknown encoding", contract.HostUnreachable, 0, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Encoding", "br") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlatform(t, tt.answer)
			var seen Exchange
			c := newClient(t, p, Options{Observe: func(e Exchange) { seen = e }})
			fault := download(t, c, p, 5, io.Discard)
			if fault == nil || fault.Code != tt.code || fault.Status != tt.status || fault.Certain {
				t.Fatalf("Fetch = %v, want %s with status %d, not certain", fault, tt.code, tt.status)
			}
			if seen.Code != tt.code || seen.Status != 0 {
				t.Errorf("observed %+v, want code %s", seen, tt.code)
			}
		})
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestFetchTellsAFullDiskFromABrokenConnection(t *testing.T) {
	p := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "bytes") })
	c := newClient(t, p, Options{})
	if fault := download(t, c, p, 5, fullDisk{}); fault == nil || fault.Code != contract.HostUnavailable || !errors.Is(fault, io.ErrShortWrite) {
		t.Errorf("Download = %v, want HostUnavailable with the cause", fault)
	}
}

func TestDownloadFollowsRedirectsTheRulesAllow(t *testing.T) {
	cdn := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "bytes") })
	p := newPlatform(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/first" {
			http.Redirect(w, r, "/second", http.StatusMovedPermanently)
			return
		}
		http.Redirect(w, r, cdn.URL+"/file.bin", http.StatusTemporaryRedirect)
	})
	c := newClient(t, p, Options{})
	policy := p.policy()
	policy.Rules, policy.PrivateTargets = append(policy.Rules, cdn.rule()), append(policy.PrivateTargets, cdn.address())
	var out bytes.Buffer
	got, err := c.Download(context.Background(), policy, known(map[string]string{"token": "value-1"}), p.URL+"/first?t={{secret:token}}",
		[]contract.Header{{Name: "X-Key", Value: "k"}}, 100, &out)
	if err != nil || out.String() != "bytes" || got.Name != "file.bin" {
		t.Fatalf("Download = %+v, %v, wrote %q", got, err, out.String())
	}
	second, _ := p.last(t)
	if second.URL.Path != "/second" || second.Header.Get("X-Key") != "k" || second.URL.RawQuery != "" {
		t.Errorf("the second request was %s with X-Key %q, want /second with k", second.RequestURI, second.Header.Get("X-Key"))
	}
	if third, _ := cdn.last(t); third.Header.Get("X-Key") != "" {
		t.Errorf("another origin was sent X-Key %q", third.Header.Get("X-Key"))
	}
}

func TestDownloadRefusesRedirectsOutOfTheRules(t *testing.T) {
	elsewhere := newPlatform(t, nil)
	for _, tt := range []struct{ name, location, code string }{
		{"another host", elsewhere.URL, contract.HostDenied},
		{"a metadata service", "http://169.254.169.254/latest/meta-data/", contract.HostDenied},
		{"another scheme", "file:///etc/passwd", contract.HostDenied},
		{"user information", "https://127.0.0.1@evil.test/", contract.HostDenied},
		{"dot segments", "/a/%2e%2e/b", contract.HostDenied},
		{"a placeholder", "/?t={{secret:token}}", contract.HostDenied},
		{"an encoded placeholder", "/?t=%7B%7Bsecret:token%7D%7D", contract.HostDenied},
		{"itself, for ever", "/", contract.HostDenied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", tt.location)
				w.WriteHeader(http.StatusFound)
			})
			c := newClient(t, p, Options{})
			fault := download(t, c, p, 5, io.Discard)
			if fault == nil || fault.Code != tt.code || fault.Certain {
				t.Errorf("Fetch = %v, want %s, not certain", fault, tt.code)
			}
			want := 1
			if tt.name == "itself, for ever" {
				want = maxRedirects + 1
			}
			if p.reached() != want || elsewhere.reached() != 0 {
				t.Errorf("%d requests to the platform, want %d; %d elsewhere, want none", p.reached(), want, elsewhere.reached())
			}
		})
	}
}

func TestADownloadIsDeniedWithoutARule(t *testing.T) {
	p := newPlatform(t, nil)
	c := newClient(t, p, Options{})
	policy := p.policy()
	policy.Rules[0].Methods = []string{"POST"}
	_, err := c.Download(context.Background(), policy, nil, p.URL, nil, 5, io.Discard)
	if contract.HostErrorCode(err) != contract.HostDenied || !strings.Contains(err.Error(), "no rule") || p.reached() != 0 {
		t.Errorf("Fetch = %v, %d requests, want HostDenied and none", err, p.reached())
	}
}
