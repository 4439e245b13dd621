package main

// The key-value entries. Who writes an entry decides how: deliveries are serialisable,
// commands overwrite, so an entry is written by one of the two only, or with a version check.
//
// Of a connection:
//
//	installation      the portal that installed the app and is this connection's; deliveries
//	sign_in           when the app last signed in by itself, and what came of it; commands
//	line              the external line; commands, with a version check
//	conv/<conv>       the chat of a conversation; commands
//	chat/<chat>       the conversation of a chat; commands
//	making/<conv>     that a chat may have been made without an answer; commands
//	sent/<message>    how far a message of a customer got; commands
//	upload/<message>  the files of it that were uploaded; commands
//	mine/<id>         that a message of the portal is ours, and which; commands
//	seen/<id>         that a message of an operator was reported; both, with a version check
//	status/<id>       the last status that was told of an operator's message; commands
//	active/<chat>     that something happened in a chat in the last 24 hours; both, without reading
//	cursor/<chat>     up to when a chat was read; commands
//	loop/<chat>       the last text of a chat, and how often it came in a row; deliveries
//	strange           how many messages came for chats or portals that are not ours; deliveries
//	round             which round of reading is the latest; commands
//	forbidden         how many commands were answered 403 in a row; commands
//	entity_type       the entity type that uploads need, once known; commands
//	need_members      that chats need members; commands
//
// Of the app:
//
//	topic/<hash>      an SNS topic that asked to be confirmed, and how far that got; deliveries,
//	                  and commands with a version check
//	quarantine/<n>    the form of an event that no path matched, the last 16; deliveries
//	quarantine_count  how many there were; deliveries
const (
	keyInstallation    = "installation"
	keySignIn          = "sign_in"
	keyQuarantineCount = "quarantine_count"

	keyLine        = "line"
	keyRound       = "round"
	keyStrange     = "strange"
	keyForbidden   = "forbidden"
	keyEntityType  = "entity_type"
	keyNeedMembers = "need_members"

	prefixConversation = "conv/"
	prefixChat         = "chat/"
	prefixMaking       = "making/"
	prefixSent         = "sent/"
	prefixUpload       = "upload/"
	prefixMine         = "mine/"
	prefixSeen         = "seen/"
	prefixStatus       = "status/"
	prefixActive       = "active/"
	prefixCursor       = "cursor/"
	prefixLoop         = "loop/"

	prefixTopic      = "topic/"
	prefixQuarantine = "quarantine/"
)

// The keys by which route finds a connection. Only an operator registers a portal's, so that
// nobody takes somebody else's portal by writing its name into a setting.
const (
	routePortal = "portal:"
	routeLine   = "line:"
)

// What the connector asks itself for: the member "do" of a reconcile payload.
const (
	doLine = "line" // make or find the external line
	doTick = "tick" // begin a round of reading
	doRead = "read" // read the messages of some chats
	doLook = "look" // look again at a message whose chat was not known

	doConfirm = "confirm" // of the app: confirm the subscription to a topic
	doProve   = "prove"   // ask the portal whether the access token works, for install_auth_mode
)

// maxIDBytes bounds an id, so that it fits a key of 256 bytes. A longer one is unknown, and so is
// one that a path would take for something else.
const maxIDBytes = 200

func fits(id string) bool { return id != "" && len(id) <= maxIDBytes && id != "." && id != ".." }

// How long entries are kept, in seconds.
const (
	ttlSeen      = 90 * 24 * 3600 // a message that is older cannot be told from a new one
	ttlMine      = 90 * 24 * 3600
	ttlSent      = 30 * 24 * 3600
	ttlUpload    = 2 * 24 * 3600
	ttlStatus    = 30 * 24 * 3600
	ttlMaking    = 24 * 3600
	ttlActive    = 24 * 3600
	ttlForbidden = 24 * 3600
	ttlLoop      = 60
)
