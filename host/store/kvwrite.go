package store

import (
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// kvPlan is the key-value half of a commit, worked out before anything is written, so
// that a refusal costs nobody else a second run.
type kvPlan struct {
	connection contract.ConnectionID
	writes     []domain.KVWrite
	usage      kvUsage
	changed    map[string]*kvEntry // as they shall be; nil for gone
}

// planKV works out what the writes come to. ErrQuota if that is more than a connection
// may keep. What has expired is removed on the way.
func (t *tx) planKV(e *domain.Effects) (*kvPlan, error) {
	p := &kvPlan{connection: e.Connection, writes: e.Writes, changed: map[string]*kvEntry{}}
	if len(e.Writes) == 0 {
		return p, nil
	}
	p.usage = t.kvUsage(e.Connection)
	if err := p.expire(t, e.At); err != nil {
		return nil, err
	}
	for _, w := range e.Writes {
		if err := p.write(t, w); err != nil {
			return nil, err
		}
	}
	if p.usage.keys > MaxEntries {
		return nil, fmt.Errorf("connection %q would keep %d key-value entries of %d: %w", e.Connection, p.usage.keys, MaxEntries, domain.ErrQuota)
	}
	if p.usage.bytes > MaxEntryBytes {
		return nil, fmt.Errorf("connection %q would keep %d bytes of key-value entries of %d: %w", e.Connection, p.usage.bytes, MaxEntryBytes, domain.ErrQuota)
	}
	return p, nil
}

// expire plans the removal of every entry of the connection that has expired.
func (p *kvPlan) expire(t *tx, now time.Time) error {
	for position := range t.scan(bucketKVExpiry, connectionKey(p.connection), nil) {
		if unpackTime(position[:8]).After(now) {
			return nil
		}
		k := string(position[8:])
		e, _, err := t.kvEntry(p.connection, k)
		if err != nil {
			return err
		}
		p.forget(k, e)
		p.changed[k] = nil
	}
	return nil
}

func (p *kvPlan) forget(k string, e kvEntry) {
	p.usage.keys--
	p.usage.bytes -= int64(len(k) + len(e.value))
	p.usage.floor = max(p.usage.floor, e.version)
}

// write plans one write on top of what is planned already.
func (p *kvPlan) write(t *tx, w domain.KVWrite) error {
	if w.Key == "" || len(w.Key) > MaxKeyBytes {
		return &domain.Invalid{Problems: []domain.Problem{{Field: "key", Value: w.Key,
			Why: fmt.Sprintf("it has %d bytes", len(w.Key)), Fix: fmt.Sprintf("use 1 to %d", MaxKeyBytes)}}}
	}
	before, planned, err := p.entry(t, w.Key)
	if err != nil {
		return err
	}
	if w.Delete {
		if before != nil {
			p.forget(w.Key, *before)
		}
		p.changed[w.Key] = nil
		return nil
	}
	after := &kvEntry{version: p.usage.floor + 1, expires: w.ExpiresAt, value: w.Value}
	if before != nil {
		after.version = before.version
		if !planned { // a commit counts once
			after.version++
		}
		p.usage.bytes -= int64(len(w.Key) + len(before.value))
		p.usage.keys--
	}
	p.usage.keys++
	p.usage.bytes += int64(len(w.Key) + len(w.Value))
	p.changed[w.Key] = after
	return nil
}

// entry returns an entry as the plan has it so far, nil if there is none, and whether the
// plan touches it.
func (p *kvPlan) entry(t *tx, k string) (e *kvEntry, planned bool, err error) {
	if e, planned := p.changed[k]; planned {
		return e, true, nil
	}
	kept, found, err := t.kvEntry(p.connection, k)
	if err != nil || !found {
		return nil, false, err
	}
	return &kept, false, nil
}

// apply writes the plan.
func (p *kvPlan) apply(t *tx) error {
	if len(p.writes) == 0 {
		return nil
	}
	for k, after := range p.changed {
		before, found, err := t.kvEntry(p.connection, k)
		if err != nil {
			return err
		}
		var old, index []entry
		if found {
			old = expiryIndex(p.connection, k, before)
		}
		if after == nil {
			t.delete(bucketKV, entryKey(p.connection, k))
		} else {
			index = expiryIndex(p.connection, k, *after)
			t.put(bucketKV, entryKey(p.connection, k), packEntry(*after))
		}
		t.reindex(old, index)
	}
	t.putUsage(p.connection, p.usage)
	return nil
}

func expiryIndex(c contract.ConnectionID, k string, e kvEntry) []entry {
	if e.expires.IsZero() {
		return nil
	}
	return []entry{{bucketKVExpiry, connectionKey(c).time(e.expires).rest(k), present}}
}
