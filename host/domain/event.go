package domain

import (
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Event is one event as it is kept and delivered to a tenant.
type Event struct {
	ID contract.EventID `json:"id"`
	// Seq is the event's place among all events of its workspace, from 1, without gaps at
	// the time of writing. It is the cursor of listings and of server-sent events.
	Seq        uint64                `json:"seq"`
	Workspace  contract.WorkspaceID  `json:"workspace"`
	Connection contract.ConnectionID `json:"connection"`
	// Delivery or Command is where it came from.
	Delivery contract.DeliveryID `json:"delivery,omitempty"`
	Command  contract.CommandID  `json:"command,omitempty"`
	// CommittedAt is when it became visible.
	CommittedAt time.Time      `json:"committed_at"`
	Data        contract.Event `json:"data"`
}

// Direction says which way a message went.
type Direction string

// The directions of a message.
const (
	// Inbound came from the platform.
	Inbound Direction = "inbound"
	// Outbound went to the platform.
	Outbound Direction = "outbound"
)

// Message is one message as it is kept.
type Message struct {
	contract.Message
	Workspace  contract.WorkspaceID   `json:"workspace"`
	Connection contract.ConnectionID  `json:"connection"`
	Direction  Direction              `json:"direction"`
	Outcomes   []contract.PartOutcome `json:"outcomes,omitempty"`
	Failure    *contract.Failure      `json:"failure,omitempty"`
	// Command is the command that sends it, for Outbound.
	Command   contract.CommandID `json:"command,omitempty"`
	CreatedAt time.Time          `json:"created_at"`
	UpdatedAt time.Time          `json:"updated_at"`
}
