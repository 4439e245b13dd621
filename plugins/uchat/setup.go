package main

import (
	"strconv"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// SetupConnection begins to set the webhook. UChat's handshake comes while the call is open,
// and sees only what is committed; so the call is left to reconcile.
func (c connector) SetupConnection(h pdk.Host, in *contract.SetupConnectionInput) (*contract.CommandOutput, error) {
	l, _, err := dial(h, in.Connection.Settings, c.now())
	if err != nil {
		return nil, err
	}
	l.out.Setup, l.out.Capabilities = l.set.steps(), l.set.capabilities()
	if problem := l.set.problem(); problem != "" {
		return &contract.CommandOutput{Failure: permanent("setting_invalid", problem)}, nil
	}
	if err := l.unpin(); err != nil {
		return nil, err
	}
	l.ch.began = l.now.UnixMilli()
	if l.set.manual() {
		return l.setupManually()
	}
	l.out.Commands = append(l.out.Commands, contract.CommandRequest{
		Lane: "webhook", Payload: workSet + " " + strconv.FormatInt(l.ch.began, 10),
	})
	return &l.out, l.enter(channelVerifying, contract.StateChange{
		State: contract.StateConnecting, Code: "verifying", Reason: "The webhook is being set; UChat verifies it at once.",
	})
}

// unpin forgets what was learned where the settings say how UChat signs, and lets go what was
// held until that was known.
func (l *link) unpin() error {
	if l.set.learns() {
		return nil
	}
	for _, key := range []string{keyPin, keyLearning} {
		if err := l.h.KVDelete(contract.KVDelete{Key: key}); err != nil {
			return err
		}
	}
	var by *scheme
	if l.set.signatureMode() == modeEnforce {
		s := l.set.enforced()
		by = &s
	}
	events, err := release(l.h, l.set, by)
	l.out.Events = append(l.out.Events, events...)
	return err
}

// setupManually waits for the handshake of a webhook that a person sets elsewhere. One that
// is verified already stays so under the same bot URL.
func (l *link) setupManually() (*contract.CommandOutput, error) {
	same := l.ch.botURL == l.set["bot_url"]
	l.ch.botURL = l.set["bot_url"]
	if l.ch.state != channelReady || !same {
		return &l.out, l.enter(channelVerifying, contract.StateChange{
			State: contract.StateConnecting, Code: "verifying", Reason: "Waiting for UChat's handshake, which comes when the webhook is set there.",
		})
	}
	change, next, err := ready(l.h, l.set, l.now)
	if err != nil {
		return nil, err
	}
	l.out.Commands = append(l.out.Commands, next...)
	return &l.out, l.enter(channelReady, change)
}

// steps is what a person does: nothing in UChat where we call its API.
func (s settings) steps() []contract.SetupStep {
	send := contract.SetupStep{
		Label: "Send one message from the bot",
		Help:  "Within 10 minutes after the webhook was verified, so that it can be learned how this UChat signs.",
	}
	var steps []contract.SetupStep
	if s.manual() {
		steps = []contract.SetupStep{
			{Label: "webhook_url", Value: "{{receive_url}}", Help: "Set it where your reseller lets you set the API Chat webhook."},
			{Label: "webhook_verification_key", Value: "{{secret:verification_key}}", Help: "Set it with the URL; UChat verifies both at once."},
		}
	} else {
		steps = []contract.SetupStep{{
			Label: "Enable the Api Chat add-on", Help: "UChat's support enables it for the workspace; some resellers charge for it.",
		}}
	}
	if s.learns() {
		steps = append(steps, send)
	}
	return steps
}

// TeardownConnection removes the webhook, if it is still ours, and stops whatever the answer.
func (c connector) TeardownConnection(h pdk.Host, in *contract.TeardownConnectionInput) (*contract.CommandOutput, error) {
	l, known, err := dial(h, in.Connection.Settings, c.now())
	if err != nil {
		return nil, err
	}
	if known && l.ch.state != channelRemoved && !l.set.manual() {
		l.farewell()
	}
	if known {
		l.ch.state = channelRemoved
		err = l.save()
	}
	l.report(contract.StateChange{State: contract.StateDisconnected, Code: "torn_down", Reason: "The connection was ended here."})
	return &l.out, err
}

func (l *link) farewell() {
	present, failure := l.partner.get()
	if failure == nil && present.url != "" && !present.ours() {
		l.h.Log(pdk.LogWarn, "the webhook was not removed: it is somebody else's now")
		return
	}
	if failure == nil && present.url != "" {
		failure = l.partner.remove()
	}
	if failure != nil {
		l.h.Log(pdk.LogWarn, "the webhook could not be removed", "code", failure.Code)
	}
}
