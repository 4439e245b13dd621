package main

import (
	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

var _ pdk.Router = connector{}

var malformed = contract.Response{Status: 400}

// waits is the answer to what comes to the app, whether it is taken at once or waits: a repeat
// may find that the other has happened meanwhile.
var waits = contract.Response{Status: 200, Body: "taken"}

// parkSeconds is longer than any world lasts.
const parkSeconds = 3600

// Route finds a connection by the conversation, which is the key.
func (connector) Route(h pdk.Host, _ *contract.RouteInput) (*contract.RouteOutput, error) {
	doc, err := delivered(h)
	if err != nil {
		return nil, err
	}
	id, chat := doc.String("id"), doc.String("conversation")
	if id == "" || chat == "" {
		return &contract.RouteOutput{Response: malformed, Rejected: &contract.Rejection{Code: "malformed"}}, nil
	}
	return &contract.RouteOutput{
		Key: chat, Response: waits, DedupeKey: id, Park: &contract.Parking{Seconds: parkSeconds, Title: chat},
	}, nil
}

// delivered reads the delivery's document; one that is none has no members.
func delivered(h pdk.Host) (payload.Object, error) {
	body, err := h.DeliveryBody()
	if err != nil {
		return payload.Object{}, err
	}
	doc, err := payload.Parse(body, payload.Limits{})
	if err != nil {
		return payload.Object{}, nil
	}
	return doc, nil
}

// ledgerOf is where effects are counted: the app's setting.
func ledgerOf(c *contract.Connection) string {
	if c.App != nil {
		return c.App.Settings["ledger_url"]
	}
	return c.Settings["ledger_url"]
}
