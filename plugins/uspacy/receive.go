package main

import (
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Receive goes on with what route verified. A connection has no address of its own that the
// platform knows, so whatever comes there is refused.
func (connector) Receive(h pdk.Host, in *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	switch r := in.Routed; {
	case r != nil && strings.HasPrefix(r.Key, routePortal):
		return receivePortal(h, in)
	case r != nil && strings.HasPrefix(r.Key, routeLine):
		return receiveMessage(h, in)
	}
	return disbelieved(&refusal{404, "not_routed", "Uspacy sends to the app's address, not to a connection's."}), nil
}

// disbelieved rejects a delivery.
func disbelieved(r *refusal) *contract.ReceiveOutput {
	return &contract.ReceiveOutput{
		Response: jsonAnswer(r.status, `{"status":false}`),
		Rejected: &contract.Rejection{Code: r.code, Reason: r.reason},
	}
}
