package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// tx is one transaction, for reading or for writing.
//
// A write that fails is remembered and fails its request when that ends; so writes
// return nothing. A damaged value is remembered likewise: it reads as absent, and whatever
// the request made of that is not its answer.
type tx struct {
	bolt *bbolt.Tx
	ids  *ids   // nil in a read
	room *arena // nil in a read

	writes int           // writes tried so far, by all requests of the group
	failed error         // the first write that failed
	damage *DamagedError // the first damaged value that the request read

	seen    map[contract.WorkspaceID]bool // workspaces that have new events
	dropped []dropped
	queued  []domain.Job // what came into the queue, in that order
	late    late         // what is written once for the whole group
	scratch []byte       // where records are encoded
}

// entry is one entry of an index.
type entry struct {
	bucket []byte
	key    key
	value  []byte
}

// present is the value of an index entry that says all in its key.
var present = []byte{1}

// get returns a value, which is the transaction's; nil if there is none, or if it is
// damaged.
func (t *tx) get(bucket []byte, k key) []byte {
	sealed := t.bolt.Bucket(bucket).Get(k)
	if sealed == nil {
		return nil
	}
	value, ok := unseal(bucket, k, sealed)
	if !ok {
		t.harm(bucket, k)
		return nil
	}
	return value
}

func (t *tx) harm(bucket []byte, k key) {
	if t.damage == nil {
		t.damage = damaged(bucket, k, whyChecksum)
	}
}

// excuse returns the damage that was met and forgets it, for whoever can go on all the
// same; nil if there was none.
func (t *tx) excuse() error {
	if t.damage == nil {
		return nil
	}
	damage := t.damage
	t.damage = nil
	return damage
}

func (t *tx) has(bucket []byte, k key) bool { return t.get(bucket, k) != nil }

// put keeps a copy of value.
func (t *tx) put(bucket []byte, k key, value []byte) {
	t.writes++
	if t.failed == nil {
		b := t.bolt.Bucket(bucket)
		if growing[string(bucket)] {
			b.FillPercent = 0.9
		}
		t.fail(bucket, b.Put(k, t.room.seal(bucket, k, value)))
	}
}

func (t *tx) delete(bucket []byte, k key) {
	t.writes++
	if t.failed == nil {
		t.fail(bucket, t.bolt.Bucket(bucket).Delete(k))
	}
}

func (t *tx) putJSON(bucket []byte, k key, value any) {
	doc, err := json.Marshal(value)
	if err != nil {
		t.writes++
		t.fail(bucket, err)
		return
	}
	t.put(bucket, k, doc)
}

// putDoc is putJSON for records that know how to encode themselves, which is much cheaper.
func (t *tx) putDoc(bucket []byte, k key, record appendable) {
	t.scratch = record.appendTo(t.scratch[:0])
	t.put(bucket, k, t.scratch)
}

// next returns the next number of a bucket, from 1.
func (t *tx) next(bucket []byte) uint64 {
	t.writes++
	n, err := t.bolt.Bucket(bucket).NextSequence()
	t.fail(bucket, err)
	return n
}

func (t *tx) fail(bucket []byte, err error) {
	if t.failed == nil && err != nil {
		t.failed = fmt.Errorf("write %s: %w", bucket, err)
	}
}

// load reads a record; ErrNotFound if there is none.
func load[T any](t *tx, bucket []byte, k key) (T, error) {
	var record T
	doc := t.get(bucket, k)
	if doc == nil {
		return record, domain.ErrNotFound
	}
	return decode[T](bucket, doc)
}

func decode[T any](bucket, doc []byte) (T, error) {
	var record T
	if err := json.Unmarshal(doc, &record); err != nil {
		return record, fmt.Errorf("a record of %s is damaged: %w", bucket, err)
	}
	return record, nil
}

// reindex replaces the index entries of a record.
func (t *tx) reindex(before, after []entry) {
	for _, e := range before {
		stays := func(f entry) bool { return bytes.Equal(e.bucket, f.bucket) && bytes.Equal(e.key, f.key) }
		if !slices.ContainsFunc(after, stays) {
			t.delete(e.bucket, e.key)
		}
	}
	for _, e := range after {
		stays := func(f entry) bool {
			return bytes.Equal(e.bucket, f.bucket) && bytes.Equal(e.key, f.key) && bytes.Equal(e.value, f.value)
		}
		if !slices.ContainsFunc(before, stays) {
			t.put(e.bucket, e.key, e.value)
		}
	}
}

// scan yields the entries whose key begins with prefix and comes after prefix+after (all
// if that is empty), in order: what follows the prefix, and the value. Both are the
// transaction's. The bucket must not be written meanwhile.
func (t *tx) scan(bucket []byte, prefix key, after []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(position, value []byte) bool) {
		for position, value := range t.scanFrom(bucket, prefix, after) {
			if len(after) > 0 && bytes.Equal(position, after) {
				continue
			}
			if !yield(position, value) {
				return
			}
		}
	}
}

// scanFrom is like scan and includes the entry prefix+start.
func (t *tx) scanFrom(bucket []byte, prefix key, start []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(position, value []byte) bool) {
		c := t.bolt.Bucket(bucket).Cursor()
		for k, v := c.Seek(prefix.with(start)); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
			if !t.yield(bucket, prefix, k, v, yield) {
				return
			}
		}
	}
}

// scanBack yields the entries whose key begins with prefix and comes before
// prefix+before (all if that is empty), last first; otherwise it is like scan.
func (t *tx) scanBack(bucket []byte, prefix key, before []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(position, value []byte) bool) {
		c := t.bolt.Bucket(bucket).Cursor()
		for e := seekBefore(c, prefix, before); e.key != nil && bytes.HasPrefix(e.key, prefix); e = entryOf(c.Prev()) {
			if !t.yield(bucket, prefix, e.key, e.value, yield) {
				return
			}
		}
	}
}

// yield hands an entry on, unless it is damaged: then the scan ends, and the request with it.
func (t *tx) yield(bucket []byte, prefix, k key, sealed []byte, yield func(position, value []byte) bool) bool {
	value, ok := unseal(bucket, k, sealed)
	if !ok {
		t.harm(bucket, k)
		return false
	}
	return yield(k[len(prefix):], value)
}

// seekBefore finds the last entry before prefix+before, or the last with the prefix.
func seekBefore(c *bbolt.Cursor, prefix key, before []byte) sealedEntry {
	bound := prefix.with(before)
	if len(before) == 0 {
		bound = successor(prefix)
	}
	if len(bound) == 0 {
		return entryOf(c.Last())
	}
	if k, _ := c.Seek(bound); k == nil {
		return entryOf(c.Last())
	}
	return entryOf(c.Prev())
}

// successor returns the first key after all keys that begin with prefix, or nothing if
// there is none.
func successor(prefix key) key {
	next := prefix.with(nil)
	for len(next) > 0 {
		last := len(next) - 1
		if next[last]++; next[last] != 0 {
			return next
		}
		next = next[:last]
	}
	return nil
}
