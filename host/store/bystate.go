package store

import (
	"bytes"
	"container/heap"
	"iter"
	"math"

	"go.etcd.io/bbolt"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Deliveries and jobs are listed newest first, by workspace or by connection, in one state
// or in all. The index behind it has one run of positions for each state; a listing of all
// states merges the runs. Jobs have runs by workspace and by group. Deliveries, of which
// there are many more, have them by connection only: a listing of a workspace merges those
// of its connections.

// Scopes of the index of jobs.
const (
	scopeWorkspace  = 'w'
	scopeConnection = 'c'
)

func stateKey(scope byte, id string, state byte) key {
	return newKey().byte(scope).text(id).byte(state)
}

// deliveryRun is where the deliveries of a connection stand that are in one state.
func deliveryRun(ws contract.WorkspaceID, c contract.ConnectionID, state byte) key {
	return workspaceKey(ws).text(string(c)).byte(state)
}

// stateIndex is the index entries of one job.
func stateIndex(bucket []byte, ws contract.WorkspaceID, c contract.ConnectionID, state byte, position []byte) []entry {
	return []entry{
		{bucket, stateKey(scopeWorkspace, string(ws), state).with(position), present},
		{bucket, stateKey(scopeConnection, string(c), state).with(position), present},
	}
}

// newest yields the positions of all runs before the given one (all if that is empty),
// last first. The values it yields mean nothing.
func (t *tx) newest(bucket []byte, runs []key, before []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(position, value []byte) bool) {
		var heads heads
		for _, prefix := range runs {
			r := run{prefix: prefix, cursor: t.bolt.Bucket(bucket).Cursor()}
			if r.take(t, bucket, seekBefore(r.cursor, prefix, before)) {
				heads = append(heads, r)
			}
		}
		heap.Init(&heads)
		for len(heads) > 0 && t.damage == nil {
			if !yield(heads[0].position, present) {
				return
			}
			if heads[0].take(t, bucket, entryOf(heads[0].cursor.Prev())) {
				heap.Fix(&heads, 0)
			} else {
				heap.Pop(&heads)
			}
		}
	}
}

// run walks through the positions below one prefix, backwards.
type run struct {
	prefix   key
	cursor   *bbolt.Cursor
	position []byte
}

// take moves on to an entry, and returns false if it is none of the run's.
func (r *run) take(t *tx, bucket []byte, found sealedEntry) bool {
	if found.key == nil || !bytes.HasPrefix(found.key, r.prefix) {
		return false
	}
	if _, ok := unseal(bucket, found.key, found.value); !ok {
		t.harm(bucket, found.key)
		return false
	}
	r.position = found.key[len(r.prefix):]
	return true
}

// sealedEntry is an entry as it is in the file.
type sealedEntry struct{ key, value []byte }

func entryOf(k, v []byte) sealedEntry { return sealedEntry{k, v} }

// heads are the runs that have not ended, the one with the greatest position first.
type heads []run

func (h heads) Len() int           { return len(h) }
func (h heads) Less(i, j int) bool { return bytes.Compare(h[i].position, h[j].position) > 0 }
func (h heads) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *heads) Push(x any)        { *h = append(*h, x.(run)) }
func (h *heads) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// children returns the different first parts that follow prefix in a bucket, each with
// prefix before it. It jumps from one to the next, whatever stands between.
func (t *tx) children(bucket []byte, prefix key) []key {
	return t.childrenAfter(bucket, prefix, nil, math.MaxInt)
}

// childrenAfter is children from behind the child prefix+after on, and at most so many.
func (t *tx) childrenAfter(bucket []byte, prefix key, after []byte, most int) []key {
	var found []key
	c := t.bolt.Bucket(bucket).Cursor()
	start := prefix
	if len(after) > 0 {
		start = successor(prefix.with(after))
	}
	for k, _ := c.Seek(start); k != nil && bytes.HasPrefix(k, prefix) && len(found) < most; {
		end := len(prefix) + partBytes(k[len(prefix):])
		if end > len(k) {
			t.harm(bucket, k)
			return found
		}
		child := key(bytes.Clone(k[:end]))
		found = append(found, child)
		next := successor(child)
		if len(next) == 0 {
			return found
		}
		k, _ = c.Seek(next)
	}
	return found
}
