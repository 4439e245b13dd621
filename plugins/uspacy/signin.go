package main

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

// asHostError finds the host's answer in an error.
func asHostError(err error, target **contract.HostError) bool { return errors.As(err, target) }

// tokenRefused is what a person has to mend.
func tokenRefused() *contract.Failure {
	return failed(contract.FailureReauthorise, "token_refused",
		"The portal refuses the app's tokens; have the app installed in the portal again.")
}

// recovered gets a new pair for a portal that refuses the refresh token, with the app's own
// credentials. It is tried once in a while only: a portal that removed the app is not to be
// asked for ever.
func recovered(h pdk.Host, in *contract.RefreshCredentialsInput, domain string) (*contract.CommandOutput, error) {
	app := appSettings(&in.Connection)
	if !app.allowSignIn() || app.clientID() == "" {
		return failing(tokenRefused()), nil
	}
	now := time.Now()
	value, _, _, err := h.KVGet(keySignIn)
	if err != nil {
		return nil, err
	}
	at, outcome, _ := strings.Cut(value, " ")
	last, err := strconv.ParseInt(at, 10, 64) // an entry that is not there is no number
	if wait := time.Unix(last, 0).Add(signInPause).Sub(now); err == nil && wait > 0 {
		if outcome == signInRefused {
			return failing(tokenRefused()), nil
		}
		failure := failed(contract.FailureRetryAfter, "sign_in_paused", "The app signed in at the portal a moment ago, and waits before it does so again.")
		failure.RetryAfterMillis = max(1, wait.Milliseconds())
		return failing(failure), nil
	}
	failure := signIn(h, app, domain)
	outcome = "tried"
	if failure != nil && failure.Class == contract.FailureReauthorise {
		outcome = signInRefused
	}
	err = h.KVPut(contract.KVPut{Key: keySignIn, Value: strconv.FormatInt(now.Unix(), 10) + " " + outcome, TTLSeconds: int64(signInPause / time.Second)})
	if err != nil {
		return nil, err
	}
	return failing(failure), nil
}

// signInRefused is the outcome of a sign-in that a portal refused.
const signInRefused = "refused"

// signIn makes the call. It has no effect that a second one would double, so that an answer
// which does not come is an outage.
func signIn(h pdk.Host, app settings, domain string) *contract.Failure {
	result, err := h.HTTPSend(contract.HTTPRequest{
		Method: "POST", URL: "https://" + domain + pathSignIn,
		Headers: []contract.Header{{Name: "Accept", Value: "application/json"}, {Name: "Content-Type", Value: "application/json"}},
		Body:    payload.New().Words("client_id", app.clientID()).Text("client_secret", pdk.Secret("client_secret")).End(),
	})
	if err != nil {
		return noAnswerToRefresh(err, true)
	}
	if result.Status >= 400 && result.Status < 500 && result.Status != 429 {
		return tokenRefused()
	}
	return keepTokens(h, result, true)
}
