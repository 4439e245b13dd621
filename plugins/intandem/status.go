package main

import (
	"strconv"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
	"github.com/seed75a60ee1/patchbay/pdk/record"
)

// The statuses of a message (protocol section 7).
const (
	statusPending        = "pending"
	statusChannelPending = "channel_pending"
	statusSent           = "sent"
	statusReceived       = "received"
	statusRead           = "read"
	statusError          = "error"
	statusUnavailable    = "unavailable"
)

// ranks orders the statuses of success. The guide says "active" of a message that was
// validated, which is in no list: it counts as received.
var ranks = [...]struct {
	status string
	rank   int
}{{statusPending, 1}, {statusChannelPending, 2}, {statusSent, 3}, {statusReceived, 4}, {"active", 4}, {statusRead, 5}}

// rankOf tells how far a status of success is; 0 is none of them.
func rankOf(status string) int {
	for i := range ranks {
		if ranks[i].status == status {
			return ranks[i].rank
		}
	}
	return 0
}

// Ranks from which on a message counts as delivered or read.
const (
	rankDelivered = 4
	rankRead      = 5
)

// fails tells whether a status ends a message, unless a success follows.
func fails(status string) bool { return status == statusError || status == statusUnavailable }

// progress is how far a message got: the best rank that was reported, and whether it
// failed since.
type progress struct {
	rank   int
	failed bool
}

// on is what a status makes of the progress. What would lower the rank is ignored, a
// failure of something that was read too, and so is a word that we do not know.
func (p progress) on(status string) progress {
	rank := rankOf(status)
	switch {
	case fails(status) && p.rank < rankRead:
		p.failed = true
	case rank > p.rank:
		p.rank, p.failed = rank, p.failed && rank < rankDelivered
	}
	return p
}

func (p progress) encode() string {
	return payload.New().Number("rank", int64(p.rank)).Flag("failed", p.failed).End()
}

func loadProgress(h pdk.Host, uid string) (progress, error) {
	r, _, found, err := record.Read(h, prefixRank+uid)
	if err != nil || !found {
		return progress{}, err
	}
	return progress{rank: int(r.Int("rank")), failed: r.Bool("failed")}, record.Check(r)
}

// messageState notes how far a message that we posted got.
func (d *delivery) messageState() (*contract.ReceiveOutput, error) {
	status, refused := d.status()
	if refused != nil {
		return refused, nil
	}
	if refused, err := d.ownChannel(); refused != nil || err != nil {
		return refused, err
	}
	if rankOf(status) == 0 && !fails(status) {
		d.h.Log(pdk.LogWarn, "a message has a status that is not known; it is left at that", "status", status)
		return accepted(), nil
	}
	record, known, err := loadSent(d.h, d.uid)
	if err != nil {
		return nil, err
	}
	before, err := loadProgress(d.h, d.uid)
	if err != nil {
		return nil, err
	}
	after := before.on(status)
	if after == before {
		return accepted(), nil
	}
	ttl := int64(ttlMessage)
	if !known {
		ttl = ttlEarly
	}
	out := accepted()
	if !known { // it may have overtaken the answer to our call
		out.Commands = []contract.CommandRequest{*earlyWork(d.uid, 0)}
	} else if out.Events, err = report(d.h, record, d.uid, before, after); err != nil {
		return nil, err
	}
	return out, d.h.KVPut(contract.KVPut{Key: prefixRank + d.uid, Value: after.encode(), TTLSeconds: ttl})
}

