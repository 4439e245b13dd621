package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// The app of a fixture, and a connection of it for each of the two tenants.
const (
	app        = contract.ConnectionID("app_1")
	otherApp   = contract.ConnectionID("app_2")
	ofA, ofB   = contract.ConnectionID("con_of_a"), contract.ConnectionID("con_of_b")
	accountKey = "account/1"
)

// apps furnishes a fixture with two apps, the first with two connections.
func (f *fixture) apps() {
	f.t.Helper()
	ctx := f.t.Context()
	f.ok(f.CreateWorkspace(ctx, domain.Workspace{ID: domain.HostWorkspace, CreatedAt: noon}))
	for _, c := range []domain.Connection{
		{ID: app, Workspace: domain.HostWorkspace, IsApp: true, Endpoint: "endpoint-app"},
		{ID: otherApp, Workspace: domain.HostWorkspace, IsApp: true, Endpoint: "endpoint-app-2"},
		{ID: ofA, Workspace: wsA, App: app, Endpoint: "endpoint-of-a"},
		{ID: ofB, Workspace: wsB, App: app, Endpoint: "endpoint-of-b"},
	} {
		c.Plugin, c.State, c.CreatedAt = "acme", contract.StatePending, noon
		f.ok(f.CreateConnection(ctx, c, nil))
	}
}

// routing commits what a connection of the app registers and removes.
func (f *fixture) routing(c contract.ConnectionID, writes ...domain.RouteWrite) (domain.DeliveryCommitted, error) {
	e := f.delivery(c)
	if c == ofB {
		e.Workspace = wsB
	}
	e.Routes = writes
	return f.CommitDelivery(f.t.Context(), e)
}

// parking is a delivery that is to wait for a key.
func (f *fixture) parking(key string) domain.NewParked {
	kept := f.delivery(app).Delivery
	kept.BodyBytes = int64(len(kept.Body))
	kept.Routed = &domain.Routed{App: app, Key: key, Payload: "payload of " + string(kept.ID), Parked: true}
	return domain.NewParked{Kept: kept,
		Parked: domain.Parked{Delivery: kept.ID, App: app, Key: key, Title: "Acme", At: f.at, ExpiresAt: f.at.Add(time.Hour)}}
}

func (f *fixture) park1(n domain.NewParked) domain.Parking {
	f.t.Helper()
	p, err := f.ParkDelivery(f.t.Context(), n)
	f.ok(err)
	return p
}

// sweepAll makes a pass of retention.
func sweepAll(f *fixture, r domain.Retention) {
	f.t.Helper()
	plan, err := f.PlanSweep(f.t.Context(), r)
	f.ok(err)
	for _, room := range domain.SweepRooms() {
		for after, more := "", true; more; {
			swept, err := f.Sweep(f.t.Context(), plan, room, after, 100)
			f.ok(err)
			after, more = swept.Next, swept.Next != ""
		}
	}
}

func (f *fixture) assign(key string, c contract.ConnectionID) []domain.Job {
	f.t.Helper()
	jobs, err := f.AssignRoute(f.t.Context(), app, key, c, f.at)
	f.ok(err)
	return jobs
}

