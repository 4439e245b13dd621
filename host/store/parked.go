package store

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Deliveries to an app that no connection claims yet are parked: each is a delivery of the
// app's, a record of what waits, and an index by key and by the time at which it is given up.
// What waits is counted for each app and each key as it comes and goes.

func parkedIndex(p domain.Parked) []entry {
	return []entry{
		{bucketParkedKeys, routeKey(p.App, p.Key).rest(string(p.Delivery)), present},
		{bucketParkedExpiry, newKey().time(p.ExpiresAt).rest(string(p.Delivery)), present},
	}
}

// parkedBytes is what a delivery counts in the parking space.
func parkedBytes(d domain.Delivery, payload string) int64 {
	return d.BodyBytes + int64(len(payload)) + domain.ParkedOverhead
}

// ParkDelivery has a delivery wait until a connection registers its key. One whose key has been registered meanwhile is not parked: it is to run at once,
// or waits behind others that waited. ErrQuota if the parking space is full, ErrNotFound if the
// app is not there, or nobody has the key and it may only wait behind others.
func (s *Store) ParkDelivery(ctx context.Context, n domain.NewParked) (domain.Parking, error) {
	n.Kept = hashed(n.Kept)
	n.Kept.ID, n.Kept.Connection, n.Kept.State, n.Kept.DedupeKey = n.Delivery, n.App, domain.DeliveryParked, n.DedupeKey
	return change(ctx, s, "park delivery", func(t *tx) (domain.Parking, error) { return t.park(n) })
}

func (t *tx) park(n domain.NewParked) (domain.Parking, error) {
	var none domain.Parking
	app, err := t.connection(n.App)
	if err != nil {
		return none, err
	}
	if n.DedupeKey != "" && t.has(bucketDedupe, dedupeKey(n.App, n.DedupeKey)) {
		first, err := load[firstAnswer](t, bucketDedupe, dedupeKey(n.App, n.DedupeKey))
		return domain.Parking{Duplicate: true, First: first.Delivery, Response: first.Response}, err
	}
	holder := t.routeHolder(n.App, n.Key)
	switch {
	case holder == "" && n.OnlyBehind:
		return none, fmt.Errorf("key of app %q: %w", n.App, domain.ErrNotFound)
	case holder != "" && !t.laneBusy(domain.ClaimLane(holder, n.Key)):
		return domain.Parking{Connection: holder}, nil
	}
	before, err := t.deliveryBefore(n.Delivery)
	if err != nil {
		return none, err
	}
	if holder != "" {
		return t.parkBehind(n, holder, before)
	}
	size := parkedBytes(n.Kept, payloadOf(n.Kept))
	if err := t.parkingFree(n, size); err != nil {
		return none, err
	}
	n.Kept.Workspace = app.Workspace
	t.putDelivery(before, n.Kept)
	t.putJSON(bucketParked, key(n.Delivery), n.Parked)
	t.reindex(nil, parkedIndex(n.Parked))
	t.useRoute(connectionKey(n.App), 1, size)
	t.useRoute(routeKey(n.App, n.Key), 1, size)
	if n.DedupeKey != "" {
		t.putDoc(bucketDedupe, dedupeKey(n.App, n.DedupeKey), firstAnswer{n.Delivery, n.Kept.Response})
	}
	t.sawTraffic(n.App, n.At, time.Time{})
	if n.Install {
		t.notice(domain.Notice{At: n.At, Kind: domain.NoticeInstall, Workspace: app.Workspace, Connection: n.App, Target: n.Key,
			Detail: fmt.Sprintf("%q installed the app %q and belongs to no connection yet: assign %q to one, or discard it; see patchbay app unclaimed %s", n.Title, app.Name, n.Key, app.ID)})
	}
	return none, nil
}

func payloadOf(d domain.Delivery) string {
	if d.Routed == nil {
		return ""
	}
	return d.Routed.Payload
}

// parkBehind queues a delivery behind others that waited for the connection which has its key
// by now: it must not overtake them.
func (t *tx) parkBehind(n domain.NewParked, holder contract.ConnectionID, before *domain.Delivery) (domain.Parking, error) {
	c, err := t.connection(holder)
	if err != nil {
		return domain.Parking{}, err
	}
	waiting := int64(0)
	for range t.scan(bucketLanes, laneKey(domain.ClaimLane(holder, n.Key)), nil) {
		waiting++
	}
	if n.Bounds.KeyDeliveries > 0 && waiting >= n.Bounds.KeyDeliveries {
		return domain.Parking{}, fmt.Errorf("%d deliveries of key %q wait to run for connection %q: %w", waiting, n.Key, holder, domain.ErrQuota)
	}
	if n.DedupeKey != "" {
		t.putDoc(bucketDedupe, dedupeKey(n.App, n.DedupeKey), firstAnswer{n.Delivery, n.Kept.Response})
	}
	if before != nil { // a replay: it was kept as the app's
		moved := t.transfer(*before, c)
		before = &moved
	}
	n.Kept.Workspace, n.Kept.Connection, n.Kept.DedupeKey = c.Workspace, c.ID, ""
	t.putDelivery(before, n.Kept)
	t.sawTraffic(n.App, n.At, time.Time{})
	job := t.addClaim(c, domain.Claimed{Delivery: n.Delivery, App: n.App, Key: n.Key}, n.At)
	return domain.Parking{Job: &job}, nil
}

