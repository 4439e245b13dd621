package domain

import (
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// DeliveryFilter selects deliveries. An empty field selects all.
type DeliveryFilter struct {
	Workspace  contract.WorkspaceID
	Connection contract.ConnectionID
	State      DeliveryState
	// Code is why it failed.
	Code string
	// ReceivedAfter and ReceivedBefore bound when it came, both exclusive.
	ReceivedAfter, ReceivedBefore time.Time
}

// JobFilter selects jobs. An empty field selects all.
type JobFilter struct {
	Workspace  contract.WorkspaceID
	Connection contract.ConnectionID
	// Subscriber selects the notifications of one subscriber; not to be used with Connection.
	Subscriber SubscriberID
	State      JobState
	Kind       JobKind
	// Export is what a command does, and Code and Class why the last run failed.
	Export contract.Export
	Code   string
	Class  contract.FailureClass
	// UpdatedAfter and UpdatedBefore bound when it last changed, both exclusive: for a parked
	// job, when it was parked.
	UpdatedAfter, UpdatedBefore time.Time
}

// MessageFilter selects messages of a workspace. Empty fields select all; Conversation
// counts only together with Connection.
type MessageFilter struct {
	Connection   contract.ConnectionID
	Conversation contract.ConversationID
}

// AuditFilter selects entries of the audit log. An empty field selects all.
type AuditFilter struct {
	Workspace contract.WorkspaceID
	Action    string
}

// ConversationSummary is one line in a list of conversations.
type ConversationSummary struct {
	contract.Conversation
	Workspace  contract.WorkspaceID  `json:"workspace"`
	Connection contract.ConnectionID `json:"connection"`
	// LastMessageAt is when the newest message became known; zero if there is none.
	LastMessageAt time.Time `json:"last_message_at,omitzero"`
}

// StoreStats says how a store is doing.
type StoreStats struct {
	// FileBytes is the size of the file.
	FileBytes int64 `json:"file_bytes"`
	// Pending is how many writes wait for their turn.
	Pending int `json:"pending"`
	// Commits and Writes count the groups and the requests in them since the store was
	// opened. Writes divided by Commits is the mean group.
	Commits uint64 `json:"commits"`
	Writes  uint64 `json:"writes"`
	// LargestGroup is the most requests that shared one commit.
	LargestGroup int `json:"largest_group"`
	// Failures counts the groups that could not be committed.
	Failures uint64 `json:"failures"`
}
