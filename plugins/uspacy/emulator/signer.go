package emulator

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // SNS signs with it by default
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"
)

// SignerOptions says what a [Signer]'s certificate says. The zero value is what Amazon's say in
// most regions.
type SignerOptions struct {
	// Names are its DNS names; none means "sns.amazonaws.com".
	Names []string
	// Bits is the size of the key; 0 means 2048.
	Bits int
	// NotBefore and NotAfter bound its validity; zero means 100 days to both sides of Now, and Now
	// is by default what time.Now says.
	NotBefore, NotAfter, Now time.Time
}

// Signer signs SNS messages with a key and a certificate of its own.
type Signer struct {
	key *rsa.PrivateKey
	pem []byte
}

// fill puts the defaults in.
func (o *SignerOptions) fill() {
	if o.Bits == 0 {
		o.Bits = 2048
	}
	if len(o.Names) == 0 {
		o.Names = []string{"sns.amazonaws.com"}
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if o.NotBefore.IsZero() {
		o.NotBefore = o.Now.AddDate(0, 0, -100)
	}
	if o.NotAfter.IsZero() {
		o.NotAfter = o.Now.AddDate(0, 0, 100)
	}
}

// NewSigner makes a key and a certificate. As with the real ones, nothing but the certificate
// itself is handed out, and no root signed it.
func NewSigner(o SignerOptions) (*Signer, error) {
	o.fill()
	key, err := rsa.GenerateKey(rand.Reader, o.Bits)
	if err != nil {
		return nil, fmt.Errorf("emulator: make the signer's key: %w", err)
	}
	return certify(key, o)
}

// topicKey signs for the topics of every platform of this process: making a key takes longer
// than most tests.
var topicKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// newTopicSigner makes the signer of a platform's topic.
func newTopicSigner(now time.Time) (*Signer, error) {
	key, err := topicKey()
	if err != nil {
		return nil, fmt.Errorf("emulator: make the topic's key: %w", err)
	}
	o := SignerOptions{Now: now}
	o.fill()
	return certify(key, o)
}

// certify makes the certificate of a key.
func certify(key *rsa.PrivateKey, o SignerOptions) (*Signer, error) {
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: o.Names[0]}, DNSNames: o.Names,
		NotBefore: o.NotBefore, NotAfter: o.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("emulator: make the signer's certificate: %w", err)
	}
	return &Signer{key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, nil
}

// PEM is the certificate.
func (s *Signer) PEM() []byte { return s.pem }

// SNSFields is an SNS message by its fields.
type SNSFields map[string]string

// Sign sets Signature for the fields as they are, by SignatureVersion: "2", or else "1".
func (s *Signer) Sign(f SNSFields) {
	text := stringToSign(f)
	hash, sum := crypto.SHA1, sha1.Sum([]byte(text)) //nolint:gosec // as above
	digest := sum[:]
	if f["SignatureVersion"] == "2" {
		sum := sha256.Sum256([]byte(text))
		hash, digest = crypto.SHA256, sum[:]
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.key, hash, digest)
	if err != nil {
		panic("emulator: " + err.Error()) // the key is long enough for either sum
	}
	f["Signature"] = base64.StdEncoding.EncodeToString(signature)
}

// stringToSign is written here from the document, and not shared with the connector: two
// mistakes would have to be the same to go unseen.
func stringToSign(f SNSFields) string {
	names := []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	if f["Type"] == "Notification" {
		names = []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
	}
	var b strings.Builder
	for _, name := range names {
		if value, ok := f[name]; ok || name != "Subject" {
			b.WriteString(name)
			b.WriteByte('\n')
			b.WriteString(value)
			b.WriteByte('\n')
		}
	}
	return b.String()
}
