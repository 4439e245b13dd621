package domain

import (
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// TokenSet is the tokens of a connection or an app, as they are kept: the tokens themselves
// encrypted, and around them what the host has to know to keep them fresh.
type TokenSet struct {
	// Owner is the connection or the app, and Workspace whose it is.
	Owner     contract.ConnectionID `json:"owner"`
	Workspace contract.WorkspaceID  `json:"workspace"`
	// Version grows with every token set that the plugin hands over, from 1.
	Version uint64 `json:"version"`
	// Sealed holds the tokens, encrypted with the owner as associated data; only the
	// credentials room can read it.
	Sealed []byte `json:"sealed"`
	// ObtainedAt is when the plugin handed it over.
	ObtainedAt time.Time `json:"obtained_at"`
	// ExpiresAt is when the access token expires, and RefreshExpiresAt when the refresh token
	// does; zero if unknown.
	ExpiresAt        time.Time `json:"expires_at,omitzero"`
	RefreshExpiresAt time.Time `json:"refresh_expires_at,omitzero"`
	// Scope is the scope that was granted; may be empty.
	Scope string `json:"scope,omitempty"`
	// CanRefresh tells that it has a refresh token.
	CanRefresh bool `json:"can_refresh,omitempty"`
	// Proven tells that the platform took this version; until then the refresh token of the one
	// before is kept.
	Proven bool `json:"proven,omitempty"`
	// RefusedAt is when the platform refused it for good; zero if it has not.
	RefusedAt time.Time `json:"refused_at,omitzero"`
	// Failures counts the refreshes that failed since the last that worked, and FailedAt and
	// FailedWith are of the last one.
	Failures   int               `json:"failures,omitempty"`
	FailedAt   time.Time         `json:"failed_at,omitzero"`
	FailedWith *contract.Failure `json:"failed_with,omitempty"`
}
