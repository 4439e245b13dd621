package jobs

import (
	"container/list"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// turns decides whose lane runs next: workspaces take turns, within one its groups do, and
// the lanes of a group run first come, first served. It also counts who holds workers.
type turns struct {
	workers int
	busy    int
	order   list.List // of *workspace that wait, whose turn is next first
	byName  map[contract.WorkspaceID]*workspace
}

type workspace struct {
	name    contract.WorkspaceID
	queued  int // jobs that are known, waiting or not
	running int
	order   list.List // of *group that wait
	byName  map[string]*group
	place   *list.Element // in turns.order; nil if nothing of it waits
}

type group struct {
	name      string
	workspace *workspace
	running   int
	lanes     int           // how many there are, waiting or not
	order     list.List     // of *lane that wait
	place     *list.Element // in workspace.order; nil if nothing of it waits
}

func newTurns(workers int) turns {
	return turns{workers: workers, byName: map[contract.WorkspaceID]*workspace{}}
}

// mayHold is how many workers one workspace and one group may hold while others wait.
func (t *turns) mayHold() (ofWorkspace, ofGroup int) {
	return max(1, t.workers/2), max(1, t.workers/4)
}

// spare is how many workers stay free for whoever comes next, however much one group has to
// do: it would have to wait for the slowest platform otherwise. Half of them stay free for
// other workspaces.
func (t *turns) spare() int { return t.workers / 8 }

// join returns the group for a new lane.
func (t *turns) join(ws contract.WorkspaceID, name string) *group {
	w := t.byName[ws]
	if w == nil {
		ws = contract.WorkspaceID(strings.Clone(string(ws))) // it may be a part of something long
		w = &workspace{name: ws, byName: map[string]*group{}}
		t.byName[ws] = w
	}
	g := w.byName[name]
	if g == nil {
		g = &group{name: strings.Clone(name), workspace: w}
		w.byName[g.name] = g
	}
	g.lanes++
	return g
}

// part tells that a lane of the group is gone.
func (t *turns) part(g *group) {
	if g.lanes--; g.lanes > 0 {
		return
	}
	w := g.workspace
	if delete(w.byName, g.name); len(w.byName) == 0 {
		delete(t.byName, w.name)
	}
}

// push lets a lane wait for its turn.
func (t *turns) push(l *lane) {
	g := l.group
	l.place = g.order.PushBack(l)
	if g.place == nil {
		g.place = g.workspace.order.PushBack(g)
	}
	if g.workspace.place == nil {
		g.workspace.place = t.order.PushBack(g.workspace)
	}
}

// drop takes a lane that waits out of its turn.
func (t *turns) drop(l *lane) {
	g := l.group
	w := g.workspace
	g.order.Remove(l.place)
	l.place = nil
	if g.order.Len() == 0 {
		w.order.Remove(g.place)
		g.place = nil
	}
	if w.order.Len() == 0 {
		t.order.Remove(w.place)
		w.place = nil
	}
}

// take returns the lane whose turn it is, out of its turn, and counts it in. It returns nil
// if none waits or no worker is free for those that do.
func (t *turns) take() *lane {
	if t.busy >= t.workers {
		return nil
	}
	l := t.due()
	if l == nil {
		return nil
	}
	t.drop(l)
	g := l.group
	if g.place != nil {
		g.workspace.order.MoveToBack(g.place)
	}
	if g.workspace.place != nil {
		t.order.MoveToBack(g.workspace.place)
	}
	t.busy++
	g.running++
	g.workspace.running++
	return l
}

// due returns the lane whose turn it is: first of all one of a workspace and a group that
// hold no more than they may; then, as far as that leaves workers free, one of a group that
// does; then whichever there is.
func (t *turns) due() *lane {
	free, spare := t.workers-t.busy, t.spare()
	ofWorkspace, ofGroup := t.mayHold()
	if l := t.find(ofWorkspace, ofGroup); l != nil {
		return l
	}
	if free > spare/2 {
		if l := t.find(t.workers, ofGroup); l != nil {
			return l
		}
	}
	if free > spare {
		return t.find(t.workers, t.workers)
	}
	return nil
}

// find returns the first lane in turn of a workspace and a group that hold fewer workers
// than they may. It passes over those that hold as many, of which there are never more
// than workers.
func (t *turns) find(ofWorkspace, ofGroup int) *lane {
	for at := t.order.Front(); at != nil; at = at.Next() {
		w := at.Value.(*workspace)
		if w.running >= ofWorkspace {
			continue
		}
		for at := w.order.Front(); at != nil; at = at.Next() {
			if g := at.Value.(*group); g.running < ofGroup {
				return g.order.Front().Value.(*lane)
			}
		}
	}
	return nil
}

// ended counts a lane out that take had returned.
func (t *turns) ended(l *lane) {
	t.busy--
	l.group.running--
	l.group.workspace.running--
}
