package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/failpoint"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// unclaimed is the answer to a delivery whose key nobody has, if route names none.
var unclaimed = contract.Response{Status: 404, Headers: jsonHeaders(), Body: `{"error":"unknown account"}`}

// routed is what came of running route: an answer, or a key to look up.
type routed struct {
	// answer and outcome are set if the delivery is answered: it was rejected, or it concerns
	// no connection.
	answer  Answer
	outcome string
	// out is what route returned, if it returned a key or nothing.
	out contract.RouteOutput
	// recording is that of the run.
	recording []byte
}

// arrival is how a delivery came to an app.
type arrival struct {
	// forced has it take effect although its like was seen.
	forced bool
	// leave gives the app's place back: what a tenant's part of the work takes is to be felt by
	// nobody else. It may be called again.
	leave func()
}

// route takes a delivery that came to an app's address: the plugin says whose it is, and the
// host looks that up among the keys that connections of this very app registered.
func (b *Broker) route(ctx context.Context, app domain.Connection, d domain.Delivery, how arrival) Answer {
	began := time.Now()
	r, err := b.askRoute(ctx, app, &d, how.forced)
	d.Took = time.Since(began)
	if err == nil && r.outcome == "" {
		return b.routeTo(ctx, app, d, r, how)
	}
	answer, outcome := r.answer, r.outcome
	if err != nil {
		outcome, answer = "failed", b.keepFailed(ctx, app, d, r.recording, err)
	}
	return b.counted(app, d, answer, outcome)
}

// counted is the answer to a delivery, which is counted.
func (b *Broker) counted(c domain.Connection, d domain.Delivery, a Answer, outcome string) Answer {
	b.opts.Metrics.Delivery(c.Plugin, outcome, d.Took)
	a.Delivery = d.ID
	return a
}

// askRoute runs route, again and again as long as something changes that it had read and that
// its effects rest on. With an error, the recording is of the last run.
func (b *Broker) askRoute(ctx context.Context, app domain.Connection, d *domain.Delivery, forced bool) (routed, error) {
	version, release, err := b.acquire(ctx, app)
	if err != nil {
		return routed{}, err
	}
	defer release()
	if !slices.Contains(version.Manifest.Abilities, contract.ExportRoute) {
		return routed{}, fmt.Errorf("plugin %q: %w", app.Plugin, errNoRoute)
	}
	d.Digest = version.Digest
	var lost error
	for try := range maxTries {
		if try == 1 {
			lock := b.lock(app.ID)
			lock.Lock()
			defer lock.Unlock()
		}
		r, err := b.routeOnce(ctx, version, app, *d, forced)
		if err == nil || !errors.Is(err, domain.ErrConflict) {
			return r, err
		}
		lost = err
	}
	return routed{}, fmt.Errorf("what this delivery read kept changing, %d times: %w", maxTries, lost)
}

// errNoRoute means that a plugin has an app and cannot say whose a delivery is.
var errNoRoute = errors.New("it cannot route deliveries of an app")

// routeOnce is one run of route, with its commit if it was answered. A replay tells the plugin
// the time when the delivery came: signatures and tokens are good for a while only.
func (b *Broker) routeOnce(ctx context.Context, v *registry.Version, app domain.Connection, d domain.Delivery, forced bool) (routed, error) {
	inv := b.newInvocation(v, app, contract.ExportRoute)
	if !d.ReplayedAt.IsZero() {
		inv.now = d.ReceivedAt
	}
	inv.bring(d)
	in := &contract.RouteInput{Delivery: d.Delivery, App: app.ID, Settings: v.Manifest.WithDefaultsIn(manifest.ScopeApp, app.Settings)}
	var r routed
	done := b.turns.take()
	began := time.Now()
	err := inv.call(ctx, in, &r.out, b.opts.ReceiveDeadline)
	done()
	r.recording = inv.packed()
	if err != nil {
		return r, err
	}
	d.Took = time.Since(began)
	as := contract.ReceiveOutput{Response: r.out.Response, Rejected: r.out.Rejected, DedupeKey: r.out.DedupeKey,
		Events: r.out.Events, Commands: r.out.Commands}
	switch {
	case r.out.Rejected != nil:
		r.answer, r.outcome, err = b.reject(ctx, app, d, as, "")
	case r.out.Answered:
		r.answer, r.outcome, err = b.commit(ctx, inv, d, as, taking{forced: forced})
	}
	return r, err
}

