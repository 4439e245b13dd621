package egress

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestSendCarriesTheRequestAndTheAnswer(t *testing.T) {
	p := newPlatform(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("X-Two", "b")
		w.Header().Add("X-Two", "a")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "h\xffi ✓")
	})
	var seen []Exchange
	c := newClient(t, p, Options{Observe: func(e Exchange) { seen = append(seen, e) }})
	got := c.Send(context.Background(), p.policy(), nil, contract.HTTPRequest{Method: "POST", URL: p.URL + "/v1?a=%20b",
		Headers: []contract.Header{{Name: "content-type", Value: "text/plain"}, {Name: "X-One", Value: " 1 "}, {Name: "x-one", Value: "2"}},
		Body:    "hello"})
	wantStatus(t, got, 201)
	if got.Body != "h\uFFFDi ✓" || got.Truncated {
		t.Errorf("body is %q, truncated %v", got.Body, got.Truncated)
	}
	two := slices.DeleteFunc(slices.Clone(got.Headers), func(h contract.Header) bool { return h.Name != "X-Two" })
	if len(two) != 2 || two[0].Value != "b" || two[1].Value != "a" {
		t.Errorf("X-Two is %v, want b, then a", two)
	}
	r, body := p.last(t)
	if r.Method != "POST" || r.RequestURI != "/v1?a=%20b" || body != "hello" || r.Header.Get("Content-Type") != "text/plain" ||
		!slices.Equal(r.Header["X-One"], []string{"1", "2"}) || r.Header.Get("Accept-Encoding") != "identity" ||
		r.Header.Get("User-Agent") != "patchbay" || r.ProtoMajor != 1 || r.TLS.Version < tls.VersionTLS12 {
		t.Errorf("the platform saw %s %s %v %q", r.Method, r.RequestURI, r.Header, body)
	}
	if len(seen) != 1 || seen[0].Rule != "api" || seen[0].Plugin != "acme" || seen[0].Status != 201 || seen[0].Code != "" {
		t.Errorf("observed %+v", seen)
	}
}

func TestSendSendsNothingThatIsNotAllowed(t *testing.T) {
	p := newPlatform(t, nil)
	c := newClient(t, p, Options{MaxRequestBytes: 16})
	allowed := contract.HTTPRequest{Method: "POST", URL: p.URL + "/"}
	for _, tt := range []struct {
		name, code string
		change     func(*contract.HTTPRequest, *domain.EgressPolicy)
	}{
		{"another host", contract.HostDenied, func(r *contract.HTTPRequest, _ *domain.EgressPolicy) { r.URL = p.urlOf("evil.test", "/") }},
		{"another method", contract.HostDenied, func(r *contract.HTTPRequest, _ *domain.EgressPolicy) { r.Method = "DELETE" }},
		{"no rule", contract.HostDenied, func(_ *contract.HTTPRequest, q *domain.EgressPolicy) { q.Rules = nil }},
		{"a private address", contract.HostDenied, func(_ *contract.HTTPRequest, q *domain.EgressPolicy) { q.PrivateTargets = nil }},
		{"a private address on another port", contract.HostDenied, func(_ *contract.HTTPRequest, q *domain.EgressPolicy) { q.PrivateTargets = []string{"127.0.0.1:1"} }},
		{"a method in lower case", contract.HostInvalid, func(r *contract.HTTPRequest, _ *domain.EgressPolicy) { r.Method = "post" }},
		{"no method", contract.HostInvalid, func(r *contract.HTTPRequest, _ *domain.EgressPolicy) { r.Method = "" }},
		{"a tunnel", contract.HostInvalid, func(r *contract.HTTPRequest, q *domain.EgressPolicy) {
			r.Method, q.Rules[0].Methods = "CONNECT", []string{"CONNECT"}
		}},
		{"a method with a line break", contract.HostInvalid, func(r *contract.HTTPRequest, _ *domain.EgressPolicy) { r.Method = "POST /x\r\n" }},
		{"a malformed URL", contract.HostInvalid, func(r *contract.HTTPRequest, _ *domain.EgressPolicy) { r.URL = "https://a b/" }},
		{"a long body", contract.HostQuota, func(r *contract.HTTPRequest, _ *domain.EgressPolicy) { r.Body = strings.Repeat("x", 17) }},
		{"a negative timeout", contract.HostInvalid, func(r *contract.HTTPRequest, _ *domain.EgressPolicy) { r.TimeoutMillis = -1 }},
		{"too many headers", contract.HostInvalid, func(r *contract.HTTPRequest, _ *domain.EgressPolicy) {
			r.Headers = slices.Repeat([]contract.Header{{Name: "X", Value: "y"}}, 101)
		}},
		{"long headers", contract.HostInvalid, func(r *contract.HTTPRequest, _ *domain.EgressPolicy) {
			r.Headers = []contract.Header{{Name: "X", Value: strings.Repeat("y", maxHeaderBytes)}}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, q := allowed, p.policy()
			tt.change(&r, &q)
			wantFault(t, c.Send(context.Background(), q, nil, r), tt.code, true)
		})
	}
	if n := p.reached(); n != 0 {
		t.Errorf("%d requests reached the platform, want none", n)
	}
	wantStatus(t, c.Send(context.Background(), p.policy(), nil, allowed), 200) // the unchanged request goes through
}

