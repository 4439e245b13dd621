package credentials

import (
	"container/heap"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// schedule is when each token set is to be looked at next. It is in memory only: what is
// kept of a token set says when that is.
type schedule struct {
	mu    sync.Mutex
	known map[contract.ConnectionID]*visit
	queue visits
	wake  chan struct{} // capacity 1: the first visit may be another one
}

// visit is one owner and the time.
type visit struct {
	owner contract.ConnectionID
	at    time.Time
	index int
}

func newSchedule() *schedule {
	return &schedule{known: map[contract.ConnectionID]*visit{}, wake: make(chan struct{}, 1)}
}

// add has an owner looked at no later than at the given time; the zero time adds nothing.
func (s *schedule) add(owner contract.ConnectionID, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.known[owner]
	switch {
	case at.IsZero() || v != nil && !at.Before(v.at):
		return
	case v == nil:
		v = &visit{owner: owner, at: at}
		s.known[owner] = v
		heap.Push(&s.queue, v)
	default:
		v.at = at
		heap.Fix(&s.queue, v.index)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// knows tells whether an owner is to be looked at at all.
func (s *schedule) knows(owner contract.ConnectionID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[owner] != nil
}

// due takes an owner whose time has come. Without one it says when the next will; the zero
// time if there is none.
func (s *schedule) due(now time.Time) (owner contract.ConnectionID, ok bool, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return "", false, time.Time{}
	}
	first := s.queue[0]
	if first.at.After(now) {
		return "", false, first.at
	}
	heap.Pop(&s.queue)
	delete(s.known, first.owner)
	return first.owner, true, time.Time{}
}

// visits is a heap by time.
type visits []*visit

func (h visits) Len() int           { return len(h) }
func (h visits) Less(i, j int) bool { return h[i].at.Before(h[j].at) }

func (h visits) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *visits) Push(x any) {
	v := x.(*visit)
	v.index = len(*h)
	*h = append(*h, v)
}

func (h *visits) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
