package domain

import (
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// DeliveryState says what became of a delivery.
type DeliveryState string

// The states of a delivery.
const (
	// DeliveryAccepted means that the plugin took it and its effects are committed.
	DeliveryAccepted DeliveryState = "accepted"
	// DeliveryRejected means that the plugin did not believe it. Kept without a body.
	DeliveryRejected DeliveryState = "rejected"
	// DeliveryFailed means that the plugin or the host failed: the raw request is kept for
	// replay.
	DeliveryFailed DeliveryState = "failed"
	// DeliveryParked means that it came to an app and waits for a connection to claim it.
	DeliveryParked DeliveryState = "parked"
	// DeliveryExpired means that no connection claimed it in time. Kept without a body.
	DeliveryExpired DeliveryState = "expired"
	// DeliverySuperseded means that it failed and the platform's own repeat of it was then
	// accepted.
	DeliverySuperseded DeliveryState = "superseded"
)

// Delivery is one inbound HTTP request of a platform, as it is kept.
type Delivery struct {
	contract.Delivery
	Workspace  contract.WorkspaceID  `json:"workspace"`
	Connection contract.ConnectionID `json:"connection"`
	Plugin     string                `json:"plugin"`
	// Digest is the plugin's, as far as one ran.
	Digest string        `json:"digest,omitempty"`
	State  DeliveryState `json:"state"`
	// Body is the raw body. It is kept in every state but DeliveryRejected and DeliveryExpired.
	Body []byte `json:"body,omitempty"`
	// Sealed tells that Body is encrypted, with the delivery's id as associated data, because it
	// seems to carry tokens; BodySHA256 and BodyBytes are those of what came.
	Sealed bool `json:"sealed,omitempty"`
	// BodySHA256 is the hash of the raw body, hex.
	BodySHA256 string `json:"body_sha256"`
	// DedupeKey is what the plugin named it.
	DedupeKey string `json:"dedupe_key,omitempty"`
	// Code and Reason say why it was rejected or failed.
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Response is what the platform was answered.
	Response contract.Response `json:"response"`
	// Answered tells that the answer was handed to the network.
	Answered bool `json:"answered,omitempty"`
	// Attempts counts the runs, replays included.
	Attempts int `json:"attempts"`
	// ReplayedAt is when it was replayed last.
	ReplayedAt time.Time `json:"replayed_at,omitzero"`
	// PayloadRemovedAt is when retention removed its body and its recordings, or when it handed
	// tokens over and was kept without its body for that; zero if neither.
	PayloadRemovedAt time.Time `json:"payload_removed_at,omitzero"`
	// Took is how long the last run took, in nanoseconds.
	Took time.Duration `json:"took_ns,omitempty"`
	// Routed is what route found out about it, if it came to an app's address and is for a
	// connection. It is kept as long as the delivery may yet run, apart from the record.
	Routed *Routed `json:"-"`
}

// KVRead is one key-value entry that an invocation looked at, with the version it saw; 0
// means that there was none.
type KVRead struct {
	Key     string
	Version int64
}

// KVScan is one listing that an invocation made: every entry whose key begins with Prefix
// and comes after After, up to Until (inclusive; empty means to the end), with its
// version, as the store had them.
type KVScan struct {
	Prefix, After, Until string
	Seen                 []KVRead
}

// KVWrite is one change of a key-value entry.
type KVWrite struct {
	Key    string
	Value  string
	Delete bool
	// CheckVersion refuses the whole commit unless the entry has version ExpectedVersion.
	CheckVersion    bool
	ExpectedVersion int64
	// ExpiresAt removes the entry; zero keeps it.
	ExpiresAt time.Time
}

// Effects is what an invocation wants changed. It is committed whole or not at all.
type Effects struct {
	Workspace  contract.WorkspaceID
	Connection contract.ConnectionID
	// Reads and Scans are checked first: if one has changed, the commit answers
	// ErrConflict and changes nothing. Empty for commands, which check by KVWrite alone.
	Reads    []KVRead
	Scans    []KVScan
	Writes   []KVWrite
	Events   []contract.Event
	Commands []contract.CommandRequest
	// Routes is what route_put and route_delete asked for, in order. A key that another
	// connection of the app has is ErrConflict.
	Routes []RouteWrite
	// Tokens is a token set handed over in receive or route, sealed; nil if there was none.
	Tokens *TokenSet
	// Recording is the invocation kept whole, as its maker encoded it; nil keeps none. It
	// is kept under the id of the delivery or the job, and the number of the attempt.
	Recording []byte
	// At is the time of the invocation: event times and due times count from it.
	At time.Time
}

// DeliveryEffects is the commit of an accepted delivery.
type DeliveryEffects struct {
	Effects
	// Delivery is kept, with its body. If it has a DedupeKey that the connection has seen,
	// nothing is changed and the first answer is returned.
	Delivery Delivery
	// RepeatWindow makes a body that was committed and not answered within it count as
	// seen, too; 0 means that bodies are not compared.
	RepeatWindow time.Duration
	// ClaimJob is the job that the commit ends, for a delivery that waited for its connection;
	// empty if there is none.
	ClaimJob string
}

// DeliveryCommitted is what a store answers to the commit of a delivery.
type DeliveryCommitted struct {
	// Duplicate tells that the delivery had been committed before; Response is then the
	// answer of that time.
	Duplicate bool
	// Delivery is the delivery whose answer Response is: the one that was committed, or
	// for a Duplicate the first one. It is the one to mark as answered.
	Delivery contract.DeliveryID
	Response contract.Response
	// Events is what was made visible, with ids and sequence numbers.
	Events []Event
	// Jobs is what was queued.
	Jobs []Job
}