// routeTo hands a delivery to the connection that has its key, or has it wait for one.
func (b *Broker) routeTo(ctx context.Context, app domain.Connection, d domain.Delivery, r routed, how arrival) Answer {
	if r.out.Key == "" {
		return b.leave(ctx, app, d, r)
	}
	d.Routed = &domain.Routed{App: app.ID, Key: r.out.Key, Payload: r.out.Payload}
	holder, behind, err := b.opts.Store.RouteOf(ctx, app.ID, r.out.Key)
	switch {
	case errors.Is(err, domain.ErrNotFound) && (r.out.Park == nil || r.out.Authorize):
		return b.leave(ctx, app, d, r)
	case errors.Is(err, domain.ErrNotFound):
		return b.park(ctx, app, d, r, how)
	case err != nil:
		return b.counted(app, d, b.keepFailed(ctx, app, d, r.recording, fmt.Errorf("find a connection: %w", err)), "failed")
	case r.out.Authorize:
		return b.sendToConsent(ctx, app, holder, d, r)
	case behind:
		return b.park(ctx, app, d, r, how)
	}
	return b.receiveRouted(ctx, app, holder, d, r, how)
}

// leave answers a delivery that is for nobody here. Nothing of it is kept, unless it is a
// replay: then that is what became of it.
func (b *Broker) leave(ctx context.Context, app domain.Connection, d domain.Delivery, r routed) Answer {
	response := r.out.Response
	if response.Status == 0 {
		response = unclaimed
	}
	answer := b.answer(ctx, app, d.ID, response)
	answer.Answered = func() {}
	if !d.ReplayedAt.IsZero() {
		d.State, d.Body, d.Response, d.Attempts = domain.DeliveryRejected, nil, response, d.Attempts+1
		d.Code, d.Reason, d.Routed = "unclaimed", "no connection has registered its key", nil
		if err := b.opts.Store.KeepDelivery(ctx, d, r.recording); err != nil {
			return b.counted(app, d, b.keepFailed(ctx, app, d, r.recording, err), "failed")
		}
	}
	answer = b.counted(app, d, answer, "unclaimed")
	answer.Delivery = ""
	return answer
}

// sendToConsent sends a browser to the platform's consent page for a connection.
func (b *Broker) sendToConsent(ctx context.Context, app domain.Connection, holder contract.ConnectionID, d domain.Delivery, r routed) Answer {
	if b.opts.Authorize == nil {
		return b.leave(ctx, app, d, r)
	}
	url, err := b.opts.Authorize(ctx, app.ID, holder)
	if err != nil {
		b.opts.Log.Error("a browser could not be sent to the consent page", "app", app.ID, "connection", holder, "error", err)
		return b.leave(ctx, app, d, r)
	}
	answer := b.counted(app, d, Answer{Status: 303, Answered: func() {}, Headers: []contract.Header{
		{Name: "Location", Value: url}, {Name: "Cache-Control", Value: "no-store"}, {Name: "Referrer-Policy", Value: "no-referrer"}}}, "authorize")
	answer.Delivery = ""
	return answer
}

// receiveRouted runs receive for the connection that has the delivery's key.
func (b *Broker) receiveRouted(ctx context.Context, app domain.Connection, holder contract.ConnectionID, d domain.Delivery, r routed, how arrival) Answer {
	c, err := b.opts.Store.Connection(ctx, holder)
	if err == nil && c.App != app.ID { // the store keeps no such key; make sure
		err = fmt.Errorf("connection %s is not of app %s: %w", holder, app.ID, domain.ErrNotFound)
	}
	if err == nil && !d.ReplayedAt.IsZero() { // it was kept as the app's
		err = b.opts.Store.HandOver(ctx, d.ID, c.ID, *b.shelved(d).Routed)
	}
	if err != nil {
		return b.counted(app, d, b.keepFailed(ctx, app, d, r.recording, err), "failed")
	}
	release, err := b.opts.Limits.AdmitDelivery(c.Workspace, int64(len(d.Body)))
	if err != nil {
		b.opts.Metrics.Delivery(c.Plugin, "limited", 0)
		return tooMany(err)
	}
	defer release()
	how.leave()
	d.Workspace, d.Connection = c.Workspace, c.ID
	return b.process(ctx, c, d, how.forced)
}

