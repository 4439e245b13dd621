package domain

import (
	"slices"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
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
	// StaleAt is when the platform answered 401 to the access token, which is not sent any more;
	// zero if it has not.
	StaleAt time.Time `json:"stale_at,omitzero"`
	// AfterRefusal tells that it was got because of a 401: another 401 soon after is no reason to
	// hurry.
	AfterRefusal bool `json:"after_refusal,omitempty"`
	// RefusedAt is when the platform refused to renew it for good, or when the host gave up;
	// zero if neither. The access token may work on until it expires.
	RefusedAt time.Time `json:"refused_at,omitzero"`
	// Fallback tells that the refresh token of the version before is used now: this one's was
	// refused before it had ever worked.
	Fallback bool `json:"fallback,omitempty"`
	// Ambiguous tells that a refresh since may have taken effect without an answer.
	Ambiguous bool `json:"ambiguous,omitempty"`
	// Failures counts the refreshes that failed since the last that worked, from FailingSince
	// on. FailedAt, FailedBy (the job) and FailedWith are of the last one.
	Failures     int               `json:"failures,omitempty"`
	FailingSince time.Time         `json:"failing_since,omitzero"`
	FailedAt     time.Time         `json:"failed_at,omitzero"`
	FailedBy     string            `json:"failed_by,omitempty"`
	FailedWith   *contract.Failure `json:"failed_with,omitempty"`
	// RetryAt is when it may be tried again, after a refresh that failed.
	RetryAt time.Time `json:"retry_at,omitzero"`
}

// Held tells whether there are tokens: a set of version 0 says no more than that there shall
// be some, and how the attempts to get them went.
func (s TokenSet) Held() bool { return s.Version > 0 }

// TokenOwner is whose token set a request needs, and what can be done where that is no good.
type TokenOwner struct {
	ID        contract.ConnectionID
	Workspace contract.WorkspaceID
	// Renews tells that the plugin can renew token sets, and Obtains that it can get a first one
	// by itself.
	Renews, Obtains bool
	// Consents tells that a person authorises the connection in a browser.
	Consents bool
	// Since, if it is not zero, has a refusal before it count no more where the plugin can get
	// a token set by itself: what it needs for that may be another thing now.
	Since time.Time
}

// TokenOwnerOf says what a plugin's manifest says about the token set of a connection or an
// app, and how that is kept fresh.
func TokenOwnerOf(m *manifest.Manifest, c Connection) (TokenOwner, manifest.TokenRule) {
	scope := manifest.ScopeConnection
	if c.IsApp {
		scope = manifest.ScopeApp
	}
	rule := m.Tokens[string(scope)]
	return TokenOwner{ID: c.ID, Workspace: c.Workspace, Obtains: rule.Obtain,
		Renews:   slices.Contains(m.Abilities, contract.ExportRefreshCredentials),
		Consents: slices.Contains(m.Abilities, contract.ExportAuthorizeURL) && !c.IsApp}, rule
}

// TokenStatus is what people may know of a token set. It holds no token.
type TokenStatus struct {
	// Held tells that there is a token set, and Valid that its access token may be used now.
	Held  bool `json:"held"`
	Valid bool `json:"valid"`
	// Version counts the token sets so far.
	Version uint64 `json:"version,omitempty"`
	// State is "none", "valid", "renewing", "failing" (renewal fails, for now), or "refused" (a
	// person must act).
	State TokenState `json:"state"`
	// ObtainedAt, ExpiresAt and RefreshExpiresAt are the set's.
	ObtainedAt       time.Time `json:"obtained_at,omitzero"`
	ExpiresAt        time.Time `json:"expires_at,omitzero"`
	RefreshExpiresAt time.Time `json:"refresh_expires_at,omitzero"`
	// CanRefresh tells that there is a refresh token, or that none is needed.
	CanRefresh bool   `json:"can_refresh"`
	Scope      string `json:"scope,omitempty"`
	// NextRefreshAt is when it will be renewed; zero if it will not.
	NextRefreshAt time.Time `json:"next_refresh_at,omitzero"`
	// Failures counts the renewals that failed since the last that worked; the other fields are
	// of the last one.
	Failures    int               `json:"failures,omitempty"`
	FailedAt    time.Time         `json:"failed_at,omitzero"`
	LastFailure *contract.Failure `json:"last_failure,omitempty"`
}

// TokenState is a token set in one word.
type TokenState string

// The states of a token set.
const (
	TokensNone     TokenState = "none"
	TokensValid    TokenState = "valid"
	TokensRenewing TokenState = "renewing"
	TokensFailing  TokenState = "failing"
	TokensRefused  TokenState = "refused"
)

// TokenUse is which token set a request had its access token from.
type TokenUse struct {
	Owner TokenOwner
	// Version is the token set's; 0 if that is not known any more.
	Version uint64
	// Proven tells that the platform has taken that one before.
	Proven bool
}
