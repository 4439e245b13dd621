package credentials

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/failpoint"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// TokenStore is where token sets are kept, and where the commands go that renew them.
type TokenStore interface {
	// Tokens returns domain.ErrNotFound if there is no token set.
	Tokens(ctx context.Context, owner contract.ConnectionID) (domain.TokenSet, error)
	// PutTokens answers domain.ErrConflict unless the version follows the one that is kept.
	PutTokens(ctx context.Context, set domain.TokenSet) error
	UpdateTokens(ctx context.Context, ws contract.WorkspaceID, owner contract.ConnectionID, modify func(*domain.TokenSet) error) (domain.TokenSet, error)
	TokenOwners(ctx context.Context, visit func(domain.TokenSet) error) error
	AcceptRefresh(ctx context.Context, n domain.NewCommand) (job domain.Job, created bool, err error)
	Connection(ctx context.Context, id contract.ConnectionID) (domain.Connection, error)
	SetHealth(ctx context.Context, c contract.ConnectionID, cause domain.HealthCause, change *contract.StateChange, at time.Time) error
}

// TokenOptions says how token sets are kept fresh.
type TokenOptions struct {
	Vault *Vault
	Store TokenStore
	// Manifest returns the manifest of a plugin's version that runs now.
	Manifest func(plugin string) (*manifest.Manifest, error)
	// Cooldown is the wait after the first refresh that failed; it doubles with each more, up to
	// MaxCooldown. 0 means 30 s and 15 min.
	Cooldown, MaxCooldown time.Duration
	// GiveUpAfter is how long refreshes may fail before a person has to act; 0 means 4 days.
	GiveUpAfter time.Duration
	Now         func() time.Time
	Log         *slog.Logger
}

// Tokens keeps the token sets of connections and apps: encrypted, lent to requests as long
// as they are good, and renewed before they are not. It is safe for concurrent use.
type Tokens struct {
	opts     TokenOptions
	schedule *schedule
}

// NewTokens makes a keeper of token sets; Run keeps them fresh.
func NewTokens(o TokenOptions) *Tokens {
	o.Cooldown = cmp.Or(o.Cooldown, 30*time.Second)
	o.MaxCooldown = cmp.Or(o.MaxCooldown, 15*time.Minute)
	o.GiveUpAfter = cmp.Or(o.GiveUpAfter, 4*24*time.Hour)
	return &Tokens{opts: o, schedule: newSchedule()}
}

// sealedTokens is what [domain.TokenSet].Sealed holds.
type sealedTokens struct {
	Access  string `json:"access"`
	Refresh string `json:"refresh,omitempty"`
	// Previous is the refresh token that this set was got with, until the set has worked.
	Previous string `json:"previous,omitempty"`
}

// The names under which things are sealed that are no secrets of a manifest, whose names
// have no colon.
const (
	sealTokens  = ":tokens"
	sealCode    = ":code"
	sealJournal = ":journal/"
)

func (t *Tokens) open(set domain.TokenSet) (tokens sealedTokens, err error) {
	if !set.Held() {
		return tokens, nil
	}
	plain, err := t.opts.Vault.open(set.Owner, sealTokens, set.Sealed)
	if err != nil {
		return tokens, err
	}
	if err := json.Unmarshal(plain, &tokens); err != nil {
		return tokens, fmt.Errorf("tokens of %s: %w", set.Owner, err)
	}
	return tokens, nil
}

func (t *Tokens) seal(owner contract.ConnectionID, tokens sealedTokens) ([]byte, error) {
	plain, err := json.Marshal(tokens)
	if err != nil {
		return nil, err
	}
	return t.opts.Vault.seal(owner, sealTokens, plain)
}

// inUse is the refresh token that the next refresh is made with.
func (s sealedTokens) inUse(set domain.TokenSet) string {
	if set.Fallback {
		return s.Previous
	}
	return s.Refresh
}

// read returns a token set, and one of version 0 if there is none.
func (t *Tokens) read(ctx context.Context, owner contract.ConnectionID) (domain.TokenSet, error) {
	set, err := t.opts.Store.Tokens(ctx, owner)
	if errors.Is(err, domain.ErrNotFound) {
		return domain.TokenSet{Owner: owner}, nil
	}
	return set, err
}

// maxTokenBytes bounds a token.
const maxTokenBytes = 32 << 10

// checkPut says what is wrong with a token set that a plugin hands over; nil if nothing is.
func checkPut(in *contract.CredentialsPut) *contract.HostError {
	refuse := func(why string) *contract.HostError {
		return &contract.HostError{Code: contract.HostInvalid, Message: why, Certain: true}
	}
	if in.AccessToken == "" {
		return refuse("the access token is empty")
	}
	for _, token := range []string{in.AccessToken, in.RefreshToken} {
		if len(token) > maxTokenBytes {
			return refuse(fmt.Sprintf("a token has more than %d bytes", maxTokenBytes))
		}
		for i := range len(token) {
			if token[i] < ' ' || token[i] > '~' {
				return refuse("a token has characters beyond printable ASCII (RFC 6749 appendix A.12)")
			}
		}
	}
	if len(in.Scope) > maxTokenBytes {
		return refuse("the scope is too long")
	}
	return nil
}