func (t *tx) addClaim(c domain.Connection, claimed domain.Claimed, at time.Time) domain.Job {
	return t.addJob(domain.Job{ID: t.ids.next("clm"), Kind: domain.JobClaim, Workspace: c.Workspace, Connection: c.ID,
		Lane: domain.ClaimLane(c.ID, claimed.Key), NotBefore: at, CreatedAt: at, Claim: &claimed})
}

// parkingFree refuses a delivery for which there is no room.
func (t *tx) parkingFree(n domain.NewParked, size int64) error {
	for _, part := range []struct {
		name              string
		of                key
		deliveries, bytes int64
	}{
		{"app", connectionKey(n.App), n.Bounds.Deliveries, n.Bounds.Bytes},
		{"key", routeKey(n.App, n.Key), n.Bounds.KeyDeliveries, n.Bounds.KeyBytes},
	} {
		use := t.routeUse(part.of)
		if part.deliveries > 0 && use.count+1 > part.deliveries || part.bytes > 0 && use.bytes+size > part.bytes {
			return fmt.Errorf("the parking space of app %q is full: of the %s, %d deliveries of %d bytes wait: %w",
				n.App, part.name, use.count, use.bytes, domain.ErrQuota)
		}
	}
	return nil
}

// parkedFor returns what waits for a key, in the order in which it came.
func (t *tx) parkedFor(app contract.ConnectionID, k string) ([]domain.Parked, error) {
	return t.parkedAt(routeKey(app, k))
}

func (t *tx) parkedAt(of key) ([]domain.Parked, error) {
	var ids [][]byte
	for id := range t.scan(bucketParkedKeys, of, nil) {
		ids = append(ids, bytes.Clone(id))
	}
	parked := make([]domain.Parked, 0, len(ids))
	for _, id := range ids {
		p, err := load[domain.Parked](t, bucketParked, id)
		if err != nil {
			return nil, fmt.Errorf("parked delivery %q: %w", id, err)
		}
		parked = append(parked, p)
	}
	return parked, nil
}

// claimParked hands what waits for a key to the connection that has it now, and queues it.
// What has expired is left to be given up.
func (t *tx) claimParked(c domain.Connection, k string, at time.Time) ([]domain.Job, error) {
	waiting, err := t.parkedFor(c.App, k)
	if err != nil {
		return nil, err
	}
	var jobs []domain.Job
	for _, p := range waiting {
		if !p.ExpiresAt.After(at) {
			continue
		}
		if err := t.handOver(p, c); err != nil {
			return nil, err
		}
		jobs = append(jobs, t.addClaim(c, domain.Claimed{Delivery: p.Delivery, App: p.App, Key: k}, at))
	}
	return jobs, nil
}

// handOver makes a parked delivery the connection's. What route did in app scope stays
// behind: it may have looked at what other tenants share.
func (t *tx) handOver(p domain.Parked, c domain.Connection) error {
	before, err := t.delivery(p.Delivery)
	if err != nil {
		return err
	}
	if err := t.unpark(p, before); err != nil {
		return err
	}
	t.transfer(before, c)
	return nil
}

// transfer makes a delivery of an app a connection's, and returns it as it is then.
func (t *tx) transfer(before domain.Delivery, c domain.Connection) domain.Delivery {
	t.dropRecordings(before.Workspace, string(before.ID))
	payload := len(t.get(bucketBodies, key(before.ID))) + len(t.get(bucketRouted, key(before.ID)))
	t.charge(before.Workspace, -payload)
	t.charge(c.Workspace, payload)
	after := before
	after.Workspace, after.Connection, after.DedupeKey = c.Workspace, c.ID, ""
	t.putDelivery(&before, after)
	return after
}

// HandOver makes a delivery that failed for an app, before anybody knew whose it is, one of a
// connection of the app. ErrConflict if it has not failed.
func (s *Store) HandOver(ctx context.Context, id contract.DeliveryID, to contract.ConnectionID, routed domain.Routed) error {
	return s.update(ctx, "hand delivery over", func(t *tx) error {
		before, err := t.delivery(id)
		if err != nil {
			return err
		}
		c, err := t.connection(to)
		if err != nil {
			return err
		}
		if before.State != domain.DeliveryFailed && before.State != domain.DeliverySuperseded || c.App == "" || c.App != before.Connection {
			return fmt.Errorf("delivery %q is %s and of connection %q: %w", id, before.State, before.Connection, domain.ErrConflict)
		}
		moved := t.transfer(before, c)
		after := moved
		after.Routed = &routed
		t.putDelivery(&moved, after)
		return nil
	})
}

