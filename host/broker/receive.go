package broker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/failpoint"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Request is one inbound HTTP request, copied from the network: the broker may keep it.
type Request struct {
	// Endpoint is the unguessable segment of the path.
	Endpoint string
	Method   string
	// Path is what follows the endpoint, decoded once; Query is raw.
	Path, Query string
	Headers     []contract.Header
	Body        []byte
}

// Answer is what the platform is answered. There always is one.
type Answer struct {
	Status  int
	Headers []contract.Header
	Body    []byte
	// Delivery is the delivery's id; empty if the endpoint is unknown.
	Delivery contract.DeliveryID
	// Answered is to be called once the answer was handed to the network. Never nil.
	Answered func()
}

// maxTries bounds how often one delivery is run again because something it read changed.
const maxTries = 16

var (
	unknownEndpoint = Answer{Status: 404, Body: []byte(`{"error":"unknown endpoint"}`), Headers: jsonHeaders(), Answered: func() {}}
	unavailable     = Answer{Status: 503, Body: []byte(`{"error":"temporarily unavailable, try again"}`),
		Headers: append(jsonHeaders(), contract.Header{Name: "Retry-After", Value: "30"}), Answered: func() {}}
)

// tooMany is the answer to a delivery that is over a limit of its workspace. Nothing of it
// is kept: the platform tries again.
func tooMany(cause error) Answer {
	wait := 1
	if e := Exceeded(nil); errors.As(cause, &e) {
		wait = e.RetryAfterSeconds()
	}
	return Answer{Status: 429, Body: []byte(`{"error":"too many deliveries, try again later"}`), Answered: func() {},
		Headers: append(jsonHeaders(), contract.Header{Name: "Retry-After", Value: strconv.Itoa(wait)})}
}

func jsonHeaders() []contract.Header {
	return []contract.Header{{Name: "Content-Type", Value: "application/json"}}
}

// Receive takes one delivery through the plugin of its connection. When it returns an
// answer below 300, everything that came of the delivery is durable.
func (b *Broker) Receive(ctx context.Context, r Request) Answer {
	connection, err := b.opts.Store.ConnectionByEndpoint(ctx, r.Endpoint)
	switch {
	case errors.Is(err, domain.ErrNotFound):
		return unknownEndpoint
	case err != nil:
		b.opts.Log.Error("a delivery could not be taken: the store does not answer", "error", err)
		return unavailable
	}
	release, err := b.opts.Limits.AdmitDelivery(connection.Budget(), int64(len(r.Body)))
	if err != nil {
		b.opts.Metrics.Delivery(connection.Plugin, "limited", 0)
		return tooMany(err)
	}
	release = sync.OnceFunc(release)
	defer release()
	now := b.opts.Now()
	d := b.newDelivery(connection, r, now)
	if connection.IsApp {
		return b.route(ctx, connection, d, arrival{leave: release})
	}
	return b.process(ctx, connection, d, false)
}

func (b *Broker) newDelivery(c domain.Connection, r Request, now time.Time) domain.Delivery {
	sum := sha256.Sum256(r.Body)
	return domain.Delivery{
		Delivery: contract.Delivery{
			ID: contract.DeliveryID(b.opts.Store.NewID("dlv")), ReceivedAt: now, Method: r.Method,
			Path: r.Path, Query: r.Query, Headers: r.Headers, BodyBytes: int64(len(r.Body)),
		},
		Workspace: c.Workspace, Connection: c.ID, Plugin: c.Plugin, Body: r.Body,
		BodySHA256: hex.EncodeToString(sum[:]),
	}
}

// process runs a delivery and turns whatever happens into an answer. A forced one takes
// effect although the connection has seen its like.
func (b *Broker) process(ctx context.Context, c domain.Connection, d domain.Delivery, forced bool) Answer {
	began := time.Now()
	answer, outcome, recorded, err := b.attempt(ctx, c, &d, taking{forced: forced})
	d.Took = time.Since(began)
	if err != nil {
		outcome = "failed"
		answer = b.keepFailed(ctx, c, d, recorded, err)
	}
	return b.counted(c, d, answer, outcome)
}

