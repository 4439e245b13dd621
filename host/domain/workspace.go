package domain

import (
	"io"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Workspace is one tenant.
type Workspace struct {
	ID        contract.WorkspaceID `json:"id"`
	Name      string               `json:"name"`
	CreatedAt time.Time            `json:"created_at"`
	// Enabled names the plugins that the workspace may connect with, sorted.
	Enabled []string `json:"enabled,omitempty"`
	// Limits is what an operator set for this workspace; a zero field means the host's
	// default.
	Limits Limits `json:"limits,omitzero"`
	// Retention is how long its data is kept; a zero field means the host's default.
	Retention Retention `json:"retention,omitzero"`
}

// Limits bounds what one workspace uses of the host. Zero means the host's default, and
// Unlimited no bound.
type Limits struct {
	// DeliveriesPerSecond and CommandsPerSecond are sustained rates; twice as many may come
	// at once.
	DeliveriesPerSecond float64 `json:"deliveries_per_second,omitempty"`
	CommandsPerSecond   float64 `json:"commands_per_second,omitempty"`
	// BytesPerSecond counts bodies of deliveries and commands.
	BytesPerSecond float64 `json:"bytes_per_second,omitempty"`
	// FuelMillionPerSecond counts what its plugins compute, in millions of units.
	FuelMillionPerSecond float64 `json:"fuel_million_per_second,omitempty"`
	// QueuedJobs is how many jobs may wait.
	QueuedJobs int64 `json:"queued_jobs,omitempty"`
	// Connections, Subscribers and Bridges are how many there may be.
	Connections int64 `json:"connections,omitempty"`
	Subscribers int64 `json:"subscribers,omitempty"`
	Bridges     int64 `json:"bridges,omitempty"`
}

// Unlimited, as a limit, means that there is none.
const Unlimited = -1

// Retention is how long the data of a workspace is kept. Zero means the host's default, and
// Unlimited for ever.
// Keys by which a repeated delivery is known outlive the delivery itself.
type Retention struct {
	// PayloadDays is the age at which bodies and recordings of deliveries, and recordings of
	// commands, are removed.
	PayloadDays int64 `json:"payload_days,omitempty"`
	// EventDays is the age at which events, messages, deliveries and ended jobs are removed.
	EventDays int64 `json:"event_days,omitempty"`
	// DedupeDays is the age at which dedupe keys and idempotency keys are forgotten. It is
	// never less than EventDays.
	DedupeDays int64 `json:"dedupe_days,omitempty"`
	// MaxBytes is how much payload is kept; beyond it the oldest goes first, whatever its age.
	MaxBytes int64 `json:"max_bytes,omitempty"`
}

// HostWorkspace is the workspace of the host itself: apps are its connections. It belongs to
// no tenant, and only operators see it.
const HostWorkspace contract.WorkspaceID = "wsp_host"

// Connection is one account of one workspace on one platform, as it is kept.
type Connection struct {
	ID        contract.ConnectionID `json:"id"`
	Workspace contract.WorkspaceID  `json:"workspace"`
	Plugin    string                `json:"plugin"`
	Name      string                `json:"name"`
	// App is the app that it belongs to; empty if its plugin has no apps.
	App contract.ConnectionID `json:"app,omitempty"`
	// IsApp tells that it is an app: the operator's account with a platform, in the host's own
	// workspace ([HostWorkspace]), whose endpoint many connections share.
	IsApp bool                     `json:"is_app,omitempty"`
	State contract.ConnectionState `json:"state"`
	// StateCode, StateReason and StateAction explain State; see contract.StateChange.
	StateCode   string `json:"state_code,omitempty"`
	StateReason string `json:"state_reason,omitempty"`
	StateAction string `json:"state_action,omitempty"`
	// Health is what State is made of.
	Health Health `json:"health,omitzero"`
	// Endpoint is the unguessable segment of the receive URL: 32 random bytes, base64url.
	Endpoint string `json:"endpoint"`
	// Settings holds what the tenant set; defaults are not stored.
	Settings map[string]string `json:"settings,omitempty"`
	// PrivateTargets lists "ip:port" targets that an operator allowed egress to, although
	// their addresses are private.
	PrivateTargets []string `json:"private_targets,omitempty"`
	// Setup is what the tenant must enter on the platform, placeholders unfilled.
	Setup        []contract.SetupStep  `json:"setup,omitempty"`
	Capabilities []contract.Capability `json:"capabilities,omitempty"`
	CreatedAt    time.Time             `json:"created_at"`
	UpdatedAt    time.Time             `json:"updated_at"`
	// LastInboundAt and LastOutboundAt are the times of the last genuine delivery and of
	// the last message that the platform accepted.
	LastInboundAt  time.Time `json:"last_inbound_at,omitzero"`
	LastOutboundAt time.Time `json:"last_outbound_at,omitzero"`
}

// Budget names whose limits pay for what is done for the connection: its workspace's. Each app
// has what the host's workspace may on its own, so that what comes to one does not use up what
// the others need.
func (c Connection) Budget() contract.WorkspaceID {
	if c.IsApp {
		return c.Workspace + "/" + contract.WorkspaceID(c.ID)
	}
	return c.Workspace
}

// BudgetWorkspace is the workspace whose limits a budget has.
func BudgetWorkspace(budget contract.WorkspaceID) contract.WorkspaceID {
	ws, _, _ := strings.Cut(string(budget), "/")
	return contract.WorkspaceID(ws)
}

// Secret is one named secret of a connection, encrypted. A secret may have several
// values while it is being rotated: all compare equal, and the newest is sent out.
type Secret struct {
	Connection contract.ConnectionID `json:"connection"`
	Name       string                `json:"name"`
	Values     []SecretValue         `json:"values"`
}

// SecretValue is one value of a secret.
type SecretValue struct {
	// Ciphertext is the value, encrypted with the connection and the name as associated
	// data.
	Ciphertext []byte    `json:"ciphertext"`
	CreatedAt  time.Time `json:"created_at"`
	// ExpiresAt is when it stops being accepted; zero means never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// Media describes bytes that the host keeps, outside the store, by their hash.
type Media struct {
	Handle    contract.MediaHandle `json:"handle"`
	Workspace contract.WorkspaceID `json:"workspace"`
	SHA256    string               `json:"sha256"`
	Name      string               `json:"name"`
	MIME      string               `json:"mime"`
	SizeBytes int64                `json:"size_bytes"`
	CreatedAt time.Time            `json:"created_at"`
	// UsedAt is when a message last named it, give or take a day; zero if none has.
	UsedAt time.Time `json:"used_at,omitzero"`
}

// Attachment is bytes on their way to a platform.
type Attachment struct {
	// Name is a file name without a path, and MIME a media type.
	Name, MIME string
	// SizeBytes is how many bytes Body holds; fewer or more fail the upload.
	SizeBytes int64
	// Body is streamed, and closed by whoever sends it once it is not read any more, which
	// may be shortly after the upload returned.
	Body io.ReadCloser
}

// Page selects a page of a listing.
type Page struct {
	// After is the cursor of the last item of the page before; empty means the first page.
	After string
	// Limit is how many items to return, 1 to 1000; 0 means 100.
	Limit int
}

// Size returns the page's limit with the default filled in.
func (p Page) Size() int {
	if p.Limit <= 0 {
		return 100
	}
	return min(p.Limit, 1000)
}
