package main

import (
	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// maxBodyBytes bounds a delivery (protocol section 3).
const maxBodyBytes = 1 << 20

// Receive verifies one delivery in the order of the protocol's section 3 and does what
// its type asks for. Nothing but the form of the body is looked at before the token.
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
	doc, err := payload.Parse(body, payload.Limits{MaxBytes: maxBodyBytes})
	if err != nil {
		return malformed(err), nil
	}
	kind := doc.String("type")
	if err := doc.Err(); err != nil || kind == "" {
		return rejected(400, "malformed", "The body has no type."), nil
	}
	genuine, err := h.SecretEqual("token", doc.String("token")) // in constant time; empty is never equal
	if err != nil {
		return nil, err
	}
	if !genuine {
		return rejected(401, "token_mismatch", "The token is missing or not this connection's."), nil
	}
	return dispatch(h, in, kind, doc)
}

// misdirected refuses what is no request of the platform's, by HTTP's own statuses: the
// platform only posts, to the one URL that it was given.
func misdirected(d *contract.Delivery) *contract.ReceiveOutput {
	switch {
	case d.Path != "" && d.Path != "/":
		return rejected(404, "path_unknown", "The receive URL has nothing below it.")
	case d.Method != "POST":
		out := rejected(405, "method_refused", "The platform only sends POST.")
		out.Response.Headers = append(out.Response.Headers, contract.Header{Name: "Allow", Value: "POST"})
		return out
	case d.BodyBytes > maxBodyBytes:
		return tooLarge()
	}
	return nil
}

func tooLarge() *contract.ReceiveOutput {
	return rejected(413, "too_large", "The body is larger than 1 MiB.")
}

// delivery is an authentic delivery being carried out.
type delivery struct {
	h     pdk.Host
	set   settings
	ch    channel
	known bool // whether there is a channel
	// channelID is what the body says; half of the types lack it.
	channelID string
	data      payload.Object
}

// dispatch carries out an authentic delivery. channelId is a cross-check only; connect is
// how it changes, and so is not checked against it.
func dispatch(h pdk.Host, in *contract.ReceiveInput, kind string, doc payload.Object) (*contract.ReceiveOutput, error) {
	ch, _, known, err := loadChannel(h)
	if err != nil {
		return nil, err
	}
	d := &delivery{
		h: h, set: in.Connection.Settings, ch: ch, known: known,
		channelID: doc.String("channelId"), data: doc.Object("data"),
	}
	if err := doc.Err(); err != nil {
		return malformed(err), nil
	}
	if kind != "connect" && known && ch.id != "" && d.channelID != "" && d.channelID != ch.id {
		return rejected(404, "channel_mismatch", "The channelId is not this connection's."), nil
	}
	return d.carryOut(kind)
}

// carryOut does what a type asks for.
func (d *delivery) carryOut(kind string) (*contract.ReceiveOutput, error) {
	switch kind {
	case "connect":
		return d.connect()
	case "message":
		return d.message()
	case "messageOutcome":
		return d.outcome()
	case "userInfo":
		return d.userInfo()
	case "markAsRead":
		return d.markAsRead()
	case "disconnect":
		return d.disconnect()
	}
	d.h.Log(pdk.LogWarn, "a delivery of unknown type was answered 200 and left at that", "type", clip(kind))
	return accepted(), nil
}

// accepted answers 200, the platform's only success, with an empty object.
func accepted() *contract.ReceiveOutput { return answer(200, "{}") }

func answer(status int64, body string) *contract.ReceiveOutput {
	return &contract.ReceiveOutput{Response: contract.Response{
		Status:  status,
		Headers: []contract.Header{{Name: "Content-Type", Value: "application/json"}},
		Body:    body,
	}}
}

// rejected refuses a delivery that is forged or malformed; nothing comes of it.
func rejected(status int64, code, reason string) *contract.ReceiveOutput {
	out := answer(status, "{}")
	out.Rejected = &contract.Rejection{Code: code, Reason: reason}
	return out
}

// malformed refuses a body that does not fit the protocol.
func malformed(err error) *contract.ReceiveOutput {
	return rejected(400, "malformed", err.Error())
}

// missing refuses data that lacks a field.
func missing(name string) *contract.ReceiveOutput {
	return rejected(400, "malformed", "The data has no "+name+".")
}

// clip bounds what somebody else wrote, for a log line.
func clip(s string) string { return plain.Clip(s, 64) }
