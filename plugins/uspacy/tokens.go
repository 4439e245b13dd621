package main

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

const (
	pathRefresh = "/auth/v1/auth/refresh_token"
	pathSignIn  = "/auth/v1/auth/app_sign_in"
	// defaultAccessSeconds is how long an access token lives where the answer does not say.
	defaultAccessSeconds = 86400
	// maxAccessSeconds bounds what an answer may say: a year.
	maxAccessSeconds = 366 * 86400
	// signInPause is how long the app waits between two sign-ins at a portal.
	signInPause = 10 * time.Minute
	// maxRefreshWaitMillis bounds a wait that the portal asks for, in milliseconds.
	maxRefreshWaitMillis = 5 * 60 * 1000
)

// RefreshCredentials renews the pair with the refresh token. If the portal refuses that one,
// the app signs in with its own credentials, where the operator allows it.
func (connector) RefreshCredentials(h pdk.Host, in *contract.RefreshCredentialsInput) (*contract.CommandOutput, error) {
	if in.Connection.IsApp {
		return failing(failed(contract.FailurePermanent, "no_tokens", "The app itself has no tokens; its portals have.")), nil
	}
	domain, failure, err := portalOf(h, in.Connection.Settings)
	if err != nil || failure != nil {
		return failing(failure), err
	}
	if !allowedDomain(domain, appSettings(&in.Connection).domainSuffixes()) {
		return failing(failed(contract.FailurePermanent, "domain_refused", "The portal is not under portal_domain_suffixes any more.")), nil
	}
	result, err := h.HTTPSend(contract.HTTPRequest{
		Method: "POST", URL: "https://" + domain + pathRefresh,
		Headers: []contract.Header{
			{Name: "Authorization", Value: "Bearer " + pdk.Credential(contract.CredentialRefreshToken)},
			{Name: "Accept", Value: "application/json"},
		},
	})
	switch code := contract.HostErrorCode(err); {
	case code == contract.HostUnauthorised:
		return recovered(h, in, domain)
	case err != nil:
		return failing(noAnswerToRefresh(err, in.Ambiguous)), nil
	case result.Status == 401 || result.Status == 403:
		return recovered(h, in, domain)
	}
	return failing(keepTokens(h, result, in.Ambiguous)), nil
}

func failing(failure *contract.Failure) *contract.CommandOutput {
	return &contract.CommandOutput{Failure: failure}
}

// noAnswerToRefresh says what a request without an answer means. The portal may have renewed the pair
// already, so it is not simply repeated; what failed twice is an outage.
func noAnswerToRefresh(err error, ambiguous bool) *contract.Failure {
	var refused *contract.HostError
	if asHostError(err, &refused) && refused.Certain {
		failure := failed(contract.FailureRetry, "portal_unreachable", "The portal could not be reached.")
		if refused.Code == contract.HostDenied || refused.Code == contract.HostInvalid {
			failure = failed(contract.FailurePermanent, "not_allowed", "The host does not allow the call to the portal.")
		}
		return failure
	}
	return doubtful(ambiguous)
}

// doubtful is a refresh that may have taken effect.
func doubtful(ambiguous bool) *contract.Failure {
	const message = "The portal gave no answer that tells whether it renewed the tokens."
	if ambiguous {
		return failed(contract.FailureRetry, "portal_unavailable", message)
	}
	return failed(contract.FailureUncertain, "refresh_uncertain", message)
}

// keepTokens hands the pair of an answer to the host, or says why there is none.
func keepTokens(h pdk.Host, result *contract.HTTPResult, ambiguous bool) *contract.Failure {
	switch {
	case result.Status == 429 || result.Status == 503:
		failure := failed(contract.FailureRetry, "portal_busy", "The portal asks to wait.")
		if millis := min(pdk.RetryAfterMillis(result.Headers), maxRefreshWaitMillis); millis > 0 {
			failure.Class, failure.RetryAfterMillis = contract.FailureRetryAfter, millis
		}
		return failure
	case result.Status >= 500:
		return doubtful(ambiguous)
	case result.Status < 200 || result.Status > 299:
		return failed(contract.FailurePermanent, "refresh_refused",
			"The portal answered the renewal of its tokens with status "+strconv.FormatInt(result.Status, 10)+".")
	}
	fresh, ok := readTriple(result.Body)
	if !ok || result.Truncated {
		return doubtful(ambiguous)
	}
	now := time.Now()
	if err := h.CredentialsPut(contract.CredentialsPut{
		AccessToken: fresh.access, RefreshToken: fresh.refresh,
		ExpiresAt:        now.Add(fresh.lifeAt(now)).UTC().Truncate(time.Second),
		RefreshExpiresAt: now.Add(refreshTokenLife).UTC().Truncate(time.Second),
	}); err != nil {
		return doubtful(ambiguous)
	}
	return nil
}

// triple is the answer of both ways to new tokens.
type triple struct {
	access, refresh string
	seconds         int64 // that the access token lives; 0 if the answer does not say
}

// readTriple reads an answer. Clients of Uspacy's spell the life in two ways, and as a number
// or as a text.
func readTriple(body string) (triple, bool) {
	doc, err := payload.Parse([]byte(body), payload.Limits{})
	if err != nil {
		return triple{}, false
	}
	t := triple{access: doc.String("jwt"), refresh: doc.String("refreshToken")}
	for _, name := range []string{"expireInSeconds", "expiresInSeconds"} {
		if seconds := doc.Identifier(name); t.seconds == 0 && seconds != "" {
			n, err := strconv.ParseInt(seconds, 10, 64)
			if err == nil && n > 0 && n <= maxAccessSeconds {
				t.seconds = n
			}
		}
	}
	return t, doc.Err() == nil && isToken(t.access) && (t.refresh == "" || isToken(t.refresh))
}

// lifeAt is how long the access token lives from now on: what the answer says, else what the
// token itself says, else a day.
func (t triple) lifeAt(now time.Time) time.Duration {
	if t.seconds > 0 {
		return time.Duration(t.seconds) * time.Second
	}
	if exp := unverifiedExpiry(t.access); exp > now.Unix() && exp-now.Unix() <= maxAccessSeconds {
		return time.Duration(exp-now.Unix()) * time.Second
	}
	return defaultAccessSeconds * time.Second
}

// unverifiedExpiry reads exp of a token that the portal itself gave us; 0 if it has none.
func unverifiedExpiry(token string) int64 {
	segments := strings.Split(token, ".")
	if len(segments) != 3 {
		return 0
	}
	claims, err := base64.RawURLEncoding.DecodeString(segments[1])
	if err != nil {
		return 0
	}
	doc, err := payload.Parse(claims, payload.Limits{MaxBytes: maxTokenBytes})
	if err != nil {
		return 0
	}
	if exp := doc.Float("exp"); exp > 0 && exp < latestExpiry {
		return int64(exp)
	}
	return 0
}