// report is the event for a message of which a piece just got further; none while other
// pieces have not. Of the failures the first is reported.
func report(h pdk.Host, s sent, uid string, before, after progress) ([]contract.Event, error) {
	least, was := after.rank, before.rank
	for i := range int(s.pieces) {
		piece := pieceUID(s.message, i)
		if piece == uid {
			continue
		}
		p, err := loadProgress(h, piece)
		if err != nil {
			return nil, err
		}
		least, was = min(least, p.rank), min(was, p.rank)
	}
	switch {
	case after.failed && !before.failed:
		return []contract.Event{statusEvent(s, contract.StatusReport{Status: contract.MessageFailed,
			Failure: permanent("platform_failed", "inTandem reported that the message could not be processed.")})}, nil
	case least >= rankRead && was < rankRead:
		return []contract.Event{statusEvent(s, contract.StatusReport{Status: contract.MessageRead})}, nil
	case least >= rankDelivered && was < rankDelivered:
		return []contract.Event{statusEvent(s, contract.StatusReport{Status: contract.MessageDelivered})}, nil
	}
	return nil, nil
}

func statusEvent(s sent, r contract.StatusReport) contract.Event {
	r.PlatformID = contract.PlatformMessageID(s.message)
	return contract.Event{
		Kind: contract.EventMessageStatus, Conversation: &contract.Conversation{ID: contract.ConversationID(s.chat)}, Status: &r,
	}
}

// workEarly looks again at a status that came before its message was noted.
const workEarly = "early"

// earlyDelays is when to look, in milliseconds; a post is noted within the time that a
// call may take.
var earlyDelays = []int64{1_000, 10_000, 60_000, 300_000}

func earlyWork(uid string, count int) *contract.CommandRequest {
	return &contract.CommandRequest{
		Lane: "early/" + uid, AfterMillis: earlyDelays[count], Payload: workEarly + " " + strconv.Itoa(count) + " " + uid,
	}
}

// early reports a status that came before its message was noted; one of a message that we
// never posted is forgotten in the end.
func early(h pdk.Host, count int64, uid string) (*contract.CommandOutput, error) {
	record, known, err := loadSent(h, uid)
	if err != nil {
		return nil, err
	}
	after, err := loadProgress(h, uid)
	if err != nil {
		return nil, err
	}
	if known {
		events, err := report(h, record, uid, progress{}, after)
		return &contract.CommandOutput{Events: events}, err
	}
	if next := int(count) + 1; next < len(earlyDelays) {
		return &contract.CommandOutput{Commands: []contract.CommandRequest{*earlyWork(uid, next)}}, nil
	}
	h.Log(pdk.LogWarn, "a status came for a message that we never posted", "message", plain.Clip(uid, 64))
	return nil, nil
}

// reported is the platform's word for how far a business's message got with the customer;
// "" for what it does not want to know.
func reported(status contract.MessageStatus) string {
	switch status {
	case contract.MessageSent:
		return statusSent
	case contract.MessageDelivered:
		return statusReceived
	case contract.MessageRead:
		return statusRead
	case contract.MessageFailed:
		return statusError
	}
	return ""
}

// SendReceipt reports how far a business's message got with the customer.
func (connector) SendReceipt(h pdk.Host, in *contract.SendReceiptInput) (*contract.CommandOutput, error) {
	c := &api{h: h, set: settingsOf(&in.Connection)}
	uid, status := string(in.Status.PlatformID), reported(in.Status.Status)
	m, known, err := loadStaffMessage(h, uid)
	if err != nil {
		return nil, err
	}
	ch, err := loadChannel(h)
	switch {
	case err != nil:
		return nil, err
	case status == "":
		return nil, nil // queued is nothing that the platform wants to know
	case !known || ch.uid == "":
		return failed(permanent("message_unknown", "The business sent no such message.")), nil
	case !further(m.status, status):
		return nil, nil
	}
	if f, err := c.authorised(); f != nil || err != nil {
		return failed(f), err
	}
	body := payload.New().Text("status", status).Text("channel_uid", ch.uid).End()
	if _, f := c.call(request{method: "PUT", path: "/business/communication/messages/" + escape(uid), body: body, bearer: c.set.token()}); f != nil {
		return failed(f), nil
	}
	m.status = status
	return nil, m.save(h, uid)
}

// further tells whether a status may follow another: forward only, and a failure only of
// what was not received.
func further(old, next string) bool {
	if fails(next) {
		return !fails(old) && rankOf(old) < rankDelivered
	}
	return rankOf(next) > rankOf(old)
}
