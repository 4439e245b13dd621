package health

import (
	"container/heap"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// subject is a connection that is probed.
type subject struct {
	id        contract.ConnectionID
	workspace contract.WorkspaceID
	status    Status
	at        time.Time // when it is due
	running   bool      // its probe runs; it is not in the queue
	place     int       // in the queue, from 1; 0 if it is not there
	scan      uint64    // the last scan that found it
}

// queue holds subjects, the first that is due at the front.
type queue []*subject

func (q *queue) push(s *subject) {
	if s.place == 0 {
		heap.Push((*byTime)(q), s)
		return
	}
	heap.Fix((*byTime)(q), s.place-1)
}

func (q *queue) pop() *subject { return heap.Pop((*byTime)(q)).(*subject) }

func (q *queue) remove(s *subject) {
	if s.place > 0 {
		heap.Remove((*byTime)(q), s.place-1)
	}
}

// byTime is a queue as container/heap wants it.
type byTime []*subject

func (q byTime) Len() int           { return len(q) }
func (q byTime) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q byTime) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i+1, j+1
}

// Push is heap's.
func (q *byTime) Push(x any) {
	s := x.(*subject)
	*q = append(*q, s)
	s.place = len(*q)
}

// Pop is heap's.
func (q *byTime) Pop() any {
	last := len(*q) - 1
	s := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	s.place = 0
	return s
}
