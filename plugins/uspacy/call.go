package main

import (
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/record"
)

// callTimeoutMillis bounds one call to the portal, in milliseconds.
const callTimeoutMillis = 30_000

// The services of a portal.
const (
	pathLines    = "/messenger/v1/external-lines"
	pathChats    = "/messenger/v1/chats"
	pathMessages = "/messenger/v1/messages"
	pathFiles    = "/files/v1/files"
	pathTotals   = "/files/v1/totals/size"
)

// portal is the way to the portal during one invocation.
type portal struct {
	h          pdk.Host
	set        settings
	domain     string // as the installation proved it
	connection contract.ConnectionID
	// events is what happened on the way, and commands what is to be done next, for the
	// command's output.
	events   []contract.Event
	commands []contract.CommandRequest
}

// dial finds the portal. The failure says why there is none.
func dial(h pdk.Host, c *contract.Connection) (*portal, *contract.Failure, error) {
	p := &portal{h: h, set: c.Settings, connection: c.ID}
	domain, failure, err := portalOf(h, p.set)
	p.domain = domain
	return p, failure, err
}

// maxRetryAfterMillis bounds a wait that the portal asks for, in milliseconds: five minutes, as
// Uspacy's own client has it.
const maxRetryAfterMillis = 5 * 60 * 1000

func permanent(code, message string) *contract.Failure {
	return &contract.Failure{Class: contract.FailurePermanent, Code: code, Message: message}
}

func retry(code, message string) *contract.Failure {
	return &contract.Failure{Class: contract.FailureRetry, Code: code, Message: message}
}

// again asks for the next attempt after some milliseconds: what was found out is to be committed
// first.
func again(code, message string, millis int64) *contract.Failure {
	return &contract.Failure{Class: contract.FailureRetryAfter, Code: code, Message: message, RetryAfterMillis: millis}
}

// failed is the output of a command that did not work.
func (p *portal) failed(f *contract.Failure) *contract.CommandOutput {
	return &contract.CommandOutput{Failure: f, Events: p.events, Commands: p.commands}
}

// report adds a connection.state event.
func (p *portal) report(change contract.StateChange) {
	p.events = append(p.events, contract.Event{Kind: contract.EventConnectionState, State: &change})
}

// request is a call with the access token. repeatable tells that the same call twice is as good
// as once.
func (p *portal) request(method, path, body string, repeatable bool) contract.HTTPRequest {
	r := contract.HTTPRequest{
		Method: method, URL: "https://" + p.domain + path, Body: body,
		Headers: []contract.Header{
			{Name: "Authorization", Value: "Bearer " + pdk.Credential(contract.CredentialAccessToken)},
			{Name: "Accept", Value: "application/json"},
		},
		TimeoutMillis: callTimeoutMillis, Idempotent: repeatable || method == "GET",
	}
	if body != "" {
		r.Headers = append(r.Headers, contract.Header{Name: "Content-Type", Value: "application/json"})
	}
	return r
}

// call makes one call. The failure is set if there is no answer.
func (p *portal) call(method, path, body string, repeatable bool) (*contract.HTTPResult, *contract.Failure) {
	result, err := p.h.HTTPSend(p.request(method, path, body, repeatable))
	if err != nil {
		return nil, unanswered(err)
	}
	return result, nil
}

// codeNoAnswer is the failure of a call that may have taken effect.
const codeNoAnswer = "platform_unreachable"

// unanswered says what it means that a call has no answer.
func unanswered(err error) *contract.Failure {
	switch contract.HostErrorCode(err) {
	case contract.HostDenied, contract.HostInvalid:
		return permanent("egress_refused", "The host does not let this plugin call the portal: check the plugin's grant and portal_url.")
	case contract.HostUnauthorised:
		return &contract.Failure{Class: contract.FailureReauthorise, Code: "token_missing",
			Message: "There is no token for the portal: install the app there again."}
	case contract.HostUnavailable, contract.HostQuota:
		return retry("host_unavailable", "The call could not be made now.")
	}
	return retry(codeNoAnswer, "The portal did not answer.")
}

func succeeded(r *contract.HTTPResult) bool { return r.Status >= 200 && r.Status < 300 }

