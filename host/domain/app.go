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

// Parked is a delivery to an app that waits for a connection to claim its key. The delivery
// itself is kept as one of the app's, in state [DeliveryParked].
type Parked struct {
	Delivery contract.DeliveryID   `json:"delivery"`
	App      contract.ConnectionID `json:"app"`
	// Key, Payload, Title and Install are route's.
	Key     string `json:"key"`
	Payload string `json:"payload,omitempty"`
	Title   string `json:"title,omitempty"`
	Install bool   `json:"install,omitempty"`
	// DedupeKey is route's: a second delivery with the same is answered as the first was.
	DedupeKey string    `json:"dedupe_key,omitempty"`
	At        time.Time `json:"at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Claimed is a delivery that waited and is to run for the connection that claimed its key.
type Claimed struct {
	Delivery contract.DeliveryID   `json:"delivery"`
	App      contract.ConnectionID `json:"app"`
	Key      string                `json:"key"`
	Payload  string                `json:"payload,omitempty"`
}

// ClaimLane is the lane of the claimed deliveries of one key.
func ClaimLane(c contract.ConnectionID, key string) string {
	return "claim/" + string(c) + "/" + key
}
