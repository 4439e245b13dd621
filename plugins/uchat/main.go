// Package main is the UChat connector: it plays "the custom channel" of UChat's API Chat,
// shared/protocols/uchat.md.
//
// Customers' messages come from the tenant through send_message and are posted to the bot
// URL that UChat names. What bots and agents answer comes in as deliveries and becomes
// message.created events. Setting a connection up has UChat call us back while our own call
// is open, so setup_connection only notes that it begins and reconcile makes the call.
//
// How UChat signs is not documented. Until a connection has learned it, what comes in is
// kept in quarantine; see signature.go and quarantine.go.
//
// The connector keeps all its state in the connection's key-value entries; keys.go lists
// them. README.md tells what is supported and where we depart from the protocol.
package main

import (
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
)

// connector has no state of its own.
type connector struct {
	// now is the clock; in a guest it is the invocation's time.
	now func() time.Time
}

// What the connector can do; plugin.yaml lists the same.
var (
	_ pdk.MessageSender    = connector{}
	_ pdk.ConnectionSetter = connector{}
	_ pdk.ConnectionEnder  = connector{}
	_ pdk.HealthChecker    = connector{}
	_ pdk.Reconciler       = connector{}
)

func init() { pdk.Register(connector{now: time.Now}) }

func main() {}
