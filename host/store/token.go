package store

import (
	"context"
	"time"
)

// purgeRevoked is how many revocations that no longer matter go with each new one.
const purgeRevoked = 64

// RevokeToken refuses a token from now on. until is when the token itself expires; after
// that the revocation is forgotten.
func (s *Store) RevokeToken(ctx context.Context, jti string, until time.Time) error {
	now := s.opts.Now()
	return s.update(ctx, "revoke token", func(t *tx) error {
		t.purgeRevoked(now)
		var old []entry
		if before := t.get(bucketRevoked, key(jti)); before != nil {
			old = revokedIndex(jti, unpackTime(before))
		}
		t.put(bucketRevoked, key(jti), packTime(until))
		t.reindex(old, revokedIndex(jti, until))
		return nil
	})
}

func revokedIndex(jti string, until time.Time) []entry {
	return []entry{{bucketRevokedUntil, newKey().time(until).rest(jti), present}}
}

func (t *tx) purgeRevoked(now time.Time) {
	var doomed [][]byte
	for position := range t.scan(bucketRevokedUntil, nil, nil) {
		if len(doomed) == purgeRevoked || !unpackTime(position[:8]).Before(now) {
			break
		}
		doomed = append(doomed, append([]byte(nil), position...))
	}
	for _, position := range doomed {
		t.delete(bucketRevokedUntil, position)
		t.delete(bucketRevoked, position[8:])
	}
}

// TokenRevoked tells whether a token was revoked.
func (s *Store) TokenRevoked(ctx context.Context, jti string) (bool, error) {
	return view(ctx, s, "read revocation", func(t *tx) (bool, error) {
		return t.has(bucketRevoked, key(jti)), nil
	})
}
