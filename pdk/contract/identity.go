package contract

// The identities below are opaque strings: whoever did not mint one compares and
// stores it, and never takes it apart. They are distinct types so that the
// compiler notices when one is given for another.

// WorkspaceID names a workspace (one tenant). Minted by the host; unique per host.
type WorkspaceID string

// ConnectionID names one account of one workspace on one platform. Minted by the
// host; unique per host.
type ConnectionID string

// DeliveryID names one inbound HTTP request of a platform. Minted by the host;
// unique per host, and sortable by time of arrival.
type DeliveryID string

// EventID names one event. Minted by the host when the event is committed; unique
// per host. Plugins leave it empty.
type EventID string

// CommandID names one command. Minted by the host; unique per host.
type CommandID string

// MessageID names one message in the host. Minted by the host; unique per host.
// A plugin that reports a message it received leaves it empty.
type MessageID string

// PlatformMessageID is the platform's own name for a message, or the name a plugin
// gave it when it sent it. Minted by the platform or the plugin; unique within one
// connection; stored, so it must stay the same for as long as the message exists.
type PlatformMessageID string

// ConversationID is the platform's own name for a conversation. Unique within one
// connection; stored; the host orders events and commands by it.
type ConversationID string

// ContactID is the platform's own name for a person. Unique within one connection;
// stored.
type ContactID string

// MediaHandle names bytes that the host keeps. A handle is all a plugin ever sees
// of an attachment. Minted by the host; unique per host; readable only from the
// workspace that owns it.
type MediaHandle string
