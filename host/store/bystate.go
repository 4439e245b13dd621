package store

import (
	"bytes"
	"iter"

	"go.etcd.io/bbolt"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Deliveries and jobs are listed newest first, by workspace or by connection, in one
// state or in all. The index behind it has, per scope, one run of positions for each
// state; a listing of all states merges the runs.

// Scopes of a by-state index.
const (
	scopeWorkspace  = 'w'
	scopeConnection = 'c'
)

func stateKey(scope byte, id string, state byte) key {
	return newKey().byte(scope).text(id).byte(state)
}

// stateIndex is the index entries of one record.
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
		heads := make([]run, 0, len(runs))
		for _, prefix := range runs {
			r := run{prefix: prefix, cursor: t.bolt.Bucket(bucket).Cursor()}
			r.take(seekBefore(r.cursor, prefix, before))
			heads = append(heads, r)
		}
		for r := last(heads); r != nil; r = last(heads) {
			if !yield(r.position, present) {
				return
			}
			r.take(r.cursor.Prev())
		}
	}
}

// run walks through the positions below one prefix, backwards.
type run struct {
	prefix   key
	cursor   *bbolt.Cursor
	position []byte // nil at the end
}

func (r *run) take(k, _ []byte) {
	if r.position = nil; k != nil && bytes.HasPrefix(k, r.prefix) {
		r.position = k[len(r.prefix):]
	}
}

// last returns the run with the greatest position, or nil if all have ended.
func last(runs []run) *run {
	var best *run
	for i := range runs {
		r := &runs[i]
		if r.position != nil && (best == nil || bytes.Compare(r.position, best.position) > 0) {
			best = r
		}
	}
	return best
}
