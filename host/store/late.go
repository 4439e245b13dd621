package store

import (
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// late is what every request of a group changes over and over. It is kept in memory until
// the group commits, and is written once.
type late struct {
	traffic map[contract.ConnectionID]traffic
	payload map[contract.WorkspaceID]int64  // bytes to add to what is counted
	seqs    map[contract.WorkspaceID]uint64 // the last event; not written, the event's key says it
}

type traffic struct{ inbound, outbound time.Time }

func newLate() late {
	return late{payload: map[contract.WorkspaceID]int64{}, traffic: map[contract.ConnectionID]traffic{}, seqs: map[contract.WorkspaceID]uint64{}}
}

// flush writes what was put off.
func (t *tx) flush() error {
	for c, seen := range t.late.traffic {
		t.put(bucketTraffic, key(c), append(packTime(seen.inbound), packTime(seen.outbound)...))
	}
	t.flushUsage()
	return t.failed
}
