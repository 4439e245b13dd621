// Package storetest is the conformance suite that every store of the host must pass.
//
// A store hands [Run] a function that opens a fresh, empty one; the suite makes claims
// about what it may then be asked, in any order and from any number of goroutines, and
// asks it to check itself after each of them.
package storetest

import (
	"context"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Store is everything that the rooms of the host ask of a store. The rooms declare the
// halves they need themselves; this is their sum. [github.com/seed75a60ee1/patchbay/host/store.Store]
// documents the methods.
type Store interface {
	Workspaces
	Connections
	Entries
	Deliveries
	Events
	Messages
	Jobs
	Plugins
	Records
	Upkeep
}

// Workspaces keeps tenants.
type Workspaces interface {
	CreateWorkspace(ctx context.Context, w domain.Workspace) error
	Workspace(ctx context.Context, id contract.WorkspaceID) (domain.Workspace, error)
	Workspaces(ctx context.Context, p domain.Page) ([]domain.Workspace, string, error)
	UpdateWorkspace(ctx context.Context, id contract.WorkspaceID, change func(*domain.Workspace) error) (domain.Workspace, error)
}

// Connections keeps connections and their secrets.
type Connections interface {
	CreateConnection(ctx context.Context, c domain.Connection, secrets []domain.Secret) error
	Connection(ctx context.Context, id contract.ConnectionID) (domain.Connection, error)
	ConnectionByEndpoint(ctx context.Context, endpoint string) (domain.Connection, error)
	Connections(ctx context.Context, ws contract.WorkspaceID, p domain.Page) ([]domain.Connection, string, error)
	UpdateConnection(ctx context.Context, id contract.ConnectionID, change func(*domain.Connection) error) (domain.Connection, error)
	DeleteConnection(ctx context.Context, id contract.ConnectionID) error
	Secret(ctx context.Context, conn contract.ConnectionID, name string) (domain.Secret, error)
	Secrets(ctx context.Context, conn contract.ConnectionID) ([]domain.Secret, error)
	PutSecret(ctx context.Context, secret domain.Secret) error
}

// Entries reads key-value entries.
type Entries interface {
	KVGet(ctx context.Context, conn contract.ConnectionID, key string, now time.Time) (value string, version int64, found bool, err error)
	KVScan(ctx context.Context, conn contract.ConnectionID, prefix, after string, limit int, now time.Time) (entries []contract.KVEntry, more bool, err error)
}

// Deliveries keeps deliveries and commits what came of them.
type Deliveries interface {
	CommitDelivery(ctx context.Context, e domain.DeliveryEffects) (domain.DeliveryCommitted, error)
	MarkAnswered(id contract.DeliveryID)
	KeepDelivery(ctx context.Context, d domain.Delivery) error
	Delivery(ctx context.Context, id contract.DeliveryID) (domain.Delivery, error)
	Deliveries(ctx context.Context, f domain.DeliveryFilter, p domain.Page) ([]domain.Delivery, string, error)
}

// Events lists what tenants receive.
type Events interface {
	Events(ctx context.Context, ws contract.WorkspaceID, after uint64, limit int) ([]domain.Event, error)
	LastEventSeq(ctx context.Context, ws contract.WorkspaceID) (uint64, error)
	WatchEvents(ws contract.WorkspaceID) (<-chan struct{}, func())
	ReleaseEvent(ctx context.Context, jobID string, e contract.Event, at time.Time) (domain.Event, error)
	PostponeEvent(ctx context.Context, jobID string, why contract.Failure, at, until time.Time) (domain.Job, error)
}

// Messages lists messages and conversations.
type Messages interface {
	Message(ctx context.Context, ws contract.WorkspaceID, id contract.MessageID) (domain.Message, error)
	Messages(ctx context.Context, ws contract.WorkspaceID, f domain.MessageFilter, p domain.Page) ([]domain.Message, string, error)
	Conversations(ctx context.Context, ws contract.WorkspaceID, conn contract.ConnectionID, p domain.Page) ([]domain.ConversationSummary, string, error)
}

// Jobs keeps commands and events on their way.
type Jobs interface {
	AcceptCommand(ctx context.Context, n domain.NewCommand) (job domain.Job, created bool, err error)
	CommitCommand(ctx context.Context, e domain.CommandEffects) (domain.CommandCommitted, error)
	Job(ctx context.Context, id string) (domain.Job, error)
	Jobs(ctx context.Context, f domain.JobFilter, p domain.Page) ([]domain.Job, string, error)
	QueuedJobs(ctx context.Context, each func(domain.Job) error) error
	RequeueJob(ctx context.Context, id string, at time.Time) (domain.Job, error)
	CancelJob(ctx context.Context, id string) (domain.Job, error)
}

// Plugins keeps plugin versions and files that could not become one.
type Plugins interface {
	PutPlugin(ctx context.Context, p domain.Plugin) error
	Plugin(ctx context.Context, digest string) (domain.Plugin, error)
	Plugins(ctx context.Context) ([]domain.Plugin, error)
	UpdatePlugin(ctx context.Context, digest string, change func(*domain.Plugin) error) (domain.Plugin, error)
	ActivatePlugin(ctx context.Context, name, digest string) error
	PutRefusal(ctx context.Context, r domain.Refusal) error
	DeleteRefusal(ctx context.Context, file string) error
	Refusals(ctx context.Context) ([]domain.Refusal, error)
}

// Records keeps media descriptions, the audit log and revoked tokens.
type Records interface {
	PutMedia(ctx context.Context, m domain.Media) error
	Media(ctx context.Context, handle contract.MediaHandle) (domain.Media, error)
	Audit(ctx context.Context, e domain.AuditEntry) error
	AuditEntries(ctx context.Context, f domain.AuditFilter, p domain.Page) ([]domain.AuditEntry, string, error)
	VerifyAudit(ctx context.Context) error
	RevokeToken(ctx context.Context, jti string, until time.Time) error
	TokenRevoked(ctx context.Context, jti string) (bool, error)
}

// Upkeep is what an operator asks.
type Upkeep interface {
	NewID(prefix string) string
	Ping(ctx context.Context) error
	Stats() domain.StoreStats
	Check(ctx context.Context) []string
	Close() error
}
