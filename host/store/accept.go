package store

import (
	"context"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// firstAnswer is what a dedupe key stands for. It holds the answer itself, so that it
// works on when the delivery is no longer kept.
type firstAnswer struct {
	Delivery contract.DeliveryID `json:"delivery"`
	Response contract.Response   `json:"response"`
}

// repeatable is the newest accepted delivery with some body.
type repeatable struct {
	Delivery contract.DeliveryID `json:"delivery"`
	At       time.Time           `json:"at"`
}

func dedupeKey(c contract.ConnectionID, k string) key { return connectionKey(c).text(k) }

// CommitDelivery accepts a delivery: it and all that came of it become durable together.
//
// If the connection has seen the DedupeKey, nothing is changed and the first answer is
// returned; so it is if another delivery with the same body was accepted within
// RepeatWindow and its answer was never handed to the network. To run an accepted delivery
// again all the same, commit it without its DedupeKey; it keeps the key it had.
//
// ErrConflict if something that was read has changed, ErrQuota if there are too many
// key-value entries, ErrNotFound if the connection is not there; then nothing is changed.
func (s *Store) CommitDelivery(ctx context.Context, e domain.DeliveryEffects) (domain.DeliveryCommitted, error) {
	e.Delivery = hashed(e.Delivery)
	e.Delivery.State = domain.DeliveryAccepted
	e.Delivery.Workspace, e.Delivery.Connection = e.Workspace, e.Connection
	return change(ctx, s, "commit delivery", func(t *tx) (domain.DeliveryCommitted, error) {
		return t.commitDelivery(e)
	})
}

func (t *tx) commitDelivery(e domain.DeliveryEffects) (domain.DeliveryCommitted, error) {
	var none domain.DeliveryCommitted
	if err := t.owns(e.Workspace, e.Connection); err != nil {
		return none, err
	}
	before, err := t.deliveryBefore(e.Delivery.ID)
	if err != nil {
		return none, err
	}
	claim, err := t.claimBefore(e.ClaimJob, e.Connection, e.Delivery.ID)
	if err != nil {
		return none, err
	}
	if first, err := t.firstAnswer(before, &e); err != nil || first != nil {
		if err != nil {
			return none, err
		}
		if claim != nil {
			t.endRepeatedClaim(*claim, *before, e.At)
		}
		return domain.DeliveryCommitted{Duplicate: true, Delivery: first.Delivery, Response: first.Response}, nil
	}
	plan, err := t.check(&e.Effects)
	if err != nil {
		return none, err
	}
	committed := domain.DeliveryCommitted{Delivery: e.Delivery.ID, Response: e.Delivery.Response}
	from := source{ws: e.Workspace, connection: e.Connection, delivery: e.Delivery.ID, at: e.At}
	if committed.Events, committed.Jobs, err = t.apply(from, plan, &e.Effects); err != nil {
		return none, err
	}
	if err := t.accept(before, &e); err != nil {
		return none, err
	}
	if claim != nil {
		t.endClaim(*claim, domain.JobDone, e.At)
	}
	t.putRecording(e.Workspace, string(e.Delivery.ID), e.Delivery.Attempts, e.Recording)
	t.sawTraffic(e.Connection, e.At, time.Time{})
	return committed, nil
}

// check refuses effects that do not fit what is kept now, before anything is written.
func (t *tx) check(e *domain.Effects) (*kvPlan, error) {
	if err := t.checkReads(e); err != nil {
		return nil, err
	}
	if err := t.checkRoutes(e); err != nil {
		return nil, err
	}
	return t.planKV(e)
}

// apply makes the effects that deliveries and commands have in common. It returns the
// events that became visible and the jobs that were queued.
func (t *tx) apply(from source, plan *kvPlan, e *domain.Effects) ([]domain.Event, []domain.Job, error) {
	if e.Tokens != nil {
		if err := t.putTokens(*e.Tokens); err != nil {
			return nil, nil, err
		}
	}
	if err := plan.apply(t); err != nil {
		return nil, nil, err
	}
	events, jobs, err := t.addEvents(from, e.Events)
	if err != nil {
		return nil, nil, err
	}
	for _, request := range e.Commands {
		jobs = append(jobs, t.addRequest(from, request))
	}
	claimed, err := t.applyRoutes(e)
	return events, append(jobs, claimed...), err
}

// firstAnswer returns the answer of the delivery that this one repeats; nil if it is new.
// One that was superseded while it was replayed repeats the one that took its place.
func (t *tx) firstAnswer(before *domain.Delivery, e *domain.DeliveryEffects) (*firstAnswer, error) {
	if e.Delivery.DedupeKey != "" {
		k := dedupeKey(e.Connection, e.Delivery.DedupeKey)
		if t.has(bucketDedupe, k) {
			first, err := load[firstAnswer](t, bucketDedupe, k)
			return &first, err
		}
	}
	if e.RepeatWindow <= 0 || !t.has(bucketRepeats, bodyKey(e.Delivery)) {
		return nil, nil
	}
	r, err := load[repeatable](t, bucketRepeats, bodyKey(e.Delivery))
	if err != nil || r.Delivery == e.Delivery.ID || e.At.Sub(r.At) > e.RepeatWindow {
		return nil, err
	}
	d, err := t.delivery(r.Delivery)
	superseded := before != nil && before.State == domain.DeliverySuperseded
	if err != nil || d.Answered && !superseded {
		return nil, err
	}
	return &firstAnswer{Delivery: d.ID, Response: d.Response}, nil
}

// accept keeps the delivery itself and what makes it known again.
func (t *tx) accept(before *domain.Delivery, e *domain.DeliveryEffects) error {
	d := e.Delivery
	d.Answered = d.Answered || before != nil && before.Answered // it may have been marked since it was read
	switch {
	case d.DedupeKey != "":
		t.putDoc(bucketDedupe, dedupeKey(d.Connection, d.DedupeKey), firstAnswer{d.ID, d.Response})
	case before != nil && before.State == domain.DeliveryAccepted:
		d.DedupeKey = before.DedupeKey
	}
	t.putDelivery(before, d)
	if !d.PayloadRemovedAt.IsZero() {
		t.dropPayload(d.Workspace, string(d.ID)) // it handed tokens over, which stand in it
	}
	if e.RepeatWindow <= 0 {
		return nil
	}
	t.putDoc(bucketRepeats, bodyKey(d), repeatable{d.ID, e.At})
	return t.supersede(d, e.RepeatWindow)
}

// supersede marks the failed deliveries that this one repeats: replaying them would
// double it. d itself has been accepted by now.
func (t *tx) supersede(d domain.Delivery, window time.Duration) error {
	var failed []contract.DeliveryID
	for id := range t.scan(bucketFailedBodies, bodyKey(d), nil) {
		failed = append(failed, contract.DeliveryID(id))
	}
	for _, id := range failed {
		before, err := t.delivery(id)
		if err != nil {
			return err
		}
		age := d.ReceivedAt.Sub(before.ReceivedAt)
		if age < 0 || age > window {
			continue
		}
		after := before
		after.State = domain.DeliverySuperseded
		t.putDelivery(&before, after)
	}
	return nil
}
