package identity

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/seed75a60ee1/patchbay/host/keyfile"
)

// keysFile is the key file of identities: a JWK set (RFC 7517) with private keys. The
// first key signs; every one verifies.
const keysFile = "identity.json"

// jwk is an Ed25519 key (RFC 8037).
type jwk struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	KeyID     string `json:"kid"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	X         string `json:"x"`
	D         string `json:"d,omitempty"`
}

type jwkSet struct {
	Keys []jwk `json:"keys"`
}

// key is a signing key and its name.
type key struct {
	id      string
	private ed25519.PrivateKey
}

func (k key) public() ed25519.PublicKey { return k.private.Public().(ed25519.PublicKey) }

// loadKeys reads the keys of a data folder, and makes the first one if there is none.
func loadKeys(dataDir string, random io.Reader) ([]key, error) {
	stored, err := keyfile.LoadOrCreate(dataDir, keysFile, func() ([]byte, error) { return newKeys(random) })
	if err != nil {
		return nil, fmt.Errorf("load identity keys: %w", err)
	}
	keys, err := parseKeys(stored)
	if err != nil {
		return nil, fmt.Errorf("load identity keys: %s: %w; restore it from a backup", keysFile, err)
	}
	return keys, nil
}

func newKeys(random io.Reader) ([]byte, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, err
	}
	made := describe(ed25519.NewKeyFromSeed(seed))
	made.D = base64.RawURLEncoding.EncodeToString(seed)
	return json.MarshalIndent(jwkSet{Keys: []jwk{made}}, "", "  ")
}

func parseKeys(stored []byte) ([]key, error) {
	var set jwkSet
	if err := json.Unmarshal(stored, &set); err != nil {
		return nil, errors.New("it is not a JWK set") // the error of encoding/json quotes the file
	}
	if len(set.Keys) == 0 {
		return nil, errors.New("it holds no key")
	}
	keys := make([]key, len(set.Keys))
	for i, kept := range set.Keys {
		seed, err := base64.RawURLEncoding.Strict().DecodeString(kept.D)
		if err != nil || len(seed) != ed25519.SeedSize {
			return nil, fmt.Errorf("key %d is not a private Ed25519 key", i)
		}
		keys[i].private = ed25519.NewKeyFromSeed(seed)
		if keys[i].id = describe(keys[i].private).KeyID; keys[i].id != kept.KeyID {
			return nil, fmt.Errorf("key %d is called %q and should be %q", i, kept.KeyID, keys[i].id)
		}
	}
	return keys, nil
}

// describe is the public half of a key. Its id is its thumbprint (RFC 7638).
func describe(private ed25519.PrivateKey) jwk {
	x := base64.RawURLEncoding.EncodeToString(private.Public().(ed25519.PublicKey))
	print := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
	id := base64.RawURLEncoding.EncodeToString(print[:])
	return jwk{KeyType: "OKP", Curve: "Ed25519", KeyID: id, Use: "sig", Algorithm: "EdDSA", X: x}
}
