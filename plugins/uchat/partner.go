package main

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// callTimeoutMillis bounds one call to the platform, in milliseconds. UChat's handshake comes
// while a set call is open.
const callTimeoutMillis = 30_000

// partner is the API by which a workspace's webhook is set: UChat's own, in one of two
// versions of its paths, or a reseller's.
type partner struct {
	h   pdk.Host
	set settings
	// paths is "v1" once the current ones turned out not to be there.
	paths string
}

// webhook is what the platform says of a workspace's webhook.
type webhook struct {
	url    string
	status string // webhook_status
	botURL string
}

// ours tells whether the webhook is this connection's: its URL went along with the request,
// so the host has put the placeholder back.
func (w webhook) ours() bool { return w.url == pdk.Credential(contract.CredentialReceiveURL) }

// get reads the workspace's webhook; an empty one if there is none.
func (p *partner) get() (webhook, *contract.Failure) {
	var result *contract.HTTPResult
	var failure *contract.Failure
	if p.set.style() == styleReseller {
		result, failure = p.reseller("get-webhook", p.account().End())
	} else {
		result, failure = p.call("GET", "/apichat-webhook", "")
	}
	if failure != nil {
		return webhook{}, failure
	}
	if result.Status == 404 && p.set.style() != styleReseller {
		return webhook{}, nil // none yet; a wrong workspace is told by what follows
	}
	return readWebhook(result)
}

// put sets the workspace's webhook to this connection's.
func (p *partner) put() (webhook, *contract.Failure) {
	body := func(o *payload.Writer) string {
		return o.Text("webhook_url", pdk.Credential(contract.CredentialReceiveURL)).
			Text("webhook_verification_key", pdk.Secret("verification_key")).End()
	}
	var result *contract.HTTPResult
	var failure *contract.Failure
	if p.set.style() == styleReseller {
		result, failure = p.reseller("set-webhook", body(p.account()))
	} else {
		result, failure = p.versioned("POST", "/set-apichat-webhook", body(payload.New()))
	}
	if failure != nil {
		return webhook{}, failure
	}
	return readWebhook(result)
}

// remove takes the workspace's webhook away.
func (p *partner) remove() *contract.Failure {
	var result *contract.HTTPResult
	var failure *contract.Failure
	if p.set.style() == styleReseller {
		result, failure = p.reseller("delete-webhook", p.account().End())
	} else {
		result, failure = p.versioned("DELETE", "/remove-apichat-webhook", "")
	}
	if failure == nil && (result.Status < 200 || result.Status > 299) {
		failure = refusal(result)
	}
	return failure
}

// versioned calls a current path and, where it is not there, that of version 1.
func (p *partner) versioned(method, path, body string) (*contract.HTTPResult, *contract.Failure) {
	const older = "/apichat-webhook"
	which := cmp.Or(p.paths, p.set["partner_paths"])
	if p.set["partner_paths"] == "current" {
		which = "current"
	}
	if which == "v1" {
		return p.call(method, older, body)
	}
	result, failure := p.call(method, path, body)
	if failure != nil || which == "current" || result.Status != 404 && result.Status != 405 {
		return result, failure
	}
	result, failure = p.call(method, older, body)
	if failure == nil && result.Status != 404 && result.Status != 405 {
		p.paths = "v1"
	}
	return result, failure
}

// call makes one call of the partner API.
func (p *partner) call(method, path, body string) (*contract.HTTPResult, *contract.Failure) {
	base := strings.TrimSuffix(p.set["partner_url"], "/") + "/api/partner/workspace/"
	return p.send(method, base+p.set.workspace()+path, body)
}

// account is what every body of a reseller's endpoint holds.
func (p *partner) account() *payload.Writer {
	return payload.New().Words("workspace", p.set.workspace()).Words("email", p.set["reseller_email"]).
		Text("ChaveApi", pdk.Secret("reseller_key"))
}

func (p *partner) reseller(action, body string) (*contract.HTTPResult, *contract.Failure) {
	return p.send("POST", p.set["reseller_url"]+"?action="+action, body)
}

