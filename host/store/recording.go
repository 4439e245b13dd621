package store

import (
	"bytes"
	"context"
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// recordingKey is where the recording of one run stands: owner is a delivery or a job, and
// run counts from 1.
func recordingKey(owner string, run int) key { return newKey().text(owner).number(uint64(run)) }

// putRecording keeps the recording of one run of something of a workspace; nil keeps none.
func (t *tx) putRecording(ws contract.WorkspaceID, owner string, run int, recording []byte) {
	if recording == nil {
		return
	}
	k := recordingKey(owner, run)
	before := len(t.get(bucketRecordings, k)) // a run may be kept more than once
	t.put(bucketRecordings, k, recording)
	t.charge(ws, len(recording)-before)
}

// Recording returns the recording of one run of a delivery or a job, as it was handed
// over; ErrNotFound if none is kept.
func (s *Store) Recording(ctx context.Context, owner string, run int) ([]byte, error) {
	return view(ctx, s, "read recording", func(t *tx) ([]byte, error) {
		recording := t.get(bucketRecordings, recordingKey(owner, run))
		if recording == nil {
			return nil, fmt.Errorf("run %d of %q: %w", run, owner, domain.ErrNotFound)
		}
		return bytes.Clone(recording), nil
	})
}

// Recordings lists the runs of a delivery or a job whose recordings are kept, the first
// first.
func (s *Store) Recordings(ctx context.Context, owner string) ([]int, error) {
	return view(ctx, s, "list recordings", func(t *tx) ([]int, error) {
		var runs []int
		for position := range t.scan(bucketRecordings, newKey().text(owner), nil) {
			runs = append(runs, int(unpackNumber(position)))
		}
		return runs, nil
	})
}
