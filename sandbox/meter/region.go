package meter

// region is code that is executed from its beginning on, as far as it gets, whenever
// control comes to its beginning: a function's body, a loop's, the arm of an if, what
// follows a branch or a block.
type region struct {
	// parent is the region that control has come through if it comes here. A region may
	// be charged with its parent.
	parent int32
	// kept regions are charged by themselves whatever they cost.
	kept bool
	cost int64
	// borne is what the region bears of regions below it.
	borne int64
}

const (
	// smallest is what a region costs at least to be charged by itself.
	smallest = 16
	// mostBorne is what a region bears of others at most, and mostLooped what a loop
	// does: by so much a charge can be above what is executed.
	mostBorne  = 64
	mostLooped = 16
)

// fold charges small regions with their parents, the innermost first, so that they
// need no code of their own. What is left costs nothing then.
func fold(regions []region) {
	for i := len(regions) - 1; i > 0; i-- {
		r := &regions[i]
		if r.kept {
			continue
		}
		p, most := &regions[r.parent], int64(mostBorne)
		if p.kept && r.parent > 0 {
			most = mostLooped
		}
		if r.cost < smallest && p.borne+r.cost <= most {
			p.cost += r.cost
			p.borne += r.cost
			r.cost = 0
		}
	}
}
