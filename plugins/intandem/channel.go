package main

import (
	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// The states of a channel: the platform's (protocol section 7), and three of our own.
const (
	channelPending  = "pending"
	channelActive   = "active"
	channelInactive = "inactive"
	channelBlocked  = "blocked"
	channelError    = "error"
	channelDeleted  = "deleted"

	channelIntended = "intended" // is about to be created
	channelUnclear  = "unclear"  // may have been created
	channelMoved    = "moved"    // belongs to another app now
)

// channelRetries is when to ask a channel that is not active to be so, after it was made
// or after it failed, in milliseconds.
var channelRetries = []int64{30_000, 120_000, 600_000}

// channelState notes what the platform says of the channel.
func (d *delivery) channelState() (*contract.ReceiveOutput, error) {
	status, refused := d.status()
	if refused != nil {
		return refused, nil
	}
	ch, err := loadChannel(d.h)
	if err != nil {
		return nil, err
	}
	if ch.uid != d.uid {
		if adopted := d.adoptable(ch); !adopted {
			return unknown("channel"), nil
		}
		ch.uid, ch.tries = d.uid, 0
		d.h.Log(pdk.LogInfo, "an operator assigned a channel to this connection, which takes it for its own", "channel", d.uid)
	}
	next, work, change := ch.on(status, d.set.displayName())
	if next == ch && change == nil {
		return accepted(), nil
	}
	if err := next.save(d.h); err != nil {
		return nil, err
	}
	out := accepted()
	if work != nil {
		out.Commands = append(out.Commands, *work)
	}
	if change != nil {
		out.Events = append(out.Events, contract.Event{Kind: contract.EventConnectionState, State: change})
	}
	return out, nil
}

// adoptable tells whether a channel that this connection does not know may be taken for
// its own: nobody but an operator can have sent it here, and it is the one whose creation
// was never answered.
func (d *delivery) adoptable(ch channel) bool {
	return d.routed && ch.uid == "" && ch.state == channelUnclear
}

// on is what a status of the platform's makes of the channel: its next state, what is to
// be done, and what the connection's state becomes; nil leaves it.
func (ch channel) on(status, name string) (channel, *contract.CommandRequest, *contract.StateChange) {
	next := ch
	if ch.state == channelDeleted || ch.state == channelMoved {
		return ch, nil, nil // terminal
	}
	next.state = status
	switch status {
	case channelActive:
		next.tries = 0
		if ch.state == channelActive {
			return ch, nil, nil
		}
		return next, channelWork(workChannelOpen, 0), connected(name)
	case channelInactive:
		if ch.state != channelActive { // pending for it: ask for more
			return next, channelWork(workChannelActivate, 0), nil
		}
		return next, nil, &contract.StateChange{State: contract.StateDegraded, Code: "channel_inactive",
			Reason: "The channel was switched off in inTandem. Messages wait a while for it to be switched on again."}
	case channelError:
		if ch.tries >= int64(len(channelRetries)) {
			return next, nil, stuck()
		}
		return next, channelWork(workChannelActivate, channelRetries[ch.tries]), nil
	case channelBlocked:
		return next, nil, &contract.StateChange{State: contract.StateNeedsAction, Code: "channel_blocked",
			Reason: "inTandem blocked the channel.", Action: "Ask inTandem why the channel is blocked."}
	case channelDeleted:
		return next, nil, &contract.StateChange{State: contract.StateDisconnected, Code: "channel_deleted",
			Reason: "The channel was deleted in inTandem; create_again lets setup make another."}
	}
	return ch, nil, nil // pending, or a word that we do not know
}

func connected(name string) *contract.StateChange {
	return &contract.StateChange{State: contract.StateConnected, Code: "channel_active", Reason: "inTandem activated the channel " + plain.Clip(name, 100) + "."}
}

// stuck is for a channel that does not become active however often it is asked.
func stuck() *contract.StateChange {
	return &contract.StateChange{State: contract.StateNeedsAction, Code: "channel_stuck", Reason: "inTandem does not activate the channel.",
		Action: "Check in inTandem that the app is installed for the business, then set the connection up again."}
}

// Work on the channel; see reconcile.go.
const (
	workChannelSetup    = "channel_setup"    // see what it lacks
	workChannelCreate   = "channel_create"   // make it
	workChannelActivate = "channel_activate" // ask it to be active
	workChannelOpen     = "channel_open"     // tell it to be an open one, if it shall be
	workChannelMove     = "channel_move"     // hand it to another app
)

func channelWork(kind string, afterMillis int64) *contract.CommandRequest {
	return &contract.CommandRequest{Lane: laneOf("channel", afterMillis), AfterMillis: afterMillis, Payload: kind}
}

// workOnChannel does one piece of work on the channel.
func (c *api) workOnChannel(kind string) (*contract.CommandOutput, error) {
	ch, err := loadChannel(c.h)
	if err != nil {
		return nil, err
	}
	switch {
	case kind == workChannelSetup:
		out := new(contract.CommandOutput)
		return out, c.setupChannel(out)
	case kind == workChannelCreate && ch.state == channelIntended:
		return c.createChannel(ch)
	case kind == workChannelActivate && ch.mayBeActivated():
		return c.activateChannel(ch)
	case kind == workChannelOpen && ch.state == channelActive && c.set.openChannel():
		_, f := c.call(request{method: "PUT", path: channelPath(ch), body: `{"open_channel":true}`, bearer: c.set.token()})
		return failed(f), nil
	case kind == workChannelMove && ch.uid != "" && ch.state != channelMoved && ch.state != channelDeleted && c.set.moveToApp() != "":
		return c.moveChannel(ch)
	}
	return nil, nil // it has been done, or is not wanted any more
}

func channelPath(ch channel) string { return "/business/communication/channels/" + ch.uid }

func (ch channel) mayBeActivated() bool {
	return ch.uid != "" && (ch.state == channelPending || ch.state == channelError || ch.state == channelInactive)
}

// createChannel makes the channel. The platform does not know a repeat from a second
// channel, so after an answer that got lost nothing is repeated.
func (c *api) createChannel(ch channel) (*contract.CommandOutput, error) {
	body := payload.New().Text("business_uid", c.set.businessUID()).Text("type", c.set.channelType()).Words("display_name", c.set.displayName()).End()
	a, f := c.call(request{method: "POST", path: "/business/communication/channels", body: body, bearer: c.set.token()})
	made := a.doc.Object("data").Object("channel")
	uid, status := made.Identifier("uid"), made.String("status")
	switch {
	case a.lost || f == nil && !isUID(uid) || a.status == 408 || a.status >= 500:
		ch.state = channelUnclear
		out := &contract.CommandOutput{Events: []contract.Event{{Kind: contract.EventConnectionState, State: &contract.StateChange{
			State: contract.StateNeedsAction, Code: "channel_unclear",
			Reason: "inTandem did not say whether it made the channel, and making it again might make a second one.",
			Action: "If the business has the channel in inTandem, have an operator assign it; if not, set create_again and set the connection up again.",
		}}}}
		return out, ch.keep(c.h)
	case f != nil && f.Class == contract.FailurePermanent: // setup may intend another
		ch.state = ""
		return failed(f), ch.save(c.h)
	case f != nil:
		return failed(f), nil
	}
	ch.uid, ch.state, ch.tries = uid, channelPending, 0
	if err := c.h.RoutePut(routeChannel + uid); err != nil {
		return taken("channel", err)
	}
	next, work, change := ch.on(status, c.set.displayName())
	out := new(contract.CommandOutput)
	if work == nil && next.state != channelActive { // pending: the callback follows
		work = channelWork(workChannelActivate, channelRetries[0])
	}
	if work != nil {
		out.Commands = append(out.Commands, *work)
	}
	if change != nil {
		out.Events = append(out.Events, contract.Event{Kind: contract.EventConnectionState, State: change})
	}
	return out, next.keep(c.h)
}

// taken says that a uid belongs to another connection of the app already.
func taken(what string, err error) (*contract.CommandOutput, error) {
	if contract.HostErrorCode(err) != contract.HostConflict {
		return nil, err
	}
	return failed(permanent(what+"_taken", "Another connection of the app has that "+what+" already.")), nil
}

// activateChannel asks the platform to activate the channel, which it confirms by a
// callback; if none comes, it is asked again.
func (c *api) activateChannel(ch channel) (*contract.CommandOutput, error) {
	if ch.tries >= int64(len(channelRetries)) {
		return &contract.CommandOutput{Events: []contract.Event{{Kind: contract.EventConnectionState, State: stuck()}}}, nil
	}
	_, f := c.call(request{method: "PUT", path: channelPath(ch), body: `{"status":"active"}`, bearer: c.set.token()})
	if f != nil && f.Class != contract.FailurePermanent {
		return failed(f), nil
	}
	if f != nil {
		c.h.Log(pdk.LogWarn, "inTandem refused to activate the channel; it is asked again", "why", f.Message)
	}
	wait := channelRetries[ch.tries]
	ch.tries++
	out := &contract.CommandOutput{Commands: []contract.CommandRequest{*channelWork(workChannelActivate, wait)}}
	return out, ch.save(c.h)
}

// moveChannel hands the channel to another app, which ends this connection.
func (c *api) moveChannel(ch channel) (*contract.CommandOutput, error) {
	body := payload.New().Words("app_uid", c.set.moveToApp()).End()
	if _, f := c.call(request{method: "PUT", path: channelPath(ch), body: body, bearer: c.set.token()}); f != nil {
		return failed(f), nil
	}
	ch.state = channelMoved
	if err := c.h.RouteDelete(routeChannel + ch.uid); err != nil {
		return nil, err
	}
	return &contract.CommandOutput{Events: []contract.Event{{Kind: contract.EventConnectionState, State: &contract.StateChange{
		State: contract.StateDisconnected, Code: "channel_moved", Reason: "The channel was moved to the app " + plain.Clip(c.set.moveToApp(), 100) + ".",
	}}}}, ch.keep(c.h)
}
