package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/origin"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// The kinds of work that reconcile does, each with a number behind it.
const (
	workSet     = "set"     // set the webhook that setup_connection began to set then
	workLearned = "learned" // look whether it was learned until then how UChat signs
)

// Reconcile does what an earlier invocation asked for.
func (c connector) Reconcile(h pdk.Host, in *contract.ReconcileInput) (*contract.CommandOutput, error) {
	kind, number, _ := strings.Cut(in.Payload, " ")
	at, err := strconv.ParseInt(number, 10, 64)
	l, known, loaded := dial(h, in.Connection.Settings, c.now())
	switch {
	case err != nil:
		return &contract.CommandOutput{Failure: permanent("payload_unknown", "The payload is not of this plugin's making.")}, nil
	case loaded != nil:
		return nil, loaded
	case !known:
		return nil, nil
	case kind == workSet:
		return l.setWebhook(at)
	case kind == workLearned:
		return l.lookAtLearning(at)
	}
	return &contract.CommandOutput{Failure: permanent("payload_unknown", "There is no such work.")}, nil
}

// link is the way to the platform during one command; it keeps the connection's state.
type link struct {
	h       pdk.Host
	set     settings
	ch      channel
	seen    int64 // version of the channel's entry
	now     time.Time
	partner partner
	out     contract.CommandOutput
}

// dial reads the channel and tells whether there is one.
func dial(h pdk.Host, set settings, now time.Time) (*link, bool, error) {
	l := &link{h: h, set: set, now: now}
	var known bool
	var err error
	l.ch, l.seen, known, err = loadChannel(h)
	l.partner = partner{h: h, set: set, paths: l.ch.paths}
	return l, known, err
}

// save keeps the channel. A delivery or command that changed it meanwhile wins: the commit is
// then refused, and the command runs again.
func (l *link) save() error {
	l.ch.paths = l.partner.paths
	return l.h.KVPut(contract.KVPut{Key: keyChannel, Value: l.ch.encode(), CheckVersion: true, ExpectedVersion: l.seen})
}

// enter changes the channel's state; l.errs is for error.
func (l *link) enter(state string, change contract.StateChange) error {
	l.ch.state, l.ch.fault = state, ""
	l.report(change)
	return l.save()
}

// errs puts the channel into error, for which one side of UChat is at fault.
func (l *link) errs(fault string, change contract.StateChange) error {
	l.ch.state, l.ch.fault = channelError, fault
	l.report(change)
	return l.save()
}

func (l *link) report(change contract.StateChange) {
	l.out.Events = append(l.out.Events, contract.Event{Kind: contract.EventConnectionState, State: &change})
}

func (l *link) failed(f *contract.Failure) *contract.CommandOutput {
	l.out.Failure = f
	return &l.out
}

// needs is the state of a connection that a person has to mend.
func needs(code, reason, action string) contract.StateChange {
	return contract.StateChange{
		State: contract.StateNeedsAction, Code: code, Reason: plain.Clip(reason, contract.MaxNameBytes), Action: plain.Clip(action, contract.MaxNameBytes),
	}
}

// setWebhook sets the webhook, unless a later setup has begun since.
func (l *link) setWebhook(began int64) (*contract.CommandOutput, error) {
	if l.ch.state != channelVerifying || l.ch.began != began {
		return nil, nil
	}
	present, failure := l.partner.get()
	if failure != nil {
		return l.unset(failure)
	}
	if present.url != "" && !present.ours() && !l.set.replaceWebhook() {
		f := permanent("webhook_taken", "The workspace has a webhook of somebody else's.")
		return l.failed(f), l.enter(channelUnverified, needs(f.Code, f.Message,
			"Remove it in UChat, or switch replace_webhook on, and save the settings again."))
	}
	set, failure := l.partner.put()
	if failure != nil {
		return l.unset(failure)
	}
	if set.status != "verified" {
		return l.unverified(set.status)
	}
	if set.botURL == "" {
		if set, failure = l.partner.get(); failure != nil {
			return l.unset(failure)
		}
	}
	return l.verified(set.botURL)
}

// unset reports why the webhook could not be set. What may heal is tried again.
func (l *link) unset(f *contract.Failure) (*contract.CommandOutput, error) {
	switch f.Class {
	case contract.FailureRetry, contract.FailureRetryAfter:
		return l.failed(f), nil
	case contract.FailureReauthorise:
		change := needs(f.Code, f.Message, "Rotate partner_key to a valid key, which sets the webhook again.")
		if l.ch.botURL != "" { // it worked before, and messages still go out
			return l.failed(f), l.errs(faultPartner, change)
		}
		return l.failed(f), l.enter(channelUnverified, change)
	}
	return l.failed(f), l.enter(channelUnverified, needs(f.Code, f.Message, "Check workspace_id and the URLs in the settings, and save them again."))
}

// unverified reports that UChat does not take our word for the webhook.
func (l *link) unverified(status string) (*contract.CommandOutput, error) {
	last, err := lastHandshake(l.h)
	if err != nil {
		return nil, err
	}
	reason := "UChat's handshake did not reach us."
	if last >= l.ch.began {
		reason = "We answered UChat's handshake."
	}
	f := permanent("handshake_failed", reason+" UChat calls the webhook "+strconv.Quote(clip(status))+" instead of verified.")
	return l.failed(f), l.enter(channelUnverified, needs(f.Code, f.Message,
		"Check that this host's public URL can be reached from the Internet, and save the settings again."))
}

// verified keeps the bot URL, and says how far the connection is.
func (l *link) verified(botURL string) (*contract.CommandOutput, error) {
	if f := l.set.botProblem(botURL); f != nil {
		return l.failed(f), l.enter(channelUnverified, needs(f.Code, f.Message, "Add the host to bot_hosts if it is UChat's, and save the settings again."))
	}
	l.ch.botURL = botURL
	change, next, err := ready(l.h, l.set, l.now)
	if err != nil {
		return nil, err
	}
	l.out.Commands = append(l.out.Commands, next...)
	return &l.out, l.enter(channelReady, change)
}

// botProblem says why messages cannot be posted to a bot URL; nil if they can.
func (s settings) botProblem(url string) *contract.Failure {
	host, ok := origin.Host(url)
	switch {
	case !ok:
		return permanent("bot_url_refused", "The bot_url that UChat gave is no plain https URL.")
	case !s.botHost(host):
		return permanent("bot_host_refused", "The bot_url that UChat gave is on the host "+host+", which bot_hosts does not name.")
	}
	return nil
}

// lookAtLearning reports that a window closed without a pin, unless another opened since.
func (l *link) lookAtLearning(until int64) (*contract.CommandOutput, error) {
	window, found, err := loadLearning(l.h)
	if err != nil || !found || window.until != until || l.ch.state != channelReady {
		return nil, err
	}
	if _, open, err := readiness(l.h, l.set, l.now); err != nil || open {
		return nil, err
	}
	l.report(unlearned(window.names))
	return &l.out, nil
}
