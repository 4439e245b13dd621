package contract

import "time"

// EventKind says what happened.
type EventKind string

// The kinds of event. Each has the field set in [Event] that its comment names.
const (
	// EventMessageCreated has Message.
	EventMessageCreated EventKind = "message.created"
	// EventMessageUpdated has Message.
	EventMessageUpdated EventKind = "message.updated"
	// EventMessageDeleted has Deletion.
	EventMessageDeleted EventKind = "message.deleted"
	// EventMessageStatus has Status.
	EventMessageStatus EventKind = "message.status"
	// EventPostback has Postback.
	EventPostback EventKind = "postback"
	// EventTyping has Typing.
	EventTyping EventKind = "typing"
	// EventReaction has Reaction.
	EventReaction EventKind = "reaction"
	// EventContactUpdated has Contact.
	EventContactUpdated EventKind = "contact.updated"
	// EventConversationOpened has only Conversation.
	EventConversationOpened EventKind = "conversation.opened"
	// EventConversationClosed has only Conversation.
	EventConversationClosed EventKind = "conversation.closed"
	// EventConnectionState has State.
	EventConnectionState EventKind = "connection.state"
	// EventRaw has Raw.
	EventRaw EventKind = "raw"
)

// Event is one thing that happened. It is stored, ordered within its conversation,
// and delivered to the tenant as the data of a CloudEvents 1.0 envelope.
type Event struct {
	// Kind says what happened and which field below is set.
	Kind EventKind `json:"kind"`
	// At is when it happened on the platform, RFC 3339; zero if the platform does not say.
	At time.Time `json:"at,omitzero"`
	// Conversation is where it happened; nil for what concerns the whole connection.
	Conversation *Conversation `json:"conversation,omitempty"`
	// Message is set for message.created and message.updated.
	Message *Message `json:"message,omitempty"`
	// Deletion is set for message.deleted.
	Deletion *Deletion `json:"deletion,omitempty"`
	// Status is set for message.status.
	Status *StatusReport `json:"status,omitempty"`
	// Postback is set for postback.
	Postback *Postback `json:"postback,omitempty"`
	// Typing is set for typing.
	Typing *Typing `json:"typing,omitempty"`
	// Reaction is set for reaction.
	Reaction *Reaction `json:"reaction,omitempty"`
	// Contact is set for contact.updated.
	Contact *Contact `json:"contact,omitempty"`
	// State is set for connection.state.
	State *StateChange `json:"state,omitempty"`
	// Raw is set for raw.
	Raw *Raw `json:"raw,omitempty"`
}

// Deletion says that a message is gone.
type Deletion struct {
	// PlatformID is the message, by the platform's name.
	PlatformID PlatformMessageID `json:"platform_id"`
	// MessageID is the message, by the host's name, filled in by the host.
	MessageID MessageID `json:"message_id,omitempty"`
}

// StatusReport says how far a message got.
type StatusReport struct {
	// PlatformID is the message, by the name the plugin gave it or the platform's.
	PlatformID PlatformMessageID `json:"platform_id"`
	// MessageID is the message, by the host's name, filled in by the host.
	MessageID MessageID `json:"message_id,omitempty"`
	// Status is how far it got. A status earlier than the one already known is ignored.
	Status MessageStatus `json:"status"`
	// AndEarlier tells that every earlier message that went the same way in the
	// conversation got at least as far.
	AndEarlier bool `json:"and_earlier,omitempty"`
	// Failure says why, for MessageFailed.
	Failure *Failure `json:"failure,omitempty"`
	// Parts says what became of each part, once known.
	Parts []PartOutcome `json:"parts,omitempty"`
}

// Postback says that somebody picked an option.
type Postback struct {
	// ActionID is the option's.
	ActionID string `json:"action_id"`
	// Label is what the person saw; may be empty.
	Label string `json:"label,omitempty"`
	// Author is who picked it.
	Author Author `json:"author"`
	// PlatformID is the message with the choice; empty if the platform does not say.
	PlatformID PlatformMessageID `json:"platform_id,omitempty"`
}

// Typing says that somebody types, or stopped.
type Typing struct {
	// Author is who types.
	Author Author `json:"author"`
	// On is false when the author stopped.
	On bool `json:"on"`
}

// Reaction says that somebody reacted to a message.
type Reaction struct {
	// PlatformID is the message.
	PlatformID PlatformMessageID `json:"platform_id"`
	// Author is who reacted.
	Author Author `json:"author"`
	// Emoji is the reaction; empty when it was taken back.
	Emoji string `json:"emoji,omitempty"`
}