// park has a delivery wait for a connection that registers its key, or behind others that
// waited for it.
func (b *Broker) park(ctx context.Context, app domain.Connection, d domain.Delivery, r routed, how arrival) Answer {
	now := b.opts.Now()
	d.Response, d.Attempts = r.out.Response, d.Attempts+1
	if d.Response.Status == 0 {
		d.Response = contract.Response{Status: 202}
	}
	waits := *d.Routed
	waits.Parked = true
	d.Routed = &waits
	n := domain.NewParked{Kept: d, Bounds: b.opts.Parking, OnlyBehind: r.out.Park == nil,
		Parked: domain.Parked{Delivery: d.ID, App: app.ID, Key: r.out.Key, DedupeKey: r.out.DedupeKey, At: now}}
	n.Kept.Headers = withoutBearers(d.Headers) // route has judged it, and receive goes by what route found out
	if p := r.out.Park; p != nil {
		n.Title, n.Install = p.Title, p.Install
		n.ExpiresAt = now.Add(min(time.Duration(p.Seconds)*time.Second, b.opts.MaxParkTime))
	}
	if n.Install {
		sealed, err := b.sealed(n.Kept)
		if err != nil {
			return b.counted(app, d, b.keepFailed(ctx, app, d, nil, err), "failed")
		}
		n.Kept = sealed
	} else {
		n.Kept = b.shelved(n.Kept)
	}
	parking, err := b.opts.Store.ParkDelivery(ctx, n)
	switch {
	case errors.Is(err, domain.ErrNotFound) && n.OnlyBehind:
		return b.leave(ctx, app, d, r)
	case errors.Is(err, domain.ErrQuota):
		b.tellFull(ctx, app, err)
		return b.counted(app, d, unavailable, "unparked")
	case err != nil:
		return b.counted(app, d, b.keepFailed(ctx, app, d, r.recording, err), "failed")
	case parking.Connection != "":
		d.Attempts, d.Response, d.Routed.Parked = d.Attempts-1, contract.Response{}, false
		return b.receiveRouted(ctx, app, parking.Connection, d, r, how)
	case parking.Duplicate:
		if err := b.supersede(ctx, d); err != nil {
			b.opts.Log.Error("a replayed delivery that repeats another is still kept as failed", "delivery", d.ID, "error", err)
		}
		return b.counted(app, d, b.answer(ctx, app, parking.First, parking.Response), "duplicate")
	}
	failpoint.Hit(failpoint.RouteAfterPark)
	return b.counted(app, d, b.answer(ctx, app, d.ID, d.Response), "parked")
}

// fullEvery is how often an operator is told that a parking space is full.
const fullEvery = time.Hour

// tellFull tells the operator that deliveries find no room, now and then.
func (b *Broker) tellFull(ctx context.Context, app domain.Connection, cause error) {
	now := b.opts.Now()
	told, known := b.full.Swap(app.ID, now)
	if known && now.Sub(told.(time.Time)) < fullEvery {
		b.full.Store(app.ID, told)
		return
	}
	b.opts.Log.Error("a delivery cannot be parked; its platform is told to try again", "app", app.ID, "cause", cause)
	err := b.opts.Store.AddNotice(ctx, domain.Notice{At: now, Kind: domain.NoticeParkingFull, Workspace: app.Workspace, Connection: app.ID,
		Target: string(app.ID), Detail: bounded(cause.Error()) + "; assign what waits to connections, or discard it"})
	if err != nil {
		b.opts.Log.Error("a notice was not kept", "app", app.ID, "error", err)
	}
}
