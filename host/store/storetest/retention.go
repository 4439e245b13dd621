package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

var retentionClaims = []claim{
	{"payload is counted as it comes and goes", payloadIsCounted},
	{"nothing is removed before its age", nothingGoesEarly},
	{"a repeat is known when its delivery is gone", repeatsOutliveDeliveries},
	{"events are numbered on when all are gone", numbersGoOn},
	{"what waits stays", whatWaitsStays},
	{"the oldest goes for its size", oldestGoesForSize},
	{"a workspace has ages of its own", ownAges},
}

var defaultAges = domain.Retention{PayloadDays: 30, EventDays: 90, DedupeDays: 180}

// pass makes a whole pass of retention, in small steps, so many days from now.
func (f *fixture) pass(defaults domain.Retention, days int) (removed int) {
	f.t.Helper()
	plan, err := f.PlanSweep(f.t.Context(), defaults)
	f.ok(err)
	plan.Now = f.at.AddDate(0, 0, days)
	for _, room := range domain.SweepRooms() {
		for next, more := "", true; more; more = next != "" {
			swept, err := f.Sweep(f.t.Context(), plan, room, next, 2)
			f.ok(err)
			removed += swept.Removed
			next = swept.Next
		}
	}
	return removed
}

func (f *fixture) payload(ws contract.WorkspaceID) int64 {
	f.t.Helper()
	usage, err := f.Usage(f.t.Context(), ws)
	f.ok(err)
	return usage.PayloadBytes
}

// recorded commits a delivery with a body and a recording of so many bytes together.
func (f *fixture) recorded(bytes int) domain.DeliveryEffects {
	f.t.Helper()
	e := f.delivery(conA, f.text(chat, f.name("m"), "hello"))
	body := strings.Repeat("b", bytes-10) + f.name("")
	e.Delivery.Body, e.Recording = []byte(body), []byte(strings.Repeat("r", bytes-len(body)))
	e.Delivery.BodyBytes, e.Delivery.DedupeKey = int64(len(body)), f.name("key")
	f.commit(e)
	return e
}

func payloadIsCounted(t *testing.T, f *fixture) {
	first := f.recorded(100)
	f.recorded(200)
	if got := f.payload(wsA); got != 300 {
		t.Errorf("%d bytes are counted, want 300", got)
	}
	again := first
	again.Delivery.DedupeKey, again.Recording = "", []byte("shorter")
	f.commit(again)
	want := int64(200 + len(first.Delivery.Body) + len("shorter"))
	if got := f.payload(wsA); got != want {
		t.Errorf("after a delivery is run again, %d bytes are counted, want %d", got, want)
	}
	f.pass(defaultAges, 31)
	if got, other := f.payload(wsA), f.payload(wsB); got != 0 || other != 0 {
		t.Errorf("after all is removed, %d and %d bytes are counted", got, other)
	}
	d, err := f.Delivery(t.Context(), first.Delivery.ID)
	if err != nil || d.Body != nil || d.PayloadRemovedAt.IsZero() {
		t.Errorf("the delivery is %+v, %v; want no body, and when it was removed", d, err)
	}
	_, err = f.Usage(t.Context(), "wsp_nowhere")
	f.fails("Usage of no workspace", err, domain.ErrNotFound)
}

func nothingGoesEarly(t *testing.T, f *fixture) {
	f.recorded(100)
	f.sent(f.send(chat, "hi"), "out-1")
	f.park(f.send(chat, "hi again"))
	if n := f.pass(defaultAges, 29); n != 0 {
		t.Errorf("%d things went", n)
	}
	if n := f.pass(domain.Retention{PayloadDays: domain.Unlimited, EventDays: domain.Unlimited, DedupeDays: domain.Unlimited}, 9999); n != 0 {
		t.Errorf("of what is kept for ever, %d things went", n)
	}
}

