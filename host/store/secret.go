package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func secretKey(c contract.ConnectionID, name string) key { return connectionKey(c).text(name) }

// Secret returns a secret of a connection; ErrNotFound if there is none.
func (s *Store) Secret(ctx context.Context, c contract.ConnectionID, name string) (domain.Secret, error) {
	return view(ctx, s, "read secret", func(t *tx) (domain.Secret, error) {
		secret, err := s.memos.secrets.load(t, bucketSecrets, secretKey(c, name))
		if err != nil {
			return secret, fmt.Errorf("secret %q of connection %q: %w", name, c, err)
		}
		secret.Values = slices.Clone(secret.Values)
		return secret, nil
	})
}

// Secrets returns all secrets of a connection; none is no error.
func (s *Store) Secrets(ctx context.Context, c contract.ConnectionID) ([]domain.Secret, error) {
	return view(ctx, s, "read secrets", func(t *tx) ([]domain.Secret, error) {
		var secrets []domain.Secret
		for _, doc := range t.scan(bucketSecrets, connectionKey(c), nil) {
			secret, err := decode[domain.Secret](bucketSecrets, doc)
			if err != nil {
				return nil, err
			}
			secrets = append(secrets, secret)
		}
		return secrets, nil
	})
}

// HoldsSecrets tells whether there is any secret of any connection or subscriber, or any
// token set.
func (s *Store) HoldsSecrets(ctx context.Context) (bool, error) {
	return view(ctx, s, "look for secrets", func(t *tx) (bool, error) {
		for _, bucket := range [][]byte{bucketSecrets, bucketTokens, bucketSubscribers} {
			if k, _ := t.bolt.Bucket(bucket).Cursor().First(); k != nil {
				return true, nil
			}
		}
		return false, nil
	})
}

// PutSecret keeps a secret, in the place of one with the same name; ErrNotFound if there
// is no such connection.
func (s *Store) PutSecret(ctx context.Context, secret domain.Secret) error {
	return s.update(ctx, "keep secret", func(t *tx) error {
		if !t.has(bucketConnections, key(secret.Connection)) {
			return fmt.Errorf("connection %q: %w", secret.Connection, domain.ErrNotFound)
		}
		t.putSecret(secret)
		return nil
	})
}

func (t *tx) putSecret(secret domain.Secret) {
	t.putJSON(bucketSecrets, secretKey(secret.Connection, secret.Name), secret)
}