func TestSendRefusesHeadersThatFrameTheRequest(t *testing.T) {
	p := newPlatform(t, nil)
	c := newClient(t, p, Options{})
	for _, h := range []contract.Header{
		{Name: "Host", Value: "evil.test"}, {Name: "hOsT", Value: "evil.test"}, {Name: "Content-Length", Value: "0"},
		{Name: "Transfer-Encoding", Value: "chunked"}, {Name: "Connection", Value: "close"}, {Name: "Upgrade", Value: "h2c"},
		{Name: "TE", Value: "trailers"}, {Name: "Trailer", Value: "X"}, {Name: "Expect", Value: "100-continue"},
		{Name: "Proxy-Authorization", Value: "x"}, {Name: "Accept-Encoding", Value: "gzip"},
		{Name: "X", Value: "a\r\nHost: evil.test"}, {Name: "X", Value: "a\nb"}, {Name: "X", Value: "a\x00"}, {Name: "X", Value: "a\x7f"},
		{Name: "", Value: "a"}, {Name: "X Y", Value: "a"}, {Name: "X:", Value: "a"}, {Name: "X\r\nHost", Value: "a"}, {Name: "Ü", Value: "a"},
	} {
		t.Run(strconv.Quote(h.Name+": "+h.Value), func(t *testing.T) {
			r := contract.HTTPRequest{Method: "GET", URL: p.URL, Headers: []contract.Header{h}}
			wantFault(t, c.Send(context.Background(), p.policy(), nil, r), contract.HostInvalid, true)
		})
	}
	if n := p.reached(); n != 0 {
		t.Errorf("%d requests reached the platform, want none", n)
	}
}

func TestSendFollowsNoRedirect(t *testing.T) {
	secondary := newPlatform(t, nil)
	p := newPlatform(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, secondary.URL+"/meta", http.StatusFound)
	})
	c := newClient(t, p, Options{})
	policy := p.policy()
	policy.Rules, policy.PrivateTargets = append(policy.Rules, secondary.rule()), append(policy.PrivateTargets, secondary.address())
	got := c.Send(context.Background(), policy, nil, contract.HTTPRequest{Method: "GET", URL: p.URL})
	wantStatus(t, got, 302)
	if n := secondary.reached(); n != 0 {
		t.Errorf("%d requests followed the redirect, want none", n)
	}
}

func TestSendLimitsTheBodyItReads(t *testing.T) {
	for _, tt := range []struct {
		name, body, want string
		truncated        bool
	}{
		{"shorter", "1234567", "1234567", false},
		{"exactly the limit", "12345678", "12345678", false},
		{"longer", "123456789", "12345678", true},
		{"a character on the limit", "1234567é", "1234567", true},
		{"invalid bytes that grow when replaced", "123456\xff\xfe!", "123456", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, tt.body) })
			c := newClient(t, p, Options{MaxResponseBytes: 8})
			got := c.Send(context.Background(), p.policy(), nil, contract.HTTPRequest{Method: "GET", URL: p.URL})
			if got.Body != tt.want || got.Truncated != tt.truncated {
				t.Errorf("body is %q, truncated %v, want %q, %v", got.Body, got.Truncated, tt.want, tt.truncated)
			}
		})
	}
}