func repeatsOutliveDeliveries(t *testing.T, f *fixture) {
	first := f.recorded(100)
	f.pass(defaultAges, 91)
	_, err := f.Delivery(t.Context(), first.Delivery.ID)
	f.fails("Delivery", err, domain.ErrNotFound)
	repeat := first
	repeat.Delivery.ID = contract.DeliveryID(f.NewID("dlv"))
	c := f.commit(repeat)
	if !c.Duplicate || c.Delivery != first.Delivery.ID || c.Response.Body != first.Delivery.Response.Body || len(c.Events) > 0 {
		t.Errorf("a repeat gave %+v", c)
	}
}

func numbersGoOn(t *testing.T, f *fixture) {
	f.recorded(100)
	f.recorded(100)
	last, err := f.LastEventSeq(t.Context(), wsA)
	f.ok(err)
	f.pass(defaultAges, 91)
	if left := f.events(wsA); len(left) > 0 {
		t.Errorf("%d events are left", len(left))
	}
	if after, err := f.LastEventSeq(t.Context(), wsA); err != nil || after != last {
		t.Errorf("the last number is %d, was %d, %v", after, last, err)
	}
	c := f.receive(f.text(chat, "new", "hello"))
	if len(c.Events) != 1 || c.Events[0].Seq != last+1 {
		t.Errorf("the next event is %+v, want number %d", c.Events, last+1)
	}
}

func whatWaitsStays(t *testing.T, f *fixture) {
	queued, parked, done := f.send(chat, "one"), f.send("other", "two"), f.send("third", "three")
	f.park(parked)
	f.sent(done, "out-1")
	f.pass(defaultAges, 100)
	for _, job := range []domain.Job{queued, parked} {
		_, err := f.Job(t.Context(), job.ID)
		f.ok(err)
		_, err = f.Message(t.Context(), wsA, job.Command.Message.ID)
		f.ok(err)
	}
	_, err := f.Job(t.Context(), done.ID)
	f.fails("the job that ended", err, domain.ErrNotFound)
	_, err = f.Message(t.Context(), wsA, done.Command.Message.ID)
	f.fails("the message that it sent", err, domain.ErrNotFound)
	f.pass(defaultAges, 200)
	_, err = f.Job(t.Context(), parked.ID)
	f.fails("the parked job after twice the time", err, domain.ErrNotFound)
	_, err = f.Job(t.Context(), queued.ID)
	f.ok(err)
}

func oldestGoesForSize(t *testing.T, f *fixture) {
	var all []domain.DeliveryEffects
	for range 6 {
		all = append(all, f.recorded(100))
	}
	bounded := defaultAges
	bounded.MaxBytes = 250
	f.pass(bounded, 0)
	if got := f.payload(wsA); got != 200 {
		t.Errorf("%d bytes are left of at most 250, want 200", got)
	}
	for i, e := range all {
		d, err := f.Delivery(t.Context(), e.Delivery.ID)
		if want := i >= 4; err != nil || (d.Body != nil) != want {
			t.Errorf("delivery %d of 6 has its body: %v, want %v, %v", i, d.Body != nil, want, err)
		}
	}
}

func ownAges(t *testing.T, f *fixture) {
	for _, bad := range []domain.Retention{{PayloadDays: -2}, {EventDays: 9, DedupeDays: 8}} {
		if err := bad.Check(); !errors.As(err, new(*domain.Invalid)) {
			t.Errorf("Check of %+v = %v", bad, err)
		}
	}
	e := f.recorded(100)
	_, err := f.UpdateWorkspace(t.Context(), wsA, func(w *domain.Workspace) error {
		w.Retention = domain.Retention{PayloadDays: 1, EventDays: 400}
		return nil
	})
	f.ok(err)
	if n := f.pass(defaultAges, 200); n != 1 {
		t.Errorf("%d things went, want the payload of one delivery", n)
	}
	if d, err := f.Delivery(t.Context(), e.Delivery.ID); err != nil || fmt.Sprint(d.ID) == "" {
		t.Errorf("the delivery: %v", err)
	}
}
