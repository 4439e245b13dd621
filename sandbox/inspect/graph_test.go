package inspect

import (
	"math/rand/v2"
	"testing"
)

// Groups, spread and walk say of random graphs what a slow and obvious way says.
func TestGroupsAndReachAgreeWithTheObviousWay(t *testing.T) {
	const seed = 11
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		n := 1 + rnd.IntN(14)
		g := &graph{start: []uint32{0}}
		var reaches [14][14]bool
		for v := range n {
			for range rnd.IntN(4) {
				to := rnd.IntN(n)
				g.to = append(g.to, uint32(to))
				reaches[v][to] = true
			}
			g.start = append(g.start, uint32(len(g.to)))
		}
		for k := range n { // Warshall's algorithm
			for i := range n {
				for j := range n {
					reaches[i][j] = reaches[i][j] || reaches[i][k] && reaches[k][j]
				}
			}
		}
		c := findGroups(g)
		masks := c.spread(g, func(v uint32) (int, bool) { return int(v) * 7, true })
		circular := c.circular(g)
		for i := range n {
			if circular[c.of[i]] != reaches[i][i] {
				t.Fatalf("seed %d: node %d of %v: circular is %v", seed, i, g, circular[c.of[i]])
			}
			walked := g.walk([]uint32{uint32(i)})
			for j := range n {
				same, reached := i == j || reaches[i][j] && reaches[j][i], i == j || reaches[i][j]
				if (c.of[i] == c.of[j]) != same || masks[c.of[i]].has(j*7) != reached || walked.reached[j] != reached {
					t.Fatalf("seed %d: nodes %d and %d of %v: groups %v, reached %v and %v", seed, i, j, g, c.of, masks[c.of[i]].has(j*7), walked.reached[j])
				}
				if reached && i != j && c.of[i] < c.of[j] {
					t.Fatalf("seed %d: an edge of %v leads to a group with a higher number", seed, g)
				}
			}
		}
	}
}

// A chain of calls as long as a module may have functions must not exhaust a stack.
func TestGroupsOfALongChain(t *testing.T) {
	const n = 500_000
	g := &graph{}
	for v := range uint32(n) {
		g.start, g.to = append(g.start, v), append(g.to, (v+1)%n)
	}
	g.start = append(g.start, n)
	if c := findGroups(g); len(c.size) != 1 || c.size[0] != n {
		t.Errorf("a circle of %d fell into %d groups", n, len(c.size))
	}
	w := g.walk([]uint32{0})
	if path := w.path(n - 1); len(path) != n || path[0] != 0 {
		t.Errorf("the way around has %d nodes", len(path))
	}
}