// bomb is 48 MiB of zeros in gzip.
func bomb(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	zeros := make([]byte, 1<<20)
	for range 48 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestSendInflatesWithinTheLimit(t *testing.T) {
	packed := bomb(t)
	p := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed)
	})
	c := newClient(t, p, Options{MaxResponseBytes: 1 << 20})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := c.Send(context.Background(), p.policy(), nil, contract.HTTPRequest{Method: "GET", URL: p.URL})
	runtime.ReadMemStats(&after)
	if wantStatus(t, got, 200); len(got.Body) != 1<<20 || !got.Truncated {
		t.Errorf("body has %d bytes, truncated %v, want the limit of 1 MiB", len(got.Body), got.Truncated)
	}
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 24<<20 {
		t.Errorf("%d MiB were allocated for an answer limited to 1 MiB", spent>>20)
	}
}

func TestSendLeavesOutABodyInAnUnknownEncoding(t *testing.T) {
	for _, encoding := range []string{"br", "zstd", "deflate", "gzip, gzip", "GZIP,identity"} {
		t.Run(encoding, func(t *testing.T) {
			p := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", encoding)
				_, _ = io.WriteString(w, "stored")
			})
			c := newClient(t, p, Options{})
			got := c.Send(context.Background(), p.policy(), nil, contract.HTTPRequest{Method: "GET", URL: p.URL})
			if wantStatus(t, got, 200); got.Body != "" || !got.Truncated {
				t.Errorf("body is %q, truncated %v, want it left out", got.Body, got.Truncated)
			}
		})
	}
}

func TestSendLimitsHeadersOfTheAnswer(t *testing.T) {
	p := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) {
		for i := range 200 {
			w.Header().Set("X-"+strconv.Itoa(i), "v")
		}
	})
	c := newClient(t, p, Options{})
	got := c.Send(context.Background(), p.policy(), nil, contract.HTTPRequest{Method: "GET", URL: p.URL})
	if wantStatus(t, got, 200); len(got.Headers) != 100 {
		t.Errorf("%d header fields came back, want 100", len(got.Headers))
	}
	p.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("v", 128<<10)) })
	wantFault(t, c.Send(context.Background(), p.policy(), nil, contract.HTTPRequest{Method: "GET", URL: p.URL}), contract.HostUnreachable, false)
}

func TestSendTellsWhetherSomethingMayHaveBeenSent(t *testing.T) {
	release := make(chan struct{})
	slow := newPlatform(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	broken := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) { hangUp(t, w, "") })
	halfway := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) {
		hangUp(t, w, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
	})
	noise := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) { hangUp(t, w, "SSH-2.0-OpenSSH\r\n") })
	switched := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) {
		hangUp(t, w, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
	})
	closed := httptest.NewTLSServer(nil)
	closed.Close()
	plain := httptest.NewServer(nil)
	defer plain.Close()

	for _, tt := range []struct {
		name, url, trusted string
		code               string
		certain            bool
	}{
		{"slow to answer", slow.URL, slow.caFile(t), contract.HostTimeout, false},
		{"hung up without an answer", broken.URL, broken.caFile(t), contract.HostUnreachable, false},
		{"hung up within the answer", halfway.URL, halfway.caFile(t), contract.HostUnreachable, false},
		{"an answer that is not HTTP", noise.URL, noise.caFile(t), contract.HostUnreachable, false},
		{"protocols switched unasked", switched.URL, switched.caFile(t), contract.HostUnreachable, false},
		{"nobody listening", closed.URL, "", contract.HostUnreachable, true},
		{"an authority that is not trusted", slow.URL, "", contract.HostUnreachable, true},
		{"no TLS", strings.Replace(plain.URL, "http:", "https:", 1), "", contract.HostUnreachable, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, nil, Options{CACertFile: tt.trusted})
			u, err := ParseURL(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			port, err := strconv.Atoi(u.Port())
			if err != nil {
				t.Fatal(err)
			}
			policy := domain.EgressPolicy{PrivateTargets: []string{u.Host}, Rules: []domain.EgressRule{{
				Host: "127.0.0.1", Port: port, Methods: []string{"POST"}, Paths: []string{"/"}}}}
			r := contract.HTTPRequest{Method: "POST", URL: tt.url, Body: "x"}
			if tt.code == contract.HostTimeout {
				r.TimeoutMillis = 1000 // ample for the handshake, without which the fault would be certain
			}
			wantFault(t, c.Send(context.Background(), policy, nil, r), tt.code, tt.certain)
		})
	}
}

