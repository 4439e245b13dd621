package main

import (
	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/origin"
	"github.com/seed75a60ee1/patchbay/pdk/record"
)

// SetupConnection tells the tenant what to enter in ELMA365. The connection is connected
// once the platform's connect comes.
func (connector) SetupConnection(h pdk.Host, in *contract.SetupConnectionInput) (*contract.CommandOutput, error) {
	set := settings(in.Connection.Settings)
	if problem := set.problem(); problem != "" {
		return &contract.CommandOutput{Failure: permanent("setting_invalid", problem)}, nil
	}
	ch, _, found, err := loadChannel(h)
	if err != nil {
		return nil, err
	}
	out := &contract.CommandOutput{Setup: steps(set), Capabilities: set.capabilities()}
	if change := stateAtSetup(ch, found, set); change != nil {
		out.Events = []contract.Event{{Kind: contract.EventConnectionState, State: change}}
	}
	return out, nil
}

// stateAtSetup is the state that setup puts the connection into; nil leaves it.
func stateAtSetup(ch channel, found bool, set settings) *contract.StateChange {
	switch {
	case !found:
		return &contract.StateChange{
			State: contract.StateConnecting, Code: "awaiting_connect",
			Reason: "Waiting for ELMA365 to send connect, which it does when the messenger is saved there.",
		}
	case ch.state == channelActive && origin.Check(ch.url, set.companyURL()) != nil:
		return &contract.StateChange{
			State: contract.StateNeedsAction, Code: "callback_refused",
			Reason: "The callback URL that ELMA365 gave is not on the host of company_url.",
			Action: "Set company_url back, or allow the change and add the messenger in ELMA365 again.",
		}
	}
	return nil
}

// steps is what an administrator enters: Administration, Live chats, a live chat, the
// Messengers tab, the arbitrary messenger.
func steps(set settings) []contract.SetupStep {
	return []contract.SetupStep{
		{
			Label: "Webhook", Value: "{{receive_url}}",
			Help: "Administration → Live chats → your live chat → Messengers → add the arbitrary messenger.",
		},
		{
			Label: "Confirmation code", Value: "{{secret:token}}",
			Help: "One code belongs to one channel: do not use it for another.",
		},
		{
			Label: "Company's public URL", Value: set.companyURL(),
			Help: "Filled in already; it must be the same as this connection's setting.",
		},
	}
}

// TeardownConnection tells the platform once that we are gone, and stops whatever the
// answer.
func (connector) TeardownConnection(h pdk.Host, in *contract.TeardownConnectionInput) (*contract.CommandOutput, error) {
	l, failure, err := dial(h, &in.Connection)
	if err != nil {
		return nil, err
	}
	if failure == nil {
		l.farewell()
	}
	if failure == nil || failure.Code != "not_connected" {
		l.ch.state = channelDisconnected
		if err := h.KVPut(contract.KVPut{Key: keyChannel, Value: l.ch.encode()}); err != nil {
			return nil, err
		}
	}
	l.report(contract.StateChange{State: contract.StateDisconnected, Code: "torn_down", Reason: "The connection was ended here."})
	return &contract.CommandOutput{Events: l.events}, nil
}

// farewell posts disconnect.
func (l *link) farewell() {
	result, failure := l.post(envelope("disconnect", ""))
	switch {
	case failure != nil:
		l.h.Log(pdk.LogWarn, "disconnect did not reach ELMA365", "code", failure.Code)
	case result.Status != 200 && result.Status != 404:
		l.h.Log(pdk.LogWarn, "disconnect was not accepted", "code", refusal(result).Code)
	}
}

// CheckHealth tells what is known here. The protocol has nothing that could be asked of
// the platform without effect, so nothing is.
func (connector) CheckHealth(h pdk.Host, in *contract.CheckHealthInput) (*contract.CommandOutput, error) {
	ch, _, found, err := loadChannel(h)
	if err != nil {
		return nil, err
	}
	faults, err := record.Count(h, keyFaults)
	if err != nil {
		return nil, err
	}
	health := &contract.Health{CredentialsValid: found && ch.state == channelActive}
	switch {
	case !found:
		health.Detail = "ELMA365 has not sent connect yet."
	case ch.state == channelDisconnected:
		health.Detail = "The channel was ended; add the messenger in ELMA365 again."
	case ch.state == channelError:
		health.Detail = "ELMA365 refused our token at the last call."
	case faults >= maxFaults:
		health.Detail = "ELMA365 answers with server errors."
	default:
		health.Detail = "The channel is connected, and no call was refused since."
	}
	health.Detail += " This is what is known from traffic: ELMA365 offers no way to ask."
	return &contract.CommandOutput{Health: health, Capabilities: settings(in.Connection.Settings).capabilities()}, nil
}

// capabilities is what a connection with these settings carries; plugin.yaml says what it is by
// default.
func (s settings) capabilities() []contract.Capability {
	receipt := contract.Capability{Feature: "receipt", Support: contract.SupportFallback,
		Note: "A failure is told by a notice in the chat; other statuses have no way to be told."}
	if s["failure_notice"] == "false" {
		receipt.Support, receipt.Note = contract.SupportDropped, "The platform has no way to be told of statuses, and failure_notice is off."
	}
	return []contract.Capability{
		{Feature: "text", Support: contract.SupportPartial, Note: "Sent without formatting; a long text becomes several messages."},
		{Feature: "media", Support: contract.SupportFull, Note: "The platform downloads each file by a link that works for 24 hours."},
		{Feature: "choice", Support: contract.SupportFallback, Note: "Sent as text."},
		{Feature: "card", Support: contract.SupportFallback, Note: "Sent as text, the picture as a file."},
		{Feature: "carousel", Support: contract.SupportFallback, Note: "Sent as text, the pictures as files."},
		{Feature: "location", Support: contract.SupportFallback, Note: "Sent as text with a link to a map."},
		{Feature: "contact", Support: contract.SupportFallback, Note: "Sent as text."},
		{Feature: "raw", Support: contract.SupportFallback, Note: "Sent as its fallback text, or left out without one."},
		{Feature: "reply", Support: contract.SupportDropped, Note: "The platform has no answers to a particular message."},
		{Feature: "edit", Support: contract.SupportRejected, Note: "The platform has no way to change a message."},
		{Feature: "delete", Support: contract.SupportRejected, Note: "The platform has no way to take a message back."},
		{Feature: "typing", Support: contract.SupportDropped, Note: "The platform has no typing signal."},
		{Feature: "reaction", Support: contract.SupportDropped, Note: "The platform has no reactions."},
		receipt,
	}
}
