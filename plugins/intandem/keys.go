package main

import "strings"

// The key-value entries of a connection. Commands and deliveries both write some of them;
// deliveries are serialisable, so a command that writes such an entry checks its version,
// and runs again if a delivery was faster.
//
//	business         the business that allowed the app, as the platform names it; commands
//	channel          the channel's uid and state; both, versions checked
//	person/<chat>    a customer's client, session and its state; both, versions checked
//	session/<uid>    the conversation that a session is of; commands
//	client/<uid>     the conversation that a client writes in; commands
//	who/<contact>    the conversation that a contact wrote in last; commands
//	sent/<message>   a message that we posted: what it is a piece of; commands
//	rank/<message>   how far the platform says it got; deliveries
//	staff/<message>  a business's message and what we reported of it; deliveries write it
//	                 first, commands after
//	typing/<chat>    when typing was shown last, and whether it shall end; commands
//	typing_path      the path that typing turned out to have; commands
const (
	keyBusiness   = "business"
	keyChannel    = "channel"
	keyTypingPath = "typing_path"

	prefixPerson  = "person/"
	prefixSession = "session/"
	prefixClient  = "client/"
	prefixWho     = "who/"
	prefixSent    = "sent/"
	prefixRank    = "rank/"
	prefixStaff   = "staff/"
	prefixTyping  = "typing/"
)

// The keys by which route finds a connection.
const (
	routeChannel  = "channel:"
	routeSession  = "session:"
	routeBusiness = "business:"
)

// How long entries are kept, in seconds.
const (
	ttlMessage = 90 * 24 * 3600 // a read status may come long after the message
	ttlEarly   = 15 * 60        // a status of a message that is not known yet
	ttlTyping  = 60
)

// maxIDBytes bounds an id, so that it fits a key of 256 bytes. A longer one is unknown.
const maxIDBytes = 200

func fits(id string) bool { return id != "" && len(id) <= maxIDBytes }

// maxUIDBytes bounds a uid of the platform's; they have 16 or 36.
const maxUIDBytes = 64

// isUID tells whether a text can be one of the platform's uids: it goes into paths, so
// nothing but letters, digits, hyphen and underscore may stand in it.
func isUID(s string) bool {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	return s != "" && len(s) <= maxUIDBytes && strings.IndexFunc(s, odd) < 0
}
