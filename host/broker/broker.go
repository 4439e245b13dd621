// Package broker is the heart of the host: a delivery or a command goes through a plugin,
// and what came of it is committed, whole or not at all.
//
// [Broker.Receive] takes one delivery: the connection is found by the endpoint, the
// plugin verifies and parses it in a sandbox, the effects are committed in one
// transaction, and only then is the platform answered. The plugin may fail and the
// delivery may not: whatever goes wrong, the raw request is kept for replay and the
// platform is answered 503, so that it tries again as well.
//
// [Broker.Run] carries out one job: a command by calling the plugin, or an event on its
// way out by fetching the media it carries.
package broker

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/jobs"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Store is what the broker reads and commits.
type Store interface {
	Workspace(ctx context.Context, id contract.WorkspaceID) (domain.Workspace, error)
	Connection(ctx context.Context, id contract.ConnectionID) (domain.Connection, error)
	ConnectionByEndpoint(ctx context.Context, endpoint string) (domain.Connection, error)
	KVGet(ctx context.Context, c contract.ConnectionID, key string, now time.Time) (value string, version int64, found bool, err error)
	KVScan(ctx context.Context, c contract.ConnectionID, prefix, after string, limit int, now time.Time) (entries []contract.KVEntry, more bool, err error)
	CommitDelivery(ctx context.Context, e domain.DeliveryEffects) (domain.DeliveryCommitted, error)
	// RouteOf returns who has a key of an app, and whether deliveries wait to run for it.
	RouteOf(ctx context.Context, app contract.ConnectionID, key string) (c contract.ConnectionID, behind bool, err error)
	ParkDelivery(ctx context.Context, n domain.NewParked) (domain.Parking, error)
	// HandOver makes a delivery of an app that failed the connection's.
	HandOver(ctx context.Context, d contract.DeliveryID, c contract.ConnectionID, routed domain.Routed) error
	SettleClaim(ctx context.Context, e domain.ClaimEnd) (domain.Job, error)
	AddNotice(ctx context.Context, n domain.Notice) error
	CommitCommand(ctx context.Context, e domain.CommandEffects) (domain.CommandCommitted, error)
	CommitProbe(ctx context.Context, e domain.Effects, capabilities []contract.Capability) error
	ReleaseEvent(ctx context.Context, job string, e contract.Event, at time.Time) (domain.Event, error)
	PostponeEvent(ctx context.Context, job string, why contract.Failure, at, until time.Time) (domain.Job, error)
	KeepDelivery(ctx context.Context, d domain.Delivery, recording []byte) error
	Delivery(ctx context.Context, id contract.DeliveryID) (domain.Delivery, error)
	// OldestDeliveries lists deliveries in one state, oldest first.
	OldestDeliveries(ctx context.Context, f domain.DeliveryFilter, p domain.Page) (items []domain.Delivery, next string, err error)
	MarkAnswered(id contract.DeliveryID)
	Job(ctx context.Context, id string) (domain.Job, error)
	WriteJournal(ctx context.Context, job string, from int, entries [][]byte) error
	Journal(ctx context.Context, job string) ([][]byte, error)
	Recording(ctx context.Context, owner string, run int) ([]byte, error)
	Recordings(ctx context.Context, owner string) ([]int, error)
	Media(ctx context.Context, h contract.MediaHandle) (domain.Media, error)
	PutMedia(ctx context.Context, m domain.Media) error
	Audit(ctx context.Context, e domain.AuditEntry) error
	NewID(prefix string) string
}

// Plugins lends the version of a plugin that runs now.
type Plugins interface {
	Acquire(name string) (v *registry.Version, release func(), err error)
}

// Egress sends requests out, within a policy.
type Egress interface {
	Send(ctx context.Context, p domain.EgressPolicy, reveal secret.Reveal, r contract.HTTPRequest) *contract.HTTPResult
	// Upload sends an attachment, whose Body it closes.
	Upload(ctx context.Context, p domain.EgressPolicy, reveal secret.Reveal, m contract.MediaPut, a domain.Attachment) *contract.HTTPResult
	// Download writes to w what is at a URL, at most maxBytes of it.
	Download(ctx context.Context, p domain.EgressPolicy, reveal secret.Reveal, url string, headers []contract.Header,
		maxBytes int64, w io.Writer) (domain.Fetched, error)
	// CachedGet gets what never changes, and need not ask for it each time.
	CachedGet(ctx context.Context, p domain.EgressPolicy, url string) *contract.HTTPResult
}

// Secrets keeps the secrets of connections.
type Secrets interface {
	// Reveal returns the newest value; domain.ErrNotFound if there is none.
	Reveal(ctx context.Context, c contract.ConnectionID, name string) (secret.Text, error)
	// Values returns every value that is accepted, newest first; domain.ErrNotFound if there
	// is none.
	Values(ctx context.Context, c contract.ConnectionID, name string) ([]secret.Text, error)
	// Equal compares with every value that is accepted, in constant time.
	Equal(ctx context.Context, c contract.ConnectionID, name, candidate string) (bool, error)
	HMACVerify(ctx context.Context, c contract.ConnectionID, name, algorithm string, message, mac []byte) (bool, error)
	HMACSign(ctx context.Context, c contract.ConnectionID, name, algorithm string, message []byte) ([]byte, error)
}

