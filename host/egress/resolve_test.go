package egress

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// namedPlatform is a TLS server on a loopback address that answers under the given names,
// and a PEM file with its authority.
func namedPlatform(t *testing.T, handler http.HandlerFunc, names ...string) (address, caFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return server.Listener.Addr().String(), caFile
}

func TestANameIsDialledAtTheAddressThatIsSetForIt(t *testing.T) {
	address, caFile := namedPlatform(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello "+r.Host) },
		"api.acme.test", "keys.acme.test")
	var asked []string
	c, err := New(Options{CACertFile: caFile,
		Resolve: map[string]string{"api.acme.test:443": address, "keys.acme.test:443": address, "else.acme.test:443": address},
		Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
			asked = append(asked, "DNS")
			return nil, io.ErrClosedPipe
		}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	policy := func(private ...string) domain.EgressPolicy {
		rules := []domain.EgressRule{}
		for _, host := range []string{"api.acme.test", "keys.acme.test", "else.acme.test"} {
			rules = append(rules, domain.EgressRule{Name: host, Host: host, Port: 443, Methods: []string{"GET"}, Paths: []string{"/"}})
		}
		return domain.EgressPolicy{Plugin: "acme", Sender: "con_1", Rules: rules, PrivateTargets: private}
	}
	for _, host := range []string{"api.acme.test", "keys.acme.test"} {
		got := c.Send(t.Context(), policy(address), nil, contract.HTTPRequest{Method: "GET", URL: "https://" + host + "/"})
		if wantStatus(t, got, 200); got.Body != "hello "+host {
			t.Errorf("%s answered %q", host, got.Body)
		}
	}
	// The address is still a private one, and the name must be the certificate's.
	wantFault(t, c.Send(t.Context(), policy(), nil, contract.HTTPRequest{Method: "GET", URL: "https://api.acme.test/"}), contract.HostDenied, true)
	wantFault(t, c.Send(t.Context(), policy(address), nil, contract.HTTPRequest{Method: "GET", URL: "https://else.acme.test/"}), contract.HostUnreachable, true)
	if len(asked) > 0 {
		t.Errorf("DNS was asked %d times", len(asked))
	}
	if _, err := New(Options{Resolve: map[string]string{"a.test:443": "nowhere"}}); err == nil {
		t.Error("an address that is none was accepted")
	}
}
