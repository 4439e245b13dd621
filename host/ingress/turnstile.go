package ingress

import (
	"container/list"
	"sync"
	"time"
)

// turnstile lets a bounded number of deliveries in at a time, and a bounded number wait
// for a bounded time. Deliveries of one endpoint stand in one line, and the lines take
// turns: whoever sends much waits behind what they sent themselves. When there is no room
// to wait, the longest line loses its last one.
type turnstile struct {
	// most deliveries are inside at a time, of one endpoint at most each; room wait, each for
	// at most patience.
	most, each, room int
	patience         time.Duration

	mu      sync.Mutex
	inside  int
	waiting int
	lines   map[string]*line // those of which somebody waits or is inside
	turns   list.List        // of *line: those in which somebody waits; the first is next
}

// line is the deliveries of one endpoint.
type line struct {
	endpoint string
	inside   int
	waiting  list.List // of *waiter, oldest first
	turn     *list.Element
}

// waiter waits to be let in or sent away.
type waiter struct {
	decided chan struct{} // closed once admitted is final
	let     bool
	place   *list.Element // in its line; nil once decided
}

func newTurnstile(most, room int, patience time.Duration) *turnstile {
	return &turnstile{most: most, each: max(1, most/2), room: room, patience: patience, lines: map[string]*line{}}
}

// enter waits to be let in. leave is to be called, once, if it answers true.
func (t *turnstile) enter(endpoint string) (leave func(), let bool) {
	t.mu.Lock()
	l := t.line(endpoint)
	leave = func() { t.leave(l) }
	if t.inside < t.most && l.inside < t.each && l.waiting.Len() == 0 {
		t.inside++
		l.inside++
		t.mu.Unlock()
		return leave, true
	}
	if !t.makeRoom(l) {
		t.tidy(l)
		t.mu.Unlock()
		return nil, false
	}
	w := t.queue(l)
	t.mu.Unlock()
	return leave, t.await(l, w)
}

// full tells whether enter would send a delivery of the endpoint away at once.
func (t *turnstile) full(endpoint string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting < t.room {
		return false
	}
	own := 0
	if l := t.lines[endpoint]; l != nil {
		own = l.waiting.Len()
	}
	return t.longest().waiting.Len() <= own+1
}

func (t *turnstile) line(endpoint string) *line {
	l := t.lines[endpoint]
	if l == nil {
		l = &line{endpoint: endpoint}
		t.lines[endpoint] = l
	}
	return l
}

// tidy forgets a line that nobody stands in.
func (t *turnstile) tidy(l *line) {
	if l.inside == 0 && l.waiting.Len() == 0 {
		delete(t.lines, l.endpoint)
	}
}

// makeRoom sees to it that one more can wait in the line: if need be, the last one of a
// line that is longer than this one will be is sent away.
func (t *turnstile) makeRoom(l *line) bool {
	if t.waiting < t.room {
		return true
	}
	if t.room == 0 {
		return false
	}
	longest := t.longest()
	if longest.waiting.Len() <= l.waiting.Len()+1 {
		return false
	}
	t.decide(longest, longest.waiting.Back().Value.(*waiter), false)
	return true
}

// longest is the line in which most wait. It is asked for only while the room is full.
func (t *turnstile) longest() *line {
	longest := &line{}
	for e := t.turns.Front(); e != nil; e = e.Next() {
		if l := e.Value.(*line); l.waiting.Len() > longest.waiting.Len() {
			longest = l
		}
	}
	return longest
}

func (t *turnstile) queue(l *line) *waiter {
	w := &waiter{decided: make(chan struct{})}
	w.place = l.waiting.PushBack(w)
	t.waiting++
	if l.turn == nil {
		l.turn = t.turns.PushBack(l)
	}
	return w
}

// decide takes a waiter out of its line and tells it what was decided.
func (t *turnstile) decide(l *line, w *waiter, let bool) {
	l.waiting.Remove(w.place)
	w.place, w.let = nil, let
	t.waiting--
	if l.waiting.Len() == 0 {
		t.turns.Remove(l.turn)
		l.turn = nil
	}
	if let {
		t.inside++
		l.inside++
	}
	t.tidy(l)
	close(w.decided)
}

// await waits for the decision, as long as patience lasts.
func (t *turnstile) await(l *line, w *waiter) (let bool) {
	timer := time.NewTimer(t.patience)
	defer timer.Stop()
	select {
	case <-w.decided:
		return w.let
	case <-timer.C:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.place != nil {
		t.decide(l, w, false)
	}
	return w.let
}

// leave lets the next ones in.
func (t *turnstile) leave(l *line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inside--
	l.inside--
	t.tidy(l)
	for e := t.turns.Front(); e != nil && t.inside < t.most; {
		next := e.Value.(*line)
		if next.inside >= t.each {
			e = e.Next() // it has its share; one of its own must leave first
			continue
		}
		t.decide(next, next.waiting.Front().Value.(*waiter), true)
		if next.turn != nil {
			t.turns.MoveToBack(next.turn)
		}
		e = t.turns.Front()
	}
}
