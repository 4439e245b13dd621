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
	Tokens
	Entries
	Deliveries
	Apps
	Events
	Messages
	Jobs
	Bridges
	Subscribers
	Claims
	Plugins
	Records
	Retention
	Upkeep
}

// Workspaces keeps tenants.
type Workspaces interface {
	CreateWorkspace(ctx context.Context, w domain.Workspace) error
	Workspace(ctx context.Context, id contract.WorkspaceID) (domain.Workspace, error)
	Workspaces(ctx context.Context, p domain.Page) ([]domain.Workspace, string, error)
	UpdateWorkspace(ctx context.Context, id contract.WorkspaceID, change func(*domain.Workspace) error) (domain.Workspace, error)
}

// Claims keeps what idempotency keys stand for.
type Claims interface {
	ClaimKey(ctx context.Context, ws contract.WorkspaceID, once domain.Once, id string, at time.Time) (domain.Claim, error)
	SettleKey(ctx context.Context, ws contract.WorkspaceID, key string) error
}

// Connections keeps connections and their secrets.
type Connections interface {
	CreateConnection(ctx context.Context, c domain.Connection, secrets []domain.Secret) error
	CountConnections(ctx context.Context, ws contract.WorkspaceID) (int64, error)
	Connection(ctx context.Context, id contract.ConnectionID) (domain.Connection, error)
	ConnectionByEndpoint(ctx context.Context, endpoint string) (domain.Connection, error)
	Connections(ctx context.Context, ws contract.WorkspaceID, p domain.Page) ([]domain.Connection, string, error)
	UpdateConnection(ctx context.Context, id contract.ConnectionID, change func(*domain.Connection) error) (domain.Connection, error)
	DeleteConnection(ctx context.Context, id contract.ConnectionID) error
	SetHealth(ctx context.Context, id contract.ConnectionID, cause domain.HealthCause, change *contract.StateChange, at time.Time) error
	CommitProbe(ctx context.Context, e domain.Effects, capabilities []contract.Capability) error
	Secret(ctx context.Context, conn contract.ConnectionID, name string) (domain.Secret, error)
	Secrets(ctx context.Context, conn contract.ConnectionID) ([]domain.Secret, error)
	PutSecret(ctx context.Context, secret domain.Secret) error
}

// Tokens keeps the token sets of connections and apps.
type Tokens interface {
	Tokens(ctx context.Context, owner contract.ConnectionID) (domain.TokenSet, error)
	PutTokens(ctx context.Context, set domain.TokenSet) error
	UpdateTokens(ctx context.Context, ws contract.WorkspaceID, owner contract.ConnectionID, modify func(*domain.TokenSet) error) (domain.TokenSet, error)
	TokenOwners(ctx context.Context, visit func(domain.TokenSet) error) error
	AcceptRefresh(ctx context.Context, n domain.NewCommand) (job domain.Job, created bool, err error)
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
	KeepDelivery(ctx context.Context, d domain.Delivery, recording []byte) error
	Delivery(ctx context.Context, id contract.DeliveryID) (domain.Delivery, error)
	Deliveries(ctx context.Context, f domain.DeliveryFilter, p domain.Page) ([]domain.Delivery, string, error)
	OldestDeliveries(ctx context.Context, f domain.DeliveryFilter, p domain.Page) ([]domain.Delivery, string, error)
}

// Apps finds connections by the keys that they registered with their app, and parks what no
// connection claims yet.
type Apps interface {
	RouteOf(ctx context.Context, app contract.ConnectionID, key string) (c contract.ConnectionID, behind bool, err error)
	AssignRoute(ctx context.Context, app contract.ConnectionID, key string, c contract.ConnectionID, at time.Time) ([]domain.Job, error)
	ConnectionsOfApp(ctx context.Context, app contract.ConnectionID, p domain.Page) ([]domain.Connection, string, error)
	ParkDelivery(ctx context.Context, n domain.NewParked) (domain.Parking, error)
	ParkedKeys(ctx context.Context, app contract.ConnectionID, p domain.Page) ([]domain.ParkedKey, string, error)
	ExpireParked(ctx context.Context, now time.Time, most int) ([]domain.Parked, error)
	DiscardParked(ctx context.Context, app contract.ConnectionID, key string) ([]domain.Parked, error)
	HeldRoutes(ctx context.Context, app contract.ConnectionID, p domain.Page) ([]domain.HeldRoute, string, error)
	ReleaseRoute(ctx context.Context, app contract.ConnectionID, key string, at time.Time) (domain.HeldRoute, error)
	HandOver(ctx context.Context, id contract.DeliveryID, to contract.ConnectionID, routed domain.Routed) error
	SettleClaim(ctx context.Context, e domain.ClaimEnd) (domain.Job, error)
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
	OldestJobs(ctx context.Context, f domain.JobFilter, p domain.Page) ([]domain.Job, string, error)
	RequeueJobs(ctx context.Context, ids []string, at time.Time) ([]domain.Job, []domain.Skipped, error)
	CancelJobs(ctx context.Context, ids []string) ([]domain.Job, []domain.Skipped, error)
}