// attempt runs the plugin and commits, again and again as long as something that the
// plugin had read changes meanwhile. The second run and later ones hold the connection's
// lock, so that they get through. The recording is of the last run, for one that failed.
func (b *Broker) attempt(ctx context.Context, c domain.Connection, d *domain.Delivery, how taking) (a Answer, outcome string, recorded []byte, err error) {
	version, release, err := b.acquire(ctx, c)
	if err != nil {
		return Answer{}, "", nil, err
	}
	defer release()
	app, err := b.appOf(ctx, c)
	if err != nil {
		return Answer{}, "", nil, err
	}
	d.Digest = version.Digest
	var lost error
	for try := range maxTries {
		if try == 1 {
			lock := b.lock(c.ID)
			lock.Lock()
			defer lock.Unlock()
		}
		inv := b.newInvocation(version, c, contract.ExportReceive)
		inv.app = app
		answer, outcome, err := b.once(ctx, inv, *d, how)
		switch {
		case err == nil:
			return answer, outcome, nil, nil
		case !errors.Is(err, domain.ErrConflict):
			if encrypted(*d) { // what it carries is not to stand anywhere in the clear
				return Answer{}, "", nil, err
			}
			return Answer{}, "", inv.packed(), err
		}
		lost = err
	}
	return Answer{}, "", nil, fmt.Errorf("what this delivery read kept changing, %d times: %w", maxTries, lost)
}

// acquire returns the plugin version for a connection, if its workspace allows it.
func (b *Broker) acquire(ctx context.Context, c domain.Connection) (*registry.Version, func(), error) {
	workspace, err := b.opts.Store.Workspace(ctx, c.Workspace)
	if err != nil {
		return nil, nil, fmt.Errorf("read workspace: %w", err)
	}
	if !slices.Contains(workspace.Enabled, c.Plugin) {
		return nil, nil, fmt.Errorf("plugin %q: %w", c.Plugin, errDisabled)
	}
	return b.opts.Plugins.Acquire(c.Plugin)
}

// errDisabled means that the workspace does not allow the plugin (any more).
var errDisabled = errors.New("the workspace has not enabled the plugin")

func (b *Broker) lock(c contract.ConnectionID) *sync.Mutex {
	lock, _ := b.locks.LoadOrStore(c, new(sync.Mutex))
	return lock.(*sync.Mutex)
}

// once is one run of the plugin with its commit.
func (b *Broker) once(ctx context.Context, inv *invocation, d domain.Delivery, how taking) (Answer, string, error) {
	open, err := b.opened(d)
	if err != nil {
		return Answer{}, "", err
	}
	inv.bring(open)
	in := &contract.ReceiveInput{Delivery: d.Delivery, Connection: inv.connectionInfo()}
	if r := open.Routed; r != nil {
		in.Routed = &contract.Routed{Key: r.Key, Payload: r.Payload, Parked: r.Parked}
	}
	var out contract.ReceiveOutput
	done := b.turns.take()
	began := time.Now()
	err = inv.call(ctx, in, &out, b.opts.ReceiveDeadline)
	done()
	if err != nil {
		return Answer{}, "", err
	}
	d.Took = time.Since(began)
	if out.Rejected != nil {
		return b.reject(ctx, inv.connection, d, out, how.claim)
	}
	return b.commit(ctx, inv, d, out, how)
}

func (b *Broker) newInvocation(v *registry.Version, c domain.Connection, e contract.Export) *invocation {
	return &invocation{broker: b, version: v, connection: c, export: e, now: b.opts.Now()}
}

// reject counts and audits a delivery that the plugin did not believe. Nothing else of
// the plugin's output takes effect. claim is the job that ran it, if one did.
func (b *Broker) reject(ctx context.Context, c domain.Connection, d domain.Delivery, out contract.ReceiveOutput, claim string) (Answer, string, error) {
	d.State, d.Body, d.Sealed, d.Response = domain.DeliveryRejected, nil, false, out.Response
	d.Code, d.Reason, d.Attempts, d.Routed = out.Rejected.Code, out.Rejected.Reason, d.Attempts+1, nil
	d.Headers = withoutBearers(d.Headers) // it does not run again
	keep := func() error { return b.opts.Store.KeepDelivery(ctx, d, nil) }
	if claim != "" {
		keep = func() error {
			_, _, err := b.settleClaim(ctx, domain.ClaimEnd{JobID: claim, State: domain.JobDone, Delivery: &d})
			return err
		}
	}
	if err := keep(); err != nil {
		return Answer{}, "", fmt.Errorf("keep a rejected delivery: %w", err)
	}
	b.audit(ctx, "platform", "delivery.rejected", c, string(d.ID), strings.TrimSuffix(d.Code+": "+d.Reason, ": "))
	b.strike(ctx, c, out.Rejected)
	return b.answer(ctx, c, d.ID, out.Response), "rejected", nil
}