var routeClaims = []claim{
	{"a key leads to the connection that registered it", func(t *testing.T, f *fixture) {
		f.apps()
		_, _, err := f.RouteOf(t.Context(), app, accountKey)
		f.fails("before", err, domain.ErrNotFound)
		_, err = f.routing(ofA, domain.RouteWrite{Key: accountKey}, domain.RouteWrite{Key: "account/2"})
		f.ok(err)
		if c, behind, err := f.RouteOf(t.Context(), app, accountKey); err != nil || c != ofA || behind {
			t.Errorf("RouteOf = %q, %t, %v", c, behind, err)
		}
		_, _, err = f.RouteOf(t.Context(), otherApp, accountKey)
		f.fails("with another app", err, domain.ErrNotFound)
		_, err = f.routing(ofA, domain.RouteWrite{Key: accountKey, Delete: true})
		f.ok(err)
		_, _, err = f.RouteOf(t.Context(), app, accountKey)
		f.fails("after its removal", err, domain.ErrNotFound)
	}},
	{"who has which key can be listed, page by page, and a key taken back", func(t *testing.T, f *fixture) {
		f.apps()
		f.assign("b/1", ofA)
		f.assign("a/1", ofB)
		f.assign("long/1", ofA)
		first, next, err := f.HeldRoutes(t.Context(), app, domain.Page{Limit: 2})
		f.ok(err)
		second, end, err := f.HeldRoutes(t.Context(), app, domain.Page{Limit: 2, After: next})
		f.ok(err)
		want := []domain.HeldRoute{{Key: "a/1", Workspace: wsB, Connection: ofB}, {Key: "b/1", Workspace: wsA, Connection: ofA}, {Key: "long/1", Workspace: wsA, Connection: ofA}}
		if got := append(first, second...); !slices.Equal(got, want) || end != "" {
			t.Errorf("HeldRoutes = %+v, then %q, want %+v", got, end, want)
		}
		if others, _, err := f.HeldRoutes(t.Context(), otherApp, domain.Page{}); err != nil || len(others) != 0 {
			t.Errorf("HeldRoutes of another app = %+v, %v", others, err)
		}
		_, err = f.ReleaseRoute(t.Context(), otherApp, "a/1", f.at)
		f.fails("of another app", err, domain.ErrNotFound)
		released, err := f.ReleaseRoute(t.Context(), app, "a/1", f.at)
		f.ok(err)
		if released != want[0] {
			t.Errorf("ReleaseRoute = %+v, want %+v", released, want[0])
		}
		_, err = f.ReleaseRoute(t.Context(), app, "a/1", f.at)
		f.fails("again", err, domain.ErrNotFound)
		f.assign("a/1", ofA) // it is free
	}},
	{"an app that needs somebody is called an app", func(t *testing.T, f *fixture) {
		f.apps()
		f.ok(f.SetHealth(t.Context(), app, domain.CauseCredentials, &refused, f.at))
		notices, _, err := f.Notices(t.Context(), domain.NoticeFilter{Kind: domain.NoticeNeedsAction}, domain.Page{})
		if err != nil || len(notices) != 1 || notices[0].Connection != app || !strings.HasPrefix(notices[0].Detail, "app ") {
			t.Errorf("Notices = %+v, %v, want one of the app", notices, err)
		}
	}},
	{"a key of another connection is a conflict, and nothing is changed", func(t *testing.T, f *fixture) {
		f.apps()
		f.assign(accountKey, ofA)
		_, err := f.routing(ofB, domain.RouteWrite{Key: "own"}, domain.RouteWrite{Key: accountKey})
		f.fails("registered", err, domain.ErrConflict)
		_, err = f.AssignRoute(t.Context(), app, accountKey, ofB, f.at)
		f.fails("assigned", err, domain.ErrConflict)
		_, err = f.routing(ofB, domain.RouteWrite{Key: accountKey, Delete: true})
		f.ok(err) // it has no such key
		if c, _, err := f.RouteOf(t.Context(), app, accountKey); err != nil || c != ofA {
			t.Errorf("RouteOf = %q, %v", c, err)
		}
		_, _, err = f.RouteOf(t.Context(), app, "own")
		f.fails("what the refused commit registered beside it", err, domain.ErrNotFound)
	}},
	{"only connections of the app can have its keys", func(t *testing.T, f *fixture) {
		f.apps()
		_, err := f.routing(conA, domain.RouteWrite{Key: accountKey})
		f.fails("a connection without app", err, domain.ErrNotFound)
		_, err = f.AssignRoute(t.Context(), otherApp, accountKey, ofA, f.at)
		f.fails("a connection of another app", err, domain.ErrNotFound)
		_, err = f.AssignRoute(t.Context(), "", accountKey, conA, f.at)
		f.fails("no app", err, domain.ErrNotFound)
		_, err = f.routing(ofA, domain.RouteWrite{Key: ""})
		f.invalid("an empty key", err)
	}},
	{"of many connections that register a key at once one has it", func(t *testing.T, f *fixture) {
		f.apps()
		var won atomic.Int64
		together(16, func(i int) {
			_, err := f.AssignRoute(t.Context(), app, accountKey, []contract.ConnectionID{ofA, ofB}[i%2], f.at)
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, domain.ErrConflict) {
				t.Error(err)
			}
		})
		if won.Load() != 8 { // all of one connection
			t.Errorf("%d calls worked", won.Load())
		}
	}},
	{"a connection that is removed leaves its keys, and a removed app has none left", func(t *testing.T, f *fixture) {
		f.apps()
		f.assign(accountKey, ofA)
		f.fails("an app in use", f.DeleteConnection(t.Context(), app), domain.ErrConflict)
		f.ok(f.DeleteConnection(t.Context(), ofA))
		_, _, err := f.RouteOf(t.Context(), app, accountKey)
		f.fails("the key", err, domain.ErrNotFound)
		f.assign(accountKey, ofB)
		f.ok(f.DeleteConnection(t.Context(), ofB))
		f.park1(f.parking(accountKey))
		f.ok(f.DeleteConnection(t.Context(), app))
		if keys, _, err := f.ParkedKeys(t.Context(), app, domain.Page{}); err != nil || len(keys) > 0 {
			t.Errorf("ParkedKeys = %+v, %v", keys, err)
		}
	}},
	{"a connection needs its app", func(t *testing.T, f *fixture) {
		f.apps()
		for _, id := range []contract.ConnectionID{"app_none", conA} {
			err := f.CreateConnection(t.Context(), domain.Connection{ID: "con_x", Workspace: wsA, Plugin: "acme", App: id, Endpoint: "x"}, nil)
			f.fails("with app "+string(id), err, domain.ErrNotFound)
		}
		err := f.CreateConnection(t.Context(), domain.Connection{ID: "con_x", Workspace: wsA, Plugin: "other", App: app, Endpoint: "x"}, nil)
		f.fails("of another plugin", err, domain.ErrNotFound)
		c, err := f.UpdateConnection(t.Context(), ofA, func(c *domain.Connection) error { c.App, c.IsApp = otherApp, true; return nil })
		if f.ok(err); c.App != app || c.IsApp {
			t.Errorf("it moved to %q, or became one", c.App)
		}
		list := pages(f, func(p domain.Page) ([]domain.Connection, string, error) {
			return f.ConnectionsOfApp(t.Context(), app, p)
		})
		if len(list) != 2 || list[0].ID != ofA || list[1].ID != ofB {
			t.Errorf("ConnectionsOfApp = %+v", list)
		}
	}},
}

