package store

import (
	"context"
	"log/slog"
	"sync"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// maxMarks is how many marks may wait. The writer takes all at once, so that many mean
// that it cannot write.
const maxMarks = 1 << 16

// marks are the deliveries whose answers were handed to the network and whose records do
// not say so yet.
type marks struct {
	wake chan struct{} // capacity 1: there are some

	mu      sync.Mutex
	waiting []contract.DeliveryID
}

// MarkAnswered notes, some time soon, that the answer to an accepted delivery was handed
// to the network. It returns at once. A mark that cannot be kept is logged; the cost is
// that a platform's next delivery with the same body may be taken for a repeat.
func (s *Store) MarkAnswered(id contract.DeliveryID) {
	s.marks.mu.Lock()
	full := len(s.marks.waiting) >= maxMarks
	if !full {
		s.marks.waiting = append(s.marks.waiting, id)
	}
	s.marks.mu.Unlock()
	if full {
		s.opts.Log.Error("an answer could not be marked: too many marks wait", "delivery", id)
		return
	}
	select {
	case s.marks.wake <- struct{}{}:
	default: // the writer has been told
	}
}

func (m *marks) take() []contract.DeliveryID {
	m.mu.Lock()
	defer m.mu.Unlock()
	waiting := m.waiting
	m.waiting = nil
	return waiting
}

// request turns the waiting marks into one request; nil if there are none.
func (m *marks) request(s *Store) *request {
	waiting := m.take()
	if len(waiting) == 0 {
		return nil
	}
	return &request{
		ctx: context.Background(),
		run: func(t *tx) error {
			t.markAnswered(waiting)
			return nil
		},
		then: func(err error) { logMarks(s.opts.Log, len(waiting), err) },
		done: make(chan struct{}),
	}
}

func logMarks(log *slog.Logger, count int, err error) {
	if err != nil {
		log.Error("answers could not be marked", "deliveries", count, "error", err)
	}
}

// markAnswered leaves out what is not there: a duplicate has no record of its own.
func (t *tx) markAnswered(ids []contract.DeliveryID) {
	for _, id := range ids {
		if t.has(bucketDeliveries, key(id)) {
			t.put(bucketAnswered, key(id), present)
		}
	}
}