// send makes one call. All of them can be repeated without harm. The answers name the
// webhook's URL and key in clear; both go along where they are not in the body, so that the
// host takes them out of the answer, and so that we recognise our own.
func (p *partner) send(method, url, body string) (*contract.HTTPResult, *contract.Failure) {
	r := contract.HTTPRequest{
		Method: method, URL: url, Body: body, TimeoutMillis: callTimeoutMillis, Idempotent: true,
		Headers: []contract.Header{
			{Name: "Authorization", Value: "Bearer " + pdk.Secret("partner_key")},
			{Name: "Accept", Value: "application/json"},
		},
	}
	if body != "" {
		r.Headers = append(r.Headers, contract.Header{Name: "Content-Type", Value: "application/json"})
	}
	if !strings.Contains(body, pdk.Secret("verification_key")) {
		r.Headers = append(r.Headers,
			contract.Header{Name: "X-Webhook-Url", Value: pdk.Credential(contract.CredentialReceiveURL)},
			contract.Header{Name: "X-Webhook-Verification-Key", Value: pdk.Secret("verification_key")})
	}
	result, err := p.h.HTTPSend(r)
	if err != nil {
		return nil, unsent(err)
	}
	return result, nil
}

// readWebhook reads an answer of success, which is the same for get and set.
func readWebhook(r *contract.HTTPResult) (webhook, *contract.Failure) {
	if r.Status < 200 || r.Status > 299 {
		return webhook{}, refusal(r)
	}
	doc, err := payload.Parse([]byte(r.Body), payload.Limits{})
	if err != nil || r.Truncated {
		return webhook{}, permanent("answer_unreadable", "UChat answered "+strconv.FormatInt(r.Status, 10)+" with something else than JSON: check the URL.")
	}
	if status := text(doc, "status"); status != "ok" && status != "" {
		return webhook{}, permanent("platform_refused", "UChat answered with status "+clip(status)+"."+complaint(r.Body))
	}
	data := either(doc, "data", '{')
	w := webhook{url: text(data, "webhook_url"), status: text(data, "webhook_status"), botURL: text(data, "bot_url")}
	return w, nil
}

// unsent says what it means that there is no answer to a call that can be repeated.
func unsent(err error) *contract.Failure {
	switch contract.HostErrorCode(err) {
	case contract.HostDenied, contract.HostInvalid, contract.HostNotFound:
		return permanent("egress_refused", "The host does not let this plugin make the call: check the plugin's grant, the hosts in the "+
			"settings, and whether the keys are set.")
	case contract.HostUnauthorised:
		return &contract.Failure{Class: contract.FailureReauthorise, Code: "token_refused", Message: "A key is missing."}
	}
	return retry("platform_unreachable", "UChat did not answer.")
}

// refusal says what an answer without success means.
func refusal(r *contract.HTTPResult) *contract.Failure {
	status := "UChat answered " + strconv.FormatInt(r.Status, 10) + "."
	switch {
	case r.Status == 401 || r.Status == 403:
		return &contract.Failure{
			Class: contract.FailureReauthorise, Code: "token_refused",
			Message: plain.Clip(status+" The key is wrong, or the Api Chat add-on is off."+complaint(r.Body), contract.MaxNameBytes),
		}
	case r.Status == 408 || r.Status == 429 || r.Status >= 500:
		f := retry("platform_unavailable", status)
		if wait := pdk.RetryAfterMillis(r.Headers); wait > 0 {
			f.Class, f.RetryAfterMillis = contract.FailureRetryAfter, wait
		}
		return f
	case r.Status >= 300 && r.Status < 400:
		return permanent("redirected", status+" Redirects are not followed: check the URL.")
	}
	return permanent("platform_refused", status+complaint(r.Body))
}

// complaint reads why something was refused. The format is not documented.
func complaint(body string) string {
	doc, err := payload.Parse([]byte(body), payload.Limits{MaxBytes: 64 << 10})
	if err != nil {
		return ""
	}
	words := cmp.Or(text(doc, "message"), text(doc, "error"))
	if words == "" && doc.Has("errors") {
		words = strings.ReplaceAll(wordsOf(doc.Raw("errors")), "\n", " ")
	}
	if words == "" {
		return ""
	}
	return " It says: " + plain.Clip(oneLine(words), 300)
}

func permanent(code, message string) *contract.Failure {
	return &contract.Failure{Class: contract.FailurePermanent, Code: code, Message: plain.Clip(message, contract.MaxNameBytes)}
}

func retry(code, message string) *contract.Failure {
	return &contract.Failure{Class: contract.FailureRetry, Code: code, Message: message}
}
