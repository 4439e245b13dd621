// Package main is the ELMA365 connector: it plays "the messenger" of ELMA365's arbitrary
// (external) messenger protocol, shared/protocols/elma365.md.
//
// Customers' messages come from the tenant through send_message and go to the callback
// URL that the platform's connect named. Operators' replies come in as deliveries and
// become message.created events of role agent. The platform confirms what it took with a
// messageOutcome; where one is due and does not come, reconcile posts the message again
// under the same id.
//
// The connector keeps all its state in the connection's key-value entries; keys.go lists
// them. README.md tells what is supported and where we depart from the protocol.
package main

import "github.com/seed75a60ee1/patchbay/pdk"

// connector has no state of its own.
type connector struct{}

// What the connector can do; plugin.yaml lists the same.
var (
	_ pdk.MessageSender    = connector{}
	_ pdk.ReceiptSender    = connector{}
	_ pdk.ConnectionSetter = connector{}
	_ pdk.ConnectionEnder  = connector{}
	_ pdk.HealthChecker    = connector{}
	_ pdk.Reconciler       = connector{}
	_ pdk.ContactLookup    = connector{}
)

func init() { pdk.Register(connector{}) }

func main() {}