// Subscribers keeps subscribers, how far they are, and what waits for them.
type Subscribers interface {
	CreateSubscriber(ctx context.Context, n domain.Subscriber, after *uint64) error
	SubscriberStatus(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID) (domain.SubscriberStatus, error)
	ActiveSubscribers(ctx context.Context) ([]domain.Subscriber, error)
	UpdateSubscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, modify func(*domain.Subscriber) error) (domain.Subscriber, error)
	DisableSubscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, why string, at time.Time) (domain.Subscriber, error)
	DeleteSubscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, at time.Time) error
	ReportSubscriber(ctx context.Context, id domain.SubscriberID, r domain.SubscriberReport) (domain.SubscriberProgress, error)
	RewindSubscriber(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, after uint64) (domain.SubscriberProgress, error)
	NotificationLane(ctx context.Context, id domain.SubscriberID, round uint64, e domain.Event) (known, busy bool, err error)
	DeferNotifications(ctx context.Context, ws contract.WorkspaceID, d domain.Deferral) (domain.Deferred, error)
	CommitNotification(ctx context.Context, r domain.NotificationRun) (domain.Job, domain.SubscriberProgress, error)
	RetryNotifications(ctx context.Context, ws contract.WorkspaceID, id domain.SubscriberID, at time.Time, moved func([]domain.Job)) (int, error)
}

// Bridges keeps bridges, and commits what they carry.
type Bridges interface {
	CreateBridge(ctx context.Context, b domain.Bridge) error
	Bridge(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID) (domain.BridgeStatus, error)
	Bridges(ctx context.Context, ws contract.WorkspaceID, p domain.Page) ([]domain.BridgeStatus, string, error)
	CountBridges(ctx context.Context, ws contract.WorkspaceID) (int64, error)
	BridgedWorkspaces(ctx context.Context) ([]contract.WorkspaceID, error)
	UpdateBridge(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID, modify func(*domain.Bridge) error) (domain.BridgeStatus, error)
	DeleteBridge(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID) error
	StepBridge(ctx context.Context, step domain.BridgeStep) ([]domain.Job, error)
	BridgeLink(ctx context.Context, id domain.BridgeID, side domain.BridgeSide, c contract.ConversationID) (domain.BridgeLink, error)
	BridgeLinks(ctx context.Context, ws contract.WorkspaceID, id domain.BridgeID, p domain.Page) ([]domain.BridgeLink, string, error)
	BridgeForward(ctx context.Context, id domain.BridgeID, source contract.MessageID) (domain.BridgeForward, error)
	BridgeForwardOf(ctx context.Context, id domain.BridgeID, target contract.MessageID) (domain.BridgeForward, error)
	MessageNamed(ctx context.Context, c contract.ConnectionID, name contract.PlatformMessageID) (domain.Message, error)
	KnowsConversation(ctx context.Context, ws contract.WorkspaceID, c contract.ConnectionID, id contract.ConversationID) (bool, error)
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
	Notices(ctx context.Context, f domain.NoticeFilter, p domain.Page) ([]domain.Notice, string, error)
	RevokeToken(ctx context.Context, jti string, until time.Time) error
	TokenRevoked(ctx context.Context, jti string) (bool, error)
}

// Retention removes what is too old, and counts what is kept.
type Retention interface {
	PlanSweep(ctx context.Context, defaults domain.Retention) (*domain.SweepPlan, error)
	Sweep(ctx context.Context, plan *domain.SweepPlan, room domain.SweepRoom, after string, most int) (domain.Swept, error)
	SweepMark(ctx context.Context, room domain.SweepRoom) (string, error)
	MarkSweep(ctx context.Context, room domain.SweepRoom, next string) error
	Usage(ctx context.Context, ws contract.WorkspaceID) (domain.Usage, error)
	AllMedia(ctx context.Context, p domain.Page) ([]domain.Media, string, error)
}

// Upkeep is what an operator asks.
type Upkeep interface {
	NewID(prefix string) string
	Ping(ctx context.Context) error
	Stats() domain.StoreStats
	Check(ctx context.Context) []string
	Close() error
}
