package credentials

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"slices"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Store is where a keeper's secrets are.
type Store interface {
	// Secret returns domain.ErrNotFound if there is no such secret.
	Secret(ctx context.Context, c contract.ConnectionID, name string) (domain.Secret, error)
	PutSecret(ctx context.Context, s domain.Secret) error
}

// ErrAlgorithm is matched by the error of a signature with an unknown hash.
var ErrAlgorithm = errors.New("unknown algorithm; use sha256, sha512 or sha1")

// maxValues bounds the values of one secret that are accepted at once.
const maxValues = 16

// Keeper reads, compares and rotates the secrets of connections. It is safe for
// concurrent use. Where a secret has no value that counts, the error matches
// domain.ErrNotFound.
type Keeper struct {
	*Vault
	store Store
	mu    sync.Mutex // makes reading and writing of one rotation a whole
}

// NewKeeper returns a keeper of the secrets in a store.
func NewKeeper(v *Vault, store Store) *Keeper { return &Keeper{Vault: v, store: store} }

// Reveal returns the newest value that counts.
func (k *Keeper) Reveal(ctx context.Context, c contract.ConnectionID, name string) (secret.Text, error) {
	values, err := k.values(ctx, c, name)
	if err != nil {
		return secret.Text{}, err
	}
	return k.Open(c, name, values[0])
}

// Values returns every value that counts, newest first.
func (k *Keeper) Values(ctx context.Context, c contract.ConnectionID, name string) ([]secret.Text, error) {
	sealed, err := k.values(ctx, c, name)
	if err != nil {
		return nil, err
	}
	opened := make([]secret.Text, len(sealed))
	for i, v := range sealed {
		if opened[i], err = k.Open(c, name, v); err != nil {
			return nil, err
		}
	}
	return opened, nil
}

// Equal compares candidate with every value that counts, in constant time. An empty
// candidate equals nothing.
func (k *Keeper) Equal(ctx context.Context, c contract.ConnectionID, name, candidate string) (bool, error) {
	return k.any(ctx, c, name, func(value secret.Text) bool { return value.Equal(candidate) })
}

// HMACVerify tells whether mac authenticates message with any value that counts as the
// key. An unknown algorithm is ErrAlgorithm.
func (k *Keeper) HMACVerify(ctx context.Context, c contract.ConnectionID, name, algorithm string, message, mac []byte) (bool, error) {
	newHash, err := hashOf(algorithm)
	if err != nil {
		return false, err
	}
	return k.any(ctx, c, name, func(value secret.Text) bool { return hmac.Equal(sum(newHash, value, message), mac) })
}

// HMACSign returns the code of message with the newest value as the key. An unknown
// algorithm is ErrAlgorithm.
func (k *Keeper) HMACSign(ctx context.Context, c contract.ConnectionID, name, algorithm string, message []byte) ([]byte, error) {
	newHash, err := hashOf(algorithm)
	if err != nil {
		return nil, err
	}
	value, err := k.Reveal(ctx, c, name)
	if err != nil {
		return nil, err
	}
	return sum(newHash, value, message), nil
}

// Rotate makes value the newest of a secret, which need not exist yet. Values that count
// now go on counting for overlap, unless they end sooner. Rotating to the value that is
// the newest already makes no second one of it.
func (k *Keeper) Rotate(ctx context.Context, c contract.ConnectionID, name string, value secret.Text, overlap time.Duration) error {
	sealed, err := k.Seal(c, name, value)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	old, err := k.values(ctx, c, name)
	if err != nil && !errors.Is(err, domain.ErrNotFound) {
		return err
	}
	if len(old) > 0 {
		if newest, err := k.Open(c, name, old[0]); err == nil && newest.Equal(value.Reveal()) {
			sealed, old = old[0], old[1:]
		}
	}
	values := append([]domain.SecretValue{sealed}, retire(old, k.now(), overlap)...)
	if len(values) > maxValues {
		return fmt.Errorf("secret %q of %s: %d values count already; wait for one to expire: %w", name, c, maxValues, domain.ErrQuota)
	}
	if err := k.store.PutSecret(ctx, domain.Secret{Connection: c, Name: name, Values: values}); err != nil {
		return fmt.Errorf("keep secret %q of %s: %w", name, c, err)
	}
	return nil
}

// retire lets values end when the overlap does, and drops those that end at once.
func retire(values []domain.SecretValue, now time.Time, overlap time.Duration) (kept []domain.SecretValue) {
	end := now.Add(overlap)
	for _, v := range values {
		if v.ExpiresAt.IsZero() || v.ExpiresAt.After(end) {
			v.ExpiresAt = end
		}
		if v.ExpiresAt.After(now) {
			kept = append(kept, v)
		}
	}
	return kept
}

// values returns the values that count, newest first; at least one, or an error.
func (k *Keeper) values(ctx context.Context, c contract.ConnectionID, name string) ([]domain.SecretValue, error) {
	kept, err := k.store.Secret(ctx, c, name)
	if err != nil {
		return nil, fmt.Errorf("secret %q of %s: %w", name, c, err)
	}
	now := k.now()
	values := slices.DeleteFunc(slices.Clone(kept.Values), func(v domain.SecretValue) bool {
		return !v.ExpiresAt.IsZero() && !v.ExpiresAt.After(now)
	})
	if len(values) == 0 {
		return nil, fmt.Errorf("secret %q of %s has expired: %w", name, c, domain.ErrNotFound)
	}
	slices.SortStableFunc(values, newestFirst)
	return values, nil
}

// newestFirst puts a value without an end before those that were retired, whatever the
// clock said when each was made.
func newestFirst(a, b domain.SecretValue) int {
	if a.ExpiresAt.IsZero() != b.ExpiresAt.IsZero() {
		if a.ExpiresAt.IsZero() {
			return -1
		}
		return 1
	}
	return b.CreatedAt.Compare(a.CreatedAt)
}

// any tells whether a value that counts matches. It looks at each, so that it does not
// show which one did.
func (k *Keeper) any(ctx context.Context, c contract.ConnectionID, name string, matches func(secret.Text) bool) (bool, error) {
	values, err := k.values(ctx, c, name)
	if err != nil {
		return false, err
	}
	found := false
	for _, v := range values {
		value, err := k.Open(c, name, v)
		if err != nil {
			return false, err
		}
		matched := matches(value)
		found = found || matched
	}
	return found, nil
}

func hashOf(algorithm string) (func() hash.Hash, error) {
	switch algorithm {
	case "sha256":
		return sha256.New, nil
	case "sha512":
		return sha512.New, nil
	case "sha1": // as a MAC it is sound, and some platforms know no other
		return sha1.New, nil
	}
	return nil, fmt.Errorf("%q: %w", algorithm, ErrAlgorithm)
}

func sum(newHash func() hash.Hash, key secret.Text, message []byte) []byte {
	mac := hmac.New(newHash, []byte(key.Reveal()))
	mac.Write(message)
	return mac.Sum(nil)
}