// Media keeps the bytes of attachments.
type Media interface {
	// Put streams r into the store and returns once the bytes are durable.
	Put(ctx context.Context, r io.Reader, maxBytes int64) (sha256 string, size int64, mime string, err error)
	// Open opens the bytes with that hash. The caller closes them.
	Open(sha256 string) (io.ReadSeekCloser, error)
	// Link returns a signed URL that works until expires.
	Link(h contract.MediaHandle, expires time.Time) string
	// Thumbnail returns a small picture in base64; empty if the bytes are no picture.
	Thumbnail(sha256 string) (string, error)
}

// Limits bounds what a workspace uses, or an app: see domain.Connection.Budget. Its refusals are
// [Exceeded].
type Limits interface {
	// AdmitDelivery takes one delivery with a body of so many bytes from the workspace's
	// budgets. release is to be called once it is answered.
	AdmitDelivery(ws contract.WorkspaceID, bytes int64) (release func(), err error)
	// ChargeFuel is told of the fuel that an invocation used.
	ChargeFuel(ws contract.WorkspaceID, fuel int64)
	// Debt is how long the workspace has to wait because of the fuel it used; 0 if it has not.
	Debt(ws contract.WorkspaceID) time.Duration
}

// Exceeded is an error that says when it may be tried again.
type Exceeded interface {
	error
	// RetryAfterSeconds is at least 1.
	RetryAfterSeconds() int
}

// Metrics counts what the broker does.
type Metrics interface {
	Delivery(plugin, outcome string, took time.Duration)
	// Invocation counts a call into a plugin, by the time and the units of fuel it took.
	Invocation(plugin string, export contract.Export, took time.Duration, fuel int64, failure string)
	HostCall(plugin string, function contract.HostFunction)
	Job(kind domain.JobKind, outcome string)
}

// Options says how a broker works.
type Options struct {
	Store   Store
	Plugins Plugins
	Egress  Egress
	Secrets Secrets
	Tokens  Tokens
	Pages   Pages
	Media   Media
	Metrics Metrics
	Limits  Limits
	Policy  jobs.Policy
	// ReceiveDeadline and CommandDeadline limit one invocation.
	ReceiveDeadline, CommandDeadline time.Duration
	// MaxRepeatWindow limits what a manifest may ask for as its repeat window.
	MaxRepeatWindow time.Duration
	// MediaMaxBytes limits one attachment; MediaLinkTTL the life of a link to one.
	MediaMaxBytes int64
	MediaLinkTTL  time.Duration
	// Parking bounds what waits for connections to claim it, and MaxParkTime for how long.
	Parking     domain.ParkBounds
	MaxParkTime time.Duration
	// Authorize returns the URL at which a browser begins to authorise a connection of an app;
	// nil if the host cannot do that.
	Authorize func(ctx context.Context, app, c contract.ConnectionID) (url string, err error)
	// PublicURL is the base of receive URLs, without a slash at its end.
	PublicURL string
	Now       func() time.Time
	// Random gives the seeds of invocations; crypto/rand.Reader in production.
	Random io.Reader
	Log    *slog.Logger
}

// Broker runs invocations and commits what came of them. It is safe for concurrent use.
type Broker struct {
	opts  Options
	locks sync.Map // contract.ConnectionID → *sync.Mutex; see receive
	// unsettled holds the journals of runs that are not committed, by job: they know answers
	// that the disk may not.
	unsettled sync.Map
	replaying sync.Map // the deliveries that are being replayed, by id
	full      sync.Map // contract.ConnectionID → time.Time: when it was told that an app's parking space is full
	turns     turns
	strikes   strikes
}

// New makes a broker.
func New(opts Options) *Broker { return &Broker{opts: opts, turns: newTurns()} }

// offered are the host functions that this host has.
var offered = []contract.HostFunction{
	contract.HostHTTPSend, contract.HostKVGet, contract.HostKVPut, contract.HostKVDelete,
	contract.HostKVList, contract.HostRoutePut, contract.HostRouteDelete, contract.HostSecretEqual, contract.HostHMACVerify, contract.HostHMACSign,
	contract.HostMediaLink, contract.HostMediaPut, contract.HostDeliveryBody, contract.HostCredentialsPut,
	contract.HostHTTPCachedGet, contract.HostJWTVerify, contract.HostJWTSign, contract.HostSignatureVerify,
	contract.HostMediaFetch,
}

// Offered lists the host functions that this host has, for admission.
func Offered() []string {
	names := make([]string, len(offered))
	for i, f := range offered {
		names[i] = string(f)
	}
	return names
}

func (b *Broker) audit(ctx context.Context, actor, action string, c domain.Connection, target, detail string) {
	err := b.opts.Store.Audit(ctx, domain.AuditEntry{At: b.opts.Now(), Actor: actor, Action: action,
		Workspace: c.Workspace, Connection: c.ID, Target: target, Detail: detail})
	if err != nil {
		b.opts.Log.Error("an audit entry was not kept", "action", action, "target", target, "error", err)
	}
}