var parkingClaims = []claim{
	{"what is parked is handed over in order, and newer ones wait behind it", func(t *testing.T, f *fixture) {
		f.apps()
		first, second := f.parking(accountKey), f.parking(accountKey)
		f.park1(first)
		f.park1(second)
		jobs := f.assign(accountKey, ofB)
		if len(jobs) != 2 || jobs[0].Claim.Delivery != first.Delivery || jobs[1].Claim.Delivery != second.Delivery ||
			jobs[0].Kind != domain.JobClaim || jobs[0].Lane != jobs[1].Lane || jobs[0].Workspace != wsB {
			t.Fatalf("jobs %+v", jobs)
		}
		d, err := f.Delivery(t.Context(), first.Delivery)
		if f.ok(err); d.Workspace != wsB || d.Connection != ofB || d.State != domain.DeliveryParked || string(d.Body) != string(first.Kept.Body) ||
			d.Routed == nil || d.Routed.Payload != first.Kept.Routed.Payload {
			t.Errorf("delivery %+v", d)
		}
		if _, behind, err := f.RouteOf(t.Context(), app, accountKey); err != nil || !behind {
			t.Errorf("RouteOf says behind = %t, %v", behind, err)
		}
		third := f.parking(accountKey)
		third.OnlyBehind = true
		p := f.park1(third)
		if p.Job == nil || p.Job.Claim.Delivery != third.Delivery || p.Job.Seq < jobs[1].Seq {
			t.Fatalf("ParkDelivery = %+v", p)
		}
		for _, job := range append(jobs, *p.Job) {
			d, err := f.Delivery(t.Context(), job.Claim.Delivery)
			f.ok(err)
			e := domain.DeliveryEffects{Effects: domain.Effects{Workspace: wsB, Connection: ofB, At: f.at}, Delivery: d, ClaimJob: job.ID}
			f.commit(e)
			_, err = f.CommitDelivery(t.Context(), e)
			f.fails("its second commit", err, domain.ErrConflict)
		}
		if p := f.park1(f.parking(accountKey)); p.Connection != ofB || p.Job != nil {
			t.Errorf("with nothing waiting, ParkDelivery = %+v", p)
		}
	}},
	{"a duplicate of what is parked is answered as the first was", func(t *testing.T, f *fixture) {
		f.apps()
		first := f.parking(accountKey)
		first.DedupeKey, first.Kept.Response.Body = "platform's", "taken"
		f.park1(first)
		for _, c := range []contract.ConnectionID{"", ofA} {
			if c != "" {
				f.assign(accountKey, c)
			}
			again := f.parking(accountKey)
			again.DedupeKey = "platform's"
			if p := f.park1(again); !p.Duplicate || p.First != first.Delivery || p.Response.Body != "taken" {
				t.Errorf("claimed by %q: ParkDelivery = %+v", c, p)
			}
		}
	}},
	{"the parking space has bounds, for each app and for each key", func(t *testing.T, f *fixture) {
		f.apps()
		one := f.parking(accountKey)
		size := int64(len(one.Kept.Body)+len(one.Kept.Routed.Payload)) + domain.ParkedOverhead
		f.park1(one)
		for _, tt := range []struct {
			key    string
			bounds domain.ParkBounds
			full   bool
		}{
			{accountKey, domain.ParkBounds{Deliveries: 1}, true},
			{"another", domain.ParkBounds{Deliveries: 1}, true},
			{accountKey, domain.ParkBounds{KeyDeliveries: 1}, true},
			{"another", domain.ParkBounds{KeyDeliveries: 1}, false},
			{accountKey, domain.ParkBounds{Bytes: size + 10}, true},
			{accountKey, domain.ParkBounds{KeyBytes: size + 10}, true},
			{accountKey, domain.ParkBounds{KeyBytes: 2 * size, Bytes: 3 * size}, false}, // just so: another key has one
			{accountKey, domain.ParkBounds{KeyBytes: 4 * size, Bytes: 4 * size, Deliveries: 10, KeyDeliveries: 10}, false},
		} {
			n := f.parking(tt.key)
			n.Bounds = tt.bounds
			_, err := f.ParkDelivery(t.Context(), n)
			if tt.full != errors.Is(err, domain.ErrQuota) || !tt.full && err != nil {
				t.Errorf("%+v for %s: %v", tt.bounds, tt.key, err)
			}
		}
	}},
	{"behind others no more wait than for a key", func(t *testing.T, f *fixture) {
		f.apps()
		f.park1(f.parking(accountKey))
		f.assign(accountKey, ofA)
		n := f.parking(accountKey)
		n.Bounds.KeyDeliveries = 1
		_, err := f.ParkDelivery(t.Context(), n)
		f.fails("the second", err, domain.ErrQuota)
	}},
	{"what may only wait behind others does not wait for a connection", func(t *testing.T, f *fixture) {
		f.apps()
		n := f.parking(accountKey)
		n.OnlyBehind = true
		_, err := f.ParkDelivery(t.Context(), n)
		f.fails("an unknown key", err, domain.ErrNotFound)
	}},
	{"what nobody claims in time is given up", func(t *testing.T, f *fixture) {
		f.apps()
		old, young := f.parking(accountKey), f.parking(accountKey)
		young.ExpiresAt = f.at.Add(2 * time.Hour)
		f.park1(old)
		f.park1(young)
		f.tick(time.Hour)
		if jobs := f.assign(accountKey, ofA); len(jobs) != 1 || jobs[0].Claim.Delivery != young.Delivery {
			t.Errorf("claimed %+v", jobs)
		}
		gone, err := f.ExpireParked(t.Context(), f.at, 100)
		if f.ok(err); len(gone) != 1 || gone[0].Delivery != old.Delivery {
			t.Errorf("ExpireParked = %+v", gone)
		}
		d, err := f.Delivery(t.Context(), old.Delivery)
		if f.ok(err); d.State != domain.DeliveryExpired || d.Body != nil || d.Routed != nil || d.Code != "unclaimed" {
			t.Errorf("delivery %+v", d)
		}
		if gone, err := f.ExpireParked(t.Context(), f.at.Add(24*time.Hour), 100); err != nil || len(gone) > 0 {
			t.Errorf("again: %+v, %v", gone, err)
		}
	}},
	{"only so many are given up at once", func(t *testing.T, f *fixture) {
		f.apps()
		for range 3 {
			f.park1(f.parking(accountKey))
		}
		for _, want := range []int{2, 1, 0} {
			gone, err := f.ExpireParked(t.Context(), f.at.Add(time.Hour), 2)
			if f.ok(err); len(gone) != want {
				t.Errorf("gave up %d, want %d", len(gone), want)
			}
		}
	}},
	{"an operator sees and discards what is unclaimed", func(t *testing.T, f *fixture) {
		f.apps()
		for i := range 5 {
			n := f.parking(fmt.Sprint("key ", i))
			n.Install = i == 2
			f.park1(n)
			f.tick(time.Second)
			f.park1(f.parking(fmt.Sprint("key ", i)))
		}
		all := pages(f, func(p domain.Page) ([]domain.ParkedKey, string, error) { return f.ParkedKeys(t.Context(), app, p) })
		if len(all) != 5 || all[2].Key != "key 2" || !all[2].Install || all[1].Install || all[0].Deliveries != 2 || all[0].Title != "Acme" ||
			!all[0].OldestAt.Equal(noon) || !all[0].ExpiresAt.Equal(noon.Add(time.Hour+time.Second)) {
			t.Errorf("ParkedKeys = %+v", all)
		}
		gone, err := f.DiscardParked(t.Context(), app, "key 2")
		if f.ok(err); len(gone) != 2 {
			t.Errorf("DiscardParked = %+v", gone)
		}
		_, err = f.DiscardParked(t.Context(), app, "key 2")
		f.fails("again", err, domain.ErrNotFound)
		if keys, _, err := f.ParkedKeys(t.Context(), otherApp, domain.Page{}); err != nil || len(keys) > 0 {
			t.Errorf("of another app: %+v, %v", keys, err)
		}
		notices, _, err := f.Notices(t.Context(), domain.NoticeFilter{Kind: domain.NoticeInstall}, domain.Page{})
		if f.ok(err); len(notices) != 1 || notices[0].Target != "key 2" {
			t.Errorf("notices %+v", notices)
		}
	}},
	{"what waits is not removed for its age", func(t *testing.T, f *fixture) {
		f.apps()
		f.at = time.Now().Add(-48 * time.Hour)
		n := f.parking(accountKey)
		n.ExpiresAt = f.at.Add(30 * 24 * time.Hour)
		f.park1(n)
		short := domain.Retention{PayloadDays: 1, EventDays: 1, DedupeDays: 1}
		sweepAll(f, short)
		d, err := f.Delivery(t.Context(), n.Delivery)
		if f.ok(err); d.State != domain.DeliveryParked || len(d.Body) == 0 || d.Routed == nil {
			t.Fatalf("delivery %+v", d)
		}
		_, err = f.ExpireParked(t.Context(), n.ExpiresAt, 10)
		f.ok(err)
		sweepAll(f, short)
		_, err = f.Delivery(t.Context(), n.Delivery)
		f.fails("once it was given up", err, domain.ErrNotFound)
	}},
	{"a claimed delivery settles without effects, once", func(t *testing.T, f *fixture) {
		f.apps()
		f.park1(f.parking(accountKey))
		f.park1(f.parking(accountKey))
		jobs := f.assign(accountKey, ofA)
		again, err := f.SettleClaim(t.Context(), domain.ClaimEnd{JobID: jobs[0].ID, State: domain.JobQueued, NotBefore: f.at.Add(time.Minute), At: f.at,
			Failure: &contract.Failure{Class: contract.FailureRetry, Code: "plugin_trap"}})
		if f.ok(err); again.Attempts != 1 || again.State != domain.JobQueued || !again.NotBefore.Equal(f.at.Add(time.Minute)) {
			t.Errorf("job %+v", again)
		}
		d, err := f.Delivery(t.Context(), jobs[0].Claim.Delivery)
		f.ok(err)
		d.State, d.Code, d.Attempts = domain.DeliveryFailed, "plugin_trap", 2
		end := domain.ClaimEnd{JobID: jobs[0].ID, State: domain.JobCancelled, Delivery: &d, Recording: []byte("r"), At: f.at}
		_, err = f.SettleClaim(t.Context(), end)
		f.ok(err)
		_, err = f.SettleClaim(t.Context(), end)
		f.fails("again", err, domain.ErrConflict)
		if kept, err := f.Delivery(t.Context(), d.ID); err != nil || kept.State != domain.DeliveryFailed || kept.Routed == nil || kept.Body == nil {
			t.Errorf("kept %+v, %v", kept, err)
		}
	}},
	{"a connection that goes fails what it had claimed", func(t *testing.T, f *fixture) {
		f.apps()
		n := f.parking(accountKey)
		f.park1(n)
		f.assign(accountKey, ofA)
		f.ok(f.DeleteConnection(t.Context(), ofA))
		if d, err := f.Delivery(t.Context(), n.Delivery); err != nil || d.State != domain.DeliveryFailed || d.Code != "connection_deleted" {
			t.Errorf("delivery %+v, %v", d, err)
		}
	}},
	{"a delivery that failed for the app is handed over", func(t *testing.T, f *fixture) {
		f.apps()
		d := f.delivery(app).Delivery
		d.Workspace, d.Connection, d.State, d.BodyBytes = domain.HostWorkspace, app, domain.DeliveryFailed, int64(len(d.Body))
		f.ok(f.KeepDelivery(t.Context(), d, []byte("of route")))
		routed := domain.Routed{App: app, Key: accountKey, Payload: "p"}
		f.fails("to a connection without the app", f.HandOver(t.Context(), d.ID, conA, routed), domain.ErrConflict)
		f.ok(f.HandOver(t.Context(), d.ID, ofB, routed))
		f.fails("again", f.HandOver(t.Context(), d.ID, ofA, routed), domain.ErrConflict)
		kept, err := f.Delivery(t.Context(), d.ID)
		if f.ok(err); kept.Workspace != wsB || kept.Connection != ofB || kept.State != domain.DeliveryFailed || *kept.Routed != routed || string(kept.Body) != string(d.Body) {
			t.Errorf("kept %+v", kept)
		}
	}},
}
