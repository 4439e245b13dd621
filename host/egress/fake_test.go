package egress

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// platform is a TLS server on a loopback address that remembers what reached it.
type platform struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
}

func newPlatform(t *testing.T, handler http.HandlerFunc) *platform {
	t.Helper()
	p := &platform{}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("platform read body: %v", err)
		}
		p.mu.Lock()
		p.requests, p.bodies = append(p.requests, r), append(p.bodies, string(body))
		p.mu.Unlock()
		if handler != nil {
			handler(w, r)
		}
	}))
	t.Cleanup(p.Server.Close)
	return p
}

// reached returns how many requests arrived.
func (p *platform) reached() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.requests)
}

// last returns the newest request and its body.
func (p *platform) last(t *testing.T) (*http.Request, string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.requests) == 0 {
		t.Fatal("nothing reached the platform")
	}
	return p.requests[len(p.requests)-1], p.bodies[len(p.bodies)-1]
}

func (p *platform) address() string { return p.Listener.Addr().String() }

func (p *platform) port() int { return p.Listener.Addr().(*net.TCPAddr).Port }

// caFile is a PEM file with the authority of the platform's certificate.
func (p *platform) caFile(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})
	if err := os.WriteFile(file, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// rule allows everything on the platform, by address.
func (p *platform) rule() domain.EgressRule {
	return domain.EgressRule{Name: "api", Scheme: "https", Host: "127.0.0.1", Port: p.port(),
		Methods: []string{"GET", "POST", "HEAD"}, Paths: []string{"/"}, Secrets: []string{"token", "credential:access_token"}}
}

func (p *platform) policy() domain.EgressPolicy {
	return domain.EgressPolicy{Plugin: "acme", Rules: []domain.EgressRule{p.rule()}, PrivateTargets: []string{p.address()}}
}

// named is the policy for the platform under a host name that the test's resolver knows.
func (p *platform) named(host string) domain.EgressPolicy {
	policy := p.policy()
	policy.Rules[0].Host = host
	return policy
}

func (p *platform) urlOf(host, path string) string {
	return (&url.URL{Scheme: "https", Host: net.JoinHostPort(host, strconv.Itoa(p.port()))}).String() + path
}

func newClient(t *testing.T, p *platform, o Options) *Client {
	t.Helper()
	if p != nil {
		o.CACertFile = p.caFile(t)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// known reveals from a map.
func known(values map[string]string) secret.Reveal {
	return func(_ context.Context, name string) (secret.Text, error) {
		value, ok := values[name]
		if !ok {
			return secret.Text{}, domain.ErrNotFound
		}
		return secret.New(value), nil
	}
}

// wantFault fails unless a result is an error with this code and certainty.
func wantFault(t *testing.T, got *contract.HTTPResult, code string, certain bool) {
	t.Helper()
	if got.Error == nil || got.Error.Code != code || got.Error.Certain != certain {
		t.Fatalf("result is %+v (error %v), want error %s, certain %v", got, got.Error, code, certain)
	}
	if got.Status != 0 || got.Body != "" || got.Headers != nil {
		t.Errorf("a result with an error also has %+v", got)
	}
}

func wantStatus(t *testing.T, got *contract.HTTPResult, status int64) {
	t.Helper()
	if got.Error != nil || got.Status != status {
		t.Fatalf("result is %+v, error %v, want status %d", got, got.Error, status)
	}
}

// resolverOf answers every question for an IPv4 address by calling answer, and knows of
// no IPv6 addresses.
func resolverOf(answer func(host string) []netip.Addr) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go serveDNS(server, answer)
		return client, nil
	}}
}

// serveDNS answers one question (RFC 1035) in the framing of TCP, which the resolver uses
// on what is no packet connection.
func serveDNS(conn net.Conn, answer func(host string) []netip.Addr) {
	defer conn.Close()
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return
	}
	query := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, query); err != nil {
		return
	}
	end, host := 12, ""
	for query[end] != 0 {
		host += string(query[end+1:end+1+int(query[end])]) + "."
		end += 1 + int(query[end])
	}
	question := query[12 : end+5]
	var addresses []netip.Addr
	if question[len(question)-3] == 1 { // type A
		addresses = answer(host[:len(host)-1])
	}
	var out bytes.Buffer
	out.Write(query[:2])
	out.Write([]byte{0x81, 0x80, 0, 1, 0, byte(len(addresses)), 0, 0, 0, 0})
	out.Write(question)
	for _, address := range addresses {
		four := address.As4()
		out.Write([]byte{0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4})
		out.Write(four[:])
	}
	binary.BigEndian.PutUint16(length[:], uint16(out.Len()))
	_, _ = conn.Write(append(length[:], out.Bytes()...)) // a resolver that hung up has its reasons
}
