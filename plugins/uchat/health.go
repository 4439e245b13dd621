package main

import (
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/origin"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// CheckHealth asks the partner API for the webhook, without effect. In manual style there is
// nobody to ask.
func (c connector) CheckHealth(h pdk.Host, in *contract.CheckHealthInput) (*contract.CommandOutput, error) {
	l, known, err := dial(h, in.Connection.Settings, c.now())
	if err != nil {
		return nil, err
	}
	l.out.Capabilities = l.set.capabilities()
	switch {
	case !known:
		l.healthy(false, "The connection has not been set up yet.", time.Time{})
		return &l.out, nil
	case l.set.manual() || l.ch.state == channelRemoved:
		return &l.out, l.knownHealth()
	}
	present, failure := l.partner.get()
	if failure != nil {
		return l.failed(failure), nil
	}
	return l.compare(present)
}

func (l *link) healthy(valid bool, detail string, at time.Time) {
	l.out.Health = &contract.Health{CredentialsValid: valid, Detail: plain.Clip(detail, contract.MaxNameBytes), CheckedAt: at}
}

// compare holds what UChat says against what is known.
func (l *link) compare(present webhook) (*contract.CommandOutput, error) {
	switch {
	case l.ch.state == channelVerifying:
		l.healthy(true, "The webhook is being set.", l.now)
		return &l.out, nil
	case !present.ours():
		l.healthy(true, "The workspace has no webhook of ours any more.", l.now)
		return &l.out, l.gone()
	case present.status != "verified" && l.ch.state == channelReady:
		l.healthy(true, "UChat does not call the webhook verified any more.", l.now)
		return &l.out, l.enter(channelUnverified, needs("webhook_unverified", "UChat calls the webhook "+clip(present.status)+".",
			"Save the connection's settings again, which sets the webhook anew."))
	}
	change, _, err := readiness(l.h, l.set, l.now)
	if err != nil {
		return nil, err
	}
	l.healthy(true, change.Reason, l.now)
	if l.ch.state == channelError && l.ch.fault == faultPartner {
		return &l.out, l.enter(channelReady, change)
	}
	if present.botURL == l.ch.botURL || l.ch.state != channelReady {
		return &l.out, nil
	}
	_, err = l.moveBot(present.botURL)
	return &l.out, err
}

// gone notes that the webhook is no longer ours (protocol section 7).
func (l *link) gone() error {
	if l.ch.state == channelRemoved || l.ch.state == channelUnverified {
		return nil
	}
	return l.enter(channelRemoved, contract.StateChange{
		State: contract.StateDisconnected, Code: "webhook_replaced",
		Reason: "The workspace's webhook was removed or replaced in UChat; save the connection's settings to set it again.",
	})
}

// moveBot takes another bot URL, if it is on the host of the one before: only a setup may
// move a connection to another host.
func (l *link) moveBot(url string) (*contract.Failure, error) {
	was, _ := origin.Host(l.ch.botURL)
	host, ok := origin.Host(url)
	if !ok || host != was || !l.set.botHost(host) {
		f := permanent("bot_url_moved", "UChat names a bot_url on another host than before.")
		return f, l.errs(faultBot, needs(f.Code, f.Message, "Check bot_hosts, and save the connection's settings to set the webhook anew."))
	}
	l.ch.botURL = url
	return nil, l.save()
}

// knownHealth tells what is known here.
func (l *link) knownHealth() error {
	change, _, err := readiness(l.h, l.set, l.now)
	if err != nil {
		return err
	}
	detail := map[string]string{
		channelVerifying: "UChat's handshake has not come yet.",
		channelReady:     change.Reason,
		channelError:     "UChat refused our key at the last call.",
		channelRemoved:   "The connection has ended.",
	}[l.ch.state]
	l.healthy(l.ch.state == channelReady, detail+" This is what is known here: nobody was asked.", time.Time{})
	return nil
}

// capabilities is what a connection with these settings carries; plugin.yaml says what it is by
// default.
func (s settings) capabilities() []contract.Capability {
	media := contract.Capability{Feature: "media", Support: contract.SupportPartial,
		Note: "UChat downloads each file by a link that works for 24 hours; each is a message of its own, and a voice note is an audio file there."}
	picture, pictures := "as an image", "as images"
	if s.mediaAsLink() {
		media.Support, media.Note = contract.SupportFallback, "Sent as a link in a message of its own, which works for 24 hours."
		picture, pictures = "as a link", "as links"
	}
	return []contract.Capability{
		{Feature: "text", Support: contract.SupportPartial, Note: "Sent without formatting; a long text becomes several messages."},
		media,
		{Feature: "choice", Support: contract.SupportFallback, Note: "Sent as text."},
		{Feature: "card", Support: contract.SupportFallback, Note: "Sent as text, the picture " + picture + "."},
		{Feature: "carousel", Support: contract.SupportFallback, Note: "Sent as text, the pictures " + pictures + "."},
		{Feature: "location", Support: contract.SupportFallback, Note: "Sent as text with a link to a map."},
		{Feature: "contact", Support: contract.SupportFallback, Note: "Sent as text."},
		{Feature: "postback", Support: contract.SupportFull, Note: "A part of kind raw with kind postback presses a button of UChat's; see the README."},
		{Feature: "raw", Support: contract.SupportFallback, Note: "Sent as its fallback text, or left out without one."},
		{Feature: "reply", Support: contract.SupportDropped, Note: "The platform has no answers to a particular message."},
		{Feature: "edit", Support: contract.SupportRejected, Note: "The platform has no way to change a message."},
		{Feature: "delete", Support: contract.SupportRejected, Note: "The platform has no way to take a message back."},
		{Feature: "typing", Support: contract.SupportDropped, Note: "The platform has no typing signal."},
		{Feature: "reaction", Support: contract.SupportDropped, Note: "The platform has no reactions."},
		{Feature: "receipt", Support: contract.SupportDropped, Note: "The platform takes no delivery or read reports."},
	}
}
