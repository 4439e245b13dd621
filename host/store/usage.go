package store

import (
	"context"
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// The bytes of payload that a workspace keeps, bodies and recordings, are counted as they
// come and go, in the transactions that bring and remove them.

// charge adds bytes to what a workspace keeps, or takes them off. It is written when the
// group commits.
func (t *tx) charge(ws contract.WorkspaceID, bytes int) {
	if bytes != 0 {
		t.late.payload[ws] += int64(bytes)
	}
}

// flushUsage writes what was charged.
func (t *tx) flushUsage() {
	for ws, bytes := range t.late.payload {
		t.put(bucketUsage, key(ws), packNumber(uint64(t.payloadBytes(ws)+bytes)))
	}
}

// payloadBytes returns what a workspace keeps, as far as that is written.
func (t *tx) payloadBytes(ws contract.WorkspaceID) int64 {
	return int64(unpackNumber(t.get(bucketUsage, key(ws))))
}

// Usage returns what a workspace keeps; ErrNotFound if there is no such workspace.
func (s *Store) Usage(ctx context.Context, ws contract.WorkspaceID) (domain.Usage, error) {
	return view(ctx, s, "read usage", func(t *tx) (domain.Usage, error) {
		if !t.has(bucketWorkspaces, key(ws)) {
			return domain.Usage{}, fmt.Errorf("workspace %q: %w", ws, domain.ErrNotFound)
		}
		return domain.Usage{PayloadBytes: t.payloadBytes(ws)}, nil
	})
}

// measuredUsage adds up what each workspace keeps, from the records themselves, and tells
// strange of recordings that nobody owns.
func (t *tx) measuredUsage(strange func(recording []byte)) (map[contract.WorkspaceID]int64, error) {
	sums := map[contract.WorkspaceID]int64{}
	for id, body := range t.scan(bucketBodies, nil, nil) {
		d, err := load[domain.Delivery](t, bucketDeliveries, id)
		if err != nil {
			return nil, fmt.Errorf("delivery %q: %w", id, err)
		}
		sums[d.Workspace] += int64(len(body))
	}
	for id, routed := range t.scan(bucketRouted, nil, nil) {
		d, err := load[domain.Delivery](t, bucketDeliveries, id)
		if err != nil {
			return nil, fmt.Errorf("delivery %q: %w", id, err)
		}
		sums[d.Workspace] += int64(len(routed))
	}
	for position, recording := range t.scan(bucketRecordings, nil, nil) {
		ws, known := t.recordingWorkspace(position)
		if !known {
			strange(position)
			continue
		}
		sums[ws] += int64(len(recording))
	}
	return sums, nil
}

// recordingWorkspace returns whose the recording at a position is.
func (t *tx) recordingWorkspace(position []byte) (contract.WorkspaceID, bool) {
	owner, ok := recordingOwner(position)
	if !ok {
		return "", false
	}
	if d, err := load[domain.Delivery](t, bucketDeliveries, key(owner)); err == nil {
		return d.Workspace, true
	}
	job, err := t.job(owner)
	return job.Workspace, err == nil
}

// recordingOwner reads the owner out of the key of a recording. Ids are short, so that none
// stands there as its hash.
func recordingOwner(position []byte) (string, bool) {
	if len(position) < 2+8 {
		return "", false
	}
	length := int(position[0])<<8 | int(position[1])
	if len(position) != 2+length+8 {
		return "", false
	}
	return string(position[2 : 2+length]), true
}

// recount replaces what is counted by what is there: for a file that was written before
// anybody counted.
func (t *tx) recount() error {
	sums, err := t.measuredUsage(func([]byte) {})
	if err != nil {
		return err
	}
	for ws, bytes := range sums {
		t.put(bucketUsage, key(ws), packNumber(uint64(bytes)))
	}
	return nil
}
