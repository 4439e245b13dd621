package main

import (
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

// A customer's message waits until channel and session are active: the command that sends
// it fails with retry_after, and the lane of its conversation keeps the order. The wait
// grows with the time waited, within these bounds, in milliseconds.
const (
	shortestWait = 500
	longestWait  = 10_000
)

// wait is the failure of a message that waits since a time.
func wait(since int64, code, message string) *contract.Failure {
	return retryAfter(code, message, min(max((millis()-since)/5, shortestWait), longestWait))
}

// readyChannel says why nothing can be sent to the channel now; nil if it can.
func (c *api) readyChannel(ch channel, command contract.CommandInfo) *contract.Failure {
	switch {
	case ch.state == channelActive:
		return nil
	case ch.state == channelDeleted || ch.state == channelMoved:
		return permanent("channel_gone", "The channel was ended; the connection has to be set up again.")
	case ch.state == channelBlocked:
		return permanent("channel_blocked", "inTandem blocked the channel.")
	}
	since := createdMillis(command)
	if millis()-since > c.set.holdMillis() {
		return permanent("channel_inactive", "inTandem did not activate the channel in time.")
	}
	return wait(since, "channel_inactive", "The message waits for inTandem to activate the channel.")
}

// readySession says why nothing can be sent in a person's session yet; nil if it can. It
// begins what is needed, and saves what it changes.
func (c *api) readySession(p *person, ch channel, command contract.CommandInfo, out *contract.CommandOutput) (*contract.Failure, error) {
	if p.state == sessionActive {
		return nil, nil
	}
	created := createdMillis(command)
	if p.ended >= created && (p.state == sessionRefused || p.state == sessionFailed) {
		return permanent("session_"+p.state, "inTandem did not activate a session with the person."), nil
	}
	over := p.waits != 0 && millis()-p.waits > c.set.holdMillis()
	if over && created <= p.waits+c.set.holdMillis() {
		return permanent("session_timeout", "inTandem did not activate a session with the person in time."), nil
	}
	before := p.waits
	if over || before == 0 {
		p.waits = millis()
	}
	var failure *contract.Failure
	if p.waits != before || !p.underWay() {
		var err error
		if failure, err = c.beginSession(p, ch, out); err != nil {
			return nil, err
		}
	}
	switch {
	case p.state == sessionActive:
	case failure == nil:
		failure = wait(p.waits, "session_activating", "The message waits for inTandem to activate a session with the person.")
	case failure.Code != "channel_inactive":
		p.waits = before // nothing is under way that could be waited for
	}
	return failure, p.save(c.h)
}

// underWay tells whether something is expected to make the session active.
func (p *person) underWay() bool {
	switch p.state {
	case sessionPending, sessionInactive, sessionActivating, sessionWaiting:
		return true
	}
	return false
}

// beginSession does the first step toward an active session: one that is there is used
// again, before another is made.
func (c *api) beginSession(p *person, ch channel, out *contract.CommandOutput) (*contract.Failure, error) {
	switch p.state {
	case sessionInactive, sessionRefused:
		p.state, p.tries, p.ended = sessionInactive, 0, 0
		out.Commands = append(out.Commands, *sessionWork(workActivate, *p, 0))
		return nil, nil
	case sessionPending, sessionActivating, sessionWaiting: // nothing was heard for long
		found, f := c.findSession(p, ch)
		if f != nil || found == nil {
			return f, nil
		}
		return c.adopt(p, found, out)
	}
	return c.createSession(p, ch, out)
}

// createSession makes a session. One that is there already is adopted: the platform has
// one for each client and channel.
func (c *api) createSession(p *person, ch channel, out *contract.CommandOutput) (*contract.Failure, error) {
	body := payload.New().Text("business_uid", c.set.businessUID()).Text("channel_uid", ch.uid).
		Text("contact_uid", p.client).Words("external_uid", p.chat).End()
	a, f := c.call(request{method: "POST", path: "/business/communication/sessions", body: body, bearer: c.set.token(), repeatable: true})
	if f == nil {
		made := a.doc.Object("data").Object("session")
		if uid := made.Identifier("uid"); isUID(uid) {
			return c.adopt(p, &foundSession{uid: uid, state: made.String("status")}, out)
		}
		return retry("platform_unreadable", "inTandem made a session and did not say which."), nil
	}
	if a.status != 422 && !a.repeated() {
		return f, nil
	}
	found, lookup := c.findSession(p, ch)
	switch {
	case lookup != nil:
		return lookup, nil
	case found != nil:
		return c.adopt(p, found, out)
	case strings.Contains(strings.ToLower(a.said()), "active"): // the channel is not, whatever we heard last
		return wait(p.waits, "channel_inactive", "inTandem says that the channel is not active; the message waits."), nil
	}
	return f, nil
}

// foundSession is a session as the platform lists it.
type foundSession struct{ uid, state string }

// findSession looks for the session of a person's client. It is nil if there is none.
func (c *api) findSession(p *person, ch channel) (*foundSession, *contract.Failure) {
	filter := func(form func(string) string) string {
		return query(form("channel_uid"), ch.uid, form("business_uid"), c.set.businessUID(), form("contact_uid"), p.client)
	}
	r := request{method: "GET", path: "/business/communication/sessions", bearer: c.set.token()}
	r.query = filter(func(name string) string { return "filter[" + name + "]" })
	a, f := c.call(r)
	if f != nil && f.Class == contract.FailurePermanent && a.status >= 400 && a.status < 500 && a.status != 401 {
		r.query = filter(func(name string) string { return name })
		a, f = c.call(r)
	}
	if f != nil {
		return nil, f
	}
	var best *foundSession
	for _, s := range a.doc.Object("data").Objects("sessions") {
		uid, state := s.Identifier("uid"), s.String("status")
		contact, external := s.Identifier("contact_uid"), s.Identifier("external_uid")
		if !isUID(uid) || contact != "" && contact != p.client || external != "" && external != p.chat ||
			state == sessionDeleted || state == sessionFailed {
			continue
		}
		if best == nil || state == sessionActive {
			best = &foundSession{uid, state}
		}
	}
	return best, nil
}

// adopt takes a session for the person's own, in the state that the platform says.
func (c *api) adopt(p *person, s *foundSession, out *contract.CommandOutput) (*contract.Failure, error) {
	if p.uid != s.uid {
		p.uid = s.uid
		if err := c.h.RoutePut(routeSession + s.uid); err != nil {
			f, err := taken("session", err)
			if err != nil {
				return nil, err
			}
			return f.Failure, nil
		}
		if err := saveText(c.h, prefixSession+s.uid, p.chat); err != nil {
			return nil, err
		}
	}
	p.tries, p.ended = 0, 0
	switch s.state {
	case sessionActive:
		p.state, p.waits = sessionActive, 0
	case sessionInactive:
		p.state = sessionInactive
		out.Commands = append(out.Commands, *sessionWork(workActivate, *p, 0))
	case sessionFailed:
		p.state, p.ended = sessionFailed, millis()
	default:
		p.state = sessionPending
	}
	return nil, nil
}
