package inspect

import "slices"

// graph holds the edges of node v in to[start[v]:start[v+1]].
type graph struct{ start, to []uint32 }

func (g *graph) nodes() int { return len(g.start) - 1 }

func (g *graph) edges(v uint32) []uint32 { return g.to[g.start[v]:g.start[v+1]] }

// groups are a graph's strongly connected components: two nodes are in one group if
// each can be reached from the other. They are numbered so that an edge never leads
// to a group with a higher number.
type groups struct {
	of   []uint32 // by node
	size []uint32 // by group
}

// findGroups is Tarjan's algorithm with a stack of its own: a chain of calls may be as
// long as there are functions. It takes time and memory in proportion to the graph.
func findGroups(g *graph) *groups {
	n := g.nodes()
	t := &tarjan{g: g, low: make([]uint32, n), seen: make([]uint32, n), next: slices.Clone(g.start[:n])}
	t.out.of = make([]uint32, n)
	for v := range uint32(n) {
		if t.seen[v] == 0 {
			t.from(v)
		}
	}
	return &t.out
}

type tarjan struct {
	g *graph
	// seen is when a node was met, from 1; low is the earliest node that one can go back
	// to; done nodes have the highest low there is.
	seen, low   []uint32
	next        []uint32 // the next edge to follow, by node
	clock       uint32
	path, stack []uint32
	out         groups
}

const done = ^uint32(0)

func (t *tarjan) from(root uint32) {
	t.enter(root)
	for len(t.path) > 0 {
		v := t.path[len(t.path)-1]
		if t.next[v] < t.g.start[v+1] {
			w := t.g.to[t.next[v]]
			t.next[v]++
			if t.seen[w] == 0 {
				t.enter(w)
			} else if t.low[w] != done {
				t.low[v] = min(t.low[v], t.seen[w])
			}
			continue
		}
		t.path = t.path[:len(t.path)-1]
		low := t.low[v]
		if low == t.seen[v] {
			t.close(v)
		}
		if len(t.path) > 0 && low != done {
			parent := t.path[len(t.path)-1]
			t.low[parent] = min(t.low[parent], low)
		}
	}
}

func (t *tarjan) enter(v uint32) {
	t.clock++
	t.seen[v], t.low[v] = t.clock, t.clock
	t.path, t.stack = append(t.path, v), append(t.stack, v)
}

// close makes a group of what was met since v.
func (t *tarjan) close(v uint32) {
	id, size := uint32(len(t.out.size)), uint32(0)
	for {
		w := t.stack[len(t.stack)-1]
		t.stack = t.stack[:len(t.stack)-1]
		t.out.of[w], t.low[w] = id, done
		size++
		if w == v {
			break
		}
	}
	t.out.size = append(t.out.size, size)
}

// inOrder lists the nodes by group.
func (c *groups) inOrder() []uint32 {
	next := make([]uint32, len(c.size))
	sum := uint32(0)
	for i, size := range c.size {
		next[i] = sum
		sum += size
	}
	order := make([]uint32, len(c.of))
	for v, id := range c.of {
		order[next[id]] = uint32(v)
		next[id]++
	}
	return order
}

// circular tells for each group whether its nodes can come back to themselves.
func (c *groups) circular(g *graph) []bool {
	all := make([]bool, len(c.size))
	for i, size := range c.size {
		all[i] = size > 1
	}
	for v := range uint32(g.nodes()) {
		if slices.Contains(g.edges(v), v) {
			all[c.of[v]] = true
		}
	}
	return all
}

// mask is a small set of numbers. However many there are in a module, each node of a
// graph takes 32 bytes.
type mask [4]uint64

const maskBits = 256

func (m *mask) set(i int) { m[i/64] |= 1 << (i % 64) }

func (m *mask) has(i int) bool { return m[i/64]&(1<<(i%64)) != 0 }

func (m *mask) add(o *mask) {
	for i := range m {
		m[i] |= o[i]
	}
}

// spread returns for each group what its nodes have, or those that can be reached from them.
func (c *groups) spread(g *graph, own func(v uint32) (slot int, ok bool)) []mask {
	all := make([]mask, len(c.size))
	for _, v := range c.inOrder() {
		into := &all[c.of[v]]
		if slot, ok := own(v); ok {
			into.set(slot)
		}
		for _, w := range g.edges(v) {
			if c.of[w] != c.of[v] {
				into.add(&all[c.of[w]])
			}
		}
	}
	return all
}

// walk is a search in breadth from many nodes at once.
type walk struct {
	reached []bool
	parent  []uint32 // of a reached node; itself for one to begin from
}

func (g *graph) walk(from []uint32) *walk {
	w := &walk{reached: make([]bool, g.nodes()), parent: make([]uint32, g.nodes())}
	queue := make([]uint32, 0, len(from))
	reach := func(v, parent uint32) {
		if !w.reached[v] {
			w.reached[v], w.parent[v] = true, parent
			queue = append(queue, v)
		}
	}
	for _, v := range from {
		reach(v, v)
	}
	for i := 0; i < len(queue); i++ {
		for _, next := range g.edges(queue[i]) {
			reach(next, queue[i])
		}
	}
	return w
}

// path is how a reached node was come to, that node last.
func (w *walk) path(v uint32) []uint32 {
	path := []uint32{v}
	for w.parent[v] != v {
		v = w.parent[v]
		path = append(path, v)
	}
	slices.Reverse(path)
	return path
}