// unpark takes a delivery out of the parking space; its record is the caller's to change.
func (t *tx) unpark(p domain.Parked, d domain.Delivery) error {
	routed, err := t.routedBefore(p.Delivery)
	if err != nil {
		return err
	}
	d.Routed = routed
	size := parkedBytes(d, payloadOf(d))
	t.delete(bucketParked, key(p.Delivery))
	t.reindex(parkedIndex(p), nil)
	t.useRoute(connectionKey(p.App), -1, -size)
	t.useRoute(routeKey(p.App, p.Key), -1, -size)
	return nil
}

// giveUp ends the wait of a parked delivery. It is kept without its body.
func (t *tx) giveUp(p domain.Parked, code, reason string) error {
	before, err := t.delivery(p.Delivery)
	if err != nil {
		return err
	}
	if err := t.unpark(p, before); err != nil {
		return err
	}
	t.dropRecordings(before.Workspace, string(p.Delivery))
	after := before
	after.State, after.Code, after.Reason = domain.DeliveryExpired, code, reason
	t.putDelivery(&before, after)
	return nil
}

// ExpireParked gives up at most so many parked deliveries whose time is over at now, and
// returns them.
func (s *Store) ExpireParked(ctx context.Context, now time.Time, most int) ([]domain.Parked, error) {
	return change(ctx, s, "expire parked deliveries", func(t *tx) ([]domain.Parked, error) {
		var due []domain.Parked
		for position := range t.scan(bucketParkedExpiry, nil, nil) {
			if len(due) == most || unpackTime(position[:8]).After(now) {
				break
			}
			p, err := load[domain.Parked](t, bucketParked, position[8:])
			if err != nil {
				return nil, fmt.Errorf("parked delivery %q: %w", position[8:], err)
			}
			due = append(due, p)
		}
		for _, p := range due {
			if err := t.giveUp(p, "unclaimed", "no connection claimed it in time"); err != nil {
				return nil, err
			}
		}
		return due, nil
	})
}

// DiscardParked gives up everything that waits for a key, and returns it. ErrNotFound if
// nothing does.
func (s *Store) DiscardParked(ctx context.Context, app contract.ConnectionID, k string) ([]domain.Parked, error) {
	return change(ctx, s, "discard parked deliveries", func(t *tx) ([]domain.Parked, error) {
		waiting, err := t.parkedFor(app, k)
		if err == nil && len(waiting) == 0 {
			err = fmt.Errorf("deliveries of app %q for key %q: %w", app, k, domain.ErrNotFound)
		}
		if err != nil {
			return nil, err
		}
		for _, p := range waiting {
			if err := t.giveUp(p, "discarded", "an operator discarded it"); err != nil {
				return nil, err
			}
		}
		return waiting, nil
	})
}

// discardAll gives up everything that waits for an app that goes.
func (t *tx) discardAll(app contract.ConnectionID) error {
	for _, of := range t.children(bucketParkedKeys, connectionKey(app)) {
		waiting, err := t.parkedAt(of)
		for i := 0; err == nil && i < len(waiting); i++ {
			err = t.giveUp(waiting[i], "app_removed", "its app was removed")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// titled is how many deliveries of a key are looked at for its title and whether it is an
// install.
const titled = 50

// ParkedKeys lists what waits for the connections of an app, key by key, with the cursor of
// the next page.
func (s *Store) ParkedKeys(ctx context.Context, app contract.ConnectionID, p domain.Page) ([]domain.ParkedKey, string, error) {
	return paged(ctx, s, "list parked deliveries", func(t *tx) ([]domain.ParkedKey, string, error) {
		after, err := listParked.position(p.After)
		if err != nil {
			return nil, "", err
		}
		var found []domain.ParkedKey
		var last key
		for _, of := range t.childrenAfter(bucketParkedKeys, connectionKey(app), after, p.Size()+1) {
			if len(found) == p.Size() {
				return found, listParked.cursor(last[len(connectionKey(app)):]), nil
			}
			k, err := t.parkedKey(app, of)
			if err != nil {
				return nil, "", err
			}
			found, last = append(found, k), of
		}
		return found, "", nil
	})
}

// parkedKey sums up what waits for one key.
func (t *tx) parkedKey(app contract.ConnectionID, of key) (domain.ParkedKey, error) {
	use := t.routeUse(of)
	k := domain.ParkedKey{Deliveries: use.count, Bytes: use.bytes}
	looked := 0
	take := func(id []byte) error {
		p, err := load[domain.Parked](t, bucketParked, id)
		if err != nil {
			return fmt.Errorf("parked delivery %q: %w", id, err)
		}
		if looked == 0 {
			k.Key, k.OldestAt = p.Key, p.At
			k.Connection = t.routeHolder(app, p.Key)
		}
		looked++
		k.Install = k.Install || p.Install
		if p.Title != "" {
			k.Title = p.Title
		}
		if p.ExpiresAt.After(k.ExpiresAt) {
			k.ExpiresAt = p.ExpiresAt
		}
		return nil
	}
	for id := range t.scan(bucketParkedKeys, of, nil) {
		if looked == titled {
			break
		}
		if err := take(id); err != nil {
			return k, err
		}
	}
	for id := range t.scanBack(bucketParkedKeys, of, nil) {
		return k, take(id)
	}
	return k, nil
}
