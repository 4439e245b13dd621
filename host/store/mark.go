package store

import (
	"context"
	"log/slog"
	"sync"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// maxMarks is how many marks may wait. The writer takes all at once, so that many mean
// that it cannot write.
const maxMarks = 1 << 16

// aside is what the writer is to keep when it gets to it, while nobody waits.
type aside struct {
	wake chan struct{} // capacity 1: there is something

	mu       sync.Mutex
	answered []contract.DeliveryID // whose answers were handed to the network
	notices  []domain.Notice
}

// MarkAnswered notes, some time soon, that the answer to an accepted delivery was handed
// to the network. It returns at once. A mark that cannot be kept is logged; the cost is
// that a platform's next delivery with the same body may be taken for a repeat.
func (s *Store) MarkAnswered(id contract.DeliveryID) {
	if !s.aside.add(func(a *aside) bool {
		if len(a.answered) >= maxMarks {
			return false
		}
		a.answered = append(a.answered, id)
		return true
	}) {
		s.opts.Log.Error("an answer could not be marked: too many marks wait", "delivery", id)
	}
}

// add puts something aside and wakes the writer; false if add did not want to.
func (a *aside) add(add func(*aside) bool) bool {
	a.mu.Lock()
	added := add(a)
	a.mu.Unlock()
	if added {
		select {
		case a.wake <- struct{}{}:
		default: // the writer has been told
		}
	}
	return added
}

func (a *aside) take() ([]contract.DeliveryID, []domain.Notice) {
	a.mu.Lock()
	defer a.mu.Unlock()
	answered, notices := a.answered, a.notices
	a.answered, a.notices = nil, nil
	return answered, notices
}

// request turns what was put aside into one request; nil if there is nothing.
func (a *aside) request(s *Store) *request {
	answered, notices := a.take()
	if len(answered) == 0 && len(notices) == 0 {
		return nil
	}
	return &request{
		ctx: context.Background(),
		run: func(t *tx) error {
			t.markAnswered(answered)
			for _, n := range notices {
				t.notice(n)
			}
			return nil
		},
		then: func(err error) { logAside(s.opts.Log, len(answered), len(notices), err) },
		done: make(chan struct{}),
	}
}

func logAside(log *slog.Logger, answered, notices int, err error) {
	if err != nil {
		log.Error("answers could not be marked, and notices not be kept", "deliveries", answered, "notices", notices, "error", err)
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
