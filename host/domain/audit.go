package domain

import (
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// AuditEntry is one line of the audit log. Each carries the hash of the one before, so
// that a line that was changed or removed shows.
type AuditEntry struct {
	Seq uint64    `json:"seq"`
	At  time.Time `json:"at"`
	// Actor is a token's subject, "platform", "plugin" or "host".
	Actor string `json:"actor"`
	// Action is a stable word such as "plugin.approved" or "delivery.rejected".
	Action     string                `json:"action"`
	Workspace  contract.WorkspaceID  `json:"workspace,omitempty"`
	Connection contract.ConnectionID `json:"connection,omitempty"`
	// Target is what was acted on: a digest, an id, a name.
	Target string `json:"target,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Previous and Hash are hex SHA-256. Hash covers Previous and every field above.
	Previous string `json:"previous"`
	Hash     string `json:"hash"`
}
