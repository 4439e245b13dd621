package main

// The key-value entries of a connection. Who writes an entry decides how: deliveries are
// serialisable, commands overwrite, so an entry is written by one of the two only, or
// with a version check.
//
//	channel           the channel's id, callback URL and state; commands check its version
//	contact/<user>    a person's details, as userInfo is answered; commands
//	user/<user>       the conversation that a person wrote in last; commands
//	chat/<chat>       a conversation's title and its customer; commands
//	posted/<message>  that a message was accepted, and how often it was posted; commands
//	again/<message>   the message itself, to post it again; commands, deleted by its outcome
//	outcome/<message> what the platform reported of it; deliveries (and a success, commands)
//	read/<chat>       up to where operators read; deliveries
//	outcomes_seen     that this connection reports outcomes; deliveries
//	faults            how many answers 5xx came in a row; commands. Two at once count as one.
const (
	keyChannel      = "channel"
	keyOutcomesSeen = "outcomes_seen"
	keyFaults       = "faults"

	prefixContact = "contact/"
	prefixUser    = "user/"
	prefixChat    = "chat/"
	prefixPosted  = "posted/"
	prefixAgain   = "again/"
	prefixOutcome = "outcome/"
	prefixRead    = "read/"
)

// maxIDBytes bounds an id, so that it fits a key of 256 bytes. A longer one is unknown.
const maxIDBytes = 240

func fits(id string) bool { return id != "" && len(id) <= maxIDBytes }

// How long entries are kept, in seconds. A read mark may come long after the message; an
// outcome that is older than the last repeat changes nothing.
const (
	ttlPosted = 90 * 24 * 3600
	ttlRead   = 90 * 24 * 3600
	ttlSpare  = 24 * 3600 // beyond the last repeat
)
