// Package credentials keeps the secrets of connections: encrypted at rest, compared and
// signed with here, and revealed only to those who put them into a request.
//
// A [Vault] encrypts with a Tink keyset in the data folder. The connection and the name of
// a secret are bound into each ciphertext, so that one which was moved to another
// connection cannot be opened. A [Keeper] is a vault over a store: it rotates values with
// an overlap in which the old one still counts.
//
// [Tokens] keeps what platforms hand out themselves: token sets, each a version that
// follows the one before. It lends an access token to a request as long as that is good,
// has it renewed by a durable command before it is not (see renew.go for when, failure.go
// for what follows a failure), and says in the connection's health when a person must act.
package credentials

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/keyfile"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// KeyFile is the vault's key file: a Tink keyset in JSON. New values are encrypted with its
// primary key; every other key in it still opens what it once sealed.
const KeyFile = "secrets.json"

// MaxBytes bounds a secret.
const MaxBytes = 64 << 10

// Vault encrypts and decrypts. It is safe for concurrent use.
type Vault struct {
	aead tink.AEAD
	now  func() time.Time
}

// OpenVault opens the vault of a data folder, and makes its key on first start. The error
// matches [*keyfile.Error] if others may read the key.
func OpenVault(dataDir string, now func() time.Time) (*Vault, error) {
	stored, err := keyfile.LoadOrCreate(dataDir, KeyFile, newKeyset)
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(stored)))
	if err != nil {
		return nil, fmt.Errorf("open vault: %s is not a keyset (%w); restore it from a backup", KeyFile, err)
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("open vault: %s holds keys of another kind: %w; restore it from a backup", KeyFile, err)
	}
	return &Vault{aead: primitive, now: now}, nil
}

func newKeyset() ([]byte, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&out))
	return out.Bytes(), err
}

// Seal encrypts a value for one connection and name. The error is a [*domain.Invalid] if
// the value is empty or longer than MaxBytes.
func (v *Vault) Seal(c contract.ConnectionID, name string, value secret.Text) (domain.SecretValue, error) {
	if size := len(value.Reveal()); size == 0 || size > MaxBytes {
		return domain.SecretValue{}, &domain.Invalid{Problems: []domain.Problem{{
			Field: "secrets." + name, Value: secret.Redacted,
			Why: fmt.Sprintf("it has %d bytes", size), Fix: fmt.Sprintf("give 1 to %d bytes", MaxBytes),
		}}}
	}
	ciphertext, err := v.seal(c, name, []byte(value.Reveal()))
	if err != nil {
		return domain.SecretValue{}, err
	}
	return domain.SecretValue{Ciphertext: ciphertext, CreatedAt: v.now()}, nil
}

// Open decrypts a value that was sealed for this connection and name, and for no other.
func (v *Vault) Open(c contract.ConnectionID, name string, sealed domain.SecretValue) (secret.Text, error) {
	plain, err := v.open(c, name, sealed.Ciphertext)
	return secret.New(string(plain)), err
}

// seal encrypts bytes of any length for one connection and name.
func (v *Vault) seal(c contract.ConnectionID, name string, plain []byte) ([]byte, error) {
	ciphertext, err := v.aead.Encrypt(plain, binding(c, name))
	if err != nil {
		return nil, fmt.Errorf("seal secret %q of %s: %w", name, c, err)
	}
	return ciphertext, nil
}

// open decrypts what was sealed for this connection and name, and for no other.
func (v *Vault) open(c contract.ConnectionID, name string, ciphertext []byte) ([]byte, error) {
	plain, err := v.aead.Decrypt(ciphertext, binding(c, name))
	if err != nil {
		return nil, fmt.Errorf("open secret %q of %s: %w; was %s replaced?", name, c, err, KeyFile)
	}
	return plain, nil
}

// binding is the associated data of a ciphertext. Lengths keep two pairs from looking
// alike.
func binding(c contract.ConnectionID, name string) []byte {
	bound := []byte("patchbay/secret/1")
	for _, part := range []string{string(c), name} {
		bound = binary.AppendUvarint(bound, uint64(len(part)))
		bound = append(bound, part...)
	}
	return bound
}
