package credentials

import (
	"context"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// A request that needs an access token gets one that is good, or it does not go out. A
// token is known to be no good once it has expired, or once the platform has answered 401 to
// it and it can be renewed.

// lendMargin is how long an access token must still be good when a request gets it, so that
// it is when the request arrives; a tenth of a short life.
const lendMargin = 10 * time.Second

// The waits that a request is told of while a token set is being renewed.
const (
	shortWait = time.Second
	longWait  = 15 * time.Second
)

// usable tells whether the access token may be sent.
func usable(s domain.TokenSet, now time.Time) bool {
	if !s.Held() || !s.StaleAt.IsZero() {
		return false
	}
	if s.ExpiresAt.IsZero() {
		return true
	}
	margin := min(lendMargin, s.ExpiresAt.Sub(s.ObtainedAt)/10)
	return now.Add(margin).Before(s.ExpiresAt)
}

// renewable tells whether a token set can be renewed, or a first one be had.
func renewable(s domain.TokenSet, o domain.TokenOwner, now time.Time) bool {
	if !o.Renews {
		return false
	}
	alive := s.RefreshExpiresAt.IsZero() || now.Before(s.RefreshExpiresAt)
	return o.Obtains || s.Held() && s.CanRefresh && alive
}

// Access lends the access token of o for one request. If that cannot go out, the error is a
// [*contract.HostError]: HostUnavailable with the time to wait while the token set is being
// renewed, HostUnauthorised if it will not be.
func (t *Tokens) Access(ctx context.Context, o domain.TokenOwner) (secret.Text, domain.TokenUse, error) {
	now := t.opts.Now()
	set, err := t.read(ctx, o.ID)
	if err != nil {
		return secret.Text{}, domain.TokenUse{}, err
	}
	if !usable(set, now) {
		return secret.Text{}, domain.TokenUse{}, t.unusable(ctx, o, set, now)
	}
	tokens, err := t.open(set)
	return secret.New(tokens.Access), domain.TokenUse{Owner: o, Version: set.Version, Proven: set.Proven}, err
}

// unusable says what a request is to do that cannot have its token, and sees to it that the
// token set is renewed.
func (t *Tokens) unusable(ctx context.Context, o domain.TokenOwner, set domain.TokenSet, now time.Time) error {
	forgiven := o.Obtains && !set.RefusedAt.IsZero() && o.Since.After(set.RefusedAt)
	if !renewable(set, o, now) || !set.RefusedAt.IsZero() && !forgiven {
		return unauthorised(set)
	}
	if forgiven || !set.Held() && set.ObtainedAt.IsZero() {
		_, err := t.opts.Store.UpdateTokens(ctx, o.Workspace, o.ID, func(s *domain.TokenSet) error {
			if !s.Held() && s.ObtainedAt.IsZero() {
				s.ObtainedAt = now.UTC() // since when it is wanted
			}
			if o.Since.After(s.RefusedAt) {
				s.RefusedAt, s.RetryAt = time.Time{}, time.Time{}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	t.Changed(o.ID)
	wait := max(shortWait, min(set.RetryAt.Sub(now), longWait))
	return &contract.HostError{Code: contract.HostUnavailable, Certain: true, RetryAfterMillis: wait.Milliseconds(),
		Message: "the access token is being renewed; try again later (failure class retry)"}
}

func unauthorised(set domain.TokenSet) *contract.HostError {
	message := "there is no access token; a person must authorise the connection (failure class reauthorise)"
	if set.Held() {
		message = "the access token is no good any more and cannot be renewed; a person must authorise the connection again (failure class reauthorise)"
	}
	return &contract.HostError{Code: contract.HostUnauthorised, Certain: true, Message: message}
}

// Refresh lends the refresh token of o for one request.
func (t *Tokens) Refresh(ctx context.Context, o domain.TokenOwner) (secret.Text, error) {
	set, err := t.read(ctx, o.ID)
	if err != nil {
		return secret.Text{}, err
	}
	tokens, err := t.open(set)
	if err != nil {
		return secret.Text{}, err
	}
	if token := tokens.inUse(set); token != "" {
		return secret.New(token), nil
	}
	return secret.Text{}, &contract.HostError{Code: contract.HostUnauthorised, Certain: true,
		Message: "there is no refresh token; a person must authorise the connection (failure class reauthorise)"}
}

// Worked notes that the platform took an access token. The refresh token of the token set
// before is needed no more.
func (t *Tokens) Worked(ctx context.Context, use domain.TokenUse) error {
	if use.Proven {
		return nil
	}
	_, err := t.opts.Store.UpdateTokens(ctx, use.Owner.Workspace, use.Owner.ID, func(s *domain.TokenSet) error {
		if s.Version != use.Version || s.Proven || s.Fallback {
			return nil
		}
		tokens, err := t.open(*s)
		if err != nil {
			return err
		}
		tokens.Previous = ""
		s.Proven = true
		s.Sealed, err = t.seal(s.Owner, tokens)
		return err
	})
	return err
}

// Unauthorised is told that the platform answered 401 to an access token. It answers whether
// the token set was replaced since, and with renew, otherwise, whether it is going to be: then
// nothing more is sent with it.
func (t *Tokens) Unauthorised(ctx context.Context, use domain.TokenUse, renew bool) (replaced, renewing bool, err error) {
	now := t.opts.Now()
	set, err := t.read(ctx, use.Owner.ID)
	if use.Version == 0 {
		use.Version = set.Version
	}
	switch {
	case err != nil || set.Version > use.Version:
		return err == nil, false, err
	case !renew || !renewable(set, use.Owner, now) || !set.RefusedAt.IsZero():
		return false, false, nil
	}
	set, err = t.opts.Store.UpdateTokens(ctx, use.Owner.Workspace, use.Owner.ID, func(s *domain.TokenSet) error {
		if s.Version == use.Version && s.StaleAt.IsZero() {
			s.StaleAt = now.UTC()
		}
		return nil
	})
	if err != nil {
		return false, false, err
	}
	t.Changed(use.Owner.ID)
	return set.Version > use.Version, set.Version == use.Version, nil
}
