package main

import (
	"strconv"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/origin"
	"github.com/seed75a60ee1/patchbay/pdk/record"
)

// callTimeoutMillis bounds one call to the platform, in milliseconds.
const callTimeoutMillis = 30_000

// maxFaults is how many answers 5xx in a row make a connection degraded.
const maxFaults = 10

// link is the way to the platform during one command: it calls, tells what an answer
// means (protocol section 4) and keeps the connection's state (section 7).
type link struct {
	h    pdk.Host
	set  settings
	ch   channel
	seen int64 // version of the channel's entry
	// events is what happened on the way, for the command's output.
	events []contract.Event
}

// dial reads the channel. The failure says why there is nobody to call.
func dial(h pdk.Host, c *contract.Connection) (*link, *contract.Failure, error) {
	l := &link{h: h, set: c.Settings}
	ch, version, found, err := loadChannel(h)
	if err != nil {
		return nil, nil, err
	}
	l.ch, l.seen = ch, version
	switch {
	case !found:
		return l, permanent("not_connected", "ELMA365 has not sent connect yet: add the messenger in the live chat's settings, "+
			"with the webhook and the confirmation code of this connection."), nil
	case ch.state == channelDisconnected:
		return l, permanent("disconnected", "The channel was ended: add the messenger in ELMA365 again."), nil
	case origin.Check(ch.url, l.set.companyURL()) != nil:
		return l, permanent("callback_refused", "The callback URL is not on the company's host any more: set company_url back, "+
			"or add the messenger in ELMA365 again."), nil
	}
	return l, nil, nil
}

func permanent(code, message string) *contract.Failure {
	return &contract.Failure{Class: contract.FailurePermanent, Code: code, Message: message}
}

func retry(code, message string) *contract.Failure {
	return &contract.Failure{Class: contract.FailureRetry, Code: code, Message: message}
}

// post makes one call. A repeat of a message carries the same id, so that it is safe to
// repeat also where nobody knows whether it arrived.
func (l *link) post(body string) (*contract.HTTPResult, *contract.Failure) {
	result, err := l.h.HTTPSend(contract.HTTPRequest{
		Method: "POST",
		URL:    l.ch.url,
		Headers: []contract.Header{
			{Name: "Content-Type", Value: "application/json; charset=utf-8"},
			{Name: "Accept", Value: "application/json"},
		},
		Body: body, TimeoutMillis: callTimeoutMillis, Idempotent: true,
	})
	if err == nil {
		return result, nil
	}
	switch contract.HostErrorCode(err) {
	case contract.HostDenied, contract.HostInvalid:
		return nil, permanent("egress_refused", "The host does not let this plugin call the callback URL: check the plugin's grant "+
			"and whether the company's host is a public address.")
	}
	return nil, retry("platform_unreachable", "ELMA365 did not answer.")
}

// deliver posts a body whose refusal concerns the whole connection, and keeps the
// connection's state by the answer.
func (l *link) deliver(body string) (*contract.Failure, error) {
	result, failure := l.post(body)
	if failure != nil {
		return failure, nil
	}
	switch status := result.Status; {
	case status >= 200 && status < 300:
		return nil, l.healthy(status)
	case status == 401:
		return l.tokenRefused()
	case status == 404:
		return l.channelGone()
	case status >= 500:
		if err := l.fault(); err != nil {
			return nil, err
		}
	default:
		if err := l.faultless(); err != nil {
			return nil, err
		}
	}
	return refusal(result), nil
}

// refusal says what an answer without success means for what was posted.
func refusal(r *contract.HTTPResult) *contract.Failure {
	status := strconv.FormatInt(r.Status, 10)
	switch {
	case r.Status == 429 || r.Status >= 500:
		f := retry("platform_unavailable", "ELMA365 answered "+status+".")
		if wait := pdk.RetryAfterMillis(r.Headers); wait > 0 {
			f.Class, f.RetryAfterMillis = contract.FailureRetryAfter, wait
		}
		return f
	case r.Status == 408:
		return retry("platform_unavailable", "ELMA365 answered "+status+".")
	case r.Status >= 300 && r.Status < 400:
		return permanent("redirected", "ELMA365 answered with a redirect ("+status+"), and redirects are not followed: "+
			"check the company's URL.")
	}
	return permanent("platform_refused", "ELMA365 answered "+status+".")
}

// healthy notes an answer of success: what was wrong before is not any more.
func (l *link) healthy(status int64) error {
	if status != 200 {
		l.h.Log(pdk.LogWarn, "success is documented as 200 only; taken as success", "status", strconv.FormatInt(status, 10))
	}
	faults, err := record.Count(l.h, keyFaults)
	if err != nil {
		return err
	}
	if faults > 0 {
		if err := l.h.KVDelete(contract.KVDelete{Key: keyFaults}); err != nil {
			return err
		}
	}
	if faults < maxFaults && l.ch.state == channelActive {
		return nil
	}
	return l.enter(channelActive, contract.StateChange{
		State: contract.StateConnected, Code: "recovered", Reason: "ELMA365 takes messages again.",
	})
}

// faultless ends a row of answers 5xx.
func (l *link) faultless() error {
	faults, err := record.Count(l.h, keyFaults)
	if err != nil || faults == 0 {
		return err
	}
	return l.h.KVDelete(contract.KVDelete{Key: keyFaults})
}

// fault counts an answer 5xx.
func (l *link) fault() error {
	faults, err := record.Count(l.h, keyFaults)
	if err != nil {
		return err
	}
	faults++
	if err := l.h.KVPut(contract.KVPut{Key: keyFaults, Value: strconv.FormatInt(faults, 10)}); err != nil {
		return err
	}
	if faults != maxFaults {
		return nil
	}
	l.report(contract.StateChange{
		State: contract.StateDegraded, Code: "platform_unavailable",
		Reason: "ELMA365 answered with a server error " + strconv.Itoa(maxFaults) + " times in a row; messages are kept and sent again.",
	})
	return nil
}

// tokenRefused notes an answer 401.
func (l *link) tokenRefused() (*contract.Failure, error) {
	f := &contract.Failure{
		Class: contract.FailureReauthorise, Code: "token_refused",
		Message: "ELMA365 does not accept our token.",
	}
	if l.ch.state == channelError {
		return f, nil
	}
	return f, l.enter(channelError, contract.StateChange{
		State: contract.StateNeedsAction, Code: f.Code, Reason: f.Message,
		Action: "Compare the confirmation code in ELMA365 with this connection's, or set outbound_token, and send again.",
	})
}

// channelGone notes an answer 404.
func (l *link) channelGone() (*contract.Failure, error) {
	f := permanent("channel_gone", "ELMA365 does not know the channel any more: add the messenger in ELMA365 again.")
	return f, l.enter(channelDisconnected, contract.StateChange{
		State: contract.StateDisconnected, Code: f.Code, Reason: f.Message,
	})
}

// enter changes the channel's state. A connect that came in the meantime wins: the
// commit is then refused and the command runs again, against the new channel.
func (l *link) enter(state string, change contract.StateChange) error {
	l.ch.state = state
	l.report(change)
	return l.h.KVPut(contract.KVPut{
		Key: keyChannel, Value: l.ch.encode(), CheckVersion: true, ExpectedVersion: l.seen,
	})
}

// report adds a connection.state event.
func (l *link) report(change contract.StateChange) {
	l.events = append(l.events, contract.Event{Kind: contract.EventConnectionState, State: &change})
}

// failed is the output of a command that did not work.
func (l *link) failed(f *contract.Failure) *contract.CommandOutput {
	return &contract.CommandOutput{Failure: f, Events: l.events}
}
