package store

import (
	"bytes"
	"context"
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

// The journal of a job is what its present run has done so far, entry by entry, so that a
// host that was cut off can go on where it was. The commit of the run removes it; one that
// only says that the job could not begin yet leaves it.

// WriteJournal keeps entries of the journal of a queued job, from the given place on; what
// stood there is replaced. ErrConflict if the job has ended.
func (s *Store) WriteJournal(ctx context.Context, job string, from int, entries [][]byte) error {
	return s.update(ctx, "write journal", func(t *tx) error {
		if _, err := t.queuedJob(job); err != nil {
			return err
		}
		for i, entry := range entries {
			t.put(bucketJournal, journalKey(job).number(uint64(from+i)), entry)
		}
		return nil
	})
}

// Journal returns the journal of a job; empty if its last run was committed, or none began.
func (s *Store) Journal(ctx context.Context, job string) ([][]byte, error) {
	return view(ctx, s, "read journal", func(t *tx) ([][]byte, error) {
		var entries [][]byte
		for position, entry := range t.scan(bucketJournal, journalKey(job), nil) {
			if place := unpackNumber(position); place != uint64(len(entries)) {
				return nil, fmt.Errorf("job %q: entry %d of its journal is missing: %w", job, len(entries), domain.ErrNotFound)
			}
			entries = append(entries, bytes.Clone(entry))
		}
		return entries, nil
	})
}

func journalKey(job string) key { return newKey().text(job) }

// endJournal removes the journal of a job whose run is committed.
func (t *tx) endJournal(job string) {
	for range t.scan(bucketJournal, journalKey(job), nil) {
		t.clear(bucketJournal, journalKey(job))
		return
	}
}
