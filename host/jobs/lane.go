package jobs

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// ticket is a job's place in its lane.
type ticket struct {
	id  string
	seq uint64
	due time.Time
}

// lane is the queued jobs of one lane, in order. Its head is the only one that may run.
type lane struct {
	name      string
	workspace string
	tickets   []ticket // by seq
	running   bool     // the head is with a worker
	ready     bool     // the lane stands in turns
	heapIndex int      // where the lane stands in dueHeap; -1 if it does not
}

func (l *lane) head() ticket { return l.tickets[0] }

// insert adds a ticket in its place. It reports whether the ticket is new. Whoever runs
// stays the head until it has ended.
func (l *lane) insert(t ticket) bool {
	waiting := l.tickets
	if l.running {
		if l.head().seq == t.seq {
			return false
		}
		waiting = waiting[1:]
	}
	at, known := slices.BinarySearchFunc(waiting, t.seq, func(x ticket, seq uint64) int {
		return cmp.Compare(x.seq, seq)
	})
	if known {
		return false
	}
	l.tickets = slices.Insert(l.tickets, len(l.tickets)-len(waiting)+at, t)
	return true
}

// remove takes the ticket of a job out. It reports whether there was one.
func (l *lane) remove(id string) bool {
	before := len(l.tickets)
	l.tickets = slices.DeleteFunc(l.tickets, func(t ticket) bool { return t.id == id })
	return len(l.tickets) < before
}

// delay moves the due time of a job.
func (l *lane) delay(id string, due time.Time) {
	for i := range l.tickets {
		if l.tickets[i].id == id {
			l.tickets[i].due = due
		}
	}
}

// dueHeap is the lanes whose heads are not due yet, the earliest first.
type dueHeap struct{ lanes laneHeap }

func (h *dueHeap) first() *lane {
	if len(h.lanes) == 0 {
		return nil
	}
	return h.lanes[0]
}

func (h *dueHeap) put(l *lane) { heap.Push(&h.lanes, l) }

// take removes a lane; one that is not there stays away.
func (h *dueHeap) take(l *lane) {
	if l.heapIndex >= 0 {
		heap.Remove(&h.lanes, l.heapIndex)
	}
}

type laneHeap []*lane

func (h laneHeap) Len() int { return len(h) }

func (h laneHeap) Less(i, j int) bool { return h[i].head().due.Before(h[j].head().due) }

func (h laneHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapIndex, h[j].heapIndex = i, j
}

func (h *laneHeap) Push(x any) {
	l := x.(*lane)
	l.heapIndex = len(*h)
	*h = append(*h, l)
}

func (h *laneHeap) Pop() any {
	old := *h
	l := old[len(old)-1]
	*h = old[:len(old)-1]
	l.heapIndex = -1
	return l
}

// turns is the lanes that are due, by workspace: workspaces take turns, and the lanes of
// one workspace run first come, first served.
type turns struct {
	order  []string // workspaces with due lanes, whose turn is next first
	queues map[string][]*lane
}

func (t *turns) push(l *lane) {
	if t.queues == nil {
		t.queues = map[string][]*lane{}
	}
	if len(t.queues[l.workspace]) == 0 {
		t.order = append(t.order, l.workspace)
	}
	t.queues[l.workspace] = append(t.queues[l.workspace], l)
}

func (t *turns) pop() *lane {
	if len(t.order) == 0 {
		return nil
	}
	workspace := t.order[0]
	t.order = t.order[1:]
	queue := t.queues[workspace]
	l := queue[0]
	if len(queue) == 1 {
		delete(t.queues, workspace)
	} else {
		t.queues[workspace] = queue[1:]
		t.order = append(t.order, workspace)
	}
	return l
}
