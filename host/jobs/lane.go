package jobs

import (
	"container/heap"
	"container/list"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

// ticket is a job's place in its lane. Times are Unix time in nanoseconds: what a clock on
// the wall shows, since that is what the store keeps.
type ticket struct {
	id  string
	seq uint64
	// at is the earliest time to run as the store has it, and due as the scheduler takes it;
	// they differ once the clock was set back.
	at, due int64
}

// lane is the queued jobs of one lane. Only the first of them may run.
type lane struct {
	name  string
	kind  domain.JobKind
	group *group
	// tickets is a heap by seq. It may hold jobs that were forgotten; see Scheduler.trim.
	tickets ticketHeap
	// running tells that current, which is in tickets no more, is with a worker.
	running bool
	current ticket
	// again is current's ticket, added once more while it ran.
	again *ticket
	// failures counts the runs in a row that could not be committed, and hold is when the
	// next one may begin.
	failures int
	hold     int64
	// place is where the lane stands in its group's turn; nil if it does not.
	place *list.Element
	// heap is the heap that the lane stands in, if any; it sorts by order.
	heap  *laneHeap
	order int64
	index int
}

func (l *lane) head() ticket { return l.tickets[0] }

// due is when the head may run.
func (l *lane) due() int64 { return max(l.head().due, l.hold) }

type ticketHeap []ticket

func (h ticketHeap) Len() int           { return len(h) }
func (h ticketHeap) Less(i, j int) bool { return h[i].seq < h[j].seq }
func (h ticketHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *ticketHeap) Push(x any)        { *h = append(*h, x.(ticket)) }

func (h *ticketHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = ticket{} // lets go of the id
	*h = old[:len(old)-1]
	return last
}

func (l *lane) push(t ticket) { heap.Push(&l.tickets, t) }

func (l *lane) pop() ticket { return heap.Pop(&l.tickets).(ticket) }

// laneHeap is lanes by their order, the least first. A lane stands in one heap at most.
type laneHeap struct{ lanes laneOrder }

func (h *laneHeap) first() *lane {
	if len(h.lanes) == 0 {
		return nil
	}
	return h.lanes[0]
}

func (h *laneHeap) put(l *lane, order int64) {
	l.heap, l.order = h, order
	heap.Push(&h.lanes, l)
}

// leave takes the lane out of the heap that it stands in, if any.
func (l *lane) leave() {
	if l.heap != nil {
		heap.Remove(&l.heap.lanes, l.index)
		l.heap = nil
	}
}

type laneOrder []*lane

func (h laneOrder) Len() int           { return len(h) }
func (h laneOrder) Less(i, j int) bool { return h[i].order < h[j].order }

func (h laneOrder) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *laneOrder) Push(x any) {
	l := x.(*lane)
	l.index = len(*h)
	*h = append(*h, l)
}

func (h *laneOrder) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
