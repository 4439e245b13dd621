package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// What one connection may keep.
const (
	// MaxEntries is the most key-value entries of a connection.
	MaxEntries = 10_000
	// MaxEntryBytes is the most bytes of all its keys and values together.
	MaxEntryBytes = 16 << 20
	// MaxKeyBytes is the longest key.
	MaxKeyBytes = 256
)

// kvEntry is one entry as it is kept: version, expiry, value.
type kvEntry struct {
	version uint64
	expires time.Time // zero for never
	value   string
}

func (e kvEntry) live(now time.Time) bool { return e.expires.IsZero() || e.expires.After(now) }

func packEntry(e kvEntry) []byte {
	v := binary.BigEndian.AppendUint64(make([]byte, 0, 16+len(e.value)), e.version)
	return append(append(v, packTime(e.expires)...), e.value...)
}

func unpackEntry(v []byte) (kvEntry, error) {
	if len(v) < 16 {
		return kvEntry{}, fmt.Errorf("an entry of %s is damaged: it has %d bytes", bucketKV, len(v))
	}
	return kvEntry{binary.BigEndian.Uint64(v), unpackTime(v[8:16]), string(v[16:])}, nil
}

func entryKey(c contract.ConnectionID, k string) key { return connectionKey(c).rest(k) }

// kvEntry returns an entry, whether it has expired or not.
func (t *tx) kvEntry(c contract.ConnectionID, k string) (e kvEntry, found bool, err error) {
	v := t.get(bucketKV, entryKey(c, k))
	if v == nil {
		return kvEntry{}, false, nil
	}
	e, err = unpackEntry(v)
	return e, err == nil, err
}

// version returns the version that an invocation sees; 0 if it sees no entry.
func (t *tx) version(c contract.ConnectionID, k string, now time.Time) (int64, error) {
	e, found, err := t.kvEntry(c, k)
	if err != nil || !found || !e.live(now) {
		return 0, err
	}
	return int64(e.version), nil
}

// KVGet returns an entry as it is at the given time. What has expired is not there, and
// neither is anything of a connection that is not there. Versions of a key only ever
// grow: an entry that was removed and made again does not get one that it had before.
func (s *Store) KVGet(
	ctx context.Context, c contract.ConnectionID, k string, now time.Time,
) (value string, version int64, found bool, err error) {
	e, err := view(ctx, s, "read entry", func(t *tx) (kvEntry, error) {
		e, found, err := t.kvEntry(c, k)
		if err != nil || !found || !e.live(now) {
			return kvEntry{}, err
		}
		return e, nil
	})
	return e.value, int64(e.version), e.version > 0, err
}

// KVScan lists entries whose key begins with prefix and comes after the given one, as
// they are at the given time, in the order of their keys: at most limit (0 means 100),
// and whether there are more.
func (s *Store) KVScan(
	ctx context.Context, c contract.ConnectionID, prefix, after string, limit int, now time.Time,
) (entries []contract.KVEntry, more bool, err error) {
	if limit <= 0 {
		limit = domain.Page{}.Size()
	}
	entries, err = view(ctx, s, "list entries", func(t *tx) ([]contract.KVEntry, error) {
		return t.listEntries(c, domain.KVScan{Prefix: prefix, After: after}, limit+1, now)
	})
	if len(entries) > limit {
		return entries[:limit], true, err
	}
	return entries, false, err
}

// listEntries returns the live entries of a listing, at most limit.
func (t *tx) listEntries(c contract.ConnectionID, scan domain.KVScan, limit int, now time.Time) ([]contract.KVEntry, error) {
	var entries []contract.KVEntry
	start := []byte(max(scan.Prefix, scan.After))
	for position, v := range t.scanFrom(bucketKV, connectionKey(c), start) {
		k := string(position)
		if !strings.HasPrefix(k, scan.Prefix) || scan.Until != "" && k > scan.Until || len(entries) == limit {
			break
		}
		e, err := unpackEntry(v)
		if err != nil {
			return nil, err
		}
		if e.live(now) && k != scan.After {
			entries = append(entries, contract.KVEntry{Key: k, Value: e.value, Version: int64(e.version)})
		}
	}
	return entries, nil
}

// kvUsage is what a connection's entries come to.
type kvUsage struct {
	keys, bytes int64
	// floor is the highest version of any entry that was removed: new entries begin above
	// it, so that a version never stands for two values.
	floor uint64
}

func (t *tx) kvUsage(c contract.ConnectionID) kvUsage {
	v := t.get(bucketKVUsage, key(c))
	if len(v) != 24 {
		return kvUsage{}
	}
	return kvUsage{int64(unpackNumber(v[:8])), int64(unpackNumber(v[8:16])), unpackNumber(v[16:])}
}

func (t *tx) putUsage(c contract.ConnectionID, u kvUsage) {
	t.put(bucketKVUsage, key(c), newKey().number(uint64(u.keys)).number(uint64(u.bytes)).number(u.floor))
}

// checkReads returns ErrConflict unless everything that an invocation looked at is still
// as it was.
func (t *tx) checkReads(e *domain.Effects) error {
	for _, r := range e.Reads {
		if err := t.checkVersion(e, r.Key, r.Version); err != nil {
			return err
		}
	}
	for _, w := range e.Writes {
		if !w.CheckVersion {
			continue
		}
		if err := t.checkVersion(e, w.Key, w.ExpectedVersion); err != nil {
			return err
		}
	}
	for _, scan := range e.Scans {
		if err := t.checkScan(e, scan); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) checkVersion(e *domain.Effects, k string, expected int64) error {
	version, err := t.version(e.Connection, k, e.At)
	if err != nil {
		return err
	}
	if version != expected {
		return fmt.Errorf("entry %q has version %d, not %d: %w", k, version, expected, domain.ErrConflict)
	}
	return nil
}

// checkScan notices what was added to a listing as well as what was changed or removed.
func (t *tx) checkScan(e *domain.Effects, scan domain.KVScan) error {
	entries, err := t.listEntries(e.Connection, scan, len(scan.Seen)+1, e.At)
	if err != nil {
		return err
	}
	same := len(entries) == len(scan.Seen)
	for i := 0; same && i < len(entries); i++ {
		same = entries[i].Key == scan.Seen[i].Key && entries[i].Version == scan.Seen[i].Version
	}
	if !same {
		return fmt.Errorf("the entries that begin with %q have changed: %w", scan.Prefix, domain.ErrConflict)
	}
	return nil
}
