// Package main is the inTandem (vcita) connector: it plays a communication app of
// inTandem's communication service, shared/protocols/intandem.md.
//
// One app serves many businesses. All of inTandem's callbacks come to the app's address;
// route finds the connection by the uid of the channel or session in them. A connection
// is one business: it is believed to be that business only once a person of the business
// allowed the app (exchange_code). Then a channel is made, and for each customer a client
// and a session; messages, statuses and typing go both ways. Everything is asynchronous:
// a call returns something pending, and a callback tells later what became of it.
//
// The connector keeps all its state in the connection's key-value entries; keys.go lists
// them. README.md tells what is supported and where we depart from the protocol.
package main

import "github.com/seed75a60ee1/patchbay/pdk"

// connector has no state of its own.
type connector struct{}

// What the connector can do; plugin.yaml lists the same.
var (
	_ pdk.Router               = connector{}
	_ pdk.MessageSender        = connector{}
	_ pdk.TypingSender         = connector{}
	_ pdk.ReceiptSender        = connector{}
	_ pdk.ConnectionSetter     = connector{}
	_ pdk.ConnectionEnder      = connector{}
	_ pdk.CredentialsRefresher = connector{}
	_ pdk.HealthChecker        = connector{}
	_ pdk.Authorizer           = connector{}
	_ pdk.CodeExchanger        = connector{}
	_ pdk.Reconciler           = connector{}
	_ pdk.ContactLookup        = connector{}
)

func init() { pdk.Register(connector{}) }

func main() {}
