package subscribers

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const (
	// secretName is what the values are sealed under.
	secretName = "signing"
	// secretPrefix and secretBytes make the form that Standard Webhooks asks for: 24 to 64
	// random bytes in base64 behind a prefix that secret scanners know.
	secretPrefix = "whsec_"
	secretBytes  = 32
	// maxSecrets bounds the values that sign at once: each adds to the header.
	maxSecrets = 4
)

// newSecret makes a value to sign with, sealed for one subscriber.
func (r *Room) newSecret(id domain.SubscriberID) (secret.Text, domain.SecretValue, error) {
	raw := make([]byte, secretBytes)
	if _, err := io.ReadFull(r.opts.Random, raw); err != nil {
		return secret.Text{}, domain.SecretValue{}, fmt.Errorf("make a secret: %w", err)
	}
	value := secret.New(secretPrefix + base64.StdEncoding.EncodeToString(raw))
	sealed, err := r.opts.Vault.Seal(contract.ConnectionID(id), secretName, value)
	if err != nil {
		return secret.Text{}, domain.SecretValue{}, fmt.Errorf("seal a secret: %w", err)
	}
	return value, sealed, nil
}

// rotated puts a value in front of those that still sign, which end when the overlap does.
func rotated(values []domain.SecretValue, newest domain.SecretValue, now time.Time, overlap time.Duration) []domain.SecretValue {
	kept := []domain.SecretValue{newest}
	for _, v := range valid(values, now) {
		if end := now.Add(overlap); v.ExpiresAt.IsZero() || v.ExpiresAt.After(end) {
			v.ExpiresAt = end
		}
		if v.ExpiresAt.After(now) {
			kept = append(kept, v)
		}
	}
	return kept
}

// valid returns the values that sign now.
func valid(values []domain.SecretValue, now time.Time) []domain.SecretValue {
	return slices.DeleteFunc(slices.Clone(values), func(v domain.SecretValue) bool {
		return !v.ExpiresAt.IsZero() && !v.ExpiresAt.After(now)
	})
}

// sign returns the signatures of a body, one for each value that counts, newest first.
func (r *Room) sign(s domain.Subscriber, id string, now time.Time, body []byte) (string, error) {
	var signatures []string
	for _, v := range valid(s.Secrets, now) {
		value, err := r.opts.Vault.Open(contract.ConnectionID(s.ID), secretName, v)
		if err != nil {
			return "", fmt.Errorf("open a secret: %w", err)
		}
		signer, err := standardwebhooks.NewWebhook(value.Reveal())
		if err != nil {
			return "", errors.New("read a secret: it is not of the form whsec_ and base64; rotate it")
		}
		signature, err := signer.Sign(id, now, body)
		if err != nil {
			return "", fmt.Errorf("sign: %w", err)
		}
		signatures = append(signatures, signature)
	}
	if len(signatures) == 0 {
		return "", errors.New("there is no secret to sign with; rotate it")
	}
	return strings.Join(signatures, " "), nil
}
