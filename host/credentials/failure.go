package credentials

import (
	"cmp"
	"context"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const (
	// ambiguousWait is how long after a refresh without an answer it is tried once more: many
	// platforms take a refresh token twice within a short while for just this case.
	ambiguousWait = 5 * time.Second
	// fallbackWait is how long after a refusal the refresh token before is tried.
	fallbackWait = time.Second
	// maxRetryAfter bounds the wait that a platform may ask for.
	maxRetryAfter = 6 * time.Hour
)

// Failed notes that a refresh of the token set of o failed. It is told once for each job, and
// again without effect. paused is for how long the platform is left alone; 0 if it is not.
func (t *Tokens) Failed(ctx context.Context, o domain.TokenOwner, job string, r domain.Refresh, failure contract.Failure, paused time.Duration) error {
	now := t.opts.Now()
	_, err := t.opts.Store.UpdateTokens(ctx, o.Workspace, o.ID, func(s *domain.TokenSet) error {
		if s.Version != r.Version || s.FailedBy == job {
			return nil // it was replaced since, or this is known
		}
		tokens, err := t.open(*s)
		if err != nil {
			return err
		}
		t.fail(s, tokens, job, failure, paused, now.UTC())
		return nil
	})
	t.Changed(o.ID)
	return err
}

// fail works a failure into what is known of a token set.
func (t *Tokens) fail(s *domain.TokenSet, tokens sealedTokens, job string, failure contract.Failure, paused time.Duration, now time.Time) {
	s.Failures++
	if s.FailingSince.IsZero() {
		s.FailingSince = now
	}
	if !s.Held() && s.ObtainedAt.IsZero() {
		s.ObtainedAt = now
	}
	wait := t.cooldown(*s)
	if failure.Class == contract.FailureUncertain {
		wait = t.afterAmbiguous(*s, wait)
		s.Ambiguous = true
	}
	failure.Parts = nil
	s.FailedAt, s.FailedBy, s.FailedWith = now, job, &failure
	s.RetryAt = now.Add(max(paused, wait))
	switch failure.Class {
	case contract.FailureReauthorise, contract.FailurePermanent:
		if !s.Proven && !s.Fallback && tokens.Previous != "" {
			s.Fallback, s.RetryAt = true, now.Add(fallbackWait)
			return
		}
		s.RefusedAt = now
		return
	case contract.FailureRetryAfter:
		asked := time.Duration(min(failure.RetryAfterMillis, maxRetryAfter.Milliseconds())) * time.Millisecond
		s.RetryAt = later(s.RetryAt, now.Add(asked))
	}
	if now.Sub(s.FailingSince) >= t.opts.GiveUpAfter {
		s.RefusedAt = now
	}
}

// afterAmbiguous is how long to wait after a refresh without an answer: a moment at first, then
// the shortest cooldown, and then as after any other failures.
func (t *Tokens) afterAmbiguous(before domain.TokenSet, otherwise time.Duration) time.Duration {
	switch {
	case before.FailedWith == nil || before.FailedWith.Class != contract.FailureUncertain:
		return ambiguousWait
	case before.RetryAt.Sub(before.FailedAt) <= ambiguousWait:
		return min(t.opts.Cooldown, otherwise)
	}
	return otherwise
}

// cooldown is how long to wait after the failures so far.
func (t *Tokens) cooldown(s domain.TokenSet) time.Duration {
	wait := t.opts.Cooldown << min(s.Failures-1, 20)
	if wait <= 0 || wait > t.opts.MaxCooldown {
		wait = t.opts.MaxCooldown
	}
	return wait + jitter(s, s.Failures, wait/4)
}

// tell has the connection's health say what the token set is like.
func (t *Tokens) tell(ctx context.Context, s domain.TokenSet, c domain.Connection, o domain.TokenOwner, now time.Time) error {
	want, said := condition(s, c, o, now), c.Health.Credentials
	if want == nil && said == nil || want != nil && said != nil && *want == *said {
		return nil
	}
	return t.opts.Store.SetHealth(ctx, c.ID, domain.CauseCredentials, want, now)
}

// condition is what is wrong with a token set; nil if nothing is.
func condition(s domain.TokenSet, c domain.Connection, o domain.TokenOwner, now time.Time) *contract.StateChange {
	action := "Connect the account anew, as the setup steps of the connection say."
	switch {
	case o.Obtains && c.IsApp:
		action = "Check the app's settings and secrets, and have its credentials renewed."
	case o.Obtains:
		action = "Check the connection's settings and secrets, and have its credentials renewed."
	case c.IsApp:
		action = "Register the app anew, as its setup steps say."
	case o.Consents:
		action = "Authorise the connection again."
	}
	switch {
	case !s.RefusedAt.IsZero() && s.FailedWith != nil && gaveUp(*s.FailedWith):
		return &contract.StateChange{State: contract.StateNeedsAction, Code: "credentials_given_up", Action: action,
			Reason: "The platform has not renewed the credentials since " + s.FailingSince.UTC().Format(time.RFC3339) + "."}
	case !s.RefusedAt.IsZero():
		return &contract.StateChange{State: contract.StateNeedsAction, Code: "credentials_refused", Action: action,
			Reason: refusal(s)}
	case !s.Held() || usable(s, now):
		return nil
	case !renewable(s, o, now):
		return &contract.StateChange{State: contract.StateNeedsAction, Code: "credentials_expired", Action: action,
			Reason: "The access token has expired and cannot be renewed."}
	case s.Failures > 0:
		return &contract.StateChange{State: contract.StateDegraded, Code: "credentials_failing",
			Reason: "The access token is no good any more, and renewing it fails for now; it is tried again."}
	}
	return nil
}

// gaveUp tells a token set that nobody refused from one that was refused.
func gaveUp(f contract.Failure) bool {
	return f.Class != contract.FailureReauthorise && f.Class != contract.FailurePermanent
}

func refusal(s domain.TokenSet) string {
	if s.FailedWith == nil {
		return "The platform refused to renew the credentials."
	}
	return "The platform refused to renew the credentials: " + cmp.Or(s.FailedWith.Message, s.FailedWith.Code)
}
