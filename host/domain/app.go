package domain

import (
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// RouteWrite registers a key by which the app's deliveries find a connection, or removes it.
type RouteWrite struct {
	Key    string
	Delete bool
}

// HeldRoute is a key of an app, and the connection that it leads to.
type HeldRoute struct {
	Key        string
	Workspace  contract.WorkspaceID
	Connection contract.ConnectionID
}

// Routed is what route found out about a delivery that came to an app's address.
type Routed struct {
	// App is the app that it came to.
	App contract.ConnectionID `json:"app"`
	// Key and Payload are route's.
	Key     string `json:"key"`
	Payload string `json:"payload,omitempty"`
	// Parked tells that it waited, and that the platform was answered then.
	Parked bool `json:"parked,omitempty"`
	// Sealed tells that Payload, which is base64 then, is encrypted as the body of a sealed
	// delivery is: an install carries tokens.
	Sealed bool `json:"sealed,omitempty"`
}

// Parked is a delivery to an app that waits for a connection to claim its key. The delivery
// itself is kept as one of the app's, in state [DeliveryParked].
type Parked struct {
	Delivery contract.DeliveryID   `json:"delivery"`
	App      contract.ConnectionID `json:"app"`
	// Key, Title and Install are route's.
	Key     string `json:"key"`
	Title   string `json:"title,omitempty"`
	Install bool   `json:"install,omitempty"`
	// DedupeKey is route's: a second delivery with the same is answered as the first was.
	DedupeKey string    `json:"dedupe_key,omitempty"`
	At        time.Time `json:"at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// ParkBounds bounds what waits in the parking space of an app. Zero means no bound.
type ParkBounds struct {
	// Deliveries and Bytes bound the app's, and KeyDeliveries and KeyBytes those of one key.
	// Bytes counts bodies and payloads, and [ParkedOverhead] for each delivery.
	Deliveries, Bytes, KeyDeliveries, KeyBytes int64
}

// ParkedOverhead is how many bytes a parked delivery counts beside its body and payload.
const ParkedOverhead = 1024

// NewParked is a delivery to park. Its Kept has the answer that the platform is given, and
// its Routed.
type NewParked struct {
	Parked
	Kept   Delivery
	Bounds ParkBounds
	// OnlyBehind parks nothing for a key that nobody has: it is ErrNotFound.
	OnlyBehind bool
}

// Parking is what became of a delivery that was to be parked. All fields are zero if it
// waits for a connection.
type Parking struct {
	// Duplicate tells that a delivery with its DedupeKey was taken before, and First which;
	// Response is the answer of that time.
	Duplicate bool
	First     contract.DeliveryID
	Response  contract.Response
	// Connection has the key by now, and nothing waits for it: the delivery was not parked.
	Connection contract.ConnectionID
	// Job runs the delivery for the connection that has the key, behind others that waited.
	Job *Job
}

// ParkedKey is what waits for a connection to claim one key of an app.
type ParkedKey struct {
	Key     string
	Title   string
	Install bool
	// Deliveries and Bytes is how much it is.
	Deliveries, Bytes int64
	// OldestAt is when the first of it came, and ExpiresAt when the last will be given up.
	OldestAt, ExpiresAt time.Time
	// Connection has the key already, so that nothing more comes to wait; empty if nobody has.
	Connection contract.ConnectionID
}

// Claimed is a delivery that waited and is to run for the connection that claimed its key.
type Claimed struct {
	Delivery contract.DeliveryID   `json:"delivery"`
	App      contract.ConnectionID `json:"app"`
	Key      string                `json:"key"`
}

// ClaimEnd is how one run of a claimed delivery ended that had no effects.
type ClaimEnd struct {
	// JobID is the job, and State where it stands now; JobQueued means that it runs again at
	// NotBefore.
	JobID     string
	State     JobState
	NotBefore time.Time
	Failure   *contract.Failure
	// Unbegun tells that nothing ran: the attempt does not count.
	Unbegun bool
	// Delivery is kept as it is here, if it is not nil: rejected, failed or superseded.
	Delivery *Delivery
	// Recording is that of the run; nil keeps none.
	Recording []byte
	At        time.Time
}

// ClaimLane is the lane of the claimed deliveries of one key.
func ClaimLane(c contract.ConnectionID, key string) string {
	return "claim/" + string(c) + "/" + key
}
