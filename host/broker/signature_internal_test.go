package broker

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // platforms still sign with it
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func publicPEM(key any) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(key))}))
}

func certificatePEM(key crypto.Signer, names ...string) string {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names,
		NotBefore: time.Unix(1_700_000_000, 0), NotAfter: time.Unix(1_900_000_000, 0)}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestASignatureIsGenuineOnlyWithItsKeyItsAlgorithmAndItsMessage(t *testing.T) {
	message := []byte("Message\nhello\n")
	sum1, sum256 := sha1.Sum(message), sha256.Sum256(message)
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))
	ecKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	edPublic, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other := must(rsa.GenerateKey(rand.Reader, 2048))
	signatures := map[string][]byte{
		"rsa-sha1":     must(rsa.SignPKCS1v15(rand.Reader, rsaKey, crypto.SHA1, sum1[:])),
		"rsa-sha256":   must(rsa.SignPKCS1v15(rand.Reader, rsaKey, crypto.SHA256, sum256[:])),
		"ecdsa-sha256": must(ecdsa.SignASN1(rand.Reader, ecKey, sum256[:])),
		"ed25519":      ed25519.Sign(edKey, message),
	}
	keys := map[string]string{
		"rsa": publicPEM(rsaKey.Public()), "rsa certificate": certificatePEM(rsaKey, "SNS.amazonaws.com"), "another rsa": publicPEM(other.Public()),
		"ecdsa": publicPEM(ecKey.Public()), "ed25519": publicPEM(edPublic),
	}
	fits := map[string][]string{
		"rsa-sha1": {"rsa", "rsa certificate"}, "rsa-sha256": {"rsa", "rsa certificate"}, "ecdsa-sha256": {"ecdsa"}, "ed25519": {"ed25519"},
	}
	inv := &invocation{}
	for signed, signature := range signatures {
		for algorithm := range signatures {
			for name, text := range keys {
				got, err := inv.signatureVerify(t.Context(), &contract.SignatureVerify{PEM: text, Algorithm: algorithm, Message: message, Signature: signature})
				want := signed == algorithm && slices.Contains(fits[algorithm], name)
				if err != nil || got.Error != nil || got.OK != want {
					t.Errorf("a signature by %s, taken for %s, with key %s: %+v, want %v", signed, algorithm, name, got, want)
				}
			}
		}
		got, _ := inv.signatureVerify(t.Context(), &contract.SignatureVerify{PEM: keys[fits[signed][0]], Algorithm: signed, Message: []byte("Message\nhullo\n"), Signature: signature})
		if got.OK {
			t.Errorf("a signature by %s is genuine for another message", signed)
		}
	}
}

func TestACertificateSaysWhatItSaysOfItself(t *testing.T) {
	text := certificatePEM(must(rsa.GenerateKey(rand.Reader, 2048)), "SNS.amazonaws.com", "sns.eu-central-1.amazonaws.com")
	_, about, err := publicKey(text)
	want := contract.Certificate{DNSNames: []string{"sns.amazonaws.com", "sns.eu-central-1.amazonaws.com"},
		NotBefore: time.Unix(1_700_000_000, 0).UTC(), NotAfter: time.Unix(1_900_000_000, 0).UTC(), KeyAlgorithm: "rsa", KeyBits: 2048}
	if err != nil || !slices.Equal(about.DNSNames, want.DNSNames) || !about.NotBefore.Equal(want.NotBefore) || !about.NotAfter.Equal(want.NotAfter) ||
		about.KeyAlgorithm != "rsa" || about.KeyBits != 2048 {
		t.Errorf("%+v, %v, want %+v", about, err, want)
	}
}

func TestWhatIsNotOneKeyIsRefused(t *testing.T) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	good := certificatePEM(key, "a.test")
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))}))
	withField := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Headers: map[string]string{"A": "b"}, Bytes: must(x509.MarshalPKIXPublicKey(key.Public()))}))
	curve := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) // an ECDH key is no signing key
	exchange := publicPEM(must(curve.PublicKey.ECDH()))
	for _, tt := range []struct {
		name, pem string
		good      bool
	}{
		{"a certificate", good, true},
		{"a certificate in white space", "\n \t" + good + "\r\n", true},
		{"a P-256 key, wherever it came from", exchange, true},
		{"nothing", "", false},
		{"text", "certificate", false},
		{"two certificates", good + good, false},
		{"text before", "hello\n" + good, false},
		{"text after", good + "hello", false},
		{"a private key", private, false},
		{"a block with fields", withField, false},
		{"half a certificate", strings.Replace(good, "\n", "\nAAAA", 1), false},
		{"a very long one", good + strings.Repeat(" ", maxPEMBytes), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, _, err := publicKey(tt.pem); (err == nil) != tt.good {
				t.Errorf("publicKey = %v, want good: %v", err, tt.good)
			}
		})
	}
	if got, err := (&invocation{}).signatureVerify(t.Context(), &contract.SignatureVerify{PEM: good, Algorithm: "rsa-md5"}); err != nil || got.Error.Code != contract.HostInvalid {
		t.Errorf("an unknown algorithm: %+v, %v", got, err)
	}
}

func FuzzPublicKey(f *testing.F) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	f.Add(certificatePEM(key, "a.test"))
	f.Add(publicPEM(key.Public()))
	f.Add("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----")
	f.Fuzz(func(t *testing.T, text string) {
		key, about, err := publicKey(text)
		if err == nil && key == nil || about != nil && about.KeyAlgorithm == "" {
			t.Errorf("publicKey(%q) = %v, %+v, %v", text, key, about, err)
		}
		for _, algorithm := range []string{"rsa-sha1", "rsa-sha256", "ecdsa-sha256", "ed25519"} {
			if ok, _ := genuine(algorithm, key, []byte("m"), nil); ok {
				t.Errorf("no signature at all is genuine by %s with %q", algorithm, text)
			}
		}
	})
}
