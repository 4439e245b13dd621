package broker

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // platforms still sign with it
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const (
	// maxPEMBytes bounds a certificate or a key.
	maxPEMBytes = 64 << 10
	// maxKeyBits bounds an RSA key: verifying with a larger one takes long.
	maxKeyBits = 8192
)

// errPEM means that a text is not one certificate or one public key.
var errPEM = errors.New("pem is not one certificate or one public key (RSA up to 8192 bits, ECDSA or Ed25519) and nothing else")

// signatureVerify is the host function signature_verify. It tells what a certificate says
// of itself, and trusts none: that is the plugin's to judge.
func (inv *invocation) signatureVerify(_ context.Context, in *contract.SignatureVerify) (*contract.SignatureVerdict, error) {
	key, about, err := publicKey(in.PEM)
	if err != nil {
		return &contract.SignatureVerdict{Error: invalid(err.Error())}, nil
	}
	ok, known := genuine(in.Algorithm, key, in.Message, in.Signature)
	if !known {
		return &contract.SignatureVerdict{Error: invalid("algorithm is none of rsa-sha1, rsa-sha256, ecdsa-sha256, ed25519")}, nil
	}
	return &contract.SignatureVerdict{OK: ok, Certificate: about}, nil
}

// genuine verifies a signature. A key that is not the algorithm's verifies nothing.
func genuine(algorithm string, key any, message, signature []byte) (ok, known bool) {
	switch algorithm {
	case "rsa-sha1":
		sum := sha1.Sum(message) //nolint:gosec // as above
		k, fits := key.(*rsa.PublicKey)
		return fits && rsa.VerifyPKCS1v15(k, crypto.SHA1, sum[:], signature) == nil, true
	case "rsa-sha256":
		sum := sha256.Sum256(message)
		k, fits := key.(*rsa.PublicKey)
		return fits && rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], signature) == nil, true
	case "ecdsa-sha256":
		sum := sha256.Sum256(message)
		k, fits := key.(*ecdsa.PublicKey)
		return fits && ecdsa.VerifyASN1(k, sum[:], signature), true
	case "ed25519":
		k, fits := key.(ed25519.PublicKey)
		return fits && ed25519.Verify(k, message, signature), true
	}
	return false, false
}

// publicKey reads a PEM that is one block without header fields, and nothing else.
func publicKey(text string) (key any, about *contract.Certificate, err error) {
	if len(text) > maxPEMBytes {
		return nil, nil, errPEM
	}
	text = strings.TrimSpace(text)
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(rest) > 0 || len(block.Headers) > 0 || !strings.HasPrefix(text, "-----BEGIN "+block.Type+"-----") {
		return nil, nil, errPEM
	}
	switch block.Type {
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, errPEM
		}
		if key, about = certificate.PublicKey, aboutCertificate(certificate); about == nil {
			return nil, nil, errPEM
		}
		return key, about, nil
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	default:
		err = errPEM
	}
	if err != nil { // the key may then be a nil of its type
		return nil, nil, errPEM
	}
	if kind, _ := kindOfKey(key); kind == "" {
		return nil, nil, errPEM
	}
	return key, nil, nil
}

// kindOfKey names the kind and the size of a key; empty if it is of no use here.
func kindOfKey(key any) (kind string, bits int) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if bits = k.N.BitLen(); bits <= maxKeyBits {
			return "rsa", bits
		}
	case *ecdsa.PublicKey:
		return "ecdsa", k.Curve.Params().BitSize
	case ed25519.PublicKey:
		return "ed25519", 8 * len(k)
	}
	return "", 0
}

// aboutCertificate is what a certificate says of itself; nil if its key is of no use here.
func aboutCertificate(c *x509.Certificate) *contract.Certificate {
	kind, bits := kindOfKey(c.PublicKey)
	if kind == "" {
		return nil
	}
	about := &contract.Certificate{NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), KeyAlgorithm: kind, KeyBits: int64(bits)}
	for _, name := range c.DNSNames {
		about.DNSNames = append(about.DNSNames, strings.ToLower(name))
	}
	return about
}
