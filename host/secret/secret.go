// Package secret holds values that must not be printed.
//
// A [Text] can be stored in a struct, logged, formatted with any verb or encoded as
// JSON, and shows only [Redacted]. Whoever needs the value says so: [Text.Reveal].
package secret

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what a secret shows of itself.
const Redacted = "[redacted]"

// Text is a secret text. The zero value holds no secret. It is copied freely; copies
// share one value, which is never changed. Compare with [Text.Equal], not with ==.
type Text struct {
	// value is behind a pointer because fmt prints an unexported field of another struct
	// by reflection, without asking it: it then shows an address.
	value *string
}

// Reveal gives the secret that a name stands for. An error that matches
// domain.ErrNotFound means that there is none.
type Reveal func(ctx context.Context, name string) (Text, error)

// New returns a secret that holds value; an empty one is the zero Text.
func New(value string) Text {
	if value == "" {
		return Text{}
	}
	return Text{value: &value}
}

// Generate makes a secret of n bytes from random, in base64url without padding. n must
// be at least 16.
func Generate(random io.Reader, n int) (Text, error) {
	if n < 16 {
		return Text{}, fmt.Errorf("secret: %d bytes are too few to resist guessing; ask for 16 or more", n)
	}
	raw := make([]byte, n)
	if _, err := io.ReadFull(random, raw); err != nil {
		return Text{}, fmt.Errorf("secret: read %d random bytes: %w", n, err)
	}
	return New(base64.RawURLEncoding.EncodeToString(raw)), nil
}

// Reveal returns the value; empty if there is none.
func (t Text) Reveal() string {
	if t.value == nil {
		return ""
	}
	return *t.value
}

// IsZero tells whether there is no secret.
func (t Text) IsZero() bool { return t.value == nil }

// Equal tells whether candidate is the secret. It compares SHA-256 hashes in constant
// time, so that neither content nor length shows in how long it takes. Nothing equals
// the zero Text, not even "".
func (t Text) Equal(candidate string) bool {
	want, got := sha256.Sum256([]byte(t.Reveal())), sha256.Sum256([]byte(candidate))
	same := subtle.ConstantTimeCompare(want[:], got[:]) == 1
	return same && !t.IsZero()
}

// String returns [Redacted].
func (t Text) String() string { return Redacted }

// GoString returns [Redacted].
func (t Text) GoString() string { return Redacted }

// Format writes [Redacted] for every verb.
func (t Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// MarshalText returns [Redacted]; a Text cannot be read back.
func (t Text) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON returns [Redacted] as a JSON string; a Text cannot be read back.
func (t Text) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// LogValue returns [Redacted].
func (t Text) LogValue() slog.Value { return slog.StringValue(Redacted) }