// Draft makes the token set that follows the present one of c, sealed. With renews it was got
// with the refresh token of that one, which is kept until the new set has worked. known tells
// that it is the present one already. A token set that cannot be taken is a
// [*contract.HostError].
func (t *Tokens) Draft(ctx context.Context, c domain.Connection, in *contract.CredentialsPut, renews bool, at time.Time) (set domain.TokenSet, known bool, err error) {
	if problem := checkPut(in); problem != nil {
		return set, false, problem
	}
	before, err := t.read(ctx, c.ID)
	if err != nil {
		return set, false, err
	}
	old, err := t.open(before)
	if err != nil {
		t.opts.Log.Error("a token set cannot be read; it is replaced", "owner", c.ID, "error", err)
	}
	set = domain.TokenSet{Owner: c.ID, Workspace: c.Workspace, Version: before.Version + 1, ObtainedAt: at.UTC(),
		ExpiresAt: in.ExpiresAt.UTC(), RefreshExpiresAt: in.RefreshExpiresAt.UTC(), Scope: in.Scope}
	next := sealedTokens{Access: in.AccessToken, Refresh: in.RefreshToken}
	used := old.inUse(before)
	if in.RefreshToken == "" {
		next.Refresh, set.RefreshExpiresAt = used, before.RefreshExpiresAt
	}
	if renews && used != next.Refresh {
		next.Previous = used
	}
	set.CanRefresh, set.AfterRefusal = next.Refresh != "", renews && !before.StaleAt.IsZero()
	if sound(before) && old.Access == next.Access && old.Refresh == next.Refresh && before.ExpiresAt.Equal(set.ExpiresAt) {
		return before, true, nil
	}
	set.Sealed, err = t.seal(c.ID, next)
	return set, false, err
}

// sound tells whether nothing is held against a token set.
func sound(s domain.TokenSet) bool {
	return s.Held() && s.StaleAt.IsZero() && s.RefusedAt.IsZero() && s.Failures == 0 && !s.Fallback
}

// Put keeps a token set that a plugin hands over for c; it is durable when Put returns. With
// from it replaces the token set of that version and no other; otherwise the error matches
// domain.ErrConflict. A token set that cannot be taken is a [*contract.HostError].
func (t *Tokens) Put(ctx context.Context, c domain.Connection, in *contract.CredentialsPut, from *uint64, at time.Time) (domain.TokenSet, error) {
	for {
		set, known, err := t.Draft(ctx, c, in, from != nil, at)
		switch {
		case err != nil || known:
			return set, err
		case from != nil && set.Version != *from+1:
			return set, fmt.Errorf("tokens of %s: version %d was renewed, and %d is there: %w", c.ID, *from, set.Version-1, domain.ErrConflict)
		}
		err = t.opts.Store.PutTokens(ctx, set)
		if errors.Is(err, domain.ErrConflict) && from == nil {
			continue // somebody else was faster; this one follows that one
		}
		if err != nil {
			return set, fmt.Errorf("keep tokens: %w", err)
		}
		failpoint.Hit(failpoint.CredentialsAfterSave)
		t.Changed(c.ID)
		return set, nil
	}
}

// Version returns the version of the token set of an owner; 0 if there is none.
func (t *Tokens) Version(ctx context.Context, owner contract.ConnectionID) (uint64, error) {
	set, err := t.read(ctx, owner)
	return set.Version, err
}

// SealCode encrypts an authorisation code and its PKCE verifier for one connection.
func (t *Tokens) SealCode(c contract.ConnectionID, code, verifier secret.Text) ([]byte, error) {
	plain, err := json.Marshal([2]string{code.Reveal(), verifier.Reveal()})
	if err != nil {
		return nil, err
	}
	return t.opts.Vault.seal(c, sealCode, plain)
}

// OpenCode decrypts what SealCode made.
func (t *Tokens) OpenCode(c contract.ConnectionID, sealed []byte) (code, verifier secret.Text, err error) {
	plain, err := t.opts.Vault.open(c, sealCode, sealed)
	if err != nil {
		return code, verifier, err
	}
	var parts [2]string
	if err := json.Unmarshal(plain, &parts); err != nil {
		return code, verifier, fmt.Errorf("authorisation code of %s: %w", c, err)
	}
	return secret.New(parts[0]), secret.New(parts[1]), nil
}

// SealJournal encrypts an entry of the journal of a job of c.
func (t *Tokens) SealJournal(c contract.ConnectionID, job string, entry []byte) ([]byte, error) {
	return t.opts.Vault.seal(c, sealJournal+job, entry)
}

// OpenJournal decrypts what SealJournal made.
func (t *Tokens) OpenJournal(c contract.ConnectionID, job string, sealed []byte) ([]byte, error) {
	return t.opts.Vault.open(c, sealJournal+job, sealed)
}
