package main

import (
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// maxBodyBytes bounds a delivery (protocol section 3.2).
const maxBodyBytes = 1 << 20

// delivery is one delivery being carried out.
type delivery struct {
	h   pdk.Host
	set settings
	in  *contract.Delivery
	now time.Time
	ch  channel
	// state is the connection's when the delivery came.
	state contract.ConnectionState
	signed
	out *contract.ReceiveOutput
}

// Receive answers UChat's handshake, and takes what bots and agents say once it is known to
// be from UChat.
func (connector) Receive(h pdk.Host, in *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	if refused := misdirected(&in.Delivery); refused != nil {
		return refused, nil
	}
	body, err := h.DeliveryBody()
	if err != nil {
		return nil, err
	}
	if len(body) > maxBodyBytes {
		return tooLarge(), nil
	}
	d := &delivery{
		h: h, set: in.Connection.Settings, in: &in.Delivery, now: in.Delivery.ReceivedAt, state: in.Connection.State,
		signed: signed{headers: in.Delivery.Headers, body: body}, out: accepted(),
	}
	ch, _, known, err := loadChannel(h)
	if err != nil {
		return nil, err
	}
	d.ch = ch
	if s, ok := findHandshake(in.Delivery.Query, string(body)); ok { // it may be unsigned, so it goes first
		return d.handshake(s)
	}
	switch {
	case in.Delivery.Method != "POST":
		return wrongMethod(), nil
	case !known:
		return rejected(404, "not_set_up", "The connection has not been set up yet."), nil
	}
	return d.message()
}

// misdirected refuses what is no request of the platform's: it has the one URL that it was
// given.
func misdirected(d *contract.Delivery) *contract.ReceiveOutput {
	switch {
	case d.Path != "" && d.Path != "/":
		return rejected(404, "path_unknown", "The webhook's URL has nothing below it.")
	case d.Method != "POST" && d.Method != "GET":
		return wrongMethod()
	case d.BodyBytes > maxBodyBytes:
		return tooLarge()
	}
	return nil
}

func wrongMethod() *contract.ReceiveOutput {
	out := rejected(405, "method_refused", "Messages come by POST, and the handshake by POST or GET.")
	out.Response.Headers = append(out.Response.Headers, contract.Header{Name: "Allow", Value: "GET, POST"})
	return out
}

func tooLarge() *contract.ReceiveOutput {
	return rejected(413, "too_large", "The body is larger than 1 MiB.")
}

// message decides whether a delivery is believed, and takes it then.
func (d *delivery) message() (*contract.ReceiveOutput, error) {
	s, pinned := d.set.enforced(), true
	switch {
	case d.set.signatureMode() == modeOpen:
		return d.accept()
	case d.set.learns():
		var err error
		if s, pinned, err = loadPin(d.h); err != nil {
			return nil, err
		}
	}
	if !pinned {
		return d.unpinned()
	}
	verdict, err := d.verify(d.h, s)
	switch {
	case err != nil:
		return nil, err
	case verdict == signatureMissing:
		return badSignature("signature_missing", "The header field with the signature is missing, or comes twice."), nil
	case verdict == signatureBad:
		return badSignature("signature_mismatch", "The signature is not UChat's."), nil
	}
	d.heal()
	return d.accept()
}

// badSignature refuses a delivery that UChat did not sign as it was learned.
func badSignature(code, reason string) *contract.ReceiveOutput {
	out := rejected(401, code, reason)
	change := needs("signatures_refused", "Many messages in a row had no signature, or not the one that was learned: UChat may sign in another way now.",
		"Choose signature_mode enforce and save, then learn and save again, and send one message from the bot.")
	out.Rejected.Limit, out.Rejected.TooMany = maxBadSignatures, &change
	return out
}

// maxBadSignatures is how many bad signatures in a row put the connection into error
// (protocol section 7).
const maxBadSignatures = 20

// heal takes the connection out of error once a signature fits again.
func (d *delivery) heal() {
	if d.state == contract.StateNeedsAction && d.ch.state == channelReady {
		d.enters(connected("UChat's signatures fit."))
	}
}

// accept takes a delivery that is believed.
func (d *delivery) accept() (*contract.ReceiveOutput, error) {
	doc, err := payload.Parse(d.body, payload.Limits{MaxBytes: maxBodyBytes})
	if err != nil {
		return malformed(err), nil
	}
	e := readEnvelope(doc)
	if err := doc.Err(); err != nil {
		return malformed(err), nil
	}
	if e.id != "" {
		d.out.DedupeKey = plain.Clip("m:"+e.event+":"+e.id, contract.MaxIDBytes)
	}
	if err := d.take(e, string(d.in.ID)); err != nil {
		return nil, err
	}
	return d.out, nil
}

// accepted answers 200 with an empty body, as the protocol has it (section 3.3).
func accepted() *contract.ReceiveOutput {
	return &contract.ReceiveOutput{Response: contract.Response{Status: 200}}
}

// rejected refuses a delivery that is forged or malformed; nothing comes of it.
func rejected(status int64, code, reason string) *contract.ReceiveOutput {
	return &contract.ReceiveOutput{
		Response: contract.Response{Status: status},
		Rejected: &contract.Rejection{Code: code, Reason: plain.Clip(reason, contract.MaxNameBytes)},
	}
}

// malformed refuses a body that does not fit the protocol.
func malformed(err error) *contract.ReceiveOutput { return rejected(400, "malformed", err.Error()) }

// event adds an event to what comes of the delivery.
func (d *delivery) event(e contract.Event) { d.out.Events = append(d.out.Events, e) }

// enters adds a change of the connection's state.
func (d *delivery) enters(change contract.StateChange) {
	d.event(contract.Event{Kind: contract.EventConnectionState, State: &change})
}

// names lists the header fields of the delivery that may be of interest to support: never
// their values, and not those that every request has.
func (d *delivery) names() []string {
	var names []string
	for _, h := range d.headers {
		lower := strings.ToLower(h.Name)
		if !everyday(lower) {
			names = append(names, plain.Clip(lower, 64))
		}
	}
	return names
}

// everyday tells whether nearly every request has a header field.
func everyday(name string) bool {
	switch name {
	case "host", "content-type", "content-length", "user-agent", "accept", "accept-encoding", "connection", "via", "x-real-ip":
		return true
	}
	return strings.HasPrefix(name, "x-forwarded")
}
