package ingress

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

const patience = 2 * time.Second

// entrance is a turnstile with people before it.
type entrance struct {
	*turnstile
	mu    sync.Mutex
	in    map[string][]func() // endpoint → how those inside leave
	order []string            // endpoints in the order in which they were let in
	away  map[string]int      // endpoint → how many were sent away
}

func newEntrance(most, room int) *entrance {
	return &entrance{turnstile: newTurnstile(most, room, patience), in: map[string][]func(){}, away: map[string]int{}}
}

// come has one delivery of the endpoint come, and returns once it is inside, waits or was
// sent away.
func (e *entrance) come(endpoint string) {
	go func() {
		leave, let := e.enter(endpoint)
		e.mu.Lock()
		defer e.mu.Unlock()
		if !let {
			e.away[endpoint]++
			return
		}
		e.in[endpoint] = append(e.in[endpoint], leave)
		e.order = append(e.order, endpoint)
	}()
	synctest.Wait()
}

// look reads the turnstile while nothing moves.
func (e *entrance) look() (inside, waiting, lines int) {
	e.turnstile.mu.Lock()
	defer e.turnstile.mu.Unlock()
	return e.turnstile.inside, e.turnstile.waiting, len(e.lines)
}

// sentAway is how many of the endpoint were.
func (e *entrance) sentAway(endpoint string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.away[endpoint]
}

// insideOf is how many of the endpoint are inside.
func (e *entrance) insideOf(endpoint string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.in[endpoint])
}

// waitingOf is how many of the endpoint wait.
func (e *entrance) waitingOf(endpoint string) int {
	e.turnstile.mu.Lock()
	defer e.turnstile.mu.Unlock()
	if l := e.lines[endpoint]; l != nil {
		return l.waiting.Len()
	}
	return 0
}

// letIn is the endpoints in the order in which they were let in.
func (e *entrance) letIn() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.order)
}

// goOne has one of the endpoint leave; false if none is inside.
func (e *entrance) goOne(endpoint string) bool {
	e.mu.Lock()
	inside := e.in[endpoint]
	if len(inside) == 0 {
		e.mu.Unlock()
		return false
	}
	e.in[endpoint] = inside[1:]
	e.mu.Unlock()
	inside[0]()
	synctest.Wait()
	return true
}

func (e *entrance) empty() {
	for busy := true; busy; {
		e.mu.Lock()
		endpoints := slices.Collect(maps.Keys(e.in))
		e.mu.Unlock()
		busy = false
		for _, endpoint := range endpoints {
			busy = e.goOne(endpoint) || busy
		}
	}
}

func TestOnlySoManyAreInsideAndSoManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEntrance(4, 3)
		for i := range 8 {
			e.come(fmt.Sprint("endpoint ", i))
		}
		if inside, waiting, _ := e.look(); inside != 4 || waiting != 3 || e.sentAway("endpoint 7") != 1 {
			t.Errorf("%d inside, %d wait, %d sent away", inside, waiting, e.sentAway("endpoint 7"))
		}
		if !e.full("another") {
			t.Error("full says that there is room")
		}
		e.empty()
		if inside, _, lines := e.look(); len(e.letIn()) != 7 || lines != 0 || inside != 0 {
			t.Errorf("%d were let in; %d lines and %d inside are left", len(e.letIn()), lines, inside)
		}
	})
}

func TestWhoeverWaitsTooLongIsSentAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEntrance(1, 5)
		e.come("a")
		e.come("b")
		time.Sleep(patience - time.Millisecond) // of the bubble: no time passes
		synctest.Wait()
		if e.sentAway("b") != 0 {
			t.Fatal("sent away too early")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if _, waiting, _ := e.look(); e.sentAway("b") != 1 || waiting != 0 {
			t.Errorf("%d sent away, %d wait", e.sentAway("b"), waiting)
		}
		e.empty()
	})
}

func TestOneEndpointHasHalfOfThePlacesAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEntrance(4, 10)
		for range 5 {
			e.come("greedy")
		}
		if e.insideOf("greedy") != 2 || e.waitingOf("greedy") != 3 {
			t.Fatalf("%d of one endpoint inside, %d wait", e.insideOf("greedy"), e.waitingOf("greedy"))
		}
		e.come("modest")
		if e.insideOf("modest") != 1 {
			t.Error("another endpoint had to wait although there was a place")
		}
		e.goOne("greedy")
		if e.insideOf("greedy") != 2 {
			t.Error("its own next was not let in when one left")
		}
		e.empty()
	})
}

func TestLinesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEntrance(2, 100)
		e.come("busy 1")
		e.come("busy 2")
		for range 50 {
			e.come("flood")
		}
		e.come("modest")
		e.goOne("busy 1")
		e.goOne("busy 2")
		if got := fmt.Sprint(e.letIn()[2:]); got != "[flood modest]" {
			t.Errorf("let in %s, want one of each", got)
		}
		e.empty()
	})
}

// TestALineThatHadItsTurnGoesBehindTheOthers: also where it may have more of the places.
func TestALineThatHadItsTurnGoesBehindTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEntrance(4, 100)
		for _, endpoint := range []string{"busy 1", "busy 1", "busy 2", "busy 2", "flood", "flood", "flood", "modest"} {
			e.come(endpoint)
		}
		e.goOne("busy 1")
		e.goOne("busy 2")
		if got := fmt.Sprint(e.letIn()[4:]); got != "[flood modest]" {
			t.Errorf("let in %s, want one of each", got)
		}
		e.empty()
	})
}

// TestWhoIsLetInAsPatienceEndsIsIn: the decision was made before the one who waited could
// take itself out of the line.
func TestWhoIsLetInAsPatienceEndsIsIn(t *testing.T) {
	turnstile := newTurnstile(1, 1, time.Millisecond)
	turnstile.mu.Lock()
	l := turnstile.line("endpoint")
	w := turnstile.queue(l)
	let := make(chan bool)
	go func() { let <- turnstile.await(l, w) }()
	<-time.After(20 * time.Millisecond) // its patience has ended, and it waits for the lock
	turnstile.decide(l, w, true)
	turnstile.mu.Unlock()
	if !<-let {
		t.Error("it was sent away, and counts as inside for ever")
	}
}

func TestAFullRoomIsSharedByAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEntrance(2, 10)
		e.come("busy 1")
		e.come("busy 2")
		for range 20 {
			e.come("flood")
		}
		if !e.full("flood") || e.full("modest") {
			t.Errorf("full: %v for the flood, %v for the modest", e.full("flood"), e.full("modest"))
		}
		for range 7 {
			e.come("modest")
		}
		if e.waitingOf("modest") != 5 || e.waitingOf("flood") != 5 {
			t.Errorf("%d of the modest wait, and %d of the flood", e.waitingOf("modest"), e.waitingOf("flood"))
		}
		e.empty()
	})
}

// Whatever comes and goes, the bounds hold, nobody waits while there is a place for them,
// and nothing is left behind.
func TestTheTurnstileKeepsItsBounds(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		most, room := rapid.IntRange(1, 6).Draw(r, "most"), rapid.IntRange(0, 6).Draw(r, "room")
		endpoints := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		synctest.Test(t, func(*testing.T) {
			e := newEntrance(most, room)
			came := 0
			for range rapid.IntRange(1, 60).Draw(r, "steps") {
				endpoint := endpoints.Draw(r, "endpoint")
				switch rapid.IntRange(0, 4).Draw(r, "what") {
				case 0, 1, 2:
					came++
					e.come(endpoint)
				case 3:
					e.goOne(endpoint)
				case 4:
					time.Sleep(time.Duration(rapid.IntRange(0, 3).Draw(r, "seconds")) * time.Second)
					synctest.Wait()
				}
				e.check(r)
			}
			e.empty()
			away := 0
			for _, endpoint := range []string{"a", "b", "c", "d"} {
				away += e.sentAway(endpoint)
			}
			if _, waiting, lines := e.look(); len(e.letIn())+away != came || lines != 0 || waiting != 0 {
				r.Errorf("%d came, %d were let in and %d sent away; %d lines are left", came, len(e.letIn()), away, lines)
			}
		})
	})
}

func (e *entrance) check(r *rapid.T) {
	e.turnstile.mu.Lock()
	defer e.turnstile.mu.Unlock()
	inside, waiting := 0, 0
	for endpoint, l := range e.lines {
		inside += l.inside
		waiting += l.waiting.Len()
		if l.inside > e.each || l.inside != e.insideOf(endpoint) {
			r.Errorf("%d of %s are inside, of %d at most", l.inside, endpoint, e.each)
		}
		if l.waiting.Len() > 0 && l.inside < e.each && e.inside < e.most {
			r.Errorf("%s waits although there is a place", endpoint)
		}
	}
	if inside != e.inside || waiting != e.waiting || inside > e.most || waiting > e.room {
		r.Errorf("%d inside (counted %d), %d wait (counted %d)", inside, e.inside, waiting, e.waiting)
	}
}