// refused says what an answer without success means (protocol section 4.6).
func refused(r *contract.HTTPResult) *contract.Failure {
	status := strconv.FormatInt(r.Status, 10)
	switch {
	case r.Status == 401:
		return &contract.Failure{Class: contract.FailureReauthorise, Code: "token_refused", Message: "The portal does not accept the token."}
	case r.Status == 403:
		return permanent(codeForbidden, "The portal does not allow it (403).")
	case r.Status == 404:
		return permanent("not_found", "The portal does not know it (404).")
	case r.Status == 413:
		return permanent("too_large", "It is too large for the portal.")
	case r.Status == 408 || r.Status == 429 || r.Status >= 500:
		if wait := min(pdk.RetryAfterMillis(r.Headers), maxRetryAfterMillis); wait > 0 {
			return again("platform_unavailable", "The portal answered "+status+".", wait)
		}
		return retry("platform_unavailable", "The portal answered "+status+".")
	case r.Status >= 300 && r.Status < 400:
		return permanent("redirected", "The portal answered with a redirect ("+status+"), and redirects are not followed.")
	}
	return permanent("platform_refused", "The portal answered "+status+".")
}

// codeForbidden is the failure of a call that was answered 403.
const codeForbidden = "forbidden"

// maxForbidden is how many answers 403 in a row mean that the app was removed.
const maxForbidden = 5

// ended notes how a command ended, and makes its output. Commands that fail with 403 again and
// again mean that the portal took the app's rights away.
func (p *portal) ended(out *contract.CommandOutput, f *contract.Failure) (*contract.CommandOutput, error) {
	if out == nil {
		out = new(contract.CommandOutput)
	}
	out.Failure = f
	count, err := record.Count(p.h, keyForbidden)
	switch {
	case err != nil:
		return nil, err
	case f != nil && f.Code == codeForbidden:
		err = p.forbidden(count + 1)
	case f == nil && count > 0:
		err = p.allowed(count)
	}
	out.Events = append(out.Events, p.events...)
	out.Commands = append(out.Commands, p.commands...)
	return out, err
}

func (p *portal) forbidden(count int64) error {
	if count == maxForbidden {
		p.report(contract.StateChange{
			State: contract.StateNeedsAction, Code: "app_forbidden",
			Reason: "The portal refuses every call of the app (403).",
			Action: "Check in the portal that the app is installed and allowed, or install it again.",
		})
	}
	return p.h.KVPut(contract.KVPut{Key: keyForbidden, Value: strconv.FormatInt(min(count, maxForbidden), 10), TTLSeconds: ttlForbidden})
}

func (p *portal) allowed(count int64) error {
	if count >= maxForbidden {
		p.report(contract.StateChange{State: contract.StateConnected, Code: "recovered", Reason: "The portal takes calls of the app again."})
	}
	return p.h.KVDelete(contract.KVDelete{Key: keyForbidden})
}

// What an answer of a portal may hold.
var answerLimits = payload.Limits{MaxBytes: 2 << 20, MaxValues: 100_000}

// object reads an answer that is an object; it is empty if the answer is none.
func answerObject(r *contract.HTTPResult) payload.Object {
	o, err := payload.Parse([]byte(r.Body), answerLimits)
	if err != nil || r.Truncated {
		return payload.Object{}
	}
	return o
}

// answerList reads an answer that is an array of objects, or an object with one in the field
// data; false if it is neither.
func answerList(r *contract.HTTPResult) ([]payload.Object, bool) {
	if r.Truncated {
		return nil, false
	}
	o, err := payload.Parse([]byte(`{"data":`+r.Body+`}`), answerLimits)
	if err != nil {
		return nil, false
	}
	if inner := o.Raw("data"); inner.Kind() == '{' {
		o = o.Object("data")
	}
	list := o.Objects("data")
	return list, o.Has("data") && o.Err() == nil
}

// unreadable is the failure of an answer that is not what the protocol says.
func unreadable() *contract.Failure {
	return retry("answer_unreadable", "The portal's answer could not be read.")
}

// escaped writes an id or a name so that it stands for itself in a path or a query (RFC 3986
// section 2.1). Braces are escaped too, so that nobody brings a placeholder along.
func escaped(text string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isDigit(c) || c == '-' || c == '_' || c == '.' {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', digits[c>>4], digits[c&15]})
	}
	return b.String()
}
