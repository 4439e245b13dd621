package emulate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// certificateLife is how long an emulator's certificates are valid, to both sides of
// the moment they were made.
const certificateLife = 24 * time.Hour

// authority is a certificate authority that signs one server certificate.
type authority struct {
	pem    []byte
	server tls.Certificate
}

// newAuthority makes the authority of a platform and a certificate for 127.0.0.1, localhost
// and names. Keys come from crypto/rand: a test that needs them repeatable needs them too
// little.
func newAuthority(platform string, now time.Time, names []string) (*authority, error) {
	root, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("emulator: make the authority's key: %w", err)
	}
	ca := certificate(1, platform+" emulator CA", now)
	ca.IsCA, ca.BasicConstraintsValid = true, true
	ca.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &root.PublicKey, root)
	if err != nil {
		return nil, fmt.Errorf("emulator: sign the authority's certificate: %w", err)
	}
	server, err := issue(platform, ca, root, now, names)
	if err != nil {
		return nil, err
	}
	return &authority{
		pem:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		server: server,
	}, nil
}

// issue signs a server certificate.
func issue(platform string, ca *x509.Certificate, root *ecdsa.PrivateKey, now time.Time, names []string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("emulator: make the server's key: %w", err)
	}
	leaf := certificate(2, platform+" emulator", now)
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	leaf.DNSNames = append([]string{"localhost"}, names...)
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, root)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("emulator: sign the server's certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// certificate is what both certificates have in common.
func certificate(serial int64, name string, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-certificateLife),
		NotAfter:     now.Add(certificateLife),
	}
}
