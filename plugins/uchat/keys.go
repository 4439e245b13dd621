package main

// The key-value entries of a connection. Deliveries are serialisable, commands overwrite, so
// an entry is written by one of the two only, or by commands with a version check.
//
//	channel          the workspace's webhook, bot URL and state; commands check its version
//	pin              how UChat signs, once learned; deliveries, deleted by setup
//	learning         until when deliveries may pin, and which header fields they had; both
//	handshakes       how many were answered this minute, and when the last was; deliveries
//	quarantine       how many deliveries were ever held; deliveries
//	held/<nn>        a delivery in quarantine, in a ring; deliveries, deleted by setup
//	chat/<chat>      a conversation's number and its customer; commands
//	number/<n>       the conversation of a number, for replies; commands
//	user/<sender>    the conversation that a person wrote in last, for replies; commands
//	menu/<chat>      the newest template of a conversation; deliveries
//	buttons/<menu>   what can be pressed on a template, in order; deliveries
//	sent/<message>   how many posts of a message were accepted; commands
const (
	keyChannel    = "channel"
	keyPin        = "pin"
	keyLearning   = "learning"
	keyHandshakes = "handshakes"
	keyQuarantine = "quarantine"

	prefixHeld    = "held/"
	prefixChat    = "chat/"
	prefixNumber  = "number/"
	prefixUser    = "user/"
	prefixMenu    = "menu/"
	prefixButtons = "buttons/"
	prefixSent    = "sent/"
)

// maxIDBytes bounds an id, so that it fits a key of 256 bytes. A longer one is unknown.
const maxIDBytes = 240

func fits(id string) bool { return id != "" && len(id) <= maxIDBytes }

// How long entries are kept, in seconds.
const (
	ttlHeld    = 24 * 3600
	ttlMenu    = 24 * 3600 // the protocol's section 6
	ttlButtons = 30 * 24 * 3600
	ttlSent    = 30 * 24 * 3600
	ttlMinute  = 60
)
