package main

import (
	"strconv"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

// SetupConnection begins a connection: it waits until a person of the business allowed the
// app, then a channel is made. For the app it says what to register.
func (connector) SetupConnection(h pdk.Host, in *contract.SetupConnectionInput) (*contract.CommandOutput, error) {
	c := &api{h: h, set: settingsOf(&in.Connection)}
	if in.Connection.IsApp {
		return c.setupApp(), nil
	}
	if problem := c.set.problem(); problem != "" {
		return failed(permanent("setting_invalid", problem)), nil
	}
	out := &contract.CommandOutput{Setup: steps(c.set), Capabilities: capabilities()}
	switch f, err := c.authorised(); {
	case err != nil:
		return nil, err
	case f != nil && f.Class == contract.FailurePermanent:
		return failed(f), nil
	case f != nil:
		out.Events = []contract.Event{{Kind: contract.EventConnectionState, State: &contract.StateChange{
			State: contract.StateNeedsAction, Code: f.Code, Reason: f.Message,
			Action: "Open the connection's authorisation link and allow the app, as a person of the business.",
		}}}
		return out, nil
	}
	return unlessChanged(out, c.setupChannel(out))
}

// setupChannel asks for what the channel lacks.
func (c *api) setupChannel(out *contract.CommandOutput) error {
	ch, err := loadChannel(c.h)
	if err != nil {
		return err
	}
	again := c.set.createAgain() && (ch.state == channelUnclear || ch.state == channelIntended || ch.state == channelDeleted || ch.state == channelMoved)
	switch {
	case ch.state == "" || again:
		next := channel{state: channelIntended, version: ch.version}
		out.Commands = append(out.Commands, *channelWork(workChannelCreate, 0))
		change := contract.StateChange{State: contract.StateConnecting, Code: "channel_pending", Reason: "The channel is being made in inTandem."}
		out.Events = append(out.Events, contract.Event{Kind: contract.EventConnectionState, State: &change})
		return next.save(c.h)
	case c.set.moveToApp() != "":
		out.Commands = append(out.Commands, *channelWork(workChannelMove, 0))
	case ch.mayBeActivated():
		ch.tries = 0
		out.Commands = append(out.Commands, *channelWork(workChannelActivate, 0))
		return ch.save(c.h)
	case ch.state == channelActive:
		out.Commands = append(out.Commands, *channelWork(workChannelOpen, 0))
		out.Events = append(out.Events, contract.Event{Kind: contract.EventConnectionState, State: connected(c.set.displayName())})
	}
	return nil
}

// setupApp tells the operator what to register with inTandem.
func (c *api) setupApp() *contract.CommandOutput {
	if problem := c.set.urlProblem(); problem != "" {
		return failed(permanent("setting_invalid", problem))
	}
	return &contract.CommandOutput{
		Setup: []contract.SetupStep{
			{Label: "redirect_uri", Value: "{{receive_url}}", Help: "Of the app, as created with POST /platform/v1/apps. It must be the very same text."},
			{Label: "api_uri", Value: "{{receive_url}}", Help: "The same: inTandem's guide is of two minds about which of the two its callbacks go to."},
			{Label: "app_type", Value: "communication", Help: "With scopes " + c.set.scopes() + ", and url_params business_uid and brand_host."},
			{Label: "Assign and install the app", Help: "POST /v3/apps/app_assignments for the directory, POST /v3/apps/business_app_installs for each business."},
		},
		Events: []contract.Event{{Kind: contract.EventConnectionState, State: &contract.StateChange{
			State: contract.StateConnected, Code: "ready", Reason: "Businesses can be connected through the app.",
		}}},
	}
}

// steps is what a tenant does.
func steps(set settings) []contract.SetupStep {
	return []contract.SetupStep{
		{Label: "Install the app", Help: "The app must be installed for the business in inTandem; its vendor or partner does that."},
		{Label: "Allow the app", Value: set.businessUID(), Help: "Open the connection's authorisation link and allow the app, as a person of this business."},
	}
}

// authorised says why the connection may not act for its business: nobody of the business
// allowed it, and the app's token would work for any business of the app. Channel, clients
// and sessions are one business's, so a connection never changes its business.
func (c *api) authorised() (*contract.Failure, error) {
	business, _, _, err := c.h.KVGet(keyBusiness)
	switch {
	case err != nil || business != "" && business == c.set.businessUID():
		return nil, err
	case business != "":
		return permanent("business_changed", "The connection belongs to another business than business_uid names now: "+
			"set it back, or make a new connection."), nil
	}
	return reauthorise("consent_missing", "Nobody of the business has allowed the app yet."), nil
}

// maxEndedSessions bounds how many sessions a teardown deletes one by one; the channel's
// end ends the others.
const maxEndedSessions = 20

// TeardownConnection deletes sessions and channel and revokes the business's token, each
// once, whatever the answers are.
func (connector) TeardownConnection(h pdk.Host, in *contract.TeardownConnectionInput) (*contract.CommandOutput, error) {
	if in.Connection.IsApp {
		return nil, nil // the platform is told nothing: the app may be used elsewhere
	}
	c := &api{h: h, set: settingsOf(&in.Connection)}
	ch, err := loadChannel(h)
	if err != nil {
		return nil, err
	}
	if business, _, _, err := h.KVGet(keyBusiness); business == "" || err != nil {
		return ended(), err // nothing was ever done for it
	}
	if ch.uid != "" && ch.state != channelDeleted && ch.state != channelMoved {
		if err := c.deleteSessions(); err != nil {
			return nil, err
		}
		c.farewell(request{method: "DELETE", path: channelPath(ch), bearer: c.set.token()})
	}
	c.farewell(request{
		method: "POST", path: "/platform/v1/tokens/revoke", bearer: contract.CredentialAppAccessToken, repeatable: true,
		body: payload.New().Text("token", pdk.Credential(contract.CredentialAccessToken)).End(),
	})
	return ended(), nil
}

func ended() *contract.CommandOutput {
	change := contract.StateChange{State: contract.StateDisconnected, Code: "torn_down", Reason: "The connection was ended here."}
	return &contract.CommandOutput{Events: []contract.Event{{Kind: contract.EventConnectionState, State: &change}}}
}

func (c *api) deleteSessions() error {
	list, err := c.h.KVList(contract.KVList{Prefix: prefixSession, Limit: maxEndedSessions})
	if err != nil {
		return err
	}
	for _, entry := range list.Entries {
		c.farewell(request{method: "DELETE", path: "/business/communication/sessions/" + entry.Key[len(prefixSession):], bearer: c.set.token()})
	}
	return nil
}

// farewell makes a call whose failure changes nothing.
func (c *api) farewell(r request) {
	if _, f := c.call(r); f != nil {
		c.h.Log(pdk.LogWarn, "inTandem did not take the end of something; the connection is ended all the same",
			"method", r.method, "code", f.Code)
	}
}

// CheckHealth asks the platform whose token it is, and for the channel's sessions.
func (connector) CheckHealth(h pdk.Host, in *contract.CheckHealthInput) (*contract.CommandOutput, error) {
	c := &api{h: h, set: settingsOf(&in.Connection)}
	if in.Connection.IsApp {
		return &contract.CommandOutput{Health: &contract.Health{CredentialsValid: true,
			Detail: "The app's service token is renewed every hour, which shows that its credentials work; there is nothing else to ask."}}, nil
	}
	if f, err := c.authorised(); f != nil || err != nil {
		return failed(f), err
	}
	a, f := c.call(request{method: "GET", path: "/oauth/userinfo", bearer: contract.CredentialAccessToken})
	if f != nil {
		return failed(f), nil
	}
	if uid := businessOf(a); uid != c.set.businessUID() {
		return failed(&contract.Failure{Class: contract.FailureReauthorise, Code: "business_mismatch",
			Message: "The token is not of the business of business_uid."}), nil
	}
	return c.checkChannel()
}

func (c *api) checkChannel() (*contract.CommandOutput, error) {
	ch, err := loadChannel(c.h)
	if err != nil {
		return nil, err
	}
	health := &contract.Health{CredentialsValid: true, CheckedAt: now(), Detail: "The token is the business's, and the channel is " + ch.state + "."}
	if ch.uid == "" {
		health.Detail = "The token is the business's; there is no channel yet."
		return &contract.CommandOutput{Health: health, Capabilities: capabilities()}, nil
	}
	filter := query("filter[channel_uid]", ch.uid, "filter[business_uid]", c.set.businessUID())
	a, f := c.call(request{method: "GET", path: "/business/communication/sessions", query: filter, bearer: c.set.token()})
	if f != nil && f.Class != contract.FailurePermanent {
		return failed(f), nil
	}
	if f != nil {
		health.Detail += " inTandem answered " + strconv.FormatInt(a.status, 10) + " when asked for its sessions."
	}
	return &contract.CommandOutput{Health: health, Capabilities: capabilities()}, nil
}

// capabilities is what every connection carries; plugin.yaml says the same.
func capabilities() []contract.Capability {
	return []contract.Capability{
		{Feature: "text", Support: contract.SupportPartial, Note: "Sent without formatting; a long text becomes several messages."},
		{Feature: "media", Support: contract.SupportFallback, Note: "Sent as a link in the text, which works for 24 hours."},
		{Feature: "choice", Support: contract.SupportFallback, Note: "Sent as text."},
		{Feature: "card", Support: contract.SupportFallback, Note: "Sent as text, the picture as a link."},
		{Feature: "carousel", Support: contract.SupportFallback, Note: "Sent as text, the pictures as links."},
		{Feature: "location", Support: contract.SupportFallback, Note: "Sent as text with a link to a map."},
		{Feature: "contact", Support: contract.SupportFallback, Note: "Sent as text."},
		{Feature: "raw", Support: contract.SupportFallback, Note: "Sent as its fallback text, or left out without one."},
		{Feature: "reply", Support: contract.SupportDropped, Note: "The platform has no answers to a particular message."},
		{Feature: "edit", Support: contract.SupportRejected, Note: "The platform has no way to change a message."},
		{Feature: "delete", Support: contract.SupportRejected, Note: "The platform has no way to take a message back."},
		{Feature: "typing", Support: contract.SupportFull, Note: "At most one signal in three seconds goes out."},
		{Feature: "reaction", Support: contract.SupportDropped, Note: "The platform has no reactions."},
		{Feature: "receipt", Support: contract.SupportFull, Note: "Sent, received, read and error, forward only."},
	}
}
