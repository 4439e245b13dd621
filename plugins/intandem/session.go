package main

import (
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// The states of a session: the platform's (protocol section 7), and three of our own. The
// platform says "inactive" both when it validated a session and when it refuses to
// activate one; only our own states tell which it is.
const (
	sessionPending  = "pending"
	sessionInactive = "inactive" // validated, or over
	sessionActive   = "active"
	sessionDeleted  = "deleted"
	sessionFailed   = "failed"

	sessionActivating = "activating" // asked to be active, and not confirmed yet
	sessionWaiting    = "waiting"    // refused, and asked again later
	sessionRefused    = "refused"    // refused for good
)

// activationRetries is when an activation that was refused is tried again, in
// milliseconds; confirmMillis is how long one may go without a word.
var activationRetries = []int64{5_000, 30_000, 120_000}

const confirmMillis = 60_000

// Work on a session; see reconcile.go.
const (
	workActivate = "activate" // note that it is asked to be active
	workPut      = "put"      // ask
	workConfirm  = "confirm"  // look whether it was answered
)

// sessionWork is a piece of work: "kind tries chat". It is about the session in the state
// in which it had been refused so many times.
func sessionWork(kind string, p person, afterMillis int64) *contract.CommandRequest {
	return &contract.CommandRequest{
		Lane: laneOf("session/"+p.chat, afterMillis), AfterMillis: afterMillis,
		Payload: kind + " " + strconv.FormatInt(p.tries, 10) + " " + p.chat,
	}
}

// laneOf is the lane of work. What is to be done later has one of its own: in a lane with
// others it would keep what comes after it waiting.
func laneOf(lane string, afterMillis int64) string {
	if afterMillis > 0 {
		return ""
	}
	return lane
}

// readWork takes a piece of work "kind count id" apart.
func readWork(payload string) (kind string, tries int64, chat string, ok bool) {
	kind, rest, _ := strings.Cut(payload, " ")
	digits, chat, ok := strings.Cut(rest, " ")
	tries, err := strconv.ParseInt(digits, 10, 64)
	return kind, tries, chat, ok && err == nil && fits(chat)
}

// sessionState notes what the platform says of a session.
func (d *delivery) sessionState() (*contract.ReceiveOutput, error) {
	status, refused := d.status()
	if refused != nil {
		return refused, nil
	}
	chat, err := loadText(d.h, prefixSession, d.uid)
	if err != nil {
		return nil, err
	}
	if chat == "" {
		return unknown("session"), nil
	}
	p, err := loadPerson(d.h, chat)
	if err != nil {
		return nil, err
	}
	if p.uid != d.uid {
		return accepted(), nil // an earlier session of the person's
	}
	next, work := p.on(status, d.at)
	if next == p {
		return accepted(), nil
	}
	out := accepted()
	if work != nil {
		out.Commands = append(out.Commands, *work)
	}
	return out, next.save(d.h)
}

// on is what a status of the platform's makes of a session: its next state, and what is
// to be done.
func (p person) on(status string, at int64) (person, *contract.CommandRequest) {
	next := p
	if p.state == sessionDeleted {
		return p, nil // terminal
	}
	switch {
	case status == sessionActive:
		next.state, next.tries, next.waits, next.ended = sessionActive, 0, 0, 0
	case status == sessionInactive && p.state == sessionPending:
		next.state, next.tries = sessionInactive, 0 // validated
		return next, sessionWork(workActivate, next, 0)
	case status == sessionInactive && p.state == sessionActivating:
		return p.refused(at)
	case status == sessionInactive && p.state == sessionActive:
		next.state, next.tries = sessionInactive, 0
	case status == sessionFailed:
		next.state, next.ended = sessionFailed, at
	case status == sessionDeleted:
		next.state, next.ended = sessionDeleted, 0
	}
	return next, nil // pending, a repeat, or a word that we do not know, changes nothing
}

// refused is a session whose activation was refused: tried again later, or for good.
func (p person) refused(at int64) (person, *contract.CommandRequest) {
	if p.tries >= int64(len(activationRetries)) {
		p.state, p.ended = sessionRefused, at
		return p, nil
	}
	wait := activationRetries[p.tries]
	p.state = sessionWaiting
	p.tries++
	return p, sessionWork(workActivate, p, wait)
}

// workOnSession does one piece of work on a session. That it is asked to be active is
// noted and committed before it is asked, since the answer comes as a callback, perhaps
// while the call is still open.
func (c *api) workOnSession(kind string, tries int64, chat string) (*contract.CommandOutput, error) {
	p, err := loadPerson(c.h, chat)
	if err != nil || p.uid == "" || p.tries != tries {
		return nil, err
	}
	out := new(contract.CommandOutput)
	switch {
	case kind == workActivate && (p.state == sessionInactive || p.state == sessionWaiting):
		p.state = sessionActivating
		out.Commands = append(out.Commands, *sessionWork(workPut, p, 0))
		return out, p.save(c.h)
	case kind == workPut && p.state == sessionActivating:
		return c.putSession(p)
	case kind == workConfirm && p.state == sessionActivating:
		c.h.Log(pdk.LogWarn, "inTandem did not say whether it activated a session; it is taken as refused", "session", p.uid)
		return c.refusedActivation(p)
	}
	return nil, nil // it has been done, or is not wanted any more
}

// putSession asks the platform to activate a session. What it answers is provisional.
func (c *api) putSession(p person) (*contract.CommandOutput, error) {
	a, f := c.call(request{method: "PUT", path: "/business/communication/sessions/" + p.uid, body: `{"status":"active"}`, bearer: c.set.token()})
	switch {
	case f == nil:
		return &contract.CommandOutput{Commands: []contract.CommandRequest{*sessionWork(workConfirm, p, confirmMillis)}}, nil
	case a.status == 404:
		p.state = sessionDeleted
		return nil, p.save(c.h)
	case f.Class == contract.FailurePermanent:
		c.h.Log(pdk.LogWarn, "inTandem did not take the activation of a session", "session", p.uid, "why", f.Message)
		return c.refusedActivation(p)
	}
	return failed(f), nil
}

func (c *api) refusedActivation(p person) (*contract.CommandOutput, error) {
	next, work := p.refused(millis())
	out := new(contract.CommandOutput)
	if work != nil {
		out.Commands = append(out.Commands, *work)
	}
	return out, next.save(c.h)
}
