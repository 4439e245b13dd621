package main

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// callTimeoutMillis bounds one call to the platform, in milliseconds.
const callTimeoutMillis = 30_000

// api is the way to the platform during one command.
type api struct {
	h   pdk.Host
	set settings
}

// request is one call. A query is written by the caller, escaped.
type request struct {
	method, path, query, body string
	// bearer is the credential to use; empty sends none.
	bearer string
	// raw stands in for bearer while the host does not have the token yet.
	raw string
	// base names the setting with the host; empty means api_url.
	base string
	// repeatable tells that a repeat of the very request does no harm.
	repeatable bool
}

// answer is what the platform said.
type answer struct {
	status  int64
	headers []contract.Header
	doc     payload.Object // empty if the body is no JSON object
	// lost tells that there is no answer, and that the call may have taken effect.
	lost bool
}

func (a *answer) ok() bool { return a.status >= 200 && a.status < 300 }

// call makes one call. The failure says what it means that there is no answer of success;
// the answer is there in any case, for callers that know better.
func (c *api) call(r request) (*answer, *contract.Failure) {
	base := c.set.url("api_url")
	if r.base != "" {
		base = c.set.url(r.base)
	}
	url := base + r.path
	if r.query != "" {
		url += "?" + r.query
	}
	headers := []contract.Header{{Name: "Accept", Value: "application/json"}, {Name: "Content-Type", Value: "application/json"}}
	switch {
	case r.raw != "":
		headers = append(headers, contract.Header{Name: "Authorization", Value: "Bearer " + r.raw})
	case r.bearer != "":
		headers = append(headers, contract.Header{Name: "Authorization", Value: "Bearer " + pdk.Credential(r.bearer)})
	}
	result, err := c.h.HTTPSend(contract.HTTPRequest{
		Method: r.method, URL: url, Headers: headers, Body: r.body,
		TimeoutMillis: callTimeoutMillis, Idempotent: r.repeatable || r.method != "POST",
	})
	if err != nil {
		return &answer{lost: lost(err)}, unanswered(err)
	}
	a := &answer{status: result.Status, headers: result.Headers}
	if doc, err := payload.Parse([]byte(result.Body), payload.Limits{}); err == nil {
		a.doc = doc
	}
	if a.ok() {
		return a, nil
	}
	return a, a.failure()
}

// lost tells whether a call without answer may have taken effect.
func lost(err error) bool {
	refused := (*contract.HostError)(nil)
	return !errors.As(err, &refused) || !refused.Certain
}

// unanswered says what it means that the host brought no answer.
func unanswered(err error) *contract.Failure {
	switch contract.HostErrorCode(err) {
	case contract.HostUnauthorised:
		return &contract.Failure{Class: contract.FailureReauthorise, Code: "authorisation_missing",
			Message: "There is no valid token: let a person of the business allow the app again."}
	case contract.HostDenied, contract.HostInvalid:
		return permanent("egress_refused", "The host does not let this plugin make the call: check the plugin's grant and the app's URLs.")
	case contract.HostUnavailable:
		return retry("host_unavailable", "The call has to wait, for a token that is being renewed or a destination that fails.")
	}
	return retry("platform_unreachable", "inTandem did not answer.")
}

func permanent(code, message string) *contract.Failure {
	return &contract.Failure{Class: contract.FailurePermanent, Code: code, Message: message}
}

func retry(code, message string) *contract.Failure {
	return &contract.Failure{Class: contract.FailureRetry, Code: code, Message: message}
}

func retryAfter(code, message string, millis int64) *contract.Failure {
	return &contract.Failure{Class: contract.FailureRetryAfter, Code: code, Message: message, RetryAfterMillis: max(millis, 1)}
}

// failed is the output of a command that did not work.
func failed(f *contract.Failure) *contract.CommandOutput { return &contract.CommandOutput{Failure: f} }

// failure says what an answer without success means (protocol section 4, Errors).
func (a *answer) failure() *contract.Failure {
	status := strconv.FormatInt(a.status, 10)
	switch {
	case a.status == 401:
		return a.unauthorised()
	case a.status == 408 || a.status == 429 || a.status >= 500:
		if wait := pdk.RetryAfterMillis(a.headers); wait > 0 {
			return retryAfter("platform_unavailable", "inTandem answered "+status+".", wait)
		}
		return retry("platform_unavailable", "inTandem answered "+status+".")
	case a.status >= 300 && a.status < 400:
		return permanent("redirected", "inTandem answered with a redirect ("+status+"), and redirects are not followed: check the app's URLs.")
	}
	text := "inTandem answered " + status
	if said := a.said(); said != "" {
		text += ": " + said
	}
	return permanent("platform_refused", plain.Clip(text, 512)+".")
}

// unauthorised tells the four kinds of 401 apart, of which two are about the token.
func (a *answer) unauthorised() *contract.Failure {
	for _, e := range a.errors() {
		if e.message == "Unauthorized" {
			return permanent("business_context", "inTandem took the token and says that it is not for this business: "+
				"check that the app is installed for the business, and token_source.")
		}
	}
	if a.text("error") == "Unauthorized" {
		return permanent("business_foreign", "inTandem says that the business does not belong to the app's directory.")
	}
	return &contract.Failure{Class: contract.FailureReauthorise, Code: "token_refused", Message: "inTandem does not accept our token."}
}

// platformError is one element of the errors in an answer.
type platformError struct{ code, message string }

// errors reads the errors of an answer, in whatever form they come.
func (a *answer) errors() []platformError {
	var list []platformError
	for _, e := range a.doc.Objects("errors") {
		list = append(list, platformError{code: e.String("code"), message: e.String("message")})
	}
	return list
}

// text reads a text of the answer; what is none is empty.
func (a *answer) text(name string) string {
	if !strings.HasPrefix(string(a.doc.Raw(name)), `"`) {
		return ""
	}
	return a.doc.String(name)
}

// said is what the platform says went wrong, in its own words; may be empty.
func (a *answer) said() string {
	var words []string
	for _, e := range a.errors() {
		words = append(words, strings.TrimSpace(e.code+" "+e.message))
	}
	for _, name := range []string{"message", "error", "error_description"} {
		words = append(words, a.text(name))
	}
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), "; ")
}

// repeated tells whether an answer says that what was to be made is there already.
func (a *answer) repeated() bool {
	for _, e := range a.errors() {
		if e.code == "already_exists" || e.code == "duplicate" {
			return true
		}
	}
	return false
}
