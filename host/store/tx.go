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
// return nothing, and reads return their errors.
type tx struct {
	bolt *bbolt.Tx
	ids  *ids // nil in a read

	writes int   // writes tried so far, by all requests of the group
	failed error // the first write that failed

	seen    map[contract.WorkspaceID]bool // workspaces that have new events
	dropped []dropped
}

// entry is one entry of an index.
type entry struct {
	bucket []byte
	key    key
	value  []byte
}

// present is the value of an index entry that says all in its key.
var present = []byte{1}

func (t *tx) get(bucket []byte, k key) []byte { return t.bolt.Bucket(bucket).Get(k) }

func (t *tx) has(bucket []byte, k key) bool { return t.get(bucket, k) != nil }

func (t *tx) put(bucket []byte, k key, value []byte) {
	t.writes++
	if t.failed == nil {
		b := t.bolt.Bucket(bucket)
		if growing[string(bucket)] {
			b.FillPercent = 0.9
		}
		t.fail(bucket, b.Put(k, value))
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
			if !yield(k[len(prefix):], v) {
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
		for k, v := seekBefore(c, prefix, before); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Prev() {
			if !yield(k[len(prefix):], v) {
				return
			}
		}
	}
}

// seekBefore finds the last entry before prefix+before, or the last with the prefix.
func seekBefore(c *bbolt.Cursor, prefix key, before []byte) (k, v []byte) {
	bound := prefix.with(before)
	if len(before) == 0 {
		bound = successor(prefix)
	}
	if len(bound) == 0 {
		return c.Last()
	}
	if k, _ = c.Seek(bound); k == nil {
		return c.Last()
	}
	return c.Prev()
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
