// Package main is the Uspacy connector: it plays a messenger that brings its customers into
// a Uspacy portal through an external line, shared/protocols/uspacy.md.
//
// One marketplace app, the operator's, serves every portal. Uspacy sends its installs and
// uninstalls to the app's address, and Amazon SNS the message events of all portals; route
// verifies them and finds the connection, by "portal:DOMAIN" and "line:ID". An operator says
// which connection a new portal belongs to; the line is registered by the connection that
// made it. What a customer writes becomes a message in a chat of the line, and what an
// operator writes a message.created event of role agent.
//
// The connector keeps all its state in key-value entries; keys.go lists them. README.md tells
// what is supported and where we depart from the protocol, RATIONALE.md why.
package main

import "github.com/seed75a60ee1/patchbay/pdk"

// connector has no state of its own.
type connector struct{}

// What the connector can do; plugin.yaml lists the same.
var (
	_ pdk.MessageSender        = connector{}
	_ pdk.MessageEditor        = connector{}
	_ pdk.MessageDeleter       = connector{}
	_ pdk.ReceiptSender        = connector{}
	_ pdk.ConnectionSetter     = connector{}
	_ pdk.ConnectionEnder      = connector{}
	_ pdk.HealthChecker        = connector{}
	_ pdk.Reconciler           = connector{}
	_ pdk.Router               = connector{}
	_ pdk.CredentialsRefresher = connector{}
)

func init() { pdk.Register(connector{}) }

func main() {}
