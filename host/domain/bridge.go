package domain

import (
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// BridgeID names a bridge ("brg_…"). Minted by the host; unique per host.
type BridgeID string

// BridgeState says whether a bridge carries anything.
type BridgeState string

// The states of a bridge.
const (
	// BridgeActive means that it carries what comes in.
	BridgeActive BridgeState = "active"
	// BridgePaused means that it keeps its place and carries nothing.
	BridgePaused BridgeState = "paused"
)

// BridgeSide is one end of a bridge.
type BridgeSide string

// The sides of a bridge.
const (
	// CustomersSide is where customers write.
	CustomersSide BridgeSide = "customers"
	// AgentsSide is where agents or bots answer.
	AgentsSide BridgeSide = "agents"
)

// Other returns the opposite side.
func (s BridgeSide) Other() BridgeSide {
	if s == CustomersSide {
		return AgentsSide
	}
	return CustomersSide
}

// Bridge patches two connections of a workspace together: what comes in on one side goes
// out on the other, conversation by conversation.
type Bridge struct {
	ID        BridgeID             `json:"id"`
	Workspace contract.WorkspaceID `json:"workspace"`
	// Name is what people call it.
	Name string `json:"name"`
	// Customers is the connection where customers write, and Agents the one where agents or
	// bots answer. They never change.
	Customers contract.ConnectionID `json:"customers"`
	Agents    contract.ConnectionID `json:"agents"`
	State     BridgeState           `json:"state"`
	// StateReason says why it is paused, for people.
	StateReason string    `json:"state_reason,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
	// Revision counts the changes of the bridge. A step that was decided at another one is
	// refused.
	Revision uint64 `json:"revision"`
}

// Connection returns the connection of one side.
func (b Bridge) Connection(side BridgeSide) contract.ConnectionID {
	if side == CustomersSide {
		return b.Customers
	}
	return b.Agents
}

// Side returns the side that a connection is on; false if it is on neither.
func (b Bridge) Side(c contract.ConnectionID) (BridgeSide, bool) {
	switch c {
	case b.Customers:
		return CustomersSide, true
	case b.Agents:
		return AgentsSide, true
	}
	return "", false
}

// BridgeCounts is what a bridge has done, in messages.
type BridgeCounts struct {
	// Forwarded, Edited, Deleted, Typing and Receipts were carried over.
	Forwarded uint64 `json:"forwarded"`
	Edited    uint64 `json:"edited"`
	Deleted   uint64 `json:"deleted"`
	Typing    uint64 `json:"typing"`
	Receipts  uint64 `json:"receipts"`
	// Echoes were left out because the bridge itself had sent them.
	Echoes uint64 `json:"echoes"`
	// Skipped were left out for any other reason.
	Skipped uint64 `json:"skipped"`
}

// Add returns the sum of both.
func (c BridgeCounts) Add(more BridgeCounts) BridgeCounts {
	c.Forwarded += more.Forwarded
	c.Edited += more.Edited
	c.Deleted += more.Deleted
	c.Typing += more.Typing
	c.Receipts += more.Receipts
	c.Echoes += more.Echoes
	c.Skipped += more.Skipped
	return c
}

// BridgeProgress is how far a bridge has come.
type BridgeProgress struct {
	// Cursor is the Seq of the last event that was dealt with.
	Cursor uint64 `json:"cursor"`
	// Behind is how many events of the workspace came after it. It is filled in when it is
	// read.
	Behind uint64       `json:"behind"`
	Counts BridgeCounts `json:"counts"`
	// NoticedAt is when the bridge last told that it had left something out.
	NoticedAt time.Time `json:"noticed_at,omitzero"`
}

// BridgeStatus is a bridge with how far it has come.
type BridgeStatus struct {
	Bridge
	Progress BridgeProgress `json:"progress"`
}

// BridgeLinkState says whether a link carries anything.
type BridgeLinkState string

// The states of a link.
const (
	// LinkActive means that it carries what is said.
	LinkActive BridgeLinkState = "active"
	// LinkStopped means that it looked like a loop and carries nothing until the bridge is
	// set active again.
	LinkStopped BridgeLinkState = "stopped"
)

// BridgeLink says which conversation of one side is which of the other.
type BridgeLink struct {
	Bridge    BridgeID                `json:"bridge"`
	Customers contract.ConversationID `json:"customers"`
	Agents    contract.ConversationID `json:"agents"`
	State     BridgeLinkState         `json:"state"`
	// StateReason says why it is stopped, for people.
	StateReason string    `json:"state_reason,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	// LastAt is when something was last carried over.
	LastAt time.Time `json:"last_at,omitzero"`
	// Watch is what loops are noticed by.
	Watch BridgeWatch `json:"watch,omitzero"`
}

// Conversation returns the conversation on one side.
func (l BridgeLink) Conversation(side BridgeSide) contract.ConversationID {
	if side == CustomersSide {
		return l.Customers
	}
	return l.Agents
}

// BridgeWatch is what a link remembers to notice loops by. Each list is bounded, and what
// is too old to matter is dropped when the link is written.
type BridgeWatch struct {
	// ToCustomers and ToAgents are what was sent to each side lately, oldest first.
	ToCustomers []BridgeSent `json:"to_customers,omitempty"`
	ToAgents    []BridgeSent `json:"to_agents,omitempty"`
	// Heard is what was said lately, on either side, and how often.
	Heard []BridgeHeard `json:"heard,omitempty"`
	// Signs is when something last looked like a loop.
	Signs []time.Time `json:"signs,omitempty"`
	// PaidUntil is the time up to which the rate of the link is used up.
	PaidUntil time.Time `json:"paid_until,omitzero"`
}

// BridgeSent is one message that a bridge sent.
type BridgeSent struct {
	Message contract.MessageID `json:"message"`
	// Says is a hash of what it says and of who says it.
	Says string    `json:"says"`
	At   time.Time `json:"at"`
	// Hops is how many bridges had carried it when it was sent, this one included.
	Hops int `json:"hops"`
	// Echoes is how often it came back.
	Echoes int `json:"echoes,omitempty"`
}

// BridgeHeard is what was said several times.
type BridgeHeard struct {
	Says  string    `json:"says"`
	Since time.Time `json:"since"`
	Times int       `json:"times"`
}

// BridgePending is what is still to be done to a forwarded message once its platform has
// named it.
type BridgePending string

// What may be pending. A deletion takes the place of an edit.
const (
	PendingEdit   BridgePending = "edit"
	PendingDelete BridgePending = "delete"
)

// BridgeForward says which message was forwarded as which.
type BridgeForward struct {
	Bridge BridgeID `json:"bridge"`
	// Source came in on side From; Target went out on the other.
	Source  contract.MessageID `json:"source"`
	Target  contract.MessageID `json:"target"`
	From    BridgeSide         `json:"from"`
	Pending BridgePending      `json:"pending,omitempty"`
	// Gone tells that the target was deleted again.
	Gone bool `json:"gone,omitempty"`
}

// BridgeStep is what a bridge makes of a run of events. It is committed whole or not at
// all.
type BridgeStep struct {
	Workspace contract.WorkspaceID
	Bridge    BridgeID
	// Revision and After are what the bridge's Revision and Cursor were when the step was
	// decided; if either has changed since, the step is refused with ErrConflict.
	Revision, After uint64
	// Cursor is the Seq of the last event that the step deals with.
	Cursor   uint64
	Commands []BridgeCommand
	// Links and Forwards are kept in the place of what was known of them.
	Links    []BridgeLink
	Forwards []BridgeForward
	// Counts is added to what was counted.
	Counts BridgeCounts
	// Notices are kept; NoticedAt, if not zero, is kept with the progress.
	Notices   []Notice
	NoticedAt time.Time
}

// BridgeCommand is a command that a bridge wants queued.
type BridgeCommand struct {
	NewCommand
	// NotBefore is the earliest time to run; zero means at once.
	NotBefore time.Time
	// IfIdle leaves the command out if another waits in its lane.
	IfIdle bool
}

// TypingLane is the lane of typing indicators of one conversation of one connection: they
// wait for nobody, and nobody for them.
func TypingLane(c contract.ConnectionID, conversation contract.ConversationID) string {
	return "command/" + string(c) + "/typing/" + string(conversation)
}