// hangUp writes raw bytes as the answer and closes the connection.
func hangUp(t *testing.T, w http.ResponseWriter, raw string) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	_, _ = io.WriteString(conn, raw)
	_ = conn.Close()
}

func TestSendIsCertainWhenTheNameCannotBeResolved(t *testing.T) {
	p := newPlatform(t, nil)
	nothing := newClient(t, p, Options{Resolver: resolverOf(func(string) []netip.Addr { return nil })})
	got := nothing.Send(context.Background(), p.named("example.com"), nil, contract.HTTPRequest{Method: "GET", URL: p.urlOf("example.com", "/")})
	wantFault(t, got, contract.HostUnreachable, true)

	waiting := newClient(t, p, Options{Resolver: &net.Resolver{PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }}})
	got = waiting.Send(context.Background(), p.named("example.com"), nil,
		contract.HTTPRequest{Method: "GET", URL: p.urlOf("example.com", "/"), TimeoutMillis: 50})
	wantFault(t, got, contract.HostTimeout, true)
}

func TestSendChecksTheNameInTheCertificate(t *testing.T) {
	p := newPlatform(t, nil)
	c := newClient(t, p, Options{Resolver: resolverOf(loopback)})
	good := contract.HTTPRequest{Method: "GET", URL: p.urlOf("example.com", "/")}
	wantStatus(t, c.Send(context.Background(), p.named("example.com"), nil, good), 200)
	bad := contract.HTTPRequest{Method: "GET", URL: p.urlOf("impostor.test", "/")}
	wantFault(t, c.Send(context.Background(), p.named("impostor.test"), nil, bad), contract.HostUnreachable, true)
}

func loopback(string) []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} }

func TestSendSpeaksNoOldTLS(t *testing.T) {
	p := newPlatform(t, nil)
	p.Server.TLS.MinVersion, p.Server.TLS.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	c := newClient(t, p, Options{})
	wantFault(t, c.Send(context.Background(), p.policy(), nil, contract.HTTPRequest{Method: "GET", URL: p.URL}), contract.HostUnreachable, true)
}

func TestSendTakesNoProxyFromTheEnvironment(t *testing.T) {
	var asked atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer proxy.Close()
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	p := newPlatform(t, nil)
	c := newClient(t, p, Options{Resolver: resolverOf(loopback)})
	got := c.Send(context.Background(), p.named("example.com"), nil, contract.HTTPRequest{Method: "GET", URL: p.urlOf("example.com", "/")})
	if wantStatus(t, got, 200); asked.Load() != 0 {
		t.Errorf("the proxy was asked %d times, want never", asked.Load())
	}
	// net/http reads the environment once per process, maybe before this test.
	if c.pool.transport(nil).Proxy != nil || c.pool.transport([]string{p.address()}).Proxy != nil {
		t.Error("a transport asks for a proxy")
	}
}

func TestCloseEndsWhatRunsAndRefusesWhatComes(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	p := newPlatform(t, func(http.ResponseWriter, *http.Request) { close(arrived); <-release })
	defer close(release)
	c := newClient(t, p, Options{DefaultTimeout: time.Hour, MaxTimeout: time.Hour})
	r := contract.HTTPRequest{Method: "GET", URL: p.URL}
	running := make(chan *contract.HTTPResult)
	go func() { running <- c.Send(context.Background(), p.policy(), nil, r) }()
	<-arrived
	go c.Close()
	wantFault(t, <-running, contract.HostUnavailable, false)
	c.Close()
	wantFault(t, c.Send(context.Background(), p.policy(), nil, r), contract.HostUnavailable, true)
}

func TestTimeouts(t *testing.T) {
	c := newClient(t, nil, Options{DefaultTimeout: 2 * time.Second, MaxTimeout: 5 * time.Second})
	for millis, want := range map[int64]time.Duration{0: 2 * time.Second, 1: time.Millisecond, 5000: 5 * time.Second,
		5001: 5 * time.Second, 1 << 62: 5 * time.Second} {
		if got, err := c.timeout(millis); err != nil || got != want {
			t.Errorf("timeout(%d) = %v, %v, want %v", millis, got, err, want)
		}
	}
}

func TestNewRefusesAFileWithoutCertificates(t *testing.T) {
	for _, file := range []string{"/nowhere/ca.pem", "/dev/null"} {
		if c, err := New(Options{CACertFile: file}); err == nil {
			c.Close()
			t.Errorf("New with CA file %s succeeded", file)
		}
	}
}