func (b *Broker) commit(ctx context.Context, inv *invocation, d domain.Delivery, out contract.ReceiveOutput, how taking) (Answer, string, error) {
	d.State, d.DedupeKey, d.Attempts = domain.DeliveryAccepted, out.DedupeKey, d.Attempts+1
	if how.claim == "" { // else the platform was answered before
		d.Response = out.Response
	}
	if inv.brings != nil && !inv.handed {
		d = b.shelved(d)
	}
	d.Headers = withoutBearers(d.Headers) // it does not run again
	effects := domain.DeliveryEffects{
		Effects: inv.effects(out.Events, out.Commands), Delivery: d,
		RepeatWindow: b.repeatWindow(inv.version), ClaimJob: how.claim,
	}
	if how.forced {
		effects.Delivery.DedupeKey, effects.RepeatWindow = "", 0
	}
	if inv.handed { // they stand in the body in the clear, and it need not run again
		effects.Delivery.Body, effects.Delivery.PayloadRemovedAt, effects.Delivery.Sealed = nil, inv.now, false
	}
	if how.claim != "" {
		failpoint.Hit(failpoint.ClaimBeforeCommit)
	}
	committed, err := b.opts.Store.CommitDelivery(ctx, effects)
	if err != nil {
		return Answer{}, "", fmt.Errorf("commit a delivery: %w", err)
	}
	if !committed.Duplicate {
		b.tokensCommitted(effects.Effects)
		b.strikes.clear(d.Connection)
		return b.answer(ctx, inv.connection, d.ID, out.Response), "accepted", nil
	}
	if err := b.supersede(ctx, d); err != nil {
		return Answer{}, "", err
	}
	return b.answer(ctx, inv.connection, committed.Delivery, committed.Response), "duplicate", nil
}

// repeatWindow is the manifest's, within the host's bound.
func (b *Broker) repeatWindow(v *registry.Version) time.Duration {
	most := b.opts.MaxRepeatWindow
	return time.Duration(min(v.Manifest.RepeatWindowSeconds, int64(most/time.Second))) * time.Second
}

// supersede notes that a kept delivery, replayed, turned out to have taken effect by a
// repeat of the platform's. A new delivery leaves no record of its own.
func (b *Broker) supersede(ctx context.Context, d domain.Delivery) error {
	if d.ReplayedAt.IsZero() {
		return nil
	}
	d = b.shelved(d)
	d.State = domain.DeliverySuperseded
	if err := b.opts.Store.KeepDelivery(ctx, d, nil); err != nil {
		return fmt.Errorf("keep a superseded delivery: %w", err)
	}
	return nil
}

// answer fills a response in for the network. What is kept holds the placeholders, not
// the pictures.
func (b *Broker) answer(ctx context.Context, c domain.Connection, d contract.DeliveryID, r contract.Response) Answer {
	return Answer{Status: int(r.Status), Headers: r.Headers, Body: []byte(b.withThumbnails(ctx, c, r)), Delivery: d,
		Answered: func() { b.opts.Store.MarkAnswered(d) }}
}

// timeToKeep bounds the wait until a failed delivery is kept.
const timeToKeep = 5 * time.Second

// keepFailed keeps the raw delivery, so that it can be replayed once the cause is mended.
func (b *Broker) keepFailed(ctx context.Context, c domain.Connection, d domain.Delivery, recorded []byte, cause error) Answer {
	d = b.shelved(d)
	d.State, d.Code, d.Reason, d.Attempts = domain.DeliveryFailed, failureCode(cause), bounded(cause.Error()), d.Attempts+1
	d.Body = bytes.Clone(d.Body)
	d.Response = contract.Response{Status: int64(unavailable.Status), Headers: unavailable.Headers, Body: string(unavailable.Body)}
	log := b.opts.Log.With("delivery", d.ID, "connection", c.ID, "plugin", c.Plugin, "code", d.Code)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeToKeep) // its own time may be what is up
	defer cancel()
	if err := b.opts.Store.KeepDelivery(ctx, d, recorded); err != nil {
		log.Error("a delivery failed and could not be kept; the platform was told to try again", "cause", cause, "error", err)
		return unavailable
	}
	log.Error("a delivery failed and was kept for replay", "cause", cause)
	return unavailable
}

// failureCode is a stable word for why a delivery failed.
func failureCode(err error) string {
	switch {
	case errors.Is(err, errDisabled):
		return "plugin_disabled"
	case errors.Is(err, errNoRoute):
		return "plugin_no_route"
	case errors.Is(err, registry.ErrRevoked):
		return "plugin_revoked"
	case errors.Is(err, registry.ErrNoPlugin):
		return "plugin_missing"
	case errors.Is(err, domain.ErrUnavailable):
		return "store_unavailable"
	case errors.Is(err, domain.ErrQuota):
		return "quota"
	case errors.Is(err, domain.ErrConflict):
		return "conflict"
	}
	if kind := kindOf(err); kind != "host" {
		return "plugin_" + kind
	}
	return "host_failure"
}

// bounded cuts a text that a plugin had a hand in.
func bounded(s string) string {
	const most = 2048
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
